"""A crystal: cell relaxation, equation of state, elastic constants, phonon dispersion with its figure.

Takes about a minute; set CI=1 for a smaller supercell.
"""

import os
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.eos import EquationOfState
from ase.phonons import Phonons
from ase.units import GPa, invcm

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.elasticity import elastic_constants
from schnet_calc.plots import new_figure, save_figure
from schnet_calc.simulate.relax import relax

calculator = SchNetCalculator("silicon", dtype="float64")
crystal = relax(bulk("Si", a=5.3), calculator, fmax=1e-5, cell=True).atoms
constant = (4 * crystal.get_volume()) ** (1 / 3)
print(f"lattice constant {constant:.4f} Å (PBE: 5.469)")

strained = [bulk("Si", a=constant * s) for s in np.linspace(0.97, 1.03, 9)]
energies = [p.energy for p in calculator.evaluate(strained)]
_, _, modulus = EquationOfState([atoms.get_volume() for atoms in strained], energies).fit()
print(f"bulk modulus {modulus / GPa:.1f} GPa (PBE: 89)")

c = elastic_constants(crystal, calculator) / GPa
print(f"C11 {c[0, 0]:.0f}, C12 {c[0, 1]:.0f}, C44 {c[3, 3]:.0f} GPa (PBE: 153, 57, 75)")

# Only at wave vectors that fit into the supercell are the frequencies exactly the model's: forces reach
# farther than half of it.
n = 4 if os.environ.get("CI") else 16
with tempfile.TemporaryDirectory() as folder:
    phonons = Phonons(crystal, calculator, supercell=(n, n, n), delta=0.01, name=f"{folder}/phonons")
    phonons.run()
    phonons.read(acoustic=True)
corners = crystal.cell.bandpath("GXWKGL", npoints=0).special_points
points, ticks = [corners["G"]], [0]
for first, last in pairwise("GXWKGL"):
    steps = max(round(n * np.abs(corners[last] - corners[first]).max()), 1)
    points += [corners[first] + (corners[last] - corners[first]) * k / steps for k in range(1, steps + 1)]
    ticks.append(len(points) - 1)
frequencies = phonons.band_structure(np.array(points), verbose=False) / invcm
lengths = np.linalg.norm(np.diff(points, axis=0) @ crystal.cell.reciprocal(), axis=1)
distances = np.concatenate([[0.0], np.cumsum(lengths)])

figure, axes = new_figure(5.5, 3.6)
axes.plot(distances, frequencies, ".-", color="#2f6fb5", markersize=4, linewidth=1)
axes.set_xticks(distances[ticks], ["Γ", "X", "W", "K", "Γ", "L"])
axes.set_xlim(0, distances[-1])
axes.set_ylim(0, None)
axes.set_ylabel("frequency, cm⁻¹")
axes.grid(axis="x")
save_figure(figure, Path("phonons"))
for name, k in (("Γ", ticks[0]), ("X", ticks[1]), ("L", ticks[-1])):
    print(f"phonons at {name}:", ", ".join(f"{f:.0f}" for f in frequencies[k]), "cm⁻¹")
print("PBE: 505 at Γ; 140 (TA), 410, 458 (TO) at X; 108 (TA), 372, 410, 485 (TO) at L")
