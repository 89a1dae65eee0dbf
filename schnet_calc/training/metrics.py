"""What a network says of held-out frames during training, minus their labels."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from schnet_calc.training.batches import Batches
from schnet_calc.training.predict import Predict

FloatArray = NDArray[np.float64]


class Differences(NamedTuple):
    """Predictions minus labels of M frames with A atoms."""

    energies: FloatArray
    """(M,) eV"""
    forces: FloatArray
    """(3A,) components, eV/Å"""
    virials: FloatArray
    """(9M',) components of the virial per atom, eV, of the frames that have labels for it"""
    n_atoms: FloatArray
    """(M,)"""
    force_labels: FloatArray
    """(M,) mean squared lengths of the labels' forces, (eV/Å)²"""

    def mean_square_force(self, scale: float) -> float:
        """Mean over the frames of the squared error per atom, (eV/Å)², weighted as in the loss."""
        starts = np.concatenate([[0], np.cumsum(3 * self.n_atoms[:-1])]).astype(int)
        squares = np.add.reduceat(self.forces**2, starts) / self.n_atoms
        if scale > 0:
            squares = squares / (1.0 + self.force_labels / scale**2)
        return float(squares.mean())


def differences(
    network: nn.Module,
    batches: Batches,
    predict: Predict,
    n_frames: int,
    batch_size: int,
    device: torch.device,
) -> Differences:
    """Predictions minus labels of the first frames."""
    n_frames = min(n_frames, len(batches))
    counts = batches.frames.n_atoms[:n_frames].astype(float)
    energy, force, virial = [], [], [np.zeros(0)]
    with torch.no_grad():
        for start in range(0, n_frames, batch_size):
            rows = np.arange(start, min(start + batch_size, n_frames))
            batch = batches.batch(rows).to(device)
            found = predict(network, batch)
            energy.append((found.energies.detach() - batch.energies).cpu().numpy())
            force.append((found.forces.detach() - batch.forces).cpu().numpy().ravel())
            if found.virials is not None and batch.virials is not None:
                off = (found.virials.detach() - batch.virials).cpu().numpy() / counts[rows, None, None]
                virial.append(off[np.isfinite(off)])
    energies, forces, virials = (np.concatenate(x).astype(float) for x in (energy, force, virial))
    squares = (batches.frames.forces**2).sum(1)
    labels = np.add.reduceat(squares, batches.frames.offsets[:-1])[:n_frames] / counts
    return Differences(energies, forces, virials, counts, labels)
