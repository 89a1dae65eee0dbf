"""Compiled loops over pairs for training: cubic look-ups, and gradients of a loss by the tables.

Names as in the room's README; ``gv`` stands for the gradient of a loss by v, and so on. Tables change with every
step of the optimiser, so they have four rows for a pair, not the six of :mod:`~schnet_calc.kernels.cpu.pairs`.
"""

from typing import NamedTuple

import numpy as np

from schnet_calc.kernels.cpu.compiling import inner, jit
from schnet_calc.kernels.cpu.dense import Array
from schnet_calc.kernels.cpu.envelope import envelope
from schnet_calc.kernels.cpu.simd import fma, lanes, load, plus, splat, store, times, total


class Operands(NamedTuple):
    """What :func:`convolve_adjoint` multiplies with each other, or the derivatives of a loss by that."""

    table: Array
    """(rows, K) of the filters"""
    y: Array
    """(N, K) features"""
    g: Array
    """(N, K) derivatives by the sums over neighbours"""


@jit
def geometry(positions, listed, grid, cutoff, pairs):  # type: ignore[no-untyped-def]
    """Fill atoms, rows of the table, weights, unit vectors and lengths of all listed pairs.

    Grid is start, spacing and number of intervals; cutoff its range, onset, kind, and 1 / number of neighbours.
    The eight weights are those of the four rows for the value, then for the slope.
    """
    start, spacing, n_intervals = grid
    reach, onset, kind, share = cutoff
    i, j, shifts = listed
    near, knot, w, unit, length = pairs.near, pairs.knot, pairs.w, pairs.unit, pairs.length
    for p in range(i.shape[0]):
        x = np.float64(positions[j[p], 0]) + shifts[p, 0] - positions[i[p], 0]
        y = np.float64(positions[j[p], 1]) + shifts[p, 1] - positions[i[p], 1]
        z = np.float64(positions[j[p], 2]) + shifts[p, 2] - positions[i[p], 2]
        d = np.sqrt(x * x + y * y + z * z)
        near[p, 0], near[p, 1] = i[p], j[p]
        unit[p, 0], unit[p, 1], unit[p, 2], length[p] = x / d, y / d, z / d, d

        # The splines that are not zero at d; behind the table filters are constant.
        along = (d - start) / spacing
        k = min(max(int(np.floor(along)), 0), n_intervals - 1)
        t = min(along - k, 1.0)
        rate = 0.0 if along > n_intervals else 0.5 / spacing
        s, knot[p] = 1.0 - t, k
        values = (s**3, t * t * (3.0 * t - 6.0) + 4.0, s * s * (3.0 * s - 6.0) + 4.0, t**3)
        slopes = (-s * s, t * (3.0 * t - 4.0), s * (4.0 - 3.0 * s), t * t)

        # Rounded positions may bring a pair of the list to the cutoff.
        factor, slope = 0.0, 0.0
        if d < reach:
            factor, slope = envelope(d, kind, reach, onset)
        factor, slope = share * factor, share * slope
        for m in range(4):
            w[p, m] = factor * values[m] / 6.0
            w[p, 4 + m] = slope * values[m] / 6.0 + factor * slopes[m] * rate


@inner
def _splats(w, p, first):  # type: ignore[no-untyped-def]
    """Four weights of a pair from a column on, each as a vector."""
    return splat(w[p, first]), splat(w[p, first + 1]), splat(w[p, first + 2]), splat(w[p, first + 3])


@inner
def _rows(table, k, n):  # type: ignore[no-untyped-def]
    """Vectors of four rows of a table, n numbers apart."""
    return load(table, k), load(table, k + n), load(table, k + 2 * n), load(table, k + 3 * n)


@inner
def _weighted(w, t):  # type: ignore[no-untyped-def]
    """The sum of four vectors times their weights."""
    return plus(fma(w[1], t[1], times(w[0], t[0])), fma(w[3], t[3], times(w[2], t[2])))


@inner
def _add(table, k, weight, value):  # type: ignore[no-untyped-def]
    """Add a vector times its weight to a table."""
    store(table, k, fma(weight, value, load(table, k)))


@inner
def _add_two(table, k, weight, value, other_weight, other):  # type: ignore[no-untyped-def]
    """Add two vectors times their weights to a table."""
    store(table, k, fma(weight, value, fma(other_weight, other, load(table, k))))


@inner
def convolve(here, pairs, table, y, v):  # type: ignore[no-untyped-def]
    """Add ``conv(W, y)`` (thesis Eq. 4.5) to v over the pairs from here[0] to here[1]; y, v (N, K)."""
    tf, yf, vf, near, w = table.reshape(-1), y.reshape(-1), v.reshape(-1), pairs.near, pairs.w
    n = y.shape[1]
    for p in range(here[0], here[1]):
        values = _splats(w, p, 0)
        row, i, j = pairs.knot[p] * n, near[p, 0] * n, near[p, 1] * n
        for f in range(0, n, lanes(y)):
            filt = _weighted(values, _rows(tf, row + f, n))
            a, b = i + f, j + f
            # One after the other: an atom may be paired with its own image, i = j.
            store(vf, a, fma(filt, load(yf, b), load(vf, a)))
            store(vf, b, fma(filt, load(yf, a), load(vf, b)))


