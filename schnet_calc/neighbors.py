"""Pairs of atoms within a cutoff, with periodic images where there are any."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from vesin import NeighborList

ALL_PAIRS_LIMIT = 100
"""Up to this many atoms, comparing all pairs of a molecule is faster than a cell list."""

SKIN = 0.5
"""Å; more pairs to look at, fewer lists to make."""


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


@cache
def _all_pairs(n_atoms: int) -> HalfPairs:
    i, j = np.triu_indices(n_atoms, 1)
    return HalfPairs(i, j, np.zeros((len(i), 3)))


class SkinList:
    """Pairs of a structure that moves, found anew only when one could have been missed.

    The list reaches farther than the cutoff by a skin, so it may hold pairs beyond the cutoff. It is made
    again when an atom has moved by more than half the skin, or cell, periodic directions or the number of
    atoms are others. A structure that is seen for the first time gets a list without skin.

    Parameters
    ----------
    cutoff : float
        Å.
    skin : float
        Å.
    """

    def __init__(self, cutoff: float, skin: float = SKIN) -> None:
        self.cutoff, self.skin = cutoff, skin
        self._kept: _Kept | None = None

    def pairs(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]
    ) -> HalfPairs:
        """Every unordered pair within the cutoff, maybe some beyond; arguments as in :func:`half_pairs`."""
        periodic = bool(pbc.any())
        if not periodic and len(positions) <= ALL_PAIRS_LIMIT:
            return _all_pairs(len(positions))
        kept, skin = self._kept, 0.0
        if kept is not None and kept.fits(positions, cell, pbc):
            moves = positions - kept.positions
            if np.einsum("nk,nk->n", moves, moves).max() <= (0.5 * kept.skin) ** 2:
                return kept.pairs
            skin = self.skin
        pairs = half_pairs(positions, cell, pbc, self.cutoff + skin)
        self._kept = _Kept(positions.copy(), cell.copy(), pbc.copy(), skin, pairs)
        return pairs


class _Kept(NamedTuple):
    """A list and what it was made for."""

    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    pbc: NDArray[np.bool_]
    skin: float
    pairs: HalfPairs

    def fits(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]
    ) -> bool:
        """Whether only the positions may have changed."""
        return (
            len(positions) == len(self.positions)
            and bool((pbc == self.pbc).all())
            and (not pbc.any() or bool((cell == self.cell).all()))
        )


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
    home = np.floor(positions @ np.linalg.inv(box)) * pbc  # atoms may lie in any image of the cell
    i, j, images = neighbors.compute(positions - home @ box, box, [bool(p) for p in pbc], "ijS")
    i, j = i.astype(np.int64), j.astype(np.int64)
    return HalfPairs(i, j, (images + home[i] - home[j]) @ box)


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
