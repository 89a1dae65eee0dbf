"""C20: the cage to start from, and the three distributions of the thesis's Fig. 5.6."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import ase
import numpy as np

from schnet_calc.analysis.distances import (
    Distribution,
    diameters,
    distribution,
    nearest_neighbors,
    pair_distances,
    radial_distribution,
)


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
