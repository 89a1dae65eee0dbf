"""Structures whose positions are on the device already, and whose forces stay there."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.engine.checks import SHORTEST_DISTANCE, all_sound
from schnet_calc.engine.chunks import is_out_of_memory
from schnet_calc.engine.recordings import Joined
from schnet_calc.errors import BadStructureError, TooManyPairsError
from schnet_calc.structures.neighbors import SKIN, HalfPairs, all_pairs, half_pairs, takes_all_pairs
from schnet_calc.structures.structure import Structure

if TYPE_CHECKING:
    from schnet_calc.engine.cuda import CudaEngine


class Resident:
    """Evaluates tensors of a device; grades alone, and whether all is well, leave it.

    With lists of neighbours, positions leave it for new ones, when an atom has moved by half of the skin.

    Parameters
    ----------
    engine : CudaEngine
        What evaluates.
    structure : Structure
        Atoms, cell and periodic directions of all.
    count : int
        B.
    """

    def __init__(self, engine: "CudaEngine", structure: Structure, count: int) -> None:
        numbers = structure.numbers
        self.engine, self.device, self._shape = engine, engine.device, (count, len(numbers))
        self._structure, self._numbers = structure, np.tile(numbers, count)
        self._sizes, self._offset = [len(numbers)] * count, float(engine.offsets[numbers].sum())
        self._listed: Tensor | None = None
        """(B, N, 3) Å, where lists were made; None before, and where all pairs count."""
        self._pairs: Sequence[HalfPairs] = ()
        if takes_all_pairs(len(structure.numbers), structure.pbc):
            self._pairs = [all_pairs(len(numbers))] * count

    @classmethod
    def fitting(cls, engine: "CudaEngine", structure: Structure, count: int) -> "Resident | None":
        """Return one, if all structures fit into one call and have an end of pairs.

        Parameters
        ----------
        engine : CudaEngine
            What evaluates.
        structure : Structure
            One of them, for its atoms, cell and boundary conditions.
        count : int
            B, how many there are.
        """
        n_pairs = math.comb(len(structure.numbers), 2)
        if not takes_all_pairs(len(structure.numbers), structure.pbc):
            if not math.isfinite(engine.cutoff):
                return None
            try:
                reach = engine.cutoff + SKIN
                n_pairs = len(half_pairs(structure.positions, structure.cell, structure.pbc, reach).i)
            except (BadStructureError, TooManyPairsError):
                return None  # which the first evaluation raises
        return cls(engine, structure, count) if count * n_pairs <= engine.most_pairs else None

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor, NDArray[np.float64] | None] | None:
        """Evaluate structures.

        Parameters
        ----------
        positions : Tensor
            (B, N, 3) Å, float64, on :attr:`device`.

        Returns
        -------
        tuple or None
            Energies (B,) eV, forces (B, N, 3) eV/Å and grades (B, N), where there are any; None where
            :meth:`Engine.totals` has an error to raise, or memory is too short for all at once.
        """
        engine = self.engine
        if not self._has_pairs(positions):
            return None
        try:
            with engine.alone:
                joined = Joined(self._numbers, positions.reshape(-1, 3), self._pairs, self._sizes)
                recording, outputs = engine.start(joined)
                graded = recording.graded(outputs).of(slice(None))
                atoms = outputs.numbers[: 5 * len(self._numbers)].reshape(*self._shape, 5).clone()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return None
        sound = (atoms[..., 4].min() >= SHORTEST_DISTANCE) & torch.isfinite(atoms[..., :4].sum())
        if not bool(sound):
            return None
        share = engine.network.share(self._shape[1])
        energies = share * atoms[..., 0].sum(dim=1) + self._offset
        return energies, share * atoms[..., 1:4], None if graded is None else graded.reshape(self._shape)

    def _has_pairs(self, positions: Tensor) -> bool:
        """Whether there are lists for these positions (B, N, 3), Å; new ones where atoms have moved far."""
        if self._pairs and self._listed is None:
            return True
        if self._listed is not None:
            moves = positions - self._listed
            if bool((moves * moves).sum(dim=-1).max() <= (0.5 * SKIN) ** 2):
                return True
        s, lists, there = self._structure, self.engine.lists, positions.cpu().numpy()
        if not all_sound(
            s.numbers, there, np.repeat(s.cell[None], len(there), axis=0), self.engine.offsets
        ):
            return False
        self._pairs, self._listed = (), None  # an error must not leave lists of other positions
        self._pairs = [
            lists.renewed(k, s._replace(positions=x), self.engine.cutoff) for k, x in enumerate(there)
        ]
        self._listed = positions.clone()
        return True
