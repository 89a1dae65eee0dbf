"""Ring polymers integrated as arrays: against exact averages, and runs that are the same however they are made."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import ase.io
import numpy as np
import pytest
from ase import units
from ase.build import bulk, molecule
from ipi.utils.units import UnitMap

from helpers import ethanol, pimd_rows, pimd_settings
from schnet_calc import SchNetCalculator, load_model
from schnet_calc.analysis.finite_beads import (
    harmonic_averages,
    quantum_energies,
)
from schnet_calc.ipi.input import i_pi_structure, write_input
from schnet_calc.ipi.outputs import read_properties
from schnet_calc.ipi.server import Server
from schnet_calc.simulate.bias import expected_bias
from schnet_calc.simulate.relax import relax
from schnet_calc.simulate.ring_polymer_run import BeadForces, run_ring_polymers
from schnet_calc.simulate.ring_polymers import HBAR, Bath, Integrator, mode_matrix
from schnet_calc.studies.c20 import dodecahedron
from verification.rings import harmonic_gyration, trotter_averages, trotter_gyration

KELVIN = 300.0
QUANTUM = 0.1
"""ħω, eV: a quarter of an electronvolt of zero-point energy for ten thermal energies."""


def harmonic(places):
    """Atoms of mass one in wells of ħω = QUANTUM: energies (R, P) and forces."""
    constant = (QUANTUM / HBAR) ** 2
    return 0.5 * constant * (places**2).sum(axis=(2, 3)), -constant * places


def run(integrator, s, forces, n_steps, each=None):
    """Integrate with forces from a function; what another one says after each step."""
    integrator.take(s, *forces(integrator.places(s)))
    found = []
    for _ in range(n_steps):
        integrator.begin(s)
        integrator.take(s, *forces(integrator.places(s)))
        integrator.finish(s)
        if each is not None:
            found.append(each(s))
    return found


@pytest.mark.parametrize("beads", [1, 2, 3, 8])
def test_normal_modes_diagonalise_the_springs(beads):
    matrix = mode_matrix(beads)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(beads), atol=1e-14)
    ring = 2 * np.eye(beads) - np.roll(np.eye(beads), 1, 0) - np.roll(np.eye(beads), -1, 0)
    squares = 4 * np.sin(np.pi * np.arange(beads) / beads) ** 2
    np.testing.assert_allclose(matrix @ ring @ matrix.T, np.diag(squares), atol=1e-13)


NAMES = ("potential", "kinetic_cv", "kinetic_td", "r_gyration")


def means_of_replicas(integrator, forces, n_steps, replicas=20, n_atoms=20):
    """(R, 4) energies per degree of freedom, eV, and radii, Å; (R, P) kinetic energies of modes over their due."""
    s = integrator.start(np.zeros((replicas, n_atoms, 3)), range(replicas))
    run(integrator, s, forces, 2 * n_steps // 3)

    def look(s):
        found = integrator.properties(s)
        return np.stack([found[n] for n in NAMES], axis=1), s.kinetic

    series = run(integrator, s, forces, n_steps, look)
    energies = np.mean([row[0] for row in series], axis=0) / np.array([3 * n_atoms] * 3 + [1])
    return energies, np.mean([row[1] for row in series], axis=0) / (1.5 * n_atoms * integrator.hot)


def agrees(found, exact, share):
    """Means over replicas within 3.5 standard errors, of which rounding is none, and a share."""
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    return np.all(abs(found.mean(axis=0) - exact) <= 3.5 * error + share * np.abs(exact))


@pytest.mark.parametrize(
    ("beads", "thermostat", "timestep"),
    [
        (1, "pile_l", 0.25),
        (4, "pile_l", 0.25),
        (16, "pile_l", 0.25),
        (4, "pile_g", 0.25),
        (4, "langevin", 0.25),
        (1, "pile_l", 5.0),
        (4, "pile_l", 4.0),
    ],
)
def test_harmonic_oscillators_have_exact_averages(beads, thermostat, timestep):
    """Of so many beads and of that time step, by both estimators; and the temperature of every normal mode."""
    integrator = Integrator(np.ones(20), beads, timestep, Bath(KELVIN, thermostat, 20.0))
    energies, warmth = means_of_replicas(integrator, harmonic, 600)
    exact = harmonic_averages(np.array([QUANTUM]), KELVIN, beads, timestep)
    radius = harmonic_gyration(QUANTUM, 1.0, KELVIN, beads, timestep)
    assert agrees(energies, np.array([*np.concatenate(exact[:3]), radius]), 2e-3)
    assert agrees(warmth, np.ones(beads), 2e-3)


@pytest.mark.parametrize("beads", [1, 4])
def test_morse_oscillators_have_exact_averages(beads):
    """Of an O-H bond's frequency; the exact ones are powers of a matrix."""
    depth, steepness, mass = 4.0, 2.2, 1.0

    def morse(x):
        return depth * (1.0 - np.exp(-steepness * x)) ** 2

    def forces(places):
        decay = np.exp(-steepness * places)
        return morse(places).sum(axis=(2, 3)), -2 * depth * steepness * decay * (1.0 - decay)

    grid = np.linspace(-0.6, 1.5, 500)
    exact = trotter_averages(grid, morse(grid), mass, KELVIN, beads)
    integrator = Integrator(np.full(20, mass), beads, 0.2, Bath(KELVIN, "pile_l", 20.0))
    energies, _ = means_of_replicas(integrator, forces, 900)
    grid = np.linspace(-0.42, 0.78, 61)
    radius = trotter_gyration(grid, morse(grid), mass, KELVIN, beads)
    assert agrees(energies, np.array([exact.potential, exact.kinetic, exact.kinetic, radius]), 5e-3)


