"""Runs that are killed go on as if nothing had happened; runs are not mixed."""

import subprocess
import sys
import time
from dataclasses import replace

import ase.io
import numpy as np
import pytest
import torch

from schnet_calc.data import Split
from schnet_calc.training import Run
from schnet_calc.training.checkpoint import load_checkpoint


@pytest.mark.parametrize("optimizer", ["adam", "amsgrad", "soap"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_resumed_equals_uninterrupted(config, data, tmp_path, device, optimizer):
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
    for name, value in whole.optimisation.average.state_dict().items():
        torch.testing.assert_close(resumed.optimisation.average.state_dict()[name], value, atol=0, rtol=0)
    columns = [(tmp_path / n / "metrics.csv").read_text().splitlines() for n in ("whole", "part")]
    assert [x.rsplit(",", 1)[0] for x in columns[0]] == [x.rsplit(",", 1)[0] for x in columns[1]]


def test_killed_process_resumes(run, data, tmp_path):
    """SIGKILL at no particular moment; the run ends with the weights of an undisturbed one."""
    folder = tmp_path / "run"
    arguments = ["train", str(tmp_path / "c.toml"), "--data", str(data), "--steps", "200", "--threads", "1"]
    arguments += ["--n-train", "24", "--n-validation", "8", "--n-features", "16", "--n-interactions", "2"]
    (tmp_path / "c.toml").write_text("[training]\nvalidate_every = 20\n")
    command = [sys.executable, "-m", "schnet_calc.cli", *arguments, "-o", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 120
        while not (folder / "checkpoint.safetensors").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    assert load_checkpoint(folder / "checkpoint.safetensors")[1]["step"] < 200
    for where in (folder, tmp_path / "undisturbed"):
        code, _, err = run(*arguments, "-o", where, "--resume")
        assert code == 0, err
    ends = [load_checkpoint(f / "checkpoint.safetensors") for f in (folder, tmp_path / "undisturbed")]
    assert ends[0][1]["step"] == ends[1][1]["step"] == 200
    for name, value in ends[0][0].items():
        torch.testing.assert_close(ends[1][0][name], value, atol=0, rtol=0)


def test_runs_are_not_overwritten_or_mixed(config, data, tmp_path):
    Run(config(data, steps=10), tmp_path).run()
    with pytest.raises(FileExistsError, match="holds a training run already"):
        Run(config(data, steps=10), tmp_path)
    with pytest.raises(ValueError, match=r"written with training\.rho = 0\.05, not 0\.5"):
        Run(config(data, steps=10, rho=0.5), tmp_path, resume=True)


def test_resuming_with_other_data_is_an_error(config, data, tmp_path):
    Run(config(data, steps=10), tmp_path / "run").run()
    images = ase.io.read(data, index=":")
    images[0].positions[0] += 0.1
    ase.io.write(tmp_path / "other.extxyz", images)
    with pytest.raises(ValueError, match=r"written with other data than .*other\.extxyz"):
        Run(config(tmp_path / "other.extxyz", steps=10), tmp_path / "run", resume=True)


def test_a_split_of_a_run_that_never_was_is_not_used(config, data, tmp_path):
    Run(config(data), tmp_path)
    again = config(data)
    fewer = replace(again, data=replace(again.data, n_train=10))
    assert len(Run(fewer, tmp_path).split.train) == 10


def test_split_files_must_fit_the_data(config, data, tmp_path):
    Split(np.arange(30), np.arange(30, 40), np.arange(400, 410)).save(tmp_path / "split.npz")
    settings = config(data)
    settings = replace(settings, data=replace(settings.data, split=str(tmp_path / "split.npz")))
    with pytest.raises(ValueError, match="names frame 409, but the data hold 40 frames"):
        Run(settings, tmp_path / "run")
