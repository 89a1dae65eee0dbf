"""Figures of the study of QM9's network, beside the thesis's numbers of them."""

from pathlib import Path

from schnet_calc import plots
from schnet_calc.studies.qm9_insight import CLOSE, PROBE, QM9Insight

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
