"""Milliseconds of a PIMD step, beside what it is made of: the evaluation of a batch, and i-PI's own time.

    python benchmarks/pimd.py [--beads 8] [--steps 1000]

i-PI's own time is measured with a potential that costs nothing, connected in the same way. Run it on an
idle machine.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import torch

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.fullerene import dodecahedron
from schnet_calc.bench.pimd import FREE, Serve, pimd_step, with_ase
from schnet_calc.bench.timing import take_turns
from schnet_calc.ipi import Address, Client, ModelSpec, ProcessWorker
from schnet_calc.ipi.input import STRUCTURE
from schnet_calc.ipi.wire import Reply, Request


def free(request: Request) -> Reply:
    """Costs nothing."""
    count = len(request.cells)
    return Reply(
        np.zeros(count), np.zeros_like(request.positions), np.zeros_like(request.cells), [""] * count
    )


def with_client(worker: Callable[[Path], object], connections: int = 1) -> Serve:
    """Serve with our client."""

    def serve(folder: Path) -> None:
        atoms = ase.io.read(folder / STRUCTURE)
        Client(worker(folder), atoms, Address(unix=folder.name), connections=connections).run()

    return serve


def process(folder: Path) -> ProcessWorker:
    """The worker of the command line."""
    return ProcessWorker(ModelSpec(("c20",), folder / STRUCTURE, device="cpu"))


def batch_milliseconds(calculator: SchNetCalculator, beads: int) -> float:
    """Median for one batch of structures."""
    batch = []
    for seed in range(beads):
        batch.append(dodecahedron())
        batch[-1].rattle(0.05, seed=seed)
    return float(np.median(take_turns({"batch": lambda: calculator.evaluate(batch)})["batch"]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beads", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    beads, steps, cage = options.beads, options.steps, dodecahedron()
    calculator = SchNetCalculator("c20", device="cpu")
    batch = batch_milliseconds(calculator, beads)
    alone = {
        "direct": pimd_step(cage, beads, steps, pes=FREE),
        "socket": pimd_step(cage, beads, steps, serve=with_client(lambda folder: free)),
    }
    print(f"C20, {beads} beads, float32, {torch.get_num_threads()} threads")
    by = ", ".join(f"{value:.2f} ms {name}" for name, value in alone.items())
    print(f"one batch {batch:.2f} ms, i-PI alone {by}")
    ways = {
        "direct": pimd_step(cage, beads, steps),
        "socket, one batch": pimd_step(cage, beads, steps, serve=with_client(process)),
        f"socket, {beads} connections": pimd_step(
            cage, beads, steps, serve=with_client(process, beads), batched=False
        ),
        "ASE's SocketClient": pimd_step(cage, beads, steps, serve=with_ase(calculator), batched=False),
    }
    print(f"{'':24s}{'ms per step':>12s}{'ratio to batch + i-PI':>24s}{'1.25 ns at 0.5 fs':>20s}")
    for name, found in ways.items():
        ratio = found / (batch + alone["direct" if name == "direct" else "socket"])
        print(f"{name:24s}{found:12.2f}{ratio:24.2f}{2.5e6 * found * 1e-3 / 3600:18.1f} h")


if __name__ == "__main__":
    main()
