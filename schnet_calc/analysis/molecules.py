"""Distributions of distances in molecules: of bonds by their elements, and in a cage of carbon."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.analysis.distances import (
    Distribution,
    diameters,
    distribution,
    nearest_neighbors,
    pair_distances,
    radial_distribution,
)


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


@dataclass(frozen=True)
class Distributions:
    """The three panels of Fig. 5.6."""

    nearest: Distribution
    diameter: Distribution
    radial: Distribution
    n_frames: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "n_frames": self.n_frames,
            "nearest_neighbors": self.nearest.to_dict(),
            "diameter": self.diameter.to_dict(),
            "radial": self.radial.to_dict(),
        }


def dodecahedron(edge: float = 1.45) -> ase.Atoms:
    """C20 as a regular dodecahedron with edges of the given length, Å."""
    golden = (1.0 + np.sqrt(5.0)) / 2.0
    corners = [np.array(c, dtype=float) for c in product((-1, 1), repeat=3)]
    for a, b in product((-1 / golden, 1 / golden), (-golden, golden)):
        corners += [np.array([0, a, b]), np.array([a, b, 0]), np.array([b, 0, a])]
    # With these coordinates the edges have the length 2 / golden.
    return ase.Atoms("C20", np.array(corners) * edge * golden / 2.0)


def distributions(replicas: Sequence[Sequence[ase.Atoms]]) -> Distributions:
    """Nearest neighbours, diameter and radial distribution of C20.

    Parameters
    ----------
    replicas : sequence of sequences of Atoms
        Frames in the order of time: one trajectory, or that of every bead.
    """
    n_atoms = len(replicas[0][0])
    distances = [pair_distances(frames) for frames in replicas]
    nearest = np.hstack([nearest_neighbors(d, n_atoms) for d in distances])
    diameter = np.hstack([diameters(d) for d in distances])
    return Distributions(
        nearest=distribution(nearest, 1.2, 1.8),
        diameter=distribution(diameter, 3.9, 4.7, bins=80),
        radial=radial_distribution(np.hstack(distances), n_atoms, 5.0),
        n_frames=len(replicas[0]),
    )
