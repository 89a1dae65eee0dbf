"""Structures that nobody has trained on: scaled, stretched, bent, twisted, shaken and taken apart."""

from collections.abc import Iterator

import ase
import numpy as np
from ase.build import bulk, molecule, surface
from ase.data import covalent_radii
from ase.neighborlist import natural_cutoffs, neighbor_list

CLOSEST = 0.5
"""Of the sum of covalent radii: no reference says anything about atoms that are closer."""
OTHERS = (
    "H2O",
    "CH4",
    "C2H6",
    "C2H4",
    "C2H2",
    "CH3OH",
    "CH3OCH3",
    "CH3COOH",
    "C6H6",
    "CO2",
    "H2CO",
    "OH",
    "CH3",
)


def of_molecule(start: ase.Atoms, seed: int = 0) -> Iterator[tuple[str, ase.Atoms]]:
    """Kinds of change and what they make of a molecule."""
    rng = np.random.default_rng(seed)
    for factor in np.linspace(0.80, 1.30, 51):
        yield "scaled", scaled(start, factor)
    for a, b in bonds(start):
        for change in np.linspace(-0.4, 1.2, 17):
            yield "stretched", stretched(start, a, b, change)
    for middle, a, b in angles(start):
        for angle in np.linspace(60.0, 179.0, 13):
            yield "bent", bent(start, a, middle, b, angle)
    for a, b in bonds(start):
        for angle in range(30, 360, 30):
            yield "twisted", twisted(start, a, b, angle)
    for amplitude in np.geomspace(0.01, 0.5, 12):
        for _ in range(25):
            atoms = start.copy()
            atoms.positions += rng.normal(0.0, amplitude, atoms.positions.shape)
            yield "rattled", atoms
    for k in range(len(start)):
        for distance in np.linspace(0.2, 2.0, 6):
            atoms = start.copy()
            direction = rng.normal(size=3)
            atoms.positions[k] += distance * direction / np.linalg.norm(direction)
            yield "one atom moved", atoms
        atoms = start.copy()
        del atoms[k]
        yield "one atom removed", atoms
        atoms = start.copy()
        direction = rng.normal(size=3)
        atoms += ase.Atoms(
            start.symbols[k], [start.positions[k] + 1.3 * direction / np.linalg.norm(direction)]
        )
        yield "one atom added", atoms
    for name in OTHERS:
        if set(molecule(name).numbers) <= set(start.numbers):
            yield "another molecule", molecule(name)
    for distance in np.linspace(2.0, 8.0, 13):
        other = start.copy()
        other.positions += [0.0, 0.0, np.ptp(start.positions[:, 2]) + distance]
        yield "two of them", start + other


def of_silicon(seed: int = 0) -> Iterator[tuple[str, ase.Atoms]]:
    """The same for the diamond structure."""
    rng, unit = np.random.default_rng(seed), bulk("Si", cubic=True, a=5.469)
    crystal = unit * 2
    for factor in np.linspace(0.80, 1.25, 46):
        yield "scaled", scaled(unit, factor)
    for _ in range(60):
        atoms, strain = unit.copy(), rng.normal(0.0, rng.uniform(0.0, 0.12), (3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain + strain.T), scale_atoms=True)
        yield "strained", atoms
    for amplitude in np.geomspace(0.02, 0.8, 12):
        for _ in range(8):
            atoms = crystal.copy()
            atoms.positions += rng.normal(0.0, amplitude, atoms.positions.shape)
            yield "rattled", atoms
    for count in (1, 2, 4, 8, 16):
        for _ in range(4):
            atoms = crystal.copy()
            del atoms[rng.choice(len(atoms), count, replace=False)]
            yield f"{count} vacancies" if count > 1 else "a vacancy", atoms
    for _ in range(20):
        yield "an interstitial", crystal + ase.Atoms("Si", [rng.uniform(0.0, 10.9, 3)])
    for density in (0.85, 0.95, 1.05, 1.15):
        for _ in range(5):
            yield "a liquid", liquid(density, rng)
    for indices in ((1, 0, 0), (1, 1, 0), (1, 1, 1)):
        yield "a slab", surface(unit, indices, 3, vacuum=8.0, periodic=True)
    for name in ("fcc", "bcc", "sc"):
        yield (
            "another crystal",
            bulk("Si", name, a={"fcc": 3.9, "bcc": 3.1, "sc": 2.5}[name], cubic=True) * 2,
        )