@inner
def convolve_adjoint(here, pairs, table, y, g, u, s):  # type: ignore[no-untyped-def]
    """Add ``conv(W, g)`` to u, and ``sum_f W'_ij (y_i g_j + y_j g_i)`` to s_p."""
    tf, yf, gf, uf = table.reshape(-1), y.reshape(-1), g.reshape(-1), u.reshape(-1)
    near, w = pairs.near, pairs.w
    n = y.shape[1]
    for p in range(here[0], here[1]):
        values, slopes = _splats(w, p, 0), _splats(w, p, 4)
        row, i, j = pairs.knot[p] * n, near[p, 0] * n, near[p, 1] * n
        sums = splat(y.dtype.type(0.0))
        for f in range(0, n, lanes(y)):
            rows = _rows(tf, row + f, n)
            filt, slope = _weighted(values, rows), _weighted(slopes, rows)
            a, b = i + f, j + f
            gi, gj = load(gf, a), load(gf, b)
            sums = fma(slope, fma(load(yf, a), gj, times(load(yf, b), gi)), sums)
            store(uf, a, fma(filt, gj, load(uf, a)))
            store(uf, b, fma(filt, gi, load(uf, b)))
        s[p] += total(sums)


@inner
def convolve_gradient(here, pairs, table, y, gv, gy, gt):  # type: ignore[no-untyped-def]
    """Add to gy and to the table's gt what gv means for them, of :func:`convolve`."""
    tf, yf, vf, of = table.reshape(-1), y.reshape(-1), gv.reshape(-1), gy.reshape(-1)
    gtf, near, w = gt.reshape(-1), pairs.near, pairs.w
    n = y.shape[1]
    for p in range(here[0], here[1]):
        values = _splats(w, p, 0)
        row, i, j = pairs.knot[p] * n, near[p, 0] * n, near[p, 1] * n
        for f in range(0, n, lanes(y)):
            filt = _weighted(values, _rows(tf, row + f, n))
            a, b = i + f, j + f
            vi, vj = load(vf, a), load(vf, b)
            both = fma(vi, load(yf, b), times(vj, load(yf, a)))
            _add(gtf, row + f, values[0], both)
            _add(gtf, row + f + n, values[1], both)
            _add(gtf, row + f + 2 * n, values[2], both)
            _add(gtf, row + f + 3 * n, values[3], both)
            store(of, a, fma(filt, vj, load(of, a)))
            store(of, b, fma(filt, vi, load(of, b)))


@inner
def convolve_adjoint_gradient(here, pairs, of, gu, gs, to):  # type: ignore[no-untyped-def]
    """Add to operands what gu and gs (P,) mean for those of :func:`convolve_adjoint`."""
    table, y, g = of
    gt, gy, gg = to
    tf, yf, gf, uf = table.reshape(-1), y.reshape(-1), g.reshape(-1), gu.reshape(-1)
    oyf, ogf, gtf, near, w = gy.reshape(-1), gg.reshape(-1), gt.reshape(-1), pairs.near, pairs.w
    n = y.shape[1]
    for p in range(here[0], here[1]):
        values, slopes, gain = _splats(w, p, 0), _splats(w, p, 4), splat(gs[p])
        row, i, j = pairs.knot[p] * n, near[p, 0] * n, near[p, 1] * n
        for f in range(0, n, lanes(y)):
            rows = _rows(tf, row + f, n)
            filt, slope = _weighted(values, rows), times(gain, _weighted(slopes, rows))
            a, b = i + f, j + f
            yi, yj, gi, gj = load(yf, a), load(yf, b), load(gf, a), load(gf, b)
            ui, uj = load(uf, a), load(uf, b)
            of_values = fma(ui, gj, times(uj, gi))
            of_slopes = times(gain, fma(yi, gj, times(yj, gi)))
            _add_two(gtf, row + f, values[0], of_values, slopes[0], of_slopes)
            _add_two(gtf, row + f + n, values[1], of_values, slopes[1], of_slopes)
            _add_two(gtf, row + f + 2 * n, values[2], of_values, slopes[2], of_slopes)
            _add_two(gtf, row + f + 3 * n, values[3], of_values, slopes[3], of_slopes)
            store(oyf, a, fma(slope, gj, load(oyf, a)))
            store(oyf, b, fma(slope, gi, load(oyf, b)))
            store(ogf, a, fma(slope, yj, fma(filt, uj, load(ogf, a))))
            store(ogf, b, fma(slope, yi, fma(filt, ui, load(ogf, b))))


@inner
def pull_together(here, pairs, s, forces, virials):  # type: ignore[no-untyped-def]
    """Add to forces (N, 3) and virials (B, 3, 3) what follows from the derivatives by the distances (P,)."""
    near, unit = pairs.near, pairs.unit
    for p in range(here[0], here[1]):
        k = pairs.system[near[p, 0]]
        for m in range(3):
            pull = s[p] * unit[p, m]
            forces[near[p, 0], m] += pull
            forces[near[p, 1], m] -= pull
            for n in range(3):
                virials[k, m, n] += pull * unit[p, n] * pairs.length[p]


@inner
def pull_apart(here, pairs, gf, gvirials, gs):  # type: ignore[no-untyped-def]
    """Fill gs (P,) with what gradients by forces and virials mean for :func:`pull_together`'s s."""
    near, unit = pairs.near, pairs.unit
    for p in range(here[0], here[1]):
        k, sum_ = pairs.system[near[p, 0]], 0.0
        for m in range(3):
            sum_ += unit[p, m] * (gf[near[p, 0], m] - gf[near[p, 1], m])
            for n in range(3):
                sum_ += gvirials[k, m, n] * unit[p, m] * unit[p, n] * pairs.length[p]
        gs[p] = sum_
