"""Bonds of a molecule, their classes, and shells of atoms around its centre."""

from dataclasses import dataclass

import ase
import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cluster:
    """Values that belong together."""

    mean: float
    """Å"""
    members: NDArray[np.int64]
    """Indices of the values."""
    spread: float
    """Å: largest minus smallest."""


def bonds(
    atoms: ase.Atoms, longest: float | NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pairs (B, 2) of a molecule closer than ``longest``, and their lengths (B,) in Å.

    The limit is one for all pairs, or (N, N), in Å.
    """
    i, j = np.triu_indices(len(atoms), 1)
    lengths = np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1)
    near = lengths < np.broadcast_to(longest, (len(atoms), len(atoms)))[i, j]
    return np.stack((i[near], j[near]), axis=1), lengths[near]


def covalent_bonds(atoms: ase.Atoms, reach: float = 1.3) -> NDArray[np.int64]:
    """Return indices (B, 2) of pairs of atoms closer than ``reach`` times the sum of their covalent radii."""
    radii = covalent_radii[atoms.numbers]
    return bonds(atoms, reach * (radii[:, None] + radii))[0]


def clusters(values: NDArray[np.float64], gap: float) -> list[Cluster]:
    """Split sorted values wherever two neighbours lie further apart than ``gap``.

    Parameters
    ----------
    values : array
        (n,).
    gap : float
        In the same unit.
    """
    order = np.argsort(values)
    breaks = np.flatnonzero(np.diff(values[order]) > gap) + 1
    groups = np.split(order, breaks) if len(values) else []
    return [Cluster(float(values[g].mean()), np.sort(g), float(np.ptp(values[g]))) for g in groups]


def shells(atoms: ase.Atoms, gap: float = 0.005) -> list[Cluster]:
    """Atoms at equal distance from the geometric centre."""
    arms = atoms.positions - atoms.positions.mean(axis=0)
    return clusters(np.linalg.norm(arms, axis=1), gap)
