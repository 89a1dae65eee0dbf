"""Normal modes from the analytic Hessian, then what ase.vibrations offers on top."""

from ase.thermochemistry import HarmonicThermo

from schnet_calc import SchNetCalculator
from schnet_calc.simulate.modes import normal_modes
from schnet_calc.simulate.relax import relax
from schnet_calc.studies.c20 import dodecahedron

calculator = SchNetCalculator("c20", dtype="float64")
start = dodecahedron()
start.rattle(0.05, seed=1)
modes = normal_modes(relax(start, calculator, fmax=1e-5).atoms, calculator)

print(f"{len(modes.frequencies)} modes, {modes.n_imaginary} imaginary")
print("lowest:", modes.frequencies[:4].round(1), "cm⁻¹")
print(f"zero-point energy {modes.zero_point_energy:.4f} eV")

energies = modes.vibrations.get_energies()[6:].real
entropy = HarmonicThermo(energies).get_entropy(300, verbose=False)
print(f"harmonic entropy at 300 K {1e3 * entropy:.3f} meV/K")
