"""Path integrals with a known answer; runs that are killed, lengthened, moved and refused."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase import units

from helpers import FOREIGN, Harmonic, ethanol, pimd_rows, pimd_settings, write_foreign
from schnet_calc import SchNetCalculator
from schnet_calc.folders import locked
from schnet_calc.ipi import StructureError
from schnet_calc.ipi.input import write_input
from schnet_calc.ipi.server import Server
from schnet_calc.simulate import pimd as pimd_task
from schnet_calc.simulate.modes import MODE_UNIT
from schnet_calc.simulate.pimd import run_pimd
from schnet_calc.studies.c20 import dodecahedron
from verification.rings import harmonic_energy

pytestmark = pytest.mark.slow


def test_a_dtnn_drives_i_pi(folder, networks):
    """Any network through both ways, and the energies that i-PI writes are the calculator's."""
    atoms, model = ethanol(), networks["DTNN"]["float64"]
    for transport in ("direct", "socket"):
        short = pimd_settings(transport=transport, beads=2, time=0.004, timestep=0.1, frame_stride=1)
        run = run_pimd(atoms, model, short, folder / transport, device="cpu")
    tables = [pimd_rows(folder / transport) for transport in ("direct", "socket")]
    np.testing.assert_allclose(tables[0], tables[1], atol=1e-8)
    frames = [beads[-1] for beads in run.beads()]
    found = SchNetCalculator(model).evaluate(frames)
    assert run.table()["potential"][-1] == pytest.approx(np.mean([p.energy for p in found]), abs=1e-3)


