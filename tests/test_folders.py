"""Folders belong to one process at a time."""

import subprocess
import sys

import pytest

from helpers import ethanol
from schnet_calc import MDSettings, SchNetCalculator, run_md
from schnet_calc.folders import FolderInUseError, check_same, locked, replace_text, replaced

HOLD = """
import sys, time
from schnet_calc.folders import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_holder_is_named(holder, tmp_path):
    with pytest.raises(FolderInUseError, match=f"process {holder.pid}"), locked(tmp_path):
        pass


def test_a_dead_holder_holds_nothing(holder, tmp_path):
    holder.kill()
    holder.wait()
    with locked(tmp_path):
        pass


def test_dynamics_keep_out_of_a_held_folder(holder, tmp_path):
    with pytest.raises(FolderInUseError, match="another run is at work"):
        run_md(ethanol(), SchNetCalculator("ethanol"), MDSettings(300, 0.01), tmp_path, resume=True)
    assert not (tmp_path / "md.traj").exists()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "kept.txt"
    replace_text(path, "first", synced=True)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError), replaced(path):
        (tmp_path / "folder").write_text("half")
    assert path.read_text() == "first"
    with replaced(path) as scratch:
        scratch.write_text("second")
        assert path.read_text() == "first"
    assert path.read_text() == "second"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "kept.txt"]


def test_another_run_is_refused_by_what_differs(tmp_path):
    check_same(tmp_path, {"seed": 0, "time": 1.0}, {"seed": 0})
    with pytest.raises(ValueError, match=r"has seed = 0, not 1: choose another folder"):
        check_same(tmp_path, {"seed": 0}, {"seed": 1})
