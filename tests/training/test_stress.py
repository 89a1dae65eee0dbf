"""Training on stresses, and evaluating them."""

from dataclasses import replace

import ase
import ase.io
import numpy as np
import pytest
import torch

from helpers import DATA, needs_data, random_network, strained_copper
from schnet_calc import SchNetCalculator
from schnet_calc.data import read_frames
from schnet_calc.engine.prediction import voigt_stress
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.nn import SchNetConfig
from schnet_calc.training import DataConfig, Run, RunConfig, TrainingConfig
from schnet_calc.training.batches import Batches
from schnet_calc.training.evaluation import evaluate
from schnet_calc.training.loss import loss_function, terms
from schnet_calc.training.predict import explicit_predictor, predict_autograd
from schnet_calc.training.workflow import finish


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "copper.extxyz"
    ase.io.write(path, strained_copper())
    return path


def batch_of(data):
    frames = read_frames(data, stress_key="stress")
    return Batches(frames, {29: 0.0}, 4.0, torch.float64).batch(np.arange(5))


def terms_of(**options):
    return terms(TrainingConfig(**options), {"energy": 1.0, "forces": 1.0, "virial": 1.0})


def test_explicit_virials_and_their_gradient_equal_autograd(data):
    network, batch, results = random_network(), batch_of(data), []
    for predict in (predict_autograd, explicit_predictor(network, SplineGrid.covering(0.5, 4.0, 0.005))):
        network.zero_grad()
        found = predict(network, batch)
        loss_function(found, batch, terms_of(stress_weight=3.0, force_weight=0.0)).backward()
        results.append((found["virial"].detach(), [p.grad.clone() for p in network.parameters()]))
    (v1, g1), (v2, g2) = results
    assert float(v1.abs().max()) > 0.01
    torch.testing.assert_close(v2, v1, atol=1e-5, rtol=0)
    for a, b in zip(g1, g2, strict=True):
        torch.testing.assert_close(b, a, atol=1e-4 * float(a.abs().max()) + 1e-7, rtol=0)


def test_the_loss_counts_what_has_a_label(data):
    batch = batch_of(data)
    off = torch.full_like(batch.labels["virial"], 0.08)
    found = {**batch.labels, "virial": torch.nan_to_num(batch.labels["virial"]) + off}
    loss = loss_function(found, batch, terms_of(stress_weight=2.0))
    assert float(loss) == pytest.approx(2.0 * 9 * 0.04**2)  # two atoms; one of five has none, and no share


def config(data, **training):
    return RunConfig(
        DataConfig(file=str(data), stress_key="stress", n_train=18, n_validation=3, n_test=3),
        SchNetConfig(n_features=16, n_interactions=2, n_gaussians=12, cutoff=4.0),
        TrainingConfig(
            **{
                "steps": 60,
                "batch_size": 3,
                "optimizer": "adam",
                "rho": 0.01,
                "learning_rate": 5e-3,
                "warmup": 5,
                "validate_every": 20,
            }
            | training
        ),
    )


def test_training_on_stresses_lowers_their_error(data, tmp_path):
    errors = []
    for weight in (0.0, 30.0):
        run = Run(config(data, stress_weight=weight), tmp_path / str(weight))
        run.run()
        errors.append(finish(run).to_dict()["stress_mae_gpa"])
    assert errors[1] < 0.6 * errors[0]
    assert load_config(tmp_path / "30.0")["stress_weight"] == 30.0


def load_config(folder):
    return SchNetCalculator(folder / "model.pt").potential.metadata.training["config"]


def test_evaluation_counts_labelled_frames(data, models):
    frames = read_frames(data, stress_key="stress")
    frames = replace(frames, numbers=np.full_like(frames.numbers, 14))
    found = evaluate(SchNetCalculator(models["float64"]), frames)
    assert found.differences["stress"].shape == (6 * 23,)
    without = replace(frames, labels={k: x for k, x in frames.labels.items() if k != "virial"})
    assert "stress_mae_gpa" in found.to_dict()
    assert "stress_mae_gpa" not in evaluate(SchNetCalculator(models["float64"]), without).to_dict()


def test_a_weight_without_labels_is_refused(data):
    with pytest.raises(ValueError, match="say stress_key"):
        replace(config(data, stress_weight=1.0), data=DataConfig(file=str(data)))


@needs_data
def test_the_silicon_file_is_in_vasps_convention():
    """Of the strained cells, the last of the file: the sign, order and unit that it doesn't state."""
    frames = read_frames(
        DATA / "bulk" / "Si_training.extxyz", stress_key="virial_stress_raw", stress_convention="vasp"
    )
    strained = frames.select(np.arange(160, 214))
    found = evaluate(SchNetCalculator("silicon"), strained)
    volumes = np.linalg.det(strained.cells)
    labels = [voigt_stress(v, x) for v, x in zip(strained.virials, np.abs(volumes), strict=True)]
    for k in range(6):
        label, off = np.array(labels)[:, k], found.differences["stress"][k::6]
        assert np.corrcoef(label, label + off)[0, 1] > 0.99
        assert np.polyfit(label, label + off, 1)[0] == pytest.approx(1.0, abs=0.1)
