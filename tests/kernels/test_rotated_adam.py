"""The compiled step of SOAP is its formula."""

import pytest
import torch

from schnet_calc.kernels.torch.rotated_adam import AdamStep, eigenvectors, rotated_adam

BETAS, RATE, EPS = (0.9, 0.98), 0.1, 1e-6


@pytest.mark.parametrize("shape", [(5, 7, 3), (2, 16, 16), (3, 12, 40), (1, 2, 33)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_steps(shape, dtype, tolerance, n_threads, threads):
    threads(n_threads)
    torch.manual_seed(0)
    n, rows, columns = shape
    left = torch.linalg.qr(torch.randn(n, rows, rows, dtype=dtype)).Q.contiguous()
    right = torch.linalg.qr(torch.randn(n, columns, columns, dtype=dtype)).Q.contiguous()
    weights, turn = torch.randn(shape, dtype=dtype), eigenvectors(left, right)
    expected = weights.clone()
    moments = torch.zeros(shape, dtype=dtype), torch.zeros(shape, dtype=dtype)
    mean, square = (m.clone() for m in moments)
    for count in (1, 2, 3):
        gradient = torch.randn(shape, dtype=dtype)
        rotated_adam(weights, gradient, moments, turn, AdamStep(RATE, BETAS, EPS, count))
        inside = left.mT @ gradient @ right
        mean = BETAS[0] * mean + (1 - BETAS[0]) * inside
        square = BETAS[1] * square + (1 - BETAS[1]) * inside**2
        step = mean / (1 - BETAS[0] ** count) / ((square / (1 - BETAS[1] ** count)).sqrt() + EPS)
        expected = expected - RATE * left @ step @ right.mT
        torch.testing.assert_close(weights, expected, atol=tolerance, rtol=0)
        torch.testing.assert_close(moments[0], mean, atol=tolerance, rtol=0)
        torch.testing.assert_close(moments[1], square, atol=tolerance, rtol=0)
