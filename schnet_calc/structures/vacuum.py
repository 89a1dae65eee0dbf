"""Vacuum between groups of atoms: a list of cells would fill it with empty ones, or overflow.

What no pair within the cutoff reaches across may be cut and narrowed without changing any pair.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schnet_calc.errors import BadStructureError

MOST_CELLS = 2000
"""Cells of the width of the cutoff, beside one per atom, that are no reason to look for vacuum."""


class Folded(NamedTuple):
    """The same pairs in less space."""

    positions: NDArray[np.float64]
    """(N, 3) Å"""
    box: NDArray[np.float64]
    """(3, 3) Å"""
    pbc: NDArray[np.bool_]
    """(3,), false along directions where vacuum separates the images"""
    home: NDArray[np.float64]
    """(N, 3) lattice vectors of the old box to take away before any narrowing."""


def fold(
    positions: NDArray[np.float64], box: NDArray[np.float64], pbc: NDArray[np.bool_], cutoff: float
) -> Folded:
    """Bring atoms into the cell, and take out vacuum if there is more of it than a list of cells can take.

    Parameters
    ----------
    positions : array
        (N, 3) Å.
    box : array
        (3, 3) Å, three linearly independent vectors.
    pbc : array
        (3,) booleans.
    cutoff : float
        Å.
    """
    inverse = np.linalg.inv(box)
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    places = positions @ inverse
    home = np.floor(places) * pbc
    places -= home
    lengths = np.where(pbc, 1.0, np.ptp(places, axis=0)) * heights
    if float(np.prod(np.maximum(lengths / cutoff, 1.0))) <= MOST_CELLS + len(positions):
        return Folded(positions - home @ box, box, pbc, home)
    box, pbc = box.copy(), pbc.copy()
    for axis in range(3):
        widest = cutoff / heights[axis]
        if pbc[axis]:
            after = _cut(places[:, axis], widest)
            if after is None:
                continue
            pbc[axis] = False
            home[:, axis] += after
            places[:, axis] -= after
        places[:, axis] = _narrow(places[:, axis], 2.0 * widest)
        stretch = max(float(places[:, axis].max()), widest)
        places[:, axis] /= stretch
        box[axis] *= stretch
    return Folded(places @ box, box, pbc, home)


def _cut(places: NDArray[np.float64], widest: float) -> NDArray[np.bool_] | None:
    """Which places in [0, 1) lie beyond the widest gap on the circle; None if it is too narrow."""
    ordered = np.sort(places)
    gaps = np.diff(ordered, append=ordered[0] + 1.0)
    k = int(gaps.argmax())
    return places > ordered[k] if gaps[k] > widest else None


def _narrow(places: NDArray[np.float64], widest: float) -> NDArray[np.float64]:
    """The places from zero on, with no gap between neighbours that is wider."""
    order = np.argsort(places)
    steps = np.minimum(np.diff(places[order]), widest)
    narrowed = np.empty_like(places)
    narrowed[order] = np.concatenate([[0.0], np.cumsum(steps)])
    return narrowed


def checked_box(cell: NDArray[np.float64], pbc: NDArray[np.bool_], cutoff: float) -> NDArray[np.float64]:
    """Return the cell with vectors along open directions, too.

    Parameters
    ----------
    cell : array
        (3, 3) Å, rows are the lattice vectors.
    pbc : array
        (3,) booleans.
    cutoff : float
        Å, of the pairs.

    Raises
    ------
    BadStructureError
        There is no cutoff, a periodic direction has no vector, or the vectors span no volume.
    """
    if not np.isfinite(cutoff):
        raise BadStructureError("a periodic structure has no end of pairs: this model needs a cutoff")
    box = np.array(cell, dtype=float)
    lengths = np.linalg.norm(box, axis=1)
    for axis in range(3):
        if pbc[axis] and not lengths[axis] > 0:
            raise BadStructureError(
                f"the structure is periodic along axis {axis}, but that cell vector is zero"
            )
    box = _complete(box, pbc)
    lengths = np.linalg.norm(box, axis=1)
    if not abs(np.linalg.det(box / lengths[:, None])) > 1e-9:
        raise BadStructureError(f"the lattice vectors of the cell do not span a volume: {box.tolist()}")
    return box


def _complete(box: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The cell with unit vectors, orthogonal to the periodic ones, along open directions."""
    if np.all(pbc):
        return box
    completed = box.copy()
    _, _, basis = np.linalg.svd(box[np.asarray(pbc, dtype=bool)])
    spare = list(basis[int(np.sum(pbc)) :])
    for axis in range(3):
        if not pbc[axis]:
            completed[axis] = spare.pop()
    return completed
