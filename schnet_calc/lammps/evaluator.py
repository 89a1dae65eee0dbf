"""A SchNet, or a committee, for the atoms of one process among several.

``E = sum_i E_i`` over own atoms; ``forces = -dE/dr`` of the sum over all processes, since what a process finds for
others' atoms goes back to them. With T interactions, T - 1 exchanges of features go out, T - 1 of derivatives come
back, then one of forces: guests reach as far as one cutoff, not T of them.
"""

from typing import NamedTuple, Protocol

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from schnet_calc.engine import Committee
from schnet_calc.engine.checks import SHORTEST_DISTANCE, check_finite, check_shortest
from schnet_calc.engine.compiled import CompiledEngine
from schnet_calc.errors import BadStructureError
from schnet_calc.kernels.cpu.distributed import Fields, backward_block, fields_of, forward_block, start
from schnet_calc.model import Model


class Surroundings(NamedTuple):
    """Own atoms of a process, and what is near them; rows are own atoms, then guests."""

    positions: NDArray[np.float64]
    """(M, 3) Å: own atoms first, then others' atoms and all images."""
    home: NDArray[np.int64]
    """(M,) the row of each; an image of an own atom has that atom's."""
    where: NDArray[np.int64]
    """(N,) an atom of each row, whose own home it is."""
    numbers: NDArray[np.int64]
    """(N,) atomic numbers of the rows."""
    tags: NDArray[np.int64]
    """(M,) what messages call the atoms."""
    n_own: int
    i: NDArray[np.int64]
    """(P,) own atoms of the pairs, see :func:`schnet_calc.lammps.pairs.find_pairs`."""
    j: NDArray[np.int64]
    """(P,) the other atom or image."""


class Exchange(Protocol):
    """How rows travel; every process takes part in every call, in the same order."""

    def forward(self, rows: NDArray) -> None:
        """Fill the guests' rows (N, K) with what their owners have in theirs."""

    def reverse(self, rows: NDArray) -> None:
        """Add to own rows (M, C), in their unit, what other processes have in their guests' rows for them."""


class RankResults(NamedTuple):
    """What a process finds."""

    energies: NDArray[np.float64]
    """(n,) eV, of own atoms, reference energies included."""
    forces: NDArray[np.float64]
    """(n, 3) eV/Å, of all processes' energies on own atoms."""
    virial: NDArray[np.float64]
    """(3, 3) eV: derivative of the energy by strain; summed over processes it is that of the whole."""
    forces_std: NDArray[np.float64] | None
    """(n, 3) eV/Å, standard deviation over the members of a committee; None for one model."""
    grades: NDArray[np.float64] | None = None
    """(n,) how far own atoms are from the training data, the largest of any member; None where nothing is known."""


class DistributedEvaluator:
    """Evaluates a model for own atoms.

    Parameters
    ----------
    model : Model
        A SchNet, or a committee of them, that the compiled engine evaluates.

    Raises
    ------
    ValueError
        The model is no SchNet, averages over atoms, has no cutoff or predicts no energy.
    """

    def __init__(self, model: Model) -> None:
        engine = model.engine
        members = engine.members if isinstance(engine, Committee) else (engine,)
        found = []
        for potential, member in zip(model.potentials, members, strict=True):
            name = potential.path or "the model"
            if not isinstance(member, CompiledEngine):
                raise ValueError(
                    f"{name} is evaluated by {member.name}: LAMMPS runs SchNets on the CPU only"
                )
            if member.network.mean_pooling:
                raise ValueError(f"{name} averages over atoms: its energy is no sum that ranks could share")
            if not np.isfinite(potential.cutoff):
                raise ValueError(f"{name} has no cutoff: all atoms of all ranks would be neighbours")
            found.append(member)
        if not model.has_energy:
            raise ValueError(f"{model.potential.path} predicts no energy")
        self.members = tuple(found)
        self.cutoff = max(p.cutoff for p in model.potentials)
        """Å"""
        self.width = max(engine.weights.lifted.shape[1] for engine in self.members)
        """Numbers in the widest row that is exchanged."""
        self.itemsize = model.engine.dtype.itemsize
        """Bytes of each; forces have three of eight bytes."""
        self._fields: dict[int, Fields] = {}

    def check_elements(self, numbers: NDArray[np.int64]) -> None:
        """Raise :class:`BadStructureError` for atomic numbers (M,) that a member doesn't know."""
        for engine in self.members:
            known = np.flatnonzero(np.isfinite(engine.offsets))
            for z in numbers:
                if z not in known:
                    symbols = ", ".join(chemical_symbols[k] for k in known)
                    raise BadStructureError(f"this model knows {symbols}, not {chemical_symbols[z]}")

    def evaluate(self, around: Surroundings, exchange: Exchange) -> RankResults:
        """Return this process's share; a committee's is the mean of its members."""
        found = [self._member(k, around, exchange) for k in range(len(self.members))]
        if len(found) == 1:
            return found[0]
        forces = np.array([f.forces for f in found])
        grades = [f.grades for f in found if f.grades is not None]
        return RankResults(
            np.mean([f.energies for f in found], axis=0),
            forces.mean(axis=0),
            np.mean([f.virial for f in found], axis=0),
            forces.std(axis=0, ddof=1),
            np.max(grades, axis=0) if grades else None,
        )

    def _member(self, k: int, around: Surroundings, exchange: Exchange) -> RankResults:
        engine, n_own = self.members[k], around.n_own
        weights, fields = engine.weights, self._space(k, n_own, len(around.numbers))
        n_blocks = len(fields.ys)

        # Distances, and the guests' first features, which follow from their elements.
        pairs, closest, shortest = start(
            around.positions, around.i, around.j, around.home, around.numbers, weights, fields
        )
        if shortest < SHORTEST_DISTANCE:
            check_shortest(closest, shortest, around.tags[around.i], around.tags[around.j])

        # Interactions forwards, then the energies.
        energies = np.empty(n_own)
        grades = np.empty(n_own if len(weights.grading.slots) else 0)
        for t in range(n_blocks):
            if t > 0:
                exchange.forward(fields.ys[t])
            forward_block(t, pairs, around.numbers, weights, fields, energies, grades)

        # Backwards; then the forces on guests go home.
        forces, virial = np.empty((len(around.numbers), 3)), np.empty((3, 3))
        for t in range(n_blocks - 1, -1, -1):
            backward_block(t, pairs, weights, fields, forces, virial)
            if t > 0:
                exchange.reverse(fields.sums)
        exchange.reverse(forces)
        check_finite(energies, forces[:n_own])
        known = grades if len(weights.grading.slots) else None
        offsets = engine.offsets[around.numbers[:n_own]]
        return RankResults(energies + offsets, forces[:n_own], virial, None, known)

    def _space(self, k: int, n_own: int, n_rows: int) -> Fields:
        """Arrays of a member, made anew where the numbers of atoms have changed."""
        kept = self._fields.get(k)
        if kept is None or len(kept.x) != n_own or len(kept.g) != n_rows:
            kept = self._fields[k] = fields_of(self.members[k].weights, n_own, n_rows)
        return kept
