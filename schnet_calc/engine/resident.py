"""Molecules whose positions are on the device already, and whose forces stay there."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.engine.checks import SHORTEST_DISTANCE
from schnet_calc.engine.recordings import Joined, plain_arithmetic
from schnet_calc.structures.neighbors import all_pairs

if TYPE_CHECKING:
    from schnet_calc.engine.cuda import CudaEngine


class Resident:
    """Evaluates tensors of a device; grades alone, and whether all is well, leave it.

    Parameters
    ----------
    engine : CudaEngine
        What evaluates.
    numbers : array
        (N,) atomic numbers, the same for all molecules.
    count : int
        B.
    """

    def __init__(self, engine: "CudaEngine", numbers: NDArray[np.int64], count: int) -> None:
        self.engine, self.device, self._shape = engine, engine.device, (count, len(numbers))
        self._numbers = np.tile(numbers, count)
        self._pairs, self._sizes = [all_pairs(len(numbers))] * count, [len(numbers)] * count
        self._offset = float(engine.offsets[numbers].sum())

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor, NDArray[np.float64] | None] | None:
        """Evaluate molecules.

        Parameters
        ----------
        positions : Tensor
            (B, N, 3) Å, float64, on :attr:`device`.

        Returns
        -------
        tuple or None
            Energies (B,) eV, forces (B, N, 3) eV/Å and grades (B, N), where there are any; None where
            :meth:`Engine.totals` has an error to raise.
        """
        engine = self.engine
        with engine.alone:
            joined = Joined(self._numbers, positions.reshape(-1, 3), self._pairs, self._sizes)
            _, outputs = engine.start(joined)
            with plain_arithmetic(self.device):
                graded = engine.grades(outputs, self._numbers, self._sizes).of(slice(None))
                atoms = outputs.numbers[: 5 * len(self._numbers)].reshape(*self._shape, 5).clone()
        sound = (atoms[..., 4].min() >= SHORTEST_DISTANCE) & torch.isfinite(atoms[..., :4].sum())
        if not bool(sound):
            return None
        share = engine.network.share(self._shape[1])
        energies = share * atoms[..., 0].sum(dim=1) + self._offset
        return energies, share * atoms[..., 1:4], None if graded is None else graded.reshape(self._shape)
