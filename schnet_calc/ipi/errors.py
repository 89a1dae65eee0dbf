"""What can end a client; each message names the thing, the rule and the value."""

from pathlib import Path

import ase
import ase.io
import numpy as np
from numpy.typing import NDArray

from schnet_calc.errors import SchNetCalcError


class ProtocolError(SchNetCalcError, ValueError):
    """The other side sent what the protocol doesn't know, or another number of atoms."""


class ServerLostError(SchNetCalcError, ConnectionError):
    """No server within the time given, or none any more."""


class WorkerError(SchNetCalcError, RuntimeError):
    """The worker can't be started, or dies again and again."""


class StructureError(SchNetCalcError, RuntimeError):
    """One structure of a batch can't be evaluated.

    Parameters
    ----------
    index : int
        Its place in the batch.
    positions : array
        (N, 3) Å.
    cell : array
        (3, 3) Å, rows are lattice vectors.
    reason : str
        What the engine said.
    """

    def __init__(
        self, index: int, positions: NDArray[np.float64], cell: NDArray[np.float64], reason: str
    ) -> None:
        super().__init__(index, positions, cell, reason)
        self.index = index
        self.positions = positions
        self.cell = cell
        self.reason = reason

    def write(self, path: Path, template: ase.Atoms) -> None:
        """Write the geometry in any format of ASE, with species and periodic directions of a template."""
        atoms = template.copy()
        atoms.set_cell(self.cell)
        atoms.positions = self.positions
        ase.io.write(path, atoms)

    def __str__(self) -> str:
        return f"structure {self.index}: {self.reason}"
