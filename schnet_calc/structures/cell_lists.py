"""Lists of cells of vesin, and of ASE where vesin would fail."""

import numpy as np
from ase.neighborlist import primitive_neighbor_list
from numpy.typing import NDArray
from vesin import NeighborList

from schnet_calc.structures.vacuum import Folded

Integers = NDArray[np.int64]


def pairs_of_images(
    folded: Folded, surrounded: NDArray[np.float64], cutoff: float
) -> tuple[Integers, Integers, Integers]:
    """Return each unordered pair once: both atoms (P,), and the image (P, 3) of the second.

    Parameters
    ----------
    folded : Folded
        Atoms in the cell.
    surrounded : array
        (3, 3) Å, what :func:`walled` makes of its box.
    cutoff : float
        Å.
    """
    if _vesin_would_crash(surrounded, cutoff):
        return _by_ase(folded, cutoff)
    neighbors = NeighborList(cutoff=cutoff, full_list=False)
    i, j, images = neighbors.compute(folded.positions, surrounded, True, "ijS")
    return i.astype(np.int64), j.astype(np.int64), images


def walled(folded: Folded, cutoff: float) -> NDArray[np.float64]:
    """Return the box (3, 3), Å, with vacuum wider than the cutoff, Å, along open directions, normal to the others.

    vesin's own open directions divide by zero where a long, skewed vector carries atoms far along them.
    """
    if folded.pbc.all():
        return folded.box
    found = folded.box.copy()
    periodic, n_periodic = folded.box[folded.pbc], int(folded.pbc.sum())
    # The last rows of V are an orthonormal basis of what is perpendicular to all periodic vectors.
    normals = np.linalg.svd(periodic)[2][n_periodic:] if n_periodic else np.eye(3)
    widths = np.ptp(folded.positions @ normals.T, axis=0) + 1.01 * cutoff
    found[~folded.pbc] = widths[:, None] * normals
    return found


def _vesin_would_crash(box: NDArray[np.float64], cutoff: float) -> bool:
    """Whether vesin would divide by zero: it has 1e5 cells at most, and then none along a short axis."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(box), axis=0)
    cells = np.maximum(heights / cutoff, 1.0)
    excess = float(np.prod(cells)) / 9e4
    return excess > 1.0 and float(cells.min()) < 2.0 * excess ** (1.0 / 3.0)


def _by_ase(folded: Folded, cutoff: float) -> tuple[Integers, Integers, Integers]:
    """Each pair once, from ASE's slower list of both directions."""
    i, j, images = primitive_neighbor_list("ijS", folded.pbc, folded.box, folded.positions, cutoff)
    first = np.argmax(images != 0, axis=1)
    forward = images[np.arange(len(images)), first] > 0
    once = (i < j) | ((i == j) & forward)
    return i[once], j[once], images[once]
