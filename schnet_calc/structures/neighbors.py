"""Pairs of atoms within a cutoff, with periodic images where there are any."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from schnet_calc.errors import TooManyPairsError
from schnet_calc.memory import available_memory
from schnet_calc.structures.cell_lists import pairs_of_images, walled
from schnet_calc.structures.structure import Structure
from schnet_calc.structures.vacuum import Folded, checked_box, fold

ALL_PAIRS_LIMIT = 100
"""Up to this many atoms, comparing all pairs of a molecule is faster than a cell list."""
SKIN = 0.5
"""Å; more pairs to look at, fewer lists to make."""
SLOTS = 256
"""Places in a batch whose lists are kept."""
PAIR_BYTES = 250
"""What a pair needs from the search for it to the forces, about."""
WORTH_ASKING = 2**28
"""Bytes of pairs from which on it is asked how much memory there is."""


class HalfPairs(NamedTuple):
    """Unordered pairs: each pair of atoms, and each pair with a periodic image, once."""

    i: NDArray[np.int64]
    """(P,)"""
    j: NDArray[np.int64]
    """(P,)"""
    shifts: NDArray[np.float64]
    """(P, 3) Å, added to the position of j."""


class Search(Protocol):
    """What finds pairs faster than the host does, for some structures."""

    def __call__(
        self, folded: Folded, surrounded: NDArray[np.float64], box: NDArray[np.float64], cutoff: float
    ) -> HalfPairs | None:
        """Return the pairs, or None to leave them to the host.

        Parameters
        ----------
        folded : Folded
            Atoms, and how they were brought into the cell.
        surrounded : array
            (3, 3) Å, periodic along all vectors: with vacuum wider than the cutoff where the structure is not.
        box : array
            (3, 3) Å, whose vectors the shifts are made of.
        cutoff : float
            Å.
        """


def half_pairs(
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    cutoff: float,
    search: Search | None = None,
) -> HalfPairs:
    """Return every unordered pair closer than the cutoff.

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
    search : Search, optional
        Is asked first.

    Raises
    ------
    BadStructureError
        All pairs are asked for in a periodic cell, or a periodic direction has no lattice vector.
    TooManyPairsError
        They would not fit into memory: a tiny cell, or many atoms in one place.
    """
    periodic = bool(np.any(pbc))
    box = checked_box(cell, pbc, cutoff) if periodic else np.eye(3)
    if periodic or len(positions) > ALL_PAIRS_LIMIT:
        _check_number(positions, box, pbc, cutoff)
        if np.isfinite(cutoff):
            return _with_cells(positions, box, np.asarray(pbc, bool), cutoff, search)
    i, j, _ = all_pairs(len(positions))
    vectors = positions[j] - positions[i]
    near = np.einsum("pk,pk->p", vectors, vectors) < cutoff**2
    return HalfPairs(i[near], j[near], np.zeros((int(near.sum()), 3)))


def takes_all_pairs(n_atoms: int, pbc: NDArray[np.bool_]) -> bool:
    """Whether a number of atoms, with their pbc (3,), is a molecule all of whose pairs count, near and far."""
    return n_atoms <= ALL_PAIRS_LIMIT and not pbc.any()


@cache
def all_pairs(n_atoms: int) -> HalfPairs:
    """Return the pairs of a molecule, near and far; the arrays are shared by all who ask."""
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
    search : Search, optional
        As for :func:`half_pairs`.
    """

    def __init__(self, cutoff: float, skin: float = SKIN, search: Search | None = None) -> None:
        self.cutoff, self.skin, self.search = cutoff, skin, search
        self._kept: _Kept | None = None

    def pairs(
        self,
        positions: NDArray[np.float64],
        cell: NDArray[np.float64],
        pbc: NDArray[np.bool_],
        reach: float = np.inf,
    ) -> HalfPairs:
        """Return every unordered pair within the cutoff and reach, maybe some beyond.

        Parameters
        ----------
        positions, cell, pbc
            As for :func:`half_pairs`.
        reach : float
            Å.
        """
        if takes_all_pairs(len(positions), pbc):
            return all_pairs(len(positions))
        if not pbc.any() and np.isinf(self.cutoff):  # the same pairs wherever the atoms are
            return self._all(positions, cell, pbc)
        kept, skin = self._kept, 0.0
        if kept is not None and kept.fits(positions, cell, pbc):
            moves = positions - kept.positions
            if np.einsum("nk,nk->n", moves, moves).max() <= (0.5 * kept.skin) ** 2:
                return kept.within(reach)
            skin = self.skin
        return self._made(positions, cell, pbc, skin).within(reach)

    def renewed(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]
    ) -> HalfPairs:
        """The same as :meth:`pairs` from a list with skin made now: for who looks after the moves of the atoms."""
        return self._made(positions, cell, pbc, self.skin).pairs

    def _made(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_], skin: float
    ) -> "_Kept":
        pairs = half_pairs(positions, cell, pbc, self.cutoff + skin, self.search)
        self._kept = _Kept(positions.copy(), cell.copy(), pbc.copy(), self.cutoff, skin, pairs)
        return self._kept

    def _all(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]
    ) -> HalfPairs:
        kept = self._kept
        if kept is None or len(kept.positions) != len(positions):
            kept = self._made(positions, cell, pbc, 0.0)
        return kept.pairs


