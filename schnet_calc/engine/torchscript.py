"""TorchScript and automatic differentiation: any network that keeps the contract; the oracle."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.engine.base import Engine
from schnet_calc.engine.checks import check_finite, check_shortest, check_structure, named
from schnet_calc.engine.chunks import chunked
from schnet_calc.engine.prediction import Prediction, split
from schnet_calc.modelfile.potential import Potential, private_module
from schnet_calc.structures.graph import Graph, build_graph, join_graphs
from schnet_calc.structures.structure import Structure


class ScriptEngine(Engine):
    """Forces and virials by automatic differentiation of the model file's TorchScript."""

    name = "script"

    def __init__(self, potential: Potential, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(potential, device, dtype)
        self.module = private_module(potential).to(device, dtype)

    def graph(self, structure: Structure) -> Graph:
        """Check a structure and find its pairs; the errors of :meth:`evaluate`."""
        check_structure(structure, self._offsets)
        graph = build_graph(structure, self.potential.cutoff)
        distances = torch.linalg.vector_norm(graph.vectors(), dim=1)
        if len(distances):
            closest = int(distances.argmin())
            check_shortest(closest, float(distances[closest]), graph.i, graph.j)
        return graph

    def _evaluate(self, structures: Sequence[Structure]) -> list[Prediction]:
        found: list[Prediction] = []
        for part in chunked(self._graphs(structures), lambda g: len(g.i), self.memory / self.pair_bytes):
            atomic, forces, virials = (_numpy(x) for x in self.atomic(join_graphs(part)))
            check_finite(atomic, forces)
            first = len(found)
            found += split(structures[first : first + len(part)], self._offsets, atomic, forces, virials)
        return found

    def _graphs(self, structures: Sequence[Structure]) -> Iterator[Graph]:
        for k, structure in enumerate(structures):
            with named(k, len(structures)):
                graph = self.graph(structure)
            yield graph

    def atomic(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        """Atomic energies (N,), forces (N, 3) and virials (B, 3, 3) of a float64 graph on the CPU."""
        n_systems = int(graph.system[-1]) + 1
        graph = graph.to(self.device, self.dtype)
        positions = graph.positions.requires_grad_()
        strain = torch.zeros(n_systems, 3, 3, device=self.device, dtype=self.dtype, requires_grad=True)
        pairs, shifts = graph.directed()
        with torch.enable_grad():
            deform = strain + torch.eye(3, device=self.device, dtype=self.dtype)
            moved = torch.einsum("nk,nkl->nl", positions, deform[graph.system])
            moved_shifts = torch.einsum("pk,pkl->pl", shifts, deform[graph.system[pairs[0]]])
            energies = self.module(graph.numbers, moved, pairs, moved_shifts, graph.system)
            gradients = torch.autograd.grad(energies.sum(), (positions, strain), allow_unused=True)
        slope, virial = (
            torch.zeros_like(x) if g is None else g
            for g, x in zip(gradients, (positions, strain), strict=True)
        )
        return energies, -slope, virial

    def hessian(self, structure: Structure) -> NDArray[np.float64]:
        """(3N, 3N) second derivatives of the energy of one structure, eV/Å²."""
        graph = self.graph(structure).to(self.device, self.dtype)
        pairs, shifts = graph.directed()
        positions = graph.positions.requires_grad_()
        energy = self.module(graph.numbers, positions, pairs, shifts, graph.system).sum()
        (gradient,) = torch.autograd.grad(energy, positions, create_graph=True)
        rows = [
            torch.autograd.grad(component, positions, retain_graph=True)[0].reshape(-1)
            for component in gradient.reshape(-1)
        ]
        return torch.stack(rows).detach().to("cpu", torch.float64).numpy()


def _numpy(x: Tensor) -> NDArray[np.float64]:
    return x.detach().to("cpu", torch.float64).numpy()
