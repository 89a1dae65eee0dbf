"""Engines and structures that the parts share."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import ase
import numpy as np
import torch
from ase.build import bulk, molecule

from on_gpu import Trial
from schnet_calc import SchNetCalculator
from schnet_calc.engine.cuda import CudaEngine
from schnet_calc.kernels.torch.evaluation import TensorSequence
from schnet_calc.modelfile import Potential, load_potential
from schnet_calc.structures.structure import Structure
from schnet_calc.studies.bench.cases import cage, write_random_model

MAKERS: dict[str, Callable[[], ase.Atoms]] = {
    "h2co": lambda: molecule("H2CO"),
    "c20": cage,
    "c20_accurate": cage,
    "silicon": lambda: bulk("Si", cubic=True) * 2,
    "ethanol": lambda: molecule("CH3CH2OH"),
    "benzene": lambda: molecule("C6H6"),
}
"""A structure for each shipped model that is tried."""


def engine_of(source: str | Potential, trial: Trial, dtype: str, operations: bool = False) -> CudaEngine:
    """The engine for CUDA, on any device, with the kernels that run there; or with tensor operations."""
    potential = load_potential(source) if isinstance(source, str) else source
    make = TensorSequence if operations else None
    return CudaEngine(potential, torch.device(trial.device), getattr(torch, dtype), make=make)


def calculator_of(source: str | Potential, trial: Trial, dtype: str | None = None) -> SchNetCalculator:
    """A calculator with this engine; on a CPU with tensor operations, since interpreted kernels are slow."""
    calculator = SchNetCalculator(source, device=trial.device, dtype=dtype, on_doubt="ignore")
    if trial.device == "cpu":
        kind = str(calculator.engine.dtype).removeprefix("torch.")
        calculator.model.engine = engine_of(calculator.potential, trial, kind, operations=True)
    return calculator


def random_potential() -> Potential:
    """T = 6, F = 128 for carbon, random weights."""
    with tempfile.TemporaryDirectory() as folder:
        write_random_model(Path(folder) / "model.pt")
        return load_potential(Path(folder) / "model.pt")


def shaken(name: str, count: int, amplitude: float = 0.03) -> list[ase.Atoms]:
    """Structures that a shipped model knows."""
    found = []
    for seed in range(count):
        found.append(MAKERS[name]())
        found[-1].rattle(amplitude, seed=seed)
    return found


def structures(images: Sequence[ase.Atoms]) -> list[Structure]:
    """As engines take them."""
    return [Structure.from_atoms(a) for a in images]


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    times = 1e3 * np.array(seconds)
    return {"median": float(np.median(times)), "p95": float(np.quantile(times, 0.95))}
