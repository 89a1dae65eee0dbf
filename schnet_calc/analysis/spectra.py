"""Spectra from time series: power spectra of velocities and of dipoles (Wiener-Khinchin)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import units
from numpy.typing import NDArray
from scipy.signal import find_peaks
from scipy.signal.windows import get_window

FloatArray = NDArray[np.float64]
INVCM_FS = 1e15 / (units._c * 100.0)
"""cm⁻¹ of a frequency of 1/fs."""
QUANTUM_FACTORS = ("none", "harmonic")


@dataclass(frozen=True)
class Spectrum:
    """An intensity over wavenumbers."""

    wavenumbers: FloatArray
    """(K,) cm⁻¹"""
    intensity: FloatArray
    """(K,) area one, unless it is an average of such"""
    error: FloatArray
    """(K,) standard error over replicas; not numbers for a single one"""

    def peaks(self, prominence: float = 0.02, lowest: float = 200.0) -> list[tuple[float, float, float]]:
        """Return position, width at half height (cm⁻¹) and height (of the largest) of the peaks.

        Parameters
        ----------
        prominence : float
            Of a peak, as a share of the largest height.
        lowest : float
            cm⁻¹ below which nothing counts: rotations.
        """
        there = self.wavenumbers >= lowest
        x, y = self.wavenumbers[there], self.intensity[there]
        if not len(y) or y.max() <= 0:
            return []
        y = y / y.max()
        places, found = find_peaks(y, prominence=prominence, width=0)
        step = float(x[1] - x[0])
        return [
            (_vertex(x, y, k), float(w) * step, float(y[k]))
            for k, w in zip(places, found["widths"], strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "wavenumbers_cm1": self.wavenumbers.tolist(),
            "intensity": self.intensity.tolist(),
            "error": np.nan_to_num(self.error).tolist(),
            "peaks_cm1": [list(p) for p in self.peaks()],
        }


def _vertex(x: FloatArray, y: FloatArray, k: int) -> float:
    """The top of the parabola through a maximum and its neighbours."""
    if not 0 < k < len(y) - 1:
        return float(x[k])
    left, top, right = y[k - 1 : k + 2]
    bend = left - 2.0 * top + right
    return float(x[k] + (0.5 * (left - right) / bend if bend else 0.0) * (x[1] - x[0]))


def power_spectrum(
    series: FloatArray,
    timestep: float,
    resolution: float = 5.0,
    window: str = "hann",
    highest: float = 5000.0,
) -> tuple[FloatArray, FloatArray]:
    """Return the spectral density of a time series by Welch's method, zero-padded.

    Parameters
    ----------
    series : array
        (M, K): K channels, whose densities are added.
    timestep : float
        fs between two values.
    resolution : float
        cm⁻¹: the series is cut into windows of so long that lines are about so wide.
    window : str
        Name of a window of ``scipy.signal``.
    highest : float
        cm⁻¹ up to which it is returned.

    Returns
    -------
    array
        (L,) cm⁻¹.
    array
        (L,) density.

    Raises
    ------
    ValueError
        Fewer than 16 values.
    """
    n = len(series)
    if n < 16:
        raise ValueError(f"a spectrum needs a longer time series than {n} values")
    length = min(n, max(16, int(2.0 * INVCM_FS / (resolution * timestep))))
    padded = 4 * (1 << (length - 1).bit_length())
    weights = get_window(window, length)
    total, parts = np.zeros(padded // 2 + 1), 0
    for first in range(0, n - length + 1, max(length // 2, 1)):
        part = series[first : first + length]
        amplitude = np.fft.rfft((part - part.mean(axis=0)) * weights[:, None], n=padded, axis=0)
        total += (np.abs(amplitude) ** 2).sum(axis=1)
        parts += 1
    wavenumbers = np.fft.rfftfreq(padded, timestep) * INVCM_FS
    kept = wavenumbers <= highest
    return wavenumbers[kept], total[kept] / parts


def vibrational_spectrum(
    replicas: Sequence[FloatArray], masses: FloatArray, timestep: float, **options: Any
) -> Spectrum:
    """Return the vibrational density of states, from mass-weighted velocities.

    Parameters
    ----------
    replicas : sequence of array
        (M, N, 3) velocities of each, any unit.
    masses : array
        (N,) amu.
    timestep : float
        fs between frames.
    **options
        As for :func:`power_spectrum`.
    """
    weighted = [(v * np.sqrt(masses)[:, None]).reshape(len(v), -1) for v in replicas]
    return _average([power_spectrum(v, timestep, **options) for v in weighted])


def infrared_spectrum(
    replicas: Sequence[FloatArray],
    timestep: float,
    temperature: float,
    quantum: str = "harmonic",
    **options: Any,
) -> Spectrum:
    """Return the infrared absorption, from the autocorrelation of the dipole's time derivative.

    With the harmonic quantum correction, ``beta hbar omega / (1 - exp(-beta hbar omega))`` of the lineshape,
    absorption is proportional to the power spectrum of d mu / dt (Ramirez et al., J. Chem. Phys. 121, 3973).

    Parameters
    ----------
    replicas : sequence of array
        (M, 3) dipoles of each, any unit.
    timestep : float
        fs between frames.
    temperature : float
        K.
    quantum : str
        ``"harmonic"``; or ``"none"``, the classical lineshape, by which high frequencies are weaker.
    **options
        As for :func:`power_spectrum`.

    Raises
    ------
    ValueError
        Another correction.
    """
    if quantum not in QUANTUM_FACTORS:
        raise ValueError(f"quantum is one of {', '.join(QUANTUM_FACTORS)}, got {quantum!r}")
    found = []
    for dipoles in replicas:
        x, density = power_spectrum(np.gradient(dipoles, timestep, axis=0), timestep, **options)
        if quantum == "none":
            ratio = np.maximum(x * units.invcm / (units.kB * temperature), 1e-12)
            density = density * -np.expm1(-ratio) / ratio
        found.append((x, density))
    return _average(found)


def _average(found: list[tuple[FloatArray, FloatArray]]) -> Spectrum:
    x = found[0][0]
    areas = [np.trapezoid(density, x) or 1.0 for _, density in found]
    densities = np.stack([density / area for (_, density), area in zip(found, areas, strict=True)])
    many = len(densities) > 1
    error = densities.std(axis=0, ddof=1) / np.sqrt(len(densities)) if many else np.full(len(x), np.nan)
    return Spectrum(x, densities.mean(axis=0), error)


def broadened(
    frequencies: FloatArray, intensities: FloatArray, wavenumbers: FloatArray, width: float = 10.0
) -> FloatArray:
    """Return lines as Lorentzians of a full width at half height, cm⁻¹, over (K,) wavenumbers."""
    half = 0.5 * width
    shapes = half / np.pi / ((wavenumbers[:, None] - frequencies) ** 2 + half**2)
    return np.asarray(shapes @ intensities)
