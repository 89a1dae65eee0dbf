"""Harmonic normal modes, rigid motions projected out."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase import units
from ase.vibrations import Vibrations, VibrationsData
from numpy.typing import NDArray

from schnet_calc.calculator import SchNetCalculator
from schnet_calc.simulate.records import describe, restore
from schnet_calc.stages import tell

LINEAR = 1e-3
"""Å; a molecule whose atoms all lie this close to a line counts as linear."""
HESSIAN_TOLERANCE = 1e-6
"""Share of the largest entry by which symmetry and sum rule may be missed."""
NUMERICAL_TOLERANCE = 1e-3
"""The same for differences of forces, which may be noisy."""
DISPLACEMENT = 0.005
"""Å, for differences of the forces of calculators without a Hessian."""
MODE_UNIT = units._hbar * units.m / np.sqrt(units._e * units._amu)
"""eV per square root of eV/(Å² amu)."""


@dataclass(frozen=True)
class NormalModes:
    """Outcome of :func:`normal_modes`."""

    atoms: ase.Atoms
    """The structure, without calculator."""
    hessian: NDArray[np.float64]
    """(3N, 3N) eV/Å², symmetrised, rigid motions projected out."""
    frequencies: NDArray[np.float64]
    """(3N - 6,), or 3N - 5 for a linear molecule, cm⁻¹, ascending; imaginary ones are negative."""
    modes: NDArray[np.float64]
    """(modes, N, 3) displacements, orthonormal when weighted with the square roots of the masses."""
    asymmetry: float
    """Largest |H - Hᵀ|, eV/Å²: the error of the Hessian's evaluation."""
    sum_rule: float
    """Largest sum of a row over atoms, eV/Å²: zero if moving the whole molecule costs nothing."""
    fmax: float
    """Largest force, eV/Å; the harmonic picture needs a stationary point."""

    @property
    def zero_point_energy(self) -> float:
        """Half the sum of the real modes' quanta, eV."""
        return float(0.5 * self.frequencies[self.frequencies > 0].sum() * units.invcm)

    @property
    def n_imaginary(self) -> int:
        """Number of imaginary modes: zero at a minimum."""
        return int((self.frequencies < 0).sum())

    @property
    def vibrations(self) -> VibrationsData:
        """The projected Hessian for ASE: animation, densities of states, thermochemistry."""
        n_atoms = len(self.atoms)
        return VibrationsData(self.atoms, self.hessian.reshape(n_atoms, 3, n_atoms, 3))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, from which :meth:`from_dict` makes it again."""
        return {
            "atoms": describe(self.atoms),
            "frequencies_cm1": self.frequencies.tolist(),
            "zero_point_energy_ev": self.zero_point_energy,
            "n_imaginary": self.n_imaginary,
            "hessian_asymmetry_ev_ang2": self.asymmetry,
            "sum_rule_ev_ang2": self.sum_rule,
            "fmax_ev_ang": self.fmax,
            "displacements": self.modes.tolist(),
            "hessian_ev_ang2": self.hessian.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "NormalModes":
        """What :meth:`to_dict` described."""
        return cls(
            atoms=restore(values["atoms"]),
            hessian=np.array(values["hessian_ev_ang2"]),
            frequencies=np.array(values["frequencies_cm1"]),
            modes=np.array(values["displacements"]),
            asymmetry=values["hessian_asymmetry_ev_ang2"],
            sum_rule=values["sum_rule_ev_ang2"],
            fmax=values["fmax_ev_ang"],
        )


def rigid_motions(atoms: ase.Atoms) -> NDArray[np.float64]:
    """Return orthonormal translations and rotations (6, 3N), (5, 3N) if linear, in coordinates of Å√amu."""
    weights = np.sqrt(atoms.get_masses())
    arms = atoms.positions - atoms.get_center_of_mass()
    translations = [np.outer(weights, axis).ravel() for axis in np.eye(3)]
    rotations = [(weights[:, None] * np.cross(axis, arms)).ravel() for axis in np.eye(3)]
    _, spreads, _ = np.linalg.svd(arms, full_matrices=False)
    n_rotations = 0 if spreads[0] < LINEAR else 2 if spreads[1] < LINEAR else 3
    # Singular vectors: a linear molecule's rotations about its axis vanish and drop out.
    _, _, rotation_basis = np.linalg.svd(np.array(rotations), full_matrices=False)
    basis = np.concatenate([np.array(translations), rotation_basis[:n_rotations]])
    return np.linalg.qr(basis.T)[0].T


def normal_modes(atoms: ase.Atoms, calculator: Any) -> NormalModes:
    """Frequencies and displacements of the harmonic vibrations of a molecule.

    The Hessian is that of :meth:`SchNetCalculator.hessian`, in float64 whatever the calculator's type; of
    other calculators it is taken from differences of forces (``ase.vibrations``, fourth order).

    Parameters
    ----------
    atoms : Atoms
        A relaxed molecule.
    calculator : Calculator
        Any ASE calculator.

    Raises
    ------
    ValueError
        The structure is periodic, or has fewer than two atoms.
    FloatingPointError
        The Hessian is not symmetric, or moving the whole molecule costs energy.
    """
    if atoms.pbc.any():
        raise ValueError("normal modes are for molecules; for a periodic structure use ase.phonons")
    if len(atoms) < 2:
        raise ValueError(f"normal modes need at least two atoms, got {len(atoms)}")
    plain = atoms.copy()  # with the charges and magnetic moments that other calculators look at
    plain.calc, plain.info = None, {}
    plain.set_constraint()
    exact = isinstance(calculator, SchNetCalculator)
    raw = calculator.hessian(plain) if exact else _numerical_hessian(plain, calculator)
    tolerance = HESSIAN_TOLERANCE if exact else NUMERICAL_TOLERANCE
    hessian = 0.5 * (raw + raw.T)
    n_atoms = len(plain)
    sums = hessian.reshape(3 * n_atoms, n_atoms, 3).sum(axis=1)
    for name, value in (("asymmetry", np.abs(raw - raw.T).max()), ("sum rule", np.abs(sums).max())):
        if value > tolerance * np.abs(hessian).max():
            raise FloatingPointError(f"the Hessian is unsound: its {name} is off by {value:.1e} eV/Å²")
    weights = np.repeat(np.sqrt(plain.get_masses()), 3)
    rigid = rigid_motions(plain)
    projector = np.eye(3 * n_atoms) - rigid.T @ rigid
    weighted = projector @ (hessian / np.outer(weights, weights)) @ projector
    values, vectors = np.linalg.eigh(weighted)
    # Projected motions have exactly zero curvature: recognise them by their direction, not by size.
    internal = np.argsort(np.linalg.norm(rigid @ vectors, axis=0), kind="stable")
    internal = np.sort(internal[: 3 * n_atoms - len(rigid)])
    values, vectors = values[internal], vectors[:, internal]
    frequencies = np.sign(values) * np.sqrt(np.abs(values)) * MODE_UNIT / units.invcm
    forces = calculator.get_forces(plain)
    return NormalModes(
        atoms=plain,
        hessian=weighted * np.outer(weights, weights),
        frequencies=frequencies,
        modes=(vectors / weights[:, None]).T.reshape(-1, n_atoms, 3),
        asymmetry=float(np.abs(raw - raw.T).max()),
        sum_rule=float(np.abs(sums).max()),
        fmax=float(np.linalg.norm(forces, axis=1).max()),
    )


def write_modes(
    path: str | Path,
    modes: NormalModes,
    calculator: SchNetCalculator,
    further: dict[str, Any] | None = None,
) -> None:
    """Write modes, the model that they are of, and further results, as JSON.

    Parameters
    ----------
    path : path
        The file.
    modes : NormalModes
        What is written.
    calculator : SchNetCalculator
        That they are of.
    further : dict, optional
        Plain values.
    """
    values = {"task": "modes", **calculator.todict(), **modes.to_dict(), **(further or {})}
    Path(path).write_text(json.dumps(values, indent=1) + "\n")


class Told:
    """What makes one of ASE's runs of displaced structures say how many are done."""

    stage: str
    each: int
    """Displacements of an atom."""
    indices: Sequence[int]
    done = -1

    def calculate(self, atoms: ase.Atoms, disp: Any) -> Any:
        """Tell one more."""
        self.done += 1
        tell(self.stage, self.done, self.each * len(self.indices) + 1)
        return super().calculate(atoms, disp)  # type: ignore[misc]

    def run(self) -> None:
        """Tell the end."""
        super().run()  # type: ignore[misc]
        tell(self.stage, self.done + 1, self.done + 1)


class _ToldVibrations(Told, Vibrations):
    stage, each = "differences of forces", 12


def _numerical_hessian(atoms: ase.Atoms, calculator: Any) -> NDArray[np.float64]:
    moving = atoms.copy()
    moving.calc = calculator
    with tempfile.TemporaryDirectory() as folder:
        vibrations = _ToldVibrations(moving, name=str(Path(folder) / "forces"), delta=DISPLACEMENT, nfree=4)
        vibrations.run()
        hessian: NDArray[np.float64] = vibrations.get_vibrations().get_hessian_2d()
    return hessian
