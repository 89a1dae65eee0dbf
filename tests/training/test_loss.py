"""What is minimised: the loss of the thesis, reference energies, schedules, optimizers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from schnet_calc.data import read_frames
from schnet_calc.training import TrainingConfig
from schnet_calc.training.loss import atoms_per_system, learning_rate, loss_function, mean_squares
from schnet_calc.training.metrics import Differences
from schnet_calc.training.predict import Predicted
from schnet_calc.training.references import fit_references
from schnet_calc.training.soap import SOAP


def test_loss_is_equation_5_7(batch):
    energies, forces = batch.energies + 0.3, batch.forces + torch.tensor([0.1, 0.0, 0.2])
    loss = loss_function(Predicted(energies, forces, None), batch, TrainingConfig(rho=0.5))
    assert float(loss) == pytest.approx(0.5 * 0.09 + 0.05)


def test_hot_frames_can_weigh_less(batch):
    """Each frame's share is divided by 1 + (its forces / scale)²; validation weighs as the loss does."""
    found = Predicted(batch.energies, batch.forces + torch.tensor([0.1, 0.0, 0.2]), None)
    config = TrainingConfig(rho=0.0, force_scale=0.5)
    squares = mean_squares(batch.forces, batch)
    expected = (0.05 / (1 + squares / 0.25)).mean()
    assert float(loss_function(found, batch, config)) == pytest.approx(float(expected))
    counts = atoms_per_system(batch).numpy()
    off = (found.forces - batch.forces).numpy().ravel()
    held_out = Differences(np.zeros(6), off, np.zeros(0), counts, squares.numpy())
    assert held_out.mean_square_force(0.5) == pytest.approx(float(expected))
    assert held_out.mean_square_force(0.0) == pytest.approx(0.05)


def test_references_reproduce_compositions(data):
    frames = read_frames(data)
    references = fit_references(frames, "elements")
    residual = frames.energies - np.add.reduceat(
        [references[z] for z in frames.numbers], frames.offsets[:-1]
    )
    for n_atoms in (4, 9):  # two compositions: least squares meets the mean of each
        assert abs(residual[frames.n_atoms == n_atoms].mean()) < 1e-9
    assert set(fit_references(frames, "none").values()) == {0.0}
    assert len(set(fit_references(frames, "atom").values())) == 1


def test_soap_needs_fewer_steps_on_a_skewed_quadratic():
    """Least squares whose curvature is far from the axes: where Adam's diagonal is of no help."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(12, 12, generator=generator))[0] for _ in range(2))
    scales = torch.logspace(0, -2, 12)
    a, b = left * scales, (right * scales).T
    target = torch.randn(12, 12, generator=generator)

    def loss_after(make):
        weight = torch.nn.Parameter(torch.zeros(12, 12))
        optimizer = make([weight])
        for _ in range(300):
            optimizer.zero_grad()
            loss = ((a @ (weight - target) @ b) ** 2).sum()
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    assert loss_after(lambda p: SOAP(p, lr=0.02)) < 0.3 * loss_after(lambda p: torch.optim.Adam(p, lr=0.02))


def test_schedules():
    settings = TrainingConfig(steps=1100, warmup=100, learning_rate=1e-2, final_learning_rate=1e-4)
    assert learning_rate(settings, 0) == pytest.approx(1e-4)
    assert learning_rate(settings, 99) == pytest.approx(1e-2)
    assert learning_rate(settings, 600) == pytest.approx(0.5 * (1e-2 + 1e-4))
    assert learning_rate(replace(settings, schedule="exponential"), 600) == pytest.approx(1e-3)
    assert learning_rate(replace(settings, schedule="constant"), 1099) == 1e-2
