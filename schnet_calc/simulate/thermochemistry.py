"""Thermochemistry of an ideal gas of rigid, harmonic molecules."""

import math
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase import units
from ase.thermochemistry import IdealGasThermo

from schnet_calc.analysis.symmetry import TOLERANCE, PointGroup, point_group
from schnet_calc.simulate.modes import NormalModes, rigid_motions

NEARLY = 5.0
"""Times the tolerance of a point group, within which a higher one is looked for."""


@dataclass(frozen=True)
class Thermochemistry:
    """Outcome of :func:`thermochemistry`."""

    temperature: float
    """K"""
    pressure: float
    """Pa"""
    group: PointGroup
    """Of the structure, with its isotopes."""
    nearly: str | None
    """A higher point group, if the structure misses it by no more than :data:`NEARLY` tolerances."""
    symmetry: int
    """Symmetry number that was used."""
    spin: float
    """Total electronic spin that was used; 2 S + 1 states count as degenerate."""
    enthalpy: float
    """eV"""
    entropy: float
    """eV/K"""
    gibbs: float
    """eV"""

    @property
    def entropy_j(self) -> float:
        """The entropy in J/mol/K."""
        return self.entropy * units.mol / units.J

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "temperature_k": self.temperature,
            "pressure_pa": self.pressure,
            "point_group": self.group.name,
            "nearly": self.nearly,
            "symmetry_number": self.symmetry,
            "spin": self.spin,
            "enthalpy_ev": self.enthalpy,
            "entropy_ev_k": self.entropy,
            "entropy_j_mol_k": self.entropy_j,
            "gibbs_energy_ev": self.gibbs,
        }


def thermochemistry(
    modes: NormalModes,
    energy: float,
    temperature: float = 298.15,
    pressure: float = 101325.0,
    symmetry: int | None = None,
    spin: float | None = None,
) -> Thermochemistry:
    """Return enthalpy, entropy and Gibbs energy of an ideal gas of rigid, harmonic molecules, by ASE.

    Parameters
    ----------
    modes : NormalModes
        Of a minimum.
    energy : float
        eV, of the minimum.
    temperature, pressure : float
        K and Pa.
    symmetry : int, optional
        Rotations that leave the molecule as it is; by default those of its point group, which is found from the
        structure and its isotopes.
    spin : float, optional
        Total electronic spin S; by default as :func:`lowest_spin` says.

    Raises
    ------
    ValueError
        There are imaginary modes; a temperature, pressure, symmetry number or spin that can't be.
    """
    if modes.n_imaginary:
        raise ValueError(f"{modes.n_imaginary} modes are imaginary: thermochemistry is that of minima")
    group = point_group(modes.atoms)
    higher = point_group(modes.atoms, NEARLY * TOLERANCE)
    symmetry = group.rotations if symmetry is None else symmetry
    spin = lowest_spin(modes.atoms) if spin is None else spin
    _check_gas(temperature, pressure, symmetry, spin)
    gas: Any = IdealGasThermo(
        vib_energies=modes.frequencies * units.invcm,
        geometry={2: "linear", 3: "nonlinear"}[len(rigid_motions(modes.atoms)) - 3],
        potentialenergy=energy,
        atoms=modes.atoms,
        symmetrynumber=symmetry,
        spin=spin,
    )
    return Thermochemistry(
        temperature,
        pressure,
        group,
        higher.name if higher.rotations > group.rotations else None,
        symmetry,
        spin,
        float(gas.get_enthalpy(temperature, verbose=False)),
        float(gas.get_entropy(temperature, pressure, verbose=False)),
        float(gas.get_gibbs_energy(temperature, pressure, verbose=False)),
    )


def _check_gas(temperature: float, pressure: float, symmetry: int, spin: float) -> None:
    for name, value, unit in (("temperature", temperature, "K"), ("pressure", pressure, "Pa")):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be positive and finite, got {value} {unit}")
    if symmetry < 1:
        raise ValueError(f"a symmetry number is 1 or more, got {symmetry}")
    if spin < 0 or 2 * spin != round(2 * spin):
        raise ValueError(f"a spin is 0, 0.5, 1, 1.5 ..., got {spin}")


def lowest_spin(atoms: ase.Atoms) -> float:
    """Return the total spin S of a molecule: that of its magnetic moments, or the lowest that its electrons allow.

    Without moments: 0 for an even number of electrons, one half for an odd one, initial charges counted. Molecules
    with unpaired electrons in an even number, O₂ above all, are not recognised.
    """
    moments = float(np.abs(atoms.get_initial_magnetic_moments().sum()))
    if moments:
        return round(moments) / 2.0
    electrons = int(atoms.numbers.sum()) - round(float(atoms.get_initial_charges().sum()))
    return (electrons % 2) / 2.0
