"""Gradients of a loss by a SchNet's weights, compiled: backwards through what ``training`` computed.

A prefix g marks the derivative of the loss by what follows it; the loss sees atoms' features, forces and virials.
"""

from typing import NamedTuple

from schnet_calc.kernels.cpu.activation import curvature
from schnet_calc.kernels.cpu.barrier import wait
from schnet_calc.kernels.cpu.compiling import inner, jit
from schnet_calc.kernels.cpu.cubic_pairs import (
    Operands,
    convolve_adjoint_gradient,
    convolve_gradient,
    pull_apart,
)
from schnet_calc.kernels.cpu.dense import Array, dense_adjoint, product
from schnet_calc.kernels.cpu.outer import column_sums, outer
from schnet_calc.kernels.cpu.structure import clear, multiply, rows, scale


class Gradients(NamedTuple):
    """Of a loss, one set for each thread; by what :class:`Network` holds."""

    tables: Array
    """(threads, n_tables, rows, K)"""
    w_in: Array
    """(threads, T, K, F)"""
    w_hidden: Array
    """(threads, T, F, K)"""
    w_out: Array
    """(threads, T, F, F)"""
    biases: Array
    """(threads, T, 3, widest)"""


class LossDerivatives(NamedTuple):
    """Derivatives of the loss on their way through one call."""

    x: Array
    """(N, F) by features, or by the energy's derivative by them; changes from block to block"""
    y: Array
    """(T, N, K) by the features before each convolution"""
    a: Array
    """(T, N, F) by what goes into each activation"""
    spare: Array
    """(2, N, K)"""
    s: Array
    """(P,) by the energy's derivative by each distance"""
    forces: Array
    """(N, 3)"""
    virials: Array
    """(B, 3, 3)"""


@inner
def _up(x, network, k, out, add):  # type: ignore[no-untyped-def]
    """Fill out with ``x W`` of layer k, or add that: gradients by adjoints go the way of the values."""
    product(x, network.layers.values, network.layers.places[k, 0], 0, out, add)


@jit
def slopes_gradient(me, pairs, network, tape, adjoints, by, gradients):  # type: ignore[no-untyped-def]
    """From gradients by forces and virials, upwards from the first block, to those by weights and the last x.

    Fills by.y and by.a, which go on to :func:`forwards_gradient`.
    """
    n_blocks, n_tables = tape.y.shape[0], network.tables.shape[0]
    gu, gg = by.spare[0], by.spare[1]
    for tile in range(me.part, pairs.tiles.shape[0] - 1, me.n_parts):
        (a, p), (b, q) = pairs.tiles[tile], pairs.tiles[tile + 1]
        pull_apart((p, q), pairs, by.forces, by.virials, by.s)
        gx = by.x[a:b]
        clear(gx)
        gq = rows(b - a, gx.shape[1], gx)
        for t in range(n_blocks):
            # The layer before the convolution; the energy's derivative by the embedding has no part in forces.
            clear(gu[a:b])
            if t > 0:
                _up(gx, network, 3 * t, gu[a:b], False)
                outer(adjoints.u[t, a:b], gx, gradients.w_in[me.part, t])

            # The convolution.
            clear(gg[a:b])
            clear(by.y[t, a:b])
            of = Operands(network.tables[t % n_tables], tape.y[t], adjoints.g[t])
            to = Operands(gradients.tables[me.part, t % n_tables], by.y[t], gg)
            convolve_adjoint_gradient((p, q), pairs, of, gu, by.s, to)
            scale(gg[a:b], pairs.share[a:b])

            # The two layers behind it: q = f'(a) p, p = gx W, of which the tape has q.
            _up(gg[a:b], network, 3 * t + 1, gq, False)
            outer(adjoints.q[t, a:b], gg[a:b], gradients.w_hidden[me.part, t])
            curvature(tape.a[t, a:b], tape.h[t, a:b], tape.slope[t, a:b], network.activation, by.a[t, a:b])
            multiply(by.a[t, a:b], adjoints.p[t, a:b])
            multiply(by.a[t, a:b], gq)
            multiply(gq, tape.slope[t, a:b])
            outer(adjoints.x[t, a:b], gq, gradients.w_out[me.part, t])
            _up(gq, network, 3 * t + 2, gx, True)
    wait(me, 0)


@jit
def forwards_gradient(me, pairs, network, tape, by, gradients):  # type: ignore[no-untyped-def]
    """From the gradient by the last features, by.x, downwards to those by weights and the first features.

    Starts from what by.y and by.a hold, and adds to them.
    """
    n_blocks, n_tables, layers = tape.y.shape[0], network.tables.shape[0], network.layers
    gv = by.spare[0]
    for tile in range(me.part, pairs.tiles.shape[0] - 1, me.n_parts):
        (a, p), (b, q) = pairs.tiles[tile], pairs.tiles[tile + 1]
        gx = by.x[a:b]
        gh = rows(b - a, gx.shape[1], gx)
        for t in range(n_blocks - 1, -1, -1):
            ga, gy, biases = by.a[t, a:b], by.y[t, a:b], gradients.biases[me.part, t]
            # The two layers behind the convolution.
            dense_adjoint(gx, layers, 3 * t + 2, gh, False)
            outer(gx, tape.h[t, a:b], gradients.w_out[me.part, t])
            column_sums(gx, biases[2])
            multiply(gh, tape.slope[t, a:b])
            _add(gh, ga)
            dense_adjoint(ga, layers, 3 * t + 1, gv[a:b], False)
            scale(gv[a:b], pairs.share[a:b])
            outer(ga, tape.v[t, a:b], gradients.w_hidden[me.part, t])
            column_sums(ga, biases[1])

            # The convolution, and the layer before it.
            table, gtable = network.tables[t % n_tables], gradients.tables[me.part, t % n_tables]
            convolve_gradient((p, q), pairs, table, tape.y[t], gv, by.y[t], gtable)
            outer(gy, tape.x[t, a:b], gradients.w_in[me.part, t])
            column_sums(gy, biases[0])
            dense_adjoint(gy, layers, 3 * t, gx, True)
    wait(me, 0)


@inner
def _add(x, y):  # type: ignore[no-untyped-def]
    """Add x (N, F) to y."""
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            y[n, f] += x[n, f]
