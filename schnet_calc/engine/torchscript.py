"""Automatic differentiation: any network that keeps the contract, foreign TorchScript too; the oracle."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from schnet_calc.engine.base import Engine, Item
from schnet_calc.engine.checks import check_finite, check_shortest
from schnet_calc.engine.grading import error_bar, total_of
from schnet_calc.engine.prediction import Prediction, read_heads
from schnet_calc.modelfile.grades import HeadGrades, head_widths
from schnet_calc.modelfile.torchscript import load_torchscript
from schnet_calc.nn import Network
from schnet_calc.structures.graph import Graph, build_graph, deformed, join_graphs
from schnet_calc.structures.structure import Structure


class TorchScriptEngine(Engine):
    """Forces and virials by automatic differentiation.

    A native file's network is made anew from its plain weights; a foreign file's TorchScript is loaded, and
    run, here and nowhere else.
    """

    name = "script"

    def set_up(self) -> None:
        """Make the network anew, or load the TorchScript."""
        network = self.potential.network()
        module: nn.Module = load_torchscript(self.potential) if network is None else network
        self.module: Any = module.to(self.device, self.dtype)
        self._hidden: dict[str, Tensor] = {}
        for name, _ in head_widths(network) if network is not None else ():
            self._watch(name)

    def hidden_of(self, items: Sequence[Item]) -> list[dict[str, NDArray[np.float64]]]:
        """Return (N, H) activations, without a unit; see :meth:`Engine.hidden`."""
        if not isinstance(self.module, Network):
            raise ValueError(
                f"{self.potential.path} holds no network of this package: nothing in it can be graded"
            )
        graph = join_graphs([build_graph(item.structure, item.pairs, self.cutoff) for item in items])
        self.atomic(graph)
        self.outputs(graph, list(self.heads))
        ends = np.cumsum([len(item.structure.numbers) for item in items])[:-1]
        parts = {name: np.split(_numpy(h), ends) for name, h in self._hidden.items()}
        self._hidden.clear()
        return [{name: h[k] for name, h in parts.items()} for k in range(len(items))]

    def _watch(self, name: str) -> None:
        """Keep what goes into the last layer of a head whenever it is evaluated."""
        output = self.module.output if name == "energy" else self.module.heads[name].output
        output.register_forward_pre_hook(partial(self._keep, name))

    def _keep(self, name: str, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        self._hidden[name] = arguments[0].detach()

    def graph(self, structure: Structure) -> Graph:
        """Check a structure and find its pairs; the errors of :meth:`evaluate`."""
        graph = build_graph(structure, self._item(0, structure).pairs, self.cutoff)
        _check_distances(graph, 0)
        return graph

    def compute(self, items: Sequence[Item], heads: Sequence[str]) -> list[Prediction]:
        """Evaluate all structures as one graph."""
        graphs = []
        for k, item in enumerate(items):
            graphs.append(build_graph(item.structure, item.pairs, self.cutoff))
            _check_distances(graphs[-1], k)
        graph = join_graphs(graphs)
        energies, forces, virials = (_numpy(x) for x in self.atomic(graph))
        outputs = {name: _numpy(x) for name, x in self.outputs(graph, heads).items()}
        grades, summed = self._grades(graph)
        total = total_of(self._graded, np.float64)
        found, end = [], 0
        for k, item in enumerate(items):
            rows = slice(end, end := end + len(item.structure.numbers))
            check_finite(energies[rows], forces[rows], k)
            of_heads = read_heads(
                {name: x[rows] for name, x in outputs.items()}, self.heads, item.structure
            )
            found.append(
                Prediction(
                    energies[rows] + self.offsets[item.structure.numbers],
                    forces[rows],
                    virials[k],
                    item.structure.volume,
                    outputs=of_heads[0],
                    atomic=of_heads[1],
                    grades=None if grades is None else grades[rows],
                    error_bar=None if summed is None else error_bar(total, summed[k]),
                )
            )
        return found

    @property
    def _graded(self) -> HeadGrades | None:
        return self.potential.grades.energy if self.potential.grades else None

    def _grades(self, graph: Graph) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        """Grades of all atoms, the largest of any head, and sums of each structure's last hidden layer."""
        numbers, system, known = graph.numbers.numpy(), graph.system.numpy(), self.potential.grades
        found = {name: _numpy(x) for name, x in self._hidden.items() if known and name in known.heads}
        self._hidden.clear()
        if known is None or not found:
            return None, None
        grades = np.max([known.heads[name].grade(numbers, x) for name, x in found.items()], axis=0)
        hidden = found.get("energy")
        if hidden is None:
            return grades, None
        config = self.potential.metadata.config
        summed = np.zeros((int(system[-1]) + 1, hidden.shape[1]))
        np.add.at(summed, system, hidden)
        if config is not None and config.pooling == "mean":
            summed /= np.bincount(system)[:, None]
        return grades, summed

    def atomic(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        """Return energies (N,) eV, forces (N, 3) eV/Å and virials (B, 3, 3) eV of a float64 graph."""
        n_systems = int(graph.system[-1]) + 1
        graph = graph.to(self.device, self.dtype)
        positions = graph.positions.requires_grad_()
        strain = torch.zeros(n_systems, 3, 3, device=self.device, dtype=self.dtype, requires_grad=True)
        with torch.enable_grad():
            energies = self.module(graph.numbers, *deformed(graph, strain), graph.system)
            gradients = torch.autograd.grad(energies.sum(), (positions, strain), allow_unused=True)
        slope, virial = (
            torch.zeros_like(x) if g is None else g
            for g, x in zip(gradients, (positions, strain), strict=True)
        )
        return energies, -slope, virial

    def outputs(self, graph: Graph, heads: Sequence[str]) -> dict[str, Tensor]:
        """Return the numbers (N,) of the atoms for further heads, of a float64 graph on the CPU."""
        if not heads:
            return {}
        graph = graph.to(self.device, self.dtype)
        with torch.no_grad():
            found = self.module.outputs(graph.numbers, graph.positions, *graph.directed(), graph.system)
        return {name: found[name] for name in heads}

    def hessian(self, structure: Structure) -> NDArray[np.float64]:
        """Return (3N, 3N) second derivatives of the energy of one structure, eV/Å²."""
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


def _check_distances(graph: Graph, k: int) -> None:
    distances = torch.linalg.vector_norm(graph.vectors(), dim=1)
    if len(distances):
        closest = int(distances.argmin())
        check_shortest(closest, float(distances[closest]), graph.i, graph.j, k)


def _numpy(x: Tensor) -> NDArray[np.float64]:
    return x.detach().to("cpu", torch.float64).numpy()
