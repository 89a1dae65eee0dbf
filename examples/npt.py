"""Silicon at constant pressure with ASE's barostat: it acts on the model's stress.

Set CI=1 for a run of a few steps.
"""

import os

import numpy as np
from ase.build import bulk
from ase.md.nose_hoover_chain import IsotropicMTKNPT
from ase.md.velocitydistribution import thermalize_momenta
from ase.units import GPa, fs

from schnet_calc import SchNetCalculator

steps = 100 if os.environ.get("CI") else 4000
atoms = bulk("Si", a=5.469, cubic=True) * 2
thermalize_momenta(atoms, temperature_K=300, rng=np.random.default_rng(0))
atoms.calc = SchNetCalculator("silicon")
dynamics = IsotropicMTKNPT(
    atoms, 2 * fs, temperature_K=300, pressure_au=1.0 * GPa, tdamp=100 * fs, pdamp=400 * fs
)
volumes, pressures = [], []


def note():
    """Volume and pressure of this step."""
    volumes.append(atoms.get_volume())
    pressures.append(-atoms.get_stress(include_ideal_gas=True)[:3].mean() / GPa)


dynamics.attach(note)
dynamics.run(steps)
settled = len(volumes) // 4
print(f"pressure {np.mean(pressures[settled:]):.2f} GPa (asked for 1)")
print(f"volume per atom {np.mean(volumes[settled:]) / len(atoms):.3f} Å³")
