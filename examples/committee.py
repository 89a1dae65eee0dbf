"""A committee that notices when a simulation leaves its training data.

Three small networks learn copper on ASE's EMT near equilibrium; then a crystal is heated until they
disagree. Set CI=1 for a shorter training.
"""

import os
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin

from schnet_calc import SchNetCalculator
from schnet_calc.guard.guard import DoubtfulStructureError
from schnet_calc.nn import SchNetConfig
from schnet_calc.training import DataConfig, RunConfig, TrainingConfig
from schnet_calc.training.committee import train_members

folder = Path(tempfile.mkdtemp())
frames = []
for seed in range(80):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.08, seed=seed)
    atoms.calc = EMT()
    labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    frames.append(atoms)
ase.io.write(folder / "copper.extxyz", frames)

config = RunConfig(
    DataConfig(file=str(folder / "copper.extxyz"), n_train=50, n_validation=10),
    SchNetConfig(n_features=16, n_interactions=2, n_gaussians=20, cutoff=5.0),
    TrainingConfig(
        steps=60 if os.environ.get("CI") else 1500, batch_size=5, learning_rate=1e-2, validate_every=100
    ),
)
members = train_members(config, folder, n_members=3, bootstrap=True)

inside = SchNetCalculator(members).evaluate(frames[-20:])
usual = max(np.linalg.norm(p.forces_std, axis=1).max() for p in inside)
print(f"within the data the members disagree by at most {1e3 * usual:.0f} meV/Å")

atoms = bulk("Cu", cubic=True)
atoms.calc = SchNetCalculator(members, on_doubt="stop", max_forces_std=1.5 * usual)
rng = np.random.default_rng(0)
dynamics = Langevin(atoms, 2 * units.fs, temperature_K=300, friction=0.02 / units.fs, rng=rng, fixcm=False)
try:
    for kelvin in range(300, 6000, 100):
        dynamics.set_temperature(temperature_K=kelvin)
        dynamics.run(50)
except DoubtfulStructureError as doubt:
    print(f"stopped at {kelvin} K: {doubt}")
