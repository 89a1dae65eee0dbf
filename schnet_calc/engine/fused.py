"""The fast path for SchNet: splined filters, unordered pairs, forces without automatic differentiation."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.engine.base import Engine
from schnet_calc.engine.compiled import Compiled
from schnet_calc.engine.cuda import TensorBatches, TensorSequence
from schnet_calc.engine.prediction import Prediction
from schnet_calc.kernels.splines.quintic import TOLERANCE, choose_grid
from schnet_calc.modelfile.potential import Potential
from schnet_calc.nn import SchNet
from schnet_calc.structures.structure import Structure

DISPLACEMENT = 5e-4
"""Å, of the atoms for second derivatives; small, since the force of a pair has a kink at the cutoff."""
STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
"""Steps, and their weights in a first derivative of fourth order."""


class FusedEngine(Engine):
    """Evaluates a SchNet from tables of its filters.

    On the CPU every structure is one compiled call, on as many threads as torch may use; on CUDA a
    batch is a sequence of tensor operations that is recorded once and replayed.

    Raises
    ------
    ValueError
        The model is not a SchNet with a cutoff, sum pooling and plain weights.
    """

    name = "fused"
    force_error: float | None = None
    """Largest error of a force component that the tables cause, measured when they were made, eV/Å."""

    def __init__(self, potential: Potential, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(potential, device, dtype)
        if not supports(potential):
            raise ValueError(
                f"the fused engine needs a SchNet with a cutoff, sum pooling and plain weights; "
                f"{potential.path or 'this model'} is none: use engine='script'"
            )
        network = potential.network()
        assert isinstance(network, SchNet)
        network = network.to(torch.float64)
        self.compiled: Compiled | None = None
        """What evaluates structures on the CPU."""
        self.batches: TensorBatches | None = None
        """What evaluates them elsewhere."""
        if device.type == "cpu":
            closest, _ = potential.metadata.get("training", {}).get("distance_range_ang", (0.0, 0.0))
            grid, self.force_error = choose_grid(network, potential.elements, closest, TOLERANCE[dtype])
            self.compiled = Compiled(network, grid, dtype, self._offsets)
        else:
            self.batches = TensorBatches(TensorSequence(network, device, dtype), self._offsets)

    @property
    def pair_bytes(self) -> int:
        """See :class:`Engine`: a few rows of features at a time, none kept."""
        return int(8 * self.potential.metadata["hyperparameters"]["n_features"] * self.dtype.itemsize)

    def _evaluate(self, structures: Sequence[Structure]) -> list[Prediction]:
        if self.compiled is not None:
            return self.compiled.evaluate(structures)
        assert self.batches is not None
        return self.batches.evaluate(structures, self.memory / self.pair_bytes)

    def hessian(self, structure: Structure) -> NDArray[np.float64]:
        """(3N, 3N) second derivatives of the energy of one structure, eV/Å².

        Differences of fourth order of the exact forces, all displaced structures in one batch; precise in
        float64.
        """
        displaced = []
        for k in range(structure.positions.size):
            for step, _ in STENCIL:
                positions = structure.positions.copy()
                positions.flat[k] += step * DISPLACEMENT
                displaced.append(structure._replace(positions=positions))
        forces = np.stack([p.forces.ravel() for p in self.evaluate(displaced)])
        weights = np.array([weight for _, weight in STENCIL]) / DISPLACEMENT
        return -np.einsum("s,ksn->kn", weights, forces.reshape(-1, len(STENCIL), structure.positions.size))


def supports(potential: Potential) -> bool:
    """Whether the fused engine can evaluate this model."""
    hyperparameters = potential.metadata.get("hyperparameters", {})
    return (
        potential.metadata.get("architecture") == "SchNet"
        and bool(potential.weights)
        and potential.cutoff < float("inf")
        and hyperparameters.get("pooling") == "sum"
    )
