"""Stresses as codes write them, as derivatives of the energy by strain."""

from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
from ase import units
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from schnet_calc.data.labels import find_label, label_keys

STRESS_UNITS = {"eV/Ang3": 1.0, "GPa": units.GPa, "kbar": 0.1 * units.GPa}
CONVENTIONS = {"ase": "eV/Ang3", "vasp": "kbar", "virial": "eV"}
VASP = [0, 1, 2, 4, 5, 3]
"""Where Voigt's xx, yy, zz, yz, xz, xy are in VASP's xx, yy, zz, xy, yz, zx."""


@dataclass(frozen=True)
class StressLabels:
    """Where the stresses of a file are and how they are written."""

    key: str
    """In ``info`` or a calculator's results."""
    convention: str = "ase"
    """``"ase"``: stress, positive under tension; (3, 3), 9 numbers or xx, yy, zz, yz, xz, xy.
    ``"vasp"``: positive under compression, xx, yy, zz, xy, yz, zx.
    ``"virial"``: minus the derivative of the energy by strain in eV, written as with ``"ase"``."""
    unit: str | None = None
    """One of :data:`STRESS_UNITS`; by default that of the convention: eV/Å³, kbar, eV."""

    def __post_init__(self) -> None:
        if self.convention not in CONVENTIONS:
            raise ValueError(
                f"stress_convention is one of {', '.join(CONVENTIONS)}, got {self.convention!r}"
            )
        allowed = ["eV"] if self.convention == "virial" else list(STRESS_UNITS)
        if self.unit is not None and self.unit not in allowed:
            raise ValueError(
                f"stress_unit with the convention {self.convention!r} is one of {', '.join(allowed)}, "
                f"got {self.unit!r}"
            )

    def virial(self, values: NDArray[np.float64], volume: float) -> NDArray[np.float64]:
        """(3, 3) eV: derivative of the energy by strain, from what a file says; the volume in Å³."""
        if values.size == 6:
            six = values.ravel()
            tensor = voigt_6_to_full_3x3_stress(six[VASP] if self.convention == "vasp" else six)
        elif values.size == 9 and self.convention != "vasp":
            tensor = values.reshape(3, 3)
        else:
            raise ValueError(f"{values.size} numbers are no stress of the convention {self.convention!r}")
        if self.convention == "virial":
            return -tensor
        sign = -1.0 if self.convention == "vasp" else 1.0
        return sign * STRESS_UNITS[self.unit or CONVENTIONS[self.convention]] * volume * tensor


def read_virials(
    path: Path, images: list[ase.Atoms], labels: StressLabels, length: float
) -> NDArray[np.float64]:
    """(M, 3, 3) eV; not a number for frames without the key.

    Parameters
    ----------
    path : path
        For messages.
    images : list of Atoms
        As the file has them.
    labels : StressLabels
        Where and how.
    length : float
        Å per unit of length of the images.

    Raises
    ------
    ValueError
        No frame has the key, or a frame that has it isn't periodic along all three directions, or holds
        something else than a stress.
    """
    virials = np.full((len(images), 3, 3), np.nan)
    for k, atoms in enumerate(images):
        if find_label(atoms, labels.key) is not None:
            try:
                virials[k] = virial_of(atoms, labels, length)
            except ValueError as error:
                raise ValueError(f"{path}, frame {k}: {error}") from error
    if np.isnan(virials).all():
        raise ValueError(f"{path}: no frame has {labels.key!r}; the first has {label_keys(images[0])}")
    return virials


def virial_of(atoms: ase.Atoms, labels: StressLabels, length: float) -> NDArray[np.float64]:
    """Return (3, 3) eV of a frame that has the key; arguments as for :func:`read_virials`.

    Raises
    ------
    ValueError
        It isn't periodic along all three directions, or what it has is no stress.
    """
    if not atoms.pbc.all():
        raise ValueError(f"a stress needs periodicity along all directions, pbc is {atoms.pbc}")
    volume = float(atoms.get_volume()) * length**3
    try:
        values = np.asarray(find_label(atoms, labels.key), dtype=float)
        if not np.isfinite(values).all():
            raise ValueError(f"a stress that is not finite: {values.ravel().tolist()}")
        return labels.virial(values, volume)
    except ValueError as error:
        raise ValueError(f"{labels.key}: {error}") from error