def test_trpmd_has_the_frequency_and_the_intensity_of_a_harmonic_oscillator():
    """From thermalised ring polymers; a period later each centroid is where it was."""
    beads, period = 8, 2 * np.pi * HBAR / QUANTUM / units.fs
    timestep = period / 200
    warming = Integrator(np.ones(20), beads, timestep, Bath(KELVIN, "pile_l", 20.0))
    s = warming.start(np.zeros((20, 20, 3)), range(20))
    run(warming, s, harmonic, 1000)
    integrator = Integrator(np.ones(20), beads, timestep, Bath.trpmd(KELVIN))
    paths = np.array(run(integrator, s, harmonic, 400, lambda s: integrator.places(s).mean(axis=1)))
    thermal = units.kB * KELVIN / (QUANTUM / HBAR) ** 2
    squares = (paths**2).mean(axis=(0, 2, 3)) / thermal
    assert agrees(squares, 1.0, 2e-3)
    assert np.abs(paths[200:] - paths[:200]).max() < 2e-3 * np.abs(paths).max()
    quarter = paths[50:] * paths[:-50]
    assert abs(quarter.mean()) < 0.1 * thermal


@pytest.mark.parametrize("bath", [Bath(KELVIN, "none"), Bath(KELVIN, "pile_l", 50.0), Bath.trpmd(KELVIN)])
def test_the_constant_of_motion_is_conserved(bath):
    """With the second power of the time step."""
    worst = []
    for timestep in (0.5, 0.25):
        integrator = Integrator(np.ones(3), 8, timestep, bath)
        s = integrator.start(np.zeros((5, 3, 3)), range(5))
        values = run(integrator, s, harmonic, round(200 / timestep), integrator.conserved)
        worst.append(np.ptp(values, axis=0).mean())
    assert worst[0] < 0.02
    assert 3 < worst[0] / worst[1] < 6


@pytest.fixture(scope="module")
def model(models):
    return load_model(models["float64"], device="cpu", on_doubt="ignore")


def short(**options):
    """Of a molecule that is stiff."""
    return pimd_settings(time=0.002, timestep=0.1, stride=2, **options)


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("simulation.*")}


@pytest.mark.parametrize("method", ["pimd", "trpmd"])
def test_a_replica_is_the_same_whoever_is_beside_it(folder, model, method):
    settings = short(method=method, time_constant=0.1)
    for count in (1, 3):
        run_ring_polymers(ethanol(), model, settings, folder / str(count), replicas=count)
    assert files(folder / "1") == files(folder / "3" / "replica_0")
    rows = [pimd_rows(folder / "3" / f"replica_{k}") for k in (0, 1)]
    assert not np.allclose(*rows)


