"""A whole SchNet for one structure in one compiled call: the arithmetic and nothing around it.

At twenty atoms, a call into torch costs as much as the layer that it computes. Here the dense layers
go to BLAS and everything else is loops; the geometry is kept in float64 whatever the network's type.
"""

from typing import NamedTuple

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.kernels.explicit import filter_samples
from schnet_calc.kernels.spline import SplineGrid, spline_table
from schnet_calc.nn import Interaction, SchNet

CHUNK = 32
"""Features per innermost loop: a constant, so that LLVM unrolls and vectorises it."""

jit = numba.njit(fastmath=True, nogil=True, cache=True, boundscheck=False, error_model="numpy")
Array = NDArray[np.floating]


class Weights(NamedTuple):
    """A SchNet as arrays; features padded with zeros to F, a multiple of :data:`CHUNK`."""

    embedding: Array
    """(Z, F)"""
    tables: Array
    """(n_filters, K + 3, F) B-spline coefficients of the filters"""
    slopes: Array
    """(n_filters, K + 2, F) of their derivatives, 1/Å: differences taken in float64"""
    dense: Array
    """(T, 3, F, F) weights of the three atom-wise layers of a block, as (out, in)"""
    dense_t: Array
    """(T, 3, F, F) the same, as (in, out)"""
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
    """output bias, grid start, grid spacing, cutoff (0: none), 1 / number of neighbours"""


def network_arrays(network: SchNet, grid: SplineGrid, dtype: torch.dtype) -> Weights:
    """Arrays of a float64 network; tables are built in float64 and then cast."""
    config, n = network.config, network.config.n_features
    padded = -(-n // CHUNK) * CHUNK

    def array(x: torch.Tensor, *shape: int) -> Array:
        result = np.zeros(shape, dtype=str(dtype).removeprefix("torch."))
        result[tuple(slice(s) for s in x.shape)] = x.detach().numpy()
        return np.ascontiguousarray(result)

    coefficients = [spline_table(values) for values in filter_samples(network, grid)]
    blocks = [block for block in network.interactions if isinstance(block, Interaction)]
    layers = [(block.dense_in, block.dense_hidden, block.dense_out) for block in blocks]
    dense = torch.stack([torch.stack([layer.weight for layer in block]) for block in layers])
    bias = torch.stack([torch.stack([layer.bias for layer in block]) for block in layers])
    t, k, h = len(blocks), len(coefficients[0]), len(network.output_hidden.bias)
    f = len(coefficients)
    return Weights(
        embedding=array(network.embedding.weight, len(network.embedding.weight), padded),
        tables=array(torch.stack(coefficients), f, k, padded),
        slopes=array(torch.stack([c.diff(dim=0) / grid.spacing for c in coefficients]), f, k - 1, padded),
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
                config.cutoff if network.cutoff.active else 0.0,
                1.0 / (config.neighbor_average or 1.0),
            ]
        ),
    )


@jit
def geometry(positions, i, j, shifts, constants, n_intervals, knot, w, unit, length):  # type: ignore[no-untyped-def]
    """Row of the table, 4 weights of values and 4 + 3 of slopes, unit vector and length of each pair."""
    start, spacing, cutoff, share = constants[1], constants[2], constants[3], constants[4]
    for p in range(i.shape[0]):
        x = positions[j[p], 0] + shifts[p, 0] - positions[i[p], 0]
        y = positions[j[p], 1] + shifts[p, 1] - positions[i[p], 1]
        z = positions[j[p], 2] + shifts[p, 2] - positions[i[p], 2]
        d = np.sqrt(x * x + y * y + z * z)
        unit[p, 0], unit[p, 1], unit[p, 2], length[p] = x / d, y / d, z / d, d
        factor, slope = share, 0.0
        if cutoff > 0.0:
            rate = np.pi / cutoff
            factor = share * 0.5 * (1.0 + np.cos(rate * d)) if d < cutoff else 0.0
            slope = -share * 0.5 * rate * np.sin(rate * d) if d < cutoff else 0.0
        k = min(max(int(np.floor((d - start) / spacing)), 0), n_intervals - 1)
        t = (d - start) / spacing - k
        s = 1.0 - t
        knot[p] = k
        cubic = (
            s * s * s / 6.0,
            (t * t * (3.0 * t - 6.0) + 4.0) / 6.0,
            (s * s * (3.0 * s - 6.0) + 4.0) / 6.0,
            t * t * t / 6.0,
        )
        for m in range(4):
            w[p, m] = factor * cubic[m]
            w[p, 4 + m] = slope * cubic[m]
        w[p, 8] = factor * 0.5 * s * s
        w[p, 9] = factor * (0.5 + t * s)
        w[p, 10] = factor * 0.5 * t * t


