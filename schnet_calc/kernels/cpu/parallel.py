"""Structures on one thread or several: one by all of them, or many that they take in turn."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schnet_calc.kernels.cpu.barrier import barrier
from schnet_calc.kernels.cpu.dense import aligned
from schnet_calc.kernels.cpu.structure import evaluate
from schnet_calc.kernels.cpu.threads import team
from schnet_calc.kernels.cpu.weights import Weights

Array = NDArray[Any]


class Prepared(NamedTuple):
    """A structure with its pairs, which may reach beyond the cutoff."""

    numbers: Array
    """int64 (N,)"""
    positions: Array
    """(N, 3) Å"""
    i: Array
    """int64 (P,)"""
    j: Array
    """int64 (P,)"""
    shifts: Array
    """(P, 3) Å"""


class Evaluated(NamedTuple):
    """What a network says of a structure, all float64."""

    energies: Array
    """(N,) eV"""
    forces: Array
    """(N, 3) eV/Å"""
    virial: Array
    """(3, 3) eV"""
    closest: int
    """The pair of smallest distance; without meaning if there is none."""
    shortest: float
    """Its distance, Å; infinite if there is none."""


def evaluate_one(structure: Prepared, weights: Weights, n_parts: int) -> Evaluated:
    """With several threads for one structure.

    Each takes a range of the pairs and adds to features of its own, which are then summed: memory grows
    with threads times atoms, not with the pairs.
    """
    n_atoms = len(structure.numbers)
    energies, forces = np.empty(n_atoms), np.empty((n_parts, n_atoms, 3))
    virials, nearest = np.empty((n_parts, 3, 3)), np.empty((n_parts, 2))
    starts = (np.array([0, n_atoms]), np.array([0, len(structure.i)]))
    shared = aligned(
        (len(weights.dense) + 1 + n_parts, n_atoms, weights.embedding.shape[1]), weights.dense.dtype
    )
    done = _run(n_parts, *starts, *structure, weights, shared, energies, forces, virials, nearest)
    if not done:
        return evaluate_one(structure, weights, 1)
    closest, shortest = min(nearest.tolist(), key=lambda pair: pair[1])
    if n_parts > 1:
        return Evaluated(energies, forces.sum(0), virials.sum(0), int(closest), shortest)
    return Evaluated(energies, forces[0], virials[0], int(closest), shortest)


def evaluate_many(structures: Sequence[Prepared], weights: Weights, n_parts: int) -> list[Evaluated]:
    """With each structure on a thread of its own, as many at a time as there are parts."""
    starts = [np.cumsum([0, *(len(arrays[k]) for arrays in structures)]) for k in (0, 2)]
    joined = [np.concatenate(arrays) for arrays in zip(*structures, strict=True)]
    n_atoms, count = len(joined[0]), len(structures)
    energies, forces = np.empty(n_atoms), np.empty((1, n_atoms, 3))
    virials, nearest = np.empty((count, 3, 3)), np.empty((count, 2))
    shared = aligned((len(weights.dense) + 1 + n_parts, 0, weights.embedding.shape[1]), weights.dense.dtype)
    if not _run(n_parts, *starts, *joined, weights, shared, energies, forces, virials, nearest):
        return evaluate_many(structures, weights, 1)
    rows = [slice(a, b) for a, b in zip(starts[0][:-1], starts[0][1:], strict=True)]
    return [
        Evaluated(energies[r], forces[0, r], virials[k], int(nearest[k, 0]), float(nearest[k, 1]))
        for k, r in enumerate(rows)
    ]


def _run(n_parts: int, *arguments: Any) -> bool:
    """Whether there was a team for it."""
    turns = np.zeros(1, np.int64)
    if n_parts == 1:
        evaluate(0, barrier(), turns, *arguments)
        return True
    return team().run(evaluate, n_parts, turns, *arguments)
