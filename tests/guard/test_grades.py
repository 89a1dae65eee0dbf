"""Grades from the last hidden layer: what they are, what they bound, and that all engines agree about them."""

from dataclasses import replace

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from safetensors.torch import load, save

from helpers import REFERENCES, VARIANTS, frames_of, graded_file, random_network, rattled
from schnet_calc import SchNetCalculator, load_model
from schnet_calc.engine import make_engine
from schnet_calc.engine.cuda import CudaEngine
from schnet_calc.errors import DoubtfulStructureError, ModelFileError
from schnet_calc.guard.statistics import SLACK, WHOLE_SLACK, Moments, regularised, statistics_of_data
from schnet_calc.modelfile import load_potential, save_model
from schnet_calc.modelfile.grades import Grades
from schnet_calc.modelfile.saving import rewrite_model
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.structure import Structure

ETHANOL = molecule("CH3CH2OH")


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    path = tmp_path_factory.mktemp("graded") / "model.pt"
    return graded_file(path, rattled(ETHANOL, 150), rattled(ETHANOL, 30, seed=900))


def hidden(potential, atoms):
    """Activations of the last hidden layer by the network's own module: the definition."""
    network = potential.network().double()
    i, j = np.where(~np.eye(len(atoms), dtype=bool))
    distances = np.linalg.norm(atoms.positions[j] - atoms.positions[i], axis=1)
    near = distances < network.config.reach
    with torch.no_grad():
        x = network.at_distances(
            torch.tensor(atoms.numbers),
            torch.tensor(distances[near]),
            torch.tensor(np.array([i[near], j[near]])),
        )
        return network.hidden(x).numpy()


def test_the_grade_is_the_mahalanobis_distance(graded):
    """Of the definition: mean and covariance of the training atoms, by the limit."""
    potential = load_potential(graded)
    training = [hidden(potential, a) for a in rattled(ETHANOL, 150)]
    atoms = rattled(ETHANOL, 1, 0.1, seed=77)[0]
    found = load_model(graded, device="cpu").evaluate([atoms])[0].grades
    head = potential.grades.energy
    for k, z in enumerate((1, 6, 8)):
        own = np.concatenate([h[ETHANOL.numbers == z] for h in training])
        covariance = np.cov(own.T, bias=True)
        covariance += 1e-6 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        d = hidden(potential, atoms)[atoms.numbers == z] - own.mean(axis=0)
        expected = np.sqrt(np.einsum("nh,hk,nk->n", d, np.linalg.inv(covariance), d)) / head.limit[k]
        np.testing.assert_allclose(found[atoms.numbers == z], expected, rtol=1e-3)


def test_no_wild_energy_has_a_small_grade(graded):
    """``|E_i - mean E| <= g limit sigma`` (Cauchy and Schwarz), far outside of the training data, too."""
    potential = load_potential(graded)
    head, network = potential.grades.energy, potential.network().double()
    w, b = network.output.weight[0].numpy(), float(network.output.bias[0])
    spread, mean = head.spread(w), head.mean @ w + b
    model = load_model(graded, device="cpu")
    closest = 0.0
    for amplitude in (0.02, 0.1, 0.3, 0.8):
        for p, atoms in zip(
            model.evaluate(images := rattled(ETHANOL, 40, amplitude, seed=5)), images, strict=True
        ):
            slot = np.searchsorted(head.elements, atoms.numbers)
            energies = p.energies - [REFERENCES[z] for z in atoms.numbers]
            bound = p.grades * head.limit[slot] * spread[slot]
            assert (np.abs(energies - mean[slot]) <= 1.001 * bound + 1e-6).all()
            closest = max(closest, float((np.abs(energies - mean[slot]) / bound).max()))
    assert closest > 0.2  # no idle bound
    # sigma is the standard deviation of the training atoms' energies, but for the floor.
    energies = np.concatenate([p.energies for p in model.evaluate(rattled(ETHANOL, 150))])
    for k, z in enumerate(head.elements):
        own = energies[np.tile(ETHANOL.numbers, 150) == z]
        assert own.std() <= spread[k] * (1 + 1e-6)
        assert spread[k] == pytest.approx(own.std(), rel=0.02)


