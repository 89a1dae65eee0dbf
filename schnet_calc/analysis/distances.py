"""Distributions of distances along a trajectory (thesis Fig. 5.6), with errors from block averages."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """A probability density over a distance."""

    centers: FloatArray
    """(bins,) Å"""
    density: FloatArray
    """(bins,) 1/Å"""
    error: FloatArray
    """(bins,) 1/Å: standard error over blocks of the trajectory."""
    mean: float
    """Å"""
    mean_error: float
    """Å: standard error of the mean over blocks."""
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
    """(M, N * n_nearest) distances of every atom to its nearest neighbours, Å."""
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
    """Normalised histogram of values per frame, with the standard error over blocks of time.

    Parameters
    ----------
    values : array
        (M, n): n values of each of M frames in the order of time, Å.
    low, high : float
        Range of the bins, Å.
    bins, n_blocks : int
        Resolution, and blocks of the error estimate; they must be longer than the correlation time.

    Raises
    ------
    ValueError
        There are fewer frames than blocks.
    """
    if len(values) < n_blocks:
        raise ValueError(f"{len(values)} frames are too few for {n_blocks} blocks")
    edges = np.linspace(low, high, bins + 1)
    blocks = np.array_split(values, n_blocks)
    densities = np.array([np.histogram(b, bins=edges, density=True)[0] for b in blocks])
    means = np.array([b.mean() for b in blocks])
    return Distribution(
        centers=0.5 * (edges[1:] + edges[:-1]),
        density=np.histogram(values, bins=edges, density=True)[0],
        error=densities.std(axis=0, ddof=1) / np.sqrt(n_blocks),
        mean=float(values.mean()),
        mean_error=float(means.std(ddof=1) / np.sqrt(n_blocks)),
        spread=float(values.std()),
    )


def radial_distribution(
    distances: FloatArray, n_atoms: int, high: float, bins: int = 200, n_blocks: int = 5
) -> Distribution:
    """Radial distribution of a molecule: density of pair distances over 4 pi r² per atom.

    An isolated molecule has no bulk density to divide by, so the integral of ``4 pi r² g(r)`` is the
    number of neighbours, ``N - 1``.

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
    scale = (n_atoms - 1) / (4.0 * np.pi * plain.centers**2)
    return Distribution(
        plain.centers,
        plain.density * scale,
        plain.error * scale,
        plain.mean,
        plain.mean_error,
        plain.spread,
    )
