"""Ten minutes on a machine with a GPU: whether it is right there, and how fast.

    pip install -c constraints.txt '.[test]'
    python benchmarks/gpu.py -o gpu.json

CUDA has never run where this package is developed. Please send the file back with an issue: it holds the card's
name, the versions, what the tests marked ``gpu`` said, the largest deviations from the CPU, and times.
``--device cpu --quick`` tries the script itself.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ase
import numpy as np
import torch
from ase.build import bulk, molecule

from schnet_calc import SchNetCalculator, load_model
from schnet_calc.studies.bench.cases import BATCHES, cage, diamond, md_step, write_random_model
from schnet_calc.studies.bench.timing import take_turns
from schnet_calc.studies.bench.training import make_run, step_of, training_cases

SIZES = (64, 1000, 20000)
TOLERANCE = {"float32": 2e-4, "float64": 2e-6}
"""eV/Å"""
MAKERS = {
    "c20": cage,
    "c20_accurate": cage,
    "silicon": lambda: bulk("Si", cubic=True) * 2,
    "ethanol": lambda: molecule("CH3CH2OH"),
    "benzene": lambda: molecule("C6H6"),
    "h2co": lambda: molecule("H2CO"),
}
"""A structure for each shipped model that is tried."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="one of everything, small")
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu.json"))
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        print("no CUDA device: torch.cuda.is_available() is false", file=sys.stderr)
        return 2
    found = {"machine": machine(options.device)}
    steps = {
        "tests": lambda: {} if options.quick else marked_tests(),
        "deviations": lambda: deviations(options.device, options.quick),
        "steps_ms": lambda: steps_of_md(options.device, options.quick),
        "training_ms": lambda: training_steps(options.device, options.quick),
    }
    for name, measure in steps.items():
        started = time.perf_counter()
        try:
            found[name] = measure()
        except Exception as error:  # the rest is worth knowing all the same
            found[name] = {"failed": f"{type(error).__name__}: {error}"}
        options.output.write_text(json.dumps(found, indent=1) + "\n")
        print(
            f"{name} ({time.perf_counter() - started:.0f} s): {json.dumps(found[name], indent=1)}",
            flush=True,
        )
    print(f"everything is in {options.output}")
    return 0


def machine(device: str) -> dict[str, str]:
    """Card and versions."""
    cuda = device != "cpu"
    return {
        "device": torch.cuda.get_device_name(device) if cuda else platform.processor(),
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def marked_tests() -> dict[str, str]:
    """What ``pytest -m gpu`` says."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "--no-header", "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    return {"status": str(done.returncode), "end": done.stdout[-3000:]}


def structures(name: str) -> list[ase.Atoms]:
    """Some that a shipped model knows, shaken."""
    found = []
    for seed in range(4):
        atoms = MAKERS[name]()
        atoms.rattle(0.03, seed=seed)
        found.append(atoms)
    return found


def deviations(device: str, quick: bool) -> dict[str, dict[str, float | str]]:
    """Largest differences of forces from the CPU in float64, eV/Å; the last of three calls, a replay, counts."""
    found: dict[str, dict[str, float | str]] = {}
    for name in ["ethanol"] if quick else MAKERS:
        images = structures(name)
        precise = load_model(name, device="cpu", dtype="float64", on_doubt="ignore")
        exact = [p.forces for p in precise.evaluate(images)]
        for dtype, tolerance in TOLERANCE.items():
            model = load_model(name, device=device, dtype=dtype, on_doubt="ignore")
            for _ in range(3):
                forces = [p.forces for p in model.evaluate(images)]
            worst = max(float(np.abs(a - b).max()) for a, b in zip(forces, exact, strict=True))
            found.setdefault(name, {})[dtype] = worst
            if worst > tolerance:
                found[name][f"{dtype}_is"] = "TOO MUCH"
    return found


def steps_of_md(device: str, quick: bool) -> dict[str, float]:
    """Milliseconds of MD steps and batches: T = 6, F = 128, random weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        write_random_model(path)
        calculator = SchNetCalculator(path, device=device, on_doubt="ignore")
    calls = {"C20, step of ASE": md_step(cage(), calculator)}
    for count in BATCHES[:1] if quick else BATCHES:
        images = [cage() for _ in range(count)]
        calls[f"C20, batch of {count}"] = lambda images=images: calculator.evaluate(images)
    for size in SIZES[:1] if quick else SIZES:
        calls[f"diamond, {size}"] = md_step(diamond(size), calculator)
    times = take_turns(calls, 0.05 if quick else 5.0, rounds=3)
    return {name: float(np.median(t)) for name, t in times.items()}


def training_steps(device: str, quick: bool) -> dict[str, float]:
    """Milliseconds of training steps, as in ``schnet-calc bench --training``."""
    cases = list(training_cases())[: 1 if quick else None]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            step = step_of(
                make_run(case, Path(folder) / case.name.replace(" ", "_"), "adam", device=device)
            )
            times = take_turns({"step": step}, 0.05 if quick else 5.0, rounds=3)
            found[case.name] = float(np.median(times["step"]))
    return found


if __name__ == "__main__":
    sys.exit(main())
