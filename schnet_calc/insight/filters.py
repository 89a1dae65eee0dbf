"""The filters of a network, as curves and as cuts through space (thesis Figs. 4.4 and 4.5)."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from schnet_calc.insight.images import image_vectors
from schnet_calc.insight.loading import Model, open_network, open_potential
from schnet_calc.nn import DistanceNetwork
from schnet_calc.structures.structure import Structure

PLANE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def filter_curves(model: Model, distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Filters times the cutoff function over the distance.

    Parameters
    ----------
    model : path, str, Potential or Model
        A SchNet, or a DTNN, whose factors of the distance take the place of filters.
    distances : array
        (M,) Å.

    Returns
    -------
    array
        (filter networks, M, filters).

    Raises
    ------
    ValueError
        Another network.
    """
    return _values(open_network(model, DistanceNetwork), np.asarray(distances, dtype=float))


def filter_cuts(
    model: Model,
    extent: float = 10.0,
    n_points: int = 81,
    cell: ArrayLike | None = None,
    plane: ArrayLike = PLANE,
) -> NDArray[np.float64]:
    """Square cuts through the filters, the receiving atom in the middle.

    Without a cell as in Fig. 4.4; with one they are sums over a lattice (Eq. 4.14), as in Fig. 4.5: what an
    atom at a point, and its images, do to the one in the middle.

    Parameters
    ----------
    model : path, str, Potential or Model
        As for :func:`filter_curves`.
    extent : float
        Å from edge to edge.
    n_points : int
        Along an edge.
    cell : array, optional
        (3, 3) Å, lattice vectors.
    plane : array
        (2, 3), two directions along the edges; they are made orthonormal.

    Returns
    -------
    array
        (filter networks, filters, n_points, n_points); the last index runs along the first direction.

    Raises
    ------
    ValueError
        As there, for directions that span no plane, or for a lattice with a model that has no cutoff.
    """
    potential = open_potential(model)
    network = open_network(potential, DistanceNetwork)
    points = plane_points(extent, n_points, plane).reshape(-1, 3)
    if cell is None:
        total = _values(network, np.linalg.norm(points, axis=1))
    else:
        total = np.zeros_like(_values(network, np.zeros(len(points))))
        atom = _atom_on_lattice(potential.cutoff, cell)
        for image in image_vectors(atom, points, potential.cutoff):
            distances = np.linalg.norm(points - image, axis=1)
            near = distances < potential.cutoff
            total[:, near] += _values(network, distances[near])
    cuts = np.moveaxis(total, -1, 1)
    return cuts.reshape(*cuts.shape[:2], n_points, n_points)


def plane_points(extent: float, n_points: int, plane: ArrayLike = PLANE) -> NDArray[np.float64]:
    """(n_points, n_points, 3) Å: a square around the origin, its last but one index along the first edge.

    Parameters
    ----------
    extent : float
        Å, of an edge.
    n_points : int
        Along each edge.
    plane : array
        (2, 3) directions that span it.

    Raises
    ------
    ValueError
        The two directions span no plane.
    """
    if not extent > 0 or n_points < 2:
        raise ValueError(f"extent must be positive and n_points at least 2, got {extent} and {n_points}")
    directions = np.asarray(plane, dtype=float)
    if directions.shape != (2, 3) or np.linalg.matrix_rank(directions) < 2:
        raise ValueError(f"two directions that span a plane are needed, got {directions.tolist()}")
    first = directions[0] / np.linalg.norm(directions[0])
    second = directions[1] - first * (directions[1] @ first)
    second /= np.linalg.norm(second)
    edge = np.linspace(-extent / 2, extent / 2, n_points)
    return edge[None, :, None] * first + edge[:, None, None] * second


def _values(network: DistanceNetwork, distances: NDArray[np.float64]) -> NDArray[np.float64]:
    with torch.no_grad():
        return torch.stack(network.filter_values(torch.from_numpy(distances))).numpy()


def _atom_on_lattice(cutoff: float, cell: ArrayLike) -> Structure:
    """An atom at the origin of a cell, checked."""
    box = np.asarray(cell, dtype=float)
    if not np.isfinite(cutoff):
        raise ValueError("sums over a lattice need a model with a cutoff")
    if box.shape != (3, 3) or not abs(np.linalg.det(box)) > 1e-9:
        raise ValueError(f"the cell must be three vectors that span a volume, got {box.tolist()}")
    return Structure(np.ones(1, np.int64), np.zeros((1, 3)), box, np.ones(3, dtype=bool))
