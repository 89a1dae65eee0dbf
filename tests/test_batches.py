"""Many structures at once: batches within bounds of memory, relaxations, bands and replicas."""

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.filters import FrechetCellFilter
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from conftest import ethanol

from schnet_calc import SchNetCalculator
from schnet_calc.simulate.md import MDSettings, run_md
from schnet_calc.simulate.neb import relax_band
from schnet_calc.simulate.relax import relax, relax_many
from schnet_calc.simulate.replicas import run_replicas, share_batch


@pytest.fixture
def counted(models, monkeypatch):
    """A calculator, and the sizes of the batches that it evaluates."""
    calculator = SchNetCalculator(models["float64"], device="cpu")
    sizes, evaluate = [], calculator.engine.evaluate
    monkeypatch.setattr(calculator.engine, "evaluate", lambda s: (sizes.append(len(s)), evaluate(s))[1])
    return calculator, sizes


def mixed():
    images = [ethanol(), bulk("Si", cubic=True), molecule("CO"), ethanol(), molecule("CH3COOH")]
    for k, atoms in enumerate(images):
        atoms.rattle(0.08, seed=k)
    return images


def test_a_bound_on_memory_splits_the_batch(models, monkeypatch):
    calculator = SchNetCalculator(models["float64"], device="cpu", engine="script")
    images = mixed()
    whole, sizes, atomic = calculator.evaluate(images), [], calculator.engine.atomic
    monkeypatch.setattr(
        calculator.engine, "atomic", lambda g: (sizes.append(int(g.system[-1]) + 1), atomic(g))[1]
    )
    calculator.engine.memory = 60 * calculator.engine.pair_bytes
    for a, b in zip(calculator.evaluate(images), whole, strict=True):
        assert a.energy == pytest.approx(b.energy, abs=1e-9)
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-10)
        np.testing.assert_allclose(a.virial, b.virial, atol=1e-9)
    assert sum(sizes) == len(images)
    assert len(sizes) > 2
    calculator.engine.memory = 1.0  # one by one, whatever they need
    sizes.clear()
    calculator.evaluate(images)
    assert sizes == [1] * len(images)


def test_a_committee_hands_the_bound_on(models):
    calculator = SchNetCalculator([models["float64"]] * 2, device="cpu", engine="script")
    calculator.engine.memory = 123.0
    assert [m.memory for m in calculator.engine.members] == [123.0, 123.0]


def test_no_structures(models, engine):
    assert SchNetCalculator(models["float64"], engine=engine).evaluate([]) == []
    assert SchNetCalculator([models["float64"]] * 2, engine=engine).evaluate([]) == []


def test_an_error_names_the_structure_of_the_batch(models, engine):
    images = mixed()
    images[3].positions[2, 1] = np.nan
    with pytest.raises(ValueError, match="structure 3: position of atom 2 is not finite"):
        SchNetCalculator(models["float64"], engine=engine).evaluate(images)


@pytest.mark.parametrize("optimizer", ["BFGS", "FIRE", "LBFGS", "BFGSLineSearch"])
def test_side_by_side_is_like_alone(models, optimizer):
    """Every structure takes the steps that it takes alone, and leaves when it is done."""
    options = {"fmax": 0.05, "steps": 12, "optimizer": optimizer}
    calculator = SchNetCalculator(models["float64"], device="cpu")
    images = mixed()
    before = [a.positions.copy() for a in images]
    for atoms, found in zip(images, relax_many(images, calculator, **options), strict=True):
        alone = relax(atoms, calculator, **options)
        assert (found.steps, found.converged) == (alone.steps, alone.converged)
        np.testing.assert_allclose(found.atoms.positions, alone.atoms.positions, atol=1e-6)
        np.testing.assert_allclose(found.energies, alone.energies, atol=1e-6)
        assert found.fmax == pytest.approx(alone.fmax, abs=1e-4)
    for atoms, positions in zip(images, before, strict=True):
        np.testing.assert_array_equal(atoms.positions, positions)


def test_one_batch_per_step(counted):
    calculator, sizes = counted
    found = relax_many(mixed()[:3], calculator, fmax=0.2, steps=6)
    assert sizes[0] == 3
    assert len(sizes) == 1 + max(r.steps for r in found)


def strained():
    cells = [bulk("Si", a=a) for a in (5.2, 5.5, 5.7)]
    for k, atoms in enumerate(cells):
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * np.eye(3, k=1)), scale_atoms=True)
        atoms.rattle(0.03, seed=k)
    return cells


def test_cells_relax_side_by_side():
    calculator = SchNetCalculator("silicon", dtype="float64")
    found = relax_many(strained(), calculator, fmax=1e-3, steps=200, cell=True)
    assert all(r.converged for r in found)
    volumes = [r.atoms.get_volume() for r in found]
    np.testing.assert_allclose(volumes, volumes[0], rtol=1e-3)
    alone = relax(strained()[0], calculator, fmax=1e-3, steps=200, cell=True)
    np.testing.assert_allclose(found[0].atoms.cell, alone.atoms.cell, atol=1e-4)
    assert np.abs(found[0].atoms.get_stress()).max() < 1e-3


