"""Resident memory and speed over a long simulation of C20.

    python benchmarks/long_run.py --steps 200000

A step is ASE's velocity Verlet through the calculator; a frame is written every 100 steps.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from ase import units
from ase.io.trajectory import Trajectory
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

from schnet_calc import SchNetCalculator
from schnet_calc.simulate.relax import relax
from schnet_calc.studies.c20 import dodecahedron


def resident() -> float:
    """MiB of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Run and print a row for every tenth of the way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--model", default="c20")
    steps, model = vars(parser.parse_args()).values()
    calculator = SchNetCalculator(model, device="cpu")
    atoms = relax(dodecahedron(), calculator, fmax=1e-2).atoms
    thermalize_momenta(atoms, temperature_K=500)
    with (
        tempfile.TemporaryDirectory() as folder,
        Trajectory(f"{folder}/long.traj", "w", atoms) as trajectory,
    ):
        dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
        dynamics.attach(trajectory.write, interval=100)
        dynamics.run(1000)
        first, energy, start = resident(), atoms.get_total_energy(), time.perf_counter()
        print(f"{'steps':>10}{'MiB':>10}{'change':>10}{'ms/step':>10}{'drift, eV':>12}")
        print(f"{1000:10d}{first:10.1f}")
        for _ in range(10):
            dynamics.run((steps - 1000) // 10)
            milliseconds = 1e3 * (time.perf_counter() - start) / (dynamics.nsteps - 1000)
            drift = atoms.get_total_energy() - energy
            change = 100 * (resident() / first - 1)
            print(
                f"{dynamics.nsteps:10d}{resident():10.1f}{change:9.2f}%{milliseconds:10.3f}{drift:12.2e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
