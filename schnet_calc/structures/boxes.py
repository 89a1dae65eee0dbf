"""Cells in which pairs can be looked for."""

import numpy as np
from numpy.typing import NDArray

from schnet_calc.errors import BadStructureError


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
