"""A crystal: cell relaxation, equation of state, elastic constants, phonon dispersion with its figure."""

import tempfile
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.eos import EquationOfState
from ase.phonons import Phonons
from ase.units import GPa, invcm

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.elasticity import elastic_constants
from schnet_calc.plots import new_figure, save_figure
from schnet_calc.tasks.relax import relax

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

with tempfile.TemporaryDirectory() as folder:
    phonons = Phonons(crystal, calculator, supercell=(4, 4, 4), delta=0.01, name=f"{folder}/phonons")
    phonons.run()
    phonons.read(acoustic=True)
path = crystal.cell.bandpath("GXWKGL", npoints=120)
bands = phonons.get_band_structure(path, verbose=False)
frequencies = bands.energies[0] / invcm
distances, ticks, labels = bands.get_labels()

figure, axes = new_figure(5.5, 3.6)
axes.plot(distances, frequencies, color="#2f6fb5")
axes.set_xticks(ticks, [label.replace("G", "Γ") for label in labels])
axes.set_xlim(0, distances[-1])
axes.set_ylabel("frequency, cm⁻¹")
axes.grid(axis="x")
save_figure(figure, Path("phonons"))
at = dict(zip(labels, np.searchsorted(distances, ticks), strict=True))
print(f"optical mode at Γ {frequencies[0].max():.0f} cm⁻¹ (PBE: about 505)")
print(f"transverse acoustic mode at X {frequencies[at['X']].min():.0f} cm⁻¹ (PBE: about 140)")
