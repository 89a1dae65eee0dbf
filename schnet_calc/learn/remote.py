"""What runs in the workers of an executor; :func:`answer_for` makes a label, :func:`train_there` a member."""

import contextlib
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np
from ase.calculators.calculator import PropertyNotImplementedError

from schnet_calc.references.sources import make_calculator

OPTIONAL = ("stress", "dipole")
PROGRAM = "from schnet_calc.learn.member import main; main()"
"""Not -m: a module that is run has its classes under another name than one that is imported."""
LOOK = 0.5
"""Seconds between looks at whether the run is still there."""
_one_at_a_time = threading.Lock()
"""Calculators are not made for several threads."""


class Answer(NamedTuple):
    """What became of a structure."""

    key: str
    """Of the structure; empty if the calculator itself can't be made."""
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


@cache
def _calculator(source: bytes) -> Any:
    """The calculator of a pickled source, made once per process."""
    return make_calculator(pickle.loads(source))


def label_there(source: bytes, key: str, atoms: ase.Atoms) -> Answer:
    """Evaluate a structure with the calculator of a pickled source; return its results, or why there are none.

    Parameters
    ----------
    source : bytes
        Pickled; its calculator is made once in each process.
    key : str
        Of the structure.
    atoms : Atoms
        The structure.
    """
    with _one_at_a_time:
        try:
            calculator = _calculator(source)
        except Exception as error:
            return Answer("", {}, f"{type(error).__name__}: {error}", 0.0)
        started = time.perf_counter()
        results, reason = {}, ""
        try:
            results = evaluate(atoms, calculator)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:500]
            with contextlib.suppress(Exception):
                calculator.reset()
        return Answer(key, results, reason, time.perf_counter() - started)


def begin(source: bytes, parent: int) -> None:
    """Begin a process that labels on the machine of the run: it ends with the run, even if that is killed.

    Parameters
    ----------
    source : bytes
        Pickled; its calculator is made now, so that no label's time counts it. What fails fails again, and is
        told, with the first label.
    parent : int
        The run's process.
    """
    os.dup2(2, 1)  # programs of calculators may print what they like; it goes where errors go
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with contextlib.suppress(Exception):
        _calculator(source)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)


def train_there(config: dict[str, Any], home: str, log: str) -> int:
    """Train a member in a process of its own, in a folder that all machines see; return its exit status.

    Parameters
    ----------
    config : dict
        Of the run, as plain values.
    home : str
        The folder.
    log : str
        Name of the log in it.
    """
    folder = Path(home)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    with (folder / log).open("ab") as stream:
        command = [sys.executable, "-c", PROGRAM, str(folder / "config.json"), home]
        # Its input ends with this worker: so does it.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stream, stderr=stream) as process:
            return process.wait()
