"""Progress of tasks with stages, some of them several times."""

import io
import re

import pytest
from rich.console import Console
from rich.progress import Progress

from schnet_calc.cli import console
from schnet_calc.cli.console import Note, Pace, Stages, pace, progress_bar


@pytest.fixture
def clock(monkeypatch):
    """The time of stages, as a list whose first number is next."""
    times = []
    monkeypatch.setattr(console.time, "perf_counter", lambda: times.pop(0))
    return times


def test_a_stage_that_comes_again_has_its_own_time(clock, capsys):
    clock[:] = [0.0, 2.0, 100.0, 101.0]
    stages = Stages(Progress(disable=True))
    for done in (0, 1, 0, 1):
        stages("training", done, 1)
    times = re.findall(r"training: done in ([\d.]+) s", capsys.readouterr().err)
    assert times == ["2.0", "1.0"]


def test_off_a_terminal_a_line_comes_within_the_first_minute_and_then_now_and_then(clock, capsys):
    clock[:] = [float(t) for t in range(0, 101)]
    stages = Stages(Progress(disable=True))
    for step in range(101):
        stages("training", 5 * step, 18000, f"loss {step}")
    assert capsys.readouterr().err.splitlines() == [
        "training: 50 of 18000, 5.0/s, 59:50 left, loss 10",
        "training: 350 of 18000, 5.0/s, 58:50 left, loss 70",
    ]


def test_pace_in_words():
    assert pace(None, None) == "-"
    assert pace(123.4, 62) == "123/s, 1:02 left"
    assert pace(0.25, 7300.0) == "4.0 s each, 2:01:40 left"
    assert pace(2.0, 5.0, finished=True) == "2.0/s, 0:05 in all"


def test_bars_are_legible_in_80_columns(monkeypatch):
    """The numbers stay whole; a long note is cut."""
    shown = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=shown, force_terminal=True, width=80, highlight=False))
    with progress_bar() as bar:
        stages = Stages(bar)
        for step in (0, 17999):
            stages("member 2 of 3", step, 18000, "energy 10.3 meV, forces 23.4 meV/Å, stress 0.1 GPa")
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue()).replace("\r", "\n").splitlines()
    last = [line for line in lines if "17999" in line][-1]
    assert "member 2 of 3" in last
    assert "17999/18000" in last
    assert len(last.rstrip()) <= 80
    assert "left" in last or "- " in last


def test_a_task_without_a_note_is_shown():
    progress = Progress(Note())
    for fields in ({}, {"note": "loss 0.1"}):
        progress.add_task("frames", total=2, **fields)
    assert [progress.columns[0].render(task).plain for task in progress.tasks] == ["", "loss 0.1"]


def test_a_stage_of_unknown_length_ends_with_its_last_step(clock, capsys):
    clock[:] = [0.0, 11.0, 12.0, 13.0]
    stages = Stages(Progress(disable=True))
    for done, total in ((0, None), (22, None), (24, 24)):
        assert not stages.ended("relaxation")
        stages("relaxation", done, total, "force 1.0e-02")
    assert stages.ended("relaxation")
    assert capsys.readouterr().err.splitlines() == [
        "relaxation: 22 steps, 2.0/s, force 1.0e-02",
        "relaxation: done in 12.0 s",
    ]


def test_nothing_is_left_of_a_short_stage():
    with progress_bar() as bar:
        stages = Stages(bar)
        for done in (0, 1):
            stages("frames read", done, 1)
        (task,) = bar.tasks
        assert not task.visible
        stages("frames read", 0, 1)
        assert task.visible


def test_time_of_a_finished_stage_stands_still():
    progress = Progress(Pace())
    progress.update(progress.add_task("frames", total=2), completed=2)
    (task,) = progress.tasks
    task.finished_speed, task.finished_time, task.start_time = 4.0, 3.0, task.start_time - 100.0
    assert Pace().render(task).plain == "4.0/s, 0:03 in all"
