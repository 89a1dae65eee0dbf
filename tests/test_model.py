"""One object of potentials, engine and guard: settings, copies, dictionaries, threads and processes."""

import copy
import json
import multiprocessing
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk

from helpers import FOREIGN, REFERENCES, energy_of, ethanol, random_network, write_foreign, write_model
from schnet_calc import Model, SchNetCalculator, load_model
from schnet_calc.modelfile import load_potential, model_sources, save_model
from schnet_calc.structures.structure import Structure


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_give_the_same(models, clone):
    original = SchNetCalculator(models["float32"], engine="script", dtype="float64")
    atoms = ethanol()
    atoms.calc = original
    energy = atoms.get_potential_energy()
    twin = clone(original)
    atoms.calc = twin
    assert atoms.get_potential_energy() == energy
    assert twin.engine.dtype == torch.float64


def test_a_loaded_potential_is_not_changed_by_a_calculator(models):
    potential = load_potential(models["float32"])
    before = {name: value.clone() for name, value in potential.weights.items()}
    for engine in ("script", "compiled"):
        load_model(potential, dtype="float64", engine=engine).evaluate([ethanol()])
    torch.testing.assert_close(dict(potential.weights), before, atol=0, rtol=0)
    assert next(potential.network().parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda:97"}, "not there"),
        ({"device": "abacus"}, "device is 'auto'"),
        ({"dtype": "float16"}, "dtype is"),
        ({"engine": "warp"}, "engine is"),
    ],
)
def test_bad_options_are_named(models, options, message):
    with pytest.raises(ValueError, match=message):
        SchNetCalculator(models["float32"], **options)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dtype": "float64", "engine": "script", "device": "cpu"},
        {"on_doubt": "ignore"},
    ],
)
def test_a_dictionary_makes_the_same_calculator(models, settings):
    original = SchNetCalculator(models["float32"], **settings)
    values = json.loads(json.dumps(original.todict()))
    assert set(values) == {"model", *settings}
    again = SchNetCalculator.fromdict(values)
    assert again.todict(skip_default=False) == original.todict(skip_default=False)
    assert again.evaluate([ethanol()])[0].energy == original.evaluate([ethanol()])[0].energy


def test_a_committee_as_a_dictionary(models):
    original = SchNetCalculator([models["float32"], models["float64"]], max_forces_std=0.5)
    again = SchNetCalculator.fromdict(original.todict())
    assert len(again.potentials) == 2
    assert again.guard.max_forces_std == 0.5


def test_shipped_models_go_by_name():
    assert SchNetCalculator("ethanol").todict()["model"][0]["name"] == "ethanol"


def test_other_weights_are_noticed(tmp_path):
    path = write_model(tmp_path / "m.pt")
    values = SchNetCalculator(path).todict()
    pickled = pickle.dumps(SchNetCalculator(path))
    network = random_network()
    network.output.bias.data += 1.0
    save_model(path, network, REFERENCES)
    with pytest.raises(ValueError, match=r"has the SHA-256 .* but .* had"):
        SchNetCalculator.fromdict(values)
    with pytest.raises(ValueError, match="has the SHA-256"):
        pickle.loads(pickled)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="no model file"):
        SchNetCalculator.fromdict(values)


def test_other_foreign_weights_are_noticed(tmp_path):
    """Files without plain weights go by the hash of the whole."""
    values = SchNetCalculator(write_foreign(tmp_path / "f.pt", FOREIGN), engine="script").todict()
    SchNetCalculator.fromdict(values)
    write_foreign(tmp_path / "f.pt", {**FOREIGN, "note": "other"})
    with pytest.raises(ValueError, match="has the SHA-256"):
        SchNetCalculator.fromdict(values)


def test_a_relative_path_survives_a_change_of_folder(tmp_path, monkeypatch):
    write_model(tmp_path / "m.pt")
    monkeypatch.chdir(tmp_path)
    calculator = SchNetCalculator("m.pt")
    monkeypatch.chdir("/")
    pickled = pickle.dumps(calculator)
    assert np.isfinite(pickle.loads(pickled).evaluate([ethanol()])[0].energy)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_other_processes(models, method):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.exp(torch.ones(10**6))  # on OpenMP's threads, which a forked child would wait for
    torch.set_num_threads(threads)
    calculator = SchNetCalculator(models["float64"], device="cpu")
    images = [ethanol(), bulk("Si"), ethanol()]
    expected = [energy_of(calculator, a) for a in images]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2 if method == "fork" else 1, mp_context=context) as pool:
        found = list(pool.map(energy_of, [calculator] * 3, images, timeout=120))
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_several_calculators_in_threads(models):
    images = [ethanol() for _ in range(8)]
    for k, atoms in enumerate(images):
        atoms.rattle(0.05, seed=k)
    expected = [energy_of(SchNetCalculator(models["float64"]), a) for a in images]

    def work(atoms):
        atoms.calc = SchNetCalculator(models["float64"])
        return [atoms.get_potential_energy() for _ in range(3)][-1]

    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_allclose(list(pool.map(work, images)), expected, atol=1e-10)


