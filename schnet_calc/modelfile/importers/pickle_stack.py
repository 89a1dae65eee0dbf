"""What the bytes of a pickle are taken apart into: its stack, and stand-ins for all that it names."""

import struct
from typing import Any

from schnet_calc.errors import ModelFileError

MOST_MADE = 2**27
"""Bytes of texts and arrays of bytes that all pickles of a file may make; a model has some hundred thousand."""


class Inert:
    """A name in a pickle, or what calling it would have made, with everything that it was given.

    Attributes
    ----------
    path : str
        Module and name, such as ``"torch.nn.modules.linear.Linear"``.
    args : tuple or None
        Of the call; None for the name alone.
    state : Any
        What the object was to take as its attributes.
    items : dict or None
        What was put into it by key.
    entries : list or None
        What was appended to it.
    """

    __slots__ = ("args", "entries", "items", "path", "state")

    def __init__(self, path: str, args: tuple[Any, ...] | None = None) -> None:
        self.path, self.args = path, args
        self.state: Any = None
        self.items: dict[Any, Any] | None = None
        self.entries: list[Any] | None = None

    def attributes(self) -> dict[Any, Any]:
        """Return the attributes by name; empty if there are none."""
        states = self.state if isinstance(self.state, tuple) else (self.state,)
        merged: dict[Any, Any] = {}
        for state in states[:2]:
            if isinstance(state, dict):
                merged.update(state)
        return merged


class Stack:
    """The bytes of a pickle, how far they are read, and the stack and memo that its instructions work on.

    Parameters
    ----------
    data : bytes
        One or several pickles, one behind the other.
    at : int
        Where to begin.
    """

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at
        self.values: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.made = 0

    def spend(self, n_bytes: int) -> None:
        """Count bytes that are about to be made.

        Raises
        ------
        ModelFileError
            They are more than a file may have.
        """
        self.made += n_bytes
        if self.made > MOST_MADE:
            raise ModelFileError(f"a pickle that makes more than {MOST_MADE} bytes of text")

    def number(self, layout: str) -> Any:
        """Return the next number of a layout of ``struct``."""
        (value,) = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return value

    def blob(self, layout: str) -> bytes:
        """Return the next bytes, whose number stands before them."""
        size = self.number(layout)
        if not 0 <= size <= len(self.data) - self.at:
            raise ValueError("cut short")
        self.spend(size)
        self.at += size
        return self.data[self.at - size : self.at]

    def line(self) -> str:
        """Return the text up to the end of the line."""
        end = self.data.index(b"\n", self.at)
        text = self.data[self.at : end].decode()
        self.at = end + 1
        return text

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.values.append(value)

    def pop(self) -> Any:
        """Take the last value off the stack, never one before a mark."""
        if len(self.values) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("nothing on the stack")
        return self.values.pop()

    def pop_marked(self) -> list[Any]:
        """Take everything behind the last mark off the stack."""
        mark = self.marks.pop()
        values = self.values[mark:]
        del self.values[mark:]
        return values

    def top(self) -> Any:
        """Return the last value on the stack."""
        self.push(value := self.pop())
        return value
