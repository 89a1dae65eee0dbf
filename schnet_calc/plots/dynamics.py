"""Distributions and time series of simulations."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from schnet_calc.analysis import Distribution
from schnet_calc.plots.style import COLORS, plain

MANY = 3000
"""Points of a series beyond which an SVG gets its picture instead of them."""


def draw_distribution(
    axes: Axes, result: Distribution, label: str, color: str = COLORS[0], xlabel: str = "distance, Å"
) -> Axes:
    """A density with a band of two standard errors.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    result : Distribution
        Density and errors.
    label, color, xlabel : str
        In the legend, of the line, below the axis.
    """
    axes.plot(result.centers, result.density, color=color, label=label)
    axes.fill_between(
        result.centers,
        result.density - 2 * result.error,
        result.density + 2 * result.error,
        color=color,
        alpha=0.25,
        lw=0,
    )
    axes.set(xlabel=xlabel, ylabel="density", ylim=(0, None))
    return plain(axes)


def draw_energy_and_temperature(
    axes: Sequence[Axes], table: dict[str, NDArray[np.float64]], total: str = "total"
) -> None:
    """Total (or conserved) and potential energy against their start, and the temperature, over time.

    Parameters
    ----------
    axes : sequence of Axes
        Two of them.
    table : dict
        Columns (rows,): ``time_ps``, energies in eV, ``temperature_k``.
    total : str
        What the total, or conserved, energy is called in the legend.
    """
    time = table["time_ps"]
    many = len(time) > MANY
    for key, color, label in (("potential_ev", COLORS[1], "potential"), ("total_ev", COLORS[0], total)):
        values = table[key] - table[key][0]
        axes[0].plot(time, values, color=color, label=label, lw=1, rasterized=many)
    axes[0].set(xlabel="time, ps", ylabel="energy − start, eV")
    axes[0].legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    axes[1].plot(time, table["temperature_k"], color=COLORS[2], lw=0.8, rasterized=many)
    axes[1].set(xlabel="time, ps", ylabel="temperature, K")
    for ax in axes:
        plain(ax)


def draw_grades(ax: Axes, time: NDArray[np.float64], grades: NDArray[np.float64]) -> None:
    """Draw the largest grade of any atom over time, and the limit.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    time : array
        (rows,) ps.
    grades : array
        (rows,) numbers.
    """
    ax.plot(time, grades, color=COLORS[3], lw=0.8, rasterized=len(time) > MANY)
    ax.axhline(1.0, color="0.5", lw=0.8, ls="--")
    ax.set(xlabel="time, ps", ylabel="largest grade", ylim=(0.0, 1.1 * max(1.0, float(np.nanmax(grades)))))
    plain(ax)


def draw_pimd(axes: Sequence[Axes], table: dict[str, NDArray[np.float64]]) -> None:
    """Energies, eV, and temperature, K, from the columns (rows,) that i-PI writes."""
    columns = {
        "time_ps": table["time"],
        "potential_ev": table["potential"],
        "total_ev": table["conserved"],
        "temperature_k": table["temperature"],
    }
    draw_energy_and_temperature(axes, columns, total="conserved")
