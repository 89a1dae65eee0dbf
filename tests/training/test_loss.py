"""What is minimised: the loss of the thesis, reference energies, schedules, optimizers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from schnet_calc.data import read_frames
from schnet_calc.training import TrainingConfig
from schnet_calc.training.atomic_energies import fit_atomic_energies
from schnet_calc.training.loss import learning_rate, loss_function, mean_squares, terms
from schnet_calc.training.soap import SOAP
from schnet_calc.training.validation import Comparison


def off_by(batch, energy, force):
    """Predictions that are off by so much, eV and eV/Å."""
    return {
        "energy": batch.labels["energy"] + energy,
        "forces": batch.labels["forces"] + torch.tensor(force),
    }


def terms_of(batch, **options):
    return terms(TrainingConfig(**options), dict.fromkeys(batch.labels, 1.0))


def test_loss_is_equation_5_7(batch):
    loss = loss_function(off_by(batch, 0.3, (0.1, 0.0, 0.2)), batch, terms_of(batch, rho=0.5))
    assert float(loss) == pytest.approx(0.5 * 0.09 + 0.05)


def test_hot_frames_can_weigh_less(batch):
    """Each frame's share is divided by 1 + (its forces / scale)²; validation weighs as the loss does."""
    found, of = off_by(batch, 0.0, (0.1, 0.0, 0.2)), terms_of(batch, rho=0.0, force_scale=0.5)
    assert [term.name for term in of] == ["forces"]
    squares = mean_squares(batch.labels["forces"], batch)
    expected = (0.05 / (1 + squares / 0.25)).mean()
    assert float(loss_function(found, batch, of)) == pytest.approx(float(expected))
    for terms_, loss in ((of, float(expected)), (terms_of(batch, rho=0.0), 0.05)):
        (term,) = terms_
        squared = term.squares(found["forces"], batch.labels["forces"], batch).numpy()
        held_out = Comparison({"forces": np.zeros(0)}, {"forces": squared}, np.zeros(0))
        assert held_out.score(terms_) == pytest.approx(loss)


def test_large_errors_of_forces_can_count_by_their_length(batch):
    """2 d² (√(1 + l²/d²) - 1): the square of small errors, 2 d l of large ones; no gradient is lost at zero."""
    for error, expected in ((1e-3, 1e-6), (100.0, 2 * 0.1 * 100.0)):
        found = off_by(batch, 0.0, (error, 0.0, 0.0))
        loss = loss_function(found, batch, terms_of(batch, rho=0.0, force_outlier=0.1))
        assert float(loss) == pytest.approx(expected, rel=2e-3)
    exact = {
        name: values.clone().requires_grad_() for name, values in off_by(batch, 0.0, (0.0,) * 3).items()
    }
    loss_function(exact, batch, terms_of(batch, rho=0.0, force_outlier=0.1)).backward()
    assert exact["forces"].grad.abs().max() == 0
    with pytest.raises(ValueError, match="force_outlier must not be negative, and finite, got -1"):
        TrainingConfig(force_outlier=-1.0)


def test_labels_that_are_not_there_count_nowhere(batch):
    """Neither in the loss, whose means are over those that are there, nor in its gradient."""
    labels = {name: values.clone() for name, values in batch.labels.items()}
    labels["energy"][:2] = torch.nan
    labels["forces"][batch.graph.system == 3] = torch.nan
    partial = batch._replace(labels=labels, complete=frozenset())
    found = off_by(batch, 0.3, (0.1, 0.0, 0.2))
    found["energy"][4] += 0.3
    found = {name: values.requires_grad_() for name, values in found.items()}
    loss = loss_function(found, partial, terms_of(batch, rho=0.5))
    assert float(loss.detach()) == pytest.approx(0.5 * (3 * 0.09 + 0.36) / 4 + 0.05)
    energy, forces = torch.autograd.grad(loss, [found["energy"], found["forces"]])
    assert energy[:2].tolist() == [0, 0]
    assert (forces[batch.graph.system == 3] == 0).all()
    assert torch.isfinite(energy).all()
    assert (forces[batch.graph.system == 1] != 0).any(dim=1).all()


def test_numbers_weigh_in_units_of_their_variance(batch):
    labels = {"gap": torch.zeros(6, dtype=torch.float64), "dipole": torch.zeros(6, 3, dtype=torch.float64)}
    found = {"gap": labels["gap"] + 0.2, "dipole": labels["dipole"] + 0.1}
    config = TrainingConfig(scalar_weight=2.0, dipole_weight=3.0)
    loss = loss_function(found, batch._replace(labels=labels), terms(config, {"gap": 0.25, "dipole": 9.0}))
    assert float(loss) == pytest.approx(2.0 * 0.04 / 0.25 + 3.0 * 0.03)


def test_references_reproduce_compositions(data):
    frames = read_frames(data)
    references = fit_atomic_energies(frames, "elements")
    residual = frames.energies - np.add.reduceat(
        [references[z] for z in frames.numbers], frames.offsets[:-1]
    )
    for n_atoms in (4, 9):  # two compositions: least squares meets the mean of each
        assert abs(residual[frames.n_atoms == n_atoms].mean()) < 1e-9
    assert set(fit_atomic_energies(frames, "none").values()) == {0.0}
    assert len(set(fit_atomic_energies(frames, "atom").values())) == 1


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
