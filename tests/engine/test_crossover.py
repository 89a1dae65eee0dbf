"""Small batches on the CPU, large ones on a GPU, for which tensor operations on the CPU stand here."""

import logging

import numpy as np
import pytest
import torch

from helpers import ethanol, rattled
from schnet_calc import load_model
from schnet_calc.engine import crossover
from schnet_calc.engine.compiled import CompiledEngine
from schnet_calc.engine.crossover import CrossoverEngine
from schnet_calc.engine.cuda import CudaEngine
from schnet_calc.kernels.torch.evaluation import TensorSequence
from schnet_calc.modelfile import load_potential
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.structure import Structure


@pytest.fixture
def engine(models):
    potential, cpu = load_potential(models["float64"]), torch.device("cpu")
    return CrossoverEngine(
        CompiledEngine(potential, cpu, torch.float64),
        CudaEngine(potential, cpu, torch.float64, make=TensorSequence),
    )


@pytest.fixture
def used(engine, monkeypatch):
    """Which of the two has computed."""
    seen = []
    for name in ("cpu", "gpu"):
        part = getattr(engine, name)
        monkeypatch.setattr(
            part, "compute", lambda *a, name=name, of=part.compute: seen.append(name) or of(*a)
        )
    return seen


def structures(count):
    return [Structure.from_atoms(a) for a in rattled(ethanol(), count)]


def test_the_size_is_measured_once_and_said(engine, used, monkeypatch, caplog):
    def seconds(of, structure, count):
        return (1e-3 if of is engine.gpu else 2e-4) * (1 if of is engine.gpu else count)

    monkeypatch.setattr(crossover, "_seconds", seconds)
    with caplog.at_level(logging.INFO):
        found = engine.evaluate(structures(1))
    assert engine.from_atoms == 72  # 9 × 4 were slower, 9 × 16 were not
    assert "evaluates batches of 72 atoms or more" in caplog.text
    caplog.clear()
    engine.evaluate(structures(7))
    engine.evaluate(structures(8))
    assert used == ["cpu", "cpu", "gpu"]
    assert not caplog.text
    (alone,) = engine.gpu.evaluate(structures(1))
    np.testing.assert_allclose(found[0].forces, alone.forces, atol=1e-8)


def test_a_gpu_that_is_never_faster(engine, used, monkeypatch):
    monkeypatch.setattr(crossover, "_seconds", lambda of, structure, count: float(of is engine.gpu))
    engine.evaluate(structures(1))
    assert engine.from_atoms == 4 * 9 * 256
    assert used == ["cpu"]


def test_it_measures_without_touching_lists(engine, monkeypatch):
    monkeypatch.setattr(crossover, "COPIES", (1, 4))
    engine.evaluate(structures(2))
    assert engine.from_atoms is not None
    assert set(engine.lists._lists) == {0, 1}
    bad = structures(2)
    bad[1].positions[0] = np.nan
    with pytest.raises(ValueError, match="structure 1: position of atom 0 is not finite"):
        engine.evaluate(bad)


def test_totals_and_hessians(engine, models, monkeypatch):
    exact = load_model(models["float64"], device="cpu")
    geometries = Geometries.from_atoms(rattled(ethanol(), 4))
    expected = exact.totals(geometries)
    for size in (None, 0, 10**6):
        monkeypatch.setattr(crossover, "COPIES", (1,))
        engine.from_atoms = size
        found = engine.totals(geometries)
        np.testing.assert_allclose(found.forces, expected.forces, atol=1e-8)
        np.testing.assert_allclose(found.energies, expected.energies, atol=1e-8)
    np.testing.assert_allclose(
        engine.hessian(structures(1)[0]), exact.hessian(rattled(ethanol(), 1)[0]), atol=1e-5
    )