class Interrupted(Exception):
    """Not an error of ours."""


@pytest.mark.parametrize("last", [-4, 8])
def test_an_interrupted_run_goes_on_to_the_bit(folder, model, last):
    """While it equilibrates, too; and a longer time continues a run that has ended."""
    settings = short(method="trpmd", time_constant=0.1)

    def stop(step, row):
        if step == last:
            raise Interrupted

    with pytest.raises(Interrupted):
        run_ring_polymers(ethanol(), model, settings, folder / "a", replicas=2, progress=stop)
    with pytest.raises(FileExistsError, match="resume it"):
        run_ring_polymers(ethanol(), model, settings, folder / "a", replicas=2)
    with pytest.raises(ValueError, match="replicas = 2, not 3"):
        run_ring_polymers(ethanol(), model, settings, folder / "a", replicas=3, resume=True)
    longer = pimd_settings(time=0.003, timestep=0.1, stride=2, method="trpmd", time_constant=0.1)
    for name, several in (("a", (settings, longer)), ("b", (longer,))):
        for one in several:
            run_ring_polymers(ethanol(), model, one, folder / name, replicas=2, resume=True)
    assert files(folder / "a") == files(folder / "b")


FULL = """
import resource
import ase.io
from schnet_calc.ipi.input import PIMDSettings
from schnet_calc.simulate.ring_polymer_run import run_ring_polymers
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))  # like a disk that is full
run_ring_polymers(ase.io.read("start.xyz"), {model!r}, {settings!r}, "run", replicas=2, device="cpu")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no limits on the size of files elsewhere")
@pytest.mark.parametrize(("size", "full"), [(12000, "simulation"), (5000, "ring_polymers.npz")])
def test_a_full_disk_costs_nothing(folder, models, size, full):
    """Rows and frames, or the state: the file is named, and a resumed run is that of one go to the bit."""
    ase.io.write(folder / "start.xyz", ethanol())
    beads, frames = (4, 100) if full.startswith("ring") else (2, 2)
    settings = pimd_settings(beads=beads, time=0.02, timestep=0.1, stride=2, frame_stride=frames)
    script = FULL.format(size=size, model=str(models["float64"]), settings=settings)
    failed = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    last = failed.stderr.splitlines()[-1]
    assert failed.returncode == 1
    assert "File too large (resume goes on once there is room)" in last, failed.stderr
    assert full in last
    atoms = ase.io.read(folder / "start.xyz")
    for name in ("run", "whole"):
        run_ring_polymers(
            atoms, str(models["float64"]), settings, folder / name, replicas=2, resume=True, device="cpu"
        )
    assert files(folder / "run") == files(folder / "whole")


def test_a_run_is_read_as_one_of_i_pi(folder, model):
    settings = short(beads=2, frame_stride=4)
    found = run_ring_polymers(ethanol(), model, settings, folder, replicas=3)
    assert [len(beads) for beads in found.beads()] == [6] * 6
    first = found.beads()[0][-1]
    assert first.info["step"] == 20
    np.testing.assert_allclose(
        found.centroids()[-1].positions, 0.5 * (first.positions + found.beads()[1][-1].positions), atol=1e-7
    )
    energies = [model.evaluate([beads[-1]])[0].energy for beads in found.beads()]
    np.testing.assert_allclose(found.table()["potential"][-1], np.mean(energies), atol=1e-6)
    estimated = found.estimators()
    assert estimated.temperature.error > 0


def test_doubtful_beads_are_counted(folder):
    atoms = dodecahedron()
    atoms.positions *= 1.3
    short = pimd_settings(beads=2, time=0.002)
    found = run_ring_polymers(atoms, "c20", short, folder, replicas=2, device="cpu")
    assert found.doubts.count >= 4 * short.n_steps
    assert "structure 0: " in found.doubts.reason


def test_what_makes_no_sense_is_named(folder, model):
    with pytest.raises(ValueError, match="replicas must be at least 1, got 0"):
        run_ring_polymers(ethanol(), model, short(), folder, replicas=0)


AU_TIME = HBAR / units.Hartree
ELECTRON = units._me / units._amu
"""amu"""


def state_of(checkpoint, beads, n_atoms):
    """Positions and momenta (1, P, N, 3) that i-PI has written, in its units."""
    kept = ElementTree.parse(checkpoint).getroot().find("system/beads")
    texts = [kept.findtext(name).strip(" []\n").split(",") for name in "qp"]
    return [np.array(x, dtype=float).reshape(1, beads, n_atoms, 3) for x in texts]


@pytest.mark.slow
@pytest.mark.parametrize("beads", [1, 4])
def test_rpmd_is_that_of_i_pi(folder, beads):
    """A hundred steps from one state, with i-PI's values of the constants of nature: equal to its rounding."""
    atoms, n_steps = dodecahedron(), 100
    atoms.rattle(0.05, seed=1)
    settings = pimd_settings(
        beads=beads, time=0.5e-3 * n_steps, thermostat="none", transport="direct", stride=1
    )
    path = write_input(atoms, settings, folder, models=["c20"], options={"dtype": "float64"})
    path.write_text(path.read_text().replace('<checkpoint stride="5"', '<checkpoint stride="1"'))
    server = Server(folder, path.name)
    try:
        assert server.wait(200), server.last_words()
    finally:
        server.stop()
    (q, p), (last, _) = (state_of(folder / n, beads, 20) for n in ("simulation.checkpoint_0", "RESTART"))
    masses = atoms.get_masses() * UnitMap["mass"]["dalton"] * ELECTRON
    kelvin = KELVIN * UnitMap["energy"]["kelvin"] * units.Hartree / units.kB
    step = 0.5e-15 * UnitMap["time"]["second"] * AU_TIME / units.fs
    integrator = Integrator(masses, beads, step, Bath(kelvin, "none"))
    matrix, weights = mode_matrix(beads), np.sqrt(masses)[:, None]
    s = integrator.start(np.zeros((1, 20, 3)), [0])
    s.positions = np.einsum("kj,rjnx->rknx", matrix, q * units.Bohr * weights)
    s.momenta = np.einsum("kj,rjnx->rknx", matrix, p * ELECTRON * units.Bohr / AU_TIME / weights)
    forces = BeadForces(load_model("c20", device="cpu", dtype="float64"), i_pi_structure(atoms), beads)
    run(integrator, s, forces, n_steps)
    np.testing.assert_allclose(integrator.places(s), last * units.Bohr, rtol=0, atol=1e-9)
    found, row = integrator.properties(s), read_properties(folder / "simulation.out")
    for name, values in found.items():
        assert values[0] == pytest.approx(row[name][-1], rel=2e-6), name


