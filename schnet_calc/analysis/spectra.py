"""Spectra from time series of momenta, positions or dipoles (Wiener-Khinchin), pooled over replicas.

A spectral density is that of the values themselves. A rate's is taken from it by the factor omega², never by
differences of frames, which would lose high frequencies: by (sin(omega dt) / (omega dt))².
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase import units
from numpy.typing import NDArray
from scipy.signal.windows import get_window

from schnet_calc.analysis.spectrum import Spectrum
from schnet_calc.checks import check_choice

FloatArray = NDArray[np.float64]
INVCM_FS = 1e15 / (units._c * 100.0)
"""cm⁻¹ of a frequency of 1/fs."""
QUANTUM_FACTORS = ("none", "harmonic")
FINEST = 5.0
"""cm⁻¹: what a resolution that isn't asked for may be at best."""
WINDOWS = 8
"""Windows that such a resolution leaves in all replicas together, so that a spectrum isn't noise."""
LEAST_VALUES = 16
KM_MOL = 42.2561 / units.Debye**2
"""km/mol of an intensity of 1 (e/√amu)²: N_A / (12 ε₀ c²) in these units."""


def check_sampling(interval: float, stiffest: float) -> None:
    """Refuse frames between which the stiffest mode takes more than half a turn: it would appear at another place.

    Parameters
    ----------
    interval : float
        fs between frames.
    stiffest : float
        cm⁻¹ of the stiffest mode.

    Raises
    ------
    ValueError
        With the interval that would do.
    """
    highest = 0.5 * INVCM_FS / interval
    if stiffest > highest:
        longest = np.floor(5.0 * INVCM_FS / stiffest) / 10.0
        raise ValueError(
            f"frames {interval:g} fs apart show nothing above {highest:.0f} cm⁻¹, and the stiffest mode lies near "
            f"{stiffest:.0f} cm⁻¹: write a frame at least every {longest:g} fs"
        )


def spectrum(
    series: Sequence[FloatArray],
    interval: float,
    *,
    rate: bool = False,
    resolution: float | None = None,
    highest: float = 5000.0,
) -> Spectrum:
    """Return the spectral density of time series: Welch's method with Hann windows, zero-padded, pooled.

    The area of a density is the variance of its series (of its rate, with ``rate``).

    Parameters
    ----------
    series : sequence of array
        (M, K) of each replica: K channels, whose densities are added.
    interval : float
        fs between two values.
    rate : bool
        Of the series' time derivative (per ASE's unit of time), by the factor omega².
    resolution : float, optional
        cm⁻¹: lines become about so wide. By default :data:`FINEST`, or as fine as :data:`WINDOWS` windows in all
        replicas together allow. A series that is too short for it gives what it can.
    highest : float
        cm⁻¹ up to which it is returned.

    Raises
    ------
    ValueError
        Fewer than 16 values, or no series at all.
    """
    if not series:
        raise ValueError("there is no time series to make a spectrum of")
    shortest = min(len(values) for values in series)
    if shortest < LEAST_VALUES:
        raise ValueError(f"a spectrum needs a longer time series than {shortest} values")
    length = _window_length(shortest, len(series), interval, resolution)
    padded = 4 * (1 << (length - 1).bit_length())
    wavenumbers = np.fft.rfftfreq(padded, interval) * INVCM_FS
    kept = wavenumbers <= highest
    factor = np.ones(kept.sum())
    if rate:
        factor = (2.0 * np.pi * wavenumbers[kept] / INVCM_FS / units.fs) ** 2
    # A rate's drift is a constant; that of its series must not leak into the high frequencies.
    found = [
        [window[kept] * factor for window in _windows(values, interval, length, padded, rate)]
        for values in series
    ]
    windows = np.concatenate([np.stack(these) for these in found])
    squares = (windows**2).sum(axis=0)
    independent = windows.sum(axis=0) ** 2 / np.where(squares > 0, squares, 1.0)
    return Spectrum(
        wavenumbers[kept],
        np.stack([np.mean(these, axis=0) for these in found]),
        np.array([float(len(these)) for these in found]),
        np.clip(2.0 * independent - 1.0, 1.0, len(windows)),
        2.0 * INVCM_FS / (length * interval),
    )


