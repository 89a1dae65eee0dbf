"""Databases, sums of calculators, copies: what ASE offers to every calculator works with this one."""

import pickle
import tempfile

import ase.db
from ase.build import molecule
from ase.calculators.calculator import get_calculator_class
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import SumCalculator

from schnet_calc import SchNetCalculator

atoms = molecule("CH3CH2OH")
atoms.calc = SchNetCalculator("ethanol")
energy = atoms.get_potential_energy()

# A database keeps results and what made them: the model's name and the hash of its weights.
with tempfile.TemporaryDirectory() as folder:
    database = ase.db.connect(f"{folder}/ethanol.db")
    database.write(atoms)
    row = database.get(calculator="schnet")
print(row.energy, row.calculator_parameters)
again = SchNetCalculator.fromdict(row.calculator_parameters)
assert again.evaluate([atoms])[0].energy == energy

# By name, and by pickle (for multiprocessing).
assert get_calculator_class("schnet") is SchNetCalculator
assert pickle.loads(pickle.dumps(atoms.calc)).evaluate([atoms])[0].energy == energy

# Any other calculator on top; with the package dftd3, say, dftd3.ase.DFTD3(method="PBE", damping="d3bj").
atoms.calc = SumCalculator([SchNetCalculator("ethanol"), LennardJones(epsilon=1e-3, sigma=1.2)])
print(atoms.get_potential_energy() - energy, "eV from the other calculator")
