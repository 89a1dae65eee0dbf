"""Time of a C20 MD step and of batches: the fused engine against TorchScript with autograd, in one run.

    python benchmarks/calculator.py [--model c20] [--threads 2]

Run it on an idle machine.
"""

import argparse
import time
from collections.abc import Callable

import torch
from ase import units
from ase.md.verlet import VelocityVerlet

from schnet_calc import SchNetCalculator
from schnet_calc.tasks.c20 import dodecahedron

ENGINES = ("script", "fused")


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Median over repeats, after three calls to warm up."""
    for _ in range(3):
        call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1e3 * sorted(times)[repeats // 2]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="c20")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    atoms = dodecahedron()
    atoms.rattle(0.02, seed=0)
    rows: dict[str, list[float]] = {}
    for engine in ENGINES:
        calculator = SchNetCalculator(arguments.model, device="cpu", engine=engine)
        moving = atoms.copy()
        moving.calc = calculator
        dynamics = VelocityVerlet(moving, 0.5 * units.fs)

        def step(dynamics: VelocityVerlet = dynamics) -> None:
            dynamics.run(1)

        rows.setdefault("MD step", []).append(milliseconds(step, 100))
        for size in (1, 8, 32, 128):
            images = [atoms] * size

            def batch(calculator: SchNetCalculator = calculator, images: list = images) -> list:
                return calculator.evaluate(images)

            rows.setdefault(f"batch of {size}", []).append(milliseconds(batch, max(40 // size, 3)))
    print(f"C20, model {arguments.model}, {arguments.threads} thread(s), float32; median ms")
    print(f"{'':14s}" + "".join(f"{engine:>10s}" for engine in ENGINES) + f"{'ratio':>8s}")
    for name, (script, fused) in rows.items():
        print(f"{name:14s}{script:10.2f}{fused:10.2f}{script / fused:8.1f}")


if __name__ == "__main__":
    main()
