"""The script that someone with a GPU runs and sends back, tried on the CPU."""

import json
import runpy

import pytest

from helpers import ROOT

pytestmark = pytest.mark.slow


def test_it_runs_to_its_end(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    script = str(ROOT / "benchmarks" / "gpu.py")
    monkeypatch.setattr("sys.argv", [script, "--device", "cpu", "--quick", "-o", "gpu.json"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(script, run_name="__main__")
    assert end.value.code == 0
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert not any("failed" in part for part in found.values()), found
    assert found["deviations"]["ethanol"]["float64"] < 2e-6
    assert found["steps_ms"]["C20, step of ASE"] > 0
    assert list(found["training_ms"]) == ["aspirin, batch of 32"]
