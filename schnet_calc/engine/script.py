"""TorchScript and automatic differentiation: any network that keeps the contract; the oracle."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.engine.base import Engine
from schnet_calc.graph import Graph, Structure
from schnet_calc.potential import Potential, private_module


class ScriptEngine(Engine):
    """Forces and virials by automatic differentiation of the model file's TorchScript."""

    name = "script"

    def __init__(self, potential: Potential, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(potential, device, dtype)
        self.module = private_module(potential).to(device, dtype)

    def atomic(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`Engine.atomic`."""
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
