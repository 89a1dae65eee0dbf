"""Whether the numbers are right: every stage of a recording, every type; and after what may go wrong."""

import threading
from typing import Any

import ase
import numpy as np
import torch

from on_gpu import Trial
from on_gpu.engines import MAKERS, calculator_of, engine_of, shaken, structures
from schnet_calc import SchNetCalculator
from schnet_calc.engine.cuda import CudaEngine

TOLERANCE = {"float32": 1e-5, "float64": 1e-6}
"""eV/Å, times the largest force where that is more than 1 eV/Å."""


def errors(trial: Trial) -> dict[str, Any]:
    """Largest differences from the CPU engine in float64, by model, type, kind of sequence and stage."""
    found: dict[str, Any] = {"worst": {"float32": 0.0, "float64": 0.0}, "too_much": []}
    for name in ["h2co"] if trial.quick else MAKERS:
        exact = SchNetCalculator(name, device="cpu", dtype="float64", on_doubt="ignore")
        for dtype in TOLERANCE:
            for operations in (False, True):
                key = f"{name}, {dtype}, {'operations' if operations else 'kernels'}"
                engine = engine_of(name, trial, dtype, operations)
                stages = found[key] = _stages(name, engine, exact, trial.quick)
                worst = max(s["forces"] for s in stages.values() if isinstance(s, dict))
                found["worst"][dtype] = max(found["worst"][dtype], worst)
                if any(not s["right"] for s in stages.values() if isinstance(s, dict)):
                    found["too_much"].append(key)
    return found


def _stages(name: str, engine: CudaEngine, exact: SchNetCalculator, quick: bool) -> dict[str, Any]:
    """The first call, replays, replays of moved atoms, new lists, room that has grown; and how replays differ."""
    images, dtype = shaken(name, 2), str(engine.dtype).removeprefix("torch.")
    found: dict[str, Any] = {"eager": _difference(engine, exact, images, dtype)}
    if quick:
        return found
    found["replay 1"] = _difference(engine, exact, images, dtype)
    for k in range(9):
        for image in images:
            image.rattle(0.01, seed=100 + k)
        found[f"replay {k + 2}"] = _difference(engine, exact, images, dtype)
    for image in images:
        image.rattle(0.15, seed=7)
    found["new lists"] = _difference(engine, exact, images, dtype)
    if images[0].pbc.any():
        for image in images:
            image.set_cell(0.93 * image.cell, scale_atoms=True)
        found["more room"] = _difference(engine, exact, images, dtype)
    many = [np.array(engine.evaluate(structures(images))[0].forces) for _ in range(20)]
    found["spread of 20 replays"] = float(np.ptp(many, axis=0).max())
    found["recorded"] = all(r.recorded for r in engine.recordings.values())
    return found


def _difference(
    engine: CudaEngine, exact: SchNetCalculator, images: list[ase.Atoms], dtype: str
) -> dict[str, Any]:
    found, expected = engine.evaluate(structures(images)), exact.evaluate(images)
    worst = {"energies": 0.0, "forces": 0.0, "virial": 0.0}
    size = max(1.0, *(float(np.abs(b.forces).max()) for b in expected))
    for a, b in zip(found, expected, strict=True):
        for what in worst:
            worst[what] = max(worst[what], float(np.abs(getattr(a, what) - getattr(b, what)).max()))
    return {**worst, "right": worst["forces"] <= size * TOLERANCE[dtype]}


def trouble(trial: Trial) -> dict[str, Any]:
    """Memory that runs out once and twice, two threads, and a caller who has switched things on."""
    calculator = calculator_of("ethanol", trial, "float64")
    exact = SchNetCalculator("ethanol", device="cpu", dtype="float64", on_doubt="ignore")
    images = shaken("ethanol", 6, 0.1)
    expected = [p.forces for p in exact.evaluate(images)]

    def right(found: list[np.ndarray]) -> bool:
        return max(float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True)) < 1e-6

    def evaluated() -> list[np.ndarray]:
        return [np.array(p.forces) for p in calculator.evaluate(images)]

    found: dict[str, Any] = {"plain": right(evaluated())}
    for times in (1, 3):
        engine = calculator.engine
        engine.sequence = _ShortOfMemory(engine.sequence, times)
        engine.recordings.clear()
        found[f"out of memory {times} times"] = right(evaluated()) and not engine.sequence.times
        engine.sequence = engine.sequence.sequence
    with torch.inference_mode(), torch.autocast(trial.device.split(":")[0], torch.bfloat16):
        found["autocast and inference mode"] = right(evaluated())
    found["two threads"] = _two_threads(calculator, images, expected, 5 if trial.quick else 100)
    return found


class _ShortOfMemory:
    """A sequence that fails so many times."""

    def __init__(self, sequence: Any, times: int) -> None:
        self.sequence, self.times = sequence, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sequence, name)

    def __call__(self, batch: Any) -> Any:
        if self.times:
            self.times -= 1
            raise torch.OutOfMemoryError("out of memory, said to be")
        return self.sequence(batch)


def _two_threads(
    calculator: SchNetCalculator, images: list[ase.Atoms], expected: list[np.ndarray], rounds: int
) -> bool:
    wrong: list[int] = []

    def work(first: int) -> None:
        for k in list(range(first, len(images), 2)) * rounds:
            if np.abs(calculator.evaluate([images[k]])[0].forces - expected[k]).max() > 1e-6:
                wrong.append(k)

    users = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    return not wrong
