"""Errors of a network on held-out frames during training."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from schnet_calc.analysis.errors import Errors
from schnet_calc.training.batches import Batches
from schnet_calc.training.predict import Predict

FloatArray = NDArray[np.float64]


def validation_errors(
    network: nn.Module,
    batches: Batches,
    predict: Predict,
    n_frames: int,
    batch_size: int,
    device: torch.device,
    constant: float = 0.0,
) -> Errors:
    """Errors of a network on the first frames of a set, ``constant`` eV added to every atom."""
    energy, force, _ = _differences(network, batches, predict, n_frames, batch_size, device, constant)
    return Errors.of(energy, force)


def integration_constant(
    network: nn.Module,
    batches: Batches,
    predict: Predict,
    n_frames: int,
    batch_size: int,
    device: torch.device,
) -> float:
    """What has to be added to every atom, eV, for the mean energy to be right (thesis 5.3, rho = 0)."""
    energy, _, counts = _differences(network, batches, predict, n_frames, batch_size, device, 0.0)
    return float(-energy.sum() / counts.sum())


def _differences(
    network: nn.Module,
    batches: Batches,
    predict: Predict,
    n_frames: int,
    batch_size: int,
    device: torch.device,
    constant: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Energies (M,) and force components minus labels, and the numbers of atoms (M,)."""
    n_frames = min(n_frames, len(batches))
    counts = batches.frames.n_atoms[:n_frames].astype(float)
    energy, force = [], []
    with torch.no_grad():
        for start in range(0, n_frames, batch_size):
            batch = batches.batch(np.arange(start, min(start + batch_size, n_frames))).to(device)
            energies, forces = predict(network, batch)
            energy.append((energies.detach() - batch.energies).cpu().numpy())
            force.append((forces.detach() - batch.forces).cpu().numpy().ravel())
    energies_off = np.concatenate(energy).astype(float) + constant * counts
    return energies_off, np.concatenate(force).astype(float), counts
