"""The engine for GPUs, on the CPU: kernels, interpreted, and tensor operations, both without a recording."""

import logging
import sys
import threading

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule

from helpers import ethanol, mixed_structures, rattled, write_model
from schnet_calc import SchNetCalculator
from schnet_calc.analysis.molecules import dodecahedron
from schnet_calc.engine import cuda
from schnet_calc.engine.committee import Committee
from schnet_calc.engine.cuda import CudaEngine, roomy
from schnet_calc.engine.recordings import plain_arithmetic
from schnet_calc.kernels.torch.evaluation import TensorSequence
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.neighbors import NeighborLists
from schnet_calc.structures.structure import Structure

gpu = pytest.param("cuda", marks=pytest.mark.gpu)


def engines(models, dtype="float64", device="cpu", make=TensorSequence):
    """The compiled engine for comparison, and the one for CUDA on any device."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    calculator = SchNetCalculator(models["float64"], device="cpu", dtype="float64")
    return calculator, CudaEngine(
        calculator.potential, torch.device(device), getattr(torch, dtype), make=make
    )


def structures(images):
    return [Structure.from_atoms(a) for a in images]


@pytest.mark.parametrize("device", ["cpu", gpu])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_of_moving_atoms(models, dtype, device):
    """Fixed sizes, room for pairs, lists kept for each place: as exact as the compiled engine."""
    calculator, batches = engines(models, dtype, device, None if device == "cuda" else TensorSequence)
    rng = np.random.default_rng(0)
    images = [bulk("Si", cubic=True), ethanol(), ase.Atoms("C"), bulk("Si") * (2, 2, 1)]
    tolerance = {"float32": 1e-5, "float64": 1e-8}[dtype]
    for _ in range(12):
        for atoms in images:
            atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        found = batches.evaluate(structures(images))
        for a, b in zip(found, calculator.evaluate(images), strict=True):
            np.testing.assert_allclose(a.energies, b.energies, atol=tolerance)
            np.testing.assert_allclose(a.forces, b.forces, atol=tolerance)
            np.testing.assert_allclose(a.virial, b.virial, atol=10 * tolerance)
    assert len(batches.recordings) == 1


def test_a_recording_is_made_anew_only_for_other_sizes(models):
    _, batches = engines(models)
    atoms = bulk("Si", cubic=True)
    batches.evaluate(structures([atoms]))
    (first,) = batches.recordings.values()
    atoms.rattle(0.3, seed=0)
    batches.evaluate(structures([atoms]))
    assert next(iter(batches.recordings.values())) is first
    atoms.set_cell(0.8 * atoms.cell, scale_atoms=True)  # twice the pairs
    batches.evaluate(structures([atoms]))
    (second,) = batches.recordings.values()
    assert second.capacity > first.capacity


def test_recordings_are_few_and_bounded(models, monkeypatch):
    """Batches of a server differ in size; what is used goes on, what is not goes first."""
    _, batches = engines(models)
    image = structures([molecule("CO")])
    for count in range(64, 81):
        batches.evaluate(image * count)
    assert len(batches.recordings) == 3
    assert all(n <= roomy(n) <= 1.15 * n for n in range(8, 3000))
    monkeypatch.setattr(cuda, "MOST_RECORDINGS", 2)
    batches.evaluate(image)
    assert len(batches.recordings) == 2
    batches.memory = 1
    batches.evaluate(image)
    assert list(batches.recordings) == [(2, 1)]


def test_molecules_have_exact_lists(models):
    _, batches = engines(models)
    batches.evaluate(structures([ethanol()]))
    (recording,) = batches.recordings.values()
    assert recording.capacity == 9 * 8


def test_a_recording_that_was_loaded_by_half(models, monkeypatch):
    calculator, batches = engines(models)
    images = [bulk("Si", cubic=True), bulk("Si", a=5.6, cubic=True)]
    batches.evaluate(structures(images[1:]))
    (recording,) = batches.recordings.values()
    monkeypatch.setattr(torch, "searchsorted", lambda *_: 1 / 0)
    batches.lists = NeighborLists()
    with pytest.raises(ZeroDivisionError):
        batches.evaluate(structures(images[:1]))
    monkeypatch.undo()
    batches.lists = NeighborLists()
    (found,) = batches.evaluate(structures(images[:1]))
    assert next(iter(batches.recordings.values())) is recording
    np.testing.assert_allclose(found.forces, calculator.evaluate(images[:1])[0].forces, atol=1e-8)


def test_errors_name_what_is_wrong(models):
    _, batches = engines(models)
    images = structures([ethanol(), molecule("CO"), ethanol()])
    images[1].positions[1] = images[1].positions[0]
    with pytest.raises(ValueError, match="structure 1: atoms 0 and 1 are at the same place"):
        batches.evaluate(images)
    images[1].positions[1, 2] = np.nan
    with pytest.raises(ValueError, match="structure 1: position of atom 1 is not finite"):
        batches.evaluate(images)


def test_large_batches_are_split(models):
    calculator, batches = engines(models)
    images = [ethanol() for _ in range(5)]
    batches.memory = 80 * batches.pair_bytes
    found = batches.evaluate(structures(images))
    assert sorted(batches.recordings) == [(9, 1), (18, 2)]
    for a, b in zip(found, calculator.evaluate(images), strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-8)


@pytest.mark.parametrize("template", [ethanol(), bulk("Si", cubic=True), ase.Atoms("C")], ids=str)
def test_totals_are_arrays(models, monkeypatch, template):
    calculator, batches = engines(models)
    images = rattled(template, 5)
    expected = calculator.evaluate(images)
    monkeypatch.setattr(batches, "compute", None)
    found = batches.totals(Geometries.from_atoms(images))
    np.testing.assert_allclose(found.energies, [p.energy for p in expected], atol=1e-8)
    np.testing.assert_allclose(found.forces, [p.forces for p in expected], atol=1e-8)
    np.testing.assert_allclose(found.virials, [p.virial for p in expected], atol=1e-7)


def test_totals_have_the_errors_of_predictions(models):
    _, batches = engines(models)
    geometries = Geometries.from_atoms(rattled(molecule("CO"), 3))
    geometries.positions[1, 1] = geometries.positions[1, 0]
    with pytest.raises(ValueError, match="structure 1: atoms 0 and 1 are at the same place"):
        batches.totals(geometries)
    geometries.positions[1, 1] = np.inf
    with pytest.raises(ValueError, match="structure 1: position of atom 1 is not finite"):
        batches.totals(geometries)


def test_what_the_caller_has_switched_on_stays_outside(models):
    calculator, batches = engines(models, "float32")
    expected = calculator.evaluate([ethanol()])[0].forces
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            found = batches.evaluate(structures([ethanol()]))[0].forces
            assert torch.is_inference_mode_enabled()
        with plain_arithmetic(torch.device("cpu")):
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_threads_that_share_an_engine(models):
    """Each gets the energies of its own structure."""
    calculator, batches = engines(models)
    images = rattled(ethanol(), 40, 0.2)
    expected = [p.energy for p in calculator.evaluate(images)]
    found = {}

    def work(first):
        for k in range(first, len(images), 2):
            found[k] = batches.evaluate(structures([images[k]]))[0].energy

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
    batches = CudaEngine(exact.potential, torch.device("cpu"), torch.float64, make=TensorSequence)
    (found,), (expected,) = batches.evaluate(structures([ethanol()])), exact.evaluate([ethanol()])
    np.testing.assert_allclose(found.forces, expected.forces, atol=1e-6)
    np.testing.assert_allclose(found.energies, expected.energies, atol=1e-6)


@pytest.mark.parametrize("name", ["c20", "ethanol"])
def test_float32_forces_of_a_trained_model(name):
    """Slopes have coefficients of their own: they are no differences of rounded numbers."""
    exact = SchNetCalculator(name, device="cpu", dtype="float64", on_doubt="ignore")
    batches = CudaEngine(exact.potential, torch.device("cpu"), torch.float32, make=TensorSequence)
    images = rattled(dodecahedron() if name == "c20" else ethanol(), 4, 0.05)
    for a, b in zip(batches.evaluate(structures(images)), exact.evaluate(images), strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=8e-6)


def test_kernels_that_do_not_compile(models, monkeypatch, caplog):
    """A warning says why, and tensor operations take over."""
    sequence = pytest.importorskip("schnet_calc.kernels.cuda.sequence")
    monkeypatch.setattr(sequence.FusedSequence, "launch", lambda *_, **__: 1 / 0)
    with caplog.at_level(logging.WARNING):
        _, batches = engines(models, make=None)
    assert isinstance(batches.sequence, TensorSequence)
    assert "could not be compiled: ZeroDivisionError" in caplog.text


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_cpu(models, dtype, engine, atoms):
    """The first call, the one that records, and replays, of atoms that have moved meanwhile."""
    cpu, there = (SchNetCalculator(models[dtype], device=d, engine=engine) for d in ("cpu", "cuda"))
    tolerance = {"float32": 3e-4, "float64": 1e-8}[dtype]
    for seed in range(4):
        atoms.rattle(0.02, seed=seed)
        found, expected = (c.evaluate([atoms, atoms])[1] for c in (there, cpu))
        np.testing.assert_allclose(found.forces, expected.forces, atol=tolerance)
        np.testing.assert_allclose(found.energies, expected.energies, atol=tolerance)
        np.testing.assert_allclose(found.virial, expected.virial, atol=10 * tolerance)
    if engine == "compiled":
        (recording,) = there.engine.recordings.values()
        assert recording.recorded


def test_committees_are_set_off_together(members, monkeypatch):
    """All members begin before the first is waited for; the numbers are those of each alone."""
    committee = SchNetCalculator(members, device="cpu").engine
    alone = [
        CudaEngine(m.potential, torch.device("cpu"), torch.float64, make=TensorSequence)
        for m in committee.members
    ]
    order = []
    for name in ("begin", "end"):
        original = getattr(CudaEngine, name)
        monkeypatch.setattr(
            CudaEngine, name, lambda *a, name=name, of=original: order.append(name) or of(*a)
        )
    together = Committee(alone)
    found = together.evaluate(structures(mixed_structures()))
    assert order == ["begin"] * 3 + ["end"] * 3
    for a, b in zip(found, committee.evaluate(structures(mixed_structures())), strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-8)
        np.testing.assert_allclose(a.forces_std, b.forces_std, atol=1e-8)
    bad = structures([ethanol(), molecule("CO")])
    bad[1].positions[1] = bad[1].positions[0]
    with pytest.raises(ValueError, match="structure 1: atoms 0 and 1 are at the same place"):
        together.evaluate(bad)
    together.memory = 60 * alone[0].pair_bytes
    order.clear()
    assert len(together.evaluate(structures([ethanol()] * 3))) == 3
    assert order == ["begin", "end"] * 9
