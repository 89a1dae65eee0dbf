"""What calculators of labels share: all results of a structure come at once."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

import ase
from ase.calculators.calculator import Calculator, all_changes


class ReferenceCalculator(Calculator):
    """An ASE calculator that computes everything it knows of a structure in one go."""

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Collection[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute all results; ASE calls this. Arguments as for :meth:`Calculator.calculate`."""
        super().calculate(atoms, list(properties), list(system_changes))
        self.results: dict[str, Any] = self.compute()
        self.results["free_energy"] = self.results["energy"]

    @abstractmethod
    def compute(self) -> dict[str, Any]:
        """Return ASE's results for :attr:`atoms`, in eV, eV/Å, eV/Å³ and e·Å."""
