"""What a data set holds."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from schnet_calc.data.overview import Overview
from schnet_calc.plots.style import COLORS, plain


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
