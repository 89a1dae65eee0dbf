"""Compiled activation functions, cutoff functions and their derivatives."""

import numpy as np
import pytest
import torch

from schnet_calc.kernels.cpu.activation import KINDS, activate
from schnet_calc.kernels.cpu.envelope import CUTOFFS, envelope
from schnet_calc.nn.activation import ACTIVATIONS, curvature, slope
from schnet_calc.nn.basis import CutoffFunction
from schnet_calc.nn.config import CUTOFF_FUNCTIONS


def everywhere(kind):
    return np.concatenate([np.linspace(-120, 120, 2000), np.linspace(-1e-3, 1e-3, 33)]).astype(kind)


@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 3e-7), (np.float64, 1e-15)])
def test_activation_is_the_shifted_softplus(kind, tolerance):
    x = everywhere(kind)
    h, derivative = x.copy(), np.empty_like(x)
    activate(h, derivative, KINDS["ssp"])
    exact = np.logaddexp(0, x.astype(float)) - np.log(2)
    assert (np.abs(h - exact) / np.maximum(1, np.abs(exact))).max() < tolerance
    np.testing.assert_allclose(derivative, 1 / (1 + np.exp(-x.astype(float))), atol=tolerance, rtol=1e-6)


@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 4e-7), (np.float64, 2e-15)])
@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_activations_are_the_tensors_ones(kind, tolerance, name):
    x = everywhere(kind).reshape(-1, 19)
    value, derivative = x.copy(), np.empty_like(x)
    activate(value, derivative, KINDS[name])
    at = torch.from_numpy(x.astype(float)).requires_grad_()
    expected = ACTIVATIONS[name]()(at)
    (by_autograd,) = torch.autograd.grad(expected.sum(), at)
    # Torch takes a softplus for the identity from 20 on, where it is off by exp(-20).
    rounded = 2.1e-9 if name in ("ssp", "softplus") else 0.0
    scale = np.maximum(1, np.abs(x))
    assert (np.abs(value - expected.detach().numpy()) / scale).max() < tolerance + rounded
    assert (np.abs(derivative - by_autograd.numpy()) / scale).max() < tolerance + rounded
    torch.testing.assert_close(slope(name, at.detach()), by_autograd, atol=1e-13 + rounded, rtol=0)
    (twice,) = torch.autograd.grad(slope(name, at).sum(), at)
    torch.testing.assert_close(curvature(name, at.detach()), twice, atol=1e-13, rtol=1e-12)


def test_the_identity_changes_nothing():
    x = everywhere(np.float32)
    value, derivative = x.copy(), np.empty_like(x)
    activate(value, derivative, KINDS["identity"])
    np.testing.assert_array_equal(value, x)
    np.testing.assert_array_equal(derivative, 1)


@pytest.mark.parametrize("name", CUTOFF_FUNCTIONS)
def test_cutoff_functions_are_the_tensors_ones(name):
    """Values and slopes, which are those of automatic differentiation; zero from the cutoff on."""
    cutoff, onset = 4.0, 1.5
    function = CutoffFunction(cutoff, name, onset)
    at = torch.linspace(0.3, 3.999, 200, dtype=torch.float64).requires_grad_()
    expected = function(at)
    factors, slopes = function.with_slope(at.detach())
    found = np.array([envelope(d, CUTOFFS[name], cutoff, onset) for d in at.tolist()])
    np.testing.assert_allclose(found[:, 0], expected.detach().numpy(), atol=1e-12)
    torch.testing.assert_close(factors, expected.detach())
    if name in ("none", "hard"):
        np.testing.assert_array_equal(found[:, 1], 0)
        np.testing.assert_array_equal(slopes.numpy(), 0)
    else:
        (by_autograd,) = torch.autograd.grad(expected.sum(), at)
        np.testing.assert_allclose(found[:, 1], by_autograd.numpy(), atol=1e-9)
        np.testing.assert_allclose(slopes.numpy(), by_autograd.numpy(), atol=1e-9)
    beyond = function(torch.tensor([cutoff, cutoff + 1e-9, 9.0], dtype=torch.float64)).tolist()
    assert beyond == [1.0 if name == "none" else 0.0] * 3
