"""A step of path-integral MD through i-PI."""

import re
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import torch
from ase.calculators.calculator import Calculator
from ase.calculators.socketio import SocketClient

from schnet_calc.ipi import Address
from schnet_calc.ipi.input import INPUT, STRUCTURE, PIMDSettings, write_input
from schnet_calc.ipi.server import Server

Serve = Callable[[Path], object]
STRIDE = 10
"""Steps between two rows of properties, as in runs by default: i-PI takes milliseconds for a row."""
POLL = 0.03
"""Seconds between looks at the rows; more often would take time from the run."""
FREE = """
import numpy as np
__DRIVER_NAME__, __DRIVER_CLASS__ = "free", "Free"
class Free:
    def __init__(self, **kwargs): pass
    def __call__(self, cell, pos):
        if isinstance(cell, list):
            return [(0.0, np.zeros_like(p), np.zeros((3, 3)), "") for p in pos]
        return 0.0, np.zeros_like(pos), np.zeros((3, 3)), ""
"""
"""A potential that costs nothing: what is left is i-PI's own time."""
FEWEST_ROWS = 8
WARM_UP = 0.25
"""Part of a run that isn't timed."""


@dataclass(frozen=True)
class Driver:
    """What evaluates the beads, and how often i-PI keeps its state."""

    model: str | Path = "c20"
    """What i-PI evaluates itself if nobody serves."""
    serve: Serve | None = None
    """Called on a thread with the folder, to answer at the socket of the folder's name."""
    batched: bool = True
    """Whether all beads come in one message."""
    pes: str = ""
    """Python code of another potential for i-PI to evaluate itself."""
    safe_stride: int | None = None
    """Steps after which i-PI keeps its state; by default as in every input that is written."""


def pimd_step(atoms: ase.Atoms, beads: int, n_steps: int, **how: Any) -> float:
    """Milliseconds per step of i-PI, which has as many threads as this process, from when it writes rows.

    Parameters
    ----------
    atoms : Atoms
        Where all beads start.
    beads : int
        P.
    n_steps : int
        Of the run, the first quarter of which isn't timed.
    **how
        Fields of :class:`Driver`.

    Raises
    ------
    RuntimeError
        i-PI ended before its time, with the end of its log, or wrote too few rows to time them.
    """
    driver = Driver(**how)
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        _write(atoms, beads, n_steps, driver, folder)
        return _watched(folder, driver.serve, n_steps // STRIDE)


def _write(atoms: ase.Atoms, beads: int, n_steps: int, driver: Driver, folder: Path) -> None:
    """Write i-PI's input, and the potential that it evaluates itself."""
    direct = driver.serve is None
    settings = PIMDSettings(
        beads=beads,
        temperature=300.0,
        time=0.5e-3 * n_steps,
        stride=STRIDE,
        frame_stride=n_steps,
        transport="direct" if direct else "socket",
    )
    path = write_input(
        atoms,
        settings,
        folder,
        models=[str(driver.model)],
        address=Address(unix=folder.name),
        options={"device": "cpu"} if direct and not driver.pes else None,
    )
    text = re.sub(r'flush="\d+"', 'flush="1"', path.read_text())  # rows that can be seen as they come
    if not driver.batched:
        text = text.replace(f"<batch_size> {beads} </batch_size>", "")
    if driver.safe_stride is not None:
        text = re.sub(r'safe_stride="\d+"', f'safe_stride="{driver.safe_stride}"', text)
    path.write_text(text)
    if driver.pes:
        (folder / "pes.py").write_text(driver.pes)


def _watched(folder: Path, serve: Serve | None, n_rows: int) -> float:
    failures: list[BaseException] = []
    properties, seen = folder / "simulation.out", [(0.0, 0)]
    server = Server(folder, INPUT, environment={"OMP_NUM_THREADS": str(torch.get_num_threads())})
    try:
        if serve is not None:
            threading.Thread(target=_served, args=(serve, folder, failures), daemon=True).start()
        while server.running and not failures:
            time.sleep(POLL)
            text = properties.read_text() if properties.exists() else ""
            rows = sum(not line.startswith("#") for line in text.splitlines())
            if rows > seen[-1][1]:
                seen.append((time.perf_counter(), rows))
    finally:
        server.stop()
    if seen[-1][1] < n_rows:
        raise RuntimeError(
            f"i-PI ended after {seen[-1][1]} of {n_rows} rows: {failures or server.last_words()}"
        )
    # The last rows come when i-PI has also written all that it leaves behind.
    late = [(moment, row) for moment, row in seen[:-1] if row > WARM_UP * n_rows]
    if len(late) < 2:
        raise RuntimeError(f"the {n_rows} rows came too fast to time them: ask for more steps")
    (start, first), (end, last) = late[0], late[-1]
    return 1e3 * (end - start) / (STRIDE * (last - first))


def _served(serve: Serve, folder: Path, failures: list[BaseException]) -> None:
    try:
        serve(folder)
    except BaseException as error:
        failures.append(error)


def with_ase(calculator: Calculator) -> Serve:
    """Serve with ASE's client: one connection, no batches."""
    return partial(_serve_with_ase, calculator)


def _serve_with_ase(calculator: Calculator, folder: Path) -> None:
    atoms = ase.io.read(folder / STRUCTURE)
    assert isinstance(atoms, ase.Atoms)
    atoms.calc = calculator
    while not Path(Address(unix=folder.name).path).exists():
        time.sleep(0.01)
    SocketClient(unixsocket=folder.name).run(atoms, use_stress=False)


def n_steps_for(milliseconds: float, seconds: float) -> int:
    """Steps that take so long together, in whole rows; enough of them to be timed."""
    rows = int(np.ceil(1e3 * seconds / milliseconds / STRIDE))
    return STRIDE * max(FEWEST_ROWS, rows)
