"""Reference energies: what every atom contributes before the network says anything."""

import numpy as np
from numpy.typing import NDArray

from schnet_calc.data import Frames


def fit_references(frames: Frames, method: str) -> dict[int, float]:
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
    solution = least_squares(frames, energies - per_atom * n_atoms, known)
    return {z: per_atom + float(e) for z, e in zip(elements, solution, strict=True)}


def least_squares(
    frames: Frames, values: NDArray[np.float64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Fit numbers of the elements whose sums over structures are nearest to (M',) values of the known ones."""
    counts = np.stack(
        [np.add.reduceat(frames.numbers == z, frames.offsets[:-1], dtype=float) for z in frames.elements],
        axis=1,
    )
    return np.asarray(np.linalg.lstsq(counts[known], values, rcond=None)[0])


def predict_mean(train: Frames, test: Frames, name: str) -> NDArray[np.float64]:
    """Predict a number of test structures from their composition alone: the mean predictor per element.

    Energies and other sums are sums of numbers of the elements, means are their averages, fitted to the
    training structures by least squares; lengths of dipoles are their mean.

    Returns
    -------
    array
        (M,).
    """
    known = train.labelled(name)
    values = train.labels[name][known]
    source = train.properties[name].source
    if source == "charges":
        sizes = np.linalg.norm(values, axis=1) if values.ndim > 1 else values
        return np.full(len(test), sizes.mean())
    share = train.n_atoms[known] if source == "mean" else 1.0
    solution = dict(zip(train.elements, least_squares(train, values * share, known), strict=True))
    table = np.zeros(max([*train.elements, *test.elements]) + 1)
    table[list(solution)] = list(solution.values())
    sums = np.add.reduceat(table[test.numbers], test.offsets[:-1])
    return sums / test.n_atoms if source == "mean" else sums
