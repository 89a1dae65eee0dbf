"""What every engine does around its own evaluation: checks, graph, offsets, splitting."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.engine.prediction import Prediction
from schnet_calc.modelfile.potential import Potential
from schnet_calc.structures.neighbors import TooManyPairsError
from schnet_calc.structures.structure import Structure


class Engine(ABC):
    """Evaluates a potential for one structure or many.

    Parameters
    ----------
    potential : Potential
        A loaded model.
    device : torch.device
        Where the network is evaluated.
    dtype : torch.dtype
        Floating point type of the evaluation.
    """

    name = ""
    memory: float = 2**31
    """Bytes that a batch may need; what needs more is evaluated in parts. The fused engine has a bound of
    its own on the CPU."""

    def __init__(self, potential: Potential, device: torch.device, dtype: torch.dtype) -> None:
        self.potential = potential
        self.device = device
        self.dtype = dtype
        self._offsets = np.full(max(potential.reference_energies) + 1, np.nan)
        for z, energy in potential.reference_energies.items():
            self._offsets[z] = energy

    @property
    def pair_bytes(self) -> int:
        """Bytes that a batch needs for each of its unordered pairs, about."""
        shape = {
            "n_features": 128,
            "n_interactions": 6,
            **self.potential.metadata.get("hyperparameters", {}),
        }
        return int(20 * shape["n_features"] * shape["n_interactions"] * self.dtype.itemsize)

    @abstractmethod
    def hessian(self, structure: Structure) -> NDArray[np.float64]:
        """(3N, 3N) second derivatives of the energy of one structure, eV/Å²."""

    def evaluate(self, structures: Sequence[Structure]) -> list[Prediction]:
        """Energies, forces and virials of structures, evaluated as one batch.

        Raises
        ------
        ValueError
            No atoms, unknown elements, coincident atoms, positions or cells that are not finite.
        FloatingPointError
            The network returned values that are not finite.
        MemoryError
            There is too little memory, even for one structure at a time.
        """
        if not structures:
            return []
        try:
            return self._evaluate(structures)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if len(structures) < 2:
                if isinstance(error, TooManyPairsError):
                    raise
                n_atoms = len(structures[0].numbers)
                raise MemoryError(
                    f"a structure of {n_atoms} atoms needs more memory than there is on {self.device}"
                ) from error
        half = len(structures) // 2
        return self.evaluate(structures[:half]) + self.evaluate(structures[half:])

    @abstractmethod
    def _evaluate(self, structures: Sequence[Structure]) -> list[Prediction]:
        """The same for at least one structure; too little memory may raise anything."""


def _is_out_of_memory(error: Exception) -> bool:
    """CUDA has a class of its own for it; torch's CPU allocator and TorchScript have only words."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    words = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, kinds) or any(w in str(error) for w in words)
