"""Explicit forces, virials and their gradients by the weights are those of automatic differentiation."""

import pytest
import torch

from helpers import VARIANTS, random_network
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.splines.quintic import table_end
from schnet_calc.training import TrainingConfig
from schnet_calc.training.loss import loss_function, terms
from schnet_calc.training.predict import explicit_predictor, predict_autograd


def both_ways(network, batch, config):
    """Predictions, and gradients of the loss by the weights, of automatic and of explicit differentiation."""
    grid = SplineGrid.covering(0.5, table_end(network.config), 0.005)
    results = []
    for predict in (predict_autograd, explicit_predictor(network, grid)):
        network.zero_grad()
        found = predict(network, batch)
        loss_function(found, batch, terms(config, dict.fromkeys(batch.labels, 1.0))).backward()
        gradients = {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}
        results.append(({name: x.detach() for name, x in found.items()}, gradients))
    return results


OPTIONS = {
    "plain": {},
    "shared": {"shared_filters": True},
    "fixed average": {"neighbor_average": 9.0, "filter_activation": True},
    "all pairs": {"cutoff_function": "none", "n_features": 40},
}


@pytest.mark.parametrize("name", [*OPTIONS, *(name for name in VARIANTS if name != "mean")])
def test_explicit_forces_and_their_gradient_equal_autograd(batch, name):
    network = random_network(**{**OPTIONS, **VARIANTS}[name])
    (found, gradients), (explicit, by_hand) = both_ways(network, batch, TrainingConfig(rho=0.1))
    scale = max(1.0, float(found["forces"].abs().max()))
    torch.testing.assert_close(explicit["energy"], found["energy"], atol=1e-6 * scale, rtol=0)
    torch.testing.assert_close(explicit["forces"], found["forces"], atol=1e-5 * scale, rtol=0)
    for parameter, gradient in gradients.items():
        largest = float(gradient.abs().max()) + 1e-6
        assert float((gradient - by_hand[parameter]).abs().max()) < 1e-4 * largest, parameter


@pytest.mark.parametrize("with_forces", [True, False])
def test_further_heads_have_the_same_gradients(batch, with_forces):
    """Dipoles from latent charges, sums and means, some of them without a label."""
    heads = {"dipole": "charges", "gap": "mean", "volume": "sum", "spread": "extent"}
    network = random_network(heads=heads)
    generator = torch.Generator().manual_seed(0)
    labels = {
        "dipole": torch.randn(6, 3, generator=generator, dtype=torch.float64),
        "gap": torch.randn(6, generator=generator, dtype=torch.float64),
        "volume": torch.randn(6, generator=generator, dtype=torch.float64),
        "spread": torch.randn(6, generator=generator, dtype=torch.float64),
    }
    labels["dipole"][2] = torch.nan
    labels["gap"][4] = torch.nan
    if with_forces:
        labels |= batch.labels
    (found, gradients), (explicit, by_hand) = both_ways(
        network, batch._replace(labels=labels), TrainingConfig(rho=0.1)
    )
    assert gradients.keys() == by_hand.keys()
    assert "heads.gap.output.weight" in gradients
    for name in labels:
        torch.testing.assert_close(explicit[name], found[name], atol=1e-5, rtol=0)
    for parameter, gradient in gradients.items():
        largest = float(gradient.abs().max()) + 1e-6
        assert torch.isfinite(gradient).all()
        assert float((gradient - by_hand[parameter]).abs().max()) < 1e-4 * largest, parameter


def gradients_of(predict, network, batch):
    network.zero_grad()
    found = predict(network, batch)
    loss_function(
        found, batch, terms(TrainingConfig(rho=0.1, stress_weight=1.0), dict.fromkeys(batch.labels, 1.0))
    ).backward()
    return {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}, found


@pytest.mark.parametrize("name", [*OPTIONS, *(name for name in VARIANTS if name != "mean")])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_compiled_blocks_are_the_tensor_operations(batch, name, n_threads, threads):
    """To rounding: both look into the same tables."""
    threads(n_threads)
    network = random_network(**{**OPTIONS, **VARIANTS}[name])
    grid = SplineGrid.covering(0.5, table_end(network.config), 0.03)
    virials = torch.ones(len(batch.counts), 3, 3, dtype=torch.float64)
    batch = batch._replace(labels={**batch.labels, "virial": virials})
    (ours, found), (oracle, expected) = (
        gradients_of(explicit_predictor(network, grid, how), network, batch) for how in (True, False)
    )
    for label in ("energy", "forces", "virial"):
        torch.testing.assert_close(found[label], expected[label], atol=1e-9, rtol=1e-9)
    assert ours.keys() == oracle.keys()
    for parameter, gradient in oracle.items():
        torch.testing.assert_close(
            ours[parameter], gradient, rtol=1e-8, atol=1e-9 * float(gradient.abs().max()) + 1e-12
        )


def test_a_step_is_the_same_at_every_run(batch, threads):
    threads(2)
    network = random_network(n_features=64)
    predict = explicit_predictor(network, SplineGrid.covering(0.5, 4.0, 0.01))
    (first, _), (second, _) = (gradients_of(predict, network, batch) for _ in range(2))
    for name, gradient in first.items():
        assert torch.equal(gradient, second[name]), name


def test_threads_change_nothing(batch, threads):
    network = random_network(n_features=64)
    predict = explicit_predictor(network, SplineGrid.covering(0.5, 4.0, 0.01))
    forces = []
    for n_threads in (1, 2):
        threads(n_threads)
        forces.append(predict(network, batch)["forces"])
    torch.testing.assert_close(forces[0], forces[1], atol=1e-12, rtol=0)
