"""How fast the molecules of a run of liquid water move, and where their neighbours are, beside experiment.

    schnet-calc md examples/water/init.extxyz --model water --temperature 300 --thermostat bussi --time 60
      --interval 40 -o water_md
    python examples/water/diffusion.py water_md

The first fifth of the run is left out. Of 64 molecules: a larger cell would give a few tenths more.
"""

import argparse

import numpy as np
from ase.md.analysis import DiffusionCoefficient
from ase.units import fs

from schnet_calc.analysis.liquids import pair_correlation
from schnet_calc.simulate.dynamics import read_dynamics

EVERY = 5
"""Frames that are looked at."""
SEGMENT = 10_000
"""fs over which displacements are followed."""

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", help="of the run, with md.traj")
run = read_dynamics(parser.parse_args().folder)
frames, apart = [], EVERY * run.timestep
for positions in run.positions[0][::EVERY]:
    frames.append(run.atoms.copy())
    frames[-1].positions = positions
oxygens = np.flatnonzero(frames[0].numbers == 8)
moved = DiffusionCoefficient(frames, apart * fs, oxygens)
moved.calculate(number_of_segments=max(int(len(frames) * apart / SEGMENT), 1))
mean, deviation = (values[0] * fs * 0.1 for values in moved.get_diffusion_coefficients())
error = deviation / np.sqrt(moved.no_of_segments)
print(f"diffusion {1e5 * mean:.2f} +- {1e5 * error:.2f} 1e-5 cm²/s (experiment 2.3)")
peak = pair_correlation([frames], ("O", "O")).first_peak()
print(f"first O-O peak at {peak[0]:.2f} Å, {peak[1]:.2f} high (experiment 2.80 Å, 2.57)")
