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

pytestmark = pytest.mark.slow


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

for name, atoms in {"molecule": molecule("CH3CH2OH"), "crystal": bulk("Si", cubic=True)}.items():
    atoms.rattle(0.02, seed=0)
    atoms.calc = SchNetCalculator(sys.argv[1], device="cpu")
    dynamics = VelocityVerlet(atoms, timestep=0.05, trajectory=f"{name}.traj", loginterval=10)
    dynamics.run(1000)
    first = resident()
    dynamics.run(4000)
    print(resident() / first)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_memory_does_not_grow(models, tmp_path):
    """A short form of ``python benchmarks/long_run.py``."""
    said = finished(tmp_path, sys.executable, "-c", GROWTH, str(models["float32"]))
    growth = [float(word) for word in said.split()]
    assert len(growth) == 2
    assert max(growth) < 1.02


def arguments(model, folder, time_ps, *more):
    settings = ("--thermostat", "none", "--temperature", "200", "--timestep", "0.05", "--interval", "2")
    return [
        "md",
        "start.xyz",
        "--model",
        str(model),
        *settings,
        "--time",
        str(time_ps),
        "-o",
        folder,
        *more,
    ]


def positions(path, torn=False):
    """Of all frames; ``torn``: up to one that a kill has cut."""
    found = []
    with Trajectory(path) as trajectory:
        for k in range(len(trajectory)):
            try:
                found.append(trajectory[k].positions)
            except ValueError:
                assert torn
                assert k == len(trajectory) - 1
    return np.array(found)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
def test_an_interrupted_run_goes_on(run, models, tmp_path, stop):
    ase.io.write(tmp_path / "start.xyz", ethanol())
    model = models["float64"]
    process = subprocess.Popen(
        [sys.executable, "-m", "schnet_calc.cli", *arguments(model, "run", 5.0)],
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
    before = positions(tmp_path / "run" / "md.traj", torn=stop == signal.SIGKILL)
    assert len(before) >= 29
    steps = 2 * (len(before) + 20)
    wanted = str(steps * 0.05e-3)
    for more in (("run", wanted, "--resume"), ("whole", wanted)):
        code, _, err = run(*arguments(model, *more))
        assert code == 0, err
    after = positions(tmp_path / "run" / "md.traj")
    np.testing.assert_array_equal(after[: len(before)], before)
    np.testing.assert_allclose(after, positions(tmp_path / "whole" / "md.traj"), atol=1e-9)
    assert (tmp_path / "run" / "md.csv").read_text().count("\n") == len(after) + 1


FULL = """
import resource, signal, sys
import ase.io
from pathlib import Path
from schnet_calc import SchNetCalculator
from schnet_calc.simulate.md import MDSettings, run_md
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
calculator = SchNetCalculator(sys.argv[1], device="cpu")
atoms = ase.io.read("start.xyz")
calculator.evaluate([atoms])
for room in sys.argv[2:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), resource.RLIM_INFINITY))
    try:
        run_md(atoms, calculator, MDSettings(200, 0.01, 0.05, "none", interval=2), Path(room))
    except OSError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limits on the size of files here")
def test_a_full_disk_keeps_what_was_written(models, tmp_path):
    """The file may grow no more in the middle of a frame: an error, and a run to go on with."""
    ase.io.write(tmp_path / "start.xyz", ethanol())
    rooms = ("20000", "20800", "33333", "41007")
    said = finished(tmp_path, sys.executable, "-c", FULL, str(models["float64"]), *rooms)
    assert said.count("File too large") == len(rooms)
    settings = MDSettings(200, 0.01, 0.05, "none", interval=2)
    atoms = ase.io.read(tmp_path / "start.xyz")
    calculator = SchNetCalculator(models["float64"], device="cpu")
    run_md(atoms, calculator, settings, tmp_path / "whole")
    for room in rooms:
        before = positions(tmp_path / room / "md.traj")
        assert len(before) > 3
        run_md(atoms, calculator, settings, tmp_path / room, resume=True)
        after = positions(tmp_path / room / "md.traj")
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
