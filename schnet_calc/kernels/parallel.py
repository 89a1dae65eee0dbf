"""A whole SchNet for one large structure: its pairs and rows shared among threads."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schnet_calc.kernels.activation import activate
from schnet_calc.kernels.structure import (
    Weights,
    convolve,
    convolve_adjoint,
    geometry,
    pull_together,
    read_out,
)

Array = NDArray[Any]


def evaluate_parts(
    numbers: Array,
    positions: Array,
    i: Array,
    j: Array,
    shifts: Array,
    weights: Weights,
    energies: Array,
    forces: Array,
    virial: Array,
    pool: Executor,
    n_parts: int,
) -> tuple[int, float]:
    """The same as :func:`~schnet_calc.kernels.structure.evaluate`, on several threads.

    Every thread takes a range of the pairs and adds to features of its own, which are then summed:
    memory grows with threads times atoms, not with the pairs. What returns arrays runs on a thread even
    alone: signals are for the main one.
    """
    kind = weights.embedding.dtype
    pairs = pool.submit(geometry, positions, i, j, shifts, weights)
    near, knot, w, unit, length, closest, shortest = pairs.result()
    n_pairs = len(near)
    edges = np.linspace(0, n_pairs, n_parts + 1).astype(int)

    def on_threads(work: Callable[[int, int, Array], None], shape: tuple[int, ...]) -> Array:
        sums = [np.zeros(shape, kind) for _ in range(n_parts)]
        list(pool.map(work, edges[:-1], edges[1:], sums))
        for other in sums[1:]:
            sums[0] += other
        return sums[0]

    x = weights.embedding[numbers]
    tape = []
    for t in range(len(weights.dense)):
        table = weights.tables[t % len(weights.tables)]
        y = x @ weights.dense_t[t, 0] + weights.bias[t, 0]

        def forward(first: int, last: int, v: Array, table: Array = table, y: Array = y) -> None:
            convolve(near, knot, w, first, last, table, y, v)

        a = on_threads(forward, x.shape) @ weights.dense_t[t, 1] + weights.bias[t, 1]
        h, logistic = np.empty_like(a), np.empty_like(a)
        list(pool.map(activate, _rows(a, n_parts), _rows(h, n_parts), _rows(logistic, n_parts)))
        x = x + h @ weights.dense_t[t, 2] + weights.bias[t, 2]
        tape.append((table, y, logistic))
    gx = pool.submit(read_out, x, weights, energies).result()
    s = np.zeros(n_pairs, kind)
    for t, (table, y, logistic) in reversed(list(enumerate(tape))):
        g = (gx @ weights.dense[t, 2] * logistic) @ weights.dense[t, 1]

        def backward(
            first: int, last: int, u: Array, table: Array = table, y: Array = y, g: Array = g
        ) -> None:
            convolve_adjoint(near, knot, w, first, last, table, y, g, u, s)

        gx = gx + on_threads(backward, x.shape) @ weights.dense[t, 0]
    pull_together(near, s, unit, length, forces, virial)
    return closest, shortest


def _rows(x: Array, n_parts: int) -> list[Array]:
    """Views of an array in parts."""
    return np.array_split(x, n_parts)
