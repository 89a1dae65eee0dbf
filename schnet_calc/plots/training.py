"""Data sets, learning curves and errors."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ase.units import GPa
from matplotlib.axes import Axes
from numpy.typing import NDArray

from schnet_calc.data.overview import Overview
from schnet_calc.plots.style import COLORS, plain


def _metrics(path: str | Path) -> dict[str, list[float]]:
    """Columns of a run's ``metrics.csv``."""
    with Path(path).open() as stream:
        rows = list(csv.DictReader(stream))
    return {key: [float(r[key]) for r in rows] for key in rows[0]}


def draw_learning_curves(axes: Axes, runs: dict[str, Path]) -> Axes:
    """Validation errors of forces over steps, one line per run."""
    for k, (name, path) in enumerate(runs.items()):
        columns = _metrics(path)
        style = ("-", "--")[k // len(COLORS) % 2]
        color = COLORS[k % len(COLORS)]
        axes.plot(
            columns["step"],
            columns["force_mae_kcal_mol_ang"],
            style,
            color=color,
            label=name.replace("$", r"\$"),
        )
    axes.set(xlabel="steps", ylabel="validation MAE of forces, kcal/mol/Å", yscale="log")
    axes.legend(frameon=False, fontsize="small")
    return plain(axes)


def draw_learning_curve(axes: Axes, metrics: str | Path) -> Axes:
    """Validation errors over steps, from a run's ``metrics.csv``."""
    columns = _metrics(metrics)
    labels = {"force_mae_kcal_mol_ang": "forces, kcal/mol/Å", "energy_mae_kcal_mol": "energy, kcal/mol"}
    errors = [key for key in columns if "_mae" in key]
    for k, key in enumerate(sorted(errors, key=lambda key: (key not in labels, -len(key)))):
        label = labels.get(key, key.removesuffix("_mae").replace("_", " "))
        axes.plot(columns["step"], columns[key], color=COLORS[k % len(COLORS)], label=label)
    axes.set(xlabel="steps", ylabel="validation MAE", yscale="log")
    axes.legend(frameon=False)
    return plain(axes)


def draw_errors(axes: Sequence[Axes], differences: Mapping[str, NDArray[np.float64]]) -> None:
    """Histograms of differences (n,) to the labels, in their units, by name, one for each of the axes."""
    known = {
        "energy": (1e3, "energy, meV"),
        "forces": (1e3, "force component, meV/Å"),
        "stress": (1.0 / GPa, "stress component, GPa"),
        "dipole": (1.0, "dipole component, e·Å"),
    }
    for ax, (name, values) in zip(axes, differences.items(), strict=False):
        factor, label = known.get(name, (1.0, name.replace("_", " ")))
        scaled = factor * values
        reach = float(np.quantile(np.abs(scaled), 0.999)) or 1.0
        ax.hist(scaled, bins=80, range=(-reach, reach), color=COLORS[0], alpha=0.8)
        ax.axvline(0, color="0.3", lw=0.8)
        ax.set(xlabel=f"model − label: {label}", ylabel="count")
        plain(ax)


def draw_overview(axes: Sequence[Axes], found: Overview) -> None:
    """Histograms of energies, of the forces on each element, and of all distances."""
    energies = 1e3 * (found.energies_per_atom - found.energies_per_atom.mean())
    axes[0].hist(energies, bins=60, color=COLORS[0], alpha=0.8)
    axes[0].set(xlabel="energy per atom − mean, meV", ylabel="frames")
    top = max(float(np.quantile(norms, 0.995)) for norms in found.force_norms.values()) or 1.0
    for k, (symbol, norms) in enumerate(found.force_norms.items()):
        color = COLORS[k % len(COLORS)]
        axes[1].hist(
            norms, bins=60, range=(0, top), density=True, histtype="step", color=color, label=symbol
        )
    axes[1].set(xlabel="force on an atom, eV/Å", ylabel="density")
    axes[1].legend(frameon=False)
    edges = found.edges()
    middles = 0.5 * (edges[1:] + edges[:-1])
    for k, (pair, (counts, _)) in enumerate(found.distances.items()):
        style = ("-", "--", ":")[k // len(COLORS) % 3]
        axes[2].plot(
            middles, counts / len(energies), style, color=COLORS[k % len(COLORS)], label=pair, lw=1.2
        )
    axes[2].set(xlabel="distance, Å", ylabel="pairs per frame and 0.05 Å", ylim=(0, None))
    axes[2].legend(frameon=False, fontsize="small", ncols=2)
    for ax in axes:
        plain(ax)