def test_pressure_is_that_of_the_cell():
    calculator = SchNetCalculator("silicon", dtype="float64")
    squeezed = relax(bulk("Si"), calculator, fmax=1e-5, cell=True, pressure=0.03)
    np.testing.assert_allclose(squeezed.atoms.get_stress()[:3], -0.03, atol=1e-4)
    free = relax(bulk("Si"), calculator, fmax=1e-5, cell=True)
    assert squeezed.atoms.get_volume() < 0.99 * free.atoms.get_volume()


@pytest.mark.parametrize(
    ("atoms", "options", "message"),
    [
        (ethanol(), {"cell": True}, "a cell is relaxed where it is periodic throughout"),
        (bulk("Si"), {"pressure": 0.1}, "acts on the cell: say cell=True"),
        (ethanol(), {"fmax": 0.0}, "fmax must be positive"),
        (ethanol(), {"optimizer": "Newton"}, "optimizer is one of"),
    ],
)
def test_bad_relaxations_are_named(models, atoms, options, message):
    calculator = SchNetCalculator(models["float64"])
    with pytest.raises(ValueError, match=message):
        relax(atoms, calculator, **options)
    with pytest.raises(ValueError, match=message):
        relax_many([atoms], calculator, **options)


def exchange():
    """A hydroxyl group that turns by 120 degrees: the same molecule at both ends."""
    calculator = SchNetCalculator("ethanol", dtype="float64")
    first = relax(molecule("CH3CH2OH"), calculator, fmax=5e-3).atoms
    last = first.copy()
    carbon = next(n for n in (0, 1) if first.get_distance(n, 2) > 2.0)  # of the methyl group
    hydrogens = sorted((first.get_distance(carbon, n), n) for n in range(3, 9))[:3]
    group = [n for _, n in hydrogens]
    axis = first.positions[1 - carbon] - first.positions[carbon]
    turned = first[group]
    turned.rotate(120, axis, center=first.positions[carbon])
    last.positions[group] = turned.positions
    return first, last, calculator


def test_a_band_over_a_barrier():
    """The methyl group of ethanol turns: symmetric ends, a barrier of about 3 kcal/mol."""
    first, last, calculator = exchange()
    band = relax_band(first, last, calculator, n_images=5, fmax=0.05)
    assert band.converged
    assert abs(band.energies[-1]) < 1e-3
    assert 0.08 < band.barrier < 0.2
    assert int(band.energies.argmax()) == 3
    values = band.to_dict()
    assert values["barrier_ev"] == pytest.approx(values["reverse_barrier_ev"], abs=1e-3)


def test_a_band_is_one_batch(counted):
    calculator, sizes = counted
    images = [ethanol() for _ in range(6)]
    for k, atoms in enumerate(images):
        atoms.rattle(0.02, seed=k)
    share_batch(images, calculator)
    with FIRE(NEB(images, method="improvedtangent"), logfile=None) as dynamics:
        dynamics.run(fmax=1e-9, steps=5)
    assert sizes[0] == 6
    assert sizes[1:] == [4] * 5  # the ends stand still


@pytest.mark.parametrize(
    ("last", "options", "message"),
    [
        (molecule("CH3COOH"), {}, "same atoms in the same order"),
        (ase.Atoms(molecule("CH3CH2OH"), cell=[9, 9, 9], pbc=True), {}, "same cell"),
        (molecule("CH3CH2OH"), {"n_images": 1}, "at least two images"),
        (molecule("CH3CH2OH"), {"fmax": -1.0}, "fmax must be positive"),
        (molecule("CH3CH2OH"), {}, "the same structure"),
    ],
)
def test_bad_bands_are_named(models, last, options, message):
    with pytest.raises(ValueError, match=message):
        relax_band(molecule("CH3CH2OH"), last, SchNetCalculator(models["float64"]), **options)


def test_filters_and_single_structures_in_a_batch(models):
    """What isn't a bare structure is evaluated right too, if not in one batch."""
    calculator = SchNetCalculator("silicon", dtype="float64")
    crystals = strained()
    share_batch(crystals, calculator)
    BFGS(FrechetCellFilter(crystals[0]), logfile=None).run(fmax=0.01, steps=3)
    expected = calculator.evaluate(crystals)
    for atoms, prediction in zip(crystals, expected, strict=True):
        assert atoms.get_potential_energy() == pytest.approx(prediction.energy, abs=1e-9)
    other = crystals[1].copy()
    other.rattle(0.1, seed=9)
    other.calc = crystals[1].calc
    assert other.get_potential_energy() == pytest.approx(calculator.evaluate([other])[0].energy, abs=1e-9)


def test_replicas_without_thermostat_are_like_alone(tmp_path):
    calculator = SchNetCalculator("ethanol", dtype="float64")
    settings = MDSettings(200, 0.02, thermostat="none", interval=10)
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
    settings = MDSettings(300, 0.01, thermostat="langevin", interval=5)
    first = run_replicas([crystal, ethanol()], calculator, settings, tmp_path / "r")
    longer = MDSettings(300, 0.02, thermostat="langevin", interval=5)
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
    settings = MDSettings(300, 0.005, thermostat="langevin", interval=5)
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
