"""A spectrum of several replicas, pooled: intensities, bands and peaks with their errors."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks
from scipy.stats import f as ratio_of_variances

from schnet_calc.analysis.averages import Estimate

FloatArray = NDArray[np.float64]
CHANCE = 0.01
"""Probability with which noise alone may make a peak anywhere in a spectrum."""
NEIGHBOURS = 10
"""Values among which the valley beside a peak is the lowest, in units of the resolution."""
FLOOR = 1e-7
"""Share of the largest height that is taken for nothing."""


class Peak(NamedTuple):
    """A maximum of a spectrum."""

    position: float
    """cm⁻¹"""
    width: float
    """cm⁻¹, at half height."""
    height: float
    """Of the largest one."""


def find_peaks_above_noise(
    wavenumbers: FloatArray,
    intensity: FloatArray,
    contributions: FloatArray,
    resolution: float,
    prominence: float,
) -> list[Peak]:
    """Return the maxima that are apart from each other and from the noise.

    The value of a periodogram scatters like a sum of n squared normal pairs, so that the ratio of two values of one
    line has the F distribution with (2 n, 2 n) degrees of freedom. A maximum counts whose ratio to the valleys on
    both its sides is larger than noise makes it anywhere with the probability :data:`CHANCE`.

    Parameters
    ----------
    wavenumbers : array
        (K,) cm⁻¹, evenly spaced.
    intensity : array
        (K,)
    contributions : array
        (K,) n, independent contributions to a value.
    resolution : float
        cm⁻¹, least distance of two peaks.
    prominence : float
        Least one, as a share of the largest height.
    """
    if len(intensity) < 3 or not intensity.max() > 0:
        return []
    step = float(wavenumbers[1] - wavenumbers[0])
    heights = intensity / intensity.max()
    apart = max(1, round(resolution / step))
    places, shape = find_peaks(heights, distance=apart, prominence=prominence, width=0)
    chance = CHANCE * apart / (NEIGHBOURS * len(heights))
    found = []
    for k, left, right, width in zip(
        places, shape["left_bases"], shape["right_bases"], shape["widths"], strict=True
    ):
        valley = left if heights[left] > heights[right] else right
        needed = ratio_of_variances.isf(chance, 2.0 * contributions[k], 2.0 * contributions[k])
        if heights[k] > needed * max(heights[valley], FLOOR):
            found.append(Peak(_vertex(wavenumbers, heights, k), float(width) * step, float(heights[k])))
    return found


def top(x: FloatArray, y: FloatArray) -> float:
    """Return where values (K,) over (K,) even places are largest, between the places."""
    k = int(y.argmax())
    return _vertex(x, y, k) if 0 < k < len(y) - 1 else float(x[k])


def _vertex(x: FloatArray, y: FloatArray, k: int) -> float:
    """The top of the parabola through a maximum and its neighbours."""
    left, top, right = y[k - 1 : k + 2]
    bend = left - 2.0 * top + right
    return float(x[k] + (0.5 * (left - right) / bend if bend else 0.0) * (x[1] - x[0]))


LOWEST = 200.0
"""cm⁻¹ below which nothing counts as a vibration: rotations."""


@dataclass(frozen=True)
class Spectrum:
    """A density over wavenumbers, of one or several replicas.

    Densities of replicas are added and divided once: each counts by what it absorbs, not by the shape of its curve.
    """

    wavenumbers: FloatArray
    """(K,) cm⁻¹"""
    densities: FloatArray
    """(R, K) of each replica per cm⁻¹, in its own unit: K of kinetic temperature, or km/mol."""
    weights: FloatArray
    """(R,) number of windows that each density is the mean of."""
    contributions: FloatArray
    """(K,) number of independent contributions to a value, as the scatter of the windows tells it."""
    resolution: float
    """cm⁻¹: two lines closer than that are one."""

    @property
    def pooled(self) -> FloatArray:
        """(K,) the mean of the replicas' densities, in their unit."""
        return np.asarray(self.weights @ self.densities / self.weights.sum())

    @property
    def intensity(self) -> FloatArray:
        """(K,) the pooled density, its area one."""
        return self._normalised(self.pooled)

    @property
    def error(self) -> FloatArray:
        """(K,) standard error of the intensity by a jackknife over replicas; not numbers for a single one."""
        if len(self.densities) < 2:
            return np.full(len(self.wavenumbers), np.nan)
        return jackknife(self._normalised(self._without_each()))

    def share(self, low: float, high: float, lowest: float = LOWEST) -> Estimate:
        """Return the share of the intensity above ``lowest`` that lies between two wavenumbers, cm⁻¹.

        Parameters
        ----------
        low, high : float
            cm⁻¹
        lowest : float
            cm⁻¹ from which on the whole is counted.
        """
        inside, whole = self._between(low, high), self._between(lowest, np.inf)
        return self._estimate(lambda densities: inside(densities) / whole(densities))

    def area(self, low: float, high: float) -> Estimate:
        """Return the integral of the pooled density between two wavenumbers, in its unit: km/mol of a band."""
        return self._estimate(self._between(low, high))

    def areas(self, low: float, high: float) -> FloatArray:
        """Return (R,) integrals of each replica's density between two wavenumbers, cm⁻¹, in its unit."""
        return np.asarray(self._between(low, high)(self.densities))

    def maximum(self, low: float = LOWEST, high: float = np.inf) -> Estimate:
        """Return where the intensity between two wavenumbers is largest, cm⁻¹."""
        kept = (self.wavenumbers >= low) & (self.wavenumbers <= high)
        place = partial(top, self.wavenumbers[kept])
        return self._estimate(lambda densities: np.apply_along_axis(place, -1, densities[..., kept]))

    def peaks(self, prominence: float = 0.02, lowest: float = LOWEST) -> list[Peak]:
        """Return the peaks that stand above the noise, at least the resolution apart.

        Parameters
        ----------
        prominence : float
            Least one of a peak, as a share of the largest height. Side lobes of a line reach 0.001 of it.
        lowest : float
            cm⁻¹ below which nothing counts: rotations.
        """
        kept = self.wavenumbers >= lowest
        return find_peaks_above_noise(
            self.wavenumbers[kept],
            self.intensity[kept],
            self.contributions[kept],
            self.resolution,
            prominence,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "wavenumbers_cm1": self.wavenumbers.tolist(),
            "intensity": self.intensity.tolist(),
            "error": np.nan_to_num(self.error).tolist(),
            "resolution_cm1": self.resolution,
            "replicas": len(self.densities),
            "peaks_cm1": [list(p) for p in self.peaks()],
        }

    def _estimate(self, of: Callable[[FloatArray], Any]) -> Estimate:
        """What a function of (..., K) densities says of the pooled one; no number for the error of a single one."""
        error = jackknife(of(self._without_each())) if len(self.densities) > 1 else np.nan
        return Estimate(float(of(self.pooled)), float(error))

    def _without_each(self) -> FloatArray:
        """(R, K) the pooled density without each of the replicas."""
        weighted = self.weights[:, None] * self.densities
        left = self.weights.sum() - self.weights
        return np.asarray((weighted.sum(axis=0) - weighted) / left[:, None])

    def _normalised(self, densities: FloatArray) -> FloatArray:
        areas = np.trapezoid(densities, self.wavenumbers, axis=-1)
        return np.asarray(densities / np.where(areas > 0, areas, 1.0)[..., None])

    def _between(self, low: float, high: float) -> Any:
        kept = (self.wavenumbers >= low) & (self.wavenumbers <= high)
        return lambda densities: np.trapezoid(densities[..., kept], self.wavenumbers[kept], axis=-1)


def jackknife(without: FloatArray) -> FloatArray:
    """Return the standard error (...,) from the values (R, ...) without each of R replicas, in their unit."""
    n = len(without)
    return np.asarray(np.sqrt((n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0)))