def _window_length(n: int, n_series: int, interval: float, resolution: float | None) -> int:
    """Values in a window."""
    wanted = int(2.0 * INVCM_FS / ((resolution or FINEST) * interval))
    if resolution is None:
        each = -(-WINDOWS // n_series)  # half-overlapping windows of every series
        wanted = min(wanted, 2 * n // (each + 1))
    return min(n, max(LEAST_VALUES, wanted))


def _windows(
    values: FloatArray, interval: float, length: int, padded: int, trend: bool
) -> list[FloatArray]:
    """One-sided densities of the windows of a series, per cm⁻¹; without its mean, or its linear trend."""
    weights = get_window("hann", length)
    norm = 2.0 * interval / (weights**2).sum() / INVCM_FS
    times = np.arange(length) - 0.5 * (length - 1)
    found = []
    for first in range(0, len(values) - length + 1, max(length // 2, 1)):
        part = values[first : first + length] - values[first : first + length].mean(axis=0)
        if trend:
            part = part - np.outer(times, times @ part / (times @ times))
        amplitude = np.fft.rfft(part * weights[:, None], n=padded, axis=0)
        found.append(norm * (np.abs(amplitude) ** 2).sum(axis=1))
    return found


def vibrational_spectrum(
    replicas: Sequence[FloatArray],
    masses: FloatArray,
    interval: float,
    *,
    positions: bool = False,
    **options: Any,
) -> Spectrum:
    """Return the vibrational density of states; its area is kinetic temperature (K) times degrees of freedom.

    Parameters
    ----------
    replicas : sequence of array
        (M, N, 3) momenta of each, in ASE's unit; or positions, Å.
    masses : array
        (N,) amu.
    interval : float
        fs between frames.
    positions : bool
        Whether it is positions that are given.
    **options
        As for :func:`spectrum`: ``resolution``, ``highest``.
    """
    root = np.sqrt(masses)[:, None]
    scale = (root if positions else 1.0 / root) / np.sqrt(units.kB)
    weighted = [(values * scale).reshape(len(values), -1) for values in replicas]
    return spectrum(weighted, interval, rate=positions, **options)


def infrared_spectrum(
    replicas: Sequence[FloatArray],
    interval: float,
    temperature: float,
    quantum: str = "harmonic",
    **options: Any,
) -> Spectrum:
    """Return the infrared absorption, km/mol per cm⁻¹, from the spectrum of the dipole times omega².

    With the harmonic quantum correction, ``beta hbar omega / (1 - exp(-beta hbar omega))`` of the lineshape,
    absorption is that of the classical d mu / dt over kT (Ramirez et al., J. Chem. Phys. 121, 3973); a harmonic
    oscillator's line has the area that double harmonic theory gives.

    Parameters
    ----------
    replicas : sequence of array
        (M, 3) dipoles of each, e·Å.
    interval : float
        fs between frames.
    temperature : float
        K, the one that the motion has.
    quantum : str
        ``"harmonic"``; or ``"none"``, the classical lineshape, by which high frequencies are weaker.
    **options
        As for :func:`spectrum`: ``resolution``, ``highest``.

    Raises
    ------
    ValueError
        Another correction, or a temperature that isn't positive.
    """
    check_choice("quantum", quantum, QUANTUM_FACTORS)
    if not temperature > 0:
        raise ValueError(f"the temperature must be positive, got {temperature} K")
    found = spectrum(replicas, interval, rate=True, **options)
    factor = np.full(len(found.wavenumbers), KM_MOL / (units.kB * temperature))
    if quantum == "none":
        ratio = np.maximum(found.wavenumbers * units.invcm / (units.kB * temperature), 1e-12)
        factor = factor * -np.expm1(-ratio) / ratio
    return replace(found, densities=found.densities * factor)


def broadened(
    frequencies: FloatArray, intensities: FloatArray, wavenumbers: FloatArray, width: float = 10.0
) -> FloatArray:
    """Return lines as Lorentzians.

    Parameters
    ----------
    frequencies : array
        (M,) cm⁻¹.
    intensities : array
        (M,) areas, of any unit.
    wavenumbers : array
        (K,) cm⁻¹, where the sum is wanted.
    width : float
        cm⁻¹, full, at half height.

    Returns
    -------
    array
        (K,), in the unit of the areas over cm⁻¹.
    """
    half = 0.5 * width
    shapes = half / np.pi / ((wavenumbers[:, None] - frequencies) ** 2 + half**2)
    return np.asarray(shapes @ intensities)
