"""The kernels, interpreted on the CPU: as exact as the compiled engine for whatever a SchNet may be."""

import math
import subprocess
import sys
from pathlib import Path

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from torch.utils._python_dispatch import TorchDispatchMode

from helpers import STRUCTURES, VARIANTS, graded_file, random_network, rattled, write_model
from schnet_calc import SchNetCalculator
from schnet_calc.engine import make_engine
from schnet_calc.engine.cuda import CudaEngine
from schnet_calc.engine.grading import DeviceGrades
from schnet_calc.kernels.cuda.batch import Batch
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.torch.evaluation import TensorSequence
from schnet_calc.modelfile import load_potential
from schnet_calc.structures.structure import Structure

pytest.importorskip("triton")
pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="Triton compiles here, and tests marked gpu run the kernels"
)
TOLERANCE = {"float32": 1e-5, "float64": 1e-6}
"""eV/Å"""


def engines(path, dtype):
    from schnet_calc.kernels.cuda.sequence import FusedSequence

    calculator = SchNetCalculator(path, device="cpu", dtype="float64")
    kernels = CudaEngine(
        calculator.potential, torch.device("cpu"), getattr(torch, dtype), make=FusedSequence
    )
    return calculator, kernels


def agree(path, images, dtype):
    calculator, kernels = engines(path, dtype)
    found = kernels.evaluate([Structure.from_atoms(a) for a in images])
    for a, b in zip(found, calculator.evaluate(images), strict=True):
        np.testing.assert_allclose(a.energies, b.energies, atol=TOLERANCE[dtype])
        np.testing.assert_allclose(a.forces, b.forces, atol=TOLERANCE[dtype])
        np.testing.assert_allclose(a.virial, b.virial, atol=10 * TOLERANCE[dtype])


def some(kind):
    """Every variant in one type, the thesis's network in both; the others take long enough to be slow."""
    for name in ("thesis", *VARIANTS):
        yield pytest.param(
            name, kind, marks=[pytest.mark.slow] if kind == "float32" and name in VARIANTS else []
        )


@pytest.mark.parametrize(("name", "dtype"), [*some("float64"), *some("float32")])
def test_all_options(tmp_path, name, dtype):
    """A molecule, a crystal whose atoms see their own images, and an atom alone, in one batch."""
    path = write_model(tmp_path / "model.pt", **VARIANTS.get(name, {}))
    images = [molecule("CO"), ase.Atoms("C")]
    if math.isfinite(SchNetCalculator(path, device="cpu").potential.cutoff):
        images.append(STRUCTURES["crystal"]())
    agree(path, images, dtype)


def test_pairs_beyond_the_tables(tmp_path):
    path = write_model(tmp_path / "all.pt", cutoff_function="none")
    agree(path, [ase.Atoms("COH", [(0, 0, 0), (0, 0, 9.0), (0, 40.0, 0)])], "float64")


@pytest.mark.parametrize("dtype", ["float64"])
def test_more_pairs_than_a_tile_and_odd_widths(tmp_path, dtype):
    """A cell of one atom with hundreds of neighbours; widths that are no powers of two."""
    path = write_model(tmp_path / "model.pt", n_features=37, n_filters=19, cutoff=7.0, output_layers=(5,))
    agree(path, [bulk("C"), bulk("C", "fcc", a=2.2), molecule("CO")], dtype)


@pytest.mark.slow
def test_hessians(models):
    calculator, kernels = engines(models["float64"], "float64")
    atoms = molecule("CO")
    found = kernels.hessian(Structure.from_atoms(atoms))
    np.testing.assert_allclose(found, calculator.hessian(atoms), atol=1e-5)


def test_lists_with_a_skin_and_moving_atoms(models):
    calculator, kernels = engines(models["float64"], "float64")
    atoms = STRUCTURES["crystal"]()
    for seed in range(3):
        atoms.rattle(0.1, seed=seed)
        (found,), (expected,) = (
            e.evaluate([Structure.from_atoms(atoms)]) for e in (kernels, calculator.engine)
        )
        np.testing.assert_allclose(found.forces, expected.forces, atol=1e-7)


