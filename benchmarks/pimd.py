"""Milliseconds of a PIMD step, beside what it is made of: the evaluation of a batch, and i-PI's own time.

    python benchmarks/pimd.py [--beads 8] [--steps 1000]

i-PI's own time is measured with a potential that costs nothing, connected in the same way. Run it on an
idle machine.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import torch
from ase.calculators.socketio import SocketClient

from schnet_calc import SchNetCalculator
from schnet_calc.ipi import Address, Client, ModelSpec, ProcessWorker
from schnet_calc.ipi.input import INPUT, STRUCTURE, PIMDSettings, write_input
from schnet_calc.ipi.server import Server
from schnet_calc.ipi.wire import Reply, Request
from schnet_calc.tasks.c20 import dodecahedron

Serve = Callable[[Path], None]
FREE = """
import numpy as np
__DRIVER_NAME__, __DRIVER_CLASS__ = "free", "Free"
class Free:
    def __init__(self, **kwargs): pass
    def __call__(self, cell, pos):
        if isinstance(cell, list):
            return [(0.0, np.zeros_like(p), np.zeros((3, 3)), "") for p in pos]
        return 0.0, np.zeros_like(pos), np.zeros((3, 3)), ""
"""


def free(request: Request) -> Reply:
    """Costs nothing."""
    count = len(request.cells)
    return Reply(
        np.zeros(count), np.zeros_like(request.positions), np.zeros_like(request.cells), [""] * count
    )


def milliseconds(
    beads: int, steps: int, transport: str, batched: bool, serve: Serve | None = None, pes: str = ""
) -> float:
    """Per step: the slope between a short and a long run, so that starting up does not count."""
    times = []
    for n_steps in (steps // 4, steps):
        with tempfile.TemporaryDirectory(prefix="bench") as name:
            folder = Path(name)
            settings = PIMDSettings(beads, 300.0, n_steps * 0.5e-3, transport=transport)
            address = Address(unix=folder.name)
            path = write_input(dodecahedron(), settings, folder, model="c20", address=address)
            if not batched:
                path.write_text(path.read_text().replace(f"<batch_size> {beads} </batch_size>", ""))
            if pes:
                (folder / "pes.py").write_text(pes)
            times.append(seconds(folder, serve))
    return 1e3 * (times[1] - times[0]) / (steps - steps // 4)


def seconds(folder: Path, serve: Serve | None) -> float:
    """From the first row of properties to the end."""
    server = Server(folder, INPUT)
    if serve is not None:
        threading.Thread(target=serve, args=(folder,), daemon=True).start()
    properties = folder / "simulation.out"
    while server.running and not (properties.exists() and properties.read_text().count("\n") > 8):
        time.sleep(0.001)
    start = time.perf_counter()
    while server.running:
        time.sleep(0.001)
    return time.perf_counter() - start


def with_client(worker: Callable[[Path], object], connections: int = 1) -> Serve:
    """Serve with our client."""

    def serve(folder: Path) -> None:
        atoms = ase.io.read(folder / STRUCTURE)
        Client(worker(folder), atoms, Address(unix=folder.name), connections=connections).run()

    return serve


def process(folder: Path) -> ProcessWorker:
    """The worker of the command line."""
    return ProcessWorker(ModelSpec("c20", folder / STRUCTURE, device="cpu"))


def with_ase(calculator: SchNetCalculator) -> Serve:
    """Serve with ASE's client: one connection, no batches."""

    def serve(folder: Path) -> None:
        atoms = ase.io.read(folder / STRUCTURE)
        atoms.calc = calculator
        while not Path(Address(unix=folder.name).path).exists():
            time.sleep(0.01)
        SocketClient(unixsocket=folder.name).run(atoms, use_stress=False)

    return serve


def batch_milliseconds(calculator: SchNetCalculator, beads: int) -> float:
    """Median for one batch of structures."""
    batch = []
    for seed in range(beads):
        batch.append(dodecahedron())
        batch[-1].rattle(0.05, seed=seed)
    times = []
    for _ in range(103):
        start = time.perf_counter()
        calculator.evaluate(batch)
        times.append(time.perf_counter() - start)
    return 1e3 * sorted(times[3:])[50]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beads", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    beads, steps = options.beads, options.steps
    calculator = SchNetCalculator("c20", device="cpu")
    batch = batch_milliseconds(calculator, beads)
    alone = {
        "direct": milliseconds(beads, steps, "direct", True, pes=FREE),
        "socket": milliseconds(beads, steps, "socket", True, with_client(lambda folder: free)),
    }
    print(f"C20, {beads} beads, float32, {torch.get_num_threads()} threads")
    by = ", ".join(f"{value:.2f} ms {name}" for name, value in alone.items())
    print(f"one batch {batch:.2f} ms, i-PI alone {by}")
    ways = {
        "direct": milliseconds(beads, steps, "direct", True),
        "socket, one batch": milliseconds(beads, steps, "socket", True, with_client(process)),
        f"socket, {beads} connections": milliseconds(
            beads, steps, "socket", False, with_client(process, beads)
        ),
        "ASE's SocketClient": milliseconds(beads, steps, "socket", False, with_ase(calculator)),
    }
    print(f"{'':24s}{'ms per step':>12s}{'ratio to batch + i-PI':>24s}{'1.25 ns at 0.5 fs':>20s}")
    for name, found in ways.items():
        ratio = found / (batch + alone["direct" if name == "direct" else "socket"])
        print(f"{name:24s}{found:12.2f}{ratio:24.2f}{2.5e6 * found * 1e-3 / 3600:18.1f} h")


if __name__ == "__main__":
    main()
