"""Compiled loops over the pairs of a structure: distances, messages, and the forces that follow.

The geometry is float64 whatever the network's type.
"""

import numpy as np

from schnet_calc.kernels.cpu.compiling import inner, jit
from schnet_calc.kernels.cpu.envelope import envelope
from schnet_calc.kernels.cpu.simd import VECTOR_BYTES, fma, load, plus, splat, store, times, total


@inner
def geometry(positions, i, j, shifts, weights):  # type: ignore[no-untyped-def]
    """The pairs within the cutoff: atoms, row of the table, 6 weights of values and 6 of slopes.

    Then unit vectors and lengths, and which pair of all is the closest and how close.
    """
    n_all, kind = i.shape[0], weights.embedding.dtype
    near, knot = np.empty((n_all, 2), np.uint32), np.empty(n_all, np.uint32)
    w, unit, length = np.empty((n_all, 12), kind), np.empty((n_all, 3)), np.empty(n_all)
    n_intervals, constants = weights.tables.shape[1] - 5, weights.constants
    start, spacing, cutoff = constants[1], constants[2], constants[3]
    share, onset = constants[4], constants[5]
    kept, closest, shortest = 0, -1, np.inf
    for p in range(i.shape[0]):
        # The vector from i to the image of j; the list may hold pairs beyond the cutoff.
        x = positions[j[p], 0] + shifts[p, 0] - positions[i[p], 0]
        y = positions[j[p], 1] + shifts[p, 1] - positions[i[p], 1]
        z = positions[j[p], 2] + shifts[p, 2] - positions[i[p], 2]
        square = x * x + y * y + z * z
        if square >= cutoff * cutoff:
            continue
        d = np.sqrt(square)
        if d < shortest:
            closest, shortest = p, d
        q, kept = kept, kept + 1
        near[q, 0], near[q, 1] = i[p], j[p]
        unit[q, 0], unit[q, 1], unit[q, 2], length[q] = x / d, y / d, z / d, d

        # The spline's basis at d. Behind the table no Gaussian is left: filters are constant there.
        along = (d - start) / spacing
        k = min(max(int(np.floor(along)), 0), n_intervals - 1)
        t = min(along - k, 1.0)
        rate = 0.0 if along > n_intervals else 1.0 / spacing
        knot[q] = k

        # Filter times cutoff function over the number of neighbours, and the derivative of that product.
        factor, slope = envelope(d, weights.codes[0], cutoff, onset)
        factor, slope = share * factor, share * slope
        values, slopes = _quintic(t), _quintic_slope(t)
        for m in range(6):
            w[q, m] = factor * values[m]
            w[q, 6 + m] = slope * values[m] + factor * slopes[m] * rate
    return near[:kept], knot, w, unit, length, closest, shortest


@jit
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


@jit
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


@inner
def _splats(w, p, first):  # type: ignore[no-untyped-def]
    """The six weights of a pair from a column on, each as a vector."""
    return (
        splat(w[p, first]),
        splat(w[p, first + 1]),
        splat(w[p, first + 2]),
        splat(w[p, first + 3]),
        splat(w[p, first + 4]),
        splat(w[p, first + 5]),
    )


@inner
def _rows(table, k, n_features):  # type: ignore[no-untyped-def]
    """Vectors of six rows of a table, one below the other."""
    k1 = k + n_features
    k2 = k1 + n_features
    k3 = k2 + n_features
    k4 = k3 + n_features
    k5 = k4 + n_features
    return (
        load(table, k),
        load(table, k1),
        load(table, k2),
        load(table, k3),
        load(table, k4),
        load(table, k5),
    )


@inner
def _weighted(w, t):  # type: ignore[no-untyped-def]
    """The sum of six vectors times their weights."""
    low = fma(w[2], t[2], fma(w[1], t[1], times(w[0], t[0])))
    high = fma(w[5], t[5], fma(w[4], t[4], times(w[3], t[3])))
    return plus(low, high)


@inner
def convolve(near, knot, w, table, y, v):  # type: ignore[no-untyped-def]
    """Add ``conv(W, y)`` over the pairs (thesis Eq. 4.5) to v; y, v (N, K)."""
    tf, yf, vf = table.reshape(-1), y.reshape(-1), v.reshape(-1)
    n_features, lanes = y.shape[1], VECTOR_BYTES // y.itemsize
    for p in range(near.shape[0]):
        values = _splats(w, p, 0)
        row, i, j = knot[p] * n_features, near[p, 0] * n_features, near[p, 1] * n_features
        for f in range(0, n_features, lanes):
            filt = _weighted(values, _rows(tf, row + f, n_features))
            a, b = i + f, j + f
            # One after the other: an atom may be paired with its own image, i = j.
            store(vf, a, fma(filt, load(yf, b), load(vf, a)))
            store(vf, b, fma(filt, load(yf, a), load(vf, b)))


@inner
def convolve_adjoint(near, knot, w, table, y, g, u, s):  # type: ignore[no-untyped-def]
    """Add ``conv(W, g)`` to u, and ``sum_f W'_ij (y_i g_j + y_j g_i)`` to s_p, over the pairs."""
    tf, yf, gf, uf = table.reshape(-1), y.reshape(-1), g.reshape(-1), u.reshape(-1)
    n_features, lanes = y.shape[1], VECTOR_BYTES // y.itemsize
    for p in range(near.shape[0]):
        values, slopes = _splats(w, p, 0), _splats(w, p, 6)
        row, i, j = knot[p] * n_features, near[p, 0] * n_features, near[p, 1] * n_features
        sums = splat(y.dtype.type(0.0))
        for f in range(0, n_features, lanes):
            rows = _rows(tf, row + f, n_features)
            filt, slope = _weighted(values, rows), _weighted(slopes, rows)
            a, b = i + f, j + f
            gi, gj = load(gf, a), load(gf, b)
            sums = fma(slope, fma(load(yf, a), gj, times(load(yf, b), gi)), sums)
            store(uf, a, fma(filt, gj, load(uf, a)))
            store(uf, b, fma(filt, gi, load(uf, b)))
        s[p] += total(sums)


@inner
def pull_together(near, s, unit, length, forces, virial):  # type: ignore[no-untyped-def]
    """Add to forces (N, 3) and virial (3, 3) what follows from the derivatives by the distances (P,)."""
    for p in range(near.shape[0]):
        for m in range(3):
            pull = s[p] * unit[p, m]
            forces[near[p, 0], m] += pull
            forces[near[p, 1], m] -= pull
            for n in range(3):
                virial[m, n] += pull * unit[p, n] * length[p]
