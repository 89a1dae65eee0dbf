"""Crystals: equation of state and phonons."""

from itertools import groupby

import numpy as np
from ase.eos import EquationOfState
from matplotlib.axes import Axes
from numpy.typing import NDArray

from schnet_calc.plots.style import COLORS, plain

GREEK = {"G": "Γ"}


def draw_equation_of_state(axes: Axes, volumes: NDArray[np.float64], energies: NDArray[np.float64]) -> Axes:
    """Energies over volumes, with the Birch-Murnaghan fit.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    volumes : array
        (points,) Å³.
    energies : array
        (points,) eV.
    """
    eos = EquationOfState(volumes, energies, eos="birchmurnaghan")
    eos.fit()
    _, _, _, _, x, y, _, _ = eos.getplotdata()
    lowest = float(np.min(energies))
    plain(axes).plot(x, np.asarray(y) - lowest, color=COLORS[0])
    axes.plot(volumes, energies - lowest, "o", color=COLORS[0])
    axes.set(xlabel="volume, Å³", ylabel="energy, eV")
    return axes


def draw_phonons(
    axes: Axes,
    distances: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    corners: list[tuple[str, int]],
    exact: NDArray[np.bool_] | None = None,
) -> Axes:
    """Frequencies (points, 3N), cm⁻¹, over distances (points,) along a path with named corners.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    distances, frequencies : array
        (points,) and (points, 3N).
    corners : list
        Names, and which of the points they are.
    exact : array, optional
        (points,) which of them have a dot, since they aren't interpolated.
    """
    plain(axes).plot(distances, frequencies, color=COLORS[0], linewidth=1)
    if exact is not None:
        places = np.repeat(distances[exact], frequencies.shape[1])
        axes.scatter(places, frequencies[exact].ravel(), s=6, color=COLORS[0], zorder=3)
    ticks, labels = [], []
    for place, same in groupby(corners, key=lambda corner: distances[corner[1]]):
        ticks.append(place)
        labels.append("|".join(GREEK.get(name, name) for name, _ in same))
    axes.set_xticks(ticks, labels)
    axes.grid(axis="x")
    axes.set(xlim=(0, distances[-1]), ylabel="frequency, cm⁻¹")
    axes.set_ylim(bottom=min(0.0, 1.1 * float(frequencies.min())))
    return axes
