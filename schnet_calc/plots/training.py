"""Learning curves and errors."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from schnet_calc.plots.style import COLORS, plain
from schnet_calc.studies.ablation import Variant


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
        axes.plot(columns["step"], columns["force_mae_kcal_mol_ang"], style, color=color, label=name)
    axes.set(xlabel="steps", ylabel="validation MAE of forces, kcal/mol/Å", yscale="log")
    axes.legend(frameon=False, fontsize="small")
    return plain(axes)


def draw_learning_curve(axes: Axes, metrics: str | Path) -> Axes:
    """Validation errors over steps, from a run's ``metrics.csv``."""
    columns = _metrics(metrics)
    for color, key, label in (
        (COLORS[0], "force_mae_kcal_mol_ang", "forces, kcal/mol/Å"),
        (COLORS[1], "energy_mae_kcal_mol", "energy, kcal/mol"),
    ):
        axes.plot(columns["step"], columns[key], color=color, label=label)
    axes.set(xlabel="steps", ylabel="validation MAE", yscale="log")
    axes.legend(frameon=False)
    return plain(axes)


def draw_errors(axes: Sequence[Axes], energy: NDArray[np.float64], force: NDArray[np.float64]) -> None:
    """Histograms of differences to the labels: energies, and components of forces."""
    for ax, values, label in (
        (axes[0], 1e3 * energy, "energy, meV"),
        (axes[1], 1e3 * force, "force component, meV/Å"),
    ):
        reach = float(np.quantile(np.abs(values), 0.999)) or 1.0
        ax.hist(values, bins=80, range=(-reach, reach), color=COLORS[0], alpha=0.8)
        ax.axvline(0, color="0.3", lw=0.8)
        ax.set(xlabel=f"model − label: {label}", ylabel="count")
        plain(ax)


def draw_ablation(axes: Sequence[Axes], variants: Sequence[Variant]) -> None:
    """Errors of energies and forces over rho; runs on energies or forces alone as lines."""
    weighted = [v for v in variants if v.rho > 0 and v.force_weight > 0]
    for ax, key, label in (
        (axes[0], "energy_mae_kcal_mol", "energy MAE, kcal/mol"),
        (axes[1], "force_mae_kcal_mol_ang", "force MAE, kcal/mol/Å"),
    ):
        values = [v.errors.to_dict()[key] for v in weighted]
        ax.loglog([v.rho for v in weighted], values, "o-", color=COLORS[0], label="energies and forces")
        for k, variant in enumerate(v for v in variants if v not in weighted):
            level = variant.errors.to_dict()[key]
            ax.axhline(level, color=COLORS[k + 1], ls="--", lw=1.2, label=variant.name)
        ax.set(xlabel="weight of the energies ρ, Å⁻²", ylabel=label)
        plain(ax)
    axes[0].legend(frameon=False, fontsize="small")
