"""Relax C20 from a regular dodecahedron with any optimiser of ASE."""

from ase.optimize import BFGS

from schnet_calc import SchNetCalculator
from schnet_calc.analysis import bonds, clusters
from schnet_calc.studies.c20 import dodecahedron

atoms = dodecahedron()
atoms.rattle(0.05, seed=1)  # off the saddle point that symmetry would keep it on
atoms.calc = SchNetCalculator("c20", dtype="float64")  # thresholds below 1e-3 eV/Å want float64

BFGS(atoms, logfile=None).run(fmax=1e-5, steps=1000)

_, lengths = bonds(atoms, longest=1.75)
for group in clusters(lengths, gap=0.015):
    print(f"{len(group.members):2d} bonds of {group.mean:.4f} Å")
