"""Liquid water at 300 K: where oxygen and hydrogen atoms are, classically and with beads.

    python examples/water/distributions.py [FOLDER] [PICOSECONDS]

2 ps without arguments. Distances within the molecules are where quantum nuclei spread most. Set CI=1 for a
few steps.
"""

import os
import sys
from pathlib import Path

import ase.io

from schnet_calc import MDSettings, SchNetCalculator, plots, run_md, run_pimd
from schnet_calc.analysis.liquids import pair_correlation
from schnet_calc.ipi.settings import PIMDSettings

quick = bool(os.environ.get("CI"))
folder = Path(sys.argv[1] if len(sys.argv) > 1 else "water")
time = 0.01 if quick else float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
beads = 2 if quick else 8
start = ase.io.read(Path(__file__).parent / "init.extxyz")

classical = MDSettings(temperature=300, time=time, timestep=0.5, interval=1 if quick else 20)
frames = ase.io.read(run_md(start, SchNetCalculator("water"), classical, folder / "md").trajectory, ":")
quantum = PIMDSettings(
    beads=beads, temperature=300, time=time, timestep=0.25, stride=20, frame_stride=2 if quick else 40
)
run = run_pimd(start, "water", quantum, folder / f"pimd_{beads}")
rings = run.beads()
for bead in rings:
    for atoms in bead:
        atoms.pbc = True

figure, axes = plots.new_figure(10, 3.4, 3)
for ax, pair in zip(axes, (("O", "O"), ("O", "H"), ("H", "H")), strict=True):
    for label, replicas in (("classical", [frames]), (f"{beads} beads", rings)):
        settled = [list(replica)[len(replica) // 5 :] for replica in replicas]
        found = pair_correlation(settled, pair)
        ax.plot(found.centers, found.g, label=label)
        ax.fill_between(found.centers, found.g - found.error, found.g + found.error, alpha=0.3)
        print(f"{'-'.join(pair)}, {label}: first peak at {found.first_peak()[0]:.2f} Å")
    ax.set(xlabel=f"{'-'.join(pair)} distance, Å", ylabel="g", ylim=(0, 4), xlim=(0.5, 6))
axes[0].legend()
plots.save_figure(figure, folder / "distributions")
