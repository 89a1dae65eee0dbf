"""The loss on energies and forces, and the learning rate over the steps."""

import math

import torch
from torch import Tensor

from schnet_calc.training.batches import Batch
from schnet_calc.training.config import TrainingConfig


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


def loss_function(energies: Tensor, forces: Tensor, batch: Batch, config: TrainingConfig) -> Tensor:
    """Mean over the batch of thesis Eq. 5.7, in eV² and (eV/Å)²."""
    loss = torch.zeros_like(energies[0])
    if config.force_weight > 0:
        counts = torch.zeros_like(batch.energies).index_add(
            0, batch.graph.system, torch.ones_like(batch.forces[:, 0])
        )
        squares = ((forces - batch.forces) ** 2).sum(1) / counts[batch.graph.system]
        loss = loss + config.force_weight * squares.sum() / len(batch.energies)
    if config.rho > 0:
        loss = loss + config.rho * ((energies - batch.energies) ** 2).mean()
    return loss
