"""Noticing structures outside of what a model knows: by its training data, and by a committee."""

import copy
import logging
import pickle

import ase
import ase.io
import numpy as np
import pytest
from ase import units
from ase.build import bulk, molecule
from ase.md.verlet import VelocityVerlet

from helpers import REFERENCES, ethanol, random_network, rattled, write_model
from schnet_calc import SchNetCalculator, load_model
from schnet_calc.errors import ModelFileError
from schnet_calc.guard.domain import Domain
from schnet_calc.guard.guard import MOST_WRITTEN, DoubtfulStructureError, ExtrapolationGuard
from schnet_calc.ipi.errors import StructureError
from schnet_calc.ipi.evaluator import Evaluator
from schnet_calc.ipi.wire import Request
from schnet_calc.modelfile import save_model
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.structure import Structure

ETHANOL = molecule("CH3CH2OH")


@pytest.fixture(scope="module")
def guarded(domain, tmp_path_factory):
    """A model file whose training data were rattled ethanol."""
    path = tmp_path_factory.mktemp("guarded") / "model.pt"
    save_model(path, random_network(), REFERENCES, {"domain": domain.to_dict()})
    return path


def broken():
    atoms = molecule("CH3CH2OH")
    atoms.positions[-1] += 10
    return atoms


def test_warnings_are_few(guarded, caplog):
    calculator = SchNetCalculator(guarded)
    caplog.set_level(logging.WARNING)
    calculator.evaluate(rattled(ETHANOL, 20))
    assert not caplog.records
    calculator.evaluate([broken() for _ in range(120)])
    assert len(caplog.records) == 3  # the 1st, 10th and 100th
    assert "outside of what the model knows" in caplog.text
    assert "the 100th such structure" in caplog.text
    assert calculator.guard.count == 120
    assert calculator.guard.reasons
    calculator.evaluate(rattled(ETHANOL, 20))
    assert not calculator.guard.reasons


def test_stopping_a_simulation(guarded):
    atoms = molecule("CH3CH2OH")
    atoms.calc = SchNetCalculator(guarded, on_doubt="stop")
    atoms.get_forces()
    velocities = np.zeros((len(atoms), 3))
    velocities[-1] = 0.05
    atoms.set_velocities(velocities)
    dynamics = VelocityVerlet(atoms, timestep=0.3)
    with pytest.raises(DoubtfulStructureError, match="outside of what the model knows: at"):
        dynamics.run(1000)
    assert 1 < dynamics.nsteps < 1000


def test_stopping_i_pi(guarded):
    """The client answers with the structure that it stopped at, as for any that can't be evaluated."""
    inside, outside = molecule("CH3CH2OH"), broken()
    cells = np.stack([np.eye(3) * 99] * 2)
    request = Request(cells, np.stack([inside.positions, outside.positions]) / units.Bohr)
    calculator = SchNetCalculator(guarded, on_doubt="stop")
    evaluate = Evaluator(calculator.model, inside)
    with pytest.raises(StructureError, match="outside of what the model knows") as caught:
        evaluate(request)
    assert caught.value.index == 1
    np.testing.assert_allclose(caught.value.positions, outside.positions)
    lenient = SchNetCalculator(guarded, on_doubt="ignore")
    assert len(Evaluator(lenient.model, inside)(request).energies) == 2


def test_writing_what_is_doubtful(guarded, tmp_path):
    path = tmp_path / "doubtful.extxyz"
    calculator = SchNetCalculator(guarded, on_doubt=path)
    calculator.evaluate(rattled(ETHANOL, 3))
    assert not path.exists()
    calculator.evaluate([broken() for _ in range(MOST_WRITTEN + 20)])
    written = ase.io.read(path, ":")
    assert len(written) == MOST_WRITTEN
    np.testing.assert_allclose(written[0].positions, broken().positions, atol=1e-6)
    assert "neighbours" in written[0].info["doubt"]


def test_ignoring(guarded, caplog):
    calculator = SchNetCalculator(guarded, on_doubt="ignore")
    calculator.evaluate([broken()])
    assert not caplog.records
    assert calculator.guard.count == 0


def test_files_without_a_domain_are_not_doubted(models, caplog):
    SchNetCalculator(models["float64"]).evaluate([broken()])
    assert not caplog.records


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_doubt": "panic"}, "on_doubt is one of ignore, warn, stop, or the name of .* got 'panic'"),
        ({"max_forces_std": 0.1}, "threshold for committees"),
        ({"on_doubt": None}, "on_doubt is one of"),
        ({"on_doubt": "nowhere/x.extxyz"}, "no folder for it"),
        ({"on_doubt": "stop"}, r"nothing would ever be doubted: .* says nothing of its training data"),
    ],
)
def test_bad_options_are_named(models, options, message):
    with pytest.raises(ValueError, match=message):
        SchNetCalculator(models["float64"], **options)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_thresholds_are_positive(models, value):
    with pytest.raises(ValueError, match="max_forces_std must be positive"):
        SchNetCalculator([models["float64"]] * 2, max_forces_std=value)


