"""Figures and their looks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

COLORS = ("#2f6fb5", "#d2691e", "#3a8f5c", "#8a5a9e", "#b03a48")
MORE_COLORS = [to_hex(colormaps["tab20"](k)) for k in range(20)]
"""For what there may be many of."""
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
    """A figure and its axes, in the package's style; no window, no global state.

    Parameters
    ----------
    width, height : float
        Inches.
    columns : int
        Axes side by side.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(kwargs.pop("nrows", 1), columns, **kwargs)
    return figure, axes


def save_figure(figure: Figure, stem: str | Path) -> list[Path]:
    """Write ``stem.png`` and ``stem.svg``."""
    paths = [Path(f"{stem}.{ending}") for ending in ("png", "svg")]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for path in paths:
            figure.savefig(path, dpi=160)
    return paths


def draw_to(
    stem: str | Path,
    draw: Callable[..., Any],
    *data: Any,
    size: tuple[float, float] = (5.5, 3.6),
    **how: Any,
) -> list[Path]:
    """Draw on the axes of a new figure, and save it.

    Parameters
    ----------
    stem : path
        Of the files, which get the endings of :func:`save_figure`.
    draw : callable
        Takes the axes and data.
    *data
        What is drawn.
    size : tuple of float
        Inches.
    **how
        As for :func:`new_figure`.
    """
    figure, axes = new_figure(*size, **how)
    draw(axes, *data)
    return save_figure(figure, stem)


def class_color(k: int) -> str:
    """The colour of the k-th class: all different up to 25."""
    return (*COLORS, *MORE_COLORS)[k % (len(COLORS) + len(MORE_COLORS))]


def plain(axes: Axes) -> Axes:
    """Without the frame's upper and right side."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes
