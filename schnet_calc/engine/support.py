"""Which models the fast engines evaluate, and what all of these engines have."""

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.engine.base import Engine
from schnet_calc.engine.differences import hessian_by_differences
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.splines.quintic import TOLERANCE, choose_grid
from schnet_calc.modelfile import Potential
from schnet_calc.nn import ARCHITECTURES, SchNet
from schnet_calc.structures.structure import Structure

_GRIDS: dict[tuple[str, float, torch.dtype], tuple[SplineGrid, float]] = {}
"""Knots by model, closest distance and type: within a process a model is often opened several times."""


def supports(potential: Potential) -> bool:
    """Return whether the kernels know the arithmetic of this model."""
    return potential.native and ARCHITECTURES[potential.metadata.architecture].network.compiled


def compiled_network(potential: Potential) -> SchNet:
    """Return the network in float64.

    Raises
    ------
    ValueError
        The kernels don't know its arithmetic.
    """
    if not supports(potential):
        raise ValueError(
            f"the compiled engine evaluates SchNets with plain weights; "
            f"{potential.path or 'this model'} is none: use engine='script'"
        )
    network = potential.network()
    assert isinstance(network, SchNet)
    return network.to(torch.float64)


class TabulatedEngine(Engine):
    """Evaluates a SchNet from tables of its filters, which are splines of the distance.

    Raises
    ------
    ValueError
        The model is no SchNet of this package.
    """

    name = "compiled"

    def set_up(self) -> None:
        """Read the network in float64, and choose the knots of its tables."""
        self.network = compiled_network(self.potential)
        closest, _ = self.potential.metadata.distance_range or (0.0, 0.0)
        known = (self.potential.sha256, closest, self.dtype)
        if known not in _GRIDS:
            elements = self.potential.elements
            _GRIDS[known] = choose_grid(self.network, elements, closest, TOLERANCE[self.dtype])
        self.grid, self.force_error = _GRIDS[known]
        """Largest error of a force component that the tables cause, measured when they were made, eV/Å."""

    def hessian(self, structure: Structure) -> NDArray[np.float64]:
        """Return (3N, 3N) second derivatives of the energy of one structure, eV/Å²; differences of forces."""
        return hessian_by_differences(self, structure)