@pytest.mark.parametrize(
    ("beads", "transport"),
    [(1, "direct"), (4, "socket"), (32, "direct")],
)
def test_harmonic_oscillators_have_the_energy_of_the_primitive_approximation(folder, beads, transport):
    n_atoms, temperature, quantum = 16, 300.0, 0.1
    constant = (quantum / MODE_UNIT) ** 2 * 1.008 / n_atoms
    write_foreign(folder / "springs.pt", FOREIGN, Harmonic(constant))
    atoms = ase.Atoms(f"H{n_atoms}", np.random.default_rng(0).normal(scale=0.2, size=(n_atoms, 3)))
    run = run_pimd(
        atoms,
        folder / "springs.pt",
        pimd_settings(
            beads=beads,
            time=0.4,
            transport=transport,
            thermostat="pile_l",
            time_constant=10.0,
            stride=4,
            seed=beads,
        ),
        folder,
        device="cpu",
        engine="script",
    )
    found = run.estimators()
    exact = (3 * n_atoms - 3) * harmonic_energy(quantum, temperature, beads) + 1.5 * units.kB * temperature
    assert abs(found.energy.value - exact) < 4 * found.energy.error + 1e-3 * exact
    # The error bar itself has to be worth something: half the beads would be something else, up to 8.
    assert found.energy.error < 0.02 * exact
    if 1 < beads <= 4:
        half = exact + (3 * n_atoms - 3) * (
            harmonic_energy(quantum, temperature, beads // 2) - harmonic_energy(quantum, temperature, beads)
        )
        assert abs(exact - half) > 8 * found.energy.error
    assert found.kinetic_thermodynamic.value == pytest.approx(
        found.kinetic_virial.value, abs=5 * found.kinetic_thermodynamic.error + 1e-9
    )


STOPPED = """
import os, signal
import schnet_calc.simulate.pimd as pimd
import schnet_calc.simulate.pimd_process as pimd_process
from schnet_calc.ipi.input import PIMDSettings
from schnet_calc.studies.c20 import dodecahedron

servers = []

class Remembered(pimd_process.Server):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        servers.append(self)

def stop(step, row):
    if step > 15 and servers:
        {stop}

pimd_process.Server, pimd_process.POLL = Remembered, 0.005
settings = {settings!r}
pimd.run_pimd(
    dodecahedron(), "c20", settings, {folder!r}, device="cpu", dtype="float64", progress=stop
)
"""
KILLED = "os.killpg(servers[0].process.pid, signal.SIGKILL)"


def test_a_run_that_was_killed_goes_on_as_if_nothing_had_happened(folder, direct):
    """SIGKILL for i-PI and everything with it; then the same call with resume."""
    script = STOPPED.format(
        stop=KILLED, settings=pimd_settings(transport="direct"), folder=str(folder / "run")
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "i-PI ended after" in killed.stderr, killed.stderr
    run_pimd(
        dodecahedron(),
        "c20",
        pimd_settings(transport="direct"),
        folder / "run",
        resume=True,
        device="cpu",
        dtype="float64",
    )
    np.testing.assert_allclose(pimd_rows(folder / "run"), direct, rtol=0, atol=1e-9)


TERMINATED = "servers.pop().process.send_signal(signal.SIGTERM)"


@pytest.mark.parametrize(
    ("stop", "kept"), [("raise KeyboardInterrupt", True), (TERMINATED, False)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_stopped_run_loses_nothing(folder, stop, kept):
    """Between two checkpoints: Ctrl-C keeps every step, and what a signal to i-PI loses is computed again."""
    settings = pimd_settings(transport="direct", time=0.5)
    script = STOPPED.format(settings=settings, folder=str(folder / "run"), stop=stop)
    subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    done = len(pimd_rows(folder / "run")) - 1
    restart = ElementTree.parse(folder / "run" / "RESTART").getroot()
    step = int(restart.findtext("step", "0"))
    assert restart.get("safe_stride") == "50"
    assert (step == done) is kept or step % 50 == 0
    assert done < 400
    short = pimd_settings(transport="direct", time=0.5e-3 * (done + 20))
    run_pimd(dodecahedron(), "c20", short, folder / "run", resume=True, device="cpu", dtype="float64")
    run_pimd(dodecahedron(), "c20", short, folder / "whole", device="cpu", dtype="float64")
    found, expected = (pimd_rows(folder / name) for name in ("run", "whole"))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("transport", ["direct", "socket"])
def test_doubtful_beads_are_counted_and_named(folder, transport):
    """A cage that is blown up, ahead of its time; what a resumed run finds is added."""
    atoms = dodecahedron()
    atoms.positions *= 1.3
    short = pimd_settings(beads=2, time=0.002, transport=transport)
    run = run_pimd(atoms, "c20", short, folder, device="cpu")
    first = run.doubts.count
    assert first >= 2 * short.n_steps
    assert "in the training data" in run.doubts.reason
    if transport == "direct":  # a client may be asked for the first bead alone
        assert run.doubts.reason.startswith("structure 0: ")
    longer = pimd_settings(beads=2, time=0.004, transport=transport)
    resumed = run_pimd(atoms, "c20", longer, folder, resume=True, device="cpu")
    assert resumed.doubts.count >= first + 2 * 4
    with pytest.raises((RuntimeError, StructureError), match="outside of what the model knows"):
        run_pimd(atoms, "c20", short, folder / "stop", device="cpu", on_doubt="stop")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The trajectory of one go."""
    folder = tmp_path_factory.mktemp("whole")
    settings = pimd_settings(beads=2, time=0.01)
    run_pimd(dodecahedron(), "c20", settings, folder, device="cpu", dtype="float64")
    return pimd_rows(folder)


@pytest.mark.parametrize("order", [("direct", "direct"), ("socket", "direct"), ("direct", "socket")])
def test_a_longer_time_continues_a_finished_run(folder, whole, order):
    """With the same transport or another one."""
    for time_, transport in zip((0.005, 0.01), order, strict=True):
        settings = pimd_settings(beads=2, time=time_, transport=transport)
        run_pimd(dodecahedron(), "c20", settings, folder, device="cpu", dtype="float64", resume=True)
    np.testing.assert_allclose(pimd_rows(folder), whole, rtol=0, atol=1e-9)


def test_another_start_or_isotope_is_another_run(folder):
    short = pimd_settings(beads=2, time=0.005, transport="direct")
    run_pimd(dodecahedron(), "c20", short, folder / "a", device="cpu")
    heavy, far, near = (dodecahedron() for _ in range(3))
    heavy.set_masses([13.0] * 20)
    far.positions *= 1.1
    near.positions[3, 1] += 1e-5
    with pytest.raises(ValueError, match=r"has masses = \[12.011"):
        run_pimd(heavy, "c20", short, folder / "a", device="cpu", resume=True)
    with pytest.raises(ValueError, match=r"started from positions up to 0\.\d+ Å off these"):
        run_pimd(far, "c20", short, folder / "a", device="cpu", resume=True)
    run_pimd(near, "c20", short, folder / "a", device="cpu", resume=True)
    with pytest.raises(ValueError, match="beads = 2, not 4"):
        run_pimd(near, "c20", pimd_settings(time=0.01), folder / "a", device="cpu", resume=True)
    with pytest.raises(FileExistsError, match="resume it"):
        run_pimd(dodecahedron(), "c20", short, folder / "a", device="cpu")


def test_two_runs_never_share_a_folder(folder):
    """The lock is i-PI's too: it outlives a launcher that was killed, until i-PI has ended (here it is held up)."""
    script = f"""
import os, signal, subprocess
import schnet_calc.simulate.pimd as pimd
import schnet_calc.simulate.pimd_process as pimd_process
from schnet_calc.ipi.input import PIMDSettings
from schnet_calc.studies.c20 import dodecahedron
pimd_process.POLL = 0.01
def end(step, row):
    subprocess.run(["pkill", "-STOP", "-P", str(os.getpid()), "-f", "i-pi input.xml"])
    os.kill(os.getpid(), signal.SIGKILL)
pimd.run_pimd(dodecahedron(), "c20", {pimd_settings(beads=2, time=50.0, transport="direct")!r}, {str(folder)!r},
    device="cpu", progress=end)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    found = subprocess.run(["pgrep", "-f", "i-pi input.xml"], capture_output=True, text=True, check=False)
    orphans = [int(p) for p in found.stdout.split() if Path(f"/proc/{p}/cwd").resolve() == folder.resolve()]
    assert len(orphans) == 1
    with pytest.raises(RuntimeError, match="another run is at work in"):
        run_pimd(
            dodecahedron(),
            "c20",
            pimd_settings(beads=2, time=50.0, transport="direct"),
            folder,
            device="cpu",
            resume=True,
        )
    os.kill(orphans[0], signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't tell of a parent's end")
@pytest.mark.parametrize("transport", ["socket", "direct"])
def test_i_pi_ends_with_a_launcher_that_is_killed_alone(folder, transport):
    """There is a checkpoint to go on from, nobody is in the folder, and no socket stays behind."""
    sockets = set(Path("/tmp").glob("ipi_*"))
    script = f"""
import os, signal
import schnet_calc.simulate.pimd as pimd
import schnet_calc.simulate.pimd_process as pimd_process
from schnet_calc.ipi.input import PIMDSettings
from schnet_calc.studies.c20 import dodecahedron
pimd_process.POLL = 0.01
pimd.run_pimd(dodecahedron(), "c20", {pimd_settings(beads=2, time=50.0, transport=transport)!r}, {str(folder)!r},
    device="cpu", progress=lambda step, row: os.kill(os.getpid(), signal.SIGKILL))
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    deadline = time.monotonic() + 60
    while _at_work_in(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (folder / "RESTART").exists() or list(folder.glob("simulation.checkpoint*"))
    assert set(Path("/tmp").glob("ipi_*")) <= sockets
    with locked(folder, pimd_task.LOCK):
        pass


def _at_work_in(folder):
    """Threads whose working directory is a folder; the last of a process keeps its files, and so its lock, open."""
    found = []
    for thread in Path("/proc").glob("[0-9]*/task/[0-9]*"):
        with contextlib.suppress(OSError):
            if (thread / "cwd").resolve() == folder.resolve():
                found.append(int(thread.name))
    return found


def test_i_pi_outlives_the_thread_that_started_it(folder):
    write_input(
        dodecahedron(), pimd_settings(beads=2, time=50.0, transport="direct"), folder, models=["c20"]
    )
    started = []
    thread = threading.Thread(target=lambda: started.append(Server(folder, "input.xml")))
    thread.start()
    thread.join()
    (server,) = started
    try:
        deadline = time.monotonic() + 60
        while not (folder / "simulation.out").exists():
            assert server.running, server.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        server.stop()


def test_an_i_pi_that_dies_is_told_at_once(folder, monkeypatch):
    write = pimd_task.write_input

    def broken(*arguments, **options):
        path = write(*arguments, **options)
        path.write_text(path.read_text().replace("<timestep", "<timestamp"))
        return path

    monkeypatch.setattr(pimd_task, "write_input", broken)
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"i-PI ended after 0 of 40 steps"):
        run_pimd(dodecahedron(), "c20", pimd_settings(), folder, device="cpu")
    assert time.monotonic() - started < 30


class NoNumber(torch.nn.Module):
    """Forces that are none, as soon as the first two atoms have moved apart a little."""

    def forward(
        self,
        numbers: torch.Tensor,
        positions: torch.Tensor,
        pairs: torch.Tensor,
        shifts: torch.Tensor,
        system: torch.Tensor,
    ) -> torch.Tensor:
        vectors = positions[pairs[1]] + shifts - positions[pairs[0]]
        stretched = torch.sqrt(1e-4 - ((vectors**2).sum(1) - 1.0) ** 2)
        return torch.zeros_like(positions[:, 0]).index_add(0, pairs[0], stretched)


@pytest.mark.parametrize("transport", ["socket", "direct"])
def test_forces_that_are_no_numbers_end_the_run_by_name(folder, transport):
    write_foreign(folder / "bad.pt", FOREIGN, NoNumber())
    atoms = ase.Atoms("H2", [[0, 0, 0], [0, 0, 1.0]])
    kind = StructureError if transport == "socket" else RuntimeError
    with pytest.raises(kind, match="not finite"):
        run_pimd(
            atoms,
            folder / "bad.pt",
            pimd_settings(time=1.0, transport=transport),
            folder / "run",
            device="cpu",
            engine="script",
        )
    failed = ase.io.read(folder / "run" / "failed_structure.xyz")
    assert abs(failed.get_distance(0, 1) - 1.0) > 0.004


FULL = """
import resource
import ase.io
from schnet_calc.ipi.input import PIMDSettings
from schnet_calc.simulate.pimd import run_pimd
resource.setrlimit(resource.RLIMIT_FSIZE, (15000, resource.RLIM_INFINITY))  # like a disk that is full
run_pimd(ase.io.read("start.xyz"), {model!r}, {settings!r}, "run", device="cpu")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no limits on the size of files elsewhere")
def test_a_full_disk_under_i_pi_costs_no_rows(folder, models):
    """After room is made the run goes on: the same rows before, the same within rounding after.

    Positions that i-PI reads from its checkpoint differ from those it had by the rounding of one
    transformation to normal modes.
    """
    ase.io.write(folder / "start.xyz", ethanol())
    settings = pimd_settings(beads=2, time=0.01, timestep=0.1, stride=1, frame_stride=5, transport="socket")
    script = FULL.format(model=str(models["float64"]), settings=settings)
    failed = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1, failed.stderr
    assert "File too large" in failed.stderr
    kept = (folder / "run" / "simulation.out").read_text()
    atoms = ase.io.read(folder / "start.xyz")
    run_pimd(atoms, models["float64"], settings, folder / "run", resume=True, device="cpu")
    run_pimd(atoms, models["float64"], settings, folder / "whole", device="cpu")
    rows, whole = (pimd_rows(folder / name) for name in ("run", "whole"))
    assert 30 < kept.count("\n") < len(whole)
    np.testing.assert_allclose(rows, whole, rtol=1e-9, atol=1e-9)
    for name in ("simulation.out", "simulation.pos_0.xyz"):
        texts = [(folder / run / name).read_text() for run in ("run", "whole")]
        assert texts[0][:5000] == texts[1][:5000]
        assert texts[0].count("\n") == texts[1].count("\n")
