"""Many structures at once: energies, relaxations, a minimum energy path, replicas of a simulation."""

import tempfile

import numpy as np
from ase.build import molecule

from schnet_calc import MDSettings, SchNetCalculator
from schnet_calc.simulate.neb import relax_band
from schnet_calc.simulate.relax import relax, relax_many
from schnet_calc.simulate.replicas import run_replicas

calculator = SchNetCalculator("ethanol", dtype="float64")

# Structures of any sizes, in parts if they would need more than calculator.engine.memory bytes.
rattled = []
for seed in range(20):
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.02, seed=seed)
    rattled.append(atoms)
energies = [p.energy for p in calculator.evaluate(rattled)]
print(f"20 energies with a spread of {np.ptp(energies):.3f} eV")

relaxed = relax_many(rattled, calculator, fmax=0.01)
print(f"20 relaxations in {max(r.steps for r in relaxed)} steps of one batch each")

# The methyl group turns by a third: one batch per band.
first = relax(molecule("CH3CH2OH"), calculator, fmax=5e-3).atoms
methyl = next(n for n in (0, 1) if first.get_distance(n, 2) > 2.0)
hydrogens = sorted(range(3, 9), key=lambda n: first.get_distance(methyl, n))[:3]
turned = first[hydrogens]
turned.rotate(120, first.positions[1 - methyl] - first.positions[methyl], center=first.positions[methyl])
last = first.copy()
last.positions[hydrogens] = turned.positions
band = relax_band(first, last, calculator, n_images=5)
print(f"the methyl group turns over {1e3 * band.barrier:.0f} meV")

settings = MDSettings(temperature=300, time=0.05, thermostat="langevin")
with tempfile.TemporaryDirectory() as folder:
    run = run_replicas([first] * 8, calculator, settings, folder)
    ends = [list(run.frames(k))[-1].get_distance(0, 1) for k in range(8)]
print(f"C-C in eight replicas after 50 fs: {min(ends):.3f} to {max(ends):.3f} Å")
