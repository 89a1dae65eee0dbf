"""i-PI and its client while they run: started, watched, tidied up after, stopped."""

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import ase.io

from schnet_calc.ipi import Address, Client, ModelSpec, ProcessWorker, Served
from schnet_calc.ipi.doubts import Doubts, read_doubts
from schnet_calc.ipi.input import PIMDSettings
from schnet_calc.ipi.outputs import CHECKPOINT, PREFIX
from schnet_calc.ipi.server import Server

SOCKETS = "schnet_ipi_"
"""Begins the names of folders with sockets; the process that made one follows."""
FAILED = "failed_structure.xyz"
KEPT_CHECKPOINTS = 3
FAREWELL = 1.0
"""Seconds for a client to hear EXIT when i-PI has ended."""
POLL = 0.2
"""Seconds between looks at a running simulation."""

Progress = Callable[[int, dict[str, float]], None]


@contextlib.contextmanager
def serving(
    spec: ModelSpec, settings: PIMDSettings, directory: Path, start: str, lock: int
) -> Iterator[tuple[Server, "ClientThread | None"]]:
    """Start i-PI, and a client unless i-PI evaluates itself; both are stopped in order, come what may.

    Parameters
    ----------
    spec : ModelSpec
        What the client evaluates.
    settings : PIMDSettings
        Of the run.
    directory : path
        Where it is.
    start : str
        The input or checkpoint in it.
    lock : int
        File descriptor of the folder's lock, which i-PI keeps open.
    """
    _sweep_sockets()
    with tempfile.TemporaryDirectory(prefix=f"{SOCKETS}{os.getpid()}_") as sockets:
        server = Server(directory, start, prefix=f"{sockets}/", keep_open=[lock])
        client = None
        try:
            if settings.transport == "socket":
                client = ClientThread(spec, directory, Address(unix="schnet", prefix=f"{sockets}/"))
            yield server, client
        finally:
            server.stop(answered=client is None or client.error is None)
            if client is not None:
                client.finish()


def _sweep_sockets() -> None:
    """Remove the folders of sockets that killed processes have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SOCKETS}*_*"):
        owner = folder.name.removeprefix(SOCKETS).partition("_")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


class ClientThread(threading.Thread):
    """The client's loop; the model itself is in a worker process."""

    def __init__(self, spec: ModelSpec, directory: Path, address: Address) -> None:
        super().__init__(daemon=True)
        atoms = ase.io.read(spec.structure)
        self.client = Client(ProcessWorker(spec), atoms, address, failed=directory / FAILED)
        self.error: Exception | None = None
        self.directory, self.earlier, self.doubts = directory, read_doubts(directory), Doubts()
        self.start()

    def finish(self) -> None:
        """End it, once i-PI is gone: there is nobody to wait for."""
        self.join(FAREWELL)
        self.client.stop()
        self.join()

    def _keep_doubts(self, served: Served) -> None:
        if served.doubts.count != self.doubts.count:
            self.doubts = served.doubts
            (self.earlier + self.doubts).write(self.directory)

    def run(self) -> None:
        """See :class:`threading.Thread`."""
        try:
            self.client.run(self._keep_doubts)
        except Exception as error:
            self.error = error
        self._keep_doubts(self.client.served)


def watch(server: Server, client: ClientThread | None, directory: Path, report: Progress) -> None:
    """Report and tidy up until i-PI ends, or the client does with an error.

    Parameters
    ----------
    server : Server
        The run.
    client : ClientThread, optional
        Who answers it.
    directory : path
        Where it is.
    report : callable
        Told each row of output: its step, and its values by name.
    """
    shown = -1.0
    ended = False
    while not ended:
        ended = server.wait(POLL)
        if client is not None and client.error is not None:
            step = last_row(directory).get("step")
            if step is not None:
                client.error.add_note(f"i-PI's last row of output is that of step {step:.0f}")
            raise client.error
        prune_checkpoints(directory)
        row = last_row(directory)
        if row and row["step"] != shown:
            shown = row["step"]
            report(int(shown), row)


def prune_checkpoints(directory: Path) -> None:
    """Remove old checkpoints; the latest may just be written, so a few stay."""
    numbered = sorted(directory.glob(f"{CHECKPOINT}_*"), key=lambda p: int(p.name.rsplit("_", 1)[1]))
    for path in numbered[:-KEPT_CHECKPOINTS]:
        path.unlink()


def last_row(directory: Path) -> dict[str, float]:
    """Return the last whole row of properties, read from the end of the file."""
    path = directory / f"{PREFIX}.out"
    if not path.exists():
        return {}
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 4096))
        lines = stream.read().decode().split("\n")[:-1]
    names = ("step", "time", "conserved", "temperature", "potential")
    values = lines[-1].split() if lines else []
    if len(values) < len(names) or values[0].startswith("#"):
        return {}
    return dict(zip(names, (float(v) for v in values), strict=False))
