"""One non-blocking connection to i-PI: what it asked for, what it is owed."""

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schnet_calc.ipi.errors import ProtocolError
from schnet_calc.ipi.wire import Exit, GetForce, Init, Parser, Reply, Request, Status, encode_reply, header

CHUNK = 1 << 18
DRAIN = 2.0
"""Seconds to wait for the other side when closing."""
PREFIX = "/tmp/ipi_"
"""i-PI's own ``sockets_prefix``."""
LONGEST_UNIX_PATH = 107
"""Bytes; the operating system's limit."""


@dataclass(frozen=True)
class Address:
    """Where i-PI listens.

    Parameters
    ----------
    unix : str, optional
        Name of a UNIX socket: i-PI's ``<address>``.
    host, port : str, int
        Of a TCP socket, if there is no ``unix``.
    prefix : str
        Put before ``unix``: i-PI's ``sockets_prefix``.

    Raises
    ------
    ValueError
        The path of the UNIX socket is too long, or the port is none.
    """

    unix: str | None = None
    host: str = "localhost"
    port: int = 31415
    prefix: str = PREFIX

    def __post_init__(self) -> None:
        if self.unix is not None and len(self.path.encode()) > LONGEST_UNIX_PATH:
            raise ValueError(
                f"the path of a UNIX socket has at most {LONGEST_UNIX_PATH} bytes, "
                f"{self.path} has {len(self.path.encode())}: choose a shorter prefix or name"
            )
        if self.unix is None and not 0 < self.port < 65536:
            raise ValueError(f"a port lies between 1 and 65535, got {self.port}")

    @property
    def path(self) -> str:
        """Of the UNIX socket."""
        return f"{self.prefix}{self.unix}"

    def connect(self) -> socket.socket:
        """A connected socket; ``OSError`` where nobody listens."""
        if self.unix is None:
            connected = socket.create_connection((self.host, self.port), timeout=5)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connected
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(5)
        try:
            connected.connect(self.path)
        except OSError:
            connected.close()
            raise
        return connected

    def __str__(self) -> str:
        return f"UNIX socket {self.path}" if self.unix is not None else f"{self.host}:{self.port}"


def close_all(connections: "Sequence[Connection]") -> None:
    """Take leave of all at once: i-PI may wait with one for another."""
    deadline = time.monotonic() + DRAIN
    for connection in connections:
        connection.finish()
    for connection in connections:
        connection.close(deadline)


class Connection:
    """State of the dialogue on one socket.

    Parameters
    ----------
    connected : socket
        To i-PI.
    n_atoms : int
        Of the structures to come.
    """

    def __init__(self, connected: socket.socket, n_atoms: int) -> None:
        connected.setblocking(False)
        self.socket = connected
        self.parser = Parser(n_atoms)
        self.greeted = False
        """Whether a STATUS has been answered: until then i-PI accepts no other connection."""
        self.lost = False
        self.released = False
        """Whether i-PI has said EXIT."""
        self.request: Request | None = None
        """Positions that nobody has evaluated yet."""
        self.arrived = 0.0
        """When it came."""
        self.last_batch = 0
        """Number of the last batch that this connection took part in."""
        self._initialised = False
        self._evaluating = False
        self._reply: Reply | None = None
        self._owes_status = False
        self._owes_force = False
        self._out = bytearray()

    def fileno(self) -> int:
        """For selectors."""
        return self.socket.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait for the socket to take them."""
        return bool(self._out)

    @property
    def alive(self) -> bool:
        """Whether messages may still come."""
        return not (self.lost or self.released)

    @property
    def idle(self) -> bool:
        """Whether nothing is owed to the other side."""
        return not (self.request or self._evaluating or self._reply or self._owes_force or self._out)

    def receive(self) -> None:
        """Take what lies in the socket and answer what can be answered.

        Raises
        ------
        ProtocolError
            From the parser.
        """
        for data in self._read():
            for message in self.parser.feed(data):
                self._handle(message)
        self._flush()

    def take(self) -> Request:
        """Hand out the request, to be answered by :meth:`deliver`."""
        assert self.request is not None
        request, self.request = self.request, None
        self._evaluating = True
        return request

    def deliver(self, reply: Reply) -> None:
        """Give the result of the last request."""
        self._evaluating = False
        self._reply = reply
        self._answer()
        self._flush()

    def send(self) -> None:
        """Go on sending."""
        self._flush()

    def finish(self) -> None:
        """Say that nothing more will come."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self, deadline: float) -> None:
        """Read what is still sent until the other side closes too or a deadline passes, and close.

        A socket that is closed with unread bytes resets the connection, on which i-PI would hang.
        """
        with contextlib.suppress(OSError):
            while not self.lost and (left := deadline - time.monotonic()) > 0:
                self.socket.settimeout(left)
                if not self.socket.recv(CHUNK):
                    break
        self.socket.close()
        self.lost = True

    def _read(self) -> Iterator[bytes]:
        while not self.lost:
            try:
                data = self.socket.recv(CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.lost = True
                return
            yield data
            if len(data) < CHUNK:
                return  # that was all; if not, the selector says so

    def _handle(self, message: object) -> None:
        match message:
            case Status():
                self._owes_status = True
            case Init():
                self._initialised = True
            case Request():
                if self.request is not None or self._evaluating:
                    raise ProtocolError("i-PI sends positions before those it sent last are answered")
                self._reply = None
                self.request, self.arrived = message, time.monotonic()
            case GetForce():
                self._owes_force = True
            case Exit():
                self.released = True
        self._answer()

    def _answer(self) -> None:
        """Send what is owed, as far as it is known."""
        if self._owes_force and self._reply is not None:
            self._out += encode_reply(self._reply)
            self._reply, self._owes_force = None, False
        busy = self.request is not None or self._evaluating
        if self._owes_status and not busy:
            self._out += header(self._state())
            self._owes_status, self.greeted = False, True

    def _state(self) -> str:
        if not self._initialised:
            return "NEEDINIT"
        return "READY" if self._reply is None else "HAVEDATA"

    def _flush(self) -> None:
        try:
            while self._out and not self.lost:
                sent = self.socket.send(self._out)
                del self._out[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.lost = True
