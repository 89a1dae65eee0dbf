"""The process that trains a member: how it ends."""

import json

import pytest

from schnet_calc.learn import member
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
