"""Means of series in time, with statistical errors from blocks."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
N_BLOCKS = 10


class Estimate(NamedTuple):
    """A mean and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        """Both to the second digit of the error."""
        if math.isnan(self.error):
            return f"{self.value:.4g} (too few values for an error)"
        digits = 4 if not self.error > 0 else min(max(1 - math.floor(math.log10(self.error)), 0), 9)
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"


def block_average(values: FloatArray, n_blocks: int = N_BLOCKS) -> Estimate:
    """Mean of a series (M,) and its standard error over blocks.

    Blocks have to be longer than the correlation time for the error to be honest.

    Raises
    ------
    ValueError
        There are fewer values than blocks.
    """
    blocks = blocks_of(values, n_blocks)
    means = np.array([b.mean() for b in blocks])
    return Estimate(float(np.mean(values)), float(means.std(ddof=1) / np.sqrt(n_blocks)))


def blocks_of(values: FloatArray, n_blocks: int) -> list[FloatArray]:
    """Return a series cut into blocks of the same length, within one.

    Raises
    ------
    ValueError
        There are fewer values than blocks.
    """
    if len(values) < n_blocks:
        raise ValueError(f"{len(values)} values are too few for {n_blocks} blocks")
    return np.array_split(np.asarray(values, dtype=float), n_blocks)


def mean_with_error(values: FloatArray, n_blocks: int = N_BLOCKS) -> Estimate:
    """Return the mean of a series (M,) and its error over blocks, no number where blocks would be of one value."""
    if len(values) < 2 * n_blocks:
        return Estimate(float(np.mean(values)), math.nan)
    return block_average(values, n_blocks)
