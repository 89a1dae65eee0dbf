"""What a call on a GPU reads and writes: arrays of fixed sizes, of which the first parts are in use."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Room for B structures with N atoms and E directed pairs; each atom's pairs follow one another."""

    numbers: Tensor
    """int32 (N,)"""
    positions: Tensor
    """float64 (N, 3), Å"""
    first_atoms: Tensor
    """int32 (B + 1,): where the atoms of each structure begin, and where the last end"""
    first: Tensor
    """int32 (N + 1,): where the pairs of each atom begin, and where the last end"""
    receivers: Tensor
    """int32 (E,): i; N for room that is not in use"""
    senders: Tensor
    """int32 (E,): j"""
    shifts: Tensor
    """float64 (E, 3), Å, added to the position of j"""

    @classmethod
    def empty(cls, n_atoms: int, n_structures: int, n_pairs: int, device: torch.device) -> "Batch":
        """Return room in which nothing is in use.

        Parameters
        ----------
        n_atoms, n_structures, n_pairs : int
            N, B and E.
        device : torch.device
            Where it lies.
        """
        whole = partial(torch.zeros, dtype=torch.int32, device=device)
        real = partial(torch.zeros, dtype=torch.float64, device=device)
        return cls(
            whole(n_atoms),
            real(n_atoms, 3),
            whole(n_structures + 1),
            whole(n_atoms + 1),
            whole(n_pairs).fill_(n_atoms),
            whole(n_pairs),
            real(n_pairs, 3),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(x.nbytes for x in self)


class Outputs(NamedTuple):
    """What a call says of a batch."""

    numbers: Tensor
    """float64 (5 N + 6 B,): of each atom energy, eV, force, eV/Å, and shortest distance, Å; of each structure the
    virial xx, yy, zz, yz, xz, xy, eV"""
    features: Tensor
    """(N, F) of the atoms after all interactions"""
    hidden: Tensor
    """(N, H): what the last layer of the energy's head reads"""
