"""Distributions of any molecule, over the ranges that it visits."""

from collections.abc import Sequence

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.analysis.distances import diameters, distribution, pair_distances, radial_distribution
from schnet_calc.analysis.fullerene import Distributions


def molecule_distributions(
    replicas: Sequence[Sequence[ase.Atoms]], pairs: NDArray[np.int64]
) -> Distributions:
    """Lengths of given bonds, diameter and radial distribution.

    Parameters
    ----------
    replicas : sequence of sequences of Atoms
        Frames in the order of time: one trajectory, or that of every bead.
    pairs : array
        (B, 2) bonded atoms; at least one.

    Raises
    ------
    ValueError
        There are no bonds, or too few frames for errors.
    """
    if not len(pairs):
        raise ValueError("distributions of bond lengths need bonds, and this molecule has none")
    n_atoms = len(replicas[0][0])
    distances = np.array([pair_distances(frames) for frames in replicas])
    place = np.zeros((n_atoms, n_atoms), dtype=int)
    i, j = np.triu_indices(n_atoms, 1)
    place[i, j] = place[j, i] = np.arange(len(i))
    lengths = np.hstack([d[:, place[pairs[:, 0], pairs[:, 1]]] for d in distances])
    widths = np.hstack([diameters(d) for d in distances])
    return Distributions(
        nearest=distribution(lengths, *_range(lengths)),
        diameter=distribution(widths, *_range(widths), bins=80),
        radial=radial_distribution(np.hstack(list(distances)), n_atoms, float(distances.max()) + 0.1),
        n_frames=len(replicas[0]),
    )


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    margin = 0.05 * float(np.ptp(values)) + 1e-3
    return float(values.min()) - margin, float(values.max()) + margin
