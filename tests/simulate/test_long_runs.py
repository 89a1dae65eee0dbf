"""Long simulations: no growth of memory; interruptions and full disks lose nothing that was written."""

import resource
import signal
import subprocess
import sys
import time

import ase.io
import numpy as np
import pytest
from ase.io.trajectory import Trajectory

from helpers import ethanol
from schnet_calc import SchNetCalculator
from schnet_calc.simulate.md import MDSettings, run_md


def finished(folder, *command):
    """What a command prints; it has to succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


GROWTH = """
import os, sys
from ase.io.trajectory import Trajectory
from ase.md.verlet import VelocityVerlet
from ase.build import bulk, molecule
from schnet_calc import SchNetCalculator

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

atoms = molecule("CH3CH2OH") if sys.argv[2] == "molecule" else bulk("Si", cubic=True)
atoms.rattle(0.02, seed=0)
atoms.calc = SchNetCalculator(sys.argv[1], device="cpu")
dynamics = VelocityVerlet(atoms, timestep=0.05, trajectory="long.traj", loginterval=10)
dynamics.run(1000)
first = resident()
dynamics.run(4000)
print(resident() / first)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
@pytest.mark.parametrize("kind", ["molecule", "crystal"])
def test_memory_does_not_grow(models, tmp_path, kind):
    """A short form of ``python benchmarks/long_run.py``."""
    assert float(finished(tmp_path, sys.executable, "-c", GROWTH, str(models["float32"]), kind)) < 1.02


def arguments(model, folder, time_ps, *more):
    command = [sys.executable, "-m", "schnet_calc.cli", "md", "start.xyz", "--model", str(model)]
    settings = ("--thermostat", "none", "--temperature", "200", "--timestep", "0.05", "--interval", "2")
    return [*command, *settings, "--time", str(time_ps), "-o", str(folder), *more]


def positions(path):
    with Trajectory(path) as trajectory:
        return np.array([atoms.positions for atoms in trajectory])


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
def test_an_interrupted_run_goes_on(models, tmp_path, stop):
    ase.io.write(tmp_path / "start.xyz", ethanol())
    model = models["float64"]
    process = subprocess.Popen(
        arguments(model, "run", 5.0),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "run" / "md.csv"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") > 30):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-9 if stop == signal.SIGKILL else 130), said
    if stop != signal.SIGKILL:
        assert "interrupted; what was written is complete" in said
    before = positions(tmp_path / "run" / "md.traj")
    assert len(before) >= 29
    steps = 2 * (len(before) + 20)
    wanted = str(steps * 0.05e-3)
    finished(tmp_path, *arguments(model, "run", wanted, "--resume"))
    finished(tmp_path, *arguments(model, "whole", wanted))
    after = positions(tmp_path / "run" / "md.traj")
    np.testing.assert_array_equal(after[: len(before)], before)
    np.testing.assert_allclose(after, positions(tmp_path / "whole" / "md.traj"), atol=1e-9)
    assert (tmp_path / "run" / "md.csv").read_text().count("\n") == len(after) + 1


FULL = """
import resource, signal, sys
import ase.io
from schnet_calc import SchNetCalculator
from schnet_calc.simulate.md import MDSettings, run_md
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
calculator = SchNetCalculator(sys.argv[1], device="cpu")
atoms = ase.io.read("start.xyz")
calculator.evaluate([atoms])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    run_md(atoms, calculator, MDSettings(200, 0.01, 0.05, "none", interval=2), "run")
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limits on the size of files here")
@pytest.mark.parametrize("room", [20_000, 20_800, 33_333, 41_007])
def test_a_full_disk_keeps_what_was_written(models, tmp_path, room):
    """The file may grow no more in the middle of a frame: an error, and a run to go on with."""
    ase.io.write(tmp_path / "start.xyz", ethanol())
    said = finished(tmp_path, sys.executable, "-c", FULL, str(models["float64"]), str(room))
    assert "File too large" in said
    before = positions(tmp_path / "run" / "md.traj")
    assert len(before) > 3
    settings = MDSettings(200, 0.01, 0.05, "none", interval=2)
    atoms = ase.io.read(tmp_path / "start.xyz")
    calculator = SchNetCalculator(models["float64"], device="cpu")
    run_md(atoms, calculator, settings, tmp_path / "run", resume=True)
    run_md(atoms, calculator, settings, tmp_path / "whole")
    after = positions(tmp_path / "run" / "md.traj")
    np.testing.assert_array_equal(after[: len(before)], before)
    np.testing.assert_allclose(after, positions(tmp_path / "whole" / "md.traj"), atol=1e-9)


def test_a_million_steps_need_no_list_in_memory(tmp_path, models):
    """Frames go to disk as they come: the number of objects does not follow the number of steps."""
    import gc

    calculator = SchNetCalculator(models["float64"], device="cpu")
    counts = []

    def note(step, atoms):
        if step in (100, 600):
            gc.collect()
            counts.append(len(gc.get_objects()))

    run_md(ethanol(), calculator, MDSettings(200, 0.03, 0.05, "none", interval=1), tmp_path, progress=note)
    assert counts[1] - counts[0] < 100
    assert (tmp_path / "md.traj").stat().st_size > 500 * len(ethanol()) * 3 * 8
