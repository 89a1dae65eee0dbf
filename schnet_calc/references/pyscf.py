"""Density functionals and MP2 of PySCF as a reference that pip can install: ``"PBE/def2-SVP"``."""

import warnings
from typing import Any

import numpy as np
from ase import units
from ase.calculators.calculator import CalculationFailed, CalculatorSetupError

from schnet_calc.references.base import ReferenceCalculator

DEBYE = units.Debye


class PySCF(ReferenceCalculator):
    """Energy, analytic forces and dipole of a molecule with PySCF.

    Parameters
    ----------
    method : str
        Functional and basis as PySCF knows them, joined by a slash: ``"PBE/def2-SVP"``, ``"B3LYP/def2-TZVP"``;
        ``"HF/..."`` and ``"MP2/..."`` (whose dipole is that of Hartree-Fock, and left out) as well.
    charge : int
        e; the molecule has to have as many electrons up as down.
    grid : int
        Fineness of the functional's grid, 0 to 9.

    Raises
    ------
    ModuleNotFoundError
        PySCF is not installed (``pip install 'schnet-calc[dft]'``).
    CalculatorSetupError
        The method is no functional and basis.
    """

    implemented_properties = ("energy", "free_energy", "forces", "dipole")
    default_parameters: dict[str, Any] = {"charge": 0, "grid": 3}  # noqa: RUF012

    def __init__(self, method: str, charge: int = 0, grid: int = 3) -> None:
        try:
            import pyscf.dft
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"{method} is computed by PySCF: pip install 'schnet-calc[dft]'"
            ) from error
        super().__init__(charge=charge, grid=grid)
        self.functional, _, self.basis = method.partition("/")
        if not self.basis:
            raise CalculatorSetupError(f"a method of PySCF is FUNCTIONAL/BASIS, got {method!r}")
        if self.functional.upper() not in ("HF", "MP2"):
            try:
                pyscf.dft.libxc.parse_xc(self.functional)
            except (KeyError, ValueError) as error:
                raise CalculatorSetupError(f"PySCF knows no functional {self.functional!r}") from error
        self.method = method
        self._density: Any = None  # of the last structure, where the next one starts from
        self._numbers: list[int] = []

    def compute(self) -> dict[str, Any]:
        """Compute energy, forces and, but for MP2, the dipole.

        Raises
        ------
        CalculatorSetupError
            The molecule is periodic, or has an unpaired electron, or the basis doesn't know an element.
        CalculationFailed
            The orbitals don't converge.
        """
        field = self._field()
        energy = field.kernel(dm0=self._start())
        if not field.converged:  # far from a minimum; slower, and nearly always to an end
            field = field.newton()
            energy = field.kernel()
        if not field.converged:
            raise CalculationFailed(
                f"{self.method}: the orbitals did not converge in {field.max_cycle} steps"
            )
        self._density, self._numbers = field.make_rdm1(), self.atoms.numbers.tolist()
        solved = field
        if self.functional.upper() == "MP2":
            solved = field.MP2()
            solved.kernel()
            energy = solved.e_tot
        slope = solved.nuc_grad_method().kernel()
        results = {
            "energy": float(energy) * units.Hartree,
            "forces": -np.asarray(slope) * units.Hartree / units.Bohr,
        }
        if solved is field:
            results["dipole"] = np.asarray(field.dip_moment(unit="Debye", verbose=0)) * DEBYE
        return results

    def _field(self) -> Any:
        """The mean field of the molecule, not converged."""
        import pyscf.dft
        import pyscf.gto
        import pyscf.scf

        if self.atoms.pbc.any():
            raise CalculatorSetupError(f"{self.method} is for molecules: the structure is periodic")
        try:
            with warnings.catch_warnings():  # of where else a basis may be found; the error says enough
                warnings.simplefilter("ignore")
                molecule = pyscf.gto.M(
                    atom=list(zip(self.atoms.symbols, self.atoms.positions, strict=True)),
                    basis=self.basis,
                    charge=self.parameters["charge"],
                    verbose=0,
                )
        except (KeyError, RuntimeError, ValueError) as error:
            raise CalculatorSetupError(f"{self.method}: {error}") from error
        if self.functional.upper() in ("HF", "MP2"):
            return pyscf.scf.RHF(molecule)
        field = pyscf.dft.RKS(molecule)
        field.xc, field.grids.level = self.functional, self.parameters["grid"]
        return field

    def _start(self) -> Any:
        """The last density, if it is of the same atoms: a few steps less."""
        return self._density if self._numbers == self.atoms.numbers.tolist() else None
