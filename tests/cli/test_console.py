"""Progress of tasks with stages, some of them several times."""

import re

from rich.progress import Progress

from schnet_calc.cli import console
from schnet_calc.cli.console import Stages


def test_a_stage_that_comes_again_has_its_own_time(monkeypatch, capsys):
    clock = iter([0.0, 2.0, 2.0, 100.0, 101.0, 101.0])
    monkeypatch.setattr(console.time, "perf_counter", lambda: next(clock))
    stages = Stages(Progress(disable=True))
    for done in (0, 1, 0, 1):
        stages("training", done, 1)
    times = re.findall(r"training: done in ([\d.]+) s", capsys.readouterr().err)
    assert times == ["2.0", "1.0"]
