"""Compiled loops over the pairs of a structure before any feature: distances, cutoff function, splines.

Each loop does one thing to all pairs, without branches and into arrays whose rows go along the pairs, so that LLVM
makes vectors of it. All is float64, whatever the network's type, and computed as it is written: a pair is the same
to the bit wherever a vector of several begins, so threads may split the pairs anywhere.
"""

import math
from typing import NamedTuple

import numpy as np

from schnet_calc.kernels.cpu.arrays import Array, NearPairs
from schnet_calc.kernels.cpu.compiling import exact_inner
from schnet_calc.kernels.cpu.envelope import envelopes
from schnet_calc.structures.neighbors import HalfPairs

RUN = 1024
"""Pairs that are put in order of their lengths: the atoms of so many stay in the nearest cache."""
ROWS = 8
"""Rows of a table that one place of that order has."""
# A division takes as long as ten products.
PER_12, PER_24, PER_120 = 1.0 / 12.0, 1.0 / 24.0, 1.0 / 120.0


class Found(NamedTuple):
    """A run's pairs within the cutoff in the order of the list; there is room for one more than a run has."""

    near: Array
    """uint32 (RUN + 1, 2)"""
    vectors: Array
    """(RUN + 1, 3) Å, from the first to the second"""
    squares: Array
    """(RUN + 1,) Å²"""


