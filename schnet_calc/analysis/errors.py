"""Errors of predicted energies and forces."""

from typing import NamedTuple

import numpy as np
from ase import units

KCAL_MOL = units.kcal / units.mol
"""eV"""


class Errors(NamedTuple):
    """Mean absolute and root mean squared errors; forces per component."""

    energy_mae_ev: float
    energy_rmse_ev: float
    force_mae_ev_ang: float
    force_rmse_ev_ang: float

    @classmethod
    def of(cls, energy: np.ndarray, force: np.ndarray) -> "Errors":
        """From differences: energies (M,) in eV and force components in eV/Å."""
        return cls(
            float(np.abs(energy).mean()),
            float(np.sqrt((energy**2).mean())),
            float(np.abs(force).mean()),
            float(np.sqrt((force**2).mean())),
        )

    def to_dict(self) -> dict[str, float]:
        """In eV and in kcal/mol, each key with its unit."""
        values = self._asdict()
        for name, value in self._asdict().items():
            kcal = name.replace("_ev_ang", "_kcal_mol_ang").replace("_ev", "_kcal_mol")
            values[kcal] = value / KCAL_MOL
        return values

    def __str__(self) -> str:
        return (
            f"energy MAE {self.energy_mae_ev / KCAL_MOL:.4f} kcal/mol "
            f"({1e3 * self.energy_mae_ev:.2f} meV), "
            f"force MAE {self.force_mae_ev_ang / KCAL_MOL:.4f} kcal/mol/Å "
            f"({1e3 * self.force_mae_ev_ang:.2f} meV/Å)"
        )
