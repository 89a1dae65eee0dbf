"""i-PI's socket protocol as a parser of byte streams and a few encoders; nothing here touches a socket.

Messages start with a header of twelve bytes, padded with spaces; numbers are native int32 and float64;
lengths are in Bohr and energies in Hartree; lattice vectors are the columns of a cell.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schnet_calc.ipi.doubts import NO_DOUBTS, Doubts
from schnet_calc.ipi.errors import ProtocolError

FloatArray = NDArray[np.float64]
HEADER = 12
LARGEST_BATCH = 65_536
"""Structures in a message."""
LONGEST_INIT = 1 << 20
"""Bytes; a longer initialisation string is no initialisation string."""
_INT = struct.Struct("=i")


@dataclass(frozen=True)
class Request:
    """Structures whose forces i-PI asks for, in its atomic units."""

    cells: FloatArray
    """(B, 3, 3) Bohr, lattice vectors as columns"""
    positions: FloatArray
    """(B, N, 3) Bohr"""


@dataclass(frozen=True)
class Reply:
    """What i-PI gets back for a request, in its atomic units."""

    energies: FloatArray
    """(B,) Hartree"""
    forces: FloatArray
    """(B, N, 3) Hartree/Bohr"""
    virials: FloatArray
    """(B, 3, 3) Hartree: minus the derivative of the energy with respect to strain"""
    extras: Sequence[str]
    """B strings, JSON or empty"""
    doubts: Doubts = NO_DOUBTS
    """Structures among them that lie outside of what the model knows; i-PI doesn't hear of it"""


@dataclass(frozen=True)
class Status:
    """i-PI asks whether the client needs initialisation, is ready, or has data."""


@dataclass(frozen=True)
class Init:
    """i-PI initialises the client."""

    replica: int
    text: str
    batch_size: int
    """Structures per message from now on: ``batch_size`` of the text, 1 where it says nothing."""


@dataclass(frozen=True)
class GetForce:
    """i-PI waits for the result of its last request."""


@dataclass(frozen=True)
class Exit:
    """i-PI lets the client go."""


Message = Status | Init | Request | GetForce | Exit


class Parser:
    """Turns bytes, in pieces of any size, into messages.

    Parameters
    ----------
    n_atoms : int
        Atoms of the structures to come.

    Raises
    ------
    ProtocolError
        From :meth:`feed`: an unknown header, a senseless length, another number of atoms.
    """

    def __init__(self, n_atoms: int) -> None:
        self.n_atoms = n_atoms
        self.batch_size = 1
        self._buffer = bytearray()
        self._need = HEADER

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take bytes and yield every message that is complete."""
        self._buffer += data
        while len(self._buffer) >= self._need:
            message, used = self._next()
            if message is None:
                continue
            del self._buffer[:used]
            self._need = HEADER
            yield message

    def _next(self) -> tuple[Message | None, int]:
        """A message and its length, or None and a larger ``_need``."""
        header = bytes(self._buffer[:HEADER]).rstrip()
        if header in _PLAIN:
            return _PLAIN[header], HEADER
        if header == b"INIT":
            return self._init()
        if header == b"POSDATA":
            return self._positions()
        raise ProtocolError(f"unknown message {bytes(self._buffer[:HEADER])!r}: is this i-PI?")

    def _wait_for(self, n_bytes: int) -> bool:
        self._need = n_bytes
        return len(self._buffer) < n_bytes

    def _int(self, offset: int) -> int:
        return int(_INT.unpack_from(self._buffer, offset)[0])

    def _init(self) -> tuple[Message | None, int]:
        if self._wait_for(HEADER + 8):
            return None, 0
        length = self._int(HEADER + 4)
        if not 0 <= length <= LONGEST_INIT:
            raise ProtocolError(f"an initialisation string of {length} bytes")
        end = HEADER + 8 + length
        if self._wait_for(end):
            return None, 0
        text = bytes(self._buffer[HEADER + 8 : end]).decode("utf-8", errors="replace")
        self.batch_size = _batch_size(text)
        return Init(self._int(HEADER), text, self.batch_size), end

    def _positions(self) -> tuple[Message | None, int]:
        # One structure: cell, inverse, N, positions. A batch: N, all cells with inverses, all positions.
        batched = self.batch_size > 1
        cells_at = HEADER + (4 if batched else 0)
        count_at = HEADER if batched else HEADER + 18 * 8
        if self._wait_for(count_at + 4):
            return None, 0
        n_atoms = self._int(count_at)
        if n_atoms != self.n_atoms:
            raise ProtocolError(
                f"i-PI sends {n_atoms} atoms, but the structure of this client has {self.n_atoms}"
            )
        positions_at = HEADER + 4 + 18 * 8 * self.batch_size
        end = positions_at + 3 * 8 * n_atoms * self.batch_size
        if self._wait_for(end):
            return None, 0
        body = bytes(self._buffer[:end])
        cells = np.frombuffer(body, float, 18 * self.batch_size, cells_at)
        positions = np.frombuffer(body, float, offset=positions_at)
        return (
            Request(
                cells.reshape(self.batch_size, 2, 3, 3)[:, 0],
                positions.reshape(self.batch_size, n_atoms, 3),
            ),
            end,
        )


_PLAIN: dict[bytes, Message] = {b"STATUS": Status(), b"GETFORCE": GetForce(), b"EXIT": Exit()}


def _batch_size(text: str) -> int:
    for item in text.split(","):
        key, _, value = item.partition(":")
        if key.strip() == "batch_size":
            text = value.strip()
            whole = text.isascii() and text.isdecimal() and len(text) < 7
            if not whole or not 0 < int(text) <= LARGEST_BATCH:
                raise ProtocolError(
                    f"batch_size is a whole number from 1 to {LARGEST_BATCH}, got {text!r:.60}"
                )
            return int(text)
    return 1


def header(name: str) -> bytes:
    """A message of a header alone, such as ``READY``."""
    return name.ljust(HEADER).encode("ascii")


def encode_reply(reply: Reply) -> bytes:
    """FORCEREADY with its data; the same layout for one structure and for a batch."""
    parts = [
        header("FORCEREADY"),
        reply.energies.astype(float).tobytes(),
        _INT.pack(reply.forces.shape[1]),
        reply.forces.astype(float).tobytes(),
        reply.virials.astype(float).tobytes(),
    ]
    for text in reply.extras:
        data = text.encode("utf-8")
        parts += [_INT.pack(len(data)), data]
    return b"".join(parts)