@pytest.mark.parametrize("options", [{}, *VARIANTS.values()], ids=["plain", *VARIANTS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_engines_agree(tmp_path, options, dtype):
    kind = getattr(torch, dtype)
    path = graded_file(tmp_path / "m.pt", rattled(ETHANOL, 60), dtype=kind, **options)
    potential = load_potential(path)
    images = [*rattled(ETHANOL, 3, 0.05, seed=7), molecule("CH3OH")]
    structures = [Structure.from_atoms(a) for a in images]
    engines = [make_engine([potential], name, "cpu", grades=True) for name in ("script", "compiled")]
    engines.append(CudaEngine(potential, torch.device("cpu"), kind))
    expected, *others = (engine.evaluate(structures) for engine in engines)
    for found in others:
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(b.grades, a.grades, rtol=2e-3 if dtype == "float32" else 1e-4)
    one_by_one = [engines[1].evaluate([s])[0].grades for s in structures]
    for a, b in zip(one_by_one, others[0], strict=True):
        np.testing.assert_array_equal(a, b.grades)


def test_threads_and_arrays_say_the_same(graded):
    engine = make_engine([load_potential(graded)], device="cpu", grades=True)
    images = rattled(ETHANOL, 5, 0.1, seed=3)
    single = [engine.evaluate([Structure.from_atoms(a)])[0] for a in images]
    np.testing.assert_array_equal(
        engine.totals(Geometries.from_atoms(images)).grades, [p.grades for p in single]
    )
    engine.atoms_per_thread = 3
    threads, torch_threads = engine.evaluate([Structure.from_atoms(images[0])])[0], torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        threads = engine.evaluate([Structure.from_atoms(images[0])])[0]
    finally:
        torch.set_num_threads(torch_threads)
    np.testing.assert_allclose(threads.grades, single[0].grades, rtol=1e-9)


def test_what_is_strange_is_doubted(graded):
    model = load_model(graded, device="cpu", on_doubt="stop")
    model.evaluate(rattled(ETHANOL, 30, seed=2000))  # unseen frames of the same kind
    bent = ETHANOL.copy()
    bent.set_angle(0, 1, 2, 175, indices=[2, 3])
    with pytest.raises(DoubtfulStructureError, match=r"grades? of atoms? .*the limit is 1"):
        model.evaluate([bent])
    with pytest.raises(DoubtfulStructureError, match="structure 2: "):
        model.totals(Geometries.from_atoms([ETHANOL, ETHANOL, bent]))
    with pytest.raises(DoubtfulStructureError, match="hold no Si"):
        model.evaluate([bulk("Si", cubic=True)])
    assert load_model(graded, device="cpu", on_doubt="ignore").evaluate([bent])[0].grades is None


def test_results(graded, tmp_path):
    atoms = ETHANOL.copy()
    atoms.calc = SchNetCalculator(graded, device="cpu")
    atoms.get_forces()
    assert atoms.calc.results["grades"].shape == (9,)
    assert "grades" in atoms.calc.implemented_properties
    assert "energy_std" not in atoms.calc.results  # there were no energies
    atoms.write(tmp_path / "a.extxyz")
    quiet = SchNetCalculator(graded, device="cpu", on_doubt="ignore")
    quiet.calculate(atoms)
    assert "grades" not in quiet.results
    assert "grades" not in quiet.implemented_properties


def test_committees_take_the_largest(graded, tmp_path):
    other = graded_file(tmp_path / "b.pt", rattled(ETHANOL, 60, 0.06, seed=50))
    images = rattled(ETHANOL, 4, 0.05, seed=11)
    each = [load_model(p, device="cpu").evaluate(images) for p in (graded, other)]
    both = load_model([graded, other], device="cpu").evaluate(images)
    for a, b, c in zip(*each, both, strict=True):
        np.testing.assert_array_equal(np.maximum(a.grades, b.grades), c.grades)
        assert c.energy_std == np.std([a.energy, b.energy], ddof=1)
    save_model(tmp_path / "old.pt", random_network(), REFERENCES)
    mixed = load_model([graded, tmp_path / "old.pt"], device="cpu").evaluate(images)
    np.testing.assert_array_equal(mixed[0].grades, each[0][0].grades)


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("DTNN", {}),
        ("SchNet", {"energy": False, "heads": {"gap": "mean", "dipole": "charges"}}),
        ("DTNN", {"energy": False, "heads": {"gap": "mean"}}),
        ("SchNet", {"output_layers": []}),
        ("SchNet", {"heads": {"dipole": "charges"}}),
    ],
)
def test_other_networks_are_graded(tmp_path, architecture, options):
    """Without an energy the largest grade of any head; with one, its own."""
    path = graded_file(tmp_path / "m.pt", rattled(ETHANOL, 60), architecture=architecture, **options)
    potential = load_potential(path)
    assert set(potential.grades.heads) == (
        {"energy"} if options.get("energy", True) else set(options["heads"])
    )
    wild = ETHANOL.copy()
    wild.positions *= 1.3
    for engine in ("auto", "script"):
        model = load_model(path, device="cpu", engine=engine)
        near, far = model.evaluate([ETHANOL, wild])
        assert near.grades.max() < 1 < far.grades.max()
        assert model.guard.count == 1
    other = CudaEngine(potential, torch.device("cpu"), torch.float64) if architecture == "SchNet" else None
    if other is not None:
        found = other.evaluate([Structure.from_atoms(wild)])[0]
        np.testing.assert_allclose(found.grades, far.grades, rtol=1e-4)


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_the_error_bar_is_calibrated(tmp_path, pooling):
    """Labels with errors that the last layer can express: their size is found again."""
    train, unseen = rattled(ETHANOL, 200), rattled(ETHANOL, 200, seed=4000)
    save_model(tmp_path / "m.pt", random_network(pooling=pooling), REFERENCES)
    engine = make_engine([load_potential(tmp_path / "m.pt")], device="cpu")
    exact = [p.energy for p in engine.evaluate([Structure.from_atoms(a) for a in unseen])]
    labels = exact + np.random.default_rng(0).normal(0.0, 0.02, len(unseen))
    path = graded_file(tmp_path / "g.pt", train, unseen, energies=labels, pooling=pooling)
    for name in ("compiled", "script"):
        model = load_model(path, device="cpu", engine=name)
        bars = np.array([p.energy_std for p in model.evaluate(rattled(ETHANOL, 50, seed=9000))])
        assert bars.mean() == pytest.approx(0.02, rel=0.3)
    far = ETHANOL.copy()
    far.positions *= 1.2
    assert model.evaluate([far])[0].energy_std > 3 * bars.max()
    ETHANOL.calc = None
    calculator = SchNetCalculator(path, device="cpu")
    assert calculator.get_property("energy_std", ETHANOL.copy()) > 0


