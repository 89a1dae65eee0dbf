"""False alarms: how many frames of dynamics by a model's own forces, or of unseen data, the model doubts.

python benchmarks/alarms.py [NAME ...]       # shipped models, 1,000 frames at 300 K, 100 ps in all
python benchmarks/alarms.py --unseen qm9     # all frames of the data that it was not trained on
"""

import argparse

import ase
import numpy as np
from ase import units
from ase.data import chemical_symbols

from schnet_calc import load_model
from schnet_calc.model import Model
from schnet_calc.structures.geometries import Geometries

FRICTION = 0.02
"""1/fs."""


def alarms_in_dynamics(
    model: Model,
    start: ase.Atoms,
    kelvin: float = 300.0,
    frames: int = 1000,
    apart: float = 100.0,
    replicas: int = 10,
) -> tuple[int, int, float, str]:
    """Return the doubted frames, all frames, the largest grade of any step, and one of the reasons.

    Langevin dynamics of replicas (BAOAB), whose first 500 fs are left out.

    Parameters
    ----------
    model : Model
        Whose forces drive the dynamics, and who doubts.
    start : Atoms
        Where all replicas start.
    kelvin : float
        Temperature.
    frames : int
        In all.
    apart : float
        fs between them.
    replicas : int
        That share a batch.
    """
    rng, light = np.random.default_rng(0), start.get_masses().min() < 3.0
    timestep = 0.5 if light else 2.0 if start.pbc.any() else 1.0
    dt, masses = timestep * units.fs, start.get_masses()[:, None]
    positions = np.repeat(start.positions[None], replicas, axis=0)
    cells = np.repeat(start.cell.array[None], replicas, axis=0)
    width = np.sqrt(units.kB * kelvin * masses)
    momenta = width * rng.normal(size=positions.shape)
    kept = np.exp(-FRICTION * timestep)
    doubted, largest, why = 0, 0.0, ""
    interval, first = round(apart / timestep), round(500.0 / timestep)
    found = model.totals(Geometries(start.numbers, positions, cells, start.pbc))
    for step in range(1, first + interval * (frames // replicas) + 1):
        momenta += 0.5 * dt * found.forces
        positions = positions + 0.5 * dt * momenta / masses
        momenta = kept * momenta + np.sqrt(1.0 - kept**2) * width * rng.normal(size=momenta.shape)
        positions = positions + 0.5 * dt * momenta / masses
        before = model.guard.count
        found = model.totals(Geometries(start.numbers, positions, cells, start.pbc))
        momenta += 0.5 * dt * found.forces
        if step > first and (step - first) % interval == 0:
            doubted += model.guard.count - before
            if found.grades is not None:
                largest = max(largest, float(found.grades.max()))
            if model.guard.reasons:
                why = model.guard.reasons[0]
    return doubted, frames // replicas * replicas, largest, why


def main() -> None:
    """Print a line for each model."""
    from guard import SHIPPED, false_alarms, unseen_frames

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--apart", type=float, default=100.0, help="fs")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--unseen", action="store_true", help="frames of data instead of dynamics")
    parser.add_argument("--qm9", default="qm9pack", help="its wheel or folder, where it is not installed")
    arguments = parser.parse_args()
    print("| model | atoms | doubted frames | largest grade | why |\n|---|---|---|---|---|", flush=True)
    for name in arguments.names or SHIPPED:
        model, unseen = load_model(name, device="cpu"), unseen_frames(name, arguments.qm9)
        if arguments.unseen:
            doubted, count = false_alarms(model, unseen, arguments.frames)
            print(f"| {name} | unseen | {doubted} of {count} |", flush=True)
            continue
        start = unseen.atoms(0)
        doubted, count, largest, why = alarms_in_dynamics(
            model, start, arguments.temperature, arguments.frames, arguments.apart
        )
        what = "".join(sorted({chemical_symbols[z] for z in start.numbers}))
        print(
            f"| {name} | {len(start)} {what} | {doubted} of {count} | {largest:.2f} | {why} |", flush=True
        )


if __name__ == "__main__":
    main()