class NeighborLists:
    """Lists of the structures in the places of a batch, shared by all that look at the same batch."""

    def __init__(self) -> None:
        self._lists: dict[int, SkinList] = {}
        self.search: Search | None = None
        """As for :func:`half_pairs`: set where there is a GPU."""

    def pairs(self, place: int, structure: Structure, cutoff: float) -> HalfPairs:
        """Return every unordered pair within the cutoff, Å, maybe some beyond.

        The list that is kept for the place serves everybody whose cutoff it covers.

        Parameters
        ----------
        place : int
            Of the structure in its batch.
        structure : Structure
            Positions, cell and boundary conditions.
        cutoff : float
            Å.
        """
        kept = self._list(place, cutoff)
        return kept.pairs(structure.positions, structure.cell, structure.pbc, cutoff)

    def renewed(self, place: int, structure: Structure, cutoff: float) -> HalfPairs:
        """The same as :meth:`pairs` from :meth:`SkinList.renewed`, good for moves of up to half of :data:`SKIN`."""
        return self._list(place, cutoff).renewed(structure.positions, structure.cell, structure.pbc)

    def _list(self, place: int, cutoff: float) -> SkinList:
        kept = self._lists.get(place)
        if kept is None or kept.cutoff < cutoff:
            kept = SkinList(cutoff, search=self.search)
            if place < SLOTS:
                self._lists[place] = kept
        return kept


@dataclass
class _Kept:
    """A list and what it was made for."""

    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    pbc: NDArray[np.bool_]
    cutoff: float
    skin: float
    pairs: HalfPairs
    shorter: tuple[float, HalfPairs] | None = None
    """A reach, Å, and the pairs that may come so close before the list is made again."""

    def within(self, reach: float) -> HalfPairs:
        """The pairs that count for a reach, Å: all of a list that won't serve again."""
        if self.skin == 0.0 or reach >= self.cutoff:
            return self.pairs
        if self.shorter is None or self.shorter[0] != reach:
            i, j, shifts = self.pairs
            vectors = self.positions[j] + shifts - self.positions[i]
            near = np.einsum("pk,pk->p", vectors, vectors) <= (reach + self.skin) ** 2
            self.shorter = reach, HalfPairs(i[near], j[near], shifts[near])
        return self.shorter[1]

    def fits(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]
    ) -> bool:
        """Whether only the positions may have changed."""
        return (
            len(positions) == len(self.positions)
            and bool((pbc == self.pbc).all())
            and (not pbc.any() or bool((cell == self.cell).all()))
        )


def _check_number(
    positions: NDArray[np.float64], box: NDArray[np.float64], pbc: NDArray[np.bool_], cutoff: float
) -> None:
    """Raise where there are more pairs than memory holds, by the density of atoms and of their images."""
    inverse = np.linalg.inv(box)
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    extents = np.maximum(np.ptp(positions @ inverse, axis=0) * heights, 1e-9)
    share = np.where(pbc, 2.0 * cutoff / heights, np.minimum(2.0 * cutoff / extents, 1.0))
    n_atoms, images = len(positions), float(np.prod(np.maximum(share, 1.0)))
    lengths = " x ".join(f"{x:.3g}" for x in np.where(pbc, heights, extents))
    needed = 0.5 * n_atoms * max(n_atoms * float(np.prod(share)), images) * PAIR_BYTES
    if needed < WORTH_ASKING:
        return
    there = available_memory()
    if needed > there:
        raise TooManyPairsError(
            f"{n_atoms} atoms have about {needed / PAIR_BYTES:.1e} pairs within {cutoff:g} Å, which need "
            f"{needed / 1e9:.1f} GB of memory, but {there / 1e9:.1f} GB are free: are positions and cell "
            f"in Å? The atoms extend over {lengths} Å"
        )


def _with_cells(
    positions: NDArray[np.float64],
    box: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    cutoff: float,
    search: Search | None,
) -> HalfPairs:
    folded = fold(positions, box, pbc, cutoff)
    surrounded = walled(folded, cutoff)
    if search is not None and (found := search(folded, surrounded, box, cutoff)) is not None:
        return found
    i, j, images = pairs_of_images(folded, surrounded, cutoff)
    return HalfPairs(i, j, (images + folded.home[i] - folded.home[j]) @ box)
