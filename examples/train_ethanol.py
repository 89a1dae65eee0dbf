"""Train a model of ethanol on MD17 frames, test it on frames it never saw, and use it.

    python examples/train_ethanol.py path/to/md17_ethanol.npz

The file is found in $SCHNET_CALC_DATA/md17 too. Set CI=1 for a run of a few steps, whose model is
good for nothing. The same from a shell: schnet-calc train --data FILE -o runs/ethanol
"""

import os
import sys
import tempfile
from pathlib import Path

from schnet_calc import SchNetCalculator
from schnet_calc.nn import SchNetConfig
from schnet_calc.training import DataConfig, Run, RunConfig, TrainingConfig
from schnet_calc.training.workflow import finish

quick = bool(os.environ.get("CI"))
default = Path(os.environ.get("SCHNET_CALC_DATA", "../shared/data")) / "md17" / "md17_ethanol.npz"
data = sys.argv[1] if len(sys.argv) > 1 else str(default)

config = RunConfig(
    DataConfig(data, n_train=200 if quick else 1000, n_validation=50 if quick else 1000, n_test=100),
    SchNetConfig(n_features=64, n_interactions=3),
    TrainingConfig(
        steps=60 if quick else 20_000,
        validate_every=30 if quick else 1000,
        learning_rate=2e-3,
        final_learning_rate=1e-5,
        schedule="exponential",
        optimizer="soap",
        clip=3.0,
    ),
)
with tempfile.TemporaryDirectory() as folder:
    run = Run(config, folder)
    run.run(lambda run, errors: errors and print(f"step {run.step}: {errors}"))
    print("test:", finish(run))

    atoms = run.frames.atoms(0)
    atoms.calc = SchNetCalculator(Path(folder) / "model.pt")
    print(f"energy of the first frame: {atoms.get_potential_energy():.4f} eV")