def test_few_atoms_are_no_excuse(tmp_path):
    """Of five frames everything is finite, these are inside, and what is strange is outside."""
    path = graded_file(tmp_path / "m.pt", rattled(ETHANOL, 5))
    model = load_model(path, device="cpu")
    assert max(p.grades.max() for p in model.evaluate(rattled(ETHANOL, 5))) <= 1 / SLACK + 1e-6
    wild = ETHANOL.copy()
    wild.positions *= 1.3
    assert model.evaluate([wild])[0].grades.max() > 1


def test_whole_molecules_by_composition(tmp_path):
    """The largest root mean square of any frame, unseen ones too, is what the model finds itself."""
    known = [*rattled(ETHANOL, 20), *rattled(molecule("CH3OH"), 20)]
    unseen = rattled(ETHANOL, 5, 0.2, seed=50)
    engine = make_engine([load_potential(graded_file(tmp_path / "m.pt", known))], device="cpu")
    grades, wholes = statistics_of_data(engine, frames_of(known), frames_of(unseen))
    rewrite_model(tmp_path / "n.pt", engine.potential, {}, grades)
    found = load_model(tmp_path / "n.pt", device="cpu").evaluate([*known, *unseen])
    squares = [float(np.sqrt(np.mean(p.grades**2))) for p in found]
    assert wholes == pytest.approx(
        {
            "C2H6O": WHOLE_SLACK * max(squares[:20] + squares[40:]),
            "CH4O": WHOLE_SLACK * max(squares[20:40]),
        },
        rel=1e-3,
    )


