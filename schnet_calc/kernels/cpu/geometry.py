"""Compiled loops over the pairs of a structure before any feature: distances, cutoff function, splines.

Each loop does one thing to all pairs, without branches and into arrays whose rows go along the pairs, so that LLVM
makes vectors of it. All is float64, whatever the network's type, and computed as it is written: a pair is the same
to the bit wherever a vector of several begins, so threads may split the pairs anywhere.
"""

import math

import numpy as np

from schnet_calc.kernels.cpu.compiling import exact, exact_inner
from schnet_calc.kernels.cpu.envelope import envelopes


@exact_inner
def geometry(positions, i, j, shifts, weights):  # type: ignore[no-untyped-def]
    """The pairs within the cutoff: atoms (P, 2), row of the table (P,), weights of six rows (12, P).

    The first six weights are those of values, the others of slopes. Then unit vectors (at least P, 3) and lengths
    (P,), and which pair of all is the closest and how close, -1 and infinity where there is none.
    """
    constants = weights.constants
    start, spacing, cutoff = constants.start, constants.spacing, constants.cutoff
    near, unit = np.empty((i.shape[0] + 1, 2), np.uint32), np.empty((i.shape[0] + 1, 3))
    squares = np.empty(i.shape[0] + 1)
    n, closest, shortest = _within(positions, i, j, shifts, cutoff * cutoff, near, unit, squares)
    length, factor, slope = np.empty(n), np.empty(n), np.empty(n)
    _directions(squares, unit, length)

    # Cutoff function over the number of neighbours, by which the filters are multiplied.
    envelopes(length, weights.codes.envelope, cutoff, constants.onset, factor, slope)
    knot, w = np.empty(n, np.uint32), np.empty((12, n), weights.embedding.dtype)
    for p in range(n):
        factor[p] *= constants.per_neighbor
        slope[p] *= constants.per_neighbor
    _weigh(length, factor, slope, start, spacing, weights.tables.shape[1] - 5, knot, w)
    return near[:n], knot, w, unit, length, closest, shortest


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
def _within(positions, i, j, shifts, reach, near, vectors, squares):  # type: ignore[no-untyped-def]
    """Fill in the pairs whose squared distance is below reach; their number, and the closest pair of all.

    A list may hold pairs beyond the cutoff. What is written behind the last pair that was kept is overwritten by
    the next, so that nothing is skipped by a branch.
    """
    kept, closest, shortest = 0, -1, reach
    for p in range(i.shape[0]):
        # The vector from i to the image of j.
        x = positions[j[p], 0] + shifts[p, 0] - positions[i[p], 0]
        y = positions[j[p], 1] + shifts[p, 1] - positions[i[p], 1]
        z = positions[j[p], 2] + shifts[p, 2] - positions[i[p], 2]
        square = x * x + y * y + z * z
        near[kept, 0], near[kept, 1] = i[p], j[p]
        vectors[kept, 0], vectors[kept, 1], vectors[kept, 2], squares[kept] = x, y, z, square
        if square < shortest:
            closest, shortest = p, square
        kept += square < reach
    return kept, closest, math.inf if closest < 0 else math.sqrt(shortest)


@exact_inner
def _directions(squares, vectors, length):  # type: ignore[no-untyped-def]
    """Fill in lengths (P,), and make the vectors (at least P, 3) as long as one."""
    for p in range(length.shape[0]):
        length[p] = math.sqrt(squares[p])
    for p in range(length.shape[0]):
        per = 1.0 / length[p]
        vectors[p, 0] *= per
        vectors[p, 1] *= per
        vectors[p, 2] *= per


@exact_inner
def _weigh(length, factor, slope, start, spacing, n_intervals, knot, w):  # type: ignore[no-untyped-def]
    """Fill in rows (P,) and weights (12, P) of factor times spline, and of the derivative of that product."""
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


@exact
def _quintic(t):  # type: ignore[no-untyped-def]
    """The six B-splines of fifth degree that are not zero at t in [0, 1) between two knots."""
    s = 1.0 - t
    return (
        s**5 / 120.0,
        (1.0 + s * (5.0 + s * (10.0 + s * (10.0 + s * (5.0 - 5.0 * s))))) / 120.0,
        (26.0 + s * (50.0 + s * (20.0 + s * (-20.0 + s * (-20.0 + 10.0 * s))))) / 120.0,
        (26.0 + t * (50.0 + t * (20.0 + t * (-20.0 + t * (-20.0 + 10.0 * t))))) / 120.0,
        (1.0 + t * (5.0 + t * (10.0 + t * (10.0 + t * (5.0 - 5.0 * t))))) / 120.0,
        t**5 / 120.0,
    )


@exact
def _quintic_slope(t):  # type: ignore[no-untyped-def]
    """Their derivatives with respect to t."""
    s = 1.0 - t
    return (
        -(s**4) / 24.0,
        -(1.0 + s * (4.0 + s * (6.0 + s * (4.0 - 5.0 * s)))) / 24.0,
        -(5.0 + s * (4.0 + s * (-6.0 + s * (-8.0 + 5.0 * s)))) / 12.0,
        (5.0 + t * (4.0 + t * (-6.0 + t * (-8.0 + 5.0 * t)))) / 12.0,
        (1.0 + t * (4.0 + t * (6.0 + t * (4.0 - 5.0 * t)))) / 24.0,
        t**4 / 24.0,
    )
