"""Replicas of a simulation in one batch."""

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from helpers import ethanol
from schnet_calc import SchNetCalculator
from schnet_calc.simulate.md import MDSettings, run_md
from schnet_calc.simulate.replicas import run_replicas


def test_replicas_without_thermostat_are_like_alone(tmp_path):
    calculator = SchNetCalculator("ethanol", dtype="float64")
    settings = MDSettings(200, 0.02, thermostat="none", interval=10, equilibrate=0.0)
    structures = [molecule("CH3CH2OH") for _ in range(3)]
    found = run_replicas(structures, calculator, settings, tmp_path / "together")
    drifts = []
    for k, start in enumerate(found.structures):
        alone = run_md(start, calculator, settings, tmp_path / str(k))
        frames = list(found.frames(k))
        last = ase.io.read(alone.trajectory)
        np.testing.assert_allclose(frames[-1].positions, last.positions, atol=1e-9)
        np.testing.assert_allclose(frames[-1].get_momenta(), last.get_momenta(), atol=1e-9)
        assert frames[-1].info["energy"] == pytest.approx(last.get_potential_energy(), abs=1e-8)
        drifts.append(alone.table()["temperature_k"])
    assert not np.allclose(found.structures[0].get_momenta(), found.structures[1].get_momenta())
    np.testing.assert_allclose(found.run.table()["temperature_k"], np.mean(drifts, axis=0), rtol=1e-3)


def test_replicas_of_any_kind_resume(models, tmp_path):
    calculator = SchNetCalculator(models["float64"])
    crystal = bulk("Si", cubic=True)
    settings = MDSettings(300, 0.01, thermostat="langevin", interval=5, equilibrate=0.01)
    first = run_replicas([crystal, ethanol()], calculator, settings, tmp_path / "r")
    longer = MDSettings(300, 0.02, thermostat="langevin", interval=5, equilibrate=0.01)
    with pytest.raises(FileExistsError):
        run_replicas([crystal, ethanol()], calculator, longer, tmp_path / "r")
    second = run_replicas([crystal, ethanol()], calculator, longer, tmp_path / "r", resume=True)
    frames = list(second.frames(0))
    assert len(frames) == 9
    assert frames[0].pbc.all()
    np.testing.assert_allclose(frames[0].cell, crystal.cell)
    assert len(next(iter(first.frames(1)))) == 9
    for k in (0, 1):
        expected = calculator.evaluate([list(second.frames(k))[-1]])[0].energy
        assert list(second.frames(k))[-1].info["energy"] == pytest.approx(expected, abs=1e-8)


def test_replicas_go_on_with_their_own_cells_and_models_only(models, tmp_path):
    calculator = SchNetCalculator(models["float64"])
    settings = MDSettings(300, 0.005, thermostat="langevin", interval=5, equilibrate=0.0)
    run_replicas([bulk("Si")] * 2, calculator, settings, tmp_path)
    with pytest.raises(ValueError, match="has cells"):
        run_replicas([bulk("Si", a=5.8)] * 2, calculator, settings, tmp_path, resume=True)
    with pytest.raises(ValueError, match="has atomic_numbers"):
        run_replicas([bulk("Si")], calculator, settings, tmp_path, resume=True)
    other = SchNetCalculator([models["float64"], models["float32"]])
    with pytest.raises(ValueError, match="has model"):
        run_replicas([bulk("Si")] * 2, other, settings, tmp_path, resume=True)


def test_equal_replicas_are_refused(models, tmp_path):
    atoms = ethanol()
    atoms.set_momenta(np.ones((9, 3)))
    calculator = SchNetCalculator(models["float64"])
    with pytest.raises(ValueError, match="replicas 0 and 1 have the same positions and momenta"):
        run_replicas([atoms, atoms], calculator, MDSettings(300, 0.1, thermostat="none"), tmp_path)


def test_bad_replicas_are_named(models, tmp_path):
    calculator = SchNetCalculator(models["float64"])
    with pytest.raises(ValueError, match="acts on each atom alone"):
        run_replicas([ethanol()], calculator, MDSettings(300, 0.1, thermostat="bussi"), tmp_path)
    with pytest.raises(ValueError, match="no replicas"):
        run_replicas([], calculator, MDSettings(300, 0.1), tmp_path)
    fixed = ethanol()
    fixed.set_constraint(ase.constraints.FixAtoms([0]))
    with pytest.raises(ValueError, match="constraints"):
        run_replicas([fixed], calculator, MDSettings(300, 0.1), tmp_path)


def test_a_replica_is_the_same_whoever_is_beside_it(models, tmp_path):
    """Random numbers are its own, in the equilibration too."""
    calculator = SchNetCalculator(models["float64"])
    for thermostat in ("none", "langevin"):
        settings = MDSettings(
            temperature=300, time=0.005, thermostat=thermostat, interval=5, equilibrate=0.005
        )
        last = []
        for count in (2, 3):
            folder = tmp_path / f"{thermostat}{count}"
            found = run_replicas([ethanol()] * count, calculator, settings, folder)
            last.append([list(found.frames(k))[-1].positions for k in (0, 1)])
        np.testing.assert_array_equal(*last)
        assert not np.allclose(*last[0])


def with_objects(monkeypatch):
    """Replicas evaluated one object each, as those of different atoms are."""
    monkeypatch.setattr("schnet_calc.simulate.replicas._alike", lambda structures: False)


def test_replicas_are_evaluated_as_arrays(tmp_path, monkeypatch):
    """Without objects and dipoles at every step, to the bit what these give."""
    calculator = SchNetCalculator("h2co")
    settings = MDSettings(300, 0.01, thermostat="none", interval=5, equilibrate=0.005)
    runs = [molecule("H2CO")] * 3
    with monkeypatch.context() as changed:
        changed.setattr(calculator.engine, "compute", None)
        arrays = run_replicas(runs, calculator, settings, tmp_path / "arrays")
    with_objects(monkeypatch)
    objects = run_replicas(runs, calculator, settings, tmp_path / "objects")
    assert arrays.run.log.read_bytes() == objects.run.log.read_bytes()
    for k in range(3):
        for one, other in zip(arrays.frames(k), objects.frames(k), strict=True):
            np.testing.assert_array_equal(one.positions, other.positions)
            np.testing.assert_array_equal(one.get_momenta(), other.get_momenta())
            assert one.info["energy"] == other.info["energy"]


def test_odd_states_and_doubts_of_replicas_are_seen(tmp_path, monkeypatch):
    ion = molecule("H2CO")
    ion.set_initial_charges([1.0, 0, 0, 0])
    short = molecule("H2CO")
    short.positions[0] -= 0.25 * (short.positions[0] - short.positions[1])
    settings = MDSettings(300, 0.001, thermostat="none", interval=2, equilibrate=0.0)
    for name, start in (("ion", ion), ("short", short)):
        calculator = SchNetCalculator("h2co", on_doubt="warn")
        run_replicas([start] * 2, calculator, settings, tmp_path / name)
        assert calculator.guard.count >= 4, name
