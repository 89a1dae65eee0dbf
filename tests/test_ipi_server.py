"""Against the i-PI of PyPI: every transport, physics with a known answer, a sample of disturbances."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase import units
from ase.build import bulk
from ase.calculators.socketio import SocketClient
from conftest import ethanol
from test_model_file import FOREIGN, write_foreign

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.path_integrals import harmonic_energy
from schnet_calc.ipi import Address, Client, ModelSpec, ProcessWorker, StructureError
from schnet_calc.ipi.input import INPUT, STRUCTURE, PIMDSettings, write_input
from schnet_calc.ipi.outputs import read_properties
from schnet_calc.ipi.server import Server
from schnet_calc.simulate import pimd as pimd_task
from schnet_calc.simulate.modes import MODE_UNIT, normal_modes
from schnet_calc.simulate.pimd import run_pimd
from schnet_calc.simulate.relax import relax
from schnet_calc.studies.c20 import dodecahedron

ROOT = Path(__file__).parents[1]
COLUMNS = ("conserved", "potential", "kinetic_cv", "r_gyration")
PATIENCE = 30


def settings(**options: object) -> PIMDSettings:
    defaults = {"beads": 4, "temperature": 300.0, "time": 0.02, "stride": 1, "frame_stride": 5, "seed": 2}
    return PIMDSettings(**{**defaults, "transport": "socket", **options})


@contextlib.contextmanager
def serving(folder: Path, prefix: str | None = None):
    """i-PI on the input of a folder; it has to end by itself."""
    server = Server(folder, INPUT, prefix=prefix)
    try:
        yield server
        assert server.wait(PATIENCE), server.last_words()
    finally:
        server.stop()


def serve(folder: Path, client: Client) -> np.ndarray:
    """Run i-PI on the input of a folder with a client; the trajectory."""
    with serving(folder, prefix=f"{folder}/"):
        client.run()
    return rows(folder)


def rows(folder: Path) -> np.ndarray:
    table = read_properties(folder / "simulation.out")
    return np.column_stack([table[name] for name in COLUMNS])


@pytest.fixture(scope="module")
def c20() -> SchNetCalculator:
    return SchNetCalculator("c20", device="cpu", dtype="float64")


@pytest.fixture
def folder(tmp_path_factory) -> Path:
    """A short path: it holds UNIX sockets."""
    return tmp_path_factory.mktemp("i")


@pytest.fixture(scope="module")
def direct(tmp_path_factory) -> np.ndarray:
    """The trajectory that i-PI gets by evaluating the model itself."""
    folder = tmp_path_factory.mktemp("direct")
    run_pimd(dodecahedron(), "c20", settings(transport="direct"), folder, device="cpu", dtype="float64")
    return rows(folder)


def prepare(folder: Path, address: Address | None = None, batched: bool = True, **options: object) -> None:
    path = write_input(dodecahedron(), settings(**options), folder, model="c20", address=address)
    if not batched:
        path.write_text(path.read_text().replace("<batch_size> 4 </batch_size>", ""))


def client(folder: Path, calculator: object, address: Address, **options: object) -> Client:
    return Client(calculator, ase.io.read(folder / STRUCTURE), address, wait=PATIENCE, **options)


def unix(folder: Path) -> Address:
    return Address(unix="schnet", prefix=f"{folder}/")


@pytest.mark.parametrize("connections", [1, 4, 6])
def test_connections_give_the_trajectory_of_the_direct_run(folder, c20, direct, connections):
    prepare(folder, batched=False)
    found = serve(folder, client(folder, c20, unix(folder), connections=connections))
    np.testing.assert_allclose(found, direct, rtol=0, atol=1e-9)


def test_batches_give_the_trajectory_of_the_direct_run(folder, c20, direct):
    prepare(folder)
    made = client(folder, c20, unix(folder))
    np.testing.assert_allclose(serve(folder, made), direct, rtol=0, atol=1e-9)
    # At the start all beads are in the same place: one structure.
    assert made.served.structures == 4 * (made.served.batches - 1) + 1


def test_a_dtnn_drives_i_pi(folder, networks):
    """Any network through both ways, and the energies that i-PI writes are the calculator's."""
    atoms, model = ethanol(), networks["DTNN"]["float64"]
    for transport in ("direct", "socket"):
        short = settings(transport=transport, beads=2, time=0.004, timestep=0.1, frame_stride=1)
        run = run_pimd(atoms, model, short, folder / transport, device="cpu")
    tables = [rows(folder / transport) for transport in ("direct", "socket")]
    np.testing.assert_allclose(tables[0], tables[1], atol=1e-8)
    frames = [beads[-1] for beads in run.beads()]
    found = SchNetCalculator(model).evaluate(frames)
    assert run.table()["potential"][-1] == pytest.approx(np.mean([p.energy for p in found]), abs=1e-3)


