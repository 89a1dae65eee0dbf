"""A batch of structures as flat arrays: what every engine and every training step starts from."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.structures.neighbors import HalfPairs
from schnet_calc.structures.structure import Structure


class Graph(NamedTuple):
    """B structures with N atoms and P unordered pairs in all."""

    numbers: Tensor
    """int64 (N,)"""
    positions: Tensor
    """(N, 3) Å"""
    system: Tensor
    """int64 (N,): the structure of each atom"""
    i: Tensor
    """int64 (P,)"""
    j: Tensor
    """int64 (P,)"""
    shifts: Tensor
    """(P, 3) Å, added to the position of j"""

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Graph":
        """The same graph elsewhere; ``dtype`` is that of positions and shifts."""
        return Graph(*(x.to(device, dtype if x.is_floating_point() else torch.int64) for x in self))

    def directed(self) -> tuple[Tensor, Tensor]:
        """Pairs (2, 2P), indices, and shifts (2P, 3), Å, in both directions, as model files want them."""
        pairs = torch.stack((torch.cat((self.i, self.j)), torch.cat((self.j, self.i))))
        return pairs, torch.cat((self.shifts, -self.shifts))

    def vectors(self) -> Tensor:
        """(P, 3) from i to the image of j, Å."""
        return self.positions[self.j] + self.shifts - self.positions[self.i]


def build_graph(structure: Structure, pairs: HalfPairs, cutoff: float) -> Graph:
    """Those of the pairs that lie within the cutoff, as a graph of one structure in float64 on the CPU.

    Positions are moved close to the origin, by whole lattice vectors where periodic: a float32
    network then sees the same numbers wherever the structure lies.

    Parameters
    ----------
    structure : Structure
        N atoms.
    pairs : HalfPairs
        All within the cutoff, and maybe others.
    cutoff : float
        Å.
    """
    i, j, shifts = pairs
    moves = _towards_origin(structure)
    vectors = structure.positions[j] + shifts - structure.positions[i]
    near = np.einsum("pk,pk->p", vectors, vectors) < cutoff**2
    i, j, shifts = i[near], j[near], shifts[near] + moves[i[near]] - moves[j[near]]
    arrays = (structure.numbers, structure.positions + moves, np.zeros(len(moves), int), i, j, shifts)
    return Graph(*(torch.from_numpy(x) for x in arrays))


def deformed(graph: Graph, strain: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return positions (N, 3) Å, directed pairs (2, 2P), shifts (2P, 3) Å of structures strained by (B, 3, 3).

    The derivative of an energy with respect to the strain is the virial, ``sum_i r_i (x) dE/dr_i`` over atoms
    and images.
    """
    pairs, shifts = graph.directed()
    deform = strain + torch.eye(3, dtype=strain.dtype, device=strain.device)
    moved = torch.einsum("nk,nkl->nl", graph.positions, deform.index_select(0, graph.system))
    return moved, pairs, torch.einsum("pk,pkl->pl", shifts, deform.index_select(0, graph.system[pairs[0]]))


def join_graphs(graphs: Sequence[Graph]) -> Graph:
    """One graph of all structures, in order."""
    starts = [0, *accumulate(len(g.numbers) for g in graphs)]
    return Graph(
        numbers=torch.cat([g.numbers for g in graphs]),
        positions=torch.cat([g.positions for g in graphs]),
        system=torch.cat([g.system + k for k, g in enumerate(graphs)]),
        i=torch.cat([g.i + start for g, start in zip(graphs, starts, strict=False)]),
        j=torch.cat([g.j + start for g, start in zip(graphs, starts, strict=False)]),
        shifts=torch.cat([g.shifts for g in graphs]),
    )


def _towards_origin(structure: Structure) -> NDArray[np.float64]:
    """(N, 3) Å, what moves the atoms there: whole lattice vectors each, or one way for all atoms of a molecule."""
    positions = structure.positions
    if not len(positions):
        return np.zeros((0, 3))
    if structure.pbc.any():
        box = structure.cell[np.flatnonzero(structure.pbc)]
        return -np.floor(positions @ np.linalg.pinv(box)) @ box
    # Of the median: a single atom far away must not carry the others off.
    return np.tile(-np.median(positions, axis=0), (len(positions), 1))
