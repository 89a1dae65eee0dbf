"""The sequence of tensor operations that CUDA records; on the CPU its steps run without a recording."""

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from torch.utils._python_dispatch import TorchDispatchMode

from helpers import REFERENCES, ethanol, random_network
from schnet_calc import SchNetCalculator
from schnet_calc.engine.cuda import CudaEngine, TensorSequence
from schnet_calc.structures.graph import Graph
from schnet_calc.structures.neighbors import NeighborLists
from schnet_calc.structures.structure import Structure


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_cpu(models, dtype, engine, atoms):
    cpu, gpu = (
        SchNetCalculator(models[dtype], device=device, engine=engine).evaluate([atoms, atoms])[1]
        for device in ("cpu", "cuda")
    )
    tolerance = {"float32": 3e-4, "float64": 1e-9}[dtype]
    np.testing.assert_allclose(gpu.forces, cpu.forces, atol=tolerance)
    np.testing.assert_allclose(gpu.energies, cpu.energies, atol=tolerance)