@pytest.mark.parametrize("crystal", [False, True], ids=["molecules", "crystals"])
def test_one_calculator_evaluates_in_many_threads(models, crystal):
    """``evaluate`` keeps no state that threads could spoil, its neighbour lists included."""
    rng = np.random.default_rng(0)
    images = [(bulk("Si", cubic=True) if crystal else ethanol()) for _ in range(16)]
    for atoms in images:
        atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    calculator = SchNetCalculator(models["float64"])
    expected = [energy_of(SchNetCalculator(models["float64"]), a) for a in images]
    start = threading.Barrier(4)

    def work(part):
        start.wait()
        return [energy_of(calculator, a) for a in images[part::4]]

    with ThreadPoolExecutor(4) as pool:
        for part, found in enumerate(pool.map(work, range(4))):
            np.testing.assert_allclose(found, expected[part::4], atol=1e-9)


def test_import_is_quiet_and_changes_no_defaults(models):
    code = (
        "import torch; before = torch.get_default_dtype(), torch.get_num_threads()\n"
        "from schnet_calc import SchNetCalculator\n"
        f"SchNetCalculator({str(models['float64'])!r})\n"
        "assert (torch.get_default_dtype(), torch.get_num_threads()) == before\n"
        "import sys; assert not {'torch._dynamo', 'sympy'} & {*sys.modules}"  # seconds, for nothing
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""


def test_a_model_without_a_file_can_not_be_pickled(models):
    potential = replace(load_potential(models["float64"]), path="")
    with pytest.raises(ValueError, match="not loaded from a file"):
        pickle.dumps(SchNetCalculator(potential))


def test_a_model_evaluates_what_a_calculator_does(models):
    model = load_model(models["float64"], device="cpu")
    assert isinstance(model, Model)
    assert model.outputs == {}
    assert model.potential is model.potentials[0]
    images = [ethanol(), bulk("Si")]
    expected = SchNetCalculator(models["float64"], device="cpu").evaluate(images)
    for found, known in zip(
        model.evaluate([Structure.from_atoms(a) for a in images]), expected, strict=True
    ):
        np.testing.assert_array_equal(found.forces, known.forces)
    atoms = ethanol()
    atoms.calc = SchNetCalculator(model)
    assert atoms.calc.model is model
    assert atoms.get_potential_energy() == expected[0].energy
    np.testing.assert_array_equal(model.hessian(atoms), atoms.calc.hessian(atoms))
    with pytest.raises(TypeError, match="has its settings already, got dtype"):
        SchNetCalculator(model, dtype="float32")


def test_sources_are_files_names_and_potentials(models):
    potential = load_potential(models["float64"])
    for sources in (
        models["float64"],
        str(models["float64"]),
        potential,
        [potential],
        (models["float64"],),
    ):
        assert [p.sha256 for p in load_model(sources).potentials] == [potential.sha256]
    committee = load_model([potential, models["float32"], "c20"])
    assert [p.metadata.dtype for p in committee.potentials] == ["float64", "float32", "float32"]
    with pytest.raises(ValueError, match="at least one file"):
        load_model([])


def test_names_joined_by_plus_are_several(models, tmp_path, monkeypatch):
    """Where there is room for one text only; a file whose name holds a plus is itself."""
    assert model_sources("c20+ethanol") == ["c20", "ethanol"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a+b.pt").write_bytes(models["float32"].read_bytes())
    assert model_sources("a+b.pt") == ["a+b.pt"]


def test_pickles_count_on(models, tmp_path):
    """Settings, and how many structures have been doubted."""
    model = load_model([models["float64"]] * 2, on_doubt=tmp_path / "x.extxyz", max_forces_std=0.5)
    model.guard.count = 7
    again = pickle.loads(pickle.dumps(model))
    assert again.guard.count == 7
    assert (again.guard.max_forces_std, again.guard.file) == (0.5, tmp_path / "x.extxyz")
    assert again.todict() == model.todict()
    assert Model.fromdict(model.todict(skip_default=False)).todict() == model.todict()


@pytest.mark.parametrize("batch", [["x"], [None], ethanol()])
def test_a_batch_of_anything_else_is_named(models, batch):
    calculator = SchNetCalculator(models["float32"])
    with pytest.raises(TypeError, match=r"a structure is ase\.Atoms, and a batch a list of them, got"):
        calculator.evaluate(batch)
