"""How long a call takes, of what it is made, and from which size on a GPU is worth it."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from on_gpu import Trial
from on_gpu.engines import calculator_of, engine_of, milliseconds, random_potential, structures
from schnet_calc import SchNetCalculator
from schnet_calc.engine.recordings import Joined
from schnet_calc.structures.neighbors import NeighborLists
from schnet_calc.studies.bench.cases import cage, diamond, md_step

COPIES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SIZES = (64, 216, 1000, 4000, 20000)


def parts_of_a_call(trial: Trial) -> dict[str, Any]:
    """Seconds once, and milliseconds of every call for C20 of T = 6, F = 128."""
    count, found = 3 if trial.quick else 200, {}
    potential = random_potential()
    found["context, s"] = _once(lambda: torch.zeros(1, device=trial.device))
    found["tables, s"] = _once(lambda: calculator_of(potential, trial, "float32"))
    calculator = calculator_of(potential, trial, "float32")
    engine, atoms = calculator.engine, cage()
    batch = structures([atoms])
    found["eager, s"] = _once(lambda: engine.evaluate(batch))
    found["recording, s"] = _once(lambda: engine.evaluate(batch))
    (recording,) = engine.recordings.values()
    pairs = [engine.lists.pairs(0, batch[0], engine.cutoff)]
    joined = Joined(batch[0].numbers, batch[0].positions, pairs, [len(atoms)])
    steps: dict[str, Callable[[], object]] = {
        "list": lambda: NeighborLists().pairs(0, batch[0], engine.cutoff),
        "upload": lambda: (recording._load(joined), _wait(trial)),
        "call on arrays": lambda: (recording.start(joined), recording.finish()),
        "engine": lambda: engine.evaluate(batch),
        "step of ASE": md_step(atoms, calculator),
        "step of ASE on the CPU": md_step(
            atoms, SchNetCalculator(potential, device="cpu", dtype="float32", on_doubt="ignore")
        ),
    }
    found |= {name: milliseconds(_times(step, count)) for name, step in steps.items()}
    if recording.recorded:
        found["replay by events"] = milliseconds(_events(recording._graph.replay, count))
    ours, theirs = (found[k]["median"] for k in ("step of ASE", "step of ASE on the CPU"))
    found["summary"] = f"C20 step {ours:.2f} ms, {theirs:.2f} on the CPU"
    return found


def graph(trial: Trial) -> dict[str, Any]:
    """Nodes of the graph, the kernels that take longest, and memory."""
    engine = engine_of(random_potential(), trial, "float32", operations=trial.device == "cpu")
    batch = structures([cage()])
    for _ in range(3):
        engine.evaluate(batch)
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if trial.device != "cpu":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    (recording,) = engine.recordings.values()
    with torch.profiler.profile(activities=kinds) as profile:
        engine.sequence(recording.batch)
        _wait(trial)
    events = sorted(profile.key_averages(), key=lambda e: -_device_time(e, trial))
    top = {e.key: [e.count, _device_time(e, trial)] for e in events[:12]}
    found: dict[str, Any] = {"kernels: number and µs": top}
    if trial.device != "cpu":
        launched = [e for e in profile.events() if e.device_type == torch.autograd.DeviceType.CUDA]
        found["launches"] = len(launched)
        found["memory, bytes"] = torch.cuda.max_memory_allocated()
    found["summary"] = f"{found.get('launches', '?')} launches, {found.get('memory, bytes', '?')} bytes"
    return found


def _device_time(event: Any, trial: Trial) -> float:
    return float(event.self_cpu_time_total if trial.device == "cpu" else event.self_device_time_total)


def sizes(trial: Trial) -> dict[str, Any]:
    """Milliseconds of batches of C20 and of diamond with a fresh calculator each, beside the CPU; the crossover."""
    potential, found = random_potential(), {}
    count, crossover = 1 if trial.quick else 20, None
    for copies in COPIES[:2] if trial.quick else COPIES:
        here, there = _both(potential, trial)
        images = [cage() for _ in range(copies)]
        row = {
            "device": milliseconds(_times(lambda: here.evaluate(images), count)),  # noqa: B023
            "cpu": milliseconds(_times(lambda: there.evaluate(images), min(count, 5))),  # noqa: B023
        }
        found[f"C20 × {copies}"] = row
        if crossover is None and row["device"]["median"] < row["cpu"]["median"]:
            crossover = 20 * copies
    for n_atoms in () if trial.quick else SIZES:
        here, there = _both(potential, trial)
        found[f"diamond {n_atoms}"] = {
            "device": milliseconds(_times(md_step(diamond(n_atoms), here), count)),
            "cpu": milliseconds(_times(md_step(diamond(n_atoms), there), min(count, 3))),
        }
    found["summary"] = f"faster than the CPU from {crossover} atoms on"
    return found


def _both(potential: Any, trial: Trial) -> tuple[SchNetCalculator, SchNetCalculator]:
    there = SchNetCalculator(potential, device="cpu", dtype="float32", on_doubt="ignore")
    return calculator_of(potential, trial, "float32"), there


def _once(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _times(call: Callable[[], object], count: int) -> list[float]:
    """Seconds of each of so many calls, after some that don't count."""
    for _ in range(min(count, 3)):
        call()
    return [_once(call) for _ in range(count)]


def _events(call: Callable[[], object], count: int) -> list[float]:
    """Seconds between two events on the device around a call."""
    found = []
    for _ in range(count):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        call()
        last.record()
        last.synchronize()
        found.append(1e-3 * first.elapsed_time(last))
    return list(np.array(found))


def _wait(trial: Trial) -> None:
    if trial.device != "cpu":
        torch.cuda.synchronize(trial.device)
