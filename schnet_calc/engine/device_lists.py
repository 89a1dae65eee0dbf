"""Lists of neighbours of large structures, made on a GPU and left there beside the copy for the host."""

import logging

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.engine.chunks import is_out_of_memory
from schnet_calc.kernels.torch.cells import Directed, directed_pairs, lattice_vectors
from schnet_calc.structures.neighbors import HalfPairs
from schnet_calc.structures.vacuum import Folded

logger = logging.getLogger(__name__)

FROM_ATOMS = 1000
"""Smaller structures have their lists sooner than a GPU has been told what to do: on the CPU in 20 ms or less."""


class PairsOnDevice(HalfPairs):
    """Pairs whose directed form lies on a device, too."""

    directed: tuple[Tensor, Tensor, Tensor] | None = None
    """int32 (2P,): receivers, in order, and senders; float64 (2P, 3), Å: shifts; None once they are let go."""


class DeviceSearch:
    """Finds pairs on a device; see :class:`~schnet_calc.structures.neighbors.Search`.

    Parameters
    ----------
    device : torch.device
        Where.
    from_atoms : int
        Smaller structures are left to the host.
    """

    def __init__(self, device: torch.device, from_atoms: int = FROM_ATOMS) -> None:
        self.device, self.from_atoms = device, from_atoms

    @torch.no_grad()
    def __call__(
        self, folded: Folded, surrounded: NDArray[np.float64], box: NDArray[np.float64], cutoff: float
    ) -> HalfPairs | None:
        """Return the pairs; None for small structures, and where the device's memory is short."""
        if len(folded.positions) < self.from_atoms:
            return None
        try:
            return self._found(folded, self._brought(surrounded), self._brought(box), cutoff)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            logger.info("a list of neighbours is made by the CPU: %s has too little memory", self.device)
        return None

    def _found(self, folded: Folded, surrounded: Tensor, box: Tensor, cutoff: float) -> HalfPairs:
        home = self._brought(folded.home)
        pairs = directed_pairs(self._brought(folded.positions), surrounded, cutoff)
        i, j = pairs.receivers, pairs.senders
        vectors = lattice_vectors(pairs.images + home[i] - home[j], box)
        once = _once(pairs)
        first, second, shifts = (x[once].cpu().numpy() for x in (i, j, vectors))
        found = PairsOnDevice(first.astype(np.int64), second.astype(np.int64), shifts)
        found.directed = i, j, vectors
        return found

    def _brought(self, x: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64)).to(self.device)


def _once(pairs: Directed) -> Tensor:
    """Which (E,) are one of the two directions: to the later atom, or to the later image of an atom itself."""
    i, j, (a, b, c) = pairs.receivers, pairs.senders, pairs.images.T
    later = (a > 0) | ((a == 0) & ((b > 0) | ((b == 0) & (c > 0))))
    return (i < j) | ((i == j) & later)
