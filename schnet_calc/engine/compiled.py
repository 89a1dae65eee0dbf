"""A SchNet on the CPU: one compiled call for a structure or a batch."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.engine.base import Item
from schnet_calc.engine.checks import SHORTEST_DISTANCE, all_sound, check_finite, check_shortest
from schnet_calc.engine.grading import error_bar, grades_of_heads, hidden_layers, total_of
from schnet_calc.engine.prediction import Prediction, Totals, read_heads
from schnet_calc.engine.support import TabulatedEngine
from schnet_calc.kernels.cpu.arrays import PairedStructures
from schnet_calc.kernels.cpu.parallel import Evaluated, evaluate_joined, evaluate_many, evaluate_one
from schnet_calc.kernels.cpu.weights import network_arrays
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.neighbors import ALL_PAIRS_LIMIT, all_pairs
from schnet_calc.structures.structure import Structure


class CompiledEngine(TabulatedEngine):
    """Evaluates a SchNet on the CPU, on as many threads as torch may use; see :class:`TabulatedEngine`."""

    atoms_per_thread = 24
    """Atoms that a thread has at least where several share one structure."""
    large = 500
    """Atoms from which on threads share each structure of a batch, one after the other."""
    most_pairs = 2**19  # type: ignore[assignment]
    """Pairs in one compiled call, about: it takes a second or less, so long Ctrl-C may have to wait."""

    def set_up(self) -> None:
        """Lay out the weights as the kernels read them."""
        super().set_up()
        grades = self.potential.grades
        self._graded = graded = grades.energy if grades else None
        scaled = graded.scaled() if graded else ()
        self.weights = network_arrays(self.network, self.grid, self.dtype, scaled)
        self._total = total_of(graded, self.weights.output.dtype)

    def threads_for(self, n_atoms: int) -> int:
        """Return the number of threads that share one structure."""
        return max(1, min(torch.get_num_threads(), n_atoms // self.atoms_per_thread))

    def compute(self, items: Sequence[Item], heads: Sequence[str]) -> list[Prediction]:
        """Evaluate large structures with all threads, the others with a thread each."""
        prepared = [_prepared(item.structure, item) for item in items]
        wanted = bool(heads) or self._heads_graded
        found: dict[int, Evaluated] = {}
        small = []
        for k, arrays in enumerate(prepared):
            if len(items) == 1 or len(arrays.numbers) >= self.large:
                n_threads = self.threads_for(len(arrays.numbers))
                found[k] = evaluate_one(arrays, self.weights, n_threads, wanted)
            else:
                small.append(k)
        if small:
            n_threads = min(torch.get_num_threads(), len(small))
            batch = evaluate_many([prepared[k] for k in small], self.weights, n_threads, wanted)
            found |= dict(zip(small, batch, strict=True))
        return [self._prediction(k, item, prepared[k], found[k], heads) for k, item in enumerate(items)]

    def hidden_of(self, items: Sequence[Item]) -> list[dict[str, NDArray[np.float64]]]:
        """Return (N, H) activations, without a unit; see :meth:`Engine.hidden`."""
        prepared = [_prepared(item.structure, item) for item in items]
        n_threads = min(torch.get_num_threads(), len(items))
        found = evaluate_many(prepared, self.weights, n_threads, True)
        return [hidden_layers(self.network, one.features) for one in found]

    def _prediction(
        self, k: int, item: Item, prepared: PairedStructures, found: Evaluated, heads: Sequence[str]
    ) -> Prediction:
        check_shortest(found.closest, found.shortest, prepared.i, prepared.j, k)
        check_finite(found.energies, found.forces, k)
        structure = item.structure
        share = self.network.share(len(structure.numbers))
        energies, forces, virial = found.energies, found.forces, found.virial
        grades = found.grades if self._graded else None
        if self._heads_graded:
            grades = self._grades_of_heads(found, structure)
        if share != 1.0:
            energies, forces, virial = share * energies, share * forces, share * virial
        outputs: dict[str, NDArray[np.float64]] = {}
        atomic: dict[str, NDArray[np.float64]] = {}
        if heads:
            outputs, atomic = read_heads(self._heads(found, heads), self.heads, structure)
        return Prediction(
            energies + self.offsets[structure.numbers],
            forces,
            virial,
            structure.volume,
            outputs=outputs,
            atomic=atomic,
            grades=grades,
            error_bar=error_bar(self._total, found.summed, share),
        )

    def totals(self, geometries: Geometries) -> Totals:
        """Evaluate small molecules without an object for each.

        Whatever has more to look at (crystals, large molecules, many pairs), or may have an error to raise, takes
        the way of :meth:`evaluate`.
        """
        if not self._plain(geometries):
            return super().totals(geometries)
        numbers, positions = geometries.numbers, geometries.positions
        count, n_atoms = len(positions), len(numbers)
        joined, starts = _repeated(geometries)
        found = evaluate_joined(joined, starts, self.weights, min(torch.get_num_threads(), count))
        energies, forces = found.energies.reshape(count, n_atoms), found.forces[0].reshape(positions.shape)
        if found.nearest[:, 1].min() < SHORTEST_DISTANCE or not np.isfinite(energies.sum() + forces.sum()):
            return super().totals(geometries)
        share = self.network.share(n_atoms)
        atomic = share * energies + self.offsets[numbers]
        grades = found.grades.reshape(count, n_atoms) if self._graded else None
        return Totals(atomic, share * forces, share * found.virials, grades)

    @property
    def _heads_graded(self) -> bool:
        """Whether there is no energy, and the last features are asked for grades."""
        return self.potential.grades is not None and self._graded is None

    def _grades_of_heads(self, found: Evaluated, structure: Structure) -> NDArray[np.float64]:
        assert self.potential.grades is not None
        return grades_of_heads(self.potential.grades, self.network, found.features, structure.numbers)

    def _plain(self, geometries: Geometries) -> bool:
        """Whether these are small molecules with nothing odd about them, in arrays of the right shapes."""
        numbers, positions, cells, pbc = geometries
        count, n_atoms = len(positions), len(numbers)
        return (
            positions.shape[1:] == (n_atoms, 3)  # compiled code would read beyond their ends
            and cells.shape == (count, 3, 3)
            and not pbc.any()
            and n_atoms <= ALL_PAIRS_LIMIT
            and count * n_atoms * (n_atoms - 1) // 2 <= self.most_pairs
            and all_sound(numbers, positions, cells, self.offsets)
        )

    def _heads(self, found: Evaluated, heads: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """What further heads make of the last features, in float64."""
        n_features = self.network.config.n_features
        x = torch.from_numpy(found.features[:, :n_features].astype(np.float64))
        with torch.no_grad():
            return {name: self.network.heads[name](x).numpy() for name in heads}


def _prepared(structure: Structure, item: Item) -> PairedStructures:
    positions = np.ascontiguousarray(structure.positions, dtype=float)
    return PairedStructures(structure.numbers, positions, *item.pairs)


def _repeated(
    geometries: Geometries,
) -> tuple[PairedStructures, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Molecules one after the other, with all their pairs, and where atoms and pairs of each begin."""
    count, n_atoms = len(geometries.positions), len(geometries.numbers)
    *pairs, starts = _all_pairs_of(n_atoms, count)
    positions = np.ascontiguousarray(geometries.positions, dtype=float).reshape(-1, 3)
    return PairedStructures(np.tile(geometries.numbers, count), positions, *pairs), starts


@lru_cache(maxsize=2)  # dynamics asks for the same at every step
def _all_pairs_of(n_atoms: int, count: int) -> tuple[Any, ...]:
    """Pairs i, j of molecules one after the other and their shifts, and where atoms and pairs of each begin."""
    i, j, _ = all_pairs(n_atoms)
    each = np.arange(count + 1)
    shifts = np.zeros((count * len(i), 3))
    return np.tile(i, count), np.tile(j, count), shifts, (each * n_atoms, each * len(i))
