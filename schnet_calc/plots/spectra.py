"""Relaxations and frequencies."""

from collections.abc import Mapping, Sequence
from typing import Any

import ase
import numpy as np
from ase.utils.forcecurve import fit_images
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from schnet_calc.analysis.spectra import broadened
from schnet_calc.plots.style import COLORS, plain


def draw_band(axes: Axes, images: list[ase.Atoms]) -> Axes:
    """Energies along a minimum energy path, with ASE's fit through energies and forces."""
    fit = fit_images(images)
    plain(axes).plot(fit.fit_path, fit.fit_energies, color=COLORS[0])
    axes.plot(fit.path, fit.energies, "o", color=COLORS[0])
    axes.set_xlabel("path, Å")
    axes.set_ylabel("energy, eV")
    return axes


def draw_relaxation(axes: Axes, energies: NDArray[np.float64]) -> Axes:
    """Energy (steps,), eV, above the last one, over optimisation steps."""
    above = np.maximum(energies - energies[-1], 1e-12)
    axes.semilogy(above[:-1] if len(above) > 1 else above, color=COLORS[0])
    axes.set(xlabel="step", ylabel="energy above the minimum, eV")
    return plain(axes)


def draw_spectrum(
    axes: Axes,
    frequencies: NDArray[np.float64],
    reference: ArrayLike | None = None,
    width: float = 8.0,
    name: str = "SchNet",
    clickable: bool = False,
    fundamentals: ArrayLike | None = None,
) -> Axes:
    """Harmonic frequencies as sticks under a Gaussian-broadened density, reference mirrored below.

    Anharmonic fundamentals are higher, dashed sticks.
    With ``clickable``, an SVG has an invisible wide line ``stick-K`` for every mode that scripts can find.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    frequencies : array
        (modes,) cm⁻¹.
    reference : array, optional
        (modes,) cm⁻¹.
    width : float
        cm⁻¹, of the Gaussians.
    name : str
        In the legend.
    clickable : bool
        Whether an SVG's lines can be found.
    """
    known = np.asarray(reference if reference is not None else [], dtype=float)
    top = max(float(np.max(frequencies)), float(known.max(initial=0.0))) * 1.06
    low = min(0.0, float(np.min(frequencies)) * 1.1)
    grid = np.linspace(low, top, 2000)
    sides = [(np.asarray(frequencies), 1.0, COLORS[0], name)]
    if len(known):
        sides.append((known, -1.0, COLORS[1], "reference"))
    for values, sign, color, label in sides:
        curve = sign * np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2).sum(axis=1)
        axes.fill_between(grid, curve, color=color, alpha=0.25, lw=0)
        axes.plot(grid, curve, color=color, lw=1.2, label=label)
        axes.vlines(values, 0, sign, color=color, lw=0.9)
    if clickable:
        for k, frequency in enumerate(frequencies):
            axes.plot([frequency] * 2, [0, 1], lw=6, alpha=0.0, gid=f"stick-{k}", zorder=5)
    if fundamentals is not None:
        axes.vlines(fundamentals, 0, 1.25, color=COLORS[2], lw=1.4, ls="--", label="VPT2")
    axes.axhline(0, color="0.5", lw=0.6)
    axes.set(xlabel="frequency, cm⁻¹", ylabel="modes, broadened", xlim=(low, top), yticks=[])
    if reference is not None or fundamentals is not None:
        axes.legend(frameon=False, loc="upper left")
    return plain(axes)


def draw_frequency_errors(axes: Axes, frequencies: NDArray[np.float64], reference: ArrayLike) -> Axes:
    """Difference to the reference, in percent of it, mode by mode; those far off stand at the edge, labelled.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    frequencies, reference : array
        (modes,) cm⁻¹, both in ascending order.
    """
    known = np.asarray(reference)
    axes.axhspan(-1, 1, color="0.9", lw=0)
    axes.axhline(0, color="0.5", lw=0.6)
    there = np.abs(known) > 1.0  # no percentages of nothing
    off = 100 * (frequencies - known)[there] / np.abs(known[there])
    shown = max(2.0, 3.0 * float(np.quantile(np.abs(off), 0.8))) if len(off) else 2.0
    for x, y in zip(known[there], off, strict=True):
        if abs(y) > shown:  # one of them would squash all the others
            edge = np.sign(y) * shown
            axes.plot(x, edge, "^" if y > 0 else "v", ms=5, color=COLORS[1])
            axes.annotate(f"{y:+.0f} %", (x, edge), (6, -3), textcoords="offset points", fontsize="small")
    near = np.abs(off) <= shown
    axes.plot(known[there][near], off[near], "o", ms=4, color=COLORS[0])
    axes.set(xlabel="reference frequency, cm⁻¹", ylabel="difference, %")
    if not near.all():
        axes.set_ylim(-1.15 * shown, 1.15 * shown)
    return plain(axes)


