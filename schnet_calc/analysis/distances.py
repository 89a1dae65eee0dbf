"""Distributions of distances along a trajectory (thesis Fig. 5.6), with errors from block averages."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.analysis.averages import error_over_blocks, mean_with_error

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """A probability density over a distance."""

    centers: FloatArray
    """(bins,) Å"""
    density: FloatArray
    """(bins,) 1/Å; the share of values outside of the bins is what is missing from an area of one"""
    error: FloatArray
    """(bins,) 1/Å: standard error over blocks of the trajectory; no numbers where it is too short for errors."""
    mean: float
    """Å"""
    mean_error: float
    """Å: standard error of the mean; no number where the trajectory is too short for one."""
    spread: float
    """Å: standard deviation of single values."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "centers_ang": self.centers.tolist(),
            "density_per_ang": self.density.tolist(),
            "error_per_ang": self.error.tolist(),
            "mean_ang": self.mean,
            "mean_error_ang": self.mean_error,
            "spread_ang": self.spread,
        }


def pair_distances(frames: Iterable[ase.Atoms]) -> FloatArray:
    """(M, N (N - 1) / 2) distances of all pairs of a molecule, Å."""
    rows = []
    for atoms in frames:
        i, j = np.triu_indices(len(atoms), 1)
        rows.append(np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1))
    return np.array(rows)


def nearest_neighbors(distances: FloatArray, n_atoms: int, n_nearest: int = 3) -> FloatArray:
    """(M, N * n_nearest) distances of every atom to its nearest neighbours, Å.

    Parameters
    ----------
    distances : array
        (M, pairs) Å.
    n_atoms : int
        N.
    n_nearest : int
        Neighbours of each.
    """
    i, j = np.triu_indices(n_atoms, 1)
    square = np.full((len(distances), n_atoms, n_atoms), np.inf)
    square[:, i, j] = square[:, j, i] = distances
    nearest: FloatArray = np.sort(square, axis=2)[:, :, :n_nearest]
    return nearest.reshape(len(distances), -1)


def diameters(distances: FloatArray) -> FloatArray:
    """(M, 1) largest distance between two atoms, Å."""
    return np.asarray(distances.max(axis=1, keepdims=True))


def distribution(
    values: FloatArray, low: float, high: float, bins: int = 120, n_blocks: int = 5
) -> Distribution:
    """Histogram of values per frame as a density, with the standard error over blocks of time.

    All values count, also those outside of the bins: a range that cuts values off doesn't raise what is inside.

    Parameters
    ----------
    values : array
        (M, n): n values of each of M frames in the order of time, Å.
    low, high : float
        Range of the bins, Å.
    bins, n_blocks : int
        Resolution, and blocks of the error estimate.

    Raises
    ------
    ValueError
        There are fewer frames than blocks.
    """
    if len(values) < n_blocks:
        raise ValueError(f"{len(values)} frames are too few for {n_blocks} blocks")
    edges = np.linspace(low, high, bins + 1)
    densities = np.array([_density(block, edges) for block in np.array_split(values, n_blocks)])
    frames = values.mean(axis=1)
    mean = mean_with_error(frames)
    return Distribution(
        centers=0.5 * (edges[1:] + edges[:-1]),
        density=_density(values, edges),
        error=error_over_blocks(frames, densities),
        mean=mean.value,
        mean_error=mean.error,
        spread=float(values.std()),
    )


def _density(values: FloatArray, edges: FloatArray) -> FloatArray:
    return np.asarray(np.histogram(values, bins=edges)[0] / (values.size * np.diff(edges)))


def radial_distribution(
    distances: FloatArray, n_atoms: int, high: float, bins: int = 200, n_blocks: int = 5
) -> Distribution:
    """Radial distribution of a molecule: density of pair distances over 4 pi r² per atom.

    An isolated molecule has no bulk density to divide by, so the integral of ``4 pi r² g(r)`` to a distance is the
    number of neighbours within it: ``N - 1`` where the range holds all.

    Parameters
    ----------
    distances : array
        (M, P) from :func:`pair_distances`.
    n_atoms : int
        N.
    high : float
        End of the range, Å.
    """
    plain = distribution(distances, 0.0, high, bins, n_blocks)
    edges = np.linspace(0.0, high, bins + 1)
    scale = (n_atoms - 1) * np.diff(edges) / (4.0 / 3.0 * np.pi * np.diff(edges**3))
    return replace(plain, density=plain.density * scale, error=plain.error * scale)
