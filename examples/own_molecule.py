"""A molecule of your own, all the way: xTB labels, training, checks, infrared spectra, path integrals, a page.

    python examples/own_molecule.py [MOLECULE.xyz] [FOLDER]

Acetamide without arguments. GFN2-xTB (extra xtb) labels 1,200 structures: half from
dynamics at 500 K, half from the quantum vibrations around the minimum, where the beads of path integrals
will be. The model is then compared with GFN2-xTB at its minimum, in its frequencies and infrared intensities,
and on beads that it visited itself. Ten to twenty minutes on two cores; set CI=1 for a run of seconds, good for
nothing.
"""

import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import ase.io
import numpy as np
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import Debye
from ase.vibrations import Infrared

from schnet_calc import MDSettings, SchNetCalculator, run_md
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.nn import SchNetConfig
from schnet_calc.references import reference_calculator
from schnet_calc.report import write_report
from schnet_calc.simulate.infrared import KM_MOL, infrared_intensities
from schnet_calc.simulate.mode_comparison import compare_modes, reference_modes
from schnet_calc.simulate.modes import normal_modes, write_modes
from schnet_calc.simulate.pimd import run_pimd
from schnet_calc.simulate.relax import relax
from schnet_calc.simulate.sampling import sample_modes
from schnet_calc.training import DataConfig, Run, RunConfig, TrainingConfig
from schnet_calc.training.workflow import finish

quick = bool(os.environ.get("CI"))
start = ase.io.read(sys.argv[1]) if len(sys.argv) > 1 else molecule("CH3CONH2")
folder = Path(sys.argv[2] if len(sys.argv) > 2 else "own_molecule")
clock = time.perf_counter()


def say(text: str) -> None:
    print(f"{(time.perf_counter() - clock) / 60:4.1f} min  {text}", flush=True)


# Sample and label.
xtb = reference_calculator("GFN2-xTB")
known = reference_modes(start, xtb)
say(f"GFN2-xTB: {len(known.frequencies)} modes from {known.frequencies[0]:.0f} cm⁻¹ on")
n_frames = 12 if quick else 600
hot = MDSettings(temperature=500, time=0.05 * n_frames, interval=100, seed=1)  # a frame every 50 fs
md = run_md(known.atoms, xtb, hot, folder / "sampling")
frames = ase.io.read(md.trajectory, ":")[-n_frames:]
for atoms in sample_modes(known, temperature=300, n_samples=n_frames):
    atoms.calc = xtb
    atoms.get_potential_energy()
    labels = {name: xtb.results[name] for name in ("energy", "forces", "dipole")}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    frames.append(atoms)
ase.io.write(folder / "xtb.extxyz", frames)
say(f"{len(frames)} structures labelled")

# Train, and check on frames never used.
config = RunConfig(
    DataConfig(
        file=str(folder / "xtb.extxyz"),
        n_train=len(frames) * 5 // 6,
        n_validation=len(frames) // 12,
        dipole_key="dipole",
        theory="GFN2-xTB",
    ),
    SchNetConfig(n_features=64, n_interactions=3, n_gaussians=25, cutoff=6.0, basis_width=0.3),
    TrainingConfig(
        steps=400 if quick else 16_000,
        validate_every=200 if quick else 1000,
        rho=1.0,
        optimizer="soap",
        learning_rate=1e-3,
        final_learning_rate=5e-6,
        warmup=300,
        clip=3.0,
        spline_spacing=0.03,
    ),
)
run = Run(config, folder / "training")
run.run(lambda run, errors: errors and say(f"step {run.step}: {errors}"))
test = finish(run, command="python examples/own_molecule.py")
say(f"on unseen frames: {test.errors}")

# Relax, and compare minimum and modes.
model = folder / "training" / "model.pt"
precise = SchNetCalculator(model, dtype="float64")
relaxed = relax(known.atoms, precise, fmax=1e-4)
ase.io.write(folder / "relaxed.xyz", relaxed.atoms)
modes = normal_modes(relaxed.atoms, precise)
compared = compare_modes(modes, known)
intensities = infrared_intensities(modes, precise.model)
record = {
    "reference": "GFN2-xTB",
    "intensities_km_mol": intensities.tolist(),
    **compared.to_dict(),
}
write_modes(folder / "modes.json", modes, precise, record)
off = np.abs(compared.errors)
say(
    f"minima {compared.rmsd:.3f} Å apart; frequencies off by {off.mean():.1f} cm⁻¹, at most {off.max():.1f}"
)

with tempfile.TemporaryDirectory() as scratch:
    shaken = known.atoms.copy()
    shaken.calc = xtb
    infrared = Infrared(shaken, name=f"{scratch}/ir")  # by differences of the reference's own dipoles
    infrared.run()
    infrared.read()
    exact = KM_MOL * Debye**2 * infrared.intensities[-len(intensities) :]  # ASE has D²/(Å² amu)
say(f"infrared intensities off by {np.abs(intensities - exact).mean():.1f} km/mol of {exact.max():.0f}")

# Classical and path-integral dynamics; beads are the model's own, so this is the test that counts.
picoseconds = 0.02 if quick else 5.0
calculator = SchNetCalculator(model)
run_md(relaxed.atoms, calculator, MDSettings(300, picoseconds, thermostat="none"), folder / "nve")
run_md(relaxed.atoms, calculator, MDSettings(300, picoseconds), folder / "md")
pimd = run_pimd(
    relaxed.atoms, str(model), PIMDSettings(beads=8, temperature=300, time=picoseconds), folder / "pimd"
)
visited = [beads[-k] for beads in pimd.beads() for k in range(1, 2 if quick else 26)]
errors = []
for atoms, predicted in zip(visited, calculator.evaluate(visited), strict=True):
    with suppress(CalculationFailed):  # where a model went astray
        errors.append(predicted.forces - xtb.get_forces(atoms))
say(
    f"on {len(errors)} of {len(visited)} beads, where GFN2-xTB converges: "
    f"force MAE {1e3 * np.abs(errors).mean():.1f} meV/Å against it"
)
say(f"page: {write_report(folder)}")
