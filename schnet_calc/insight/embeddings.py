"""What the network takes the elements for: principal components of their embeddings (thesis Fig. 4.15)."""

from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from schnet_calc.insight.loading import Model, open_network, open_potential


@dataclass(frozen=True)
class Components:
    """Outcome of :func:`embedding_components`."""

    symbols: list[str]
    """(Z,) elements"""
    values: NDArray[np.float64]
    """(Z, k) coordinates along the principal components, largest variance first"""
    explained: NDArray[np.float64]
    """(k,) shares of the variance"""


def embedding_components(model: Model) -> Components:
    """Principal components of the embeddings of the elements that a model was trained on.

    Parameters
    ----------
    model : path, str, Potential or Model
        A SchNet or DTNN.

    Raises
    ------
    ValueError
        Another network, or one of a single element.
    """
    potential = open_potential(model)
    elements = potential.elements
    if len(elements) < 2:
        raise ValueError(f"components need at least two elements, this model knows {len(elements)}")
    vectors = open_network(potential).embedding.weight.detach().numpy()[elements]
    left, sizes, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    k = len(elements) - 1
    symbols = [chemical_symbols[z] for z in elements]
    return Components(symbols, (left * sizes)[:, :k], (sizes**2 / (sizes**2).sum())[:k])
