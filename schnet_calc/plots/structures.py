"""Molecules in projection and in space."""

from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from matplotlib.axes import Axes
from numpy.typing import NDArray

from schnet_calc.analysis import Cluster, covalent_bonds
from schnet_calc.plots.style import COLORS, class_color

BESIDE: dict[str, Any] = {
    "ha": "center",
    "va": "center",
    "fontsize": 7,
    "zorder": 4,
    "bbox": {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85},
}
"""How lengths are written on bonds."""
OFFSET: dict[str, Any] = {"textcoords": "offset points", "va": "bottom"}
"""How grades are written above atoms."""


def flat_side(atoms: ase.Atoms) -> NDArray[np.float64]:
    """Principal axes (3, 3) as rows, unit vectors: the turn, no mirror image, that shows the flat side."""
    _, _, basis = np.linalg.svd(atoms.positions - atoms.positions.mean(axis=0))
    basis[2] *= np.sign(np.linalg.det(basis))
    return basis


def draw_cage(
    axes: Axes,
    atoms: ase.Atoms,
    pairs: NDArray[np.int64],
    lengths: NDArray[np.float64],
    classes: Sequence[Cluster],
    labels: bool = True,
    names: Sequence[str] = (),
) -> Axes:
    """A molecule in projection, its bonds coloured by class; far bonds paler. Names are for the legend.

    Parameters
    ----------
    axes, atoms
        Where to draw, and the molecule.
    pairs : array
        (B, 2) indices of bonded atoms.
    lengths : array
        (B,) Å.
    classes : sequence of Cluster
        Of these lengths.
    labels, names
        Whether lengths are written beside the bonds; names of the classes.
    """
    arms = atoms.positions - atoms.positions.mean(axis=0)
    x, y, depth = (arms @ flat_side(atoms).T @ _rotation(0.35, 0.25)).T
    near = (depth - depth.min()) / max(float(np.ptp(depth)), 1e-9)
    for k, group in enumerate(classes):
        color = class_color(k)
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
                where = x[[i, j]].mean(), y[[i, j]].mean()
                axes.annotate(f"{lengths[member]:.3f}", where, **BESIDE)
        label = names[k] if names else f"{group.mean:.3f} Å  ({len(group.members)})"
        axes.plot([], [], color=color, lw=4, label=label)
    axes.scatter(
        *(x, y),
        s=30 + 90 * near,
        c=jmol_colors[atoms.numbers],
        edgecolors="0.25",
        linewidths=0.6,
        zorder=3,
        alpha=0.35 + 0.65 * near,
    )
    axes.set_aspect("equal")
    axes.axis("off")
    if classes:
        axes.legend(frameon=False, loc="lower center", ncols=3, bbox_to_anchor=(0.5, -0.1))
    return axes


def draw_graded(axes: Axes, atoms: ase.Atoms, grades: NDArray[np.float64]) -> Axes:
    """A molecule in projection, its atoms coloured by their grades (N,), and the worst ones named.

    Parameters
    ----------
    axes : Axes
        Where to.
    atoms : ase.Atoms
        N of them.
    grades : array
        (N,) without a unit; colours end at one.
    """
    arms = atoms.positions - atoms.positions.mean(axis=0)
    x, y, depth = (arms @ flat_side(atoms).T @ _rotation(0.35, 0.25)).T
    for i, j in covalent_bonds(atoms, 1.25):
        axes.plot(x[[i, j]], y[[i, j]], color="0.6", lw=2.5, solid_capstyle="round", zorder=1)
    sizes = 60 + 340 * covalent_radii[atoms.numbers] ** 2
    style: dict[str, Any] = {
        "cmap": "YlOrRd",
        "vmin": 0.0,
        "vmax": 1.0,
        "edgecolors": "0.25",
        "linewidths": 0.6,
    }
    order = np.argsort(depth)
    drawn = axes.scatter(x[order], y[order], s=sizes[order], c=grades[order], zorder=3, **style)
    for k in np.argsort(-grades)[:3]:
        axes.annotate(f"{atoms.symbols[k]}{k}: {grades[k]:.2g}", (x[k], y[k]), (0, 14), **BESIDE | OFFSET)
    bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.7, extend="max")
    bar.set_label("grade")
    axes.set_aspect("equal")
    axes.axis("off")
    axes.margins(0.15)
    return axes


def _rotation(a: float, b: float) -> NDArray[np.float64]:
    first = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    second = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    return first @ second


def draw_frame(axes: Any, atoms: ase.Atoms, forces: NDArray[np.float64]) -> Any:
    """A structure in space with arrows for the forces.

    Parameters
    ----------
    axes : Axes3D
        Where to draw.
    atoms : Atoms
        The structure.
    forces : array
        (N, 3) eV/Å.
    """
    arms, basis = atoms.positions - atoms.positions.mean(axis=0), flat_side(atoms)
    positions, forces = arms @ basis.T, forces @ basis.T
    radii = covalent_radii[atoms.numbers]
    for pair in covalent_bonds(atoms, 1.25):
        axes.plot(*positions[pair].T, color="0.55", lw=2.5, solid_capstyle="round")
    axes.scatter(
        *positions.T,
        s=260 * radii**2 + 20,
        c=jmol_colors[atoms.numbers],
        edgecolors="0.25",
        linewidths=0.8,
        depthshade=False,
    )
    largest = float(np.linalg.norm(forces, axis=1).max()) or 1.0
    axes.quiver(*positions.T, *(1.5 / largest * forces).T, color=COLORS[4], lw=1.4, arrow_length_ratio=0.25)
    reach = np.ptp(positions, axis=0).max() / 2 + 0.4
    center = 0.5 * (positions.max(axis=0) + positions.min(axis=0))
    for axis, middle in zip("xyz", center, strict=True):
        axes.set(**{f"{axis}lim": (middle - reach, middle + reach)})
    axes.set_box_aspect((1, 1, 1), zoom=1.55)
    axes.view_init(elev=62, azim=-80)
    axes.set_axis_off()
    axes.set_title(f"{atoms.get_chemical_formula()}, longest arrow {largest:.2f} eV/Å")
    return axes
