"""What a network says of held-out frames during training, minus their labels."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from schnet_calc.training.batches import Batches
from schnet_calc.training.predict import Predict

FloatArray = NDArray[np.float64]


def differences(
    network: nn.Module,
    batches: Batches,
    predict: Predict,
    n_frames: int,
    batch_size: int,
    device: torch.device,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Energies (M,) and force components minus labels of the first frames, and their atoms (M,)."""
    n_frames = min(n_frames, len(batches))
    counts = batches.frames.n_atoms[:n_frames].astype(float)
    energy, force = [], []
    with torch.no_grad():
        for start in range(0, n_frames, batch_size):
            batch = batches.batch(np.arange(start, min(start + batch_size, n_frames))).to(device)
            energies, forces = predict(network, batch)
            energy.append((energies.detach() - batch.energies).cpu().numpy())
            force.append((forces.detach() - batch.forces).cpu().numpy().ravel())
    return np.concatenate(energy).astype(float), np.concatenate(force).astype(float), counts
