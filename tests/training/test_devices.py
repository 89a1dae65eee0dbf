"""No tensor of a training step is left on another device; seen without a GPU."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from helpers import strained_copper, write_frames
from schnet_calc.data import read_frames
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.nn import SchNet, SchNetConfig
from schnet_calc.training.batches import Batches
from schnet_calc.training.config import TrainingConfig
from schnet_calc.training.flat import FlatWeights
from schnet_calc.training.loss import loss_function, terms
from schnet_calc.training.predict import explicit_predictor, predict_autograd
from schnet_calc.training.setup import make_optimizer

AWAY = torch.device("meta")
"""Stands for a GPU: its tensors have no values, mix with others as little as CUDA's do, and can't be waited for."""


class Mixtures(TorchDispatchMode):
    """Operations on tensors of several devices; numbers without dimensions may be anywhere."""

    def __init__(self):
        super().__init__()
        self.found, self.names, self.count = set(), set(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [x for x in tree_leaves((args, kwargs or {})) if isinstance(x, torch.Tensor) and x.dim()]
        self.count += 1
        self.names.add(str(func))
        if len({x.device.type for x in tensors}) > 1 and "_to_copy" not in str(func):
            self.found.add(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def step(tmp_path):
    """A network and a batch with forces and stresses, both away."""
    path = write_frames(tmp_path / "frames.extxyz", strained_copper(4))
    frames = read_frames(path)
    frames.labels["virial"] = np.zeros((4, 3, 3))
    config = SchNetConfig(n_features=8, n_interactions=2, n_gaussians=6, cutoff=4.0)
    batch = Batches(frames, {29: 0.0}, config.cutoff, torch.float32).batch(np.arange(4)).to(AWAY)
    loss_terms = terms(TrainingConfig(stress_weight=1.0), dict.fromkeys(frames.labels, 1.0))
    assert {term.name for term in loss_terms} == {"energy", "forces", "virial"}
    return SchNet(config).to(torch.float32).to(AWAY), batch, loss_terms


@pytest.mark.parametrize("gradients", ["explicit", "autograd"])
def test_a_step_stays_on_its_device(step, gradients):
    network, batch, loss_terms = step
    optimizer = make_optimizer("soap", FlatWeights(network))
    with Mixtures() as seen:
        predict = predict_autograd
        if gradients == "explicit":
            predict = explicit_predictor(network, SplineGrid.covering(1.0, 4.1, 0.05))
        for _ in range(2):
            loss = loss_function(predict(network, batch), batch, loss_terms)
            loss.backward()
            optimizer.step()
    assert loss.device == AWAY
    assert seen.count > 100
    assert not seen.found
    # The gradient of x[i], which sorts on CUDA; that of index_select adds.
    assert not any("index_put" in name for name in seen.names)


def test_a_mixture_would_be_seen(step):
    batch = step[1]
    with Mixtures() as seen:
        torch.nn.functional.embedding(batch.graph.numbers, torch.ones(30, 8))
    assert seen.found
