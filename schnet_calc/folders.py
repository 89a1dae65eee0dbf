"""Folders of runs, kept to one process at a time, and files in them that are whole or not there."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schnet_calc.errors import SchNetCalcError

LOCK, COMMANDS = ".lock", "commands.txt"


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


def check_same(directory: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that is another one than what is asked for.

    Parameters
    ----------
    directory : Path
        Of the run.
    before, now : mapping
        What was kept of it, and what has to be the same.

    Raises
    ------
    ValueError
        They differ; the message names what does.
    """
    for name, value in now.items():
        if before.get(name) != value:
            raise ValueError(
                f"the run in {directory} has {name} = {before.get(name)!r}, not {value!r}: choose another folder"
            )


@contextlib.contextmanager
def replaced(path: Path, synced: bool = False) -> Iterator[Path]:
    """Give the place of a file to write, which takes the place of another one as the block ends.

    A reader, or a run that is killed, sees the old file or the new one, never a half.

    Parameters
    ----------
    path : Path
        In a folder that is there.
    synced : bool
        Whether it has to be on the disk first, as what a run goes on from.

    Yields
    ------
    Path
        Beside it.
    """
    scratch = path.with_name(f"{path.name}.tmp")
    yield scratch
    if synced:
        with scratch.open("rb") as stream:
            os.fsync(stream.fileno())
    scratch.replace(path)


def replace_text(path: Path, text: str, synced: bool = False) -> None:
    """Write a text in the place of a file; arguments as for :func:`replaced`."""
    with replaced(path, synced) as scratch:
        scratch.write_text(text, encoding="utf-8")


def replace_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values as JSON in the place of a file, as :func:`replaced` does."""
    replace_text(path, json.dumps(values, indent=1) + "\n", synced=True)


def note_command(directory: Path, command: str) -> None:
    """Write a command below those that have been at work in a folder, unless it is the last of them.

    Parameters
    ----------
    directory : Path
        Of the run.
    command : str
        As it was typed.
    """
    if commands_noted(directory)[-1:] != [command]:
        with (directory / COMMANDS).open("a", encoding="utf-8") as stream:
            stream.write(command + "\n")


def commands_noted(directory: Path) -> list[str]:
    """Return the commands that have been at work in a folder; none of runs by Python or of earlier versions."""
    path = directory / COMMANDS
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
