"""The level of theory behind a model, where it is at hand: its minimum and modes beside the model's."""

import warnings
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import BadConfiguration, get_calculator_class, names as calculator_names
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from schnet_calc.simulate.modes import NormalModes, normal_modes
from schnet_calc.simulate.pyscf import PySCF
from schnet_calc.simulate.relax import relax

XTB = ("GFN2-xTB", "GFN1-xTB", "IPEA1-xTB")
"""Methods of tblite."""
ACCURACY = 0.01
"""Of tblite's self-consistency, its default being 1: there, differences of forces are too noisy for the Hessian
of some 20 atoms (caffeine: its sum rule off by 0.1 eV/Å², and by 0.001 with this)."""
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


def reference_calculator(name: str) -> Any:
    """Return an ASE calculator by name: ``"GFN2-xTB"`` of tblite, ``"PBE/def2-SVP"`` of PySCF, or one of ASE's.

    Raises
    ------
    ModuleNotFoundError
        tblite or PySCF is not installed (``pip install 'schnet-calc[xtb]'``, ``'schnet-calc[dft]'``).
    ValueError
        ASE has no calculator of that name, or it needs more than its name.
    """
    method = next((m for m in XTB if name.lower() in (m.lower(), m.lower().removesuffix("-xtb"))), None)
    if method is not None:
        try:
            from tblite.ase import TBLite
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"{method} is computed by tblite: pip install 'schnet-calc[xtb]'"
            ) from error
        return TBLite(method=method, accuracy=ACCURACY, verbosity=0)
    if "/" in name:
        return PySCF(name)
    if name not in calculator_names:
        raise ValueError(
            f"the reference is one of {', '.join(XTB)}, a functional and a basis as in PBE/def2-SVP, or the name "
            f"of an ASE calculator, got {name!r}"
        )
    try:
        return get_calculator_class(name)()
    except (ImportError, AttributeError, TypeError, BadConfiguration) as error:
        raise ValueError(
            f"ASE's calculator {name!r} can't be had without settings or a program ({error}); in Python, "
            "reference_modes takes a calculator that is set up"
        ) from error


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
    if not found.converged:
        raise RuntimeError(
            f"the reference's relaxation did not converge: {found.fmax:.1e} eV/Å after {found.steps} steps"
        )
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
