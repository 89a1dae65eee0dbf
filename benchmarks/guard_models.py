"""Models that the guard is tried on: committees trained on GFN2-xTB's frames of a molecule, at 500 K."""

from pathlib import Path

import ase
import ase.io
import numpy as np
from ase import units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from schnet_calc.data import Frames, Split, read_frames
from schnet_calc.references import reference_calculator
from schnet_calc.simulate.relax import relax
from schnet_calc.training import train
from schnet_calc.training.config import RunConfig
from shipped_grades import DATA, ROOT

MADE = {"ethanol_xtb": "CH3CH2OH", "c20_xtb": "C20", "aspirin_xtb": "aspirin"}
FIRST_FRAMES = {"C20": "c20/c20_500K.npz", "aspirin": "md17/md17_aspirin.npz"}
APART = 10.0
"""fs between frames."""


def made(
    name: str, folder: Path, steps: int, count: int, n_frames: int
) -> tuple[list[Path], Frames, Split, ase.Atoms]:
    """Models of GFN2-xTB for a molecule: frames of Langevin dynamics at 500 K, networks trained on them.

    Returns
    -------
    list of Path, Frames, Split, Atoms
        The model files, which differ in their seeds alone; all frames; which of them are what; the molecule.
    """
    folder.mkdir(parents=True, exist_ok=True)
    start = first_structure(MADE[name])
    relaxed = relax(start, reference_calculator("GFN2-xTB")).atoms if MADE[name] != "C20" else start
    path = folder / f"{name}.extxyz"
    if not path.exists():
        write_frames(path, relaxed, n_frames)
    sources = []
    for seed in range(count):
        where = folder / f"{name}_{seed}"
        if not (where / "model.pt").exists():
            config = RunConfig.from_toml(ROOT / "examples" / "md17" / "ethanol.toml")
            train(
                config,
                where,
                file=str(path),
                steps=steps,
                seed=seed,
                n_train=n_frames // 2,
                n_validation=n_frames // 8,
            )
        sources.append(where / "model.pt")
    return sources, read_frames(path), Split.load(folder / f"{name}_0" / "split.npz"), relaxed


def first_structure(name: str) -> ase.Atoms:
    """A molecule by name; C20 from the data of the thesis's study, aspirin from MD17."""
    if name not in FIRST_FRAMES:
        return molecule(name)
    data = np.load(DATA / FIRST_FRAMES[name])
    return ase.Atoms(numbers=data["z"], positions=data["R"][0].astype(float))


def write_frames(path: Path, start: ase.Atoms, n_frames: int) -> None:
    """Frames of Langevin dynamics at 500 K, with energies and forces."""
    atoms = start.copy()
    atoms.calc = reference_calculator("GFN2-xTB")
    rng, timestep = np.random.default_rng(0), 0.5 if 1 in atoms.numbers else 1.0
    MaxwellBoltzmannDistribution(atoms, temperature_K=500, rng=rng)
    dynamics = Langevin(
        atoms, timestep * units.fs, temperature_K=500, friction=0.02 / units.fs, rng=rng, fixcm=False
    )
    dynamics.run(200)
    images = []
    for _ in range(n_frames):
        dynamics.run(round(APART / timestep))
        images.append(atoms.copy())
        images[-1].calc = SinglePointCalculator(
            images[-1], energy=atoms.get_potential_energy(), forces=atoms.get_forces()
        )
    ase.io.write(path, images)
