"""How the representation of two atoms answers to their distance (thesis Section 4.5.3)."""

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.insight.loading import Model, element, open_network, open_potential
from schnet_calc.nn import DistanceNetwork


def distance_sensitivity(
    model: Model, pair: tuple[str, str], distances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Lengths of the derivatives of both atoms' final features by their distance, as in Fig. 4.11.

    Parameters
    ----------
    model : path, str, Potential or Model
        A SchNet or DTNN.
    pair : tuple of str
        Symbols of two elements that the model knows.
    distances : array
        (M,) Å.

    Returns
    -------
    array
        (M, 2) 1/Å, for the first and the second atom. Scales of different networks don't compare.

    Raises
    ------
    ValueError
        Another network, an element that it doesn't know, or distances that aren't positive.
    """
    potential = open_potential(model)
    network = open_network(potential, DistanceNetwork)
    distances = np.asarray(distances, dtype=float)
    if not (distances.ndim == 1 and np.isfinite(distances).all() and (distances > 0).all()):
        raise ValueError("distances must be a row of positive numbers of Å")
    numbers = [element(potential, symbol) for symbol in pair]
    m = len(distances)
    first = 2 * torch.arange(m)
    pairs = torch.stack((torch.cat((first, first + 1)), torch.cat((first + 1, first))))

    r = torch.from_numpy(distances).requires_grad_()
    features = network.at_distances(torch.tensor(numbers).repeat(m), torch.cat((r, r)), pairs)
    # Each feature depends on one distance: the gradient of a weighted sum, by its weights, is all slopes.
    weights = torch.ones_like(features).requires_grad_()
    (gradient,) = torch.autograd.grad((features * weights).sum(), r, create_graph=True)
    (slopes,) = torch.autograd.grad(gradient.sum(), weights)
    lengths: NDArray[np.float64] = torch.linalg.vector_norm(slopes, dim=1).detach().reshape(m, 2).numpy()
    return lengths
