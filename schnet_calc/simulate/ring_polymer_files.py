"""What ring polymers leave in a folder: rows and frames as i-PI writes them, and the state to go on from."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.folders import replaced
from schnet_calc.ipi.outputs import PREFIX
from schnet_calc.simulate.ring_polymers import ARRAYS, Polymers, on_host

FloatArray = NDArray[np.float64]
COLUMNS = {
    "step": "The current simulation time step.",
    "time{picosecond}": "The elapsed simulation time.",
    "conserved{electronvolt}": "The value of the conserved energy quantity per bead.",
    "temperature{kelvin}": "The temperature of the momenta of all beads.",
    "potential{electronvolt}": "The potential energy, the mean over beads.",
    "kinetic_cv{electronvolt}": "The centroid virial estimator of the kinetic energy.",
    "kinetic_td{electronvolt}": "The primitive estimator of the kinetic energy.",
    "r_gyration{angstrom}": "The radius of gyration of ring polymers, averaged over atoms.",
}
"""Of ``simulation.out``, named as i-PI names them."""
STATE = "ring_polymers.npz"


def replica_folders(directory: Path, replicas: int) -> list[Path]:
    """Return where the output of each replica lies: in the folder itself if it is alone."""
    if replicas == 1:
        return [directory]
    width = len(str(replicas - 1))
    return [directory / f"replica_{k:0{width}d}" for k in range(replicas)]


def read_state(directory: Path) -> tuple[int, Polymers] | None:
    """Return the step and the ring polymers of an interrupted run, None where there are none."""
    path = directory / STATE
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as kept:
        values = {name: kept[name] for name in kept.files}
    generators = []
    for state in json.loads(str(values.pop("generators"))):
        generators.append(np.random.default_rng(0))
        generators[-1].bit_generator.state = state
    return int(values.pop("step")), Polymers(**values, generators=generators)


class Writer:
    """Rows and frames of all replicas, which reach the disk together with the state behind them.

    Parameters
    ----------
    directory : Path
        Of the run.
    atoms : Atoms
        Species and cell.
    replicas, beads : int
        R and P.
    """

    def __init__(self, directory: Path, atoms: ase.Atoms, replicas: int, beads: int) -> None:
        self.directory, self.beads = directory, beads
        self.folders = replica_folders(directory, replicas)
        width = len(str(beads - 1)) if beads > 1 else 1
        names = [*(f"pos_{b:0{width}d}" for b in range(beads)), "centroid"]
        self._kinds = [(f"{PREFIX}.{name}.xyz", b) for b, name in enumerate(names)]
        self._cell = " ".join(f"{x:10.5f}" for x in atoms.cell.cellpar())
        self._body = "".join(f"{s:>8s} %15.8e %15.8e %15.8e\n" for s in atoms.get_chemical_symbols())
        self._pending: dict[Path, list[str]] = {}

    def begin(self) -> None:
        """Write headers."""
        lines = [
            f"# column {k:3d}     --> {n} : {text}\n" for k, (n, text) in enumerate(COLUMNS.items(), 1)
        ]
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
            self._add(folder / f"{PREFIX}.out", "".join(lines))

    def rows(self, rows: FloatArray) -> None:
        """Take a row of each replica: (R, columns), in the units of :data:`COLUMNS`."""
        for folder, row in zip(self.folders, rows.tolist(), strict=True):
            self._add(folder / f"{PREFIX}.out", " ".join(f"{x:24.16e}" for x in row) + "\n")

    def frames(self, step: int, positions: FloatArray) -> None:
        """Take a frame of each bead, and of the centroids: (R, P, N, 3) Å."""
        n_atoms = positions.shape[2]
        centroids = positions.mean(axis=1, keepdims=True)
        for folder, frames in zip(
            self.folders, np.concatenate([positions, centroids], axis=1), strict=True
        ):
            for (name, bead), frame in zip(self._kinds, frames, strict=True):
                what = "positions{angstrom}" if bead < self.beads else "x_centroid{angstrom}"
                number = bead if bead < self.beads else 0
                text = (
                    f"{n_atoms}\n# CELL(abcABC): {self._cell}  Step: {step:11d}  Bead: {number:7d} {what}"
                )
                values = self._body % tuple(frame.ravel().tolist())
                self._add(folder / name, f"{text}  cell{{angstrom}}\n{values}")

    def _add(self, path: Path, text: str) -> None:
        self._pending.setdefault(path, []).append(text)

    def save(self, step: int, s: Polymers) -> None:
        """Write all that has come, then the state, so that rows and frames are never behind it.

        Raises
        ------
        OSError
            A full disk; the file is named, and the state before is there still.
        """
        for path, texts in self._pending.items():
            with _named(path), path.open("a") as stream:
                stream.write("".join(texts))
        self._pending.clear()
        values: dict[str, Any] = {name: on_host(getattr(s, name)) for name in ARRAYS} | {"step": step}
        states = json.dumps([rng.bit_generator.state for rng in s.generators])
        path = self.directory / STATE
        with _named(path), replaced(path, synced=True) as scratch, scratch.open("wb") as stream:
            np.savez(stream, **values, generators=states)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say in errors which file could not be written."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno, f"{error.strerror} (resume goes on once there is room)", str(path)
        ) from error
