"""Figures of the thesis's and the paper's own, those of QM9's network among them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from schnet_calc import plots
from schnet_calc.plots.style import COLORS, plain
from schnet_calc.studies.alchemy import AlchemicalStudy
from schnet_calc.studies.learning_curve import LearningPoint
from schnet_calc.studies.md17 import Variant
from schnet_calc.studies.qm9_insight import CLOSE, PROBE, QM9Insight


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


SHOWN = 10
"""Rings from either end of the ranking, as in Fig. 4.14."""


def draw_qm9_figures(study: QM9Insight, folder: str | Path) -> dict[str, Path]:
    """Write all figures as PNG and SVG, and return the PNG of each by the thesis's number.

    Parameters
    ----------
    study : QM9Insight
        What was found.
    folder : path
        Where to write.
    """
    place = Path(folder)
    return {
        "4.8": _contributions(study, place / "contributions"),
        "4.10": _potentials(study, place / "potentials"),
        "4.11": _sensitivities(study, place / "bond_breaking", None),
        "4.12": _pairs(study, place / "pair_distributions"),
        "4.13": _sensitivities(study, place / "bond_breaking_close", CLOSE),
        "4.14": _rings(study, place / "rings"),
    }


def _contributions(study: QM9Insight, stem: Path) -> Path:
    figure, axes = plots.new_figure(6, 4.5)
    plots.draw_contributions(axes, study.contributions)
    return plots.save_figure(figure, stem)[0]


def _sensitivities(study: QM9Insight, stem: Path, longest: float | None) -> Path:
    figure, axes = plots.new_figure(6, 4)
    kept = study.distances <= (longest or study.distances[-1])
    found = {name: lengths[kept] for name, lengths in study.sensitivities.items()}
    plots.draw_sensitivity(axes, study.distances[kept], found)
    return plots.save_figure(figure, stem)[0]


def _pairs(study: QM9Insight, stem: Path) -> Path:
    figure, axes = plots.new_figure(6, 3.4)
    for name, shares in study.pair_distributions.items():
        axes.stairs(shares, study.edges, label=name)
    axes.set(xlabel="distance, Å", ylabel="share of pairs, 1/Å", xlim=(0.5, CLOSE))
    axes.legend()
    return plots.save_figure(figure, stem)[0]


def _potentials(study: QM9Insight, stem: Path) -> Path:
    figure, axes = plots.new_figure(14, 3.6, len(study.surfaces), subplot_kw={"projection": "3d"})
    for ax, (name, (atoms, surface)) in zip(axes, study.surfaces.items(), strict=True):
        plots.draw_surface(ax, surface, atoms, f"energy of the probe {PROBE}, eV")
        ax.set_title(name)
    return plots.save_figure(figure, stem)[0]


def _rings(study: QM9Insight, stem: Path) -> Path:
    figure, axes = plots.new_figure(15, 4, SHOWN, nrows=2)
    rings = study.rings
    last = rings[max(len(rings) - SHOWN, SHOWN) :]
    for row, part in enumerate((rings[:SHOWN], last)):
        for ax in axes[row]:
            ax.set_axis_off()
        for ax, ring in zip(axes[row], part, strict=False):
            plots.draw_ring(ax, ring.atoms, ring.members)
            ax.set_title(f"{ring.energy:.2f} eV", fontsize=9, loc="center")
    return plots.save_figure(figure, stem)[0]
