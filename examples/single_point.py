"""Energy and forces of one structure, the first thing to try."""

from schnet_calc import SchNetCalculator
from schnet_calc.studies.c20 import dodecahedron

atoms = dodecahedron()  # or ase.io.read("cage.xyz")
atoms.calc = SchNetCalculator("c20")

print(f"energy          {atoms.get_potential_energy():.4f} eV")
print(f"largest force   {abs(atoms.get_forces()).max():.4f} eV/Å")
print(f"atomic energies {atoms.get_potential_energies()[:3].round(3)} ...")
