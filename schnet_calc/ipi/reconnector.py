"""When to try to connect, and when to give up."""

import socket
import time

from schnet_calc.ipi.connection import Address
from schnet_calc.ipi.errors import ServerLostError

GRACE = 0.2
"""Seconds after EXIT before looking whether i-PI only dropped a connection and still listens."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between attempts to connect."""


class Reconnector:
    """The way to a server that may not be there yet, may be gone for a while, or for good.

    Parameters
    ----------
    wait : float
        Seconds without a server after which to give up.
    """

    def __init__(self, wait: float) -> None:
        self.wait = wait
        self.released = False
        """Whether the server has said EXIT."""
        self.parted = False
        """Whether it closed the connection when nothing was owed, as ASE's server ends."""
        self.closed = False
        """Whether it has let go of this client and listens no longer."""
        self._since = time.monotonic()
        self._next = 0.0
        self._pause = FIRST_PAUSE
        self._reason = "it accepts connections and closes them"

    def lose(self, greeted: bool, orderly: bool) -> None:
        """Note that a connection broke.

        One that was never greeted says nothing about a server behind it: a tunnel accepts, too. One that
        ended in order, when nothing was owed, is a farewell if the UNIX socket's file is gone at the next look
        as well; that of a server that was killed stays until somebody starts another one.
        """
        if greeted:
            self.released, self.parted = False, orderly
            self._again(FIRST_PAUSE)
        else:
            self.closed = self.released
            self._later()

    def prove(self) -> None:
        """Note that a request came: the server lives."""
        self.released = self.parted = False
        self._since, self._pause = time.monotonic(), FIRST_PAUSE

    def release(self) -> None:
        """Note that a connection got EXIT: look once more, after a moment, whether the server still listens."""
        self.released = True
        self._again(GRACE)

    def _again(self, pause: float) -> None:
        now = time.monotonic()
        self._since, self._pause, self._next = now, FIRST_PAUSE, now + pause

    def knock(self, address: Address, alone: bool) -> socket.socket | None:
        """Return a connected socket, or None if it is too early or nobody is there."""
        now = time.monotonic()
        if now < self._next:
            return None
        if alone and not self.released and now - self._since > self.wait:
            raise ServerLostError(f"no server at {address} within {self.wait:g} s: {self._reason}")
        try:
            return address.connect()
        except OSError as error:
            self._reason = error.strerror or str(error)
            self._later()
            gone = isinstance(error, FileNotFoundError)
            self.closed = alone and (self.released or (self.parted and gone))
            self.parted = (
                False  # a file that goes away later is no farewell, but makes room for a new server
            )
            return None

    def _later(self) -> None:
        """Try again, after a pause that grows."""
        self._next = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
