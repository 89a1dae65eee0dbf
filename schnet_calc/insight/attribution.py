"""A prediction shared among atoms and pairs, by gradients with respect to distances.

Gradient times input, or integrated gradients (Sundararajan, Taly and Yan, 2017) along the straight path
from a baseline where every pair is as far apart as the network can see.
"""

from dataclasses import dataclass
from typing import NamedTuple

import ase
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import quad_vec
from torch import Tensor

from schnet_calc.checks import check_choice
from schnet_calc.engine import TorchScriptEngine
from schnet_calc.insight.loading import Model, open_network, open_potential
from schnet_calc.nn import DistanceNetwork
from schnet_calc.structures.graph import Graph
from schnet_calc.structures.structure import Structure

METHODS = ("integrated", "gradient")


@dataclass(frozen=True)
class Attribution:
    """Outcome of :func:`attribute`; energies are the network's, without reference energies."""

    i: NDArray[np.int64]
    """(P,) first atom of each unordered pair"""
    j: NDArray[np.int64]
    """(P,) second atom"""
    distances: NDArray[np.float64]
    """(P,) Å"""
    pairs: NDArray[np.float64]
    """(P,) eV of each pair"""
    atoms: NDArray[np.float64]
    """(N,) eV of each atom: half of its pairs'"""
    energy: float
    """eV of the structure"""
    baseline: float
    """eV with every pair at the end of sight; integrated gradients add up to the difference"""


def attribute(
    model: Model, atoms: ase.Atoms, method: str = "integrated", tolerance: float = 1e-4
) -> Attribution:
    """Shares of atoms and pairs in the energy of a structure.

    Parameters
    ----------
    model : path, str, Potential or Model
        A SchNet or DTNN.
    atoms : Atoms
        One structure.
    method : str
        ``"integrated"``, whose shares add up to energy minus baseline, or ``"gradient"`` times distance.
    tolerance : float
        eV, of the integrals.

    Raises
    ------
    ValueError
        Another network or method, or a structure that the model can't take.
    """
    check_choice("method", method, METHODS)
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance} eV")
    potential = open_potential(model)
    network = open_network(potential, DistanceNetwork)
    engine = TorchScriptEngine(potential, torch.device("cpu"), torch.float64)
    graph = engine.graph(Structure.from_atoms(atoms))
    energy = _PairEnergy(network, graph)
    distances = torch.linalg.vector_norm(graph.vectors(), dim=1)
    far = torch.full_like(distances, network.config.cutoff)
    if not np.isfinite(potential.cutoff):
        far.fill_(max(network.config.stop, float(distances.max())))
    if method == "gradient":
        pairs = (energy.gradient(distances) * distances).numpy()
    else:
        path = distances - far
        pairs, _ = quad_vec(
            lambda t: (energy.gradient(far + t * path) * path).numpy(), 0.0, 1.0, epsabs=tolerance
        )
    i, j = graph.i.numpy(), graph.j.numpy()
    per_atom = np.zeros(len(atoms))
    np.add.at(per_atom, i, 0.5 * pairs)
    np.add.at(per_atom, j, 0.5 * pairs)
    with torch.no_grad():
        ends = float(energy(distances)), float(energy(far))
    return Attribution(i, j, distances.numpy(), pairs, per_atom, *ends)


class _PairEnergy(NamedTuple):
    """The energy of a structure as a function of the distances (P,) of its unordered pairs, Å."""

    network: DistanceNetwork
    graph: Graph

    def __call__(self, d: Tensor) -> Tensor:
        graph = self.graph
        pairs, _ = graph.directed()
        return self.network.energies(graph.numbers, torch.cat((d, d)), pairs, graph.system).sum()

    def gradient(self, d: Tensor) -> Tensor:
        """(P,) eV/Å."""
        d = d.detach().requires_grad_()
        return torch.autograd.grad(self(d), d)[0] if len(d) else d.detach()
