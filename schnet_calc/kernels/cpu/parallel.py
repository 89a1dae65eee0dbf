"""Structures on one thread or several: one by all of them, or many that they take in turn."""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from schnet_calc.kernels.cpu.arrays import Array, PairedStructures, Results
from schnet_calc.kernels.cpu.barrier import ALONE, Member
from schnet_calc.kernels.cpu.dense import aligned
from schnet_calc.kernels.cpu.geometry import words
from schnet_calc.kernels.cpu.structure import evaluate, n_blocks_of
from schnet_calc.kernels.cpu.threads import team
from schnet_calc.kernels.cpu.weights import Weights

MOST_KEPT = 2**23
"""Numbers of eight bytes that a thread keeps in any case; more if its next structure needs half of it."""
_LAST = threading.local()


class Evaluated(NamedTuple):
    """What a network says of a structure, all float64 but features and sums."""

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
    features: Array
    """(N, F) of the atoms after all interactions, padded; (0, F) if they weren't asked for."""
    grades: Array
    """(N,) how far the atoms are from the training data; (0,) without statistics of these."""
    summed: Array
    """(H,) sum over atoms of the last hidden layer, padded; without meaning if there are no grades."""


def evaluate_one(
    structure: PairedStructures, weights: Weights, n_parts: int, features: bool = False
) -> Evaluated:
    """Evaluate with several threads for one structure.

    Each takes a range of the pairs and adds to sums of its own, which are then added up: memory grows
    with threads times atoms, not with the pairs.

    Parameters
    ----------
    structure : PairedStructures
        N atoms and their pairs.
    weights : Weights
        Of the network.
    n_parts : int
        Threads.
    features : bool
        Whether the last features are wanted.
    """
    n_atoms = len(structure.numbers)
    results = _results(n_atoms, n_parts, n_parts, weights, features)
    starts = (np.array([0, n_atoms]), np.array([0, len(structure.i)]))
    shared = _shared(weights, n_parts, n_atoms)
    space = _space(n_parts, words.py_func(-(-len(structure.i) // n_parts), weights.embedding.itemsize))
    if not _run(n_parts, starts, structure, weights, shared, space, results):
        return evaluate_one(structure, weights, 1, features)
    closest, shortest = min(results.nearest.tolist(), key=lambda pair: pair[1])
    forces, virial = results.forces[0], results.virials[0]
    if n_parts > 1:
        forces, virial = results.forces.sum(0), results.virials.sum(0)
    summed = results.summed[0] if n_parts == 1 else results.summed.sum(0)
    return Evaluated(
        results.energies,
        forces,
        virial,
        int(closest),
        shortest,
        results.features,
        results.grades,
        summed,
    )


def evaluate_many(
    structures: Sequence[PairedStructures], weights: Weights, n_parts: int, features: bool = False
) -> list[Evaluated]:
    """Evaluate each structure on a thread of its own, as many at a time as there are parts.

    Parameters
    ----------
    structures : sequence of PairedStructures
        Atoms and their pairs.
    weights, n_parts, features
        As for :func:`evaluate_one`.
    """
    starts = tuple(np.cumsum([0, *(len(arrays[k]) for arrays in structures)]) for k in (0, 2))
    joined = PairedStructures(*(np.concatenate(arrays) for arrays in zip(*structures, strict=True)))
    results = evaluate_joined(joined, starts, weights, n_parts, features)
    rows = [slice(a, b) for a, b in zip(starts[0][:-1], starts[0][1:], strict=True)]
    return [
        Evaluated(
            results.energies[r],
            results.forces[0, r],
            results.virials[k],
            int(results.nearest[k, 0]),
            float(results.nearest[k, 1]),
            results.features[r],
            results.grades[r],
            results.summed[k],
        )
        for k, r in enumerate(rows)
    ]


def evaluate_joined(
    joined: PairedStructures,
    starts: tuple[Array, ...],
    weights: Weights,
    n_parts: int,
    features: bool = False,
) -> Results:
    """The same for structures that lie in one array each.

    Parameters
    ----------
    joined : PairedStructures
        The structures one after the other; pairs count atoms from the start of their own.
    starts : (array, array)
        (B + 1,) where atoms and pairs of each structure begin, and where the last ones end.
    weights, n_parts, features
        As for :func:`evaluate_one`.
    """
    results = _results(len(joined.numbers), 1, len(starts[0]) - 1, weights, features)
    shared = _shared(weights, n_parts, 0)
    # Threads make room for the pairs of each structure; what is kept for a single one stays.
    if not _run(n_parts, starts, joined, weights, shared, np.empty((1, 0)), results):
        return evaluate_joined(joined, starts, weights, 1, features)
    return results


def _results(n_atoms: int, n_forces: int, n_virials: int, weights: Weights, features: bool) -> Results:
    return Results(
        energies=np.empty(n_atoms),
        forces=np.empty((n_forces, n_atoms, 3)),
        virials=np.empty((n_virials, 3, 3)),
        nearest=np.empty((n_virials, 2)),
        features=np.empty(
            (n_atoms if features else 0, weights.embedding.shape[1]), weights.embedding.dtype
        ),
        grades=np.empty(n_atoms if len(weights.grading.slots) else 0),
        summed=np.empty((n_virials, len(weights.output)), weights.embedding.dtype),
    )


def _shared(weights: Weights, n_parts: int, n_atoms: int) -> Array:
    n_blocks, n_filters = n_blocks_of.py_func(weights), weights.lifted.shape[1]
    return aligned((n_blocks + 1 + n_parts, n_atoms, n_filters), weights.embedding.dtype)


def _space(n_parts: int, n_words: int) -> Array:
    """Space (parts, words) for pairs, that of the thread's last call where it is large enough."""
    kept: Array | None = getattr(_LAST, "space", None)
    needed = n_parts * n_words
    if kept is None or len(kept) < needed or len(kept) > max(2 * needed, MOST_KEPT):
        kept = _LAST.space = np.empty(needed + needed // 8)
    return kept[:needed].reshape(n_parts, n_words)


def _run(n_parts: int, *arguments: Any) -> bool:
    """Evaluate; whether there was a team for it."""
    turns = np.zeros(1, np.int64)
    if n_parts == 1:
        evaluate(ALONE.part, ALONE.arrivals, turns, *arguments)
        return True
    return team().run(_take_part, n_parts, turns, *arguments)


def _take_part(me: Member, *arguments: Any) -> None:
    evaluate(me.part, me.arrivals, *arguments)
