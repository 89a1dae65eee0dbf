"""A crystal: cell, equation of state, elastic constants, phonons; the same as ``schnet-calc crystal``.

Set CI=1 for a smaller supercell.
"""

import os
from pathlib import Path

from ase.build import bulk

from schnet_calc import SchNetCalculator
from schnet_calc.plots import draw_phonons, new_figure, save_figure
from schnet_calc.simulate.crystal import crystal_properties

calculator = SchNetCalculator("silicon", dtype="float64")
n = 4 if os.environ.get("CI") else 16
found = crystal_properties(bulk("Si", a=5.3), calculator, supercell=(n, n, n))

constant = (4 * found.atoms.get_volume()) ** (1 / 3)
print(f"lattice constant {constant:.4f} Å (PBE: 5.469)")
print(f"bulk modulus {found.bulk_modulus:.1f} GPa (PBE: 89)")
c = found.elastic
print(f"C11 {c[0, 0]:.0f}, C12 {c[0, 1]:.0f}, C44 {c[3, 3]:.0f} GPa (PBE: 153, 57, 75)")

phonons = found.phonons
figure, axes = new_figure(5.5, 3.6)
draw_phonons(axes, phonons.distances, phonons.frequencies, phonons.corners)
save_figure(figure, Path("phonons"))
places = dict(reversed(phonons.corners))
for name in "GXL":
    print(f"phonons at {name}:", ", ".join(f"{f:.0f}" for f in phonons.frequencies[places[name]]), "cm⁻¹")
print("PBE: 505 at G; 140 (TA), 410, 458 (TO) at X; 108 (TA), 372, 410, 485 (TO) at L")
