"""Batches ahead of their steps."""

import numpy as np
import pytest
import torch

from helpers import strained_copper, write_frames
from schnet_calc.data import read_frames
from schnet_calc.training.batches import Ahead, Batches
from schnet_calc.training.distributed import local_device


@pytest.fixture
def batches(tmp_path):
    frames = read_frames(write_frames(tmp_path / "frames.extxyz", strained_copper(6)))
    return Batches(frames, {29: 0.0}, 4.0, torch.float32)


def test_the_next_batch_is_made_beside(batches):
    """Away from the CPU; after a jump, as when a run is resumed, the right one comes, too."""
    made = []

    def make(step):
        made.append(step)
        return batches.batch(np.array([step % 6]))

    ahead = Ahead(make, torch.device("meta"))
    for step in (0, 1, 2, 7):
        batch = ahead.take(step)
        assert batch.positions.device.type == "meta"
        assert batch.graph.numbers.dtype == torch.int64
    ahead._next[1].result()
    assert made == [0, 1, 2, 3, 7, 8]


def test_on_the_cpu_nothing_is_made_ahead(batches):
    made = []
    ahead = Ahead(lambda step: made.append(step) or batches.batch(np.array([step])), torch.device("cpu"))
    ahead.take(0)
    assert made == [0]


def test_processes_of_slurm_share_out_the_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("SLURM_LOCALID", "3")
    assert local_device("auto") == "cuda:3"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # each sees its own
    assert local_device("cuda") == "cuda:0"
    assert local_device("cpu") == "cpu"
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert local_device("auto") == "cuda:0"