def test_features_and_hidden_units(models):
    """What further heads read, and what the last layer of the energy's head does."""
    from schnet_calc.kernels.cuda.sequence import FusedSequence

    _, kernels = engines(models["float64"], "float64")
    kernels.evaluate([Structure.from_atoms(molecule("H2O"))])
    (recording,) = kernels.recordings.values()
    grid = SplineGrid.covering(0.0, 4.0, 1.0 / 40.0)
    cpu, network = torch.device("cpu"), random_network()
    found, expected = (
        make(random_network(), grid, cpu, torch.float64)(recording.batch)
        for make in (FusedSequence, TensorSequence)
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
    energies = network.output(found.hidden)[:, 0].detach()
    np.testing.assert_allclose(energies, found.numbers[:15].reshape(3, 5)[:, 0], atol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="thesis"),
        pytest.param({"output_layers": (5,)}, id="narrow head", marks=pytest.mark.slow),
        pytest.param({"pooling": "mean"}, id="mean", marks=pytest.mark.slow),
    ],
)
def test_grades_and_error_bars(tmp_path, options):
    """What the kernels leave of the last hidden layer is graded as compiled code grades its own."""
    from schnet_calc.kernels.cuda.sequence import FusedSequence

    water, energies = rattled(molecule("H2O"), 60), np.linspace(-1.0, 1.0, 12)
    path = graded_file(tmp_path / "m.pt", water, water[:12], energies=energies, **options)
    potential = load_potential(path)
    kernels = CudaEngine(potential, torch.device("cpu"), torch.float64, make=FusedSequence)
    images = [Structure.from_atoms(a) for a in (*rattled(molecule("H2O"), 2, 0.1, seed=99), molecule("CO"))]
    expected = make_engine([potential], "compiled", "cpu", grades=True).evaluate(images)
    for a, b in zip(kernels.evaluate(images), expected, strict=True):
        np.testing.assert_allclose(a.grades, b.grades, rtol=1e-4)
        np.testing.assert_allclose(a.error_bar, b.error_bar, rtol=1e-4)
        assert a.error_bar > 0.0


def test_memory_that_was_never_written_is_never_read(models):
    """Torch fills it with what is no number when it is asked to be deterministic."""
    calculator, kernels = engines(models["float64"], "float64")
    chain = ase.Atoms("CO", [(0, 0, 0), (1.5, 0, 0)], cell=(3, 9, 9), pbc=(True, False, False))
    images = [chain, ase.Atoms("C")]  # with room for more pairs
    torch.use_deterministic_algorithms(True)
    try:
        found = kernels.evaluate([Structure.from_atoms(a) for a in images])
        assert not np.isfinite(torch.empty(3).numpy()).any()
    finally:
        torch.use_deterministic_algorithms(False)
    for a, b in zip(found, calculator.evaluate(images), strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-6)


class Operations(TorchDispatchMode):
    """Names of all that torch is asked for, but for views and empty arrays."""

    FREE = (
        "empty",
        "view",
        "slice",
        "select",
        "as_strided",
        "detach",
        "alias",
        "unbind",
        "_unsafe_view",
        "t.",
    )

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if not any(str(func).startswith(f"aten.{word}") for word in self.FREE):
            self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_forty_launches_a_call(monkeypatch):
    """With six blocks; on tensors without values, so that nothing may wait for one."""
    from schnet_calc.kernels.cuda.sequence import FusedSequence

    meta = torch.device("meta")
    network = random_network(n_features=128, n_interactions=6)
    sequence = FusedSequence(network, SplineGrid.covering(0.0, 4.0, 0.02), meta, torch.float32)
    batch = Batch.empty(20, 1, 380, meta)
    kernels = []
    monkeypatch.setattr(sequence, "launch", lambda kernel, *_, **__: kernels.append(kernel))
    with Operations() as seen:
        outputs = sequence(batch)
    assert outputs.numbers.shape == (5 * 20 + 6,)
    assert (len(kernels), seen.names) == (28, 12 * ["aten.mm.out"])


def test_grades_are_few_operations_for_any_number_of_elements(tmp_path):
    """In the same recording; on tensors without values."""
    meta, made = torch.device("meta"), []
    for images in (rattled(molecule("H2"), 60), rattled(molecule("CH3OH"), 60)):
        path = graded_file(tmp_path / f"{len(made)}.pt", images)
        network = random_network().to(meta)
        grades = DeviceGrades(load_potential(path).grades, network, meta, torch.float64)
        batch = Batch.empty(20, 2, 30, meta)
        sequence = TensorSequence(
            random_network(), SplineGrid.covering(0.0, 4.0, 0.02), meta, torch.float64
        )
        outputs = sequence(batch)
        with Operations() as seen:
            assert grades(outputs, batch).shape == (20 + 2 * outputs.hidden.shape[1],)
        made.append(len(seen.names))
    assert made[0] == made[1] <= 20


def test_nothing_in_the_operations_waits_for_a_value():
    """What does can't be recorded; seen without a GPU, since tensors without values take its way."""
    meta = torch.device("meta")
    grid = SplineGrid.covering(0.0, 4.0, 0.02)
    sequence = TensorSequence(random_network(), grid, meta, torch.float32)
    outputs = sequence(Batch.empty(7, 2, 30, meta))  # raises where a value is asked for
    assert outputs.numbers.shape == (5 * 7 + 6 * 2,)
    with pytest.raises(NotImplementedError):
        torch.empty(3, device=meta).nonzero()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [75, 80, 90])
def test_kernels_compile_for_gpus(architecture):
    """By Triton's own assembler, which needs none."""
    script = Path(__file__).with_name("compile_kernels.py")
    command = [sys.executable, "-W", "ignore", str(script), str(architecture)]
    environment = {"TRITON_INTERPRET": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("cubin") >= 16