def test_directions_without_variance_have_a_floor():
    """Ten times the standard deviation of the floor is a distance of ten: a leak out of the data's span counts."""
    rng = np.random.default_rng(2)
    h = np.zeros((1000, 8))
    h[:, :4] = rng.normal(size=(1000, 4))
    moments = Moments.of(h)
    covariance = regularised(moments, moments.covariance, moments.size)
    assert np.linalg.eigvalsh(covariance)[0] == pytest.approx(1e-6 * np.trace(moments.covariance) / 8)
    leak = np.zeros(8)
    leak[6] = 0.01
    assert np.sqrt(leak @ np.linalg.solve(covariance, leak)) > 10


def test_they_survive_the_file(graded):
    potential = load_potential(graded)
    network = potential.network()
    again = Grades.from_bytes("x", potential.grades.to_bytes(), network, potential.elements)
    for a, b in zip(again.heads["energy"], potential.grades.heads["energy"], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy.mean": torch.full((3, 12), torch.nan)}, "mean must be finite"),
        ({"energy.mean": torch.zeros(3, 11)}, r"mean must have the shape \(3, 12\), got \(3, 11\)"),
        ({"energy.mean": torch.zeros(3, 12, dtype=torch.float64)}, "mean must be there, of torch.float32"),
        ({"energy.elements": torch.tensor([1, 6, 99])}, "elements must be some of"),
        ({"energy.elements": torch.tensor([6, 1, 8])}, "elements must be some of"),
        ({"energy.triangle": torch.zeros(3, 78)}, "diagonals must be positive"),
        ({"energy.limit": torch.tensor([1.0, 0.0, 1.0])}, "limits and diagonals must be positive"),
        ({"energy.limit": None}, "limit must be there"),
        ({"gap.mean": torch.zeros(1)}, "'gap', but there is no such head"),
        ({"energy.more": torch.zeros(1)}, "tensors that no grade has"),
    ],
)
def test_damaged_statistics_are_named(graded, tmp_path, change, message):
    potential = load_potential(graded)
    tensors = load(potential.archive.grades) | change
    content = save({k: v for k, v in tensors.items() if v is not None})
    entries = {**potential.archive.entries, "extra/grades.safetensors": content}
    rewrite_model(
        tmp_path / "bad.pt",
        replace(potential, archive=potential.archive._replace(entries=entries)),
        {},
        type("Raw", (), {"to_bytes": lambda self: content, "summary": lambda self, network: {}})(),
    )
    with pytest.raises(ModelFileError, match=message):
        load_potential(tmp_path / "bad.pt")


def test_garbage_is_named(graded):
    with pytest.raises(ModelFileError, match="not in that format"):
        Grades.from_bytes("x", b"garbage", load_potential(graded).network(), [1])


def test_what_is_evaluated_is_the_same(graded, tmp_path):
    """Statistics are no part of a model's identity."""
    save_model(tmp_path / "m.pt", random_network(), REFERENCES)
    assert load_potential(tmp_path / "m.pt").sha256 == load_potential(graded).sha256
    atoms = ase.Atoms(ETHANOL)
    a, b = (load_model(p, device="cpu").evaluate([atoms])[0] for p in (tmp_path / "m.pt", graded))
    np.testing.assert_array_equal(a.forces, b.forces)
