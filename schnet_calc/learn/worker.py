"""The process that labels; :func:`main` is its whole program."""

import contextlib
import os
import queue
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import ase
import numpy as np
from ase.calculators.calculator import PropertyNotImplementedError

from schnet_calc.references.sources import make_calculator

OPTIONAL = ("stress", "dipole")


class Answer(NamedTuple):
    """What became of a structure."""

    key: str
    """Of the structure; empty when the calculator itself has been made, or could not be."""
    results: dict[str, Any]
    reason: str
    """Why there is no result; empty if there is one."""
    seconds: float


def evaluate(atoms: ase.Atoms, calculator: Any) -> dict[str, Any]:
    """Compute energy, forces, and stress and dipole where the calculator has them.

    Returns
    -------
    dict
        ``energy`` eV, ``forces`` (N, 3) eV/Å, ``stress`` (6,) eV/Å³, ``dipole`` (3,) e·Å.

    Raises
    ------
    FloatingPointError
        A result is not finite.
    """
    found = {name: calculator.get_property(name, atoms) for name in ("energy", "forces")}
    for name in OPTIONAL:
        wanted = name in getattr(calculator, "implemented_properties", ())
        if wanted and (name != "stress" or atoms.pbc.all()):
            with contextlib.suppress(PropertyNotImplementedError):
                found[name] = calculator.get_property(name, atoms)
    for name, value in found.items():
        if value is None or not np.isfinite(value).all():
            raise FloatingPointError(f"the reference's {name} is not finite")
    # Copies: some calculators go on to write into the arrays that they have handed out.
    return {n: float(v) if n == "energy" else np.array(v, dtype=float) for n, v in found.items()}


def answer(calculator: Any, key: str, atoms: ase.Atoms) -> Answer:
    """Return the results of a structure, or why there are none."""
    started = time.perf_counter()
    results, reason = {}, ""
    try:
        results = evaluate(atoms, calculator)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:500]
        with contextlib.suppress(Exception):
            calculator.reset()
    return Answer(key, results, reason, time.perf_counter() - started)


def serve(connection: Connection) -> None:
    """Make the calculator that the first message names, then label what comes."""
    tasks: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
    try:
        calculator = make_calculator(tasks.get())
    except Exception as error:
        connection.send(Answer("", {}, f"{type(error).__name__}: {error}", 0.0))
        return
    connection.send(Answer("", {}, "", 0.0))
    while True:
        key, atoms = tasks.get()
        connection.send(answer(calculator, key, atoms))


def _listen(connection: Connection, tasks: queue.Queue[Any]) -> None:
    """Pass tasks on; when whoever sends them is gone, even killed, there is no use in going on."""
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)
    except Exception as error:  # a calculator that can't be unpickled here
        connection.send(Answer("", {}, f"{type(error).__name__}: {error}", 0.0))
        os._exit(0)


def main() -> None:
    """Serve on the file descriptor that the command line names."""
    # Programs of the calculators may print what they like; it goes where errors go.
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError):
        serve(Connection(int(sys.argv[1])))
    os._exit(0)