def draw_infrared(
    axes: Axes,
    frequencies: NDArray[np.float64],
    intensities: NDArray[np.float64],
    width: float = 10.0,
    measured: NDArray[np.float64] | None = None,
) -> Axes:
    """Infrared lines with Lorentzians of a width; a measured spectrum mirrored below.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    frequencies : array
        (modes,) cm⁻¹.
    intensities : array
        (modes,) km/mol.
    width : float
        cm⁻¹, at half height.
    measured : array, optional
        (K, 2) wavenumbers, cm⁻¹, and absorption of any unit.
    """
    real = frequencies > 0
    top = 1.06 * float(max(frequencies.max(), 0.0 if measured is None else measured[:, 0].max()))
    grid = np.linspace(0.0, top, 3000)
    curve = broadened(frequencies[real], intensities[real], grid, width) * 0.5 * np.pi * width
    axes.fill_between(grid, curve, color=COLORS[0], alpha=0.25, lw=0)
    axes.plot(grid, curve, color=COLORS[0], lw=1.2, label="model")
    axes.vlines(frequencies[real], 0, intensities[real], color=COLORS[0], lw=0.9)
    if measured is not None:
        height = float(curve.max())
        _draw_measured(axes, measured, -height)
        axes.legend(frameon=False, loc="upper left")
    axes.axhline(0, color="0.5", lw=0.6)
    axes.set(xlabel="wavenumber, cm⁻¹", ylabel="infrared intensity, km/mol", xlim=(0, top))
    return plain(axes)


def _draw_measured(
    axes: Axes, measured: NDArray[np.float64], height: float, color: str = COLORS[1]
) -> None:
    """Few points are lines, many are a curve."""
    x, y = measured.T
    if len(x) > 200:
        axes.plot(x, height * y, color=color, lw=1.0, label="experiment")
    else:
        axes.vlines(x, 0, height * y, color=color, lw=1.4, label="experiment")


def draw_dynamic_spectra(
    axes: Sequence[Axes],
    found: Mapping[str, Any],
    harmonic: Mapping[str, Any] | None = None,
    measured: NDArray[np.float64] | None = None,
) -> None:
    """Density of states and, below, infrared absorption of runs by name, with error bands of replicas.

    Parameters
    ----------
    axes : sequence of Axes
        One, or two if any has infrared.
    found : mapping
        :class:`~schnet_calc.simulate.spectrum.DynamicSpectra` by name.
    harmonic : mapping, optional
        What the command ``modes`` wrote.
    measured : array, optional
        (K, 2) cm⁻¹ and heights, the largest one.
    """
    for ax, name, label in zip(
        axes, ("vibrational", "infrared"), ("density of states", "absorption"), strict=False
    ):
        for k, (kind, both) in enumerate(found.items()):
            spectrum = getattr(both, name)
            if spectrum is None:
                continue
            top = float(spectrum.intensity[spectrum.wavenumbers > 200].max())
            y, e = spectrum.intensity / top, np.nan_to_num(spectrum.error) / top
            ax.plot(spectrum.wavenumbers, y, color=COLORS[k], lw=1.1, label=kind)
            ax.fill_between(spectrum.wavenumbers, y - e, y + e, color=COLORS[k], alpha=0.25, lw=0)
        if harmonic is not None:
            lines = np.array(harmonic["frequencies_cm1"])
            heights = np.ones(len(lines))
            if name == "infrared" and "intensities_km_mol" in harmonic:
                heights = np.array(harmonic["intensities_km_mol"])
                heights = heights / heights.max()
            ax.vlines(lines, 0, heights, color="0.4", lw=0.9, ls=":", label="harmonic")
        if measured is not None:
            _draw_measured(ax, measured, -0.6, "0.15")
        ax.axhline(0, color="0.5", lw=0.6)
        ax.set(xlabel="wavenumber, cm⁻¹", ylabel=label, xlim=(0, 4000), yticks=[], ylim=(None, 1.2))
        ax.legend(frameon=False, fontsize="small")
        plain(ax)
