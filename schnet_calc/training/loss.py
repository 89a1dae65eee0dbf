"""The loss on energies and forces, and the learning rate over the steps."""

import math

import torch
from torch import Tensor

from schnet_calc.training.batches import Batch
from schnet_calc.training.config import TrainingConfig
from schnet_calc.training.predict import Predicted


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Rate of a step: linear warm-up, then the schedule."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = min((step - config.warmup) / max(config.steps - config.warmup, 1), 1.0)
    top, bottom = config.learning_rate, config.final_learning_rate
    if config.schedule == "cosine":
        return bottom + 0.5 * (top - bottom) * (1.0 + math.cos(math.pi * progress))
    if config.schedule == "exponential":
        return float(top * (bottom / top) ** progress)
    return top


def loss_function(predicted: Predicted, batch: Batch, config: TrainingConfig) -> Tensor:
    """Mean over the batch of thesis Eq. 5.7 in eV² and (eV/Å)², and of virials per atom in eV²."""
    loss = torch.zeros_like(predicted.energies[0])
    counts = atoms_per_system(batch)
    if config.force_weight > 0:
        squares = mean_squares(predicted.forces - batch.forces, batch)
        if config.force_scale > 0:
            squares = squares / (1.0 + mean_squares(batch.forces, batch) / config.force_scale**2)
        loss = loss + config.force_weight * squares.mean()
    if config.rho > 0:
        loss = loss + config.rho * ((predicted.energies - batch.energies) ** 2).mean()
    if config.stress_weight > 0 and predicted.virials is not None and batch.virials is not None:
        off = torch.nan_to_num(predicted.virials - batch.virials) / counts[:, None, None]
        loss = loss + config.stress_weight * (off**2).sum((1, 2)).mean()
    return loss


def mean_squares(vectors: Tensor, batch: Batch) -> Tensor:
    """(B,) mean over the atoms of a structure of the squared lengths of (N, 3) vectors."""
    sums = torch.zeros_like(batch.energies).index_add(0, batch.graph.system, (vectors**2).sum(1))
    return sums / atoms_per_system(batch)


def atoms_per_system(batch: Batch) -> Tensor:
    """(B,) numbers of atoms."""
    ones = torch.ones_like(batch.forces[:, 0])
    return torch.zeros_like(batch.energies).index_add(0, batch.graph.system, ones)
