"""Weights that lie in one vector train as they do where each lies for itself."""

import copy
from pathlib import Path

import pytest
import torch

from helpers import random_network
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.torch.stacks import stacked
from schnet_calc.training import Run, TrainingConfig
from schnet_calc.training.checkpoint import load_checkpoint, save_checkpoint
from schnet_calc.training.flat import FlatWeights
from schnet_calc.training.loss import loss_function, terms
from schnet_calc.training.predict import explicit_predictor, predict_autograd
from schnet_calc.training.soap import SOAP

GRID = SplineGrid.covering(0.5, 4.0, 0.05)
NETWORKS = {
    "schnet": {},
    "one filter network": {"shared_filters": True, "filter_activation": True},
    "odd widths": {"n_features": 20, "n_filters": 28},
    "no bias": {"dense_in_bias": False},
    "dtnn": {"architecture": "DTNN"},
}


def gradients_of(network, batch, how):
    predict = (
        predict_autograd if how == "autograd" else explicit_predictor(network, GRID, how == "compiled")
    )
    loss = loss_function(
        predict(network, batch), batch, terms(TrainingConfig(), dict.fromkeys(batch.labels, 1.0))
    )
    loss.backward()
    return {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("how", ["compiled", "tensors", "autograd"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_go_into_the_vector(batch, name, how):
    if name == "dtnn" and how != "autograd":
        how = "autograd"
    plain = random_network(**NETWORKS[name])
    network = copy.deepcopy(plain)
    flat = FlatWeights(network)
    expected = gradients_of(plain, batch, how)
    for times in (1, 2):  # they are added up until somebody clears them
        found = gradients_of(network, batch, how)
        for parameter, gradient in expected.items():
            torch.testing.assert_close(
                found[parameter], times * gradient, rtol=1e-12, atol=1e-12 * float(gradient.abs().max())
            )
    # What has no part in the loss, such as the bias before the first convolution's forces, has zeros.
    assert sum(float(g.abs().sum()) for g in found.values()) == pytest.approx(
        float(flat.gradient.abs().sum())
    )


def test_layers_of_one_kind_are_one_tensor_without_a_copy():
    network = random_network(n_interactions=3)
    weights = [block.dense_in.weight for block in network.interactions]
    assert stacked(weights).data_ptr() != weights[0].data_ptr()
    flat = FlatWeights(network)
    whole = stacked(weights)
    assert whole.data_ptr() == weights[0].data_ptr()
    assert whole.is_leaf
    assert whole.grad.data_ptr() == weights[0].grad.data_ptr()
    torch.testing.assert_close(whole, torch.stack(weights))
    assert stacked(weights) is whole
    assert not stacked(weights[::-1]).is_leaf
    assert len(flat.values) == sum(p.numel() for p in network.parameters())
    weights[1].data = weights[1].detach() + 1.0
    torch.testing.assert_close(stacked(weights), torch.stack(weights))


def test_a_vector_outlives_loading():
    network, other = random_network(), random_network()
    flat = FlatWeights(network)
    with torch.no_grad():
        for p in other.parameters():
            p.add_(1.0)
    before = flat.values.clone()
    network.load_state_dict(other.state_dict())
    torch.testing.assert_close(flat.values, before + 1.0)


def test_soap_takes_stacks_and_matrices():
    """The same steps, whether matrices come one by one or as a stack."""
    torch.manual_seed(0)
    target = torch.randn(3, 6, 4, dtype=torch.float64)
    single = [torch.zeros(6, 4, dtype=torch.float64, requires_grad=True) for _ in target]
    stack = torch.zeros(3, 6, 4, dtype=torch.float64, requires_grad=True)
    optimizers = SOAP(single, lr=0.05), SOAP([stack], lr=0.05)
    for _ in range(45):
        for optimizer, values in zip(optimizers, (torch.stack(single), stack), strict=True):
            optimizer.zero_grad()
            ((values - target) ** 2 * torch.arange(1.0, 5.0)).sum().backward()
            optimizer.step()
    torch.testing.assert_close(torch.stack(single), stack, rtol=1e-10, atol=1e-10)
    assert float((stack - target).detach().abs().max()) < 0.5 * float(target.abs().max())


@pytest.mark.parametrize("optimizer", ["adam", "soap"])
def test_an_optimiser_of_another_layout_is_refused(config, data, tmp_path: Path, optimizer):
    """As checkpoints of earlier versions have it: moments for each layer."""
    Run(config(data, steps=10, optimizer=optimizer), tmp_path / "run").run()
    path = tmp_path / "run" / "checkpoint.safetensors"
    tensors, state = load_checkpoint(path)
    name = "optimizer.0.mean" if optimizer == "soap" else "optimizer.0.exp_avg"
    tensors[name] = tensors[name][..., :1]
    save_checkpoint(path, tensors, state)
    with pytest.raises(
        ValueError, match=r"checkpoint\.safetensors has an optimiser's state of another layout"
    ):
        Run(config(data, steps=20, optimizer=optimizer), tmp_path / "run", resume=True)


def test_soap_leaves_an_embedding_to_adam():
    """A step moves an element's row by the rate times a few at most, however seldom a batch has the element."""
    network = random_network()
    table = network.embedding.weight.detach().clone().requires_grad_()
    flat = FlatWeights(network)
    optimizers = SOAP(flat.by_shape(), lr=1e-3), torch.optim.Adam([table], lr=1e-3, betas=(0.95, 0.99))
    random = torch.Generator().manual_seed(0)
    for step in range(100):
        flat.gradient.zero_()
        gradient = network.embedding.weight.grad
        here = [1, 6, 7] if step % 30 else [8]
        gradient[here] = torch.randn(gradient[here].shape, generator=random, dtype=gradient.dtype)
        table.grad = gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(network.embedding.weight, table, rtol=1e-12, atol=1e-12)
