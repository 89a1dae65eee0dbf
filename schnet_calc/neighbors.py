"""Pairs of atoms within a cutoff, with periodic images where there are any."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from vesin import NeighborList

ALL_PAIRS_LIMIT = 100
"""Up to this many atoms, comparing all pairs of a molecule is faster than a cell list."""


class HalfPairs(NamedTuple):
    """Unordered pairs: each pair of atoms, and each pair with a periodic image, once."""

    i: NDArray[np.int64]
    """(P,)"""
    j: NDArray[np.int64]
    """(P,)"""
    shifts: NDArray[np.float64]
    """(P, 3) Å, added to the position of j."""


def half_pairs(
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    cutoff: float,
) -> HalfPairs:
    """Every unordered pair closer than the cutoff.

    Parameters
    ----------
    positions : array
        (N, 3) Å.
    cell : array
        (3, 3) Å, rows are the lattice vectors; only those of periodic directions are used.
    pbc : array
        (3,) booleans.
    cutoff : float
        Å; infinite for all pairs of a molecule.

    Raises
    ------
    ValueError
        All pairs are asked for in a periodic cell, or a periodic direction has no lattice vector.
    """
    periodic = bool(np.any(pbc))
    if periodic:
        return _periodic(positions, cell, pbc, cutoff)
    n_atoms = len(positions)
    if n_atoms <= ALL_PAIRS_LIMIT or not np.isfinite(cutoff):
        i, j = np.triu_indices(n_atoms, 1)
        vectors = positions[j] - positions[i]
        near = np.einsum("pk,pk->p", vectors, vectors) < cutoff**2
        i, j = i[near], j[near]
    else:
        neighbors = NeighborList(cutoff=cutoff, full_list=False)
        i, j = neighbors.compute(positions, np.zeros((3, 3)), False, "ij")
        i, j = i.astype(np.int64), j.astype(np.int64)
    return HalfPairs(i, j, np.zeros((len(i), 3)))


def _periodic(
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    cutoff: float,
) -> HalfPairs:
    if not np.isfinite(cutoff):
        raise ValueError("a periodic structure has no end of pairs: this model needs a cutoff")
    box = np.array(cell, dtype=float)
    lengths = np.linalg.norm(box, axis=1)
    for axis in range(3):
        if pbc[axis] and not lengths[axis] > 0:
            raise ValueError(f"the structure is periodic along axis {axis}, but that cell vector is zero")
    box = _complete(box, pbc)
    if abs(np.linalg.det(box)) < 1e-9 * np.prod(np.linalg.norm(box, axis=1)):
        raise ValueError(f"the lattice vectors of the cell do not span a volume: {box.tolist()}")
    neighbors = NeighborList(cutoff=cutoff, full_list=False)
    i, j, images = neighbors.compute(positions, box, [bool(p) for p in pbc], "ijS")
    return HalfPairs(i.astype(np.int64), j.astype(np.int64), images.astype(float) @ box)


def _complete(box: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The cell with unit vectors, orthogonal to the periodic ones, along open directions."""
    if np.all(pbc):
        return box
    completed = box.copy()
    _, _, basis = np.linalg.svd(box[np.asarray(pbc, dtype=bool)])
    spare = list(basis[int(np.sum(pbc)) :])
    for axis in range(3):
        if not pbc[axis]:
            completed[axis] = spare.pop()
    return completed
