"""Evaluation beside the socket loop: in a thread, or in a process that may die and be replaced.

Both ends talk through a :class:`multiprocessing.connection.Connection`, so that the client waits for
results and for sockets in the same place.
"""

import contextlib
import pickle
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import ase

from schnet_calc.ipi.errors import StructureError, WorkerError
from schnet_calc.ipi.wire import Reply, Request

Evaluate = Callable[[Request], Reply]


class Worker(ABC):
    """Evaluates one request at a time, elsewhere."""

    connection: Connection
    """Readable when there is an answer."""

    @abstractmethod
    def start(self) -> None:
        """Begin, or begin again after a death."""

    @abstractmethod
    def close(self) -> None:
        """End it."""

    def submit(self, request: Request) -> None:
        """Send a request; a worker that has died is noticed by :meth:`result`."""
        with contextlib.suppress(OSError):
            send(self.connection, request)

    def answer(self) -> Reply | None:
        """Fetch what made the connection readable: a result, or None from a worker that is ready.

        Raises
        ------
        EOFError, OSError
            The worker has died.
        Exception
            What the evaluation raised.
        """
        answer = receive(self.connection)
        if isinstance(answer, BaseException):
            raise answer
        assert answer is None or isinstance(answer, Reply)
        return answer


class ThreadWorker(Worker):
    """A thread of this process; for scripts that have a calculator already.

    Parameters
    ----------
    evaluate : callable
        Request -> Reply.
    """

    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate = evaluate

    def start(self) -> None:
        """See :class:`Worker`."""
        self.connection, theirs = _pipe()
        threading.Thread(target=serve, args=(theirs, self.evaluate), daemon=True).start()

    def close(self) -> None:
        """See :class:`Worker`."""
        self.connection.close()


@dataclass(frozen=True)
class ModelSpec:
    """What a worker process needs to build its evaluator."""

    models: tuple[str, ...]
    """Model files, or names of shipped models; several make a committee."""
    structure: Path
    """Species and periodic directions."""
    device: str = "auto"
    dtype: str | None = None
    engine: str = "auto"
    energies: bool = False
    """Whether the extras hold the energy of each atom."""
    threads: int | None = None
    """CPU threads; torch's own number by default."""
    on_doubt: str = "warn"
    max_forces_std: float | None = None


class ProcessWorker(Worker):
    """A process that holds the model; :meth:`start` replaces one that has died.

    Parameters
    ----------
    spec : ModelSpec
        What to load.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """See :class:`Worker`."""
        self._stop()
        self.connection, theirs = _pipe()
        with theirs:
            # Its own session: Ctrl-C reaches the client, which ends it in order.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "schnet_calc.ipi.worker_process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        send(self.connection, self.spec)

    def close(self) -> None:
        """See :class:`Worker`."""
        self._stop()

    def _stop(self) -> None:
        if self.process is None:
            return
        self.connection.close()
        try:
            self.process.wait(timeout=5)  # it reads the end of its pipe
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def as_worker(worker: Any, atoms: ase.Atoms) -> Worker:
    """Return a worker: itself, or what calls a function or a calculator on a thread.

    Parameters
    ----------
    worker : Worker, SchNetCalculator, Model or callable
        What evaluates.
    atoms : Atoms
        Species and periodic directions, for calculators.

    Raises
    ------
    TypeError
        It is none of these.
    """
    if isinstance(worker, Worker):
        return worker
    if callable(worker):
        return ThreadWorker(worker)
    model = getattr(worker, "model", worker)  # of a calculator
    if hasattr(model, "evaluate"):
        from schnet_calc.ipi.evaluator import Evaluator  # needs torch, which not every client does

        return ThreadWorker(Evaluator(model, atoms))
    raise TypeError(f"a client takes a calculator, a worker or a function, got {type(worker).__name__}")


def serve(connection: Connection, evaluate: Evaluate) -> None:
    """Say ready, then answer requests until the other end closes; an exception is an answer too."""
    # A closed pipe is how the other side says goodbye.
    with connection, contextlib.suppress(EOFError, OSError):
        send(connection, None)
        while True:
            request = receive(connection)
            try:
                answer: Any = evaluate(request)
            except Exception as error:
                known = isinstance(error, (StructureError, WorkerError, MemoryError))  # to the other side
                answer = error if known else RuntimeError(f"{type(error).__name__}: {error}")
            send(connection, answer)


def send(connection: Connection, message: Any) -> None:
    """Send an object; faster than ``connection.send``, whose pickles hold locks and handles, too."""
    connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def receive(connection: Connection) -> Any:
    """What :func:`send` sent."""
    return pickle.loads(connection.recv_bytes())


def _pipe() -> tuple[Connection, Connection]:
    ours, theirs = socket.socketpair()
    return Connection(ours.detach()), Connection(theirs.detach())
