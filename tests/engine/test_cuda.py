"""The sequence of tensor operations that CUDA records; on the CPU its steps run without a recording."""

import sys
import threading

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from torch.utils._python_dispatch import TorchDispatchMode

from helpers import REFERENCES, ethanol, random_network, rattled, write_model
from schnet_calc import SchNetCalculator
from schnet_calc.engine.cuda import CudaEngine, TensorSequence
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.structures.graph import Graph
from schnet_calc.structures.neighbors import NeighborLists
from schnet_calc.structures.structure import Structure
from schnet_calc.studies.c20 import dodecahedron


def tensor_batches(models, dtype, device="cpu"):
    """The compiled engine for comparison, and the one for CUDA on any device."""
    calculator = SchNetCalculator(models["float64"], device="cpu", dtype="float64")
    return calculator, CudaEngine(calculator.potential, torch.device(device), getattr(torch, dtype))


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
    tolerance = {"float32": 1e-5, "float64": 1e-8}[dtype]
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
    grid = SplineGrid.covering(0.0, 4.0, 0.02)
    sequence = TensorSequence(random_network(), grid, meta, torch.float32)
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
    pairs = [batches.lists.pairs(0, s, batches.sequence.cutoff) for s in first]
    (recording,) = batches.recordings.values()
    recording(first, pairs)
    copy = recording._copy
    monkeypatch.setattr(recording, "_copy", lambda n, v: copy(n, v) if n != "shifts" else 1 / 0)
    others = [NeighborLists().pairs(0, s, batches.sequence.cutoff) for s in second]
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
    batches.memory = 80 * batches.pair_bytes
    found = batches.evaluate([Structure.from_atoms(a) for a in images])
    assert [key[1] for key in batches.recordings] == [2, 1]
    for a, b in zip(found, calculator.evaluate(images), strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=2e-6)


def test_threads_that_share_an_engine(models, monkeypatch):
    """Each gets the energies of its own structure."""
    calculator, batches = tensor_batches(models, "float64")
    images = [Structure.from_atoms(a) for a in rattled(ethanol(), 40, 0.2)]
    expected = [p.energy for p in calculator.evaluate([s.to_atoms() for s in images])]
    found = {}

    def work(first):
        for k in range(first, len(images), 2):
            found[k] = batches.evaluate([images[k]])[0].energy

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        users = [threading.Thread(target=work, args=(k,)) for k in range(2)]
        for user in users:
            user.start()
        for user in users:
            user.join(60)
    finally:
        sys.setswitchinterval(before)
    np.testing.assert_allclose([found[k] for k in range(len(images))], expected, atol=1e-7)


def test_narrow_gaussians_get_the_knots_that_they_need(tmp_path):
    """200 of them over 5 Å: the grid is chosen by the error that it causes, not by a number."""
    path = write_model(tmp_path / "narrow.pt", n_gaussians=200, cutoff=5.0)
    exact = SchNetCalculator(path, device="cpu", engine="script")
    batches = CudaEngine(exact.potential, torch.device("cpu"), torch.float64)
    for a, b in zip(
        batches.evaluate([Structure.from_atoms(ethanol())]), exact.evaluate([ethanol()]), strict=True
    ):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-6)
        np.testing.assert_allclose(a.energies, b.energies, atol=1e-6)


@pytest.mark.parametrize("name", ["c20", "ethanol"])
def test_float32_forces_of_a_trained_model(name):
    """Slopes come from a table of their own: not from differences of rounded numbers."""
    exact = SchNetCalculator(name, device="cpu", dtype="float64", on_doubt="ignore")
    batches = CudaEngine(exact.potential, torch.device("cpu"), torch.float32)
    images = rattled(dodecahedron() if name == "c20" else ethanol(), 4, 0.05)
    found = batches.evaluate([Structure.from_atoms(a) for a in images])
    for a, b in zip(found, exact.evaluate(images), strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=8e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_cpu(models, dtype, engine, atoms):
    """The first call, the one that records, and a replay, of atoms that have moved meanwhile."""
    cpu, gpu = (SchNetCalculator(models[dtype], device=d, engine=engine) for d in ("cpu", "cuda"))
    tolerance = {"float32": 3e-4, "float64": 1e-8}[dtype]
    for seed in range(4):
        atoms.rattle(0.02, seed=seed)
        found, expected = (c.evaluate([atoms, atoms])[1] for c in (gpu, cpu))
        np.testing.assert_allclose(found.forces, expected.forces, atol=tolerance)
        np.testing.assert_allclose(found.energies, expected.energies, atol=tolerance)
        np.testing.assert_allclose(found.virial, expected.virial, atol=10 * tolerance)
    if engine == "compiled":
        (recording,) = gpu.engine.recordings.values()
        assert recording._graph is not None
