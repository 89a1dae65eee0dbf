"""Pairs within a cutoff from a list of cells, as tensor operations: on a GPU in the time of a step.

Atoms are sorted by cells half as wide as the cutoff; each looks into the cells around its own.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

CANDIDATES = 2**21
"""Pairs that are looked at together, about."""
EMPTY = 8
"""Cells for each atom, at most."""


class Directed(NamedTuple):
    """Each pair in both directions, in the order of the receivers."""

    receivers: Tensor
    """int32 (E,): i"""
    senders: Tensor
    """int32 (E,): j"""
    images: Tensor
    """float64 (E, 3): lattice vectors to add to the position of j, whole numbers"""


class _Cells(NamedTuple):
    """Atoms by cell."""

    counts: tuple[int, int, int]
    """Cells along the three lattice vectors"""
    at: Tensor
    """int64 (N, 3): each atom's cell"""
    order: Tensor
    """int64 (N,): atoms, sorted by cell"""
    first: Tensor
    """int64 (C,): where the atoms of each cell begin"""
    filled: Tensor
    """int64 (C,): how many there are"""
    offsets: Tensor
    """int64 (O, 3): the cells around one, itself among them"""


def directed_pairs(positions: Tensor, box: Tensor, cutoff: float) -> Directed:
    """Return all directed pairs of atoms, and of atoms and periodic images, closer than the cutoff.

    Parameters
    ----------
    positions : Tensor
        (N, 3) Å, float64, in the cell or outside of it.
    box : Tensor
        (3, 3) Å, float64, on the same device; periodic along all three rows.
    cutoff : float
        Å.
    """
    inverse = torch.linalg.inv(box.cpu()).to(
        box.device
    )  # of nine numbers: no solver is set up for it on a GPU
    places = positions @ inverse
    home = places.floor()
    inside = positions - home @ box
    cells = _sorted_into_cells(places - home, 1.0 / torch.linalg.vector_norm(inverse, dim=0), cutoff)
    seen = float((cells.filled.double() ** 2).sum()) / len(positions)  # atoms in an atom's cell, on average
    portion = max(int(CANDIDATES / (len(cells.offsets) * max(seen, 1.0))), 1)
    found = [
        _near(atoms, inside, box, cells, cutoff)
        for atoms in torch.arange(len(positions), device=positions.device).split(portion)
    ]
    i, j, images = (torch.cat(x) for x in zip(*found, strict=True))
    return Directed(i.to(torch.int32), j.to(torch.int32), images + home[i] - home[j])


def lattice_vectors(images: Tensor, box: Tensor) -> Tensor:
    """Return (E, 3) Å of whole numbers (E, 3) of the rows of a box (3, 3), Å.

    To the bit the opposite for opposite numbers, which a product of matrices need not be: else a pair at the cutoff
    might be one in one direction only.
    """
    a, b, c = (images[:, k : k + 1] * box[k] for k in range(3))
    return (a + b) + c


def _sorted_into_cells(places: Tensor, heights: Tensor, cutoff: float) -> _Cells:
    """From places (N, 3) in the cell, from 0 to 1, and its heights (3,), Å."""
    wide = [max(math.floor(2.0 * h / cutoff - 1e-9), 1) for h in heights.tolist()]
    while math.prod(wide) > EMPTY * max(len(places), 1):
        wide[wide.index(max(wide))] = max(max(wide) // 2, 1)
    counts = torch.tensor(wide, device=places.device)
    at = (places * counts).long().clamp(min=0).minimum(counts - 1)
    reach = [math.ceil(cutoff * n / h + 1e-9) for n, h in zip(wide, heights.tolist(), strict=True)]
    around = [torch.arange(-m, m + 1, device=places.device) for m in reach]
    cell = (at[:, 0] * wide[1] + at[:, 1]) * wide[2] + at[:, 2]
    filled = torch.bincount(cell, minlength=math.prod(wide))
    order = torch.argsort(cell, stable=True)
    return _Cells(
        (wide[0], wide[1], wide[2]),
        at,
        order,
        filled.cumsum(0) - filled,
        filled,
        torch.cartesian_prod(*around),
    )


def _near(
    atoms: Tensor, inside: Tensor, box: Tensor, cells: _Cells, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Receivers, senders and images of the pairs of some atoms (A,), from positions (N, 3) in the cell."""
    counts = torch.tensor(cells.counts, device=inside.device)
    towards = cells.at[atoms][:, None] + cells.offsets
    wraps = torch.div(towards, counts, rounding_mode="floor")
    towards = towards - wraps * counts
    cell = ((towards[..., 0] * counts[1] + towards[..., 1]) * counts[2] + towards[..., 2]).reshape(-1)
    filled = cells.filled[cell]
    which = torch.repeat_interleave(filled)  # place and cell around it of each candidate
    before = (filled.cumsum(0) - filled)[which]
    there = torch.arange(len(which), device=inside.device) - before + cells.first[cell][which]
    i, j = atoms[torch.div(which, len(cells.offsets), rounding_mode="floor")], cells.order[there]
    images = wraps.reshape(-1, 3)[which].to(inside.dtype)
    vectors = (inside[j] - inside[i]) + lattice_vectors(images, box)
    near = (vectors * vectors).sum(1) < cutoff**2
    near &= (i != j) | (images != 0).any(dim=1)
    return i[near], j[near], images[near]
