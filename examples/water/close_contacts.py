"""Frames of water with molecules pushed into each other, so that the model has no hole there: GFN1-xTB by tblite.

    python examples/water/close_contacts.py water64.extxyz runs/water_frames

Trained on the data alone, a model fell into a hole at a hydrogen-hydrogen contact that the data don't have,
after 30 ps. The label of a changed frame is that of the data plus the difference that GFN1-xTB sees between
both: tenths of an eV off at the top of a wall, and walls are what it makes. The folder gets all frames in one
file, and a split whose validation and test frames are of the data alone. Interrupted, it goes on.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from schnet_calc.data import Split, split_frames
from schnet_calc.references import reference_calculator

COUNT = 36
"""Changed frames."""
CONTACTS = 6
"""Changed molecules in each."""
KINDS = (("H", "H", 0.6, 1.6), ("O", "H", 1.0, 1.7), ("O", "O", 2.0, 2.5))
"""Atoms of two molecules, and the distances in Å between which they are brought."""
STRETCH = (0.75, 1.6)
"""Å; O-H bonds of one molecule per frame."""


def molecules(atoms: ase.Atoms) -> np.ndarray:
    """(M, 3) indices of O and its two hydrogens."""
    oxygens, hydrogens = (np.flatnonzero(np.array(atoms.symbols) == s) for s in "OH")
    distances = atoms.get_all_distances(mic=True)[np.ix_(oxygens, hydrogens)]
    return np.column_stack([oxygens, hydrogens[np.argsort(distances, axis=1)[:, :2]]])


def changed(atoms: ase.Atoms, rng: np.random.Generator) -> ase.Atoms:
    """A frame with some molecules moved towards a neighbour, and one bond stretched or compressed."""
    found, waters = atoms.copy(), molecules(atoms)
    for water in rng.permutation(waters)[:CONTACTS]:
        first, second, low, high = KINDS[rng.integers(len(KINDS))]
        a = rng.choice([k for k in water if found.symbols[k] == first])
        others = [k for k in range(len(found)) if k not in water and found.symbols[k] == second]
        vectors = found.get_distances(a, others, mic=True, vector=True)
        nearest = vectors[rng.choice(np.argsort(np.linalg.norm(vectors, axis=1))[:3])]
        length = np.linalg.norm(nearest)
        found.positions[water] += (1.0 - rng.uniform(low, high) / length) * nearest
    oxygen, hydrogen, _ = waters[rng.integers(len(waters))]
    found.set_distance(oxygen, hydrogen, rng.uniform(*STRETCH), fix=0, mic=True)
    return found


def pairs(images: list[ase.Atoms]) -> Iterator[tuple[ase.Atoms, ase.Atoms]]:
    """Frames to train on, and what becomes of each."""
    split, rng = split_of(images), np.random.default_rng(0)
    for _ in range(COUNT):
        before = images[split.train[rng.integers(len(split.train))]]
        yield before, changed(before, rng)


def split_of(images: list[ase.Atoms]) -> Split:
    """Which frames of the data are for what."""
    return split_frames(len(images), 270, 25)


def main(data: str, folder: str) -> None:
    """Label the frames that are still missing, then write all."""
    images, target = ase.io.read(data, ":"), Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    calculator, split = reference_calculator("GFN1-xTB"), split_of(images)
    kept = target / "labelled.extxyz"
    done = len(ase.io.read(kept, ":")) if kept.exists() else 0
    for n, (before, after) in enumerate(pairs(images)):
        if n < done:
            continue
        energies, forces = zip(
            *((calculator.get_potential_energy(a), calculator.get_forces(a)) for a in (before, after)),
            strict=True,
        )
        energy = before.get_potential_energy() + energies[1] - energies[0]
        labels = {"energy": energy, "forces": before.get_forces() + forces[1] - forces[0]}
        after.calc = SinglePointCalculator(after, **labels)
        ase.io.write(kept, after, append=True)
        print(f"{n + 1} of {COUNT}: {energies[1] - energies[0]:.1f} eV", flush=True)
    labelled = ase.io.read(kept, ":")
    ase.io.write(target / "frames.extxyz", [*images, *labelled])
    more = np.arange(len(images), len(images) + len(labelled))
    Split(np.concatenate([split.train, more]), split.validation, split.test).save(target / "split.npz")


if __name__ == "__main__":
    main(*sys.argv[1:])
