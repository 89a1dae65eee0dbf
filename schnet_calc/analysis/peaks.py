"""Peaks of a spectrum that its noise doesn't make."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks
from scipy.stats import f as ratio_of_variances

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
