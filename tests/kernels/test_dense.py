"""Products with packed weights."""

import numpy as np
import pytest

from schnet_calc.kernels.cpu.compiling import jit
from schnet_calc.kernels.cpu.dense import aligned, panel_width, product

KINDS = (np.float32, np.float64)


@jit
def multiply(x, weights, bias, out, add):
    """A product as compiled code calls it, its weights and its bias somewhere in one buffer."""
    n_bias, n_weights = bias.shape[0], weights.size
    values = np.empty(n_bias + n_weights + 16, x.dtype)
    values[:n_bias] = bias
    values[n_bias : n_bias + n_weights] = weights.reshape(-1)
    product(x, values, n_bias, 0, out, add)


def layer(kind, n_in=70, panels=2):
    rng = np.random.default_rng(0)
    width = panel_width(np.dtype(kind))
    weights = rng.normal(size=(n_in, panels * width)).astype(kind)
    return weights, rng.normal(size=panels * width).astype(kind)


def pack(weights):
    """Panels of columns, from weights (n_in, n_out)."""
    return np.ascontiguousarray(
        weights.reshape(len(weights), -1, panel_width(weights.dtype)).swapaxes(0, 1)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_rows", [1, 3, 4, 9, 10, 25, 131])
def test_product_is_numpys(kind, n_rows):
    weights, bias = layer(kind)
    x = np.random.default_rng(1).normal(size=(n_rows, len(weights))).astype(kind)
    out = aligned((n_rows, len(bias)), np.dtype(kind))
    multiply(x, pack(weights), bias, out, False)
    tolerance = 2e-5 if kind is np.float32 else 1e-13
    np.testing.assert_allclose(out, x @ weights + bias, atol=tolerance)
    multiply(x, pack(weights), bias, out, True)
    np.testing.assert_allclose(out, 2 * (x @ weights + bias), atol=2 * tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_does_not_depend_on_the_others(kind):
    weights, bias = layer(kind)
    x = np.random.default_rng(1).normal(size=(27, len(weights))).astype(kind)
    whole = np.empty((27, len(bias)), kind)
    multiply(x, pack(weights), bias, whole, False)
    for first, last in ((0, 1), (1, 6), (6, 27)):
        part = np.empty((last - first, len(bias)), kind)
        multiply(x[first:last], pack(weights), bias, part, False)
        np.testing.assert_array_equal(part, whole[first:last])