def liquid(density: float, rng: np.random.Generator, count: int = 64) -> ase.Atoms:
    """Atoms anywhere, pushed apart until none is closer than 2.2 Å; the density by that of the crystal."""
    width = 5.469 * (count / 8.0 / density) ** (1.0 / 3.0)
    atoms = ase.Atoms(f"Si{count}", rng.uniform(0.0, width, (count, 3)), cell=[width] * 3, pbc=True)
    for _ in range(300):
        i, vectors, distances = neighbor_list("iDd", atoms, 2.2)
        if not len(i):
            break
        push = np.zeros((count, 3))
        np.add.at(push, i, -0.6 * ((2.2 - distances) / distances)[:, None] * vectors)
        atoms.positions += push
    return atoms


def sensible(atoms: ase.Atoms) -> bool:
    """Whether no two atoms lie in each other."""
    reach = [CLOSEST * covalent_radii[z] for z in atoms.numbers]
    return len(neighbor_list("i", atoms, reach)) == 0


def scaled(start: ase.Atoms, factor: float) -> ase.Atoms:
    """Molecule or crystal, blown up or pressed together."""
    atoms = start.copy()
    atoms.set_cell(factor * atoms.cell.array, scale_atoms=False)
    atoms.positions *= factor
    return atoms


def bonds(atoms: ase.Atoms) -> list[tuple[int, int]]:
    """Pairs of bonded atoms, each once."""
    i, j = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.15))
    return [(int(a), int(b)) for a, b in zip(i, j, strict=True) if a < b]


def angles(atoms: ase.Atoms) -> list[tuple[int, int, int]]:
    """Middle and ends of each angle."""
    to: dict[int, list[int]] = {}
    for a, b in bonds(atoms):
        to.setdefault(a, []).append(b)
        to.setdefault(b, []).append(a)
    return [(m, a, b) for m, ends in to.items() for k, a in enumerate(ends) for b in ends[:k]]


def side(atoms: ase.Atoms, a: int, b: int) -> list[int]:
    """Atoms that hang on b when its bond to a is cut; b alone in a ring."""
    found, new = {b}, [b]
    while new:
        here = new.pop()
        for p, q in bonds(atoms):
            other = q if p == here else p if q == here else None
            if other is None or {here, other} == {a, b} or other in found:
                continue
            found.add(other)
            new.append(other)
    return [b] if a in found else sorted(found)


def stretched(start: ase.Atoms, a: int, b: int, change: float) -> ase.Atoms:
    """One bond longer or shorter, Å, with all that hangs on it."""
    atoms = start.copy()
    direction = atoms.positions[b] - atoms.positions[a]
    atoms.positions[side(atoms, a, b)] += change * direction / np.linalg.norm(direction)
    return atoms


def bent(start: ase.Atoms, a: int, middle: int, b: int, angle: float) -> ase.Atoms:
    """One angle, degrees, with all that hangs on its end."""
    atoms = start.copy()
    atoms.set_angle(a, middle, b, angle, indices=side(atoms, middle, b))
    return atoms


def twisted(start: ase.Atoms, a: int, b: int, angle: float) -> ase.Atoms:
    """One side of a bond turned around it, degrees."""
    atoms = start.copy()
    part = atoms[side(atoms, a, b)]
    part.rotate(angle, atoms.positions[b] - atoms.positions[a], center=atoms.positions[b])
    atoms.positions[side(atoms, a, b)] = part.positions
    return atoms
