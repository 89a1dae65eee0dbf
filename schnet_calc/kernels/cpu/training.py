"""A SchNet's features and forces for training, compiled.

Four calls make a step: :func:`forwards` (features), :func:`slopes` (forces, by the chain rule backwards), and
through each the gradient of a loss (:mod:`~schnet_calc.kernels.cpu.gradients`). Structures are taken in tiles, a
few at a time: layers then have rows enough to keep the processor busy, and what they work on stays in its cache.
Each thread takes every so many tiles and adds gradients up in arrays of its own: the same numbers at every run.
The room's README has the equations.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schnet_calc.kernels.cpu.activation import activate
from schnet_calc.kernels.cpu.barrier import wait
from schnet_calc.kernels.cpu.compiling import jit
from schnet_calc.kernels.cpu.cubic_pairs import convolve, convolve_adjoint, pull_together
from schnet_calc.kernels.cpu.dense import Array, Layers, dense, dense_adjoint
from schnet_calc.kernels.cpu.structure import clear, copy, multiply, scale


class Pairs(NamedTuple):
    """All pairs of a batch, structure after structure."""

    near: Array
    """uint32 (P, 2) atoms"""
    knot: Array
    """uint32 (P,) row of the table"""
    w: Array
    """(P, 8) weights of four rows, for values and slopes"""
    unit: Array
    """(P, 3) from i to j"""
    length: Array
    """(P,) Å"""
    share: Array
    """(N,) 1 / number of neighbours, which sums are multiplied by; or (0,) where they aren't"""
    system: NDArray[np.int64]
    """(N,) structure of each atom"""
    tiles: NDArray[np.int64]
    """(tiles + 1, 2) where the atoms and the pairs of each tile begin"""


class Network(NamedTuple):
    """What the blocks compute with."""

    tables: Array
    """(n_tables, rows, K) coefficients of the filters"""
    layers: Layers
    """Three of each block: before the convolution, behind it, behind the activation"""
    activation: int
    """Its number"""


class Tape(NamedTuple):
    """What the blocks leave for the way back; T blocks, N atoms."""

    x: Array
    """(T + 1, N, F) features before each block, and the last ones"""
    y: Array
    """(T, N, K) before the convolution"""
    v: Array
    """(T, N, K) behind it"""
    a: Array
    """(T, N, F) before the activation"""
    h: Array
    """(T, N, F) behind it"""
    slope: Array
    """(T, N, F) its derivative"""


class Adjoints(NamedTuple):
    """Derivatives of the energy."""

    x: Array
    """(T, N, F) by the features behind each block"""
    g: Array
    """(T, N, K) by the sum over neighbours"""
    p: Array
    """(T, N, F) by h"""
    q: Array
    """(T, N, F) by a"""
    u: Array
    """(T, N, K) by y"""
    s: Array
    """(P,) by the distances"""


@jit
def forwards(me, pairs, network, tape):  # type: ignore[no-untyped-def]
    """Fill the tape from its first features x (N, F)."""
    n_blocks, n_tables, layers = tape.y.shape[0], network.tables.shape[0], network.layers
    for tile in range(me.part, pairs.tiles.shape[0] - 1, me.n_parts):
        (a, p), (b, q) = pairs.tiles[tile], pairs.tiles[tile + 1]
        for t in range(n_blocks):
            x, v, h = tape.x[t, a:b], tape.v[t, a:b], tape.h[t, a:b]
            dense(x, layers, 3 * t, tape.y[t, a:b], False)
            clear(v)
            convolve((p, q), pairs, network.tables[t % n_tables], tape.y[t], tape.v[t])
            scale(v, pairs.share[a:b])
            dense(v, layers, 3 * t + 1, h, False)
            copy(h, tape.a[t, a:b])
            activate(h, tape.slope[t, a:b], network.activation)
            copy(x, tape.x[t + 1, a:b])
            dense(h, layers, 3 * t + 2, tape.x[t + 1, a:b], True)
    wait(me, 0)


@jit
def slopes(me, pairs, network, tape, adjoints, forces, virials):  # type: ignore[no-untyped-def]
    """Fill adjoints from the derivative by the last features, adjoints.x[-1], and zeros, adjoints.s; then pull."""
    n_blocks, n_tables, layers = tape.y.shape[0], network.tables.shape[0], network.layers
    for tile in range(me.part, pairs.tiles.shape[0] - 1, me.n_parts):
        (a, p), (b, q) = pairs.tiles[tile], pairs.tiles[tile + 1]
        for t in range(n_blocks - 1, -1, -1):
            gx, by_a, u = adjoints.x[t, a:b], adjoints.q[t, a:b], adjoints.u[t, a:b]
            dense_adjoint(gx, layers, 3 * t + 2, by_a, False)
            copy(by_a, adjoints.p[t, a:b])
            multiply(by_a, tape.slope[t, a:b])
            dense_adjoint(by_a, layers, 3 * t + 1, adjoints.g[t, a:b], False)
            scale(adjoints.g[t, a:b], pairs.share[a:b])
            clear(u)
            table = network.tables[t % n_tables]
            convolve_adjoint((p, q), pairs, table, tape.y[t], adjoints.g[t], adjoints.u[t], adjoints.s)
            if t > 0:
                copy(gx, adjoints.x[t - 1, a:b])
                dense_adjoint(u, layers, 3 * t, adjoints.x[t - 1, a:b], True)
        pull_together((p, q), pairs, adjoints.s, forces, virials)
    wait(me, 0)
