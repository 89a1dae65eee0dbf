"""The compiled engine against automatic differentiation; the lists that it keeps."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase.build import bulk, molecule

from helpers import ethanol, random_network, write_model
from schnet_calc import SchNetCalculator
from schnet_calc.kernels.splines.quintic import choose_grid


def random_structures(rng):
    """Molecules, crystals, strained cells, stretched geometries."""
    slab = bulk("Si", cubic=True)
    slab.pbc = (True, True, False)
    skewed = bulk("Si")
    skewed.set_cell(skewed.cell @ (np.eye(3) + 0.1 * rng.normal(size=(3, 3))), scale_atoms=True)
    left = bulk("Si", cubic=True)
    left.set_cell(left.cell[[1, 0, 2]])
    wide = molecule("CH3CH2OH")
    wide.positions *= rng.uniform(0.9, 1.6)
    structures = [molecule("CH3COOH"), wide, slab, skewed, left, bulk("Si", cubic=True) * (2, 1, 1)]
    for atoms in structures:
        atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
        atoms.translate(rng.normal(scale=100, size=3))
    return structures


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forces_are_those_of_the_oracle(models, dtype):
    rng = np.random.default_rng(5)
    oracle = SchNetCalculator(models["float64"], device="cpu", engine="script")
    compiled = SchNetCalculator(models["float64"], device="cpu", dtype=dtype, engine="compiled")
    energy, force = {"float32": (1e-6, 1e-5), "float64": (1e-8, 1e-6)}[dtype]
    for _ in range(5):
        structures = random_structures(rng)
        for atoms, a, b in zip(
            structures, oracle.evaluate(structures), compiled.evaluate(structures), strict=True
        ):
            scale = max(1.0, float(np.abs(a.forces).max()))
            assert abs(a.energy - b.energy) < energy * len(atoms) * scale
            np.testing.assert_allclose(b.forces, a.forces, atol=force * scale)


@pytest.mark.parametrize("n_features", [48, 64, 96, 128])
def test_loops_that_are_unrolled_and_those_that_are_not(tmp_path, n_features):
    path = write_model(tmp_path / "model.pt", n_features=n_features)
    atoms = bulk("Si", cubic=True) * (2, 2, 1)
    atoms.rattle(0.1, seed=1)
    oracle = SchNetCalculator(path, device="cpu", dtype="float64", engine="script")
    compiled = SchNetCalculator(path, device="cpu", dtype="float64", engine="compiled")
    for a, b in zip(oracle.evaluate([atoms]), compiled.evaluate([atoms]), strict=True):
        np.testing.assert_allclose(b.forces, a.forces, rtol=0, atol=1e-6)
        np.testing.assert_allclose(b.stress, a.stress, rtol=0, atol=1e-7)


def test_space_for_pairs_is_the_next_structures(models):
    """Kept from call to call, by each thread: neither a larger nor a smaller structure leaves anything behind."""
    calculator = SchNetCalculator(models["float64"], device="cpu")
    structures = [bulk("Si", cubic=True) * (k, 1, 1) for k in (1, 4, 2, 9)]
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.1, seed=seed)
    alone = [calculator.evaluate([atoms])[0].forces for atoms in structures]
    for order in ((3, 0, 2, 1), (0, 3, 1, 2)):
        for k in order:
            np.testing.assert_array_equal(calculator.evaluate([structures[k]])[0].forces, alone[k])
    with ThreadPoolExecutor(2) as pool:
        calculators = [SchNetCalculator(models["float64"], device="cpu") for _ in structures]
        found = list(pool.map(lambda k: calculators[k].evaluate([structures[k]])[0].forces, range(4)))
    for ours, forces in zip(found, alone, strict=True):
        np.testing.assert_array_equal(ours, forces)


def test_replicas_of_a_batch_have_lists_of_their_own(models):
    compiled = SchNetCalculator(models["float64"], device="cpu")
    fresh = SchNetCalculator(models["float64"], device="cpu")
    rng = np.random.default_rng(2)
    replicas = [bulk("Si", cubic=True) for _ in range(4)]
    for step in range(6):
        for k, atoms in enumerate(replicas):
            atoms.positions += rng.normal(scale=0.02 * (k + 1), size=(8, 3))
        order = replicas if step != 4 else replicas[::-1]  # another structure in each place
        for atoms, p in zip(order, compiled.evaluate(order), strict=True):
            fresh.engine.lists._lists.clear()
            (q,) = fresh.evaluate([atoms])
            np.testing.assert_allclose(p.forces, q.forces, atol=1e-10)


def test_knots_are_chosen_once_for_a_model_and_a_type(tmp_path, monkeypatch):
    chosen = []

    def choose(*arguments):
        chosen.append(choose_grid(*arguments))
        return chosen[-1]

    monkeypatch.setattr("schnet_calc.engine.support.choose_grid", choose)
    path, other = (write_model(tmp_path / f"{n}.pt", n_features=n) for n in (11, 13))
    for dtype in ("float64", "float64", "float32"):
        engine = SchNetCalculator(path, device="cpu", dtype=dtype).engine
        assert (engine.grid, engine.force_error) == chosen[-1]
    assert len(chosen) == 2
    assert SchNetCalculator(other, device="cpu").engine.grid == chosen[-1][0]
    assert len(chosen) == 3


def test_features_that_fill_no_chunk(tmp_path):
    path = write_model(tmp_path / "odd.pt", n_features=70)
    atoms = ethanol()
    script, compiled = (
        SchNetCalculator(path, device="cpu", engine=e).evaluate([atoms])[0] for e in ("script", "compiled")
    )
    np.testing.assert_allclose(compiled.forces, script.forces, atol=1e-6)


def test_a_model_with_features_of_any_number(tmp_path):
    for n_features in (5, 33):
        path = write_model(tmp_path / f"{n_features}.pt", n_features=n_features)
        script, compiled = (
            SchNetCalculator(path, device="cpu", engine=e).evaluate([ethanol()])[0]
            for e in ("script", "compiled")
        )
        np.testing.assert_allclose(compiled.forces, script.forces, atol=1e-6)
    assert random_network(n_features=5).config.n_features == 5


def test_options_of_the_network_survive(tmp_path):
    options = {"shared_filters": True, "neighbor_average": 12.0, "filter_activation": True}
    path = write_model(tmp_path / "m.pt", **options)
    script, compiled = (
        SchNetCalculator(path, engine=name).evaluate([ethanol()])[0] for name in ("script", "compiled")
    )
    np.testing.assert_allclose(compiled.forces, script.forces, atol=1e-6)
