"""Atoms around points, with their periodic images."""

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from schnet_calc.structures.structure import Structure


def pairs_around(
    structure: Structure, points: NDArray[np.float64], cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Points (Q,), atoms (Q,) and shifts (Q, 3), Å, of the atoms for every pair of them within the cutoff.

    Parameters
    ----------
    structure : Structure
        A molecule or a crystal.
    points : array
        (M, 3) Å.
    cutoff : float
        Å.
    """
    n_atoms, n_points = len(structure.numbers), len(points)
    if not structure.pbc.any() or not np.isfinite(cutoff):
        i, j = np.divmod(np.arange(n_points * n_atoms), n_atoms)
        near = np.linalg.norm(points[i] - structure.positions[j], axis=1) < cutoff
        return i[near], j[near], np.zeros((int(near.sum()), 3))
    moves = image_vectors(structure, points, cutoff)
    images = (structure.positions[None] + moves[:, None]).reshape(-1, 3)
    near_images = cKDTree(images).query_ball_point(points, cutoff)
    i = np.repeat(np.arange(n_points), [len(x) for x in near_images])
    which = np.concatenate([np.asarray(x, dtype=np.int64) for x in near_images])
    return i, which % n_atoms, moves[which // n_atoms]


def image_vectors(structure: Structure, points: NDArray[np.float64], cutoff: float) -> NDArray[np.float64]:
    """(V, 3) lattice vectors to all images that may be within the cutoff, Å; as for :func:`pairs_around`."""
    inverse = np.linalg.pinv(structure.cell)
    reach = cutoff * np.linalg.norm(inverse, axis=0)
    offsets = points @ inverse, structure.positions @ inverse
    low = np.floor(offsets[0].min(axis=0) - offsets[1].max(axis=0) - reach).astype(int)
    high = np.ceil(offsets[0].max(axis=0) - offsets[1].min(axis=0) + reach).astype(int)
    ranges = [
        range(a, b + 1) if periodic else range(1)
        for a, b, periodic in zip(low, high, structure.pbc, strict=True)
    ]
    return np.array(list(itertools.product(*ranges))) @ structure.cell


def count_around(structure: Structure, cutoff: float) -> int:
    """About how many atoms lie within the cutoff of a point of a crystal."""
    volume = structure.volume or 10.0 * len(structure.numbers)
    return int(4.2 * cutoff**3 * len(structure.numbers) / volume)
