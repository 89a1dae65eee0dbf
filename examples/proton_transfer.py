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


motion = {
    "classical": [coordinate(ase.io.read(md.trajectory, ":"))],
    f"{beads} beads": [coordinate(bead) for bead in pimd.beads()],
}
figure, axes = plots.new_figure(5.5, 3.6)
grid = np.linspace(-1.2, 1.2, 61)
for label, replicas in motion.items():
    values = np.concatenate(replicas)
    # Both ends are the same molecule.
    density, _ = np.histogram(np.concatenate([values, -values]), grid, density=True)
    axes.plot(0.5 * (grid[1:] + grid[:-1]), density, label=label)
    half_way, most = density[len(density) // 2], density.max()
    barrier = -units.kB * kelvin * np.log(half_way / most) if half_way else np.inf
    changes = np.mean([np.count_nonzero(np.diff(np.sign(r))) for r in replicas])
    print(
        f"{label}: {100 * np.mean(np.abs(values) < 0.1):.1f} % of the time within 0.1 Å of half-way, "
        f"barrier {1e3 * barrier:.0f} meV, {changes / (0.9 * time):.1f} changes of side per ps"
    )
axes.set(xlabel="difference of the O-H distances, Å", ylabel="density, 1/Å")
axes.legend(frameon=False)
plots.save_figure(figure, folder / "proton")
