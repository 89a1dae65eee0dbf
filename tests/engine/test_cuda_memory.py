"""The engine for GPUs where memory is short: parts, the CPU, or an error in a sentence."""

import logging

import numpy as np
import pytest
import torch

from helpers import ethanol, mixed_structures, rattled
from schnet_calc import SchNetCalculator, engine as engine_module
from schnet_calc.engine.cuda import CudaEngine
from schnet_calc.kernels.torch.evaluation import TensorSequence
from schnet_calc.modelfile import load_potential
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.structure import Structure


def engines(models):
    calculator = SchNetCalculator(models["float64"], device="cpu", dtype="float64")
    make = TensorSequence
    return calculator, CudaEngine(calculator.potential, torch.device("cpu"), torch.float64, make=make)


def structures(images):
    return [Structure.from_atoms(a) for a in images]


def test_too_little_memory_once(models, monkeypatch):
    """The other recordings go, and the call is made again; then the batch is halved."""
    calculator, batches = engines(models)
    sequence, failures = batches.sequence, [1]

    class Short:
        def __getattr__(self, name):
            return getattr(sequence, name)

        def __call__(self, batch):
            if failures and len(batch.first_atoms) > 2:
                failures.pop()
                raise torch.OutOfMemoryError("out of memory")
            return sequence(batch)

    batches.sequence = Short()
    for n in (1, 4):
        failures[:] = [1] * n
        found = batches.evaluate(structures(mixed_structures()))
        for a, b in zip(found, calculator.evaluate(mixed_structures()), strict=True):
            np.testing.assert_allclose(a.forces, b.forces, atol=1e-8)


def test_arrays_where_memory_is_short(models, monkeypatch):
    """By halves, until each part fits; what isn't about memory is an error still."""
    calculator, batches = engines(models)
    sequence, images = batches.sequence, rattled(ethanol(), 6)
    expected = calculator.evaluate(images)

    class Short:
        def __getattr__(self, name):
            return getattr(sequence, name)

        def __call__(self, batch):
            if len(batch.numbers) > 3 * 9:
                raise torch.OutOfMemoryError("out of memory")
            return sequence(batch)

    batches.sequence = Short()
    found = batches.totals(Geometries.from_atoms(images))
    np.testing.assert_allclose(found.forces, [p.forces for p in expected], atol=1e-8)
    monkeypatch.setattr(batches, "start", lambda joined: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        batches.totals(Geometries.from_atoms(images))


def test_a_card_that_is_full(models, monkeypatch, caplog):
    """``"auto"`` takes the CPU and says so; who asked for the card is told."""

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 MiB")

    monkeypatch.setattr(CudaEngine, "__init__", full)
    monkeypatch.setattr(
        engine_module, "choose_device", lambda name: torch.device("cuda" if name != "cpu" else name)
    )
    potential = load_potential(models["float64"])
    with pytest.raises(MemoryError, match=r"cuda has no memory left for a model.*device='cpu'"):
        engine_module.make_engine([potential], device="cuda")
    with caplog.at_level(logging.WARNING):
        found = engine_module.make_engine([potential], device="auto")
    assert isinstance(found, engine_module.CompiledEngine)
    assert "the CPU evaluates" in caplog.text
