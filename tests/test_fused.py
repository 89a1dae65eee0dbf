"""The fast path in its parts: tables, activation, neighbour lists with a skin, threads."""

import os

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from conftest import ethanol, random_network, write_model

from schnet_calc import SchNetCalculator
from schnet_calc.kernels.cpu.activation import activate
from schnet_calc.kernels.cpu.pairs import _quintic, _quintic_slope
from schnet_calc.kernels.splines.quintic import choose_grid, quintic_weights
from schnet_calc.structures.neighbors import SkinList, half_pairs


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
    fused = SchNetCalculator(models["float64"], device="cpu", dtype=dtype, engine="fused")
    energy, force = {"float32": (1e-6, 1e-5), "float64": (1e-8, 1e-6)}[dtype]
    for _ in range(5):
        structures = random_structures(rng)
        for atoms, a, b in zip(
            structures, oracle.evaluate(structures), fused.evaluate(structures), strict=True
        ):
            scale = max(1.0, float(np.abs(a.forces).max()))
            assert abs(a.energy - b.energy) < energy * len(atoms) * scale
            np.testing.assert_allclose(b.forces, a.forces, atol=force * scale)


@pytest.mark.parametrize("name", ["c20", "ethanol", "silicon"])
def test_tables_are_as_fine_as_the_tolerance_asks(name):
    calculator = SchNetCalculator(name, device="cpu")
    assert 1e-9 < calculator.engine.force_error <= 1e-6
    network = calculator.potential.network().double()
    elements = calculator.potential.elements
    coarse, error = choose_grid(network, elements, 0.7, tolerance=1e-3)
    fine, smaller = choose_grid(network, elements, 0.7, tolerance=1e-8)
    assert 4 * smaller <= 1e-8 < 4 * error <= 1e-3
    assert fine.spacing < coarse.spacing


def test_a_table_can_be_as_narrow_as_its_gaussians():
    grid, error = choose_grid(random_network(basis_width=0.03, n_gaussians=100), [1, 6, 8])
    assert error <= 1e-6
    assert 1 / grid.spacing > 150


def test_compiled_splines_are_the_tensors_ones():
    for t in np.linspace(0, 0.999, 7):
        x = torch.tensor([t], dtype=torch.float64, requires_grad=True)
        weights = quintic_weights(x)
        np.testing.assert_allclose([float(w.detach()) for w in weights], _quintic(t), atol=1e-15)
        slopes = [float(torch.autograd.grad(w.sum(), x, retain_graph=True)[0]) for w in weights]
        np.testing.assert_allclose(slopes, _quintic_slope(t), atol=1e-14)
        assert sum(_quintic(t)) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 3e-7), (np.float64, 1e-15)])
def test_activation_is_the_shifted_softplus(kind, tolerance):
    x = np.concatenate([np.linspace(-120, 120, 2000), np.linspace(-1e-3, 1e-3, 33)]).astype(kind)
    h, slope = x.copy(), np.empty_like(x)
    activate(h, slope)
    exact = np.logaddexp(0, x.astype(float)) - np.log(2)
    assert (np.abs(h - exact) / np.maximum(1, np.abs(exact))).max() < tolerance
    np.testing.assert_allclose(slope, 1 / (1 + np.exp(-x.astype(float))), atol=tolerance, rtol=1e-6)


