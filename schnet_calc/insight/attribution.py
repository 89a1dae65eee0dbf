"""A prediction shared among atoms and pairs, by gradients with respect to distances.

Gradient times input, or integrated gradients (Sundararajan, Taly and Yan, 2017) along the straight path
from a baseline where every pair is as far apart as the network can see.
"""

from dataclasses import dataclass

import ase
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import quad_vec

from schnet_calc.engine import TorchScriptEngine
from schnet_calc.insight.loading import Model, open_network, open_potential
from schnet_calc.nn import DistanceNetwork
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
    if method not in METHODS:
        raise ValueError(f"method is one of {', '.join(METHODS)}, got {method!r}")
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance} eV")
    potential = open_potential(model)
    network = open_network(potential, DistanceNetwork)
    graph = TorchScriptEngine(potential, torch.device("cpu"), torch.float64).graph(
        Structure.from_atoms(atoms)
    )
    pairs, _ = graph.directed()
    distances = torch.linalg.vector_norm(graph.vectors(), dim=1)
    sight = (
        network.config.cutoff
        if np.isfinite(potential.cutoff)
        else max(network.config.stop, float(distances.max()))
    )
    far = torch.full_like(distances, sight)

    def energy(d: torch.Tensor) -> torch.Tensor:
        return network.energies(graph.numbers, torch.cat((d, d)), pairs, graph.system).sum()

    def gradient(d: torch.Tensor) -> torch.Tensor:
        d = d.detach().requires_grad_()
        return torch.autograd.grad(energy(d), d)[0] if len(d) else d.detach()

    if method == "gradient":
        shares = gradient(distances) * distances
    else:
        path = distances - far
        along, _ = quad_vec(lambda t: (gradient(far + t * path) * path).numpy(), 0.0, 1.0, epsabs=tolerance)
        shares = torch.from_numpy(along)
    values = shares.numpy()
    i, j = graph.i.numpy(), graph.j.numpy()
    per_atom = np.zeros(len(atoms))
    np.add.at(per_atom, i, 0.5 * values)
    np.add.at(per_atom, j, 0.5 * values)
    with torch.no_grad():
        return Attribution(
            i, j, distances.numpy(), values, per_atom, float(energy(distances)), float(energy(far))
        )
