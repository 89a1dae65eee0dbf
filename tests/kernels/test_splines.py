"""Tables of filters: as fine as a tolerance asks, the same compiled and as tensors."""

import numpy as np
import pytest
import torch

from helpers import random_network
from schnet_calc import SchNetCalculator
from schnet_calc.kernels.cpu.geometry import _quintic, _quintic_slope
from schnet_calc.kernels.splines.quintic import choose_grid, quintic_weights
from schnet_calc.studies.c20 import dodecahedron


@pytest.mark.parametrize("name", ["c20", "ethanol", "silicon"])
def test_tables_are_as_fine_as_the_tolerance_asks(name):
    calculator = SchNetCalculator(name, device="cpu")
    assert 1e-9 < calculator.engine.force_error <= 1e-6
    network = calculator.potential.network().double()
    elements = calculator.potential.elements
    coarse, error = choose_grid(network, elements, 0.7, tolerance=1e-3)
    fine, smaller = choose_grid(network, elements, 0.7, tolerance=1e-8)
    assert 4 * smaller <= 1e-8 < 4 * error <= 1e-3
    assert fine.spacing < coarse.spacing


def test_a_table_can_be_as_narrow_as_its_gaussians():
    grid, error = choose_grid(random_network(basis_width=0.03, n_gaussians=100), [1, 6, 8])
    assert error <= 1e-6
    assert 1 / grid.spacing > 150


def test_compiled_splines_are_the_tensors_ones():
    for t in np.linspace(0, 0.999, 7):
        x = torch.tensor([t], dtype=torch.float64, requires_grad=True)
        weights = quintic_weights(x)
        np.testing.assert_allclose([float(w.detach()) for w in weights], _quintic.py_func(t), atol=1e-15)
        slopes = [float(torch.autograd.grad(w.sum(), x, retain_graph=True)[0]) for w in weights]
        np.testing.assert_allclose(slopes, _quintic_slope.py_func(t), atol=1e-14)
        assert sum(_quintic.py_func(t)) == pytest.approx(1, abs=1e-14)


def test_tables_are_fine_enough_for_what_a_network_knows_and_no_finer():
    """On a random cluster `c20_accurate` has forces of thousands of eV/Å: tables as exact there would be huge."""
    calculator = SchNetCalculator("c20_accurate", device="cpu", dtype="float64")
    exact = SchNetCalculator("c20_accurate", device="cpu", dtype="float64", engine="script")
    assert 100 < 1 / calculator.engine.grid.spacing < 400
    cages = [dodecahedron() for _ in range(3)]
    for seed, cage in enumerate(cages):
        cage.rattle(0.03, seed=seed)
    for ours, theirs in zip(calculator.evaluate(cages), exact.evaluate(cages), strict=True):
        np.testing.assert_allclose(ours.forces, theirs.forces, rtol=0, atol=1e-7)
