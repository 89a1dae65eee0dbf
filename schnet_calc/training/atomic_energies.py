"""Reference energies: what every atom contributes before the network says anything."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schnet_calc.data import Frames
from schnet_calc.reductions import REDUCTIONS


def fit_atomic_energies(frames: Frames, method: str) -> dict[int, float]:
    """Fit the reference energy of each atomic number, eV, in float64; zero where no frame has an energy.

    Parameters
    ----------
    frames : Frames
        Training data.
    method : str
        ``"elements"``: least squares over the compositions, the smallest solution where they don't
        determine all; ``"atom"``: the mean energy per atom for every element; ``"none"``: zero.
    """
    elements = frames.elements
    known = frames.labelled("energy")
    if method == "none" or not known.any():
        return dict.fromkeys(elements, 0.0)
    energies, n_atoms = frames.energies[known], frames.n_atoms[known]
    per_atom = float(energies.sum() / n_atoms.sum())
    if method == "atom":
        return dict.fromkeys(elements, per_atom)
    counts = element_counts(frames, elements)[known]
    solution = np.linalg.lstsq(counts, energies - per_atom * n_atoms, rcond=None)[0]
    return {z: per_atom + float(e) for z, e in zip(elements, solution, strict=True)}


def predict_mean(train: Frames, test: Frames, name: str) -> NDArray[np.float64]:
    """Predict a number of test structures from their composition alone, fitted to the training structures.

    Energies are sums of numbers of the elements; other properties as their reduction says.

    Parameters
    ----------
    train : Frames
        What is fitted to.
    test : Frames
        M of them, which are guessed.
    name : str
        Of the property.

    Returns
    -------
    array
        (M,), in the unit of the property.
    """
    known = train.labelled(name)
    how = train.properties[name].reduction or REDUCTIONS["sum"]
    elements = sorted({*train.elements, *test.elements})
    counts, others = element_counts(train, elements)[known], element_counts(test, elements)
    return how.baseline(counts, train.labels[name][known], others)


def element_counts(frames: Frames, elements: Sequence[int]) -> NDArray[np.float64]:
    """Return (M, Z) numbers of atoms of each element."""
    starts = frames.offsets[:-1]
    return np.stack([np.add.reduceat(frames.numbers == z, starts, dtype=float) for z in elements], axis=1)
