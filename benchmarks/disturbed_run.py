"""A run of i-PI that can be disturbed, and a proxy to disturb it with."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np

from schnet_calc import SchNetCalculator
from schnet_calc.ipi import Address, Client, ProcessWorker
from schnet_calc.ipi.input import INPUT, STRUCTURE, PIMDSettings, write_input
from schnet_calc.ipi.outputs import continue_from, cut_outputs, last_checkpoint, read_properties
from schnet_calc.ipi.server import Server
from schnet_calc.studies.c20 import dodecahedron

BEADS, STEPS, STRIDE, FRAME_STRIDE = 4, 40, 1, 5
LIMIT = 120.0
"""Seconds for a run."""
MODEL = "c20"


class Proxy:
    """Stands between i-PI and the client, and passes on, slows down or cuts what they send.

    Parameters
    ----------
    front, back : Address
        Where clients connect, and where i-PI listens.
    forward : callable
        Called with (connected client, piece of bytes from i-PI); returns False to cut.
    """

    def __init__(
        self, front: Address, back: Address, forward: Callable[[socket.socket, bytes], bool]
    ) -> None:
        self.back, self.forward = back, forward
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(front.path)
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), self.back.connect() as server:
            server.settimeout(None)
            threading.Thread(target=self._return, args=(client, server), daemon=True).start()
            while data := server.recv(1 << 16):
                if not self.forward(client, data):
                    break
            # i-PI hangs on a reset connection: end it, and read what still comes.
            for connection in (client, server):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
            server.settimeout(2)
            while server.recv(1 << 16):
                pass

    def _return(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Accept nobody any more."""
        self.listener.close()


class Run:
    """One simulation in a folder of its own, with what a disturbance needs to get hold of.

    Parameters
    ----------
    folder : Path
        An empty one; short, for its sockets.
    calculator : SchNetCalculator
        For the client.
    rng : Random
        What is disturbed when.
    batched : bool
        Whether i-PI sends all beads in one message.
    """

    def __init__(
        self, folder: Path, calculator: SchNetCalculator, rng: random.Random, batched: bool
    ) -> None:
        self.folder, self.calculator, self.rng = folder, calculator, rng
        self.back, self.front = (Address(unix=n, prefix=f"{folder}/") for n in ("schnet", "front"))
        settings = PIMDSettings(
            beads=BEADS,
            temperature=300.0,
            time=STEPS * 0.5e-3,
            stride=STRIDE,
            frame_stride=FRAME_STRIDE,
            transport="socket",
            seed=4,
        )
        text = write_input(dodecahedron(), settings, folder, models=[MODEL]).read_text()
        if not batched:
            text = text.replace(f"<batch_size> {BEADS} </batch_size>", "")
        (folder / INPUT).write_text(text)
        self.server = Server(folder, INPUT, prefix=f"{folder}/")

    def client(self, address: Address, connections: int = 1, worker: ProcessWorker | None = None) -> Client:
        """A client, not running yet."""
        atoms = ase.io.read(self.folder / STRUCTURE)
        return Client(worker or self.calculator, atoms, address, connections=connections, wait=30.0)

    def restart_server(self, kill: bool) -> None:
        """End i-PI, in order or not, and go on from its last checkpoint."""
        if kill:
            self.server.process.kill()
            self.server.process.wait()
            time.sleep(0.3)  # whoever starts another one has to notice first
            (self.folder / "schnet").unlink(missing_ok=True)
        else:
            self.server.stop()
        found = last_checkpoint(self.folder, STRIDE, FRAME_STRIDE)
        start = INPUT
        if found is not None and found[1] > 0:
            cut_outputs(self.folder, found[1])
            continue_from(found[0], STEPS, self.folder / "continue.xml")
            start = "continue.xml"
        else:
            for path in self.folder.glob("simulation.*"):
                path.unlink()
        self.server = Server(self.folder, start, prefix=f"{self.folder}/")

    def wait_for_step(self, step: int) -> None:
        """Until the properties of a step are on disk, or the run is over."""
        path = self.folder / "simulation.out"
        while self.server.running:
            if path.exists() and len(path.read_text().splitlines()) > step + 8:
                return
            time.sleep(0.01)

    def result(self) -> np.ndarray:
        """(rows, columns): conserved quantity, potential, kinetic energy."""
        table = read_properties(self.folder / "simulation.out")
        return np.column_stack([table[k] for k in ("step", "conserved", "potential", "kinetic_cv")])
