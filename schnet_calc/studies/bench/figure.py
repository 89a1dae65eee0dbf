"""What steps cost."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from schnet_calc.plots.style import COLORS, plain
from schnet_calc.studies.bench.cases import SILICON
from schnet_calc.studies.bench.run import Bench

LINES = {"compiled": "compiled", "script": "script", "peer": "SchNetPack", "floor": "arithmetic"}
"""What is drawn of a :class:`~schnet_calc.studies.bench.run.Timing`, and its label."""


def panels(found: Bench) -> list[str]:
    """Groups of timings, of which each has a panel."""
    return list(dict.fromkeys(t.group for t in found.timings if t.group != SILICON))


def draw_bench(axes: Sequence[Axes], found: Bench) -> None:
    """Time over the number of atoms, for batches of C20, for diamond, and for steps of path integrals."""
    for ax, title in zip(axes, panels(found), strict=True):
        timings = [t for t in found.timings if t.group == title]
        for k, (key, label) in enumerate(LINES.items()):
            points = [(t.n_atoms, y) for t in timings if (y := getattr(t, key)) is not None]
            if points:
                style = "--" if key == "floor" else "o-"
                ax.loglog(*zip(*points, strict=True), style, color=COLORS[k], label=label, ms=4)
        ax.set(xlabel="atoms", ylabel="ms", title=title)
        ax.xaxis.set_minor_formatter(NullFormatter())
        plain(ax)
    axes[0].legend(frameon=False, fontsize="small")
