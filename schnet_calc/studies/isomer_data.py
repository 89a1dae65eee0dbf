"""Frames of C7H10O2 that Table 5.5 of the thesis is repeated with; ``examples/isomers/sample.py`` makes them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schnet_calc.data import Frames, Split, read_frames

FORMULA = {6: 7, 1: 10, 8: 2}
"""Atoms by atomic number."""
KINDS = ("known molecules", "unknown molecules")


def are_isomers(frames: Frames) -> NDArray[np.bool_]:
    """Return a mask (M,) of the frames that are molecules of C7H10O2.

    Parameters
    ----------
    frames : Frames
        Molecules.
    """
    frame = np.repeat(np.arange(len(frames)), frames.n_atoms)
    fits = frames.n_atoms == sum(FORMULA.values())
    for number, count in FORMULA.items():
        fits &= np.bincount(frame[frames.numbers == number], minlength=len(frames)) == count
    return np.asarray(fits)


def held_out_isomers(data: str | Path, split: str | Path) -> dict[str, Frames]:
    """Return the frames to test with: of molecules that were trained on, and of those that were not.

    Parameters
    ----------
    data, split : path
        As ``examples/isomers/sample.py`` writes them.
    """
    frames = read_frames(data)
    chosen = Split.load(split, len(frames))
    with np.load(data) as archive:
        molecule = archive["qm9_row"]
    known = np.isin(molecule[chosen.test], molecule[chosen.train])
    return {KINDS[0]: frames.select(chosen.test[known]), KINDS[1]: frames.select(chosen.test[~known])}
