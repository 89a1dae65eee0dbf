"""Which of many structures are worth a label: those farthest from all that is known."""

from collections.abc import Sequence

import ase
import numpy as np
from numpy.typing import NDArray

NEAR_COPY = 0.01
"""Root mean square of relative differences of distances below which two structures are the same."""


def fingerprint(atoms: ase.Atoms) -> NDArray[np.float64]:
    """Return the logarithms of all interatomic distances, sorted within each pair of elements.

    Translations, rotations and exchange of equal atoms leave it as it is; the logarithm weighs bonds, which
    change little, like the distances across the molecule, which change much.

    Returns
    -------
    array
        (pairs,), of distances in units of Å.
    """
    i, j = np.triu_indices(len(atoms), 1)
    distances = atoms.get_all_distances(mic=bool(atoms.pbc.any()))[i, j]
    numbers = atoms.numbers
    low, high = np.minimum(numbers[i], numbers[j]), np.maximum(numbers[i], numbers[j])
    order = np.lexsort((distances, high, low))
    return np.asarray(np.log(np.maximum(distances[order], 1e-3)))


def choose_diverse(
    candidates: Sequence[ase.Atoms], known: Sequence[ase.Atoms], count: int, least: float = NEAR_COPY
) -> list[int]:
    """Choose structures one by one, each the farthest from all known and chosen ones of its composition.

    Parameters
    ----------
    candidates : sequence of Atoms
        To choose from.
    known : sequence of Atoms
        What is labelled already.
    count : int
        How many, at most.
    least : float
        Distance from the nearest known or chosen structure below which there is nothing new.

    Returns
    -------
    list of int
        Indices, the farthest first.
    """
    if not candidates:
        return []
    groups = _by_composition(candidates)
    seen = _by_composition(known)
    prints = [fingerprint(atoms) for atoms in candidates]
    distances = np.full(len(candidates), np.inf)
    for name, members in groups.items():
        those = [fingerprint(known[k]) for k in seen.get(name, [])]
        if those:
            distances[members] = _nearest(np.array([prints[k] for k in members]), np.array(those))
    member_of = {k: members for members in groups.values() for k in members}
    chosen: list[int] = []
    while len(chosen) < count:
        best = int(distances.argmax())
        if not distances[best] > least:
            break
        chosen.append(best)
        same = member_of[best]
        near = _nearest(np.array([prints[k] for k in same]), prints[best][None, :])
        distances[same] = np.minimum(distances[same], near)
        distances[best] = -np.inf
    return chosen


def _by_composition(structures: Sequence[ase.Atoms]) -> dict[bytes, list[int]]:
    groups: dict[bytes, list[int]] = {}
    for k, atoms in enumerate(structures):
        groups.setdefault(np.sort(atoms.numbers).tobytes(), []).append(k)
    return groups


def _nearest(prints: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(A, D) and (B, D) fingerprints -> (A,) root mean square differences to the nearest of B."""
    if not prints.shape[1]:
        return np.zeros(len(prints))
    squares = (prints**2).sum(1)[:, None] + (others**2).sum(1)[None, :] - 2.0 * prints @ others.T
    return np.asarray(np.sqrt(np.maximum(squares.min(axis=1), 0.0) / prints.shape[1]))