def test_tcp_and_a_worker_process_too(folder, direct):
    """Another loopback address stands for another host."""
    address = Address(host="127.0.0.2", port=31733)
    prepare(folder, address)
    worker = ProcessWorker(ModelSpec("c20", folder / STRUCTURE, "cpu", "float64"))
    np.testing.assert_allclose(serve(folder, client(folder, worker, address)), direct, rtol=0, atol=1e-9)


def test_ase_socket_client_agrees(folder, c20, direct):
    """The reference: another implementation of the protocol, without batches."""
    address = Address(unix=f"schnet{os.getpid()}")  # ASE knows one prefix only
    prepare(folder, address, batched=False)
    atoms = ase.io.read(folder / STRUCTURE)
    atoms.calc = c20
    with serving(folder) as server:
        while not Path(address.path).exists():
            assert not server.wait(0.1), server.last_words()
        SocketClient(unixsocket=address.unix).run(atoms, use_stress=False)
    np.testing.assert_allclose(rows(folder), direct, rtol=0, atol=1e-7)


def test_energies_of_atoms_as_extras(folder, c20):
    prepare(folder, time=0.005)
    path = folder / INPUT
    extra = '<trajectory stride="10" filename="e" extra_type="energies"> extras </trajectory>'
    path.write_text(path.read_text().replace("<checkpoint", extra + "<checkpoint", 1))
    potential = serve(folder, client(folder, c20, unix(folder), energies=True))[0, 1]
    first = (folder / "simulation.e_0").read_text().splitlines()[1].split()
    assert len(first) == 20
    assert sum(map(float, first)) == pytest.approx(potential, rel=2e-7)  # i-PI and ASE differ on the eV


def contracted(folder: Path, transport: str) -> None:
    """Two copies of the force, one of them on two beads of four."""
    prepare(folder, transport=transport)
    path = folder / INPUT
    text = path.read_text()
    one = '<force forcefield="schnet"/>'
    both = '<force forcefield="schnet" weight="0.5"/><force forcefield="schnet" weight="0.5" nbeads="2"/>'
    assert one in text
    # i-PI's own batches need all beads at once, unless it polls in a thread.
    text = text.replace('<ffdirect name="schnet"', '<ffdirect name="schnet" threaded="True"')
    path.write_text(text.replace(one, both).replace("{model: c20", "{dtype: float64, model: c20"))


def test_ring_polymer_contraction(folder, c20, tmp_path):
    contracted(tmp_path, "direct")
    with serving(tmp_path):
        pass
    contracted(folder, "socket")
    made = client(folder, c20, unix(folder))
    np.testing.assert_allclose(serve(folder, made), rows(tmp_path), rtol=0, atol=1e-9)


class Springs(torch.nn.Module):
    """Every pair of atoms joined by a spring: 3N - 3 equal oscillators and a free centre of mass."""

    def __init__(self, constant: float) -> None:
        super().__init__()
        self.constant = constant

    def forward(
        self,
        numbers: torch.Tensor,
        positions: torch.Tensor,
        pairs: torch.Tensor,
        shifts: torch.Tensor,
        system: torch.Tensor,
    ) -> torch.Tensor:
        vectors = positions[pairs[1]] + shifts - positions[pairs[0]]
        energies = 0.25 * self.constant * (vectors**2).sum(1)
        return torch.zeros_like(positions[:, 0]).index_add(0, pairs[0], energies)


