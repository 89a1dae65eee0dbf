"""Energy and forces of one structure, the first thing to try."""

from ase.build import molecule

from schnet_calc import SchNetCalculator

# Any 20 carbon atoms will do to see numbers; the model is only right for the C20 cage.
atoms = molecule("C60")[:20]
atoms.calc = SchNetCalculator("c20")

print(f"energy          {atoms.get_potential_energy():.4f} eV")
print(f"largest force   {abs(atoms.get_forces()).max():.4f} eV/Å")
print(f"atomic energies {atoms.get_potential_energies()[:3].round(3)} ...")
