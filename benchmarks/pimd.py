"""Milliseconds of a PIMD step, beside what it is made of: the evaluation of a batch, and i-PI's own time.

    python benchmarks/pimd.py [--beads 8] [--replicas 16] [--steps 600] [--rounds 5] [--threads 1] [--own]

i-PI's own time is that with a potential that costs nothing. What its socket adds shows a client that does nothing:
it computes for as long as a batch takes, and sends bytes that it has ready. "Saved after every step" is i-PI as it
is without safe_stride. Without i-PI (--driver batch) a step is compared with the batch of all its beads. All ways
take turns, and ratios are medians of ratios in a turn. Run it on an idle machine; --own counts the processor's time
of the integrator alone, which others on the machine disturb less.
"""

import argparse
import socket
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import ase.io
import numpy as np
import torch

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.molecules import dodecahedron
from schnet_calc.ipi import Address, Client, ModelSpec, ProcessWorker
from schnet_calc.ipi.input import STRUCTURE, PIMDSettings
from schnet_calc.ipi.wire import Exit, GetForce, Init, Parser, Reply, Status, encode_reply, header
from schnet_calc.simulate.ring_polymer_run import run_ring_polymers
from schnet_calc.simulate.ring_polymers import Bath, Integrator
from schnet_calc.structures.geometries import Geometries
from schnet_calc.studies.bench.pimd import FREE, STRIDE, Serve, pimd_step, with_ase
from schnet_calc.studies.bench.timing import take_turns

ARRAYS = "one batch, as arrays"


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


def without_i_pi(calculator: SchNetCalculator, beads: int, replicas: int, n_steps: int) -> float:
    """Milliseconds per step of a whole run with its files, after a first part that isn't timed."""
    moments: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        settings = PIMDSettings(
            beads=beads, temperature=300.0, time=0.5e-3 * n_steps, stride=STRIDE, frame_stride=n_steps
        )
        run_ring_polymers(
            dodecahedron(),
            calculator.model,
            settings,
            folder,
            replicas=replicas,
            progress=lambda step, row: moments.append((step, time.perf_counter())),
        )
    (first, start), (last, end) = moments[len(moments) // 4], moments[-1]
    return 1e3 * (end - start) / (last - first)


def own_time(beads: int, replicas: int, n_steps: int = 1000) -> float:
    """Milliseconds of processor time per step of the integrator with forces that cost nothing: the best of ten."""
    cage = dodecahedron()
    integrator = Integrator(cage.get_masses(), beads, 0.5, Bath(300.0))
    s = integrator.start(np.repeat(cage.positions[None], replicas, axis=0), range(replicas))
    energies, forces = np.zeros((replicas, beads)), np.zeros((replicas, beads, len(cage), 3))
    integrator.take(s, energies, forces)
    found = []
    for _ in range(10):
        start = time.process_time()
        for _ in range(n_steps // 10):
            integrator.begin(s)
            integrator.places(s)
            integrator.take(s, energies, forces)
            integrator.finish(s)
        found.append(time.process_time() - start)
    return 1e4 * min(found) / n_steps


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
        ARRAYS: lambda: median(lambda: calculator.model.totals(arrays)),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in {"beads": 8, "replicas": 16, "steps": 600, "rounds": 5, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--own", action="store_true")
    options = parser.parse_args()
    if options.own:
        for replicas in (1, options.replicas):
            print(f"{replicas} of {options.beads} beads: {own_time(options.beads, replicas):.3f} ms a step")
        return
    torch.set_num_threads(options.threads)
    beads, cage = options.beads, dodecahedron()
    together = beads * options.replicas
    calculator = SchNetCalculator("c20", device="cpu", on_doubt="ignore")
    batch = batches(calculator, beads)
    step = partial(pimd_step, cage, beads, options.steps)
    nobody = with_nobody(beads, len(cage), 1e-3 * batch[ARRAYS]())
    ways: dict[str, Callable[[], float]] = {
        **batch,
        f"one batch of {together}, as arrays": lambda: batches(calculator, together)[ARRAYS](),
        "i-PI alone": lambda: step(pes=FREE),
        "i-PI alone, saved after every step": lambda: step(pes=FREE, safe_stride=1),
        "direct": step,
        "direct, saved after every step": lambda: step(safe_stride=1),
        "without i-PI": lambda: without_i_pi(calculator, beads, 1, options.steps),
        f"without i-PI, {options.replicas} replicas": lambda: without_i_pi(
            calculator,
            beads,
            options.replicas,
            2 * STRIDE * -(-options.steps // (2 * STRIDE * options.replicas)),
        ),
        "socket": lambda: step(serve=with_client(process)),
        "socket, a client that does nothing": lambda: step(serve=nobody),
        f"socket, {beads} connections": lambda: step(serve=with_client(process, beads), batched=False),
        "socket, ASE's client": lambda: step(serve=with_ase(calculator), batched=False),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, measure in ways.items():
            found[name].append(measure())
    show({name: np.array(values) for name, values in found.items()}, options)


def show(times: dict[str, np.ndarray], options: argparse.Namespace) -> None:
    """Print the table, and what was to be reached beside what was found."""
    both = times["one batch"] + times["i-PI alone"]
    print(f"C20, {options.beads} beads, float32, {options.threads} threads, {options.rounds} rounds")
    print(f"{'':36s}{'ms per step':>12s}{'ratio to batch + i-PI':>24s}{'1.25 ns at 0.5 fs':>20s}")
    for name, values in times.items():
        ratio = np.median(values / both)
        print(f"{name:36s}{np.median(values):12.2f}{ratio:24.2f}{hours(values):18.1f} h")
    several = f"without i-PI, {options.replicas} replicas"
    together = f"one batch of {options.beads * options.replicas}, as arrays"
    print(f"\n{'goals, medians over rounds':74s}{'found':>8s}{'goal':>8s}")
    for name, to, goal in (
        ("direct", "direct, saved after every step", 0.85),
        ("without i-PI", ARRAYS, 1.1),
        (several, together, 1.1),
    ):
        print(f"{name + ' / ' + to:74s}{np.median(times[name] / times[to]):8.2f}{goal:8.2f}")
    for name in ("direct", "without i-PI"):
        print(f"{'hours for 1.25 ns, ' + name:74s}{hours(times[name]):8.1f}{3.0:8.1f}")


def hours(times: np.ndarray) -> float:
    """For 1.25 ns in steps of 0.5 fs."""
    return float(2.5e6 * np.median(times) * 1e-3 / 3600)


if __name__ == "__main__":
    main()