@pytest.mark.parametrize(
    ("beads", "transport"),
    [(1, "direct"), (4, "socket"), (32, "direct")],
)
def test_harmonic_oscillators_have_the_energy_of_the_primitive_approximation(folder, beads, transport):
    n_atoms, temperature, quantum = 16, 300.0, 0.1
    constant = (quantum / MODE_UNIT) ** 2 * 1.008 / n_atoms
    write_foreign(folder / "springs.pt", FOREIGN, Springs(constant))
    atoms = ase.Atoms(f"H{n_atoms}", np.random.default_rng(0).normal(scale=0.2, size=(n_atoms, 3)))
    run = run_pimd(
        atoms,
        folder / "springs.pt",
        settings(
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


def test_vibrations_of_i_pi_are_our_normal_modes(folder, c20):
    start = dodecahedron()
    start.rattle(0.05, seed=0)
    atoms = relax(start, c20, fmax=1e-5, steps=2000).atoms
    write_input(atoms, settings(beads=1, time=0.1), folder, model="c20")
    text = (folder / INPUT).read_text()
    begin, end = text.index("<motion"), text.index("</motion>")
    vibrations = (
        '<motion mode="vibrations"><vibrations mode="fd"> <pos_shift> 0.005 </pos_shift> '
        "<prefix> modes </prefix> <asr> none </asr> </vibrations>"
    )
    (folder / INPUT).write_text(text[:begin] + vibrations + text[end:])
    with serving(folder, prefix=f"{folder}/"):
        client(folder, c20, unix(folder)).run()
    squares = np.loadtxt(folder / "simulation.modes.eigval")
    atomic_time = units._hbar / (units.Hartree * units._e)
    wavenumbers = np.sqrt(np.abs(squares)) / (2 * np.pi * units._c * 100 * atomic_time)
    np.testing.assert_allclose(np.sort(wavenumbers)[6:], normal_modes(atoms, c20).frequencies, atol=0.5)


@pytest.fixture
def crystal() -> ase.Atoms:
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=4)
    return atoms


def test_pressure_of_a_crystal_is_that_of_its_stress(folder, models, crystal):
    calculator = SchNetCalculator(models["float64"], device="cpu")
    write_input(crystal, settings(beads=1, time=0.01, timestep=0.2), folder, model="x")
    path = folder / INPUT
    text = path.read_text()
    text = text.replace(
        "r_gyration{angstrom}",
        "r_gyration{angstrom}, virial_md{ev/ang3}, cell_h{angstrom}, volume{angstrom3}",
    ).replace('mode="nvt"', 'mode="npt"')
    barostat = (
        '<barostat mode="isotropic"> <tau units="femtosecond"> 50 </tau> '
        '<thermostat mode="langevin"> <tau units="femtosecond"> 50 </tau> </thermostat> </barostat>'
    )
    text = text.replace("<timestep", barostat + "<timestep", 1)
    text = text.replace("</ensemble>", '<pressure units="megapascal"> 1 </pressure> </ensemble>')
    text = text.replace('format="xyz" cell_units="angstrom"', 'format="ase"').replace(
        "{angstrom} </tr", " </tr"
    )
    path.write_text(text)
    serve(folder, client(folder, calculator, unix(folder)))
    table = read_properties(folder / "simulation.out")
    frames = ase.io.read(folder / "simulation.pos_0.extxyz", ":")
    assert len(frames) > 5
    assert np.ptp(table["volume"]) > 0
    for frame, virial, step in zip(frames, table["virial_md"][::5], table["step"][::5], strict=True):
        frame.set_pbc(True)
        frame.calc = calculator
        pressure = -frame.get_stress()[[0, 1, 2, 5, 4, 3]]  # i-PI's order: xx, yy, zz, xy, xz, yz
        np.testing.assert_allclose(virial, pressure, atol=2e-6, err_msg=f"step {step}")


KILLED = """
import os, signal
import schnet_calc.simulate.pimd as pimd
from schnet_calc.ipi.input import PIMDSettings
from schnet_calc.studies.c20 import dodecahedron

servers = []

class Remembered(pimd.Server):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        servers.append(self)

def stop(step, row):
    if step > 10:
        os.killpg(servers[0].process.pid, signal.SIGKILL)

pimd.Server, pimd.POLL = Remembered, 0.005
settings = {settings!r}
pimd.run_pimd(
    dodecahedron(), "c20", settings, {folder!r}, device="cpu", dtype="float64", progress=stop
)
"""


def test_a_run_that_was_killed_goes_on_as_if_nothing_had_happened(folder, direct):
    """SIGKILL for i-PI and everything with it; then the same call with resume."""
    script = KILLED.format(settings=settings(transport="direct"), folder=str(folder / "run"))
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "i-PI ended after" in killed.stderr, killed.stderr
    run_pimd(
        dodecahedron(),
        "c20",
        settings(transport="direct"),
        folder / "run",
        resume=True,
        device="cpu",
        dtype="float64",
    )
    np.testing.assert_allclose(rows(folder / "run"), direct, rtol=0, atol=1e-9)


def test_a_longer_time_continues_a_finished_run(folder):
    short, long = (
        settings(beads=2, time=0.005, transport="direct"),
        settings(beads=2, time=0.01, transport="direct"),
    )
    run_pimd(dodecahedron(), "c20", short, folder / "a", device="cpu")
    run_pimd(dodecahedron(), "c20", long, folder / "a", device="cpu", resume=True)
    run_pimd(dodecahedron(), "c20", long, folder / "b", device="cpu")
    np.testing.assert_allclose(rows(folder / "a"), rows(folder / "b"), rtol=0, atol=1e-6)
    with pytest.raises(FileExistsError, match="resume it"):
        run_pimd(dodecahedron(), "c20", long, folder / "a", device="cpu")
    with pytest.raises(ValueError, match="beads = 2, not 4"):
        run_pimd(dodecahedron(), "c20", settings(time=0.01), folder / "a", device="cpu", resume=True)


@pytest.mark.parametrize("order", [("socket", "direct"), ("direct", "socket")])
def test_a_run_goes_on_with_another_transport(folder, order):
    long = [settings(beads=2, time=0.01, transport=t) for t in order]
    short = settings(beads=2, time=0.005, transport=order[0])
    run_pimd(dodecahedron(), "c20", short, folder / "a", device="cpu", dtype="float64")
    run_pimd(dodecahedron(), "c20", long[1], folder / "a", device="cpu", dtype="float64", resume=True)
    run_pimd(dodecahedron(), "c20", long[0], folder / "b", device="cpu", dtype="float64")
    np.testing.assert_allclose(rows(folder / "a"), rows(folder / "b"), rtol=0, atol=1e-9)


def test_another_start_or_isotope_is_another_run(folder):
    short = settings(beads=2, time=0.005, transport="direct")
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


def test_two_runs_never_share_a_folder(folder):
    """The lock is i-PI's too: it outlives a launcher that was killed."""
    script = f"""
import os, signal
import schnet_calc.simulate.pimd as pimd
from schnet_calc.ipi.input import PIMDSettings
from schnet_calc.studies.c20 import dodecahedron
pimd.POLL = 0.01
pimd.run_pimd(dodecahedron(), "c20", {settings(beads=2, time=50.0, transport="direct")!r}, {str(folder)!r},
    device="cpu", progress=lambda step, row: os.kill(os.getpid(), signal.SIGKILL))
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    found = subprocess.run(["pgrep", "-f", "i-pi input.xml"], capture_output=True, text=True, check=False)
    orphans = [int(p) for p in found.stdout.split() if Path(f"/proc/{p}/cwd").resolve() == folder.resolve()]
    assert len(orphans) == 1
    with pytest.raises(RuntimeError, match="another run is at work in"):
        run_pimd(
            dodecahedron(),
            "c20",
            settings(beads=2, time=50.0, transport="direct"),
            folder,
            device="cpu",
            resume=True,
        )
    os.kill(orphans[0], signal.SIGKILL)


def test_an_i_pi_that_dies_is_told_at_once(folder, monkeypatch):
    write = pimd_task.write_input

    def broken(*arguments, **options):
        path = write(*arguments, **options)
        path.write_text(path.read_text().replace("<timestep", "<timestamp"))
        return path

    monkeypatch.setattr(pimd_task, "write_input", broken)
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"i-PI ended after 0 of 40 steps"):
        run_pimd(dodecahedron(), "c20", settings(), folder, device="cpu")
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
            atoms, folder / "bad.pt", settings(time=1.0, transport=transport), folder / "run", device="cpu"
        )
    failed = ase.io.read(folder / "run" / "failed_structure.xyz")
    assert abs(failed.get_distance(0, 1) - 1.0) > 0.004


def _interruptions():
    spec = importlib.util.spec_from_file_location("interruptions", ROOT / "benchmarks" / "interruptions.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["interruptions"] = module
    spec.loader.exec_module(module)
    return module


interruptions = _interruptions()


@pytest.fixture(scope="module")
def undisturbed():
    calculator = SchNetCalculator("c20", device="cpu")
    result, outcome = interruptions.perform(interruptions.undisturbed, True, calculator, 0)
    assert outcome == "completed"
    return calculator, result


@pytest.mark.parametrize(
    ("disturb", "batched"),
    interruptions.DISTURBANCES,
    ids=lambda d: getattr(d, "__name__", "batched" if d else ""),
)
def test_disturbed_runs_end_with_the_same_trajectory(undisturbed, disturb, batched):
    """A sample; ``benchmarks/interruptions.py`` does a hundred."""
    calculator, expected = undisturbed
    before = threading.active_count()
    result, outcome = interruptions.perform(disturb, batched, calculator, seed=11)
    assert outcome == "completed"
    # A restart passes through i-PI's text file and its normal modes: the last digit may differ.
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)
    assert threading.active_count() <= before + 1  # a thread may just be ending
