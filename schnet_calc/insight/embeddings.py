"""What the network takes the elements for: principal components of their embeddings (thesis Fig. 4.15)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from schnet_calc.insight.loading import Model, element, open_network, open_potential
from schnet_calc.nn import Network


@dataclass(frozen=True)
class Components:
    """Outcome of :func:`embedding_components`."""

    symbols: list[str]
    """(Z,) elements"""
    values: NDArray[np.float64]
    """(Z, k) coordinates along the principal components, largest variance first"""
    explained: NDArray[np.float64]
    """(k,) shares of the variance"""


NOBLE = (0, 2, 10, 18, 36, 54, 86, 118)
"""Atomic numbers at which rows of the periodic table end."""


def main_group(number: int) -> int:
    """Return the group, 1, 2 or 13 to 18, of an element of the s and p blocks; 0 for others.

    Parameters
    ----------
    number : int
        Atomic number.
    """
    end = next(n for n in NOBLE if n >= number)
    begin = NOBLE[NOBLE.index(end) - 1]
    if end - number <= 5 and number != 1:
        return 18 - (end - number)
    return number - begin if number - begin <= 2 else 0


def embedding_components(model: Model, symbols: Sequence[str] | None = None) -> Components:
    """Principal components of the embeddings of the elements that a model was trained on.

    Parameters
    ----------
    model : path, str, Potential or Model
        A SchNet or DTNN.
    symbols : sequence of str, optional
        Only these elements; rare ones may lie far from all others.

    Raises
    ------
    ValueError
        Another network, fewer than two elements, or one that it doesn't know.
    """
    potential = open_potential(model)
    elements = potential.elements if symbols is None else [element(potential, s) for s in symbols]
    if len(elements) < 2:
        raise ValueError(f"components need at least two elements, got {len(elements)}")
    vectors = open_network(potential, Network).embedding.weight.detach().numpy()[elements]
    left, sizes, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    k = len(elements) - 1
    return Components(
        [chemical_symbols[z] for z in elements], (left * sizes)[:, :k], (sizes**2 / (sizes**2).sum())[:k]
    )
