"""What runs in the workers of an executor."""

import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import ase

from schnet_calc.learn.worker import Answer, answer
from schnet_calc.references.sources import make_calculator

PROGRAM = "from schnet_calc.learn.member import main; main()"
_calculators: dict[bytes, Any] = {}
_one_at_a_time = threading.Lock()
"""Calculators are not made for several threads."""


def label_there(source: bytes, key: str, atoms: ase.Atoms) -> Answer:
    """Evaluate a structure with the calculator of a pickled source, which is made once per process."""
    with _one_at_a_time:
        if source not in _calculators:
            try:
                _calculators[source] = make_calculator(pickle.loads(source))
            except Exception as error:
                return Answer("", {}, f"{type(error).__name__}: {error}", 0.0)
        return answer(_calculators[source], key, atoms)


def train_there(config: dict[str, Any], home: str, log: str) -> int:
    """Train a member in a process of its own, in a folder that all machines see; its exit status."""
    folder = Path(home)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    with (folder / log).open("ab") as stream:
        command = [sys.executable, "-c", PROGRAM, str(folder / "config.json"), home]
        # Its input ends with this worker: so does it.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stream, stderr=stream) as process:
            return process.wait()
