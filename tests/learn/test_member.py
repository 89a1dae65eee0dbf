"""The process that trains a member: how it ends, and how it is seen from the run."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schnet_calc.learn import member, training
from schnet_calc.training import RunConfig


@pytest.fixture
def ended(tmp_path, monkeypatch):
    """Exit statuses of :func:`member.main`, which ends no process here."""
    (tmp_path / "config.json").write_text(json.dumps(RunConfig().to_dict()))
    statuses = []
    monkeypatch.setattr(member.sys, "argv", ["-c", str(tmp_path / "config.json"), str(tmp_path)])
    monkeypatch.setattr(member.os, "_exit", statuses.append)
    monkeypatch.setattr(member, "_end_with_parent", lambda: None)
    return statuses


def test_a_failure_is_the_last_word_of_the_log(ended, monkeypatch, capsys):
    """An ordinary end died of the thread that waits, and its words took the place of the error's."""

    def fail(config, folder):
        raise ValueError("no frames to train on")

    monkeypatch.setattr(member, "train_member", fail)
    member.main()
    assert ended == [1]
    assert capsys.readouterr().err.splitlines()[-1] == "ValueError: no frames to train on"


def test_success(ended, monkeypatch):
    monkeypatch.setattr(member, "train_member", lambda config, folder: folder / "model.pt")
    member.main()
    assert ended == [0]


def test_steps_of_members_on_other_machines_are_told(tmp_path, monkeypatch):
    """From the files that they write in the folder of the run; it was silent until all had ended."""
    monkeypatch.setattr(training, "LOOK", 0.01)
    told = []

    def wait_for(steps):
        deadline = time.monotonic() + 5.0
        while steps not in {made for _, made, _, _ in told} and time.monotonic() < deadline:
            time.sleep(0.01)

    def train(config, home, log):
        Path(home).mkdir()
        wait_for(0)
        (Path(home) / "progress.json").write_text(json.dumps({"step": 5}))
        wait_for(25 if home.endswith("1") else 5)
        (Path(home) / "model.pt").touch()
        return 0

    monkeypatch.setattr(training, "train_there", train)
    config = RunConfig().changed({"steps": 20})
    with ThreadPoolExecutor(1) as executor:
        training.train_committee(config, tmp_path, [], 2, lambda *what: told.append(what), executor)
    assert told[0] == ("training", 0, 40, "member 1, 2 starts")
    assert ("training", 5, 40, "member 1, 2") in told
    assert told[-1] == ("training", 40, 40, "")
