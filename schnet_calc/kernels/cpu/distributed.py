"""A SchNet block by block, for atoms that are shared out among processes.

A process has atoms of its own and sees those of others within the cutoff, its guests. Each block needs the
guests' features before the convolution (K numbers each), and its derivative by them goes back: between the calls of
:func:`forward_block` and :func:`backward_block` the caller exchanges rows. A pair of own atoms counts once, as in
one process; a pair with a guest is convolved on both sides, and each side keeps what belongs to its own atoms.
The guests of the first block need no exchange: their features follow from their elements.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schnet_calc.kernels.cpu.compiling import inner, jit
from schnet_calc.kernels.cpu.dense import aligned, dense, dense_adjoint
from schnet_calc.kernels.cpu.geometry import carve, geometry, words
from schnet_calc.kernels.cpu.pairs import convolve, convolve_adjoint, convolve_slopes, pull_together
from schnet_calc.kernels.cpu.structure import (
    atomwise,
    atomwise_adjoint,
    clear,
    look_up,
    n_blocks_of,
    read_out,
    scale,
)
from schnet_calc.kernels.cpu.weights import Weights

Array = NDArray[Any]


class Near(NamedTuple):
    """The pairs within the cutoff, as :func:`schnet_calc.kernels.cpu.geometry.geometry` finds them."""

    near: Array
    """uint32 (P, 2) rows of the two atoms"""
    knot: Array
    """uint32 (P,) rows of the filters' tables"""
    w: Array
    """(12, >= P) weights of values and slopes"""
    unit: Array
    """(P, 3) from the first to the second"""
    length: Array
    """(P,) Å"""
    slope: Array
    """(P,) derivative of this process's energy by the distance, filled by and by, eV/Å"""


class Fields(NamedTuple):
    """What is kept from block to block: n own atoms in the first rows, N - n guests in those behind."""

    ys: Array
    """(T, N, K) features before the convolutions"""
    sums: Array
    """(N, K) after a convolution; on the way back, the derivative by the features before it"""
    g: Array
    """(N, K) derivative by what the convolution gave; zero for guests"""
    x: Array
    """(n, F) features; on the way back, the derivative by them"""
    slopes: Array
    """(T, n, F) of the activations"""
    share: Array
    """(n,) 1 / number of neighbours, which sums are multiplied by; or (0,) where they aren't"""


def fields_of(weights: Weights, n_own: int, n_rows: int) -> Fields:
    """Return space for so many own atoms, and so many with their guests."""
    n_blocks, n_filters = n_blocks_of.py_func(weights), weights.lifted.shape[1]
    n_features, kind = weights.embedding.shape[1], weights.embedding.dtype
    g = aligned((n_rows, n_filters), kind)
    g[n_own:] = 0.0
    return Fields(
        ys=aligned((n_blocks, n_rows, n_filters), kind),
        sums=aligned((n_rows, n_filters), kind),
        g=g,
        x=aligned((n_own, n_features), kind),
        slopes=aligned((n_blocks, n_own, n_features), kind),
        share=np.empty(n_own if weights.codes.averages else 0, kind),
    )


@jit
def begin(positions, i, j, shifts, home, numbers, weights, fields):  # type: ignore[no-untyped-def]
    """Return distances and unit vectors of the pairs (P,), and the closest of them; fill the first features.

    Positions (M, 3) are those of atoms and of their images, home (M,) is the row that each belongs to, and
    numbers (N,) are the rows' elements.
    """
    space = np.empty(words(i.shape[0], weights.embedding.itemsize))
    near, knot, w, unit, length, s = carve(space, i.shape[0], weights.embedding)
    n, closest, shortest = geometry(positions, i, j, shifts, weights, near, knot, w, unit, length)
    near, knot, unit, length, s = near[:n], knot[:n], unit[:n], length[:n], s[:n]
    for p in range(n):
        s[p] = 0
    for p in range(near.shape[0]):
        near[p, 0] = home[near[p, 0]]
        near[p, 1] = home[near[p, 1]]
    _share_out(near, fields.share)
    look_up(weights.embedding, numbers, fields.x)
    look_up(weights.lifted, numbers, fields.ys[0])
    return near, knot, w, unit, length, s, closest, shortest


@inner
def _share_out(near, share):  # type: ignore[no-untyped-def]
    """Fill 1 over the number of neighbours of own atoms (n,), of which pairs (P, 2) within the cutoff have rows."""
    for n in range(share.shape[0]):
        share[n] = 0.0
    for p in range(near.shape[0] if share.shape[0] > 0 else 0):
        for k in range(2):
            if near[p, k] < share.shape[0]:
                share[near[p, k]] += 1.0
    for n in range(share.shape[0]):
        share[n] = 1.0 / max(share[n], 1.0)


@jit
def forward_block(t, pairs, numbers, weights, fields, energies, grades):  # type: ignore[no-untyped-def]
    """Interaction t: fill own rows of the features before the next convolution, or the energies (n,), eV.

    With the energies come grades (n,), or (0,) where nobody asks for them, of atomic numbers (N,).

    Rows of the guests in ``fields.ys[t]`` have to be there.
    """
    n_own, n_blocks = fields.x.shape[0], fields.ys.shape[0]
    clear(fields.sums)
    table = weights.tables[t % weights.tables.shape[0]]
    convolve(pairs.near, pairs.knot, pairs.w, table, fields.ys[t], fields.sums)
    scale(fields.sums[:n_own], fields.share)
    atomwise(fields.sums[:n_own], t, weights, fields.x, fields.slopes[t])
    if t + 1 < n_blocks:
        dense(fields.x, weights.layers, 3 * (t + 1), fields.ys[t + 1, :n_own], False)
    else:
        summed = np.empty(weights.output.shape[0], weights.output.dtype)
        read_out(fields.x, numbers[:n_own], weights, energies, grades, summed)


@jit
def backward_block(t, pairs, weights, fields, forces, virial):  # type: ignore[no-untyped-def]
    """The way back through interaction t: fill ``fields.sums``, or at last forces (N, 3) and virial (3, 3).

    What other processes have in their guests' rows of ``fields.sums`` has to be added to own rows before the
    next call, and at last what they have in those of the forces.
    """
    n_own, n_blocks = fields.x.shape[0], fields.ys.shape[0]
    if t + 1 < n_blocks:
        dense_adjoint(fields.sums[:n_own], weights.layers, 3 * (t + 1), fields.x, True)
    atomwise_adjoint(fields.x, t, weights, fields.slopes[t], fields.g[:n_own])
    scale(fields.g[:n_own], fields.share)
    table = weights.tables[t % weights.tables.shape[0]]
    if t > 0:
        clear(fields.sums)
        convolve_adjoint(
            pairs.near, pairs.knot, pairs.w, table, fields.ys[t], fields.g, fields.sums, pairs.slope
        )
    else:
        convolve_slopes(pairs.near, pairs.knot, pairs.w, table, fields.ys[t], fields.g, pairs.slope)
        clear(forces)
        clear(virial)
        pull_together(pairs.near, pairs.slope, pairs.unit, pairs.length, forces, virial)


def start(
    positions: Array, i: Array, j: Array, home: Array, numbers: Array, weights: Weights, fields: Fields
) -> tuple[Near, int, float]:
    """Return the pairs within the cutoff, which of all is closest, and its distance, Å; see :func:`begin`."""
    nothing = np.broadcast_to(np.zeros((1, 3)), (len(i), 3))
    *pairs, closest, shortest = begin(positions, i, j, nothing, home, numbers, weights, fields)
    return Near(*pairs), int(closest), float(shortest)
