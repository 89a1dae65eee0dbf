"""Against the i-PI of PyPI: every transport gives the same trajectory."""

import contextlib
import os
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.socketio import SocketClient

from helpers import pimd_rows, pimd_settings
from schnet_calc import SchNetCalculator
from schnet_calc.ipi import Address, Client, ModelSpec, ProcessWorker
from schnet_calc.ipi.evaluator import Evaluator
from schnet_calc.ipi.input import INPUT, STRUCTURE, write_input
from schnet_calc.ipi.outputs import read_properties
from schnet_calc.ipi.server import Server
from schnet_calc.simulate.modes import normal_modes
from schnet_calc.simulate.relax import relax
from schnet_calc.studies.c20 import dodecahedron

PATIENCE = 30


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
    return pimd_rows(folder)


def prepare(folder: Path, address: Address | None = None, batched: bool = True, **options: object) -> None:
    path = write_input(dodecahedron(), pimd_settings(**options), folder, models=["c20"], address=address)
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


def test_tcp_and_a_worker_process_too(folder, direct):
    """Another loopback address stands for another host."""
    address = Address(host="127.0.0.2", port=31733)
    prepare(folder, address)
    worker = ProcessWorker(ModelSpec(("c20",), folder / STRUCTURE, "cpu", "float64"))
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
    np.testing.assert_allclose(pimd_rows(folder), direct, rtol=0, atol=1e-7)


def test_energies_of_atoms_as_extras(folder, c20):
    prepare(folder, time=0.005)
    path = folder / INPUT
    extra = '<trajectory stride="10" filename="e" extra_type="energies"> extras </trajectory>'
    path.write_text(path.read_text().replace("<checkpoint", extra + "<checkpoint", 1))
    evaluator = Evaluator(c20.model, ase.io.read(folder / STRUCTURE), energies=True)
    potential = serve(folder, client(folder, evaluator, unix(folder)))[0, 1]
    first = (folder / "simulation.e_0").read_text().splitlines()[1].split()
    assert len(first) == 20
    assert sum(map(float, first)) == pytest.approx(potential, rel=2e-7)  # i-PI and ASE differ on the eV


def polled(text: str) -> str:
    """An input whose batches need not be filled, in float64."""
    text = text.replace('<ffdirect name="schnet"', '<ffdirect name="schnet" threaded="True"')
    return text.replace("{model: c20", "{dtype: float64, model: c20")


def contracted(folder: Path, transport: str) -> None:
    """Two copies of the force, one of them on two beads of four."""
    prepare(folder, transport=transport)
    path = folder / INPUT
    text = path.read_text()
    one = '<force forcefield="schnet"/>'
    both = '<force forcefield="schnet" weight="0.5"/><force forcefield="schnet" weight="0.5" nbeads="2"/>'
    assert one in text
    path.write_text(polled(text).replace(one, both))


@pytest.mark.slow
def test_a_batch_that_the_beads_do_not_fill(folder, direct):
    """Four beads in batches of three: i-PI waits for the rest for ever, unless it polls in a thread."""
    prepare(folder, transport="direct")
    path = folder / INPUT
    text = polled(path.read_text())
    assert "<batch_size> 4 </batch_size>" in text
    path.write_text(text.replace("<batch_size> 4 </batch_size>", "<batch_size> 3 </batch_size>"))
    with serving(folder):
        pass
    np.testing.assert_allclose(pimd_rows(folder), direct, rtol=0, atol=1e-9)


def test_ring_polymer_contraction(folder, c20, tmp_path):
    contracted(tmp_path, "direct")
    with serving(tmp_path):
        pass
    contracted(folder, "socket")
    made = client(folder, c20, unix(folder))
    np.testing.assert_allclose(serve(folder, made), pimd_rows(tmp_path), rtol=0, atol=1e-9)


def test_vibrations_of_i_pi_are_our_normal_modes(folder, c20):
    start = dodecahedron()
    start.rattle(0.05, seed=0)
    atoms = relax(start, c20, fmax=1e-5, steps=2000).atoms
    write_input(atoms, pimd_settings(beads=1, time=0.1), folder, models=["c20"])
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
    write_input(crystal, pimd_settings(beads=1, time=0.01, timestep=0.2), folder, models=["x"])
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
