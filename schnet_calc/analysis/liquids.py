"""Pair correlation functions of liquids, classical and of path integrals."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np
from numpy.typing import NDArray
from vesin import ase_neighbor_list

from schnet_calc.analysis.averages import error_over_blocks

logger = logging.getLogger(__name__)


class PairCorrelation(NamedTuple):
    """g(r) between two elements."""

    centers: NDArray[np.float64]
    """(bins,) Å"""
    g: NDArray[np.float64]
    """(bins,), 1 far away."""
    error: NDArray[np.float64]
    """(bins,) standard error, from blocks of time; no numbers where the run is too short for errors."""

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
        End of the range, Å; no further than an atom's own nearest image, whose distance never changes. What lies
        beyond half of that is shaped by the period, not by the liquid, and is named in the log.
    bins, n_blocks : int
        Resolution, and blocks of time for the error.

    Raises
    ------
    ValueError
        Frames that are not periodic, no such atoms, fewer frames than blocks, or a range that reaches an atom's own
        images.
    """
    n_frames = min(len(frames) for frames in replicas)
    if n_frames < n_blocks:
        raise ValueError(f"{n_frames} frames are too few for {n_blocks} blocks")
    _check_range(replicas, n_frames, high)
    edges = np.linspace(0.0, high, bins + 1)
    found = np.mean(
        [[_correlation(a, elements, edges) for a in frames[:n_frames]] for frames in replicas], axis=0
    )
    blocks = np.array([block.mean(axis=0) for block in np.array_split(found, n_blocks)])
    mean = found.mean(axis=0)
    within = (found * np.diff(edges**3))[:, : int(mean.argmax()) + 1].sum(
        axis=1
    )  # neighbours up to the peak
    return PairCorrelation(0.5 * (edges[1:] + edges[:-1]), mean, error_over_blocks(within, blocks))


def _check_range(replicas: Sequence[Sequence[ase.Atoms]], n_frames: int, high: float) -> None:
    """Refuse a range in which atoms see their own images; say where the period begins to show."""
    cells = [frames[k].cell for frames in replicas for k in range(n_frames) if frames[k].pbc.all()]
    if not cells:
        return
    nearest = min(cell.minkowski_reduce()[0].lengths().min() for cell in cells)
    if high > nearest:
        raise ValueError(
            f"high = {high:g} Å reaches an atom's own images, {nearest:.2f} Å away: choose a shorter range or a "
            "larger cell"
        )
    if high > 0.5 * nearest:
        logger.warning(
            "beyond %.2f Å, half of the cell's period, g(r) is that of images, too", 0.5 * nearest
        )


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