@pytest.mark.parametrize(
    "domain",
    [{}, {"shortest_ang": 3, "coordination": {}}, {"shortest_ang": {"C-Xx9": 1}, "coordination": {}}],
)
def test_a_damaged_domain_is_named(tmp_path, domain):
    save_model(tmp_path / "m.pt", random_network(), REFERENCES, {"domain": domain})
    with pytest.raises(ModelFileError, match=r"training\.domain"):
        SchNetCalculator(tmp_path / "m.pt")


def test_disagreement_is_doubt(members, caplog):
    atoms = ethanol()
    spread = np.linalg.norm(SchNetCalculator(members).evaluate([atoms])[0].forces_std, axis=1).max()
    tolerant = SchNetCalculator(members, on_doubt="stop", max_forces_std=1.01 * spread)
    tolerant.evaluate([atoms])
    strict = SchNetCalculator(members, on_doubt="stop", max_forces_std=0.99 * spread)
    with pytest.raises(DoubtfulStructureError, match=r"committee's forces on atom .* max_forces_std is"):
        strict.evaluate([atoms])


def test_a_member_that_says_nothing_does_not_silence_the_others(guarded, models):
    with pytest.raises(DoubtfulStructureError):
        SchNetCalculator([guarded, models["float64"]], on_doubt="stop").evaluate([broken()])


def test_batches_say_which_structure(guarded):
    calculator = SchNetCalculator(guarded)
    calculator.evaluate([rattled(ETHANOL, 20)[0], broken(), rattled(ETHANOL, 20)[1]])
    assert calculator.guard.reasons[0].startswith("structure 1: atom")


def test_nothing_old_survives_a_failure(guarded):
    calculator = SchNetCalculator(guarded, on_doubt="stop")
    calculator.calculate(molecule("CH3CH2OH"))
    with pytest.raises(DoubtfulStructureError):
        calculator.calculate(broken())
    assert calculator.results == {}


def test_a_committee_knows_what_any_member_knows(tmp_path, domain):
    other = Domain.of([Structure.from_atoms(broken())])
    for name, known in (("a", domain), ("b", other)):
        save_model(tmp_path / f"{name}.pt", random_network(), REFERENCES, {"domain": known.to_dict()})
    paths = [tmp_path / "a.pt", tmp_path / "b.pt"]
    with pytest.raises(DoubtfulStructureError):
        SchNetCalculator(paths[0], on_doubt="stop").evaluate([broken()])
    SchNetCalculator(paths, on_doubt="stop").evaluate([broken()])


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_watch_too(members, clone):
    original = SchNetCalculator(members, on_doubt="stop", max_forces_std=1e-9)
    with pytest.raises(DoubtfulStructureError):
        clone(original).evaluate([ethanol()])


def test_shipped_models_know_their_training_data(caplog):
    for name in ("c20", "silicon", "ethanol"):
        calculator = SchNetCalculator(name)
        assert isinstance(calculator.guard, ExtrapolationGuard)
        assert calculator.potential.metadata.training["domain"]["coordination"]
    SchNetCalculator("silicon").evaluate([bulk("Si", cubic=True)])
    SchNetCalculator("ethanol").evaluate([molecule("CH3CH2OH")])
    assert not caplog.records
    with pytest.raises(DoubtfulStructureError):
        SchNetCalculator("ethanol", on_doubt="stop").evaluate([broken()])


def test_writing_a_model_without_training_data(tmp_path):
    assert SchNetCalculator(write_model(tmp_path / "m.pt")).guard.reasons == []


def test_arrays_are_doubted_like_objects(guarded, caplog):
    caplog.set_level(logging.WARNING)
    model = load_model(guarded, device="cpu")
    sound = rattled(ETHANOL, 5)
    model.totals(Geometries.from_atoms(sound))
    assert not caplog.records
    assert not model.guard.reasons
    model.totals(Geometries.from_atoms([*sound, broken()]))
    assert "structure 5: " in caplog.text
    assert model.guard.count == 1
    assert model.guard.reasons
    model.totals(Geometries.from_atoms(sound))
    assert not model.guard.reasons
    load_model(guarded, device="cpu", on_doubt="ignore").totals(Geometries.from_atoms([broken()]))
    strict = load_model(guarded, device="cpu", on_doubt="stop")
    with pytest.raises(DoubtfulStructureError, match="structure 2: ") as caught:
        strict.totals(Geometries.from_atoms([*sound[:2], broken(), *sound]))
    assert caught.value.index == 2
    with pytest.raises(DoubtfulStructureError, match="CH4"):
        strict.totals(Geometries.from_atoms(rattled(molecule("CH4"), 2)))
