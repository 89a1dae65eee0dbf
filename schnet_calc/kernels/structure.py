"""A whole SchNet for one structure in one compiled call: the arithmetic and nothing around it.

At twenty atoms, a call into torch costs as much as the layer that it computes. The geometry is kept in
float64 whatever the network's type.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.kernels.activation import activate
from schnet_calc.kernels.barrier import take, wait
from schnet_calc.kernels.compiling import inner, jit
from schnet_calc.kernels.dense import Array, aligned, pack, panel_width, product
from schnet_calc.kernels.quintic import quintic_tables
from schnet_calc.kernels.simd import VECTOR_BYTES, fma, load, plus, splat, store, times, total
from schnet_calc.kernels.spline import SplineGrid
from schnet_calc.nn import Interaction, SchNet


class Weights(NamedTuple):
    """A SchNet as arrays; features and hidden units padded with zeros to F and H, whole panels.

    Layers are packed for :func:`~schnet_calc.kernels.dense.product`: C panels of so many columns.
    """

    embedding: Array
    """(Z, F)"""
    lifted: Array
    """(Z, F) what the first layer makes of it: no need to compute that for each atom"""
    tables: Array
    """(n_filters, K + 5, F) coefficients of quintic B-splines"""
    dense: Array
    """(T, 3, C, F, width) the three atom-wise layers of a block"""
    dense_back: Array
    """(T, 3, C, F, width) their transposes, for derivatives"""
    bias: Array
    """(T, 3, F)"""
    no_bias: Array
    """(F,) zeros"""
    hidden: Array
    """(C, F, width)"""
    hidden_back: Array
    """(C, H, width)"""
    hidden_bias: Array
    """(H,)"""
    output: Array
    """(H,)"""
    constants: NDArray[np.float64]
    """output bias, grid start, grid spacing, cutoff, 1 / number of neighbours"""


def network_arrays(network: SchNet, grid: SplineGrid, dtype: torch.dtype) -> Weights:
    """Arrays of a float64 network; tables are built in float64 and then cast."""
    config = network.config
    kind = np.dtype(str(dtype).removeprefix("torch."))

    def padded(x: torch.Tensor, *axes: int) -> Array:
        width = panel_width(kind)
        shape = tuple(-(-s // width) * width if k in axes else s for k, s in enumerate(x.shape))
        result = aligned(shape, kind)
        result[...] = 0.0
        result[tuple(slice(s) for s in x.shape)] = x.detach().numpy()
        return result

    blocks = [block for block in network.interactions if isinstance(block, Interaction)]
    layers = [(block.dense_in, block.dense_hidden, block.dense_out) for block in blocks]
    dense = padded(torch.stack([torch.stack([layer.weight for layer in block]) for block in layers]), 2, 3)
    hidden = padded(network.output_hidden.weight, 0, 1)
    bias = padded(torch.stack([torch.stack([layer.bias for layer in block]) for block in layers]), 2)
    return Weights(
        embedding=padded(network.embedding.weight, 1),
        lifted=padded(blocks[0].dense_in(network.embedding.weight), 1),
        tables=padded(quintic_tables(network, grid), 2),
        dense=pack(np.swapaxes(dense, -1, -2)),
        dense_back=pack(dense),
        bias=bias,
        no_bias=np.zeros_like(bias[0, 0]),
        hidden=pack(hidden.T),
        hidden_back=pack(hidden),
        hidden_bias=padded(network.output_hidden.bias, 0),
        output=padded(network.output.weight[0], 0),
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


@inner
def rows(n, n_features, like):  # type: ignore[no-untyped-def]
    """(n, F), not set, of the type of an array; it begins on a cache line."""
    spare = 64 // like.itemsize
    buffer = np.empty(n * n_features + spare, like.dtype)
    first = -buffer.ctypes.data % 64 // like.itemsize
    return buffer[first : first + n * n_features].reshape(n, n_features)


@inner
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


@inner
def convolve(near, knot, w, table, y, v):  # type: ignore[no-untyped-def]
    """V += conv(W, y) over the pairs; y, v (N, F)."""
    tf, yf, vf = table.reshape(-1), y.reshape(-1), v.reshape(-1)
    n_features, lanes = y.shape[1], VECTOR_BYTES // y.itemsize
    for p in range(near.shape[0]):
        w0, w1, w2 = splat(w[p, 0]), splat(w[p, 1]), splat(w[p, 2])
        w3, w4, w5 = splat(w[p, 3]), splat(w[p, 4]), splat(w[p, 5])
        row, i, j = knot[p] * n_features, near[p, 0] * n_features, near[p, 1] * n_features
        for f in range(0, n_features, lanes):
            k0 = row + f
            k1 = k0 + n_features
            k2 = k1 + n_features
            k3 = k2 + n_features
            k4 = k3 + n_features
            k5 = k4 + n_features
            low = fma(w2, load(tf, k2), fma(w1, load(tf, k1), times(w0, load(tf, k0))))
            high = fma(w5, load(tf, k5), fma(w4, load(tf, k4), times(w3, load(tf, k3))))
            filt = plus(low, high)
            a, b = i + f, j + f
            # One after the other: an atom may be paired with its own image, i = j.
            store(vf, a, fma(filt, load(yf, b), load(vf, a)))
            store(vf, b, fma(filt, load(yf, a), load(vf, b)))


@inner
def convolve_adjoint(near, knot, w, table, y, g, u, s):  # type: ignore[no-untyped-def]
    """U += conv(W, g), and s_p += sum_f W'_ij (y_i g_j + y_j g_i), over the pairs."""
    tf, yf, gf, uf = table.reshape(-1), y.reshape(-1), g.reshape(-1), u.reshape(-1)
    n_features, lanes = y.shape[1], VECTOR_BYTES // y.itemsize
    for p in range(near.shape[0]):
        w0, w1, w2 = splat(w[p, 0]), splat(w[p, 1]), splat(w[p, 2])
        w3, w4, w5 = splat(w[p, 3]), splat(w[p, 4]), splat(w[p, 5])
        e0, e1, e2 = splat(w[p, 6]), splat(w[p, 7]), splat(w[p, 8])
        e3, e4, e5 = splat(w[p, 9]), splat(w[p, 10]), splat(w[p, 11])
        row, i, j = knot[p] * n_features, near[p, 0] * n_features, near[p, 1] * n_features
        slopes = splat(y.dtype.type(0.0))
        for f in range(0, n_features, lanes):
            k0 = row + f
            k1 = k0 + n_features
            k2 = k1 + n_features
            k3 = k2 + n_features
            k4 = k3 + n_features
            k5 = k4 + n_features
            t0, t1, t2 = load(tf, k0), load(tf, k1), load(tf, k2)
            t3, t4, t5 = load(tf, k3), load(tf, k4), load(tf, k5)
            filt = plus(fma(w2, t2, fma(w1, t1, times(w0, t0))), fma(w5, t5, fma(w4, t4, times(w3, t3))))
            slope = plus(fma(e2, t2, fma(e1, t1, times(e0, t0))), fma(e5, t5, fma(e4, t4, times(e3, t3))))
            a, b = i + f, j + f
            gi, gj = load(gf, a), load(gf, b)
            slopes = fma(slope, fma(load(yf, a), gj, times(load(yf, b), gi)), slopes)
            store(uf, a, fma(filt, gj, load(uf, a)))
            store(uf, b, fma(filt, gi, load(uf, b)))
        s[p] += total(slopes)


