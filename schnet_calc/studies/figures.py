"""Figures of the thesis's and the paper's own."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from schnet_calc.plots.style import COLORS, plain
from schnet_calc.studies.ablation import Variant
from schnet_calc.studies.alchemy import AlchemicalStudy
from schnet_calc.studies.learning_curve import LearningPoint


def draw_alchemy(axes: Axes, study: AlchemicalStudy) -> Axes:
    """Energies on the way from molecule to molecule, labels at the molecules."""
    for name, path in study.paths.items():
        axes.plot(np.arange(len(path)) / study.points, path, label=name)
    axes.plot(range(len(study.names)), study.labels, "k_", ms=12, label="QM9 (DFT)")
    axes.set_xticks(range(len(study.names)), study.names)
    axes.set_ylabel("energy less reference energies, kcal/mol")
    axes.legend(frameon=False, fontsize=8)
    return plain(axes)


def draw_data_efficiency(
    axes: Axes, points: Sequence[LearningPoint], published: Mapping[tuple[str, int, int], float]
) -> Axes:
    """Test errors against the number of training molecules, a line per network; rings for published ones.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    points : sequence of LearningPoint
        Ours.
    published : dict
        kcal/mol by architecture, interactions and molecules.
    """
    lines: dict[tuple[str, int], list[LearningPoint]] = {}
    for point in points:
        lines.setdefault((point.architecture, point.n_interactions), []).append(point)
    for k, ((name, n_interactions), mine) in enumerate(sorted(lines.items())):
        mine = sorted(mine, key=lambda p: p.n_train)
        color = COLORS[k % len(COLORS)]
        label = f"{name}, T = {n_interactions}"
        axes.plot([p.n_train for p in mine], [p.error for p in mine], "o-", color=color, label=label)
        theirs = {n: e for (a, t, n), e in published.items() if (a, t) == (name, n_interactions)}
        axes.plot(list(theirs), list(theirs.values()), "o", color=color, mfc="none", ms=9)
    axes.plot([], [], "o", color="0.4", mfc="none", ms=9, label="published")
    axes.set(xlabel="training molecules", ylabel="test MAE, kcal/mol", xscale="log", yscale="log")
    axes.legend(frameon=False, fontsize="small")
    return plain(axes)


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
