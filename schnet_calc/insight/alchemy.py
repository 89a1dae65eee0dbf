"""Alchemical paths: atoms that turn into others, or fade (thesis Section 3.6.3)."""

from collections.abc import Sequence
from itertools import pairwise

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.insight.loading import Model, element, open_network, open_potential
from schnet_calc.nn import SchNet

ABSENT = 0
"""Atomic number of an atom that isn't there: ASE's ``X``."""


def alchemical_path(model: Model, stages: Sequence[ase.Atoms], points: int = 20) -> NDArray[np.float64]:
    """Energies on the way from molecule to molecule, along straight lines between neighbouring stages.

    Embeddings and reference energies of an atom that changes its element are interpolated (Eq. 3.14). One
    that is ``X`` in a stage fades by a factor, from what it tells others (Eq. 3.15) as from the energy.
    Nothing between two stages is a molecule; whether a network says anything sensible there is the question.

    Parameters
    ----------
    model : path, str, Potential or Model
        A SchNet.
    stages : sequence of Atoms
        Two or more, with their atoms in the same order; positions are interpolated, too.
    points : int
        Steps between two stages.

    Returns
    -------
    array
        ((stages - 1) * points + 1,) eV: total energies, the stages' own among them.

    Raises
    ------
    ValueError
        Another network, fewer than two stages, stages of other numbers of atoms, a periodic one, or an element
        that the model doesn't know.
    """
    potential = open_potential(model)
    network = open_network(potential, SchNet)
    _check(stages, points)
    for symbol in {s for stage in stages for s in stage.symbols if s != "X"}:
        element(potential, symbol)
    references = torch.zeros(len(network.embedding.weight), dtype=torch.float64)
    for z, energy in potential.reference_energies.items():
        references[int(z)] = energy
    found = [
        _energy(network, references, first, second, step / points)
        for first, second in pairwise(stages)
        for step in range(points)
    ]
    found.append(_energy(network, references, stages[-2], stages[-1], 1.0))
    return np.array(found)


def _check(stages: Sequence[ase.Atoms], points: int) -> None:
    if len(stages) < 2 or points < 1:
        raise ValueError(f"a path has two stages and one step at least, got {len(stages)} and {points}")
    for stage in stages:
        if len(stage) != len(stages[0]):
            raise ValueError(
                f"stages have the same number of atoms (X for those that are absent), got {len(stages[0])} "
                f"and {len(stage)}"
            )
        if stage.pbc.any():
            raise ValueError("alchemical paths are of molecules, and a stage is periodic")


@torch.no_grad()
def _energy(
    network: SchNet, references: torch.Tensor, first: ase.Atoms, second: ase.Atoms, share: float
) -> float:
    """The energy where ``share`` of the second stage is mixed in, eV."""
    n_atoms = len(first)
    there = np.array([first.numbers != ABSENT, second.numbers != ABSENT], dtype=float)
    fading = torch.from_numpy((1.0 - share) * there[0] + share * there[1])
    # An atom that fades stays the element that it is where it is there.
    before = torch.from_numpy(np.where(there[0] > 0, first.numbers, second.numbers))
    after = torch.from_numpy(np.where(there[1] > 0, second.numbers, first.numbers))
    x = (1.0 - share) * network.embedding(before) + share * network.embedding(after)
    positions = torch.from_numpy((1.0 - share) * first.positions + share * second.positions)
    pairs = torch.nonzero(~torch.eye(n_atoms, dtype=torch.bool)).T
    vectors = positions[pairs[1]] - positions[pairs[0]]
    filters = network.filter_values(torch.linalg.vector_norm(vectors, dim=1))
    # What a fading atom j tells others is its filter times its factor: messages are linear in filters.
    faded = [f * fading[pairs[1], None] for f in filters]
    atomic = network.read_energies(network.refine(x, faded, pairs), torch.zeros(n_atoms, dtype=torch.int64))
    atomic = atomic + (1.0 - share) * references[before] + share * references[after]
    return float((fading * atomic).sum())
