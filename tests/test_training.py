"""Training: the right gradient, the right loss, and runs that can be killed."""

import math
import subprocess
import sys
import time
from dataclasses import replace

import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from conftest import random_network

from schnet_calc import SchNetCalculator
from schnet_calc.data import Split, read_frames
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.modelfile import load_potential
from schnet_calc.nn import DTNNConfig, SchNetConfig
from schnet_calc.training import DataConfig, Run, RunConfig, TrainingConfig, export_model
from schnet_calc.training.batches import Batches
from schnet_calc.training.checkpoint import load_checkpoint
from schnet_calc.training.loss import atoms_per_system, learning_rate, loss_function, mean_squares
from schnet_calc.training.metrics import Differences
from schnet_calc.training.predict import Predicted, explicit_predictor, predict_autograd
from schnet_calc.training.references import fit_references
from schnet_calc.training.soap import SOAP
from schnet_calc.training.train import finish

CONFIG = RunConfig(
    DataConfig(n_train=24, n_validation=8),
    SchNetConfig(n_features=16, n_interactions=2, n_gaussians=12, cutoff=4.0),
    TrainingConfig(
        steps=40, batch_size=4, learning_rate=5e-3, warmup=5, validate_every=10, rho=0.05, threads=1
    ),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Rattled molecules and a crystal with labels of ASE's EMT."""
    images = []
    for seed in range(40):
        atoms = bulk("Cu", cubic=True) if seed % 4 == 0 else molecule("CH3CH2OH")
        atoms.rattle(0.08, seed=seed)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        images.append(atoms)
    path = tmp_path_factory.mktemp("data") / "emt.extxyz"
    ase.io.write(path, images)
    return path


def config(data, model=None, **training):
    return replace(
        CONFIG,
        data=replace(CONFIG.data, file=str(data)),
        model=replace(CONFIG.model, **(model or {})),
        training=replace(CONFIG.training, **training),
    )


def batch_of(data, dtype=torch.float64):
    frames = read_frames(data)
    batches = Batches(frames, fit_references(frames, "elements"), 4.0, dtype)
    return batches.batch(np.arange(6))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shared_filters": True},
        {"neighbor_average": 9.0, "filter_activation": True},
        {"cutoff_function": "none", "n_features": 40},
    ],
)
def test_explicit_forces_and_their_gradient_equal_autograd(data, options):
    network = random_network(**options)
    batch = batch_of(data)
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


def test_threads_change_nothing(data):
    network, batch = random_network(n_features=64), batch_of(data)
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


def test_loss_is_equation_5_7(data):
    batch = batch_of(data)
    energies, forces = batch.energies + 0.3, batch.forces + torch.tensor([0.1, 0.0, 0.2])
    loss = loss_function(Predicted(energies, forces, None), batch, TrainingConfig(rho=0.5))
    assert float(loss) == pytest.approx(0.5 * 0.09 + 0.05)


def test_hot_frames_can_weigh_less(data):
    """Each frame's share is divided by 1 + (its forces / scale)²; validation weighs as the loss does."""
    batch = batch_of(data)
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


@pytest.mark.parametrize("gradients", ["explicit", "autograd"])
def test_training_learns(data, tmp_path, gradients):
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


def test_exported_file_is_the_averaged_network(data, tmp_path):
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


