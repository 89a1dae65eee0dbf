"""Commands that are killed, SIGKILL, at several moments and go on with ``--resume``: the numbers of a whole run."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from helpers import ethanol

pytestmark = pytest.mark.slow
TABLE = "replica_0/simulation.out"
COMMAND = [
    *(
        sys.executable,
        "-m",
        "schnet_calc.cli",
        "pimd",
        "start.xyz",
        "--model",
        "ethanol",
        "--driver",
        "batch",
    ),
    *("--temperature", "300", "--beads", "4", "--replicas", "2", "--time", "0.1", "--stride", "1"),
    *("--dtype", "float64"),
]
PATIENCE = 120.0


def lines(path) -> int:
    """How many a file has; none if it isn't there."""
    return path.read_text(errors="replace").count("\n") if path.exists() else 0


def killed_at(command, folder, path, wanted) -> None:
    """Start a command and kill it as soon as a file has so many lines."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    end = time.monotonic() + PATIENCE
    while lines(path) < wanted and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def resumed(command, folder) -> subprocess.CompletedProcess:
    """Go on until the run is over; what the killed command has left behind may hold the folder for a moment."""
    end = time.monotonic() + PATIENCE
    while True:
        done = subprocess.run(
            [*command, "--resume"], cwd=folder, capture_output=True, text=True, check=False
        )
        if "another process" not in done.stderr or time.monotonic() > end:
            return done
        time.sleep(0.5)


def test_path_integrals_in_one_process(tmp_path):
    ethanol().write(tmp_path / "start.xyz")
    whole = subprocess.run([*COMMAND, "-o", "whole"], cwd=tmp_path, capture_output=True, check=False)
    assert whole.returncode in (0, 3)
    command, path = [*COMMAND, "-o", "killed"], tmp_path / "killed" / TABLE
    killed_at(command, tmp_path, path, 3)
    killed_at([*command, "--resume"], tmp_path, path, 40)
    assert lines(path) < lines(tmp_path / "whole" / TABLE)
    done = resumed(command, tmp_path)
    assert done.returncode in (0, 3), done.stderr
    found, expected = np.loadtxt(path), np.loadtxt(tmp_path / "whole" / TABLE)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
