"""Folders belong to one process at a time."""

import subprocess
import sys

import pytest

from helpers import ethanol
from schnet_calc import MDSettings, SchNetCalculator, run_md
from schnet_calc.folders import FolderInUseError, locked

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
