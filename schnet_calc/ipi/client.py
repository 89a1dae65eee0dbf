"""The client that lets i-PI drive a model: sockets on one side, a worker with the model on the other."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

import ase

from schnet_calc.ipi.connection import Address, Connection, close_all
from schnet_calc.ipi.doubts import NO_DOUBTS, Doubts
from schnet_calc.ipi.errors import ServerLostError, StructureError, WorkerError
from schnet_calc.ipi.joint import JointRequest
from schnet_calc.ipi.reconnector import Reconnector
from schnet_calc.ipi.watch import Watch
from schnet_calc.ipi.worker import as_worker

logger = logging.getLogger(__name__)

GATHER = 0.003
"""Seconds that a request waits for those of other connections."""
MEMORY = 3
"""Batches after which a connection that sent nothing is no longer waited for."""
MAX_DEATHS = 5
"""Deaths of workers in a row, without a result between them, that end the client."""


@dataclass
class Served:
    """What a client has done."""

    batches: int = 0
    """Calls of the engine."""
    structures: int = 0
    """Structures evaluated."""
    connections: int = 0
    """Connections that came about."""
    deaths: int = 0
    """Workers that died and were replaced."""
    doubts: Doubts = NO_DOUBTS
    """Structures outside of what the model knows."""


class Client:
    """Serves i-PI until it says EXIT.

    Parameters
    ----------
    worker : Worker, SchNetCalculator or callable
        What evaluates: a calculator (in a thread of this process), a
        :class:`~schnet_calc.ipi.worker.ProcessWorker`, or a function ``Request -> Reply``, such as an
        :class:`~schnet_calc.ipi.evaluator.Evaluator`, which can send the energies of the atoms, too.
    atoms : Atoms
        Species and periodic directions. Positions and cell come from i-PI.
    address : Address
        Where i-PI listens.
    connections : int
        Ordinary connections to open. Requests that arrive together are evaluated as one batch,
        those of a server with ``<batch_size>`` too.
    wait : float
        Seconds to wait for a server that isn't there (yet, or any more).
    idle : float
        Seconds without a message after which to give up; infinite by default.
    failed : path
        Where a structure is written that can't be evaluated.

    Examples
    --------
    >>> from schnet_calc import SchNetCalculator
    >>> from schnet_calc.ipi import Address, Client
    >>> from schnet_calc.studies.c20 import dodecahedron
    >>> client = Client(SchNetCalculator("c20"), dodecahedron(), Address(unix="c20"))
    >>> client.run()  # doctest: +SKIP
    """

    def __init__(
        self,
        worker: Any,
        atoms: ase.Atoms,
        address: Address,
        *,
        connections: int = 1,
        wait: float = 60.0,
        idle: float = float("inf"),
        failed: str | Path = "failed_structure.xyz",
    ) -> None:
        if connections < 1:
            raise ValueError(f"a client needs at least one connection, got {connections}")
        self.worker = as_worker(worker, atoms)
        self.atoms = atoms
        self.address = address
        self.n_connections = connections
        self.wait, self.idle, self.failed = wait, idle, Path(failed)
        self._stopped = threading.Event()
        self._begin()

    def _begin(self) -> None:
        self.served = Served()
        self.connections: list[Connection] = []
        self._batch: JointRequest | None = None
        self._ready = False
        """Whether a worker has had its model: only then is a server looked for."""
        self._loading = True
        """Whether the present worker has not got its model yet: until then it reads nothing."""
        self._deaths = 0
        self._heard = time.monotonic()
        self._reconnector = Reconnector(self.wait)

    def stop(self) -> None:
        """End :meth:`run` within half a second; from any thread."""
        self._stopped.set()

    def run(self, progress: Callable[[Served], None] | None = None) -> Served:
        """Serve until i-PI says EXIT.

        Parameters
        ----------
        progress : callable, optional
            Called after every batch.

        Raises
        ------
        ServerLostError
            No server within ``wait`` seconds, or no message within ``idle``.
        ProtocolError
            The server speaks another protocol, or sends another number of atoms.
        StructureError
            A structure that can't be evaluated; it is in the file ``failed``.
        WorkerError, MemoryError
            The worker can't be started, dies again and again, or lacks memory for one structure.
        """
        self._begin()
        self._watch = Watch()
        self.worker.start()
        try:
            while not (self._finished() or self._stopped.is_set()):
                if self._ready:
                    self._open_connection()
                self._wait_for_events()
                self._drop_lost_connections()
                if self._send_batch() and progress is not None:
                    progress(self.served)
                self._mind_the_silence()
        finally:
            try:
                close_all(self.connections)
            finally:
                self._watch.close()
                self.worker.close()
        return self.served

    def _mind_the_silence(self) -> None:
        """While the model is loaded or evaluated, it is not for i-PI to speak."""
        if self._loading or self._batch is not None:
            self._heard = time.monotonic()
        elif time.monotonic() - self._heard > self.idle:
            raise ServerLostError(f"no message from {self.address} for {self.idle:g} s")

    def _finished(self) -> bool:
        """Whether the server has let go of every connection and listens no longer."""
        return self._reconnector.closed and not self.connections

    def _open_connection(self) -> None:
        """Open the next connection, once the last one has been greeted."""
        if len(self.connections) >= self.n_connections:
            return
        if self.connections and not all(c.greeted for c in self.connections):
            return
        connected = self._reconnector.knock(self.address, alone=not self.connections)
        if connected is not None:
            self.served.connections += 1
            connection = Connection(connected, len(self.atoms))
            connection.last_batch = self.served.batches
            self.connections.append(connection)

    def _wait_for_events(self) -> None:
        """Read and write what can be."""
        wanted: list[tuple[Any, int]] = [(self.worker.connection, EVENT_READ)]
        for connection in self.connections:
            wanted.append(
                (connection, EVENT_READ | EVENT_WRITE if connection.wants_to_write else EVENT_READ)
            )
        ready = self._watch.wait(wanted, self._timeout())
        if ready:
            self._heard = time.monotonic()
        for file, events in ready:
            if not isinstance(file, Connection):
                self._receive_answer()
                continue
            if events & EVENT_WRITE:
                file.send()
            if events & EVENT_READ:
                file.receive()

    def _timeout(self) -> float:
        """Seconds until something has to be done that no socket announces."""
        if self._batch is None and any(c.request is not None for c in self.connections):
            return GATHER / 4
        return 0.02 if self._ready and len(self.connections) < self.n_connections else 0.5

    def _drop_lost_connections(self) -> None:
        lost = [c for c in self.connections if not c.alive]
        for connection in lost:
            if connection.released:
                self._reconnector.release()
            else:
                logger.warning("lost the connection to %s", self.address)
                self._reconnector.lose(connection.greeted, connection.idle)
            self.connections.remove(connection)
        close_all(lost)

    def _send_batch(self) -> bool:
        """Give the gathered requests to the worker, when all are there or the first has waited."""
        if self._batch is not None or self._loading:
            return False
        asking = [c for c in self.connections if c.request is not None]
        if not asking or (self._more_to_come() and time.monotonic() - _first(asking) < GATHER):
            return False
        self._batch = JointRequest([(c, c.take()) for c in asking])
        self.worker.submit(self._batch.request)
        self.served.batches += 1
        self.served.structures += len(self._batch.request.cells)
        for connection in asking:
            connection.last_batch = self.served.batches
        self._reconnector.prove()
        return True

    def _more_to_come(self) -> bool:
        """Whether a connection that has been busy lately has not sent its request yet."""
        recent = self.served.batches - MEMORY
        return any(c.request is None and c.last_batch > recent for c in self.connections)

    def _receive_answer(self) -> None:
        try:
            reply = self.worker.answer()
        except StructureError as error:
            raise self._with_place(error) from error
        except (OSError, EOFError) as error:
            self._replace_worker(error)
        else:
            if reply is None:
                self._begin_to_serve()
            elif self._batch is not None:
                self._deaths = 0
                batch, self._batch = self._batch, None
                self.served.doubts += reply.doubts
                batch.deliver(reply)

    def _replace_worker(self, error: Exception) -> None:
        self._deaths += 1
        self.served.deaths += 1
        if self._deaths > MAX_DEATHS:
            raise WorkerError(f"the worker died {self._deaths} times in a row") from error
        logger.warning("the worker died; starting another one")
        self._loading = True
        self.worker.start()

    def _begin_to_serve(self) -> None:
        """A worker has its model."""
        self._loading = False
        if not self._ready:
            # Loading the model does not count as waiting for the server.
            self._ready, self._reconnector = True, Reconnector(self.wait)
        elif self._batch is not None:
            self.worker.submit(self._batch.request)

    def _with_place(self, error: StructureError) -> StructureError:
        """Write the structure to a file and say which one of which evaluation it is."""
        error.write(self.failed, self.atoms)
        n = self.served.batches
        place = f"structure {error.index} of its batch"
        if len(self.connections) == 1:
            place = f"bead {error.index}"  # one message holds the beads in i-PI's order
        reason = f"{error.reason} (evaluation {n} of this client, {place}; geometry in {self.failed})"
        return StructureError(error.index, error.positions, error.cell, reason)


def _first(asking: list[Connection]) -> float:
    return min(c.arrived for c in asking)
