"""Whether labels fit their structures and one another: what ``data`` shows and ``train`` begins with."""

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from schnet_calc.data.frames import Frames
from schnet_calc.data.overview import energy_over_work, unit_warnings

SAMPLE = 2000
"""Frames that energies are held against the work of forces in."""
TYPICAL_FORCE = 15.0
"""eV/Å: a mean force beyond it is asked about; kcal/mol/Å read as eV/Å are 23 times too large."""
FAR = 40.0
"""Times the usual distance from the median, from which on a label is called an outlier."""


def label_warnings(frames: Frames) -> list[str]:
    """Say what doesn't fit: units, signs, and single labels far from all others.

    Parameters
    ----------
    frames : Frames
        Labelled structures, in eV and Å.

    Returns
    -------
    list of str
        Warnings in words, with frame numbers; empty if all is well.
    """
    both = np.flatnonzero(frames.labelled("energy") & frames.labelled("forces"))
    if len(both) > SAMPLE:
        both = np.random.default_rng(0).choice(both, SAMPLE, replace=False)
    slope = energy_over_work(frames.select(np.sort(both))) if len(both) else None
    return [*unit_warnings(np.inf, slope), *_forces(frames), *_energies(frames)]


def _forces(frames: Frames) -> list[str]:
    norms = np.linalg.norm(frames.forces, axis=1)
    known = norms[np.isfinite(norms)]
    if not len(known):
        return []
    found = []
    if known.mean() > TYPICAL_FORCE:
        found.append(
            f"the mean force is {known.mean():.0f} eV/Å: is energy_unit right (kcal/mol, Hartree)?"
        )
    atom = int(np.nanargmax(norms))
    if norms[atom] > FAR * np.median(known) > 0:
        frame = int(np.searchsorted(frames.offsets, atom, side="right") - 1)
        symbol = chemical_symbols[frames.numbers[atom]]
        found.append(
            f"frame {frame}, atom {atom - frames.offsets[frame]} ({symbol}): a force of {norms[atom]:.3g} eV/Å, "
            f"{norms[atom] / np.median(known):.0f} times the median"
        )
    return found


def _energies(frames: Frames) -> list[str]:
    """Energies per atom far from those of frames with the same composition."""
    known = frames.labelled("energy")
    found = []
    for rows in _same_composition(frames, known):
        energies = frames.energies[rows]
        off = np.abs(energies - np.median(energies))
        usual = float(np.median(off))
        worst = int(off.argmax())
        if usual > 0 and off[worst] > FAR * usual:
            found.append(
                f"frame {rows[worst]}: an energy of {energies[worst]:.6g} eV, {off[worst]:.3g} eV from the "
                f"median of {_formula(frames, rows[0])}, where {usual:.3g} eV are usual"
            )
    return found[:5]


def energies_by_composition(frames: Frames) -> dict[str, tuple[int, float, float]]:
    """Return for each formula how many energies there are, their mean and their standard deviation, eV."""
    found = {}
    for rows in _same_composition(frames, frames.labelled("energy"), 1):
        energies = frames.energies[rows]
        found[_formula(frames, rows[0])] = (len(rows), float(energies.mean()), float(energies.std()))
    return found


def _formula(frames: Frames, frame: np.int64) -> str:
    return Atoms(frames.numbers[frames.rows(int(frame))]).get_chemical_formula()


def _same_composition(frames: Frames, known: NDArray[np.bool_], least: int = 20) -> list[NDArray[np.int64]]:
    """Frames of each composition that at least so many have."""
    groups: dict[bytes, list[int]] = {}
    for k in np.flatnonzero(known):
        groups.setdefault(np.sort(frames.numbers[frames.rows(int(k))]).tobytes(), []).append(int(k))
    return [np.array(rows) for rows in groups.values() if len(rows) >= least]
