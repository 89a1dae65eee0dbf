"""The pairs of a batch as compiled loops take them: tile by tile, with their places in the filters' tables."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.kernels.cpu.cubic_pairs import geometry
from schnet_calc.kernels.cpu.dense import Array
from schnet_calc.kernels.cpu.envelope import CUTOFFS
from schnet_calc.kernels.cpu.training import Pairs
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.nn import SchNet
from schnet_calc.structures.neighbors import HalfPairs

ROWS = 80
"""Atoms of a tile, about: whole structures."""


def tiled_pairs(
    network: SchNet,
    grid: SplineGrid,
    positions: Tensor,
    i: Tensor,
    j: Tensor,
    shifts: Tensor,
    counts: Tensor,
) -> Pairs:
    """Find where each pair looks into the tables, and which structures are taken together.

    Parameters
    ----------
    network : SchNet
        Its cutoff function and its neighbour average.
    grid : SplineGrid
        Of the tables.
    positions : Tensor
        (N, 3) Å, structure after structure.
    i, j : Tensor
        int64 (P,) atoms of the pairs, in the same order.
    shifts : Tensor
        (P, 3) Å, added to the position of j.
    counts : Tensor
        (B,) atoms of each structure.
    """
    config, kind, n_pairs = network.config, positions.numpy().dtype, len(i)
    pairs = Pairs(
        near=np.empty((n_pairs, 2), np.uint32),
        knot=np.empty(n_pairs, np.uint32),
        w=np.empty((n_pairs, 8), kind),
        unit=np.empty((n_pairs, 3)),
        length=np.empty(n_pairs),
        share=np.empty(0, kind),
        system=np.repeat(np.arange(len(counts)), counts.numpy().astype(int)),
        tiles=_tiles(counts.numpy().astype(int), i.numpy()),
    )
    cutoff = (config.reach, config.cutoff_onset, CUTOFFS[config.cutoff_function])
    geometry(
        positions.numpy(),
        HalfPairs(i.numpy(), j.numpy(), shifts.numpy()),
        (grid.start, grid.spacing, grid.n_intervals),
        (*cutoff, 1.0 / (config.neighbor_average or 1.0)),
        pairs,
    )
    return pairs._replace(share=_shares(pairs, config.reach)) if network.averages else pairs


def _shares(pairs: Pairs, cutoff: float) -> Array:
    """(N,) 1 over the number of neighbours of each atom within the cutoff, Å."""
    counts = np.bincount(pairs.near[pairs.length < cutoff].ravel(), minlength=len(pairs.system))
    return (1.0 / np.maximum(counts, 1)).astype(pairs.w.dtype)


def _tiles(counts: NDArray[np.int64], i: NDArray[np.int64]) -> NDArray[np.int64]:
    """(tiles + 1, 2) first atoms and first pairs of whole structures with about :data:`ROWS` atoms."""
    starts = np.concatenate([[0], np.cumsum(counts)])
    tile = starts[:-1] // ROWS
    firsts = np.concatenate([starts[:-1][np.diff(tile, prepend=-1) > 0], starts[-1:]])
    return np.stack([firsts, np.searchsorted(i, firsts)], axis=1)
