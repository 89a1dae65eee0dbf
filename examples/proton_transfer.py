"""Proton transfer in malonaldehyde at 300 K, classically and with beads, by a model of its own.

    schnet-calc learn examples/malonaldehyde.xyz --reference gfn2-xtb --temperature 300 --beads 8 -o malonaldehyde
    python examples/proton_transfer.py [FOLDER] [PICOSECONDS]

Without the first command, the second one learns the committee itself, or goes on where it was interrupted.
The proton sits between two oxygen atoms; its coordinate is the difference of the distances to them, zero
half-way. Set CI=1 for a run of seconds, good for nothing.
"""

import os
import sys
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase import units

from schnet_calc import MDSettings, SchNetCalculator, plots, run_md, run_pimd
from schnet_calc.analysis.averages import FEWEST, N_BLOCKS, Estimate, independent_values, mean_with_error
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.learn import learn

quick = bool(os.environ.get("CI"))
folder = Path(sys.argv[1] if len(sys.argv) > 1 else "malonaldehyde")
time = 0.02 if quick else float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
beads, kelvin = 2 if quick else 8, 300.0
start = ase.io.read(Path(__file__).parent / "malonaldehyde.xyz")
FIRST, SECOND, PROTON = 0, 4, 8

options = {"temperature": kelvin, "beads": beads}
if quick:
    options |= {"time": 0.02, "start": 24, "reference_steps": 0, "rounds": 1, "members": 2}
    options |= {"first_steps": 30, "steps_per_label": 0, "features": 8, "check": 6}
learned = learn(start, "gfn2-xtb", folder, resume=True, say=print, **options)
models = [str(path) for path in learned.models]

classical = MDSettings(kelvin, time, 0.5, interval=1 if quick else 10)
md = run_md(
    start, SchNetCalculator(models, on_doubt="ignore"), classical, folder / "classical", resume=True
)
quantum = PIMDSettings(
    beads=beads, temperature=kelvin, time=time, stride=20, frame_stride=4 if quick else 10
)
pimd = run_pimd(start, models, quantum, folder / "quantum", resume=True)


def coordinate(frames: list[ase.Atoms]) -> np.ndarray:
    """Difference of the distances from the proton to the two oxygen atoms, Å."""
    to = np.array([a.get_distances(PROTON, [FIRST, SECOND]) for a in frames])
    late = to[len(to) // 10 :]
    return late[:, 1] - late[:, 0]


def barrier(values: np.ndarray) -> float:
    """Free energy half-way above the most likely place, meV, from a density that is the same on both sides."""
    density, _ = np.histogram(np.concatenate([values, -values]), grid)
    half_way = density[len(density) // 2]
    return -1e3 * units.kB * kelvin * np.log(half_way / density.max()) if half_way else np.inf


def barrier_with_error(series: np.ndarray) -> Estimate:
    """The barrier of (beads, times), and its error by a jackknife over blocks of time."""
    parts = np.array_split(np.abs(series), N_BLOCKS, axis=1)
    without = [np.concatenate(parts[:k] + parts[k + 1 :], axis=1).ravel() for k in range(N_BLOCKS)]
    each = np.array([barrier(values) for values in without])
    count = independent_values(near(series))
    reliable = count >= FEWEST and np.isfinite(each).all()
    error = float(np.sqrt((N_BLOCKS - 1) * each.var())) if reliable else np.nan
    return Estimate(barrier(series.ravel()), error, count)


def near(series: np.ndarray) -> np.ndarray:
    """Percentage of the beads within 0.1 Å of half-way, over time."""
    return 100.0 * np.mean(np.abs(series) < 0.1, axis=0)


motion = {
    "classical": np.array([coordinate(ase.io.read(md.trajectory, ":"))]),
    f"{beads} beads": np.array([coordinate(bead) for bead in pimd.beads()]),
}
figure, axes = plots.new_figure(5.5, 3.6)
grid = np.linspace(-1.2, 1.2, 61)
for label, series in motion.items():
    # Both ends are the same molecule.
    density, _ = np.histogram(np.concatenate([series, -series]), grid, density=True)
    axes.plot(0.5 * (grid[1:] + grid[:-1]), density, label=label)
    # How often beads with a thermostat change sides is no rate, so it isn't told.
    print(f"{label}: {mean_with_error(near(series))} % of the time within 0.1 Å of half-way")
    print(f"{label}: the density has a barrier of {barrier_with_error(series)} meV")
axes.set(xlabel="difference of the O-H distances, Å", ylabel="density, 1/Å")
axes.legend(frameon=False)
plots.save_figure(figure, folder / "proton")