@jit
def convolve(i, j, knot, w, table, y, v):  # type: ignore[no-untyped-def]
    """V = conv(W, y); y, v (N, F), v starts at zero."""
    tf, yf, vf = table.reshape(-1), y.reshape(-1), v.reshape(-1)
    n_features = np.uint64(y.shape[1])
    filt = np.empty(CHUNK, y.dtype)
    chunk = np.uint64(CHUNK)
    for p in range(i.shape[0]):
        w0, w1, w2, w3 = w[p, 0], w[p, 1], w[p, 2], w[p, 3]
        for c in range(n_features // chunk):
            o = c * chunk
            k0 = knot[p] * n_features + o
            k1 = k0 + n_features
            k2 = k1 + n_features
            k3 = k2 + n_features
            a, b = i[p] * n_features + o, j[p] * n_features + o
            for f in range(chunk):
                filt[f] = w0 * tf[k0 + f] + w1 * tf[k1 + f] + w2 * tf[k2 + f] + w3 * tf[k3 + f]
            # One loop after the other: an atom may be paired with its own image, i = j.
            for f in range(chunk):
                vf[a + f] += filt[f] * yf[b + f]
            for f in range(chunk):
                vf[b + f] += filt[f] * yf[a + f]


@jit
def convolve_adjoint(i, j, knot, w, table, slopes, y, g, u, s):  # type: ignore[no-untyped-def]
    """U = conv(W, g), and s_p += sum_f W'_ij (y_i g_j + y_j g_i); u starts at zero."""
    tf, df = table.reshape(-1), slopes.reshape(-1)
    yf, gf, uf = y.reshape(-1), g.reshape(-1), u.reshape(-1)
    n_features = np.uint64(y.shape[1])
    filt = np.empty(CHUNK, y.dtype)
    chunk = np.uint64(CHUNK)
    for p in range(i.shape[0]):
        w0, w1, w2, w3 = w[p, 0], w[p, 1], w[p, 2], w[p, 3]
        e0, e1, e2, e3 = w[p, 4], w[p, 5], w[p, 6], w[p, 7]
        d0, d1, d2 = w[p, 8], w[p, 9], w[p, 10]
        total = y.dtype.type(0.0)
        for c in range(n_features // chunk):
            o = c * chunk
            k0 = knot[p] * n_features + o
            k1 = k0 + n_features
            k2 = k1 + n_features
            k3 = k2 + n_features
            a, b = i[p] * n_features + o, j[p] * n_features + o
            for f in range(chunk):
                t0, t1, t2, t3 = tf[k0 + f], tf[k1 + f], tf[k2 + f], tf[k3 + f]
                filt[f] = w0 * t0 + w1 * t1 + w2 * t2 + w3 * t3
                slope = e0 * t0 + e1 * t1 + e2 * t2 + e3 * t3
                slope += d0 * df[k0 + f] + d1 * df[k1 + f] + d2 * df[k2 + f]
                total += slope * (yf[a + f] * gf[b + f] + yf[b + f] * gf[a + f])
            for f in range(chunk):
                uf[a + f] += filt[f] * gf[b + f]
            for f in range(chunk):
                uf[b + f] += filt[f] * gf[a + f]
        s[p] += total


@jit
def activate(a, h, slope):  # type: ignore[no-untyped-def]
    """H = ssp(a) and its derivative, the logistic function; any shape."""
    af, hf, sf = a.reshape(-1), h.reshape(-1), slope.reshape(-1)
    one, log2 = a.dtype.type(1.0), a.dtype.type(np.log(2.0))
    for n in range(af.size):
        e = np.exp(-abs(af[n]))
        hf[n] = max(af[n], a.dtype.type(0.0)) + np.log(one + e) - log2
        sf[n] = (one if af[n] > 0 else e) / (one + e)


@jit
def evaluate(numbers, positions, i, j, shifts, weights):  # type: ignore[no-untyped-def]
    """Atomic energies (N,), forces (N, 3) and virial (3, 3) in float64 of one structure."""
    n_atoms, n_pairs = numbers.shape[0], i.shape[0]
    n_features = weights.embedding.shape[1]
    n_blocks, n_filters = weights.dense.shape[0], weights.tables.shape[0]
    kind = weights.embedding.dtype
    knot, w = np.empty(n_pairs, np.uint64), np.empty((n_pairs, 11), kind)
    unit, length = np.empty((n_pairs, 3)), np.empty(n_pairs)
    n_intervals = weights.tables.shape[1] - 3
    geometry(positions, i, j, shifts, weights.constants, n_intervals, knot, w, unit, length)
    x = np.empty((n_atoms, n_features), kind)
    for n in range(n_atoms):
        x[n] = weights.embedding[numbers[n]]
    ys = np.empty((n_blocks, n_atoms, n_features), kind)
    logistic = np.empty((n_blocks, n_atoms, n_features), kind)
    a, h = np.empty_like(x), np.empty_like(x)
    for t in range(n_blocks):
        v = np.zeros_like(x)
        np.dot(x, weights.dense_t[t, 0], ys[t])
        ys[t] += weights.bias[t, 0]
        convolve(i, j, knot, w, weights.tables[t % n_filters], ys[t], v)
        np.dot(v, weights.dense_t[t, 1], a)
        a += weights.bias[t, 1]
        activate(a, h, logistic[t])
        x += np.dot(h, weights.dense_t[t, 2]) + weights.bias[t, 2]
    hidden = np.dot(x, weights.hidden_t) + weights.hidden_bias
    active, derivative = np.empty_like(hidden), np.empty_like(hidden)
    activate(hidden, active, derivative)
    energies = np.empty(n_atoms)
    for n in range(n_atoms):
        total = weights.constants[0]
        for f in range(hidden.shape[1]):
            total += active[n, f] * weights.output[f]
        energies[n] = total
    gx = np.dot(derivative * weights.output, weights.hidden)
    s = np.zeros(n_pairs, kind)
    for t in range(n_blocks - 1, -1, -1):
        np.dot(gx, weights.dense[t, 2], a)
        a *= logistic[t]
        np.dot(a, weights.dense[t, 1], h)
        u = np.zeros_like(x)
        k = t % n_filters
        convolve_adjoint(i, j, knot, w, weights.tables[k], weights.slopes[k], ys[t], h, u, s)
        gx += np.dot(u, weights.dense[t, 0])
    forces, virial = np.zeros((n_atoms, 3)), np.zeros((3, 3))
    for p in range(n_pairs):
        for m in range(3):
            pull = s[p] * unit[p, m]
            forces[i[p], m] += pull
            forces[j[p], m] -= pull
            for n in range(3):
                virial[m, n] += pull * unit[p, n] * length[p]
    return energies, forces, virial
