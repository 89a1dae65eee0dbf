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

from schnet_calc.kernels.cpu.arrays import NearPairs
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
from schnet_calc.structures.neighbors import HalfPairs

Array = NDArray[Any]


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
    """Return space for so many own atoms, and so many with their guests.

    Parameters
    ----------
    weights : Weights
        Of the network, for its widths.
    n_own, n_rows : int
        n own atoms, and N with their guests.
    """
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
def begin(positions, i, j, home, numbers, weights, fields):  # type: ignore[no-untyped-def]
    """Return the fields of :class:`NearPairs`, and the closest of all pairs; fill the first features.

    Positions (M, 3) are those of atoms and of their images, home (M,) is the row that each belongs to, and
    numbers (N,) are the rows' elements.
    """
    n_listed = i.shape[0]
    room = carve(np.empty(words(n_listed, weights.embedding.itemsize)), n_listed, weights.embedding)
    listed = HalfPairs(i, j, np.broadcast_to(np.zeros((1, 3)), (n_listed, 3)))
    pairs, closest, shortest = geometry(positions, listed, weights, room)
    near, s = pairs.near, pairs.s
    for p in range(near.shape[0]):
        s[p] = 0
        near[p, 0] = home[near[p, 0]]
        near[p, 1] = home[near[p, 1]]
    _share_out(near, fields.share)
    look_up(weights.embedding, numbers, fields.x)
    look_up(weights.lifted, numbers, fields.ys[0])
    # One after the other: shipped code returns no tuples in tuples.
    return near, pairs.knot, pairs.w, pairs.unit, pairs.length, s, closest, shortest


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
    convolve(pairs, table, fields.ys[t], fields.sums)
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
        convolve_adjoint(pairs, table, fields.ys[t], fields.g, fields.sums)
    else:
        convolve_slopes(pairs, table, fields.ys[t], fields.g)
        clear(forces)
        clear(virial)
        pull_together(pairs, forces, virial)


def start(
    positions: Array, i: Array, j: Array, home: Array, numbers: Array, weights: Weights, fields: Fields
) -> tuple[NearPairs, int, float]:
    """Return the pairs within the cutoff, which of all is closest, and its distance, Å; see :func:`begin`."""
    *pairs, closest, shortest = begin(positions, i, j, home, numbers, weights, fields)
    return NearPairs(*pairs), int(closest), float(shortest)