@inner
def clear(x):  # type: ignore[no-untyped-def]
    """Zeros (N, F); a loop, since numba takes seconds to compile what assigns to slices."""
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            x[n, f] = 0


@inner
def look_up(table, numbers, x):  # type: ignore[no-untyped-def]
    """Fill x (N, F) with the rows of a table (Z, F) that belong to atomic numbers (N,)."""
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            x[n, f] = table[numbers[n], f]


@inner
def atomwise(v, t, weights, x, slope):  # type: ignore[no-untyped-def]
    """Add the two layers that follow the convolution of block t to x; the activation's slope."""
    a = rows(v.shape[0], v.shape[1], v)
    product(v, weights.dense[t, 1], weights.bias[t, 1], a, False)
    activate(a, slope)
    product(a, weights.dense[t, 2], weights.bias[t, 2], x, True)


@inner
def atomwise_adjoint(gx, t, weights, slope, g):  # type: ignore[no-untyped-def]
    """Fill the gradient by v of block t from that by x."""
    a = rows(g.shape[0], g.shape[1], g)
    product(gx, weights.dense_back[t, 2], weights.no_bias, a, False)
    for n in range(a.shape[0]):
        for f in range(a.shape[1]):
            a[n, f] *= slope[n, f]
    product(a, weights.dense_back[t, 1], weights.no_bias, g, False)


@inner
def read_out(x, weights, energies, gx):  # type: ignore[no-untyped-def]
    """Fill the atomic energies (N,) from the last features, and their derivatives (N, F)."""
    hidden = rows(x.shape[0], weights.hidden_bias.shape[0], x)
    product(x, weights.hidden, weights.hidden_bias, hidden, False)
    slope = np.empty_like(hidden)
    activate(hidden, slope)
    for n in range(hidden.shape[0]):
        energy = weights.constants[0]
        for f in range(hidden.shape[1]):
            energy += hidden[n, f] * weights.output[f]
            slope[n, f] *= weights.output[f]
        energies[n] = energy
    product(slope, weights.hidden_back, weights.no_bias, gx, False)


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


@inner
def gather(sums, part, first, last):  # type: ignore[no-untyped-def]
    """Add to the rows from first to last of one part's sums (n_parts, N, F) those of the others."""
    for other in range(sums.shape[0]):
        if other == part:
            continue
        for n in range(first, last):
            for f in range(sums.shape[2]):
                sums[part, n, f] += sums[other, n, f]


