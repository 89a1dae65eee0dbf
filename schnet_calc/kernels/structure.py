"""A whole SchNet for one structure in one compiled call: the arithmetic and nothing around it.

At twenty atoms, a call into torch costs as much as the layer that it computes. Here the dense layers
go to BLAS and everything else is loops; the geometry is kept in float64 whatever the network's type.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.kernels.activation import activate, jit
from schnet_calc.kernels.quintic import quintic_tables
from schnet_calc.kernels.spline import SplineGrid
from schnet_calc.nn import Interaction, SchNet

CHUNK = 64
"""Features per innermost loop: a constant, so that LLVM unrolls and vectorises it."""

ALONE = 2**18
"""Multiplications up to which OpenBLAS uses one thread."""
FEWEST_ROWS = 16

Array = NDArray[np.floating]


class Weights(NamedTuple):
    """A SchNet as arrays; features padded with zeros to F, a multiple of :data:`CHUNK`."""

    embedding: Array
    """(Z, F)"""
    tables: Array
    """(n_filters, K + 5, F) coefficients of quintic B-splines"""
    dense: Array
    """(T, 3, F, F) weights of the three atom-wise layers of a block, as (out, in)"""
    dense_t: Array
    """(T, 3, F, F) the same, as (in, out): few rows times a transposed matrix take BLAS twice as long"""
    bias: Array
    """(T, 3, F)"""
    hidden: Array
    """(H, F)"""
    hidden_t: Array
    """(F, H)"""
    hidden_bias: Array
    """(H,)"""
    output: Array
    """(H,)"""
    constants: NDArray[np.float64]
    """output bias, grid start, grid spacing, cutoff, 1 / number of neighbours"""


def network_arrays(network: SchNet, grid: SplineGrid, dtype: torch.dtype) -> Weights:
    """Arrays of a float64 network; tables are built in float64 and then cast."""
    config, n = network.config, network.config.n_features
    padded = -(-n // CHUNK) * CHUNK

    def array(x: torch.Tensor, *shape: int) -> Array:
        result = np.zeros(shape, dtype=str(dtype).removeprefix("torch."))
        result[tuple(slice(s) for s in x.shape)] = x.detach().numpy()
        return np.ascontiguousarray(result)

    tables = quintic_tables(network, grid)
    blocks = [block for block in network.interactions if isinstance(block, Interaction)]
    layers = [(block.dense_in, block.dense_hidden, block.dense_out) for block in blocks]
    dense = torch.stack([torch.stack([layer.weight for layer in block]) for block in layers])
    bias = torch.stack([torch.stack([layer.bias for layer in block]) for block in layers])
    t, h = len(blocks), len(network.output_hidden.bias)
    return Weights(
        embedding=array(network.embedding.weight, len(network.embedding.weight), padded),
        tables=array(tables, *tables.shape[:2], padded),
        dense=array(dense, t, 3, padded, padded),
        dense_t=array(dense.transpose(2, 3), t, 3, padded, padded),
        bias=array(bias, t, 3, padded),
        hidden=array(network.output_hidden.weight, h, padded),
        hidden_t=array(network.output_hidden.weight.T, padded, h),
        hidden_bias=array(network.output_hidden.bias, h),
        output=array(network.output.weight[0], h),
        constants=np.array(
            [
                float(network.output.bias[0]),
                grid.start,
                grid.spacing,
                config.cutoff,
                1.0 / (config.neighbor_average or 1.0),
            ]
        ),
    )


@jit
def geometry(positions, i, j, shifts, weights):  # type: ignore[no-untyped-def]
    """The pairs within the cutoff: atoms, row of the table, 6 weights of values and 6 of slopes.

    Then unit vectors and lengths, and which pair of all is the closest and how close.
    """
    n_all, kind = i.shape[0], weights.embedding.dtype
    near, knot = np.empty((n_all, 2), np.uint32), np.empty(n_all, np.uint32)
    w, unit, length = np.empty((n_all, 12), kind), np.empty((n_all, 3)), np.empty(n_all)
    n_intervals, constants = weights.tables.shape[1] - 5, weights.constants
    start, spacing, cutoff, share = constants[1], constants[2], constants[3], constants[4]
    rate = np.pi / cutoff
    kept, closest, shortest = 0, -1, np.inf
    for p in range(i.shape[0]):
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
        factor = share * 0.5 * (1.0 + np.cos(rate * d))
        slope = -share * 0.5 * rate * np.sin(rate * d)
        k = min(max(int(np.floor((d - start) / spacing)), 0), n_intervals - 1)
        t = (d - start) / spacing - k
        knot[q] = k
        values, slopes = _quintic(t), _quintic_slope(t)
        for m in range(6):
            w[q, m] = factor * values[m]
            w[q, 6 + m] = slope * values[m] + factor * slopes[m] / spacing
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


@jit
def convolve(near, knot, w, first, last, table, y, v):  # type: ignore[no-untyped-def]
    """V += conv(W, y) over the pairs from first to last; y, v (N, F)."""
    tf, yf, vf = table.reshape(-1), y.reshape(-1), v.reshape(-1)
    n_features = np.uint64(y.shape[1])
    filt = np.empty(CHUNK, y.dtype)
    chunk = np.uint64(CHUNK)
    for p in range(first, last):
        w0, w1, w2, w3, w4, w5 = w[p, 0], w[p, 1], w[p, 2], w[p, 3], w[p, 4], w[p, 5]
        row = np.uint64(knot[p]) * n_features
        left, right = np.uint64(near[p, 0]) * n_features, np.uint64(near[p, 1]) * n_features
        for c in range(n_features // chunk):
            o = c * chunk
            k0 = row + o
            k1, k2 = k0 + n_features, k0 + np.uint64(2) * n_features
            k3, k4 = k2 + n_features, k2 + np.uint64(2) * n_features
            k5 = k4 + n_features
            a, b = left + o, right + o
            for f in range(chunk):
                filt[f] = (w0 * tf[k0 + f] + w1 * tf[k1 + f] + w2 * tf[k2 + f]) + (
                    w3 * tf[k3 + f] + w4 * tf[k4 + f] + w5 * tf[k5 + f]
                )
            # One loop after the other: an atom may be paired with its own image, i = j.
            for f in range(chunk):
                vf[a + f] += filt[f] * yf[b + f]
            for f in range(chunk):
                vf[b + f] += filt[f] * yf[a + f]


@jit
def convolve_adjoint(near, knot, w, first, last, table, y, g, u, s):  # type: ignore[no-untyped-def]
    """U += conv(W, g), and s_p += sum_f W'_ij (y_i g_j + y_j g_i), over the pairs from first to last."""
    tf = table.reshape(-1)
    yf, gf, uf = y.reshape(-1), g.reshape(-1), u.reshape(-1)
    n_features = np.uint64(y.shape[1])
    filt = np.empty(CHUNK, y.dtype)
    chunk = np.uint64(CHUNK)
    for p in range(first, last):
        w0, w1, w2, w3, w4, w5 = w[p, 0], w[p, 1], w[p, 2], w[p, 3], w[p, 4], w[p, 5]
        e0, e1, e2, e3, e4, e5 = w[p, 6], w[p, 7], w[p, 8], w[p, 9], w[p, 10], w[p, 11]
        row = np.uint64(knot[p]) * n_features
        left, right = np.uint64(near[p, 0]) * n_features, np.uint64(near[p, 1]) * n_features
        total = y.dtype.type(0.0)
        for c in range(n_features // chunk):
            o = c * chunk
            k0 = row + o
            k1, k2 = k0 + n_features, k0 + np.uint64(2) * n_features
            k3, k4 = k2 + n_features, k2 + np.uint64(2) * n_features
            k5 = k4 + n_features
            a, b = left + o, right + o
            for f in range(chunk):
                t0, t1, t2 = tf[k0 + f], tf[k1 + f], tf[k2 + f]
                t3, t4, t5 = tf[k3 + f], tf[k4 + f], tf[k5 + f]
                filt[f] = (w0 * t0 + w1 * t1 + w2 * t2) + (w3 * t3 + w4 * t4 + w5 * t5)
                slope = (e0 * t0 + e1 * t1 + e2 * t2) + (e3 * t3 + e4 * t4 + e5 * t5)
                total += slope * (yf[a + f] * gf[b + f] + yf[b + f] * gf[a + f])
            for f in range(chunk):
                uf[a + f] += filt[f] * gf[b + f]
            for f in range(chunk):
                uf[b + f] += filt[f] * gf[a + f]
        s[p] += total


@jit
def pull_together(near, s, unit, length, forces, virial):  # type: ignore[no-untyped-def]
    """Fill forces (N, 3) and virial (3, 3) from the derivative of the energy by every distance."""
    forces[:], virial[:] = 0.0, 0.0
    for p in range(near.shape[0]):
        for m in range(3):
            pull = s[p] * unit[p, m]
            forces[near[p, 0], m] += pull
            forces[near[p, 1], m] -= pull
            for n in range(3):
                virial[m, n] += pull * unit[p, n] * length[p]


@jit
def read_out(x, weights, energies):  # type: ignore[no-untyped-def]
    """Fill the atomic energies (N,) from the last features; returns their derivative (N, F)."""
    hidden = np.empty((x.shape[0], weights.hidden_t.shape[1]), x.dtype)
    _dot(x, weights.hidden_t, hidden)
    _add_bias(hidden, weights.hidden_bias)
    active, derivative = np.empty_like(hidden), np.empty_like(hidden)
    activate(hidden, active, derivative)
    for n in range(hidden.shape[0]):
        total = weights.constants[0]
        for f in range(hidden.shape[1]):
            total += active[n, f] * weights.output[f]
        energies[n] = total
    gradient = np.empty_like(x)
    _dot(derivative * weights.output, weights.hidden, gradient)
    return gradient


@jit
def evaluate(numbers, positions, i, j, shifts, weights, energies, forces, virial):  # type: ignore[no-untyped-def]
    """Fill atomic energies (N,), forces (N, 3) and virial (3, 3), all float64, of one structure.

    The pairs (P,) may reach beyond the cutoff. Returns which of them is the closest, and its distance.
    Arrays are filled, not returned: numba calls Python to make them, and a signal whose handler raises
    there (Ctrl-C) is lost in a SystemError, or worse.
    """
    n_atoms = numbers.shape[0]
    n_features = weights.embedding.shape[1]
    n_blocks, n_filters = weights.dense.shape[0], weights.tables.shape[0]
    kind = weights.embedding.dtype
    near, knot, w, unit, length, closest, shortest = geometry(positions, i, j, shifts, weights)
    n_pairs = near.shape[0]
    x = np.empty((n_atoms, n_features), kind)
    for n in range(n_atoms):
        x[n] = weights.embedding[numbers[n]]
    ys = np.empty((n_blocks, n_atoms, n_features), kind)
    logistic = np.empty((n_blocks, n_atoms, n_features), kind)
    a, h, v = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    for t in range(n_blocks):
        _dot(x, weights.dense_t[t, 0], ys[t])
        _add_bias(ys[t], weights.bias[t, 0])
        v[:] = 0
        convolve(near, knot, w, 0, n_pairs, weights.tables[t % n_filters], ys[t], v)
        _dot(v, weights.dense_t[t, 1], a)
        _add_bias(a, weights.bias[t, 1])
        activate(a, h, logistic[t])
        _dot(h, weights.dense_t[t, 2], a)
        _add_bias(a, weights.bias[t, 2])
        x += a
    gx = read_out(x, weights, energies)
    s = np.zeros(n_pairs, kind)
    for t in range(n_blocks - 1, -1, -1):
        _dot(gx, weights.dense[t, 2], a)
        a *= logistic[t]
        _dot(a, weights.dense[t, 1], h)
        v[:] = 0
        convolve_adjoint(near, knot, w, 0, n_pairs, weights.tables[t % n_filters], ys[t], h, v, s)
        _dot(v, weights.dense[t, 0], a)
        gx += a
    pull_together(near, s, unit, length, forces, virial)
    return closest, shortest


@jit
def _add_bias(x, bias):  # type: ignore[no-untyped-def]
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            x[n, f] += bias[f]


@jit
def _dot(x, weight, out):  # type: ignore[no-untyped-def]
    """Out = x weight, a few rows at a time: BLAS would start threads for more, which takes longer."""
    rows = max(FEWEST_ROWS, ALONE // (weight.shape[0] * weight.shape[1]))
    for first in range(0, x.shape[0], rows):
        np.dot(x[first : first + rows], weight, out[first : first + rows])
