"""Frames of formaldehyde where the data have none, so that the model has no hole there: MP2/cc-pVTZ by PySCF.

    python examples/h2co/far_from_the_minimum.py h2co_ccsdt_f12.extxyz runs/h2co_frames

Between 0.65 and 1.7 Å of the hydrogens from each other, say, nothing holds a network: ours fell 3 eV deep. Labels
of another level, shifted to the same energy at the minimum, are some tenths of an eV off at the top of a wall, and
walls are what they make. The folder gets all frames in one file, and a split whose validation and test frames are
of the data alone. Interrupted, it goes on.
"""

import sys
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from schnet_calc.data import Split, split_frames
from schnet_calc.references import reference_calculator

KINDS = (("H", "H", 0.65, 1.68, 60), ("O", "H", 0.9, 1.8, 30), ("C", "H", 1.4, 2.1, 30))
"""Two atoms, the distances in Å between which they are brought, and how many frames."""

MOST = 6.0
"""eV above the minimum; what lies higher is kept, but not trained on: it would weigh too much."""


def displaced(images: list[ase.Atoms], rng: np.random.Generator) -> list[ase.Atoms]:
    """Frames of low energy, with two atoms brought closer or further apart."""
    lowest = min(a.get_potential_energy() for a in images)
    calm = [a for a in images if a.get_potential_energy() < lowest + 0.5]
    found = []
    for first, second, low, high, count in KINDS:
        for distance in np.linspace(low, high, count):
            atoms = calm[rng.integers(len(calm))].copy()
            a = rng.choice([n for n, symbol in enumerate(atoms.symbols) if symbol == first])
            b = rng.choice([n for n, symbol in enumerate(atoms.symbols) if symbol == second and n != a])
            atoms.set_distance(a, b, distance, fix=0.5 if first == second else 0)
            if first == second:
                keep_from_carbon(atoms, rng.uniform(0.95, 1.7))
            atoms.rattle(0.02, rng=rng)
            found.append(atoms)
    return found


def keep_from_carbon(atoms: ase.Atoms, distance: float) -> None:
    """Move both hydrogens along the axis of the molecule until they are this far from the carbon."""
    symbols = np.array(atoms.get_chemical_symbols())
    hydrogens, carbon = symbols == "H", atoms.positions[symbols == "C"][0]
    axis = carbon - atoms.positions[symbols == "O"][0]
    axis /= np.linalg.norm(axis)
    middle = atoms.positions[hydrogens].mean(axis=0)
    apart = atoms.positions[hydrogens][0] - middle
    height = np.sqrt(max(distance**2 - apart @ apart, 0.1))
    atoms.positions[hydrogens] += carbon + height * axis - middle


def split_of(images: list[ase.Atoms]) -> Split:
    """Which frames of the data are for what."""
    return split_frames(len(images), 2800, 200)


def main(data: str, folder: str) -> None:
    """Label the frames that are still missing, then write all."""
    images, target = ase.io.read(data, ":"), Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    calculator = reference_calculator("MP2/cc-pVTZ")
    lowest = min(images, key=lambda a: a.get_potential_energy())
    shift = lowest.get_potential_energy() - calculator.get_potential_energy(lowest)
    frames, kept = displaced(images, np.random.default_rng(0)), target / "labelled.extxyz"
    done = ase.io.read(kept, ":") if kept.exists() else []
    for n, atoms in enumerate(frames[len(done) :], len(done) + 1):
        energy, forces = calculator.get_potential_energy(atoms) + shift, calculator.get_forces(atoms)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        ase.io.write(kept, atoms, append=True)
        print(f"{n} of {len(frames)}: {energy - lowest.get_potential_energy():.2f} eV", flush=True)
    highest = lowest.get_potential_energy() + MOST
    labelled = [a for a in ase.io.read(kept, ":") if a.get_potential_energy() < highest]
    ase.io.write(target / "frames.extxyz", [*images, *labelled])
    split = split_of(images)
    more = np.arange(len(images), len(images) + len(labelled))
    Split(np.concatenate([split.train, more]), split.validation, split.test).save(target / "split.npz")


if __name__ == "__main__":
    main(*sys.argv[1:])
