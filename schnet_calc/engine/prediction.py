"""What an engine returns for one structure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
        """Standard deviation of the committee's total energies, eV."""
        return float(np.std([m.energy for m in self.members], ddof=1))

    @property
    def forces_std(self) -> NDArray[np.float64]:
        """(N, 3) standard deviation of the committee's forces, eV/Å."""
        return np.asarray(np.std([m.forces for m in self.members], axis=0, ddof=1))


def voigt_stress(virial: NDArray[np.float64], volume: float) -> NDArray[np.float64]:
    """(6,) eV/Å³, xx, yy, zz, yz, xz, xy, from the derivative of the energy by strain (3, 3) and Å³."""
    full = 0.5 * (virial + virial.T) / volume
    return full[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def split(
    structures: Sequence[Structure],
    offsets: NDArray[np.float64],
    energies: NDArray[np.float64],
    forces: NDArray[np.float64],
    virials: NDArray[np.float64],
) -> list[Prediction]:
    """Predictions for the B structures of a batch, from arrays over all N atoms.

    Parameters
    ----------
    structures : sequence of Structure
        In the order of their atoms.
    offsets : array
        (Z,) reference energies by atomic number, eV.
    energies, forces, virials : array
        (N,) eV without reference energies, (N, 3) eV/Å and (B, 3, 3) eV.
    """
    ends = np.cumsum([len(s.numbers) for s in structures])
    rows = [slice(end - len(s.numbers), end) for end, s in zip(ends, structures, strict=True)]
    return [
        Prediction(energies[r] + offsets[s.numbers], forces[r], virial, s.volume)
        for r, s, virial in zip(rows, structures, virials, strict=True)
    ]