@pytest.mark.parametrize("optimizer", ["adam", "amsgrad", "soap"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_resumed_equals_uninterrupted(data, tmp_path, device, optimizer):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    whole = Run(config(data, device=device, optimizer=optimizer), tmp_path / "whole")
    whole.run()

    class Killed(Exception):
        pass

    def kill(run, errors):
        if run.step == 27:
            raise Killed

    part = Run(config(data, device=device, optimizer=optimizer), tmp_path / "part")
    with pytest.raises(Killed):
        part.run(kill)
    resumed = Run(config(data, device=device, optimizer=optimizer), tmp_path / "part", resume=True)
    assert resumed.step == 20
    resumed.run()
    for name, value in whole.average.state_dict().items():
        # Sums over pairs come in no fixed order on CUDA.
        tolerance = 0 if device == "cpu" else 1e-4
        torch.testing.assert_close(
            resumed.average.state_dict()[name], value, atol=tolerance, rtol=tolerance
        )
    if device == "cuda":
        return
    columns = [(tmp_path / n / "metrics.csv").read_text().splitlines() for n in ("whole", "part")]
    assert [x.rsplit(",", 1)[0] for x in columns[0]] == [x.rsplit(",", 1)[0] for x in columns[1]]


def test_killed_process_resumes(data, tmp_path):
    """SIGKILL at no particular moment; the run ends with the weights of an undisturbed one."""
    folder = tmp_path / "run"
    options = ["--steps", "400", "--n-train", "24", "--n-validation", "8", "--n-features", "16"]
    options += ["--n-interactions", "2", "--threads", "1"]
    (tmp_path / "c.toml").write_text("[training]\nvalidate_every = 20\n")
    command = [
        sys.executable,
        "-m",
        "schnet_calc.cli",
        "train",
        str(tmp_path / "c.toml"),
        "--data",
        str(data),
    ]
    process = subprocess.Popen([*command, *options, "-o", str(folder)], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 120
        while not (folder / "checkpoint.safetensors").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    assert load_checkpoint(folder / "checkpoint.safetensors")[1]["step"] < 400
    for where in (folder, tmp_path / "undisturbed"):
        subprocess.run([*command, *options, "-o", str(where), "--resume"], check=True, capture_output=True)
    ends = [load_checkpoint(f / "checkpoint.safetensors") for f in (folder, tmp_path / "undisturbed")]
    assert ends[0][1]["step"] == ends[1][1]["step"] == 400
    for name, value in ends[0][0].items():
        torch.testing.assert_close(ends[1][0][name], value, atol=0, rtol=0)


def test_runs_are_not_overwritten_or_mixed(data, tmp_path):
    Run(config(data, steps=10), tmp_path).run()
    with pytest.raises(FileExistsError, match="holds a training run already"):
        Run(config(data, steps=10), tmp_path)
    with pytest.raises(ValueError, match=r"written with training\.rho = 0\.05, not 0\.5"):
        Run(config(data, steps=10, rho=0.5), tmp_path, resume=True)


def test_resuming_with_other_data_is_an_error(data, tmp_path):
    Run(config(data, steps=10), tmp_path / "run").run()
    images = ase.io.read(data, index=":")
    images[0].positions[0] += 0.1
    ase.io.write(tmp_path / "other.extxyz", images)
    with pytest.raises(ValueError, match=r"written with other data than .*other\.extxyz"):
        Run(config(tmp_path / "other.extxyz", steps=10), tmp_path / "run", resume=True)


def test_a_split_of_a_run_that_never_was_is_not_used(data, tmp_path):
    Run(config(data), tmp_path)
    again = config(data)
    fewer = replace(again, data=replace(again.data, n_train=10))
    assert len(Run(fewer, tmp_path).split.train) == 10


def test_split_files_must_fit_the_data(data, tmp_path):
    Split(np.arange(30), np.arange(30, 40), np.arange(400, 410)).save(tmp_path / "split.npz")
    settings = config(data)
    settings = replace(settings, data=replace(settings.data, split=str(tmp_path / "split.npz")))
    with pytest.raises(ValueError, match="names frame 409, but the data hold 40 frames"):
        Run(settings, tmp_path / "run")


def test_narrow_gaussians_get_a_finer_grid(data, tmp_path):
    """Validation with tables must equal the exported network, however narrow its basis."""
    run = Run(config(data, model={"n_gaussians": 120}, steps=10, spline_spacing=0.1), tmp_path)
    run.run()
    batch = run.validation.batch(np.arange(4))
    exact = predict_autograd(run.network, batch)[1]
    off = (run.predict(run.network, batch)[1] - exact).abs().max()
    assert float(off.detach()) < 2e-2 * float(exact.abs().max().detach())


def test_intensive_properties_take_no_references():
    with pytest.raises(ValueError, match="needs reference = 'none'"):
        RunConfig(model=SchNetConfig(pooling="mean"))


def test_forces_alone_then_the_constant(data, tmp_path):
    """With rho = 0 the energy's constant is fitted afterwards (thesis Section 5.3)."""
    run = Run(config(data, rho=0.0, reference="none", steps=20), tmp_path)
    run.run()
    assert abs(run.constant) > 0.1
    export_model(tmp_path, tmp_path / "model.pt")
    frames = run.frames.select(run.split.train)
    calculator = SchNetCalculator(tmp_path / "model.pt")
    predictions = calculator.evaluate([frames.atoms(k) for k in range(len(frames))])
    off = np.array([p.energy for p in predictions]) - frames.energies
    assert abs(off.sum()) < 1e-3 * np.abs(frames.energies).sum()


def test_a_dtnn_is_trained_resumed_and_exported_like_a_schnet(data, tmp_path):
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
    torch.testing.assert_close(resumed.average.state_dict(), whole.average.state_dict(), atol=0, rtol=0)
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


def test_start_from_a_model(data, tmp_path):
    first = Run(config(data, steps=20), tmp_path / "first")
    first.run()
    export_model(tmp_path / "first", tmp_path / "model.pt")
    start = {"start_from": str(tmp_path / "model.pt")}
    second = Run(config(data, **start), tmp_path / "second")
    torch.testing.assert_close(second.network.state_dict(), load_potential(tmp_path / "model.pt").weights)
    with pytest.raises(ValueError, match=r"has other hyperparameters than \[model\]"):
        Run(config(data, model={"cutoff": 3.0}, **start), tmp_path / "third")


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


def test_early_stopping(data, tmp_path):
    run = Run(config(data, steps=1000, learning_rate=1e-12, patience=2), tmp_path)
    run.best = 0.0
    run.run()
    assert run.step == 20


def test_divergence_is_an_error(data, tmp_path):
    run = Run(config(data), tmp_path)
    with torch.no_grad():
        run.network.output.weight.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="loss is nan at step 0"):
        run.run()


def test_schedules():
    settings = TrainingConfig(steps=1100, warmup=100, learning_rate=1e-2, final_learning_rate=1e-4)
    assert learning_rate(settings, 0) == pytest.approx(1e-4)
    assert learning_rate(settings, 99) == pytest.approx(1e-2)
    assert learning_rate(settings, 600) == pytest.approx(0.5 * (1e-2 + 1e-4))
    assert learning_rate(replace(settings, schedule="exponential"), 600) == pytest.approx(1e-3)
    assert learning_rate(replace(settings, schedule="constant"), 1099) == 1e-2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[modle]\n", "unknown section 'modle'"),
        ("[model]\nn_feature = 3\n", r"unknown key 'n_feature' in \[model\]"),
        ("[training]\nschedule = 'warm'\n", "schedule is one of"),
        ("[training]\nsteps = 0\n", "steps must be positive, got 0"),
        ("[training]\nsteps = '9'\n", "steps must be of type int, got '9'"),
    ],
)
def test_bad_configurations_are_named(tmp_path, text, message):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises((ValueError, TypeError), match=message):
        RunConfig.from_toml(tmp_path / "bad.toml")


def test_files_beside_the_configuration_are_found(tmp_path, monkeypatch):
    """Data and split by their names, wherever the command is given; what is there comes first."""
    (tmp_path / "run.toml").write_text("[data]\nfile = 'frames.npz'\nsplit = 'split.npz'\n")
    for name in ("frames.npz", "split.npz"):
        (tmp_path / name).write_bytes(b"")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    data = RunConfig.from_toml(tmp_path / "run.toml").data
    assert (data.file, data.split) == (str(tmp_path / "frames.npz"), str(tmp_path / "split.npz"))
    (elsewhere / "split.npz").write_bytes(b"")
    assert RunConfig.from_toml(tmp_path / "run.toml").data.split == "split.npz"
    (tmp_path / "random.toml").write_text("[data]\nsplit = 'random'\n")
    assert RunConfig.from_toml(tmp_path / "random.toml").data.split == "random"
