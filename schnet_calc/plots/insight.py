"""What a network has learned."""

from typing import Any

import ase
import numpy as np
from ase.data.colors import jmol_colors
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize, TwoSlopeNorm
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from schnet_calc.analysis import covalent_bonds
from schnet_calc.insight import Attribution, Contributions, Rings, Surface
from schnet_calc.plots.structures import flat_side
from schnet_calc.plots.style import COLORS, plain

DIVERGING = colormaps["RdBu_r"]
SAME = 0.01
"""eV by which energies of rings differ too little to be told apart by colours."""
FEW = 30
"""Atoms up to which each one is drawn as a dot."""


def draw_contributions(axes: Axes, contributions: Contributions) -> Axes:
    """Distributions of the atoms' energies, a row per element."""
    found = contributions.by_element()
    rng = np.random.default_rng(0)
    for row, energies in enumerate(reversed(found.values())):
        color = COLORS[(len(found) - 1 - row) % len(COLORS)]
        if len(energies) > FEW:
            counts, edges = np.histogram(energies, bins=min(60, len(energies) // 5))
            axes.stairs(
                row - 0.35 + 0.75 * counts / counts.max(),
                edges,
                baseline=row - 0.35,
                fill=True,
                color=color,
            )
        else:
            heights = row + rng.uniform(-0.12, 0.12, len(energies))
            axes.plot(energies, heights, "o", ms=6, color=color, alpha=0.7, mew=0)
        axes.annotate(
            f"{energies.mean():.2f} ± {energies.std():.2f} eV",
            (1.0, row + 0.3),
            xycoords=("axes fraction", "data"),
            ha="right",
            fontsize=8,
            color="0.4",
        )
    axes.set(xlabel="contribution to the energy, eV", ylim=(-0.5, len(found) - 0.3))
    axes.set_yticks(range(len(found)), list(reversed(found)))
    return plain(axes)


def draw_rings(axes: Axes, atoms: ase.Atoms, rings: Rings) -> Axes:
    """A molecule in projection, its rings filled by their energies.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    atoms : Atoms
        The molecule.
    rings : Rings
        With their energies.
    """
    places = _flattened(atoms)
    order = np.argsort(places[rings.members, 2].mean(axis=1))
    middle = float(rings.energies.mean()) if len(order) else 0.0
    reach = max(float(np.abs(rings.energies - middle).max(initial=0.0)), SAME)
    shading = Normalize(middle - reach, middle + reach)
    colors = colormaps["viridis"](shading(rings.energies))
    polygons = [places[rings.members[k], :2] for k in order]
    axes.add_collection(
        PolyCollection(polygons, facecolors=[(*colors[k][:3], 0.75) for k in order], zorder=0)
    )
    _draw_skeleton(axes, atoms, places)
    if len(order):
        mappable = ScalarMappable(shading, "viridis")
        axes.figure.colorbar(mappable, ax=axes, label="energy of the ring, eV", shrink=0.8)
    return axes


def draw_ring(axes: Axes, atoms: ase.Atoms, members: NDArray[np.int64]) -> Axes:
    """A molecule in projection with one ring filled.

    Parameters
    ----------
    axes, atoms
        As for :func:`draw_rings`.
    members : array
        (6,) indices of the ring's atoms.
    """
    places = _flattened(atoms)
    axes.add_collection(PolyCollection([places[members, :2]], facecolors=["#f2d58a"], zorder=0))
    _draw_skeleton(axes, atoms, places)
    return axes


def draw_skeleton(axes: Axes, atoms: ase.Atoms) -> Axes:
    """A molecule in projection."""
    _draw_skeleton(axes, atoms, _flattened(atoms))
    return axes


def draw_surface(axes: Any, surface: Surface, atoms: ase.Atoms, label: str = "") -> Any:
    """The local chemical potential on its surface, on axes with ``projection="3d"``.

    Parameters
    ----------
    axes : Axes3D
        Where to draw.
    surface : Surface
        With its values, eV.
    atoms : Atoms
        Within it.
    label : str
        Of the colours.
    """
    basis = flat_side(atoms)
    center = atoms.positions.mean(axis=0)
    vertices = (surface.vertices - center) @ basis.T
    low, high = np.quantile(surface.values, (0.01, 0.99))
    shading = Normalize(low, max(high, low + 1e-9))
    colors = colormaps["Spectral"](shading(surface.values[surface.faces].mean(axis=1)))
    triangles = Poly3DCollection(vertices[surface.faces], facecolors=colors, shade=True, linewidths=0)
    triangles.set_rasterized(True)  # tens of thousands of triangles would make an SVG of megabytes
    axes.add_collection3d(triangles)
    reach = np.abs(vertices).max()
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
    axes.set_box_aspect((1, 1, 1), zoom=1.5)
    axes.view_init(elev=62, azim=-80)
    axes.set_axis_off()
    axes.figure.colorbar(ScalarMappable(shading, "Spectral"), ax=axes, label=label, shrink=0.6)
    return axes


def draw_attribution(axes: Axes, atoms: ase.Atoms, attribution: Attribution) -> Axes:
    """A molecule in projection: atoms and pairs in the colours of their shares of the energy.

    Parameters
    ----------
    axes, atoms
        As for :func:`draw_rings`.
    attribution : Attribution
        Shares of its atoms and pairs.
    """
    places = _flattened(atoms)
    largest = float(np.abs(attribution.pairs).max(initial=0.0)) or 1.0
    for k in np.argsort(np.abs(attribution.pairs)):
        i, j = attribution.i[k], attribution.j[k]
        share = attribution.pairs[k] / largest
        axes.plot(
            places[[i, j], 0],
            places[[i, j], 1],
            color=DIVERGING(0.5 + 0.5 * share),
            lw=0.5 + 6 * abs(share),
            solid_capstyle="round",
            zorder=1 + abs(share),
        )
    limit = float(np.abs(attribution.atoms).max()) or 1.0
    shading = TwoSlopeNorm(0.0, -limit, limit)
    axes.scatter(
        places[:, 0],
        places[:, 1],
        s=260,
        c=attribution.atoms,
        cmap=DIVERGING,
        norm=shading,
        edgecolors="0.25",
        zorder=3,
    )
    for symbol, place in zip(atoms.symbols, places, strict=True):
        axes.annotate(symbol, place[:2], ha="center", va="center", fontsize=8, zorder=4)
    _square(axes)
    axes.figure.colorbar(
        ScalarMappable(shading, DIVERGING), ax=axes, label="share of the atom, eV", shrink=0.8
    )
    return axes


def _flattened(atoms: ase.Atoms) -> NDArray[np.float64]:
    """Positions from the flat side, a little tilted: atoms behind each other come apart."""
    arms = (atoms.positions - atoms.positions.mean(axis=0)) @ flat_side(atoms).T
    places: NDArray[np.float64] = arms @ Rotation.from_euler("xy", (14, 10), degrees=True).as_matrix()
    return places


def _draw_skeleton(axes: Axes, atoms: ase.Atoms, places: NDArray[np.float64]) -> None:
    for i, j in covalent_bonds(atoms):
        axes.plot(places[[i, j], 0], places[[i, j], 1], color="0.4", lw=1.5, zorder=1)
    axes.scatter(
        places[:, 0], places[:, 1], s=60, c=jmol_colors[atoms.numbers], edgecolors="0.25", zorder=2
    )
    _square(axes)


def _square(axes: Axes) -> None:
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.margins(0.12)
