"""Milliseconds of a PIMD step, beside what it is made of: the evaluation of a batch, and i-PI's own time.

    python benchmarks/pimd.py [--beads 8] [--steps 600] [--rounds 5] [--threads 1]

i-PI's own time is that with a potential that costs nothing. What its socket adds shows a client that does nothing:
it computes for as long as a batch takes, and sends bytes that it has ready. All ways take turns, and ratios are
medians of ratios in a turn. Run it on an idle machine.
"""

import argparse
import socket
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import ase.io
import numpy as np
import torch

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.fullerene import dodecahedron
from schnet_calc.ipi import Address, Client, ModelSpec, ProcessWorker
from schnet_calc.ipi.input import STRUCTURE
from schnet_calc.ipi.wire import Exit, GetForce, Init, Parser, Reply, Status, encode_reply, header
from schnet_calc.structures.geometries import Geometries
from schnet_calc.studies.bench.pimd import FREE, Serve, pimd_step, with_ase
from schnet_calc.studies.bench.timing import take_turns


def prepared_answers(path: str, beads: int, n_atoms: int, seconds: float) -> None:
    """Be a client that does nothing."""
    reply = encode_reply(
        Reply(np.zeros(beads), np.zeros((beads, n_atoms, 3)), np.zeros((beads, 3, 3)), [""] * beads)
    )
    parser, state = Parser(n_atoms), "NEEDINIT"
    with socket.socket(socket.AF_UNIX) as connected:
        connected.connect(path)
        while True:
            for message in parser.feed(connected.recv(1 << 18)):
                match message:
                    case Status():
                        connected.sendall(header(state))
                    case Init():
                        state = "READY"
                    case GetForce():
                        end = time.perf_counter() + seconds
                        while (
                            time.perf_counter() < end
                        ):  # at work, not asleep: a core that sleeps has to wake
                            pass
                        connected.sendall(reply)
                    case Exit():
                        return


def with_nobody(beads: int, n_atoms: int, seconds: float) -> Serve:
    """Serve with a process of :func:`prepared_answers`."""

    def serve(folder: Path) -> None:
        path = Address(unix=folder.name).path
        while not Path(path).exists():
            time.sleep(0.01)
        process = get_context("spawn").Process(
            target=prepared_answers, args=(path, beads, n_atoms, seconds)
        )
        process.start()
        process.join()

    return serve


def with_client(worker: Callable[[Path], object], connections: int = 1) -> Serve:
    """Serve with our client."""

    def serve(folder: Path) -> None:
        atoms = ase.io.read(folder / STRUCTURE)
        Client(worker(folder), atoms, Address(unix=folder.name), connections=connections).run()

    return serve


def process(folder: Path) -> ProcessWorker:
    """The worker of the command line."""
    return ProcessWorker(ModelSpec(("c20",), folder / STRUCTURE, device="cpu"))


def batches(calculator: SchNetCalculator, beads: int) -> dict[str, Callable[[], float]]:
    """Medians, ms, for one batch of structures, and for the same as arrays."""
    images = []
    for seed in range(beads):
        images.append(dodecahedron())
        images[-1].rattle(0.05, seed=seed)
    arrays = Geometries.from_atoms(images)

    def median(call: Callable[[], object]) -> float:
        return float(np.median(take_turns({"batch": call})["batch"]))

    return {
        "one batch": lambda: median(lambda: calculator.evaluate(images)),
        "one batch, as arrays": lambda: median(lambda: calculator.model.totals(arrays)),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in {"beads": 8, "steps": 600, "rounds": 5, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    beads, cage = options.beads, dodecahedron()
    calculator = SchNetCalculator("c20", device="cpu")
    batch = batches(calculator, beads)
    step = partial(pimd_step, cage, beads, options.steps)
    nobody = with_nobody(beads, len(cage), 1e-3 * batch["one batch, as arrays"]())
    ways: dict[str, Callable[[], float]] = {
        **batch,
        "i-PI alone": lambda: step(pes=FREE),
        "direct": step,
        "socket": lambda: step(serve=with_client(process)),
        "socket, a client that does nothing": lambda: step(serve=nobody),
        f"socket, {beads} connections": lambda: step(serve=with_client(process, beads), batched=False),
        "socket, ASE's client": lambda: step(serve=with_ase(calculator), batched=False),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, measure in ways.items():
            found[name].append(measure())
    times = {name: np.array(values) for name, values in found.items()}
    both = times["one batch"] + times["i-PI alone"]
    print(f"C20, {beads} beads, float32, {options.threads} threads, {options.rounds} rounds")
    print(f"{'':36s}{'ms per step':>12s}{'ratio to batch + i-PI':>24s}{'1.25 ns at 0.5 fs':>20s}")
    for name, values in times.items():
        hours = f"{2.5e6 * np.median(values) * 1e-3 / 3600:.1f} h"
        print(f"{name:36s}{np.median(values):12.2f}{np.median(values / both):24.2f}{hours:>20s}")


if __name__ == "__main__":
    main()
