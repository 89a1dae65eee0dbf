"""Reference energies: what every atom contributes before the network says anything."""

import numpy as np

from schnet_calc.data import Frames


def fit_references(frames: Frames, method: str) -> dict[int, float]:
    """Reference energy per atomic number, eV, in float64.

    Parameters
    ----------
    frames : Frames
        Training data.
    method : str
        ``"elements"``: least squares over the compositions, the smallest solution where they don't
        determine all; ``"atom"``: the mean energy per atom for every element; ``"none"``: zero.
    """
    elements = frames.elements
    if method == "none":
        return dict.fromkeys(elements, 0.0)
    per_atom = float(frames.energies.sum() / frames.n_atoms.sum())
    if method == "atom":
        return dict.fromkeys(elements, per_atom)
    counts = np.stack(
        [np.add.reduceat(frames.numbers == z, frames.offsets[:-1], dtype=float) for z in elements],
        axis=1,
    )
    residual = frames.energies - per_atom * frames.n_atoms
    solution = np.linalg.lstsq(counts, residual, rcond=None)[0]
    return {z: per_atom + float(e) for z, e in zip(elements, solution, strict=True)}