@inner
def evaluate_part(  # type: ignore[no-untyped-def]
    part, arrivals, numbers, positions, i, j, shifts, weights, shared, energies, forces, virials, nearest
):
    """What one of several threads does: a range of the pairs, and a range of the atoms.

    All fill atomic energies (N,); each fills forces (N, 3), virial (3, 3), and index and distance of the
    closest pair (2,) of its own pairs, all float64. The pairs (P,) may reach beyond the cutoff. In common
    (T + 1 + n_parts, N, F) are the features before the convolutions, a gradient and each part's sums.
    Arrays are filled, not returned: numba calls Python to make them, and a signal whose handler raises
    there (Ctrl-C) is lost in a SystemError, or worse.
    """
    n_parts, n_blocks, n_filters = forces.shape[0], weights.dense.shape[0], weights.tables.shape[0]
    n_atoms, n_features = shared.shape[1], shared.shape[2]
    ys, g, sums = shared[:n_blocks], shared[n_blocks], shared[n_blocks + 1 :]
    here = slice(i.shape[0] * part // n_parts, i.shape[0] * (part + 1) // n_parts)
    near, knot, w, unit, length, closest, shortest = geometry(
        positions, i[here], j[here], shifts[here], weights
    )
    nearest[part, 0], nearest[part, 1] = here.start + closest, shortest
    first, last = n_atoms * part // n_parts, n_atoms * (part + 1) // n_parts
    x = rows(last - first, n_features, g)
    slopes = rows(n_blocks * (last - first), n_features, g).reshape(n_blocks, last - first, n_features)
    meetings = 0
    look_up(weights.embedding, numbers[first:last], x)
    look_up(weights.lifted, numbers[first:last], ys[0, first:last])
    for t in range(n_blocks):
        if t > 0:
            product(x, weights.dense[t, 0], weights.bias[t, 0], ys[t, first:last], False)
        if not wait(arrivals, meetings, n_parts):
            return
        clear(sums[part])
        convolve(near, knot, w, weights.tables[t % n_filters], ys[t], sums[part])
        if not wait(arrivals, meetings + 1, n_parts):
            return
        meetings += 2
        gather(sums, part, first, last)
        atomwise(sums[part, first:last], t, weights, x, slopes[t])
    read_out(x, weights, energies[first:last], x)
    s = np.zeros(near.shape[0], g.dtype)
    for t in range(n_blocks - 1, -1, -1):
        atomwise_adjoint(x, t, weights, slopes[t], g[first:last])
        if not wait(arrivals, meetings, n_parts):
            return
        clear(sums[part])
        convolve_adjoint(near, knot, w, weights.tables[t % n_filters], ys[t], g, sums[part], s)
        if t == 0:
            break
        if not wait(arrivals, meetings + 1, n_parts):
            return
        meetings += 2
        gather(sums, part, first, last)
        product(sums[part, first:last], weights.dense_back[t, 0], weights.no_bias, x, True)
    clear(forces[part])
    clear(virials[part])
    pull_together(near, s, unit, length, forces[part], virials[part])
    wait(arrivals, meetings + 1, n_parts)


@jit
def evaluate(  # type: ignore[no-untyped-def]
    part,
    arrivals,
    turns,
    atoms,
    pairs,
    numbers,
    positions,
    i,
    j,
    shifts,
    weights,
    shared,
    energies,
    forces,
    virials,
    nearest,
):
    """One structure with all parts, or many that the parts take in turn.

    Atoms (B + 1,) and pairs (B + 1,) tell where each of the B structures begins. For one structure see
    :func:`evaluate_part`; for many, which share no atoms, forces are (1, N, 3) of all atoms, virials
    (B, 3, 3), nearest (B, 2).
    """
    n_structures, n_blocks = atoms.shape[0] - 1, weights.dense.shape[0]
    k, me, meeting, space = 0, part, arrivals, shared
    forces_of, virials_of, nearest_of = forces, virials, nearest
    together = shared.shape[1] > 0
    alone = np.zeros(1, np.int64)
    while True:
        if not together:
            k = take(turns)
            if k >= n_structures:
                break
        a, b, p, q = atoms[k], atoms[k + 1], pairs[k], pairs[k + 1]
        if not together:
            n_features = weights.embedding.shape[1]
            own = rows((n_blocks + 2) * (b - a), n_features, weights.embedding)
            me, meeting, space = 0, alone, own.reshape(n_blocks + 2, b - a, n_features)
            forces_of = forces[0, a:b].reshape(1, b - a, 3)
            virials_of, nearest_of = virials[k : k + 1], nearest[k : k + 1]
        # Called in one place only: its code is copied to wherever it is called.
        evaluate_part(
            me,
            meeting,
            numbers[a:b],
            positions[a:b],
            i[p:q],
            j[p:q],
            shifts[p:q],
            weights,
            space,
            energies[a:b],
            forces_of,
            virials_of,
            nearest_of,
        )
        if together:
            return
    wait(arrivals, 0, shared.shape[0] - n_blocks - 1)
