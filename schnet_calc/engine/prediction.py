"""What an engine returns for one structure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schnet_calc.reductions import REDUCTIONS
from schnet_calc.structures.structure import Structure


@dataclass(frozen=True)
class Prediction:
    """Energy and its derivatives; plain float64 arrays on the CPU."""

    energies: NDArray[np.float64]
    """(N,) eV: energy of each atom, reference energies included."""
    forces: NDArray[np.float64]
    """(N, 3) eV/Å."""
    virial: NDArray[np.float64]
    """(3, 3) eV: derivative of the energy with respect to strain; -virial in i-PI's sign."""
    volume: float
    """Å³; zero for structures that are not periodic along all three directions."""
    members: tuple["Prediction", ...] = ()
    """What each model of a committee says; empty for a single model."""
    outputs: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Further outputs by name, in the units of the model file: numbers (), dipoles (3,) e·Å."""
    atomic: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """(N,) what each atom adds to them; latent charges, e, for a dipole."""
    grades: NDArray[np.float64] | None = None
    """(N,) how far each atom is from the training data, one at the limit; None where nothing is known."""
    error_bar: float | None = None
    """eV: what a single model's energy is off by, about; None where that isn't known."""

    @property
    def energy(self) -> float:
        """Total energy, eV."""
        return float(self.energies.sum())

    @property
    def stress(self) -> NDArray[np.float64]:
        """(6,) eV/Å³ in ASE's sign and Voigt order xx, yy, zz, yz, xz, xy."""
        if not self.volume > 0:
            raise ValueError("stress needs a structure that is periodic along all three directions")
        return voigt_stress(self.virial, self.volume)

    @property
    def energy_std(self) -> float:
        """Standard deviation of the total energy, eV: the committee's, or a single model's own error bar.

        Not a number where nothing is known.
        """
        if self.members:
            return float(np.std([m.energy for m in self.members], ddof=1))
        return math.nan if self.error_bar is None else self.error_bar

    @property
    def forces_std(self) -> NDArray[np.float64]:
        """(N, 3) standard deviation of the committee's forces, eV/Å."""
        return np.asarray(np.std([m.forces for m in self.members], axis=0, ddof=1))


class Totals(NamedTuple):
    """What dynamics needs of B geometries of the same N atoms; plain float64 arrays on the CPU."""

    atomic: NDArray[np.float64]
    """(B, N) eV: what each atom adds to the energy of its geometry."""
    forces: NDArray[np.float64]
    """(B, N, 3) eV/Å."""
    virials: NDArray[np.float64]
    """(B, 3, 3) eV: derivatives of the energies with respect to strain."""
    grades: NDArray[np.float64] | None = None
    """(B, N) how far each atom is from the training data; see :class:`Prediction`."""

    @property
    def energies(self) -> NDArray[np.float64]:
        """(B,) eV."""
        return self.atomic.sum(axis=1)

    @classmethod
    def of(cls, predictions: Sequence[Prediction]) -> "Totals":
        """The same numbers from one object each; of at least one."""
        grades = [p.grades for p in predictions]
        return cls(
            np.stack([p.energies for p in predictions]),
            np.stack([p.forces for p in predictions]),
            np.stack([p.virial for p in predictions]),
            None if grades[0] is None else np.stack(grades),  # type: ignore[arg-type]
        )


def voigt_stress(virial: NDArray[np.float64], volume: float) -> NDArray[np.float64]:
    """Return (6,) eV/Å³, xx, yy, zz, yz, xz, xy, from the derivative of the energy by strain (3, 3) and Å³."""
    full = 0.5 * (virial + virial.T) / volume
    return full[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def read_heads(
    atomic: dict[str, NDArray[np.float64]], heads: dict[str, str], structure: Structure
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Return further outputs of a structure, and what each atom adds to them.

    Parameters
    ----------
    atomic : dict
        (N,) numbers of the atoms by name.
    heads : dict
        Names among :data:`~schnet_calc.reductions.REDUCTIONS` by name.
    structure : Structure
        The atoms.
    """
    outputs, parts, groups = {}, {}, structure.groups()
    for name, values in atomic.items():
        how = REDUCTIONS[heads[name]]
        parts[name] = how.parts(np.asarray(values, dtype=float), groups)
        outputs[name] = how.reduce(parts[name], groups)[0]
    return outputs, parts
