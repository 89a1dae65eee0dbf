"""Explicit forces, virials and their gradients by the weights are those of automatic differentiation."""

import pytest
import torch

from helpers import random_network
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.training import TrainingConfig
from schnet_calc.training.loss import loss_function
from schnet_calc.training.predict import explicit_predictor, predict_autograd


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shared_filters": True},
        {"neighbor_average": 9.0, "filter_activation": True},
        {"cutoff_function": "none", "n_features": 40},
    ],
)
def test_explicit_forces_and_their_gradient_equal_autograd(batch, options):
    network = random_network(**options)
    results = []
    for predict in (predict_autograd, explicit_predictor(SplineGrid.covering(0.5, 4.0, 0.005))):
        network.zero_grad()
        found = predict(network, batch)
        loss_function(found, batch, TrainingConfig(rho=0.1)).backward()
        gradients = [p.grad.clone() for p in network.parameters()]
        results.append((found.energies.detach(), found.forces.detach(), gradients))
    (e1, f1, g1), (e2, f2, g2) = results
    torch.testing.assert_close(e2, e1, atol=1e-6, rtol=0)
    torch.testing.assert_close(f2, f1, atol=1e-5, rtol=0)
    for name, a, b in zip(dict(network.named_parameters()), g1, g2, strict=True):
        scale = float(a.abs().max()) + 1e-6
        assert float((a - b).abs().max()) < 1e-4 * scale, name


def test_threads_change_nothing(batch):
    network = random_network(n_features=64)
    predict = explicit_predictor(SplineGrid.covering(0.5, 4.0, 0.01))
    before = torch.get_num_threads()
    forces = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            forces.append(predict(network, batch)[1])
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(forces[0], forces[1], atol=1e-12, rtol=0)
