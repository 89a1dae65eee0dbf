"""Training on several processes: torchrun's two end with the weights of one."""

import csv
import subprocess
import sys

import pytest
import torch
from ase.build import molecule

from helpers import write_frames
from schnet_calc.training.checkpoint import load_checkpoint
from schnet_calc.training.distributed import _backend, join_world, local_device

pytestmark = pytest.mark.slow

CONFIG = """
[data]
file = "frames.extxyz"
n_train = 24
n_validation = 8
[model]
n_features = 16
n_interactions = 2
n_gaussians = 12
cutoff = 4.0
[training]
steps = 30
batch_size = 5
optimizer = "adam"  # exact to rounding, which turns the eigenvectors of SOAP
learning_rate = 5e-3
warmup = 5
validate_every = 10
rho = 0.05
threads = 1
dtype = "float64"
"""


@pytest.fixture
def folder(tmp_path):
    """Molecules of two sizes, so that the shares of a batch differ in atoms and in number."""
    images = []
    for seed in range(40):
        atoms = molecule("CH3CH2OH" if seed % 2 else "H2O")
        atoms.rattle(0.05, seed=seed)
        images.append(atoms)
    write_frames(tmp_path / "frames.extxyz", images)
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path


TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "schnet_calc.cli")


def test_two_processes_end_with_the_weights_of_one(run, folder):
    code, _, err = run("train", "config.toml", "-o", "one")
    assert code == 0, err
    two = subprocess.run(
        [sys.executable, *TWO, "train", "config.toml", "-o", "two"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("test frames") == 1  # only the first process reports
    one, two = (load_checkpoint(folder / name / "checkpoint.safetensors")[0] for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=1e-9, rtol=1e-7)
    losses = []
    for name in ("one", "two"):
        with (folder / name / "metrics.csv").open() as stream:
            losses.append([float(row["loss"]) for row in csv.DictReader(stream)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert (folder / "two" / "model.pt").exists()


def test_one_process_needs_no_launcher(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    world = join_world(torch.device("cpu"), 1)
    assert world == (0, 1)
    assert world.first
    assert world.tell("x") == "x"


def test_more_processes_than_frames_in_a_batch(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match=r"batch_size = 2 is too little for 4 processes"):
        join_world(torch.device("cpu"), 2)


def test_every_process_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert local_device("auto") == "cuda:3"
    assert local_device("cpu") == "cpu"
    assert local_device("cuda:1") == "cuda:1"


def test_processes_that_share_a_gpu_talk_through_gloo(monkeypatch):
    """NCCL refuses them."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found = []
    for processes in ("1", "2", "3"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        found.append(_backend(torch.device("cuda:0")))
    assert found == ["cpu:gloo,cuda:nccl", "cpu:gloo,cuda:nccl", "gloo"]
    assert _backend(torch.device("cpu")) == "gloo"