def key_set(pairs, positions, cutoff):
    """Pairs within the cutoff, whichever of the two comes first."""
    vectors = positions[pairs.j] + pairs.shifts - positions[pairs.i]
    near = np.linalg.norm(vectors, axis=1) < cutoff
    found = set()
    for i, j, v in zip(pairs.i[near], pairs.j[near], vectors[near].round(6) + 0.0, strict=True):
        first, second = (int(i), int(j), *v), (int(j), int(i), *(-v + 0.0))
        found.add(min(first, second))
    assert len(found) == near.sum()
    return found


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("Si", cubic=True),
        bulk("Si"),
        bulk("Si", cubic=True) * (3, 3, 1),
        ase.Atoms("H150", np.random.default_rng(0).uniform(0, 12, (150, 3))),
    ],
    ids=["cubic", "primitive", "slab", "molecule"],
)
def test_no_pair_is_missed_while_the_list_is_kept(atoms, monkeypatch):
    cutoff, made = 4.0, []
    atoms = atoms.copy()
    if len(atoms) == 72:
        atoms.pbc = (True, True, False)
    whole = half_pairs
    monkeypatch.setattr(
        "schnet_calc.structures.neighbors.half_pairs", lambda *a: made.append(a[3]) or whole(*a)
    )
    kept = SkinList(cutoff, skin=0.6)
    rng = np.random.default_rng(1)
    for _ in range(40):
        atoms.positions += rng.normal(scale=0.04, size=atoms.positions.shape)
        arrays = (atoms.positions, atoms.cell.array, atoms.pbc)
        found = key_set(kept.pairs(*arrays), atoms.positions, cutoff)
        assert found == key_set(whole(*arrays, cutoff), atoms.positions, cutoff)
    assert made[:2] == [4.0, 4.6]  # the first list serves a single evaluation
    assert 3 < len(made) < 25
    # Wrapped back into the cell, and a cell that has changed: made anew at once.
    before = len(made)
    atoms.positions[0] += 2 * atoms.cell[0] if atoms.pbc[0] else 1.0
    kept.pairs(atoms.positions, atoms.cell.array, atoms.pbc)
    assert len(made) == before + 1
    if atoms.pbc.any():
        atoms.set_cell(atoms.cell * 1.01, scale_atoms=True)
        arrays = (atoms.positions, atoms.cell.array, atoms.pbc)
        found = key_set(kept.pairs(*arrays), atoms.positions, cutoff)
        assert found == key_set(whole(*arrays, cutoff), atoms.positions, cutoff)


def test_replicas_of_a_batch_have_lists_of_their_own(models):
    fused = SchNetCalculator(models["float64"], device="cpu")
    fresh = SchNetCalculator(models["float64"], device="cpu")
    rng = np.random.default_rng(2)
    replicas = [bulk("Si", cubic=True) for _ in range(4)]
    for step in range(6):
        for k, atoms in enumerate(replicas):
            atoms.positions += rng.normal(scale=0.02 * (k + 1), size=(8, 3))
        order = replicas if step != 4 else replicas[::-1]  # another structure in each place
        for atoms, p in zip(order, fused.evaluate(order), strict=True):
            fresh.engine.compiled.lists.clear()
            (q,) = fresh.evaluate([atoms])
            np.testing.assert_allclose(p.forces, q.forces, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_share_a_large_structure(models, dtype, monkeypatch):
    atoms = bulk("Si", cubic=True) * (4, 4, 3)
    atoms.rattle(0.1, seed=0)
    calculator = SchNetCalculator(models[dtype], device="cpu")
    before = torch.get_num_threads()
    found = []
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            found.append(calculator.evaluate([atoms])[0])
    finally:
        torch.set_num_threads(before)
    tolerance = {"float32": 1e-5, "float64": 1e-11}[dtype]
    np.testing.assert_allclose(found[1].energies, found[0].energies, atol=tolerance)
    np.testing.assert_allclose(found[1].forces, found[0].forces, atol=tolerance)
    np.testing.assert_allclose(found[1].virial, found[0].virial, atol=1e3 * tolerance)


def test_features_that_fill_no_chunk(tmp_path):
    path = write_model(tmp_path / "odd.pt", n_features=70)
    atoms = ethanol()
    script, fused = (
        SchNetCalculator(path, device="cpu", engine=e).evaluate([atoms])[0] for e in ("script", "fused")
    )
    np.testing.assert_allclose(fused.forces, script.forces, atol=1e-6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_threads_after_a_fork(models):
    calculator = SchNetCalculator(models["float64"], device="cpu")
    structures = [ethanol() for _ in range(4)]
    expected = calculator.evaluate(structures)[0].energy
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(abs(calculator.evaluate(structures)[0].energy - expected) < 1e-9).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 10) == b"True"
