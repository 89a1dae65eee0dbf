"""Harmonic modes, intensities and what follows from them."""

from functools import cache
from tempfile import TemporaryDirectory

import numpy as np
from ase import units
from ase.vibrations import Vibrations

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.fullerene import dodecahedron
from schnet_calc.simulate.modes import normal_modes
from schnet_calc.simulate.relax import relax
from verification import row


@cache
def _c20():
    calculator = SchNetCalculator("c20", device="cpu", dtype="float64")
    start = dodecahedron()
    start.rattle(0.05, seed=0)
    atoms = relax(start, calculator, fmax=1e-5, steps=2000).atoms
    modes = normal_modes(atoms, calculator)
    atoms.calc = calculator
    with TemporaryDirectory() as folder:
        vibrations = Vibrations(atoms, delta=1e-3, name=f"{folder}/vib", nfree=4)
        vibrations.run()
        return modes, np.real(vibrations.get_frequencies()[6:])


@row("Modes", "frequencies of C20", "ASE, differences of forces", tolerance=0.3, unit="cm⁻¹", slow=True)
def frequencies():
    modes, theirs = _c20()
    return modes.frequencies, theirs


@row(
    "Modes", "zero-point energy of C20", "ASE, differences of forces", tolerance=1e-4, unit="eV", slow=True
)
def zero_point_energy():
    modes, theirs = _c20()
    return modes.zero_point_energy, 0.5 * theirs.sum() * units.invcm
