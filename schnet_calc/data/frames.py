"""Labelled structures in memory, in eV and Å."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.data.properties import PROPERTIES, Property
from schnet_calc.errors import DataError
from schnet_calc.structures.structure import Structure

FIRST = ("energy", "forces")
"""Labels that the digest begins with, whether they are there or not."""


@dataclass(frozen=True)
class Frames:
    """Structures of any sizes one after another, with their labels.

    Attributes hold the atoms of all frames in sequence; frame k owns the rows
    ``offsets[k]:offsets[k + 1]``.
    """

    offsets: NDArray[np.int64]
    """(M + 1,)"""
    numbers: NDArray[np.int64]
    """(A,) atomic numbers."""
    positions: NDArray[np.float64]
    """(A, 3) Å."""
    cells: NDArray[np.float64]
    """(M, 3, 3) Å, zero for molecules."""
    pbc: NDArray[np.bool_]
    """(M, 3)"""
    labels: dict[str, NDArray[np.float64]]
    """By name of the property: (M, ...), or (A, ...) of atoms; not a number where a frame has no label."""
    properties: dict[str, Property] = field(default_factory=lambda: dict(PROPERTIES))
    """What the names mean."""
    info: dict[str, Any] = field(default_factory=dict)
    """Name, level of theory and file they come from."""

    def __len__(self) -> int:
        return len(self.cells)

    def __post_init__(self) -> None:
        for name, values in (("positions", self.positions), ("cells", self.cells)):
            if not np.all(np.isfinite(values)):
                where = np.argwhere(~np.isfinite(values))[0].tolist()
                raise DataError(f"{name} hold a value that is not finite, at index {where}")
        for name, values in self.labels.items():
            if np.isinf(values).any():
                where = np.argwhere(np.isinf(values))[0].tolist()
                raise DataError(f"{name} hold an infinite value, at index {where}")

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """(M,) atoms in each frame."""
        return np.diff(self.offsets)

    @property
    def elements(self) -> list[int]:
        """Atomic numbers that occur, ascending."""
        return [int(z) for z in np.unique(self.numbers)]

    @property
    def energies(self) -> NDArray[np.float64]:
        """(M,) eV; not a number where there is no label."""
        return self.labels.get("energy", np.full(len(self), np.nan))

    @property
    def forces(self) -> NDArray[np.float64]:
        """(A, 3) eV/Å; not numbers where a frame has no label."""
        return self.labels.get("forces", np.full_like(self.positions, np.nan))

    @property
    def virials(self) -> NDArray[np.float64] | None:
        """(M, 3, 3) eV, derivatives of the energies by strain (volume times stress); None if there are none."""
        return self.labels.get("virial")

    def labelled(self, name: str) -> NDArray[np.bool_]:
        """(M,) whether each frame has a label."""
        values = self.labels.get(name)
        if values is None:
            return np.zeros(len(self), dtype=bool)
        known = np.asarray(np.isfinite(values.reshape(len(values), -1)).all(axis=1))
        if not self.properties[name].per_atom:
            return known
        return np.asarray(np.logical_and.reduceat(known, self.offsets[:-1]))

    def digest(self) -> str:
        """SHA-256 of structures and labels."""
        digest = hashlib.sha256()
        first = (self.numbers, self.positions, self.energies, self.forces)
        others = [self.labels[name] for name in sorted(self.labels, reverse=True) if name not in FIRST]
        for values in (*first, *others):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def select(self, indices: NDArray[np.int64]) -> "Frames":
        """Return the frames of (M,) indices, in their order."""
        counts = self.n_atoms[indices]
        starts = self.offsets[indices]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
        return replace(
            self,
            offsets=offsets,
            numbers=self.numbers[rows],
            positions=self.positions[rows],
            cells=self.cells[indices],
            pbc=self.pbc[indices],
            labels={
                name: values[rows if self.properties[name].per_atom else indices]
                for name, values in self.labels.items()
            },
        )

    def rows(self, k: int) -> slice:
        """Return the rows of frame k's atoms."""
        return slice(self.offsets[k], self.offsets[k + 1])

    def atoms(self, k: int) -> ase.Atoms:
        """Return frame k as ``ase.Atoms``, without its labels."""
        rows = self.rows(k)
        return ase.Atoms(self.numbers[rows], self.positions[rows], cell=self.cells[k], pbc=self.pbc[k])

    def structure(self, k: int) -> Structure:
        """Return frame k as plain arrays, which belong to these frames."""
        rows = self.rows(k)
        return Structure(self.numbers[rows], self.positions[rows], self.cells[k], self.pbc[k])
