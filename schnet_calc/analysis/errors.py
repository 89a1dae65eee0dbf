"""Errors of predicted properties."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from ase import units

KCAL_MOL = units.kcal / units.mol
"""eV"""


@dataclass(frozen=True)
class Error:
    """Of one property, over all its components."""

    mae: float
    """Mean absolute error."""
    rmse: float
    """Root mean squared error."""

    @classmethod
    def of(cls, differences: np.ndarray) -> "Error":
        """Return the errors that predictions minus labels (...,), of any unit, show."""
        return cls(float(np.abs(differences).mean()), float(np.sqrt((differences**2).mean())))


class Errors(Mapping[str, Error]):
    """Errors by name of the property, in its own unit: eV, eV/Å for components of forces ...

    Parameters
    ----------
    errors : dict
        By name; properties without labels are left out.
    """

    def __init__(self, errors: Mapping[str, Error]) -> None:
        self._errors = dict(errors)

    def __getitem__(self, name: str) -> Error:
        return self._errors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._errors)

    def __len__(self) -> int:
        return len(self._errors)

    @classmethod
    def of(cls, energy: np.ndarray, force: np.ndarray) -> "Errors":
        """Return errors from differences: energies (M,) in eV and force components in eV/Å; any may be empty."""
        return cls.from_differences({"energy": energy, "forces": force})

    @classmethod
    def from_differences(cls, differences: Mapping[str, np.ndarray]) -> "Errors":
        """Return errors from predictions minus labels (...,) in their units, by name; empty ones are left out."""
        return cls({name: Error.of(values) for name, values in differences.items() if values.size})

    def _value(self, name: str, kind: str) -> float:
        return getattr(self._errors[name], kind) if name in self._errors else float("nan")

    @property
    def energy_mae_ev(self) -> float:
        """Not a number where no energies were compared; so are the others."""
        return self._value("energy", "mae")

    @property
    def force_mae_ev_ang(self) -> float:
        """Mean absolute error of force components, eV/Å."""
        return self._value("forces", "mae")

    @property
    def force_rmse_ev_ang(self) -> float:
        """Root mean squared error of force components, eV/Å."""
        return self._value("forces", "rmse")

    def to_dict(self) -> dict[str, float]:
        """Return plain values, each key with its unit where it is an energy or a force."""
        values: dict[str, float] = {}
        for name, error in self._errors.items():
            for kind, value in (("mae", error.mae), ("rmse", error.rmse)):
                if name == "energy":
                    values |= {f"energy_{kind}_ev": value, f"energy_{kind}_kcal_mol": value / KCAL_MOL}
                elif name == "forces":
                    values[f"force_{kind}_ev_ang"] = value
                    values[f"force_{kind}_kcal_mol_ang"] = value / KCAL_MOL
                else:
                    values[f"{name}_{kind}"] = value
        return values

    def __str__(self) -> str:
        parts = []
        if "energy" in self:
            value = self.energy_mae_ev
            parts.append(f"energy MAE {value / KCAL_MOL:.4f} kcal/mol ({1e3 * value:.2f} meV)")
        if "forces" in self:
            value = self.force_mae_ev_ang
            parts.append(f"force MAE {value / KCAL_MOL:.4f} kcal/mol/Å ({1e3 * value:.2f} meV/Å)")
        parts += [f"{n} MAE {e.mae:.4g}" for n, e in self.items() if n not in ("energy", "forces")]
        return ", ".join(parts) or "no labels"
