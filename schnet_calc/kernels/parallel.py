"""One structure, on one thread or on several that meet in compiled code."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from schnet_calc.kernels.barrier import barrier
from schnet_calc.kernels.dense import aligned
from schnet_calc.kernels.structure import Weights, evaluate_part
from schnet_calc.kernels.threads import team

Array = NDArray[Any]


def evaluate(
    numbers: Array, positions: Array, i: Array, j: Array, shifts: Array, weights: Weights, n_parts: int = 1
) -> tuple[Array, Array, Array, int, float]:
    """Atomic energies (N,), forces (N, 3) and virial (3, 3); index and distance of the closest pair.

    Each part takes a range of the pairs and adds to features of its own, which are then summed: memory
    grows with threads times atoms, not with the pairs.
    """
    n_atoms, n_features = len(numbers), weights.embedding.shape[1]
    n_blocks, kind = len(weights.dense), weights.embedding.dtype
    shared = aligned((n_blocks + 1 + n_parts, n_atoms, n_features), kind)
    energies, forces = np.empty(n_atoms), np.empty((n_parts, n_atoms, 3))
    virials, nearest = np.empty((n_parts, 3, 3)), np.empty((n_parts, 2))
    given = (numbers, positions, i, j, shifts, weights, shared, energies, forces, virials, nearest)
    if n_parts == 1:
        evaluate_part(0, barrier(), *given)
    elif not team().run(evaluate_part, n_parts, *given):
        return evaluate(numbers, positions, i, j, shifts, weights)
    closest, shortest = min(nearest.tolist(), key=lambda pair: pair[1])
    if n_parts > 1:
        return energies, forces.sum(0), virials.sum(0), int(closest), shortest
    return energies, forces[0], virials[0], int(closest), shortest
