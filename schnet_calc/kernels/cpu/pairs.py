"""Compiled loops over the pairs of a structure: messages, and the forces that follow from them."""

from schnet_calc.kernels.cpu.compiling import copied, inner
from schnet_calc.kernels.cpu.simd import fma, lanes, load, splat, store, times, total


@inner
def _splats(w, p, first):  # type: ignore[no-untyped-def]
    """The six weights of a pair from a row on, each as a vector."""
    return (
        splat(w[first, p]),
        splat(w[first + 1, p]),
        splat(w[first + 2, p]),
        splat(w[first + 3, p]),
        splat(w[first + 4, p]),
        splat(w[first + 5, p]),
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
    first = fma(w[2], t[2], fma(w[1], t[1], times(w[0], t[0])))
    return fma(w[5], t[5], fma(w[4], t[4], fma(w[3], t[3], first)))


@inner
def convolve(pairs, table, y, v):  # type: ignore[no-untyped-def]
    """Add ``conv(W, y)`` over the pairs (thesis Eq. 4.5) to v; y, v (N, K)."""
    # Loops over a known number of features are unrolled.
    if y.shape[1] == 128:
        _convolve(pairs, table, y, v, 128)
    elif y.shape[1] == 96:
        _convolve(pairs, table, y, v, 96)
    elif y.shape[1] == 64:
        _convolve(pairs, table, y, v, 64)
    else:
        _convolve(pairs, table, y, v, y.shape[1])


@copied
def _convolve(pairs, table, y, v, n_features):  # type: ignore[no-untyped-def]
    """What :func:`convolve` does with y and v of so many features."""
    tf, yf, vf = table.reshape(-1), y.reshape(-1), v.reshape(-1)
    near, knot, w = pairs.near, pairs.knot, pairs.w
    for p in range(near.shape[0]):
        values = _splats(w, p, 0)
        row, i, j = knot[p] * n_features, near[p, 0] * n_features, near[p, 1] * n_features
        for f in range(0, n_features, lanes(y)):
            filt = _weighted(values, _rows(tf, row + f, n_features))
            a, b = i + f, j + f
            # One after the other: an atom may be paired with its own image, i = j.
            store(vf, a, fma(filt, load(yf, b), load(vf, a)))
            store(vf, b, fma(filt, load(yf, a), load(vf, b)))


@inner
def convolve_adjoint(pairs, table, y, g, u):  # type: ignore[no-untyped-def]
    """Add ``conv(W, g)`` to u, and ``sum_f W'_ij (y_i g_j + y_j g_i)`` to s_p, over the pairs."""
    near, knot, w, s = pairs.near, pairs.knot, pairs.w, pairs.s
    tf, yf, gf, uf = table.reshape(-1), y.reshape(-1), g.reshape(-1), u.reshape(-1)
    n_features = y.shape[1]
    for p in range(near.shape[0]):
        values, slopes = _splats(w, p, 0), _splats(w, p, 6)
        row, i, j = knot[p] * n_features, near[p, 0] * n_features, near[p, 1] * n_features
        sums = splat(y.dtype.type(0.0))
        for f in range(0, n_features, lanes(y)):
            rows = _rows(tf, row + f, n_features)
            filt, slope = _weighted(values, rows), _weighted(slopes, rows)
            a, b = i + f, j + f
            gi, gj = load(gf, a), load(gf, b)
            sums = fma(slope, fma(load(yf, a), gj, times(load(yf, b), gi)), sums)
            store(uf, a, fma(filt, gj, load(uf, a)))
            store(uf, b, fma(filt, gi, load(uf, b)))
        s[p] += total(sums)


@inner
def convolve_slopes(pairs, table, y, g):  # type: ignore[no-untyped-def]
    """Only the second half of :func:`convolve_adjoint`: embeddings don't depend on positions."""
    near, knot, w, s = pairs.near, pairs.knot, pairs.w, pairs.s
    tf, yf, gf = table.reshape(-1), y.reshape(-1), g.reshape(-1)
    n_features = y.shape[1]
    for p in range(near.shape[0]):
        slopes = _splats(w, p, 6)
        row, i, j = knot[p] * n_features, near[p, 0] * n_features, near[p, 1] * n_features
        sums = splat(y.dtype.type(0.0))
        for f in range(0, n_features, lanes(y)):
            slope = _weighted(slopes, _rows(tf, row + f, n_features))
            a, b = i + f, j + f
            sums = fma(slope, fma(load(yf, a), load(gf, b), times(load(yf, b), load(gf, a))), sums)
        s[p] += total(sums)


@inner
def pull_together(pairs, forces, virial):  # type: ignore[no-untyped-def]
    """Add to forces (N, 3) and virial (3, 3) what follows from the derivatives by the distances."""
    near, unit, length, s = pairs.near, pairs.unit, pairs.length, pairs.s
    for p in range(near.shape[0]):
        for m in range(3):
            pull = s[p] * unit[p, m]
            forces[near[p, 0], m] += pull
            forces[near[p, 1], m] -= pull
            for n in range(3):
                virial[m, n] += pull * unit[p, n] * length[p]
