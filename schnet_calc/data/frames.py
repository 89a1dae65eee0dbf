"""Labelled structures in memory, in eV and Å."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray


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
    energies: NDArray[np.float64]
    """(M,) eV."""
    forces: NDArray[np.float64]
    """(A, 3) eV/Å."""
    cells: NDArray[np.float64]
    """(M, 3, 3) Å, zero for molecules."""
    pbc: NDArray[np.bool_]
    """(M, 3)"""
    info: dict[str, Any] = field(default_factory=dict)
    """Name, level of theory and file they come from."""
    virials: NDArray[np.float64] | None = None
    """(M, 3, 3) eV, derivatives of the energies by strain (volume times stress), not a number where a frame
    has no label; None if none were read."""

    def __len__(self) -> int:
        return len(self.energies)

    def __post_init__(self) -> None:
        for name in ("positions", "energies", "forces", "cells"):
            values = getattr(self, name)
            if not np.all(np.isfinite(values)):
                where = np.argwhere(~np.isfinite(values))[0].tolist()
                raise ValueError(f"{name} hold a value that is not finite, at index {where}")

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """(M,) atoms in each frame."""
        return np.diff(self.offsets)

    @property
    def elements(self) -> list[int]:
        """Atomic numbers that occur, ascending."""
        return [int(z) for z in np.unique(self.numbers)]

    def digest(self) -> str:
        """SHA-256 of structures and labels."""
        digest = hashlib.sha256()
        for name in ("numbers", "positions", "energies", "forces"):
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        if self.virials is not None:
            digest.update(np.ascontiguousarray(self.virials).tobytes())
        return digest.hexdigest()

    def select(self, indices: NDArray[np.int64]) -> "Frames":
        """The given frames, in the given order."""
        counts = self.n_atoms[indices]
        starts = self.offsets[indices]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
        return Frames(
            offsets=offsets,
            numbers=self.numbers[rows],
            positions=self.positions[rows],
            energies=self.energies[indices],
            forces=self.forces[rows],
            cells=self.cells[indices],
            pbc=self.pbc[indices],
            info=self.info,
            virials=None if self.virials is None else self.virials[indices],
        )

    def rows(self, k: int) -> slice:
        """The rows of frame k's atoms."""
        return slice(self.offsets[k], self.offsets[k + 1])

    def atoms(self, k: int) -> ase.Atoms:
        """Frame k as ``ase.Atoms``, without its labels."""
        rows = self.rows(k)
        return ase.Atoms(self.numbers[rows], self.positions[rows], cell=self.cells[k], pbc=self.pbc[k])
