"""Distributions of any molecule, over the ranges that it visits."""

from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.analysis.distances import Distribution, distribution, pair_distances, radial_distribution


class BondDistributions(NamedTuple):
    """Lengths of bonds by their elements, and all distances."""

    bonds: dict[str, Distribution]
    """By kind, such as ``"C-H"``"""
    radial: Distribution


def bond_distributions(
    replicas: Sequence[Sequence[ase.Atoms]], pairs: NDArray[np.int64]
) -> BondDistributions:
    """Lengths of given bonds, those of the same elements together, and radial distribution.

    Parameters
    ----------
    replicas : sequence of sequences of Atoms
        Frames in the order of time: one trajectory, or that of every bead.
    pairs : array
        (B, 2) indices of bonded atoms; at least one.

    Raises
    ------
    ValueError
        There are no bonds, or too few frames for errors.
    """
    if not len(pairs):
        raise ValueError("distributions of bond lengths need bonds, and this molecule has none")
    first = replicas[0][0]
    n_atoms = len(first)
    distances = np.array([pair_distances(frames) for frames in replicas])
    place = np.zeros((n_atoms, n_atoms), dtype=int)
    i, j = np.triu_indices(n_atoms, 1)
    place[i, j] = place[j, i] = np.arange(len(i))
    kinds = np.array(["-".join(sorted(first.symbols[pair])) for pair in pairs], dtype=object)
    bonds = {}
    for kind in sorted(set(kinds)):
        these = pairs[kinds == kind]
        lengths = np.hstack([d[:, place[these[:, 0], these[:, 1]]] for d in distances])
        bonds[str(kind)] = distribution(lengths, *_range(lengths))
    radial = radial_distribution(np.hstack(list(distances)), n_atoms, float(distances.max()) + 0.1)
    return BondDistributions(bonds, radial)


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    margin = 0.05 * float(np.ptp(values)) + 1e-3
    return float(values.min()) - margin, float(values.max()) + margin
