"""The level of theory behind a model, where it is at hand: its minimum and modes beside the model's."""

import warnings
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from schnet_calc.simulate.modes import NormalModes, normal_modes
from schnet_calc.simulate.relax import check_converged, relax

DEGENERATE = 1.0
"""cm⁻¹; modes this close together may be mixed at will."""


@dataclass(frozen=True)
class ModeComparison:
    """Outcome of :func:`compare_modes`; one row per mode of the model, in its order."""

    frequencies: NDArray[np.float64]
    """(modes,) cm⁻¹ of the model"""
    reference: NDArray[np.float64]
    """(modes,) cm⁻¹ of the reference's mode that goes with each"""
    overlaps: NDArray[np.float64]
    """(modes,) how much of each displacement lies in that of its partner, or in those of all modes of the
    partner's frequency (within :data:`DEGENERATE`): 1 for the same motion"""
    rmsd: float
    """Å between both minima, superposed"""

    @property
    def errors(self) -> NDArray[np.float64]:
        """(modes,) model minus reference, cm⁻¹."""
        return self.frequencies - self.reference

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "frequencies_cm1": self.frequencies.tolist(),
            "reference_cm1": self.reference.tolist(),
            "overlaps": self.overlaps.tolist(),
            "rmsd_ang": self.rmsd,
        }


def reference_modes(atoms: ase.Atoms, calculator: Any, fmax: float = 1e-3, steps: int = 500) -> NormalModes:
    """Relax a copy of a molecule with any ASE calculator, and its normal modes there.

    Parameters
    ----------
    atoms : Atoms
        Where to start: the model's minimum.
    calculator : Calculator
        Any.
    fmax : float
        Largest force to end with, eV/Å.
    steps : int
        Limit of the relaxation.

    Raises
    ------
    RuntimeError
        The relaxation did not converge.
    """
    found = relax(atoms, calculator, fmax, steps)
    check_converged(found, "the reference's relaxation")
    modes = normal_modes(found.atoms, calculator)
    if modes.fmax > 10 * fmax:
        raise RuntimeError(
            f"the reference has forces of {modes.fmax:.1e} eV/Å at what was its minimum before"
        )
    return modes


def compare_modes(model: NormalModes, reference: NormalModes) -> ModeComparison:
    """Match the modes of two surfaces, one to one, so that their squared overlaps add up to the most.

    Parameters
    ----------
    model, reference : NormalModes
        Of the same atoms in the same order; the reference is superposed on the model first.

    Raises
    ------
    ValueError
        The atoms are others, or there are not as many modes.
    """
    if not np.array_equal(model.atoms.numbers, reference.atoms.numbers):
        raise ValueError("the modes are of other atoms, or in another order")
    if len(model.modes) != len(reference.modes):
        raise ValueError(
            f"{len(model.modes)} modes can't be matched with {len(reference.modes)}: one molecule is linear"
        )
    masses = model.atoms.get_masses()
    places = [m.atoms.positions - m.atoms.get_center_of_mass() for m in (model, reference)]
    with warnings.catch_warnings():  # of a linear molecule, whose rotation about its axis does nothing
        warnings.filterwarnings("ignore", message="Optimal rotation is not uniquely")
        turn, _ = Rotation.align_vectors(*places, weights=masses)
    off = places[0] - turn.apply(places[1])
    n_modes = len(model.modes)
    weights = np.sqrt(masses)[:, None]
    ours = (model.modes * weights).reshape(n_modes, -1)
    theirs = (reference.modes @ turn.as_matrix().T * weights).reshape(n_modes, -1)
    overlaps = np.abs(ours @ theirs.T)
    _, columns = linear_sum_assignment(overlaps**2, maximize=True)
    partners = reference.frequencies[columns]
    alike = np.abs(reference.frequencies[None, :] - partners[:, None]) < DEGENERATE
    return ModeComparison(
        frequencies=model.frequencies,
        reference=partners,
        overlaps=np.sqrt((overlaps**2 * alike).sum(axis=1)),
        rmsd=float(np.sqrt((off**2).sum(axis=1).mean())),
    )
