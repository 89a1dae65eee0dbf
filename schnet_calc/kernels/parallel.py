"""A whole SchNet for one large structure: its pairs and rows shared among threads."""

from concurrent.futures import Executor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schnet_calc.kernels.dense import aligned, product
from schnet_calc.kernels.structure import (
    Weights,
    atomwise,
    atomwise_adjoint,
    convolve,
    convolve_adjoint,
    geometry,
    lift,
    pull_together,
    read_out,
)

Array = NDArray[Any]


class _Part(NamedTuple):
    """What belongs to one thread: some of the pairs, and some of the rows."""

    near: Array
    knot: Array
    w: Array
    unit: Array
    length: Array
    closest: int
    """Of the pairs that were given; -1 for none."""
    shortest: float
    s: Array
    """Derivatives of the energy by the distances."""
    sums: Array
    """(N, F) what the pairs add to all atoms."""
    rows: slice


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
    memory grows with threads times atoms, not with the pairs. Compiled calls run in the pool even where
    one would do: signals are for the main thread.
    """
    kind, shape = weights.embedding.dtype, (len(numbers), weights.embedding.shape[1])
    n_blocks, n_tables = len(weights.dense), len(weights.tables)

    def prepare(k: int) -> _Part:
        pairs = slice(len(i) * k // n_parts, len(i) * (k + 1) // n_parts)
        found = geometry(positions, i[pairs], j[pairs], shifts[pairs], weights)
        *arrays, closest, shortest = found
        closest = closest + pairs.start if closest >= 0 else -1
        rows = slice(len(numbers) * k // n_parts, len(numbers) * (k + 1) // n_parts)
        s = np.zeros(len(found[0]), kind)
        return _Part(*arrays, closest, shortest, s, aligned(shape, kind), rows)

    parts = list(pool.map(prepare, range(n_parts)))
    x, g = aligned(shape, kind), aligned(shape, kind)
    ys, slopes = aligned((n_blocks, *shape), kind), aligned((n_blocks, *shape), kind)

    def begin(part: _Part) -> None:
        lift(numbers[part.rows], weights, x[part.rows], ys[0, part.rows])

    def gathered(part: _Part) -> Array:
        """What all pairs add to the rows of a part."""
        v = parts[0].sums[part.rows]
        for other in parts[1:]:
            v += other.sums[part.rows]
        return v

    def message(t: int, part: _Part) -> None:
        part.sums[:] = 0
        convolve(part.near, part.knot, part.w, weights.tables[t % n_tables], ys[t], part.sums)

    def update(t: int, part: _Part) -> None:
        r = part.rows
        atomwise(gathered(part), t, weights, x[r], slopes[t, r])
        if t + 1 < n_blocks:
            product(x[r], weights.dense[t + 1, 0], weights.bias[t + 1, 0], ys[t + 1, r], False)
        else:
            read_out(x[r], weights, energies[r], x[r])
            atomwise_adjoint(x[r], t, weights, slopes[t, r], g[r])

    def message_back(t: int, part: _Part) -> None:
        part.sums[:] = 0
        table = weights.tables[t % n_tables]
        convolve_adjoint(part.near, part.knot, part.w, table, ys[t], g, part.sums, part.s)

    def update_back(t: int, part: _Part) -> None:
        r = part.rows
        product(gathered(part), weights.dense_back[t, 0], weights.no_bias, x[r], True)
        if t > 0:
            atomwise_adjoint(x[r], t - 1, weights, slopes[t - 1, r], g[r])

    def pull(part: _Part) -> tuple[Array, Array]:
        found = np.zeros_like(forces), np.zeros_like(virial)
        pull_together(part.near, part.s, part.unit, part.length, *found)
        return found

    steps = [begin]
    for t in range(n_blocks):
        steps += [partial(message, t), partial(update, t)]
    for t in reversed(range(n_blocks)):
        steps += [partial(message_back, t), partial(update_back, t)]
    for step in steps:
        list(pool.map(step, parts))
    pulled = list(pool.map(pull, parts))
    forces[:], virial[:] = sum(f for f, _ in pulled), sum(v for _, v in pulled)
    nearest = min(parts, key=lambda part: part.shortest)
    return nearest.closest, nearest.shortest
