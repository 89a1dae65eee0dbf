"""Structures and runs of LAMMPS that several tests use."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase.build import bulk, molecule

HERE = Path(__file__).parent
BAR = 1.6021765e6
"""LAMMPS' bar per eV/Å³."""
MPIEXEC = [str(Path(sys.executable).parent / "mpiexec"), "-n"]
HOT = ["velocity all create 900 4711 loop all", "timestep 0.001", "fix motion all nve"]


def ranks(n: int, *command: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess:
    """Run a command of this Python on so many ranks."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*MPIEXEC, str(n), sys.executable, *command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def write_data(path: Path, atoms: ase.Atoms, elements: list[str]) -> None:
    """LAMMPS' data file; the cell's matrix is lower triangular."""
    cell = atoms.cell.array
    lines = ["", "", f"{len(atoms)} atoms", f"{len(elements)} atom types", ""]
    lines += [f"0 {cell[k, k]:.17g} {axis}lo {axis}hi" for k, axis in enumerate("xyz")]
    tilt = (cell[1, 0], cell[2, 0], cell[2, 1])
    if any(tilt):
        lines.append("{:.17g} {:.17g} {:.17g} xy xz yz".format(*tilt))
    lines += ["", "Masses", ""] + [f"{k + 1} 28.0855" for k in range(len(elements))]
    lines += ["", "Atoms", ""]
    for k, (symbol, r) in enumerate(zip(atoms.get_chemical_symbols(), atoms.positions, strict=True)):
        lines.append(f"{k + 1} {elements.index(symbol) + 1} " + " ".join(f"{x:.17g}" for x in r))
    path.write_text("\n".join(lines) + "\n")


def job(
    folder: Path,
    name: str,
    atoms: ase.Atoms,
    models: Sequence[Path],
    after: Sequence[str],
    before: Sequence[str] = (),
    **more: Any,
) -> dict[str, Any]:
    """What the driver is to do."""
    elements = sorted(set(atoms.get_chemical_symbols()))
    write_data(folder / f"{name}.lmp", atoms, elements)
    return {
        "before": [*before, f"read_data {folder / name}.lmp"],
        "after": list(after),
        "model": [str(m) for m in models],
        "elements": elements,
        "output": str(folder / f"{name}.npz"),
        "plugin": "",
        "overlay": False,
        "settings": {},
        **more,
    }


def results(folder: Path, n: int, jobs: Sequence[dict[str, Any]]) -> list[dict[str, np.ndarray]]:
    """What LAMMPS says on so many ranks, job by job."""
    (folder / "jobs.json").write_text(json.dumps(list(jobs)))
    done = ranks(n, str(HERE / "driver.py"), str(folder / "jobs.json"), cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return [dict(np.load(j["output"])) for j in jobs]


def carbide() -> ase.Atoms:
    """A skewed cell of two elements, shorter than twice the cutoff."""
    atoms = bulk("Si", cubic=True)
    atoms.set_cell([[5.43, 0, 0], [0.7, 5.2, 0], [0.4, -0.9, 5.6]], scale_atoms=True)
    atoms.numbers[::3] = 6
    atoms.rattle(0.1, seed=1)
    return atoms


def crystal() -> ase.Atoms:
    """Longer than twice the cutoff."""
    atoms = bulk("Si", cubic=True) * (3, 2, 2)
    atoms.rattle(0.1, seed=3)
    return atoms


def slab() -> ase.Atoms:
    """Most of the box is empty: of several ranks some have no atoms."""
    atoms = bulk("Si", cubic=True) * (1, 1, 2)
    atoms.rattle(0.1, seed=2)
    atoms.positions[:, 2] += 1.0
    atoms.cell[2, 2] = 60.0
    atoms.pbc = (True, True, False)
    return atoms


def drop() -> ase.Atoms:
    """A molecule in a box without periodic directions."""
    atoms = molecule("CH3CH2OH", cell=np.diag([30.0, 30.0, 30.0]))
    atoms.positions += 4.0
    return atoms


CASES = {
    "carbide": (carbide, []),
    "crystal": (crystal, []),
    "slab": (slab, ["boundary p p f", "processors 1 1 *"]),
    "drop": (drop, ["boundary f f f"]),
    "tiled": (crystal, ["comm_style tiled"]),
}
