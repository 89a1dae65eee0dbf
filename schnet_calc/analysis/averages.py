"""Means of series in time, with statistical errors that know how long the series remembers."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
N_BLOCKS = 10
FEWEST = 20
"""Independent values from which on a series has an error: with fewer its correlation time comes out too short."""
WINDOW = 5.0
"""Correlation times up to which the correlation function is summed (A. Sokal, in Functional Integration, 1997)."""


class Estimate(NamedTuple):
    """A mean and its standard error."""

    value: float
    error: float
    """No number where the series is too short for one."""
    independent: float = math.nan
    """About so many independent values the series holds."""

    def __str__(self) -> str:
        """Both to the second digit of the error, or why there is none."""
        if math.isnan(self.error):
            few = "too few" if math.isnan(self.independent) else f"about {self.independent:.0f} independent"
            return f"{self.value:.4g} ({few} values: too short a run for an error)"
        digits = 4 if not self.error > 0 else min(max(1 - math.floor(math.log10(self.error)), 0), 9)
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"

    def to_dict(self) -> dict[str, float | None]:
        """Return plain values for JSON, which knows no NaN: null for an error that isn't known."""
        return {"value": self.value, "error": None if math.isnan(self.error) else self.error}

    def __mul__(self, factor: float) -> "Estimate":  # type: ignore[override]
        """Return the estimate in another unit."""
        return Estimate(self.value * factor, self.error * abs(factor), self.independent)


def correlation_time(values: FloatArray) -> float:
    """Return the integrated autocorrelation time of a series (M,), in steps: 1/2 where its values are independent.

    The sum over the autocorrelation function ends at :data:`WINDOW` times itself.
    """
    deviations = np.asarray(values, dtype=float) - np.mean(values)
    n = len(deviations)
    spectrum = np.fft.rfft(deviations, 2 * n)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2)[:n]
    if not covariance[0] > 1e-24 * n * np.mean(values) ** 2:  # a constant
        return 0.5
    sums = np.cumsum(covariance / covariance[0]) - 0.5
    enough = np.flatnonzero(np.arange(n) >= WINDOW * sums)
    return max(float(sums[enough[0] if len(enough) else -1]), 0.5)


def independent_values(values: FloatArray) -> float:
    """Return the number of independent values that would know the mean of a series (M,) as well as it does."""
    return len(values) / (2.0 * correlation_time(values))


def mean_with_error(values: FloatArray) -> Estimate:
    """Return the mean of a series (M,) and its standard error, from the autocorrelation time.

    The variance of the mean is that of the values over the number of independent ones. No error is given below
    :data:`FEWEST` of those.
    """
    values = np.asarray(values, dtype=float)
    mean, count = float(values.mean()), independent_values(values)
    if count < FEWEST:
        return Estimate(mean, math.nan, count)
    return Estimate(mean, float(np.sqrt(values.var() / (count - 1.0))), count)


def blocks_of(values: FloatArray, n_blocks: int) -> list[FloatArray]:
    """Return a series (M,), in any unit, cut into blocks of the same length, within one.

    Raises
    ------
    ValueError
        There are fewer values than blocks.
    """
    if len(values) < n_blocks:
        raise ValueError(f"{len(values)} values are too few for {n_blocks} blocks")
    return np.array_split(np.asarray(values, dtype=float), n_blocks)


def error_over_blocks(series: FloatArray, blocks: FloatArray) -> FloatArray:
    """Return the standard error (...) of what blocks of time (n, ...) have, no numbers where they are too short.

    Parameters
    ----------
    series : array
        (M,), in the order of time, of what remembers longest: below :data:`FEWEST` independent values there is no
        error.
    blocks : array
        (n, ...) of equal length.
    """
    error = np.asarray(blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks)))
    return error if independent_values(series) >= FEWEST else np.full_like(error, np.nan)


def mean_of_independent(values: FloatArray) -> Estimate:
    """Return the mean of independent values (R,), and its error from their scatter, no number for a single one."""
    n = len(values)
    error = float(np.std(values, ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return Estimate(float(np.mean(values)), error, float(n))
