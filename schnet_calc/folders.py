"""Folders of runs, kept to one process at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from schnet_calc.errors import SchNetCalcError

LOCK = ".lock"


class FolderInUseError(SchNetCalcError, RuntimeError):
    """Another process is at work in the folder; the message names it."""


@contextlib.contextmanager
def locked(directory: str | Path, name: str = LOCK) -> Iterator[int]:
    """Keep other processes out of a folder, which is made, until the block ends or this process dies.

    Parameters
    ----------
    directory : path
        Of the run.
    name : str
        Of the lock's file, which stays.

    Yields
    ------
    int
        The lock's file descriptor: a child process that inherits it holds the lock, too.

    Raises
    ------
    FolderInUseError
        Another process holds it.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / name).open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise FolderInUseError(f"another run is at work in {directory}: process {holder}") from error
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield stream.fileno()
