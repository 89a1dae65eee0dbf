"""The compiled code in its parts: products, threads that meet, batches; and the sequence for GPUs."""

import os
import subprocess
import sys
import threading

import ase
import numba
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from conftest import REFERENCES, ethanol, random_network, skewed_silicon, write_model
from torch.utils._python_dispatch import TorchDispatchMode

from schnet_calc import SchNetCalculator
from schnet_calc.engine.cuda import TensorBatches, TensorSequence
from schnet_calc.kernels.cpu.barrier import wait
from schnet_calc.kernels.cpu.compiling import exact, jit
from schnet_calc.kernels.cpu.dense import aligned, pack, panel_width, product
from schnet_calc.kernels.cpu.threads import Team
from schnet_calc.structures.graph import Graph
from schnet_calc.structures.neighbors import list_at
from schnet_calc.structures.structure import Structure

KINDS = (np.float32, np.float64)


@jit
def multiply(x, weights, bias, out, add):
    """A product as compiled code calls it."""
    if add:
        product(x, weights, bias, out, True)
    else:
        product(x, weights, bias, out, False)


def layer(kind, n_in=70, panels=2):
    rng = np.random.default_rng(0)
    width = panel_width(np.dtype(kind))
    weights = rng.normal(size=(n_in, panels * width)).astype(kind)
    return weights, rng.normal(size=panels * width).astype(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_rows", [1, 3, 4, 9, 10, 25, 131])
def test_product_is_numpys(kind, n_rows):
    weights, bias = layer(kind)
    x = np.random.default_rng(1).normal(size=(n_rows, len(weights))).astype(kind)
    out = aligned((n_rows, len(bias)), np.dtype(kind))
    multiply(x, pack(weights), bias, out, False)
    tolerance = 2e-5 if kind is np.float32 else 1e-13
    np.testing.assert_allclose(out, x @ weights + bias, atol=tolerance)
    multiply(x, pack(weights), bias, out, True)
    np.testing.assert_allclose(out, 2 * (x @ weights + bias), atol=2 * tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_does_not_depend_on_the_others(kind):
    weights, bias = layer(kind)
    x = np.random.default_rng(1).normal(size=(27, len(weights))).astype(kind)
    whole = np.empty((27, len(bias)), kind)
    multiply(x, pack(weights), bias, whole, False)
    for first, last in ((0, 1), (1, 6), (6, 27)):
        part = np.empty((last - first, len(bias)), kind)
        multiply(x[first:last], pack(weights), bias, part, False)
        np.testing.assert_array_equal(part, whole[first:last])


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def structures():
    apart = ase.Atoms("C2O", positions=[[0, 0, 0], [50, 0, 0], [0, 80, 0]])
    return [ethanol(), ase.Atoms("C"), skewed_silicon(), molecule("CH3COOH"), apart, ethanol()]


@pytest.mark.parametrize("n_threads", [1, 2, 5, 9])
def test_a_batch_is_exactly_its_members(models, threads, n_threads):
    threads(n_threads)
    calculator = SchNetCalculator(models["float32"], device="cpu")
    for found, atoms in zip(calculator.evaluate(structures()), structures(), strict=True):
        (alone,) = calculator.evaluate([atoms])
        np.testing.assert_array_equal(found.energies, alone.energies)
        np.testing.assert_array_equal(found.forces, alone.forces)
        np.testing.assert_array_equal(found.virial, alone.virial)


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_any_number_of_threads_for_one_structure(models, threads, monkeypatch, n_threads):
    """More threads than pairs, or than atoms, too."""
    monkeypatch.setattr("schnet_calc.engine.compiled.PART", 1)
    calculator = SchNetCalculator(models["float64"], device="cpu")
    for atoms in structures():
        threads(1)
        (alone,) = calculator.evaluate([atoms])
        threads(n_threads)
        (shared,) = calculator.evaluate([atoms])
        np.testing.assert_allclose(shared.energies, alone.energies, atol=1e-12)
        np.testing.assert_allclose(shared.forces, alone.forces, atol=1e-12)
        np.testing.assert_allclose(shared.virial, alone.virial, atol=1e-11)


def test_large_and_small_in_one_batch(models, threads, monkeypatch):
    threads(2)
    calculator = SchNetCalculator(models["float64"], device="cpu")
    images = [ethanol(), bulk("Si", cubic=True) * (2, 2, 2), molecule("CO"), bulk("Si", cubic=True) * 2]
    for k, atoms in enumerate(images):
        atoms.rattle(0.05, seed=k)
    expected = calculator.evaluate(images)
    monkeypatch.setattr("schnet_calc.engine.compiled.LARGE", 20)
    for a, b in zip(calculator.evaluate(images), expected, strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-11)
    # One small structure among large ones, and many portions.
    for a, b in zip(calculator.evaluate(images[1:]), expected[1:], strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-11)
    monkeypatch.setattr("schnet_calc.engine.compiled.LARGE", 10**9)
    monkeypatch.setattr("schnet_calc.engine.compiled.PORTION", 30)
    for a, b in zip(calculator.evaluate(images * 3), expected * 3, strict=True):
        np.testing.assert_array_equal(a.forces, b.forces)
    images[3].positions[1] = images[3].positions[0]
    with pytest.raises(ValueError, match="structure 3: atoms 0 and 1 are at the same place"):
        calculator.evaluate(images)


def test_threads_of_the_user_do_not_meet_each_other(models, threads):
    """Whoever finds the team at work evaluates alone."""
    threads(2)
    crystal = bulk("Si", cubic=True) * (3, 3, 2)
    crystal.rattle(0.05, seed=0)
    calculators = [SchNetCalculator(models["float64"], device="cpu") for _ in range(3)]
    (expected,) = calculators[0].evaluate([crystal])
    found = []

    def work(calculator):
        for _ in range(20):
            found.append(calculator.evaluate([crystal])[0].forces)

    users = [threading.Thread(target=work, args=(c,)) for c in calculators]
    for user in users:
        user.start()
    for user in users:
        user.join(60)
        assert not user.is_alive()
    assert len(found) == 60
    for forces in found:
        np.testing.assert_allclose(forces, expected.forces, atol=1e-11)


@jit
def meet(part, arrivals, n_rounds, n_parts, seen):
    """Count the rounds that a part has come to."""
    for r in range(n_rounds):
        seen[part] += 1
        if not wait(arrivals, r, n_parts):
            return


def test_nobody_waits_for_a_part_that_failed():
    team, seen = Team(), np.zeros(3, np.int64)
    assert team.run(meet, 3, 100, 3, seen)
    assert seen.tolist() == [100, 100, 100]

    def fails(part, arrivals, *rest):
        if part == 1:
            raise MemoryError("none left")
        meet(part, arrivals, *rest)

    with pytest.raises(MemoryError, match="none left"):
        team.run(fails, 3, 100, 3, np.zeros(3, np.int64))

    def interrupted(part, arrivals, *rest):
        if part == 0:
            raise KeyboardInterrupt
        meet(part, arrivals, *rest)

    with pytest.raises(KeyboardInterrupt):
        team.run(interrupted, 3, 100, 3, np.zeros(3, np.int64))
    assert team.run(meet, 3, 50, 3, seen)
    assert seen.tolist() == [150, 150, 150]


def test_where_compiled_code_cannot_be_kept(monkeypatch):
    """As in a container whose file system is read-only."""
    kept = numba.njit

    def njit(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return kept(**options)

    monkeypatch.setattr(numba, "njit", njit)
    assert exact(lambda x: x + 1)(1) == 2


OTHER = """
import sys
from ase.build import molecule
from schnet_calc import SchNetCalculator
from schnet_calc.kernels.cpu.simd import VECTOR_BYTES
from schnet_calc.engine.compiled import PART
import schnet_calc.engine.compiled as compiled
compiled.PART = 4
atoms = molecule("CH3CH2OH")
atoms.rattle(0.05, seed=1)
atoms.calc = SchNetCalculator(sys.argv[1], device="cpu")
print(VECTOR_BYTES, *atoms.get_forces().ravel().tolist())
"""


@pytest.mark.slow
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="compiles for older x86 processors")
def test_on_a_processor_without_wide_vectors(models, tmp_path):
    """Compiled for the first x86-64, which has neither AVX nor fused multiplication."""
    environment = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OTHER, str(models["float32"])],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    width, *forces = done.stdout.split()
    assert width == "32"
    (expected,) = SchNetCalculator(models["float64"], device="cpu").evaluate([ethanol()])
    np.testing.assert_allclose(np.array(forces, float), expected.forces.ravel(), atol=1e-5)


def tensor_batches(models, dtype, device="cpu"):
    calculator = SchNetCalculator(models["float64"], device="cpu", dtype="float64")
    network = calculator.potential.network()
    sequence = TensorSequence(network.double(), torch.device(device), getattr(torch, dtype))
    return calculator, TensorBatches(sequence, calculator.engine._offsets)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_recorded_sequence_goes_along_with_moving_atoms(models, dtype, device):
    """Fixed sizes, padded pairs, lists kept for each place: as exact as the compiled engine.

    On the CPU the same steps run without a recording.
    """
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    calculator, batches = tensor_batches(models, dtype, device)
    rng = np.random.default_rng(0)
    images = [bulk("Si", cubic=True), ethanol(), ase.Atoms("C"), bulk("Si") * (2, 2, 1)]
    tolerance = {"float32": 2e-5, "float64": 2e-6}[dtype]
    for _ in range(12):
        for atoms in images:
            atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        found = batches.evaluate([Structure.from_atoms(a) for a in images])
        for a, b in zip(found, calculator.evaluate(images), strict=True):
            np.testing.assert_allclose(a.energies, b.energies, atol=tolerance)
            np.testing.assert_allclose(a.forces, b.forces, atol=tolerance)
            np.testing.assert_allclose(a.virial, b.virial, atol=10 * tolerance)
    assert len(batches.recordings) == 1
    (recording,) = batches.recordings.values()
    assert recording.capacity > sum(len(p.i) for p in recording._pairs)


def test_a_recording_is_made_anew_only_for_other_sizes(models):
    _, batches = tensor_batches(models, "float64")
    atoms = bulk("Si", cubic=True)
    batches.evaluate([Structure.from_atoms(atoms)])
    (first,) = batches.recordings.values()
    atoms.rattle(0.3, seed=0)
    batches.evaluate([Structure.from_atoms(atoms)])
    assert next(iter(batches.recordings.values())) is first
    atoms.set_cell(0.8 * atoms.cell, scale_atoms=True)  # twice the pairs
    batches.evaluate([Structure.from_atoms(atoms)])
    (second,) = batches.recordings.values()
    assert second.capacity > first.capacity
    for n in range(1, 12):
        batches.evaluate(
            [Structure.from_atoms(ase.Atoms("C" * n, np.eye(n, 3) * 2 + np.arange(n)[:, None]))]
        )
    assert len(batches.recordings) == 8


class Operations(TorchDispatchMode):
    """Names of the operations that torch is asked for."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))


def test_nothing_in_the_sequence_waits_for_a_value():
    """What does can't be recorded; seen without a GPU, since tensors without values take its way."""
    meta = torch.device("meta")
    sequence = TensorSequence(random_network(), meta, torch.float32)
    whole, real = {"dtype": torch.int64, "device": meta}, {"dtype": torch.float64, "device": meta}
    pairs = torch.zeros(30, **whole), torch.zeros(30, **whole), torch.zeros(30, 3, **real)
    graph = Graph(torch.zeros(7, **whole), torch.zeros(7, 3, **real), torch.zeros(7, **whole), *pairs)
    with Operations() as seen:
        outputs = sequence(graph, 2)
    assert outputs.virials.shape == (2, 3, 3)
    assert len(seen.names) > 20
    for name in seen.names:
        assert not any(
            word in name for word in ("local_scalar", "nonzero", "item", "masked_select", "unique")
        )
    with Operations() as seen:
        x = torch.rand(5)
        x[x.argmin()]
    assert any("local_scalar" in name for name in seen.names)


def test_a_recording_that_was_loaded_by_half(models, monkeypatch):
    _, batches = tensor_batches(models, "float64")
    first = [Structure.from_atoms(bulk("Si", cubic=True))]
    second = [Structure.from_atoms(bulk("Si", a=5.6, cubic=True))]
    expected = batches.evaluate(first)[0].energy
    batches.evaluate(second)
    pairs = [batches.lists[0].pairs(s.positions, s.cell, s.pbc) for s in first]
    (recording,) = batches.recordings.values()
    recording(first, pairs)
    copy = recording._copy
    monkeypatch.setattr(recording, "_copy", lambda n, v: copy(n, v) if n != "shifts" else 1 / 0)
    others = [list_at({}, 0, batches.sequence.cutoff).pairs(s.positions, s.cell, s.pbc) for s in second]
    with pytest.raises(ZeroDivisionError):
        recording(second, others)
    monkeypatch.undo()
    assert float(recording(first, pairs).energies.sum()) + 8 * REFERENCES[14] == pytest.approx(expected)


def test_the_sequence_names_what_is_wrong(models):
    _, batches = tensor_batches(models, "float64")
    images = [Structure.from_atoms(a) for a in (ethanol(), molecule("CO"), ethanol())]
    images[1].positions[1] = images[1].positions[0]
    with pytest.raises(ValueError, match="structure 1: atoms 0 and 1 are at the same place"):
        batches.evaluate(images)
    images[1].positions[1, 2] = np.nan
    with pytest.raises(ValueError, match="structure 1: position of atom 1 is not finite"):
        batches.evaluate(images)


def test_the_sequence_splits_batches(models):
    calculator, batches = tensor_batches(models, "float64")
    images = [ethanol() for _ in range(5)]
    found = batches.evaluate([Structure.from_atoms(a) for a in images], most_pairs=80)
    assert [key[1] for key in batches.recordings] == [2, 1]
    for a, b in zip(found, calculator.evaluate(images), strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=2e-6)


def test_a_model_with_features_of_any_number(tmp_path):
    for n_features in (5, 33):
        path = write_model(tmp_path / f"{n_features}.pt", n_features=n_features)
        script, fused = (
            SchNetCalculator(path, device="cpu", engine=e).evaluate([ethanol()])[0]
            for e in ("script", "fused")
        )
        np.testing.assert_allclose(fused.forces, script.forces, atol=1e-6)
    assert random_network(n_features=5).config.n_features == 5
