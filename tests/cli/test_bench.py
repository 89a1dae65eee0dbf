"""``schnet-calc bench``."""

import json

import pytest

pytestmark = pytest.mark.slow


def test_bench(run, tmp_path, figures):
    code, out, err = run("bench", "--atoms", "64", "--beads", "2", "--seconds", "0.02", "--json", "b.json")
    assert code == 0, err
    found = json.loads((tmp_path / "b.json").read_text())
    assert [t["n_atoms"] for t in found["timings"]] == [20, 160, 640, 2560, 64, 1000, 40]
    for timing in found["timings"]:
        assert min(timing["compiled"], timing["floor"], timing["over_floor"]) > 0
        assert (timing["script"] is None) == (timing["n_atoms"] > 216 or timing["name"].startswith("PIMD"))
        assert timing["peer"] is None
    batches, crystal, steps = figures["bench.png"].axes
    assert batches.lines[0].get_xdata().tolist() == [20, 160, 640, 2560]
    assert crystal.lines[0].get_xdata().tolist() == [64]
    assert steps.lines[0].get_ydata().tolist() == [found["timings"][-1]["compiled"]]
    assert "GFLOP/s" in out
    assert 100 < found["peak_memory"] < 2000
    code, _, err = run("bench", "--atoms", "65")
    assert code == 1
    assert "64, 216, 1000, 4000, 20000 atoms here, not 65" in err.replace("\n", " ")
