"""Half pairs of own atoms with all others near them, where images are atoms with places of their own.

An engine with domain decomposition has no lattice vectors for us: it hands out copies of atoms, some of them other
ranks', some images of own ones. ``home`` says which row of features each belongs to. A pair of own atoms is listed
once, whether they meet directly or through an image; a pair with another rank's atom always.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schnet_calc.kernels.cpu.compiling import exact

SAME = 1e-6
"""Å; coordinates that differ by less count as equal where an atom meets its own image."""
CELLS = 64
"""Most cells along an axis: between distant groups of atoms they would all be empty."""


class Cells(NamedTuple):
    """Cells at least as wide as the reach around the own atoms, and what lies in them."""

    low: NDArray[np.float64]
    """(3,) Å where they begin"""
    width: NDArray[np.float64]
    """(3,) Å"""
    counts: NDArray[np.int64]
    """(3,) along each axis"""
    begin: NDArray[np.int64]
    """(cells + 1,) where each cell begins among the members"""
    members: NDArray[np.int64]
    """atoms and images, cell after cell"""


@exact
def is_kept(a, q, n_own, home, positions):  # type: ignore[no-untyped-def]
    """Whether own atom a lists q: not if the pair is found the other way round, too."""
    if q < n_own:
        return q > a
    h = home[q]
    if h >= n_own:
        return True
    if h != a:
        return h > a
    for m in range(3):  # with its own image: the one that lies ahead
        ahead = positions[q, m] - positions[a, m]
        if abs(ahead) > SAME:
            return ahead > 0.0
    return False


@exact
def _bins(positions, n_own, reach):  # type: ignore[no-untyped-def]
    """Cells at least as wide as the reach around the own atoms: where they begin, their widths and numbers."""
    low, width, count = np.zeros(3), np.ones(3), np.ones(3, np.int64)
    for m in range(3):
        first, last = np.inf, -np.inf
        for a in range(n_own):
            first, last = min(first, positions[a, m]), max(last, positions[a, m])
        low[m] = first - 1.001 * reach
        extent = last - first + 2.002 * reach
        count[m] = min(max(int(extent / reach), 1), CELLS)
        width[m] = extent / count[m]
    return low, width, count


@exact
def _cell(positions, q, low, width, count):  # type: ignore[no-untyped-def]
    """Number of the cell of atom q; -1 outside of all."""
    at = 0
    for m in range(3):
        c = math.floor((positions[q, m] - low[m]) / width[m])
        if not 0 <= c < count[m]:
            return -1
        at = at * count[m] + c
    return at


@exact
def _sorted_into_cells(positions, low, width, count):  # type: ignore[no-untyped-def]
    """Where each cell begins in a list of atoms, and that list."""
    n_cells = count[0] * count[1] * count[2]
    begin, cell = np.zeros(n_cells + 1, np.int64), np.empty(positions.shape[0], np.int64)
    for q in range(positions.shape[0]):
        cell[q] = _cell(positions, q, low, width, count)
        if cell[q] >= 0:
            begin[cell[q] + 1] += 1
    for c in range(n_cells):
        begin[c + 1] += begin[c]
    members, filled = np.empty(begin[n_cells], np.int64), begin[:-1].copy()
    for q in range(positions.shape[0]):
        if cell[q] >= 0:
            members[filled[cell[q]]] = q
            filled[cell[q]] += 1
    return begin, members


@exact
def _visit(positions, home, n_own, reach, cells, i, j):  # type: ignore[no-untyped-def]
    """Number of pairs; they are written where there is room."""
    low, width, count, begin, members = cells
    found = 0
    for a in range(n_own):
        x, y, z = positions[a]
        c0 = int((x - low[0]) / width[0])
        c1 = int((y - low[1]) / width[1])
        c2 = int((z - low[2]) / width[2])
        for d0 in range(max(c0 - 1, 0), min(c0 + 2, count[0])):
            for d1 in range(max(c1 - 1, 0), min(c1 + 2, count[1])):
                # Cells along the last axis lie beside each other.
                row = (d0 * count[1] + d1) * count[2]
                for at in range(begin[row + max(c2 - 1, 0)], begin[row + min(c2 + 2, count[2])]):
                    q = members[at]
                    dx, dy, dz = positions[q, 0] - x, positions[q, 1] - y, positions[q, 2] - z
                    if dx * dx + dy * dy + dz * dz >= reach * reach or q == a:
                        continue
                    if is_kept(a, q, n_own, home, positions):
                        if found < i.shape[0]:
                            i[found], j[found] = a, q
                        found += 1
    return found


@exact
def _find(positions, home, n_own, reach, i, j):  # type: ignore[no-untyped-def]
    low, width, count = _bins(positions, n_own, reach)
    begin, members = _sorted_into_cells(positions, low, width, count)
    return _visit(positions, home, n_own, reach, Cells(low, width, count, begin, members), i, j)


def find_pairs(
    positions: NDArray[np.float64], home: NDArray[np.int64], n_own: int, reach: float, guess: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every pair of an own atom with another atom or image, each once, see above.

    Parameters
    ----------
    positions : array
        (M, 3) Å; own atoms first.
    home : array
        (M,) row of each: below ``n_own`` for own atoms and their images.
    n_own : int
        Own atoms; there may be none.
    reach : float
        Å.
    guess : int
        How many pairs there will be, about: a second search is needed where there are more.
    """
    if not n_own:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    room = max(int(1.05 * guess), 64 * n_own)
    while True:
        i, j = np.empty(room, np.int64), np.empty(room, np.int64)
        found = int(_find(positions, home, n_own, reach, i, j))
        if found <= room:
            return i[:found].copy(), j[:found].copy()
        room = found


@exact
def _select(positions, i, j, home, where, reach, rows, shifts):  # type: ignore[no-untyped-def]
    found = 0
    for p in range(i.shape[0]):
        square = 0.0
        for m in range(3):
            square += (positions[j[p], m] - positions[i[p], m]) ** 2
        if square < reach * reach:
            rows[found, 0], rows[found, 1] = i[p], home[j[p]]
            for m in range(3):
                shifts[found, m] = positions[j[p], m] - positions[where[home[j[p]]], m]
            found += 1
    return found


def close_pairs(
    positions: NDArray[np.float64],
    i: NDArray[np.int64],
    j: NDArray[np.int64],
    home: NDArray[np.int64],
    where: NDArray[np.int64],
    reach: float,
) -> tuple[Any, ...]:
    """Return rows i, j (Q,) and shifts (Q, 3), Å, of those pairs that are closer than the reach.

    Parameters
    ----------
    positions : array
        (M, 3) Å.
    i, j : array
        int64 (P,) from :func:`find_pairs`.
    home : array
        int64 (M,) row of each atom or image.
    where : array
        int64 (N,) an atom of each row, whose position is the row's.
    reach : float
        Å.
    """
    rows, shifts = np.empty((len(i), 2), np.int64), np.empty((len(i), 3))
    found = int(_select(positions, i, j, home, where, reach, rows, shifts))
    return rows[:found, 0].copy(), rows[:found, 1].copy(), shifts[:found].copy()