def test_biases_are_known_before_a_run(model):
    """Of formaldehyde's vibrations: too few beads, too long a step, and what would do."""
    atoms = relax(molecule("H2CO"), SchNetCalculator("h2co", dtype="float64"), fmax=1e-2).atoms
    bias = expected_bias(atoms, load_model("h2co"), KELVIN, 8, 0.5)
    exact = harmonic_averages(bias.quanta, KELVIN, 8)
    assert bias.of_beads == pytest.approx(
        exact.kinetic_virial.sum() / (0.5 * quantum_energies(bias.quanta, KELVIN).sum()) - 1
    )
    assert -0.2 < bias.of_beads < -0.1
    assert 0.01 < bias.of_timestep < 0.02
    few, long = bias.warnings()
    assert few.startswith("8 beads at 300 K are too few for vibrations up to 30")
    assert few.endswith(f"{bias.enough_beads()} beads would do")
    assert long.endswith(f"{bias.short_timestep():g} fs would do")
    better = expected_bias(atoms, load_model("h2co"), KELVIN, bias.enough_beads(), bias.short_timestep())
    assert abs(better.of_beads) < 0.01
    assert better.of_timestep < 0.011
    assert expected_bias(molecule("H"), load_model("h2co"), KELVIN, 8, 0.5) is None
    assert expected_bias(bulk("Si"), load_model("silicon"), KELVIN, 1, 0.5) is None