@exact_inner
def words(n_pairs, itemsize):  # type: ignore[no-untyped-def]
    """Numbers of eight bytes that so many pairs take, with weights of a size, for :func:`carve`."""
    return n_pairs * (7 + 12 * itemsize // 8)


@exact_inner
def carve(space, n_pairs, like):  # type: ignore[no-untyped-def]
    """Room for so many :class:`NearPairs` in space, float64, that one evaluation leaves to the next.

    New memory comes by the page, and setting up its pages takes longer than the geometry.
    """
    n, size = n_pairs, 12 * like.itemsize // 8 * n_pairs
    near = space[:n].view(np.uint32).reshape(n, 2)
    knot = space[n : 2 * n].view(np.uint32)[:n]
    unit = space[2 * n : 5 * n].reshape(n, 3)
    length = space[5 * n : 6 * n]
    s = space[6 * n : 7 * n].view(like.dtype)[:n]
    w = space[7 * n : 7 * n + size].view(like.dtype).reshape(12, n)
    return NearPairs(near, knot, w, unit, length, s)


@exact_inner
def geometry(positions, listed, weights, room):  # type: ignore[no-untyped-def]
    """Return those of the listed pairs that are within the cutoff; which of all is the closest, and how close.

    They are written into :class:`NearPairs` with room for all: not their derivatives, which are left to the caller.
    The first six weights are those of values, the others of slopes. The closest is -1, infinitely far, where there
    is none. Pairs come in an order of their own, run by run.
    """
    reach, kept, closest, shortest = weights.constants.cutoff**2, 0, -1, math.inf
    near, knot, w, unit, length, s = room
    n_listed = listed.i.shape[0]
    size = min(RUN, n_listed) + 1
    found = Found(np.empty((size, 2), np.uint32), np.empty((size, 3)), np.empty(size))
    for first in range(0, n_listed, RUN):
        run = slice(first, min(first + RUN, n_listed))
        some = HalfPairs(listed.i[run], listed.j[run], listed.shifts[run])
        n, which, square = _within(positions, some, reach, found)
        if square < shortest:
            closest, shortest = first + which, square
        here = slice(kept, kept + n)
        lengths, rows = _look_up(found, n, weights, near[here], knot[here], unit[here])
        for p in range(n):
            length[kept + p] = lengths[p]
        for m in range(12):
            for p in range(n):
                w[m, kept + p] = rows[m, p]
        kept += n
    pairs = NearPairs(near[:kept], knot[:kept], w, unit[:kept], length[:kept], s[:kept])
    return pairs, closest, math.sqrt(shortest)


@exact_inner
def _look_up(found, n, weights, near, knot, unit):  # type: ignore[no-untyped-def]
    """Fill in a run of n pairs in their order; return their lengths (n,) and weights (12, n).

    These are made here: loops become vectors where it is known that arrays are as long as the loop.
    """
    constants, n_intervals = weights.constants, weights.tables.shape[1] - 5
    squares, order, lengths, length = found.squares, np.empty(n, np.uint32), np.empty(n), np.empty(n)
    for p in range(n):
        lengths[p] = math.sqrt(squares[p])
    _put_in_order(lengths, constants.start, ROWS * constants.spacing, n_intervals // ROWS + 1, order)
    _arrange(order, found, lengths, near, unit, length)

    # Cutoff function over the number of neighbours, by which the filters are multiplied.
    factor, slope = np.empty(n), np.empty(n)
    envelopes(length, weights.codes.envelope, constants.cutoff, constants.onset, factor, slope)
    w = np.empty((12, n), weights.embedding.dtype)
    for p in range(n):
        factor[p] *= constants.per_neighbor
        slope[p] *= constants.per_neighbor
    _weigh(length, factor, slope, constants, n_intervals, knot, w)
    return length, w


@exact_inner
def shares(structure, weights, first, last):  # type: ignore[no-untyped-def]
    """1 over the number of neighbours of atoms from first to last, (0,) where sums aren't divided by it.

    Each thread goes through all pairs for its own atoms, so that none has to wait for the others' numbers.
    """
    n = last - first if weights.codes.averages else 0
    share = np.zeros(n, weights.embedding.dtype)
    if n > 0:
        _count(structure, weights.constants.cutoff, first, share)
        for k in range(n):
            share[k] = 1.0 / max(share[k], 1.0)
    return share


@exact_inner
def _count(structure, cutoff, first, counts):  # type: ignore[no-untyped-def]
    """Add to counts (n,) of atoms from first on how many neighbours they have within the cutoff, Å."""
    _, positions, i, j, shifts = structure
    for p in range(i.shape[0]):
        a, b, square = i[p] - first, j[p] - first, 0.0
        for m in range(3):
            square += (positions[j[p], m] + shifts[p, m] - positions[i[p], m]) ** 2
        if square < cutoff * cutoff:
            if 0 <= a < counts.shape[0]:
                counts[a] += 1.0
            if 0 <= b < counts.shape[0]:
                counts[b] += 1.0


@exact_inner
def _within(positions, pairs, reach, found):  # type: ignore[no-untyped-def]
    """Fill what is found with pairs whose squared distance is below reach; their number, the closest, its square.

    A list may hold pairs beyond the cutoff. What is written behind the last pair that was kept is overwritten by
    the next, so that nothing is skipped by a branch.
    """
    i, j, shifts = pairs
    near, vectors, squares = found
    kept, closest, shortest = 0, -1, math.inf
    for p in range(i.shape[0]):
        # The vector from i to the image of j.
        x = positions[j[p], 0] + shifts[p, 0] - positions[i[p], 0]
        y = positions[j[p], 1] + shifts[p, 1] - positions[i[p], 1]
        z = positions[j[p], 2] + shifts[p, 2] - positions[i[p], 2]
        square = x * x + y * y + z * z
        near[kept, 0], near[kept, 1] = i[p], j[p]
        vectors[kept, 0], vectors[kept, 1], vectors[kept, 2], squares[kept] = x, y, z, square
        if square < min(shortest, reach):
            closest, shortest = p, square
        kept += square < reach
    return kept, closest, shortest


@exact_inner
def _put_in_order(length, start, width, n_places, order):  # type: ignore[no-untyped-def]
    """Fill an order (P,) of pairs by their lengths (P,), in which neighbours read the same rows of a table.

    They are sorted by the place that they lie in, of so many of a width, Å, from start on; those of one place stay
    as they were.
    """
    n, per = length.shape[0], 1.0 / width
    place, ends = np.empty(n, np.uint32), np.zeros(n_places, np.uint32)
    for p in range(n):
        along = min(max(math.floor((length[p] - start) * per), 0.0), n_places - 1.0)
        place[p] = np.uint32(np.int32(along))
    for p in range(n):
        ends[place[p]] += 1
    for k in range(1, n_places):
        ends[k] += ends[k - 1]
    for p in range(n - 1, -1, -1):
        ends[place[p]] -= 1
        order[ends[place[p]]] = p


@exact_inner
def _arrange(order, found, lengths, near, unit, length):  # type: ignore[no-untyped-def]
    """Fill atoms, unit vectors and lengths of the pairs in their order (P,) from those that were found."""
    atoms, vectors = found.near, found.vectors
    for q in range(order.shape[0]):
        p = order[q]
        per = 1.0 / lengths[p]
        near[q, 0], near[q, 1], length[q] = atoms[p, 0], atoms[p, 1], lengths[p]
        unit[q, 0], unit[q, 1], unit[q, 2] = vectors[p, 0] * per, vectors[p, 1] * per, vectors[p, 2] * per


@exact_inner
def _weigh(length, factor, slope, constants, n_intervals, knot, w):  # type: ignore[no-untyped-def]
    """Fill in rows (P,) and weights (12, P) of factor times spline, and of the derivative of that product."""
    start, spacing = constants.start, constants.spacing
    for p in range(length.shape[0]):
        # Behind the table no Gaussian is left: filters are constant there.
        along = (length[p] - start) / spacing
        k = min(max(math.floor(along), 0.0), n_intervals - 1.0)
        t = min(along - k, 1.0)
        rate = 0.0 if along > n_intervals else 1.0 / spacing
        knot[p] = np.uint32(np.int32(k))
        values, slopes = _quintic(t), _quintic_slope(t)
        for m in range(6):
            w[m, p] = factor[p] * values[m]
            w[6 + m, p] = slope[p] * values[m] + factor[p] * slopes[m] * rate


@exact_inner
def _quintic(t):  # type: ignore[no-untyped-def]
    """The six B-splines of fifth degree that are not zero at t in [0, 1) between two knots."""
    s = 1.0 - t
    return (
        s**5 * PER_120,
        (1.0 + s * (5.0 + s * (10.0 + s * (10.0 + s * (5.0 - 5.0 * s))))) * PER_120,
        (26.0 + s * (50.0 + s * (20.0 + s * (-20.0 + s * (-20.0 + 10.0 * s))))) * PER_120,
        (26.0 + t * (50.0 + t * (20.0 + t * (-20.0 + t * (-20.0 + 10.0 * t))))) * PER_120,
        (1.0 + t * (5.0 + t * (10.0 + t * (10.0 + t * (5.0 - 5.0 * t))))) * PER_120,
        t**5 * PER_120,
    )


@exact_inner
def _quintic_slope(t):  # type: ignore[no-untyped-def]
    """Their derivatives with respect to t."""
    s = 1.0 - t
    return (
        -(s**4) * PER_24,
        -(1.0 + s * (4.0 + s * (6.0 + s * (4.0 - 5.0 * s)))) * PER_24,
        -(5.0 + s * (4.0 + s * (-6.0 + s * (-8.0 + 5.0 * s)))) * PER_12,
        (5.0 + t * (4.0 + t * (-6.0 + t * (-8.0 + 5.0 * t)))) * PER_12,
        (1.0 + t * (4.0 + t * (6.0 + t * (4.0 - 5.0 * t)))) * PER_24,
        t**4 * PER_24,
    )
