"""What every engine does around its own evaluation: checks, graph, offsets, splitting."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.engine.checks import check_elements, check_finite, check_shortest, check_values
from schnet_calc.engine.prediction import Prediction
from schnet_calc.graph import Graph, Structure, build_graph
from schnet_calc.potential import Potential


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

    def __init__(self, potential: Potential, device: torch.device, dtype: torch.dtype) -> None:
        self.potential = potential
        self.device = device
        self.dtype = dtype
        self._offsets = np.full(max(potential.reference_energies) + 1, np.nan)
        for z, energy in potential.reference_energies.items():
            self._offsets[z] = energy

    @abstractmethod
    def atomic(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        """Atomic energies (N,), forces (N, 3) and virials (B, 3, 3) of a float64 graph on the CPU."""

    def graph(self, structures: Sequence[Structure]) -> Graph:
        """Check structures and find their pairs; the errors of :meth:`evaluate`."""
        for structure in structures:
            check_values(structure)
            check_elements(structure.numbers, self._offsets)
        graph = build_graph(structures, self.potential.cutoff)
        distances = torch.linalg.vector_norm(graph.vectors(), dim=1)
        if len(distances):
            closest = int(distances.argmin())
            check_shortest(closest, float(distances[closest]), graph.i, graph.j)
        return graph

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
                n_atoms = len(structures[0].numbers)
                raise MemoryError(
                    f"a structure of {n_atoms} atoms needs more memory than there is on {self.device}"
                ) from error
        half = len(structures) // 2
        return self.evaluate(structures[:half]) + self.evaluate(structures[half:])

    def _evaluate(self, structures: Sequence[Structure]) -> list[Prediction]:
        graph = self.graph(structures)
        atomic, forces, virials = (_numpy(x) for x in self.atomic(graph))
        check_finite(atomic, forces)
        ends = np.cumsum([len(s.numbers) for s in structures])
        results = []
        for k, (end, structure) in enumerate(zip(ends, structures, strict=True)):
            rows = slice(end - len(structure.numbers), end)
            energies = atomic[rows] + self._offsets[structure.numbers]
            results.append(Prediction(energies, forces[rows], virials[k], structure.volume))
        return results


def _numpy(x: Tensor) -> NDArray[np.float64]:
    return x.detach().to("cpu", torch.float64).numpy()


def _is_out_of_memory(error: Exception) -> bool:
    """CUDA has a class of its own for it; torch's CPU allocator and TorchScript have only words."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    words = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, kinds) or any(w in str(error) for w in words)
