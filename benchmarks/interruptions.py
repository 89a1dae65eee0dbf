"""Runs of i-PI that are disturbed at random, each held against the undisturbed one.

    python benchmarks/interruptions.py --runs 100

Every run has to complete with the very same trajectory; the time limit catches one that hangs.
"""

import argparse
import contextlib
import os
import random
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from disturbed_run import BEADS, LIMIT, MODEL, STEPS, Proxy, Run
from schnet_calc import SchNetCalculator
from schnet_calc.ipi import ModelSpec, ProcessWorker
from schnet_calc.ipi.input import STRUCTURE


def undisturbed(run: Run) -> None:
    """The run that all others are held against."""
    run.client(run.back).run()


def worker_killed(run: Run) -> None:
    """SIGKILL for the process that holds the model, up to three times."""
    worker = ProcessWorker(ModelSpec((MODEL,), run.folder / STRUCTURE, device="cpu"))
    client = run.client(run.back, worker=worker)

    def kill() -> None:
        for _ in range(run.rng.randint(1, 3)):
            run.wait_for_step(run.rng.randint(0, STEPS - 10))
            time.sleep(run.rng.uniform(0, 0.05))
            if worker.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process.pid, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    client.run()


def cut_in_a_message(run: Run) -> None:
    """The connection ends within what i-PI sends, up to five times."""
    cuts = run.rng.randint(1, 5)
    left = run.rng.randint(0, 5000)

    def forward(client: socket.socket, data: bytes) -> bool:
        nonlocal left, cuts
        if cuts and left < len(data):
            client.sendall(data[:left])
            cuts, left = cuts - 1, run.rng.randint(0, 8000)
            return False
        left -= len(data)
        client.sendall(data)
        return True

    _through_proxy(run, forward)


def single_bytes(run: Run) -> None:
    """Some messages arrive byte by byte."""

    def forward(client: socket.socket, data: bytes) -> bool:
        if run.rng.random() < 0.2:
            for k in range(len(data)):
                client.sendall(data[k : k + 1])
        else:
            client.sendall(data)
        return True

    _through_proxy(run, forward)


def server_restarted(run: Run) -> None:
    """i-PI is stopped or killed and goes on from its checkpoint, with the same client."""
    client = run.client(run.back)

    def restart() -> None:
        run.wait_for_step(run.rng.randint(0, STEPS - 5))
        run.restart_server(kill=True)

    thread = threading.Thread(target=restart, daemon=True)
    thread.start()
    client.run()
    thread.join()


def server_stopped(run: Run) -> None:
    """i-PI ends in order, which ends the client too; both are started again."""
    client = run.client(run.back)
    threading.Thread(
        target=lambda: (run.wait_for_step(run.rng.randint(0, STEPS - 5)), run.server.stop()), daemon=True
    ).start()
    client.run()
    if run.result()[-1, 0] < STEPS:
        run.restart_server(kill=False)
        run.client(run.back).run()


def more_connections(run: Run) -> None:
    """More connections than beads."""
    run.client(run.back, connections=run.rng.randint(BEADS + 1, 16)).run()


def fewer_connections(run: Run) -> None:
    """Fewer connections than beads."""
    run.client(run.back, connections=run.rng.randint(1, BEADS - 1)).run()


def late_client(run: Run) -> None:
    """i-PI waits for its client."""
    time.sleep(run.rng.uniform(1, 4))
    run.client(run.back).run()


def client_replaced(run: Run) -> None:
    """A client ends in the middle of the run, another one takes over."""
    first = run.client(run.back)

    def progress(served: object) -> None:
        if first.served.batches > stop:
            raise InterruptedError

    stop = run.rng.randint(1, STEPS - 5)
    with contextlib.suppress(InterruptedError):
        first.run(progress)
    run.client(run.back).run()


BATCHED = (worker_killed, cut_in_a_message, single_bytes, server_restarted, server_stopped)
BATCHED += (late_client, client_replaced)
UNBATCHED = (more_connections, fewer_connections, cut_in_a_message, single_bytes, client_replaced)
DISTURBANCES = [(d, True) for d in BATCHED] + [(d, False) for d in UNBATCHED]


def _through_proxy(run: Run, forward: Callable[[socket.socket, bytes], bool]) -> None:
    proxy = Proxy(run.front, run.back, forward)
    try:
        run.client(run.front).run()
    finally:
        proxy.close()
        (run.folder / "front").unlink(missing_ok=True)


def perform(
    disturb: Callable[[Run], None], batched: bool, calculator: SchNetCalculator, seed: int
) -> tuple[np.ndarray | None, str]:
    """The trajectory of one run and how it ended."""
    with tempfile.TemporaryDirectory(prefix="ipi") as folder:
        run = Run(Path(folder), calculator, random.Random(seed), batched)
        errors: list[BaseException] = []

        def target() -> None:
            try:
                disturb(run)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        thread.join(LIMIT)
        try:
            if thread.is_alive():
                return None, "hangs"
            if errors:
                return None, f"{type(errors[0]).__name__}: {errors[0]}"
            if not run.server.wait(20):
                return None, "i-PI hangs"
            return run.result(), "completed"
        finally:
            run.server.stop()


def main() -> None:
    """Disturb runs and count how they end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    calculator = SchNetCalculator(MODEL, device="cpu")
    expected, _ = perform(undisturbed, True, calculator, 0)
    assert expected is not None
    counts: dict[str, list[int]] = {}
    for k in range(options.runs):
        disturb, batched = DISTURBANCES[k % len(DISTURBANCES)]
        result, outcome = perform(disturb, batched, calculator, options.seed + k)
        same = result is not None and result.shape == expected.shape
        same = same and np.allclose(result, expected, rtol=0, atol=1e-6)
        tally = counts.setdefault(disturb.__name__, [0, 0])
        tally[0 if same else 1] += 1
        if not same:
            print(
                f"run {k} (seed {options.seed + k}), {disturb.__name__}, batched {batched}: {outcome}",
                flush=True,
            )
    for name, (same_count, other) in counts.items():
        print(f"{name:20s} same trajectory {same_count:3d}   else {other:3d}")


if __name__ == "__main__":
    main()
