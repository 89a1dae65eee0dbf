"""Runs that learn, stop and are exported."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import molecule

from helpers import write_frames
from schnet_calc import SchNetCalculator
from schnet_calc.data import split_frames
from schnet_calc.modelfile import load_potential
from schnet_calc.nn import DTNNConfig, SchNetConfig
from schnet_calc.training import Run, RunConfig, export_model
from schnet_calc.training.checkpoint import load_checkpoint
from schnet_calc.training.predict import predict_autograd
from schnet_calc.training.workflow import finish


@pytest.mark.parametrize("gradients", ["explicit", "autograd"])
def test_training_learns(config, data, tmp_path, gradients):
    run = Run(config(data, steps=150, gradients=gradients, ema=0.9), tmp_path)
    before = run.network.state_dict()["output.weight"].clone()
    errors = []
    run.run(lambda _, e: errors.append(e) if e else None)
    assert (run.network.state_dict()["output.weight"] != before).any()
    assert errors[-1].force_mae_ev_ang < 0.6 * errors[0].force_mae_ev_ang
    test = finish(run)
    export = load_potential(tmp_path / "model.pt")
    assert export.metadata.training["test_errors"]["n_frames"] == len(run.split.test) == 8
    assert test.errors.force_mae_ev_ang < np.abs(run.frames.forces).mean()


def test_exported_file_is_the_averaged_network(config, data, tmp_path):
    run = Run(config(data), tmp_path)
    run.run()
    export_model(tmp_path / "checkpoint.safetensors", tmp_path / "model.pt")
    frames = run.frames.select(run.split.validation)
    calculator = SchNetCalculator(tmp_path / "model.pt", engine="script")
    predictions = calculator.evaluate([frames.atoms(k) for k in range(len(frames))])
    forces = np.concatenate([p.forces for p in predictions])
    reported = load_checkpoint(tmp_path / "checkpoint.safetensors")[1]["validation"]
    mae = np.abs(forces - frames.forces).mean()
    assert mae == pytest.approx(reported["force_mae_ev_ang"], rel=1e-3)


def test_narrow_gaussians_get_a_finer_grid(config, data, tmp_path):
    """Validation with tables must equal the exported network, however narrow its basis."""
    run = Run(config(data, model={"n_gaussians": 120}, steps=10, spline_spacing=0.1), tmp_path)
    run.run()
    batch = run.data.validation.batch(np.arange(4))
    exact = predict_autograd(run.network, batch)["forces"]
    off = (run.optimisation.predict(run.network, batch)["forces"] - exact).abs().max()
    assert float(off.detach()) < 2e-2 * float(exact.abs().max().detach())


def test_forces_alone_then_the_constant(config, data, tmp_path):
    """With rho = 0 the energy's constant is fitted afterwards (thesis Section 5.3)."""
    run = Run(config(data, rho=0.0, reference="none", steps=20), tmp_path)
    run.run()
    assert abs(run.progress.constant) > 0.1
    export_model(tmp_path, tmp_path / "model.pt")
    frames = run.frames.select(run.split.train)
    calculator = SchNetCalculator(tmp_path / "model.pt")
    predictions = calculator.evaluate([frames.atoms(k) for k in range(len(frames))])
    off = np.array([p.energy for p in predictions]) - frames.energies
    assert abs(off.sum()) < 1e-3 * np.abs(frames.energies).sum()


def test_a_dtnn_is_trained_resumed_and_exported_like_a_schnet(config, data, tmp_path):
    def settings(**changes):
        training = {"steps": 40, "ema": 0.9, **changes}
        return config(data, **training).changed({"architecture": "DTNN", "n_factors": 20})

    assert isinstance(settings().model, DTNNConfig)
    assert RunConfig.from_dict(settings().to_dict()) == settings()
    whole = Run(settings(), tmp_path / "whole")
    whole.run()

    def kill(run, _):
        if run.step == 27:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Run(settings(), tmp_path / "part").run(kill)
    resumed = Run(settings(), tmp_path / "part", resume=True)
    resumed.run()
    torch.testing.assert_close(
        resumed.optimisation.average.state_dict(), whole.optimisation.average.state_dict(), atol=0, rtol=0
    )
    with pytest.raises(ValueError, match=r"model\."):
        Run(config(data, steps=40, ema=0.9), tmp_path / "whole", resume=True)
    with pytest.raises(ValueError, match="n_factors is no setting of data, training or a SchNet"):
        config(data).changed({"n_factors": 20})
    kept = RunConfig(model=SchNetConfig(n_features=64, cutoff=6.0)).changed({"architecture": "DTNN"})
    assert (kept.model.n_features, kept.model.cutoff) == (64, 6.0)
    assert RunConfig().changed({"architecture": "DTNN"}).model == DTNNConfig()
    with pytest.raises(ValueError, match="'explicit' needs a SchNet"):
        Run(settings(gradients="explicit"), tmp_path / "explicit")
    export_model(tmp_path / "whole", tmp_path / "model.pt")
    potential = load_potential(tmp_path / "model.pt")
    assert potential.metadata.architecture == "DTNN"
    second = Run(settings(start_from=str(tmp_path / "model.pt")), tmp_path / "second")
    torch.testing.assert_close(second.network.state_dict(), potential.weights)


def test_start_from_a_model(config, data, tmp_path):
    first = Run(config(data, steps=20), tmp_path / "first")
    first.run()
    export_model(tmp_path / "first", tmp_path / "model.pt")
    start = {"start_from": str(tmp_path / "model.pt")}
    second = Run(config(data, **start), tmp_path / "second")
    torch.testing.assert_close(second.network.state_dict(), load_potential(tmp_path / "model.pt").weights)
    with pytest.raises(ValueError, match=r"has other hyperparameters than \[model\]"):
        Run(config(data, model={"cutoff": 3.0}, **start), tmp_path / "third")


def test_early_stopping(config, data, tmp_path):
    run = Run(config(data, steps=1000, learning_rate=1e-12, patience=2), tmp_path)
    run.progress.best = 0.0
    run.run()
    assert run.step == 20


def test_divergence_is_an_error(config, data, tmp_path):
    run = Run(config(data), tmp_path)
    with torch.no_grad():
        run.network.output.weight.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="loss is nan at step 0"):
        run.run()


def test_validation_that_gets_worse_by_far_is_told(config, data, tmp_path, caplog):
    Run(config(data, steps=20), tmp_path / "one").run()
    assert "diverges" not in caplog.text
    run = Run(config(data, steps=20), tmp_path / "other")
    run.progress.best = 1e-9  # as if an earlier validation had been far better
    run.run()
    assert "times its best: the training diverges; lower learning_rate" in caplog.text


def test_frames_with_elements_that_no_training_frame_has_are_left_out_and_named(config, tmp_path):
    images = [molecule("H2O") for _ in range(40)]
    images[7] = molecule("CH4")
    for k, atoms in enumerate(images):
        atoms.rattle(0.02, seed=k)
    data = write_frames(tmp_path / "frames.extxyz", images)
    settings, sizes = config(data), {"n_train": 10, "n_validation": 20}
    seed = next(s for s in range(20) if 7 not in split_frames(40, 10, 20, seed=s).train)
    with pytest.warns(UserWarning, match="1 frames are not used .* no training frame has C"):
        run = Run(
            replace(settings, data=replace(settings.data, split_seed=seed, **sizes)), tmp_path / "run"
        )
    assert 7 not in np.concatenate(run.split)
    assert sum(map(len, run.split)) == 39
