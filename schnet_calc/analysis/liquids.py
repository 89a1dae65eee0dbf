"""Pair correlation functions of liquids, classical and of path integrals."""

from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np
from numpy.typing import NDArray
from vesin import ase_neighbor_list


class PairCorrelation(NamedTuple):
    """g(r) between two elements."""

    centers: NDArray[np.float64]
    """(bins,) Å"""
    g: NDArray[np.float64]
    """(bins,), 1 far away."""
    error: NDArray[np.float64]
    """(bins,) standard error, from blocks of time."""

    def first_peak(self) -> tuple[float, float]:
        """Return place (Å) and height of the highest value."""
        k = int(self.g.argmax())
        return float(self.centers[k]), float(self.g[k])


def pair_correlation(
    replicas: Sequence[Sequence[ase.Atoms]],
    elements: tuple[str, str],
    high: float = 6.0,
    bins: int = 150,
    n_blocks: int = 5,
) -> PairCorrelation:
    """Return the density of one element around another, over its mean density.

    Parameters
    ----------
    replicas : sequence of sequences of Atoms
        One trajectory; or those of all beads, whose mean is the distribution of the quantum particles. All
        frames are periodic in three directions and have the same atoms.
    elements : tuple of str
        Such as ``("O", "H")``; neighbours in the same molecule are counted, too.
    high : float
        End of the range, Å.
    bins, n_blocks : int
        Resolution, and blocks of time for the error.

    Raises
    ------
    ValueError
        Frames that are not periodic, no such atoms, or fewer frames than blocks.
    """
    n_frames = min(len(frames) for frames in replicas)
    if n_frames < n_blocks:
        raise ValueError(f"{n_frames} frames are too few for {n_blocks} blocks")
    edges = np.linspace(0.0, high, bins + 1)
    found = np.mean(
        [[_correlation(a, elements, edges) for a in frames[:n_frames]] for frames in replicas], axis=0
    )
    blocks = np.array([block.mean(axis=0) for block in np.array_split(found, n_blocks)])
    error = blocks.std(axis=0, ddof=1) / np.sqrt(n_blocks)
    return PairCorrelation(0.5 * (edges[1:] + edges[:-1]), found.mean(axis=0), error)


def _correlation(
    atoms: ase.Atoms, elements: tuple[str, str], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """g(r) of one frame: pairs in a shell, over those that an ideal gas would have there."""
    if not all(atoms.pbc):
        raise ValueError("a pair correlation function needs frames that are periodic in three directions")
    first, second = (np.array(atoms.symbols) == element for element in elements)
    same = elements[0] == elements[1]
    n_pairs = first.sum() * (second.sum() - same)
    if n_pairs < 1:
        raise ValueError(f"no pairs of {elements[0]} and {elements[1]} in {atoms.get_chemical_formula()}")
    i, j, distances = ase_neighbor_list("ijd", atoms, float(edges[-1]))
    counts = np.histogram(distances[first[i] & second[j]], bins=edges)[0]
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    return np.asarray(counts * atoms.get_volume() / (n_pairs * shells))
