"""What filters, embeddings and features of a network look like."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import NDArray

from schnet_calc.insight import Components
from schnet_calc.plots.style import COLORS, plain


def draw_cut(axes: Axes, values: NDArray[np.float64], extent: float, label: str = "") -> Axes:
    """Values on a square, in false colours.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    values : array
        (n, n), in the unit that the label says.
    extent : float
        Å, of an edge.
    label : str
        Of the colours.
    """
    half = extent / 2
    low, high = np.quantile(values, (0.02, 0.95))
    image = axes.imshow(
        values, origin="lower", extent=(-half, half, -half, half), cmap="Spectral", vmin=low, vmax=high
    )
    axes.set(xlabel="Å", ylabel="Å")
    axes.figure.colorbar(image, ax=axes, label=label, shrink=0.85)
    return axes


def draw_sensitivity(
    axes: Axes, distances: NDArray[np.float64], found: Mapping[str, NDArray[np.float64]]
) -> Axes:
    """Answers of both atoms' features to their distance.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    distances : array
        (M,) Å.
    found : dict
        (M, 2) by pair such as ``"C-H"``.
    """
    shades = colormaps["tab10"]
    for k, (pair, lengths) in enumerate(found.items()):
        for atom, style in ((0, "-"), (1, "--")):
            symbol = pair.split("-")[atom]
            label = pair if len(set(pair.split("-"))) == 1 else f"{symbol} of {pair}"
            if atom == 0 or label != pair:
                axes.semilogy(distances, lengths[:, atom], style, color=shades(k % 10), label=label)
    axes.set(xlabel="distance, Å", ylabel="length of ∂x/∂r, 1/Å")
    axes.legend(frameon=False)
    return plain(axes)


def draw_filter_cuts(axes: Axes, cuts: NDArray[np.float64], extent: float) -> Axes:
    """All cuts (filters, n, n) of a block side by side, each in its own scale around zero.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    cuts : array
        (filters, n, n), without a unit.
    extent : float
        Å, of an edge.
    """
    n_filters, n = cuts.shape[0], cuts.shape[1]
    columns = int(np.ceil(np.sqrt(n_filters)))
    rows = -(-n_filters // columns)
    gap = max(n // 16, 1)
    canvas = np.full((rows * (n + gap) - gap, columns * (n + gap) - gap), np.nan)
    for k, cut in enumerate(cuts):
        y, x = divmod(k, columns)
        largest = np.abs(cut).max() or 1.0
        canvas[y * (n + gap) : y * (n + gap) + n, x * (n + gap) : x * (n + gap) + n] = cut / largest
    axes.imshow(canvas, cmap=colormaps["RdBu_r"], vmin=-1, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(f"{n_filters} filters, {extent:g} Å × {extent:g} Å each", fontsize=9)
    return axes


def draw_filter_curves(axes: Axes, distances: NDArray[np.float64], curves: NDArray[np.float64]) -> Axes:
    """Filters of a block over the distance.

    Parameters
    ----------
    axes, distances
        As for :func:`draw_sensitivity`.
    curves : array
        (M, filters), without a unit.
    """
    shades = colormaps["viridis"](np.linspace(0, 0.9, curves.shape[1]))
    for color, curve in zip(shades, curves.T, strict=True):
        axes.plot(distances, curve, color=color, lw=0.7, alpha=0.7)
    axes.axhline(0, color="0.5", lw=0.6)
    axes.set(xlabel="distance, Å", ylabel="W")
    return plain(axes)


def draw_embeddings(axes: Axes, components: Components, groups: Sequence[int] = ()) -> Axes:
    """Elements along the first two principal components of their embeddings, coloured by their groups.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    components : Components
        Of the embeddings.
    groups : sequence of int
        Of the periodic table, for each element.
    """
    places = np.pad(components.values, ((0, 0), (0, max(0, 2 - components.values.shape[1]))))[:, :2]
    kinds = sorted(set(groups)) or [0]
    for k, kind in enumerate(kinds):
        x, y = places[[g == kind for g in groups] if groups else slice(None)].T
        color = colormaps["tab10"](k) if groups else COLORS[0]
        axes.scatter(x, y, s=60, color=color, alpha=0.8, label=f"group {kind}" if groups else None)
    for symbol, place in zip(components.symbols, places, strict=True):
        axes.annotate(symbol, place, textcoords="offset points", xytext=(7, 4), fontsize=12)
    if groups:
        axes.legend(fontsize=8)
    shares = [*components.explained, 0.0]
    axes.set(
        xlabel=f"first component ({100 * shares[0]:.0f} % of the variance)",
        ylabel=f"second component ({100 * shares[1]:.0f} %)",
    )
    axes.margins(0.2)
    return plain(axes)
