"""Relaxations and frequencies."""

from typing import Any

import ase
import numpy as np
from ase.utils.forcecurve import fit_images
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

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
    """Energy above the last one, over optimisation steps."""
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
) -> Axes:
    """Harmonic frequencies as sticks under a Gaussian-broadened density, reference mirrored below.

    With ``clickable``, an SVG has an invisible wide line ``stick-K`` for every mode that scripts can find.
    """
    known = np.asarray(reference if reference is not None else [], dtype=float)
    top = max(float(np.max(frequencies)), float(known.max(initial=0.0))) * 1.06
    low = min(0.0, float(np.min(frequencies)) * 1.1)
    grid = np.linspace(low, top, 2000)

    def broadened(values: Any) -> NDArray[np.float64]:
        density: NDArray[np.float64] = np.exp(
            -0.5 * ((grid[:, None] - np.asarray(values)) / width) ** 2
        ).sum(axis=1)
        return density

    sides = [(np.asarray(frequencies), 1.0, COLORS[0], name)]
    if len(known):
        sides.append((known, -1.0, COLORS[1], "reference"))
    for values, sign, color, label in sides:
        curve = sign * broadened(values)
        axes.fill_between(grid, curve, color=color, alpha=0.25, lw=0)
        axes.plot(grid, curve, color=color, lw=1.2, label=label)
        axes.vlines(values, 0, sign, color=color, lw=0.9)
    if clickable:
        for k, frequency in enumerate(frequencies):
            axes.plot([frequency] * 2, [0, 1], lw=6, alpha=0.0, gid=f"stick-{k}", zorder=5)
    axes.axhline(0, color="0.5", lw=0.6)
    axes.set(xlabel="frequency, cm⁻¹", ylabel="modes, broadened", xlim=(low, top), yticks=[])
    if reference is not None:
        axes.legend(frameon=False, loc="upper left")
    return plain(axes)


def draw_frequency_errors(axes: Axes, frequencies: NDArray[np.float64], reference: ArrayLike) -> Axes:
    """Difference to the reference, in percent of it, mode by mode."""
    known = np.asarray(reference)
    axes.axhspan(-1, 1, color="0.9", lw=0)
    axes.axhline(0, color="0.5", lw=0.6)
    there = np.abs(known) > 1.0  # no percentages of nothing
    off = 100 * (frequencies - known)[there] / np.abs(known[there])
    axes.plot(known[there], off, "o", ms=4, color=COLORS[0])
    axes.set(xlabel="reference frequency, cm⁻¹", ylabel="difference, %")
    return plain(axes)
