"""Ring polymers integrated as arrays: against exact averages, and runs that are the same however they are made."""

import numpy as np
import pytest

from helpers import ethanol, pimd_rows, pimd_settings
from schnet_calc import load_model
from schnet_calc.analysis.path_integrals import harmonic_energy
from schnet_calc.simulate.ring_polymer_run import run_ring_polymers
from schnet_calc.simulate.ring_polymers import HBAR, Bath, Integrator, mode_matrix
from schnet_calc.studies.c20 import dodecahedron

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


@pytest.mark.parametrize(
    ("beads", "thermostat"),
    [(1, "pile_l"), (4, "pile_l"), (16, "pile_l"), (4, "pile_g"), (4, "langevin")],
)
def test_harmonic_oscillators_have_the_averages_of_finitely_many_beads(beads, thermostat):
    """Energy by both estimators; the temperature of every normal mode."""
    replicas, n_atoms = 20, 20
    integrator = Integrator(np.ones(n_atoms), beads, 0.25, Bath(KELVIN, thermostat, 20.0))
    s = integrator.start(np.zeros((replicas, n_atoms, 3)), range(replicas))
    run(integrator, s, harmonic, 400)
    names = ("potential", "kinetic_cv", "kinetic_td")

    def look(s):
        return *(integrator.properties(s)[n] for n in names), s.kinetic

    series = run(integrator, s, harmonic, 600, look)
    exact = 1.5 * n_atoms * harmonic_energy(QUANTUM, KELVIN, beads)
    for k, name in enumerate(names):
        means = np.mean([row[k] for row in series], axis=0)  # of each replica
        assert abs(means.mean() - exact) < 3.5 * means.std() / np.sqrt(replicas) + 2e-3 * exact, name
    kinetic = np.mean([row[3] for row in series], axis=0)
    warmth = kinetic / (1.5 * n_atoms * integrator.hot) - 1
    assert np.all(abs(warmth.mean(axis=0)) < 4 * warmth.std(axis=0) / np.sqrt(replicas) + 2e-3)


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
