"""The loss as a table of terms, which the validation score shares, and the learning rate over the steps.

A new term is an entry of :func:`terms`.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from schnet_calc.data import PROPERTIES, Property
from schnet_calc.reductions import REDUCTIONS
from schnet_calc.training.batches import TrainingBatch
from schnet_calc.training.config import TrainingConfig

Squares = Callable[[Tensor, Tensor, TrainingBatch], Tensor]


class Term(NamedTuple):
    """One label's share of the loss."""

    name: str
    """Of the property."""
    weight: float
    squares: Squares
    """Predictions, labels and batch to (B,) squared errors; no numbers where a structure has no label."""


def terms(
    config: TrainingConfig, labels: dict[str, float], properties: Mapping[str, Property] = PROPERTIES
) -> list[Term]:
    """Return the terms of thesis Eq. 5.7 and of further labels.

    Parameters
    ----------
    config : TrainingConfig
        Weights; terms of weight zero are left out.
    labels : dict
        Variance by name of the label.
    properties : dict
        What they are; any other name is a number of the structure.
    """
    found = []
    for name, variance in labels.items():
        if name == "energy":
            found.append(Term(name, config.rho, _squares))
        elif name == "forces":
            found.append(Term(name, config.force_weight, partial(_force_squares, config)))
        elif name == "virial":
            found.append(Term(name, config.stress_weight, _squares_per_atom))
        else:
            how = properties[name].reduction if name in properties else None
            how = how or REDUCTIONS["sum"]
            unit = max(variance, 1e-30) if how.relative else 1.0
            found.append(Term(name, getattr(config, how.weight) / unit, _squares))
    return [term for term in found if term.weight > 0]


def loss_function(predicted: dict[str, Tensor], batch: TrainingBatch, of: list[Term]) -> Tensor:
    """Return the loss (), the sum over terms of weight times mean over the structures that have the label.

    Parameters
    ----------
    predicted : dict
        Tensors (B, ...) or (N, 3) by name.
    batch : TrainingBatch
        Labels of the same shapes.
    of : list of Term
        What is added up.
    """
    loss = batch.counts.new_zeros(())
    for term in of:
        value, label = predicted[term.name], batch.labels[term.name]
        if term.name in batch.complete:
            loss = loss + term.weight * term.squares(value, label, batch).mean()
            continue
        known = torch.isfinite(batch_labels(term.name, batch))
        # A gradient through what is no number would spoil all.
        label = torch.where(torch.isfinite(label), label, value.detach())
        squares = term.squares(value, label, batch)
        total = torch.where(known, squares, torch.zeros_like(squares)).sum()
        loss = loss + term.weight * total / known.sum().clamp(min=1)
    return loss


def batch_labels(name: str, batch: TrainingBatch) -> Tensor:
    """Return (B,) numbers that are finite where a structure has the label."""
    label = batch.labels[name]
    if len(label) != len(batch.counts) or (label.shape[1:] == (3,) and name == "forces"):
        return batch.sums(label.sum(1))
    return label.reshape(len(label), -1).sum(1)


def _squares(predicted: Tensor, label: Tensor, batch: TrainingBatch) -> Tensor:
    squares = (predicted - label) ** 2
    return squares if squares.ndim == 1 else squares.reshape(len(squares), -1).sum(1)


def _force_squares(
    config: TrainingConfig, predicted: Tensor, label: Tensor, batch: TrainingBatch
) -> Tensor:
    squares = mean_squares(predicted - label, batch, config.force_outlier)
    if config.force_scale > 0:
        squares = squares / (1.0 + mean_squares(label, batch) / config.force_scale**2)
    return squares


def _squares_per_atom(predicted: Tensor, label: Tensor, batch: TrainingBatch) -> Tensor:
    return _squares(predicted, label, batch) / batch.counts**2


def mean_squares(vectors: Tensor, batch: TrainingBatch, outlier: float = 0.0) -> Tensor:
    """Return (B,) means over the atoms of a structure of the squared lengths of (N, 3) vectors.

    With an outlier's length d, the square of a length l becomes 2 d² (√(1 + l²/d²) - 1): l² where it is
    small, 2 d l where it is large.

    Parameters
    ----------
    vectors : Tensor
        (N, 3), eV/Å for forces.
    batch : TrainingBatch
        Structures of the atoms.
    outlier : float
        d, in the unit of the vectors; 0 for none.
    """
    squares = (vectors**2).sum(1)
    if outlier > 0:
        squares = 2.0 * outlier**2 * (torch.sqrt(1.0 + squares / outlier**2) - 1.0)
    return batch.sums(squares) / batch.counts


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Return the rate of a step: linear warm-up, then the schedule."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = min((step - config.warmup) / max(config.steps - config.warmup, 1), 1.0)
    top, bottom = config.learning_rate, config.final_learning_rate
    if config.schedule == "cosine":
        return bottom + 0.5 * (top - bottom) * (1.0 + math.cos(math.pi * progress))
    if config.schedule == "exponential":
        return float(top * (bottom / top) ** progress)
    return top
