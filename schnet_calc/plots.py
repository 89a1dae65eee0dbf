"""One function per figure: results in, axes drawn on."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from schnet_calc.analysis import Cluster, Distribution

COLORS = ("#2f6fb5", "#d2691e", "#3a8f5c", "#8a5a9e", "#b03a48")
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.hashsalt": "schnet-calc",
    "figure.constrained_layout.use": True,
}


def new_figure(width: float, height: float, columns: int = 1, **kwargs: Any) -> tuple[Figure, Any]:
    """A figure and its axes, in the package's style; no window, no global state."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(1, columns, **kwargs)
    return figure, axes


def save_figure(figure: Figure, stem: str | Path) -> list[Path]:
    """Write ``stem.png`` and ``stem.svg``."""
    paths = [Path(f"{stem}.{ending}") for ending in ("png", "svg")]
    with mpl.rc_context(STYLE):
        for path in paths:
            figure.savefig(path, dpi=160)
    return paths


def _plain(axes: Axes) -> Axes:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


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
    return _plain(axes)


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
    return _plain(axes)


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
        _plain(ax)


def draw_relaxation(axes: Axes, energies: NDArray[np.float64]) -> Axes:
    """Energy above the last one, over optimisation steps."""
    above = np.maximum(energies - energies[-1], 1e-12)
    axes.semilogy(above[:-1] if len(above) > 1 else above, color=COLORS[0])
    axes.set(xlabel="step", ylabel="energy above the minimum, eV")
    return _plain(axes)


def draw_spectrum(
    axes: Axes,
    frequencies: NDArray[np.float64],
    reference: Sequence[float] | None = None,
    width: float = 8.0,
) -> Axes:
    """Harmonic frequencies as sticks under a Gaussian-broadened density, reference mirrored below."""
    top = max(float(np.max(frequencies)), max(reference or [0.0])) * 1.06
    low = min(0.0, float(np.min(frequencies)) * 1.1)
    grid = np.linspace(low, top, 2000)

    def broadened(values: Any) -> NDArray[np.float64]:
        density: NDArray[np.float64] = np.exp(
            -0.5 * ((grid[:, None] - np.asarray(values)) / width) ** 2
        ).sum(axis=1)
        return density

    sides = [(np.asarray(frequencies), 1.0, COLORS[0], "SchNet")]
    if reference is not None:
        sides.append((np.asarray(reference), -1.0, COLORS[1], "reference"))
    for values, sign, color, label in sides:
        curve = sign * broadened(values)
        axes.fill_between(grid, curve, color=color, alpha=0.25, lw=0)
        axes.plot(grid, curve, color=color, lw=1.2, label=label)
        axes.vlines(values, 0, sign, color=color, lw=0.9)
    axes.axhline(0, color="0.5", lw=0.6)
    axes.set(xlabel="frequency, cm⁻¹", ylabel="modes, broadened", xlim=(low, top), yticks=[])
    if reference is not None:
        axes.legend(frameon=False, loc="upper left")
    return _plain(axes)


def draw_frequency_errors(axes: Axes, frequencies: NDArray[np.float64], reference: Sequence[float]) -> Axes:
    """Difference to the reference, in percent of it, mode by mode."""
    known = np.asarray(reference)
    axes.axhspan(-1, 1, color="0.9", lw=0)
    axes.axhline(0, color="0.5", lw=0.6)
    axes.plot(known, 100 * (frequencies - known) / known, "o", ms=4, color=COLORS[0])
    axes.set(xlabel="reference frequency, cm⁻¹", ylabel="difference, %")
    return _plain(axes)


def draw_distribution(
    axes: Axes,
    result: Distribution,
    label: str,
    color: str = COLORS[0],
    xlabel: str = "distance, Å",
) -> Axes:
    """A density with a band of two standard errors."""
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
    return _plain(axes)


def draw_energy_and_temperature(
    axes: Sequence[Axes], table: dict[str, NDArray[np.float64]], total: str = "total"
) -> None:
    """Total (or conserved) and potential energy against their start, and the temperature, over time."""
    time = table["time_ps"]
    for key, color, label in (
        ("potential_ev", COLORS[1], "potential"),
        ("total_ev", COLORS[0], total),
    ):
        values = table[key] - table[key][0]
        axes[0].plot(time, values, color=color, label=label, lw=1)
    axes[0].set(xlabel="time, ps", ylabel="energy − start, eV")
    axes[0].legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 0.08), ncols=2)
    axes[1].plot(time, table["temperature_k"], color=COLORS[2], lw=0.8)
    axes[1].set(xlabel="time, ps", ylabel="temperature, K")
    for ax in axes:
        _plain(ax)


def draw_pimd(axes: Sequence[Axes], table: dict[str, NDArray[np.float64]]) -> None:
    """The same for the columns that i-PI writes."""
    columns = {
        "time_ps": table["time"],
        "potential_ev": table["potential"],
        "total_ev": table["conserved"],
        "temperature_k": table["temperature"],
    }
    draw_energy_and_temperature(axes, columns, total="conserved")


def draw_cage(
    axes: Axes,
    atoms: ase.Atoms,
    pairs: NDArray[np.int64],
    lengths: NDArray[np.float64],
    classes: Sequence[Cluster],
    labels: bool = True,
) -> Axes:
    """A molecule in projection, its bonds coloured by class; far bonds paler."""
    arms = atoms.positions - atoms.positions.mean(axis=0)
    _, _, basis = np.linalg.svd(arms)
    tilt = _rotation(0.35, 0.25)
    x, y, depth = (arms @ basis.T @ tilt).T
    near = (depth - depth.min()) / max(float(np.ptp(depth)), 1e-9)
    for k, group in enumerate(classes):
        color = COLORS[k % len(COLORS)]
        for member in group.members:
            i, j = pairs[member]
            front = 0.5 * (near[i] + near[j])
            axes.plot(
                x[[i, j]],
                y[[i, j]],
                color=color,
                lw=1.5 + 4 * front,
                alpha=0.25 + 0.75 * front,
                solid_capstyle="round",
                zorder=1 + front,
            )
            if labels and front > 0.72:
                axes.annotate(
                    f"{lengths[member]:.3f}",
                    (x[[i, j]].mean(), y[[i, j]].mean()),
                    ha="center",
                    va="center",
                    fontsize=7,
                    zorder=4,
                    bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85},
                )
        axes.plot([], [], color=color, lw=4, label=f"{group.mean:.3f} Å  ({len(group.members)})")
    axes.scatter(x, y, s=30 + 90 * near, c="0.25", zorder=3, alpha=0.35 + 0.65 * near, lw=0)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.legend(frameon=False, loc="lower center", ncols=3, bbox_to_anchor=(0.5, -0.1))
    return axes


def _rotation(a: float, b: float) -> NDArray[np.float64]:
    first = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    second = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    return first @ second
