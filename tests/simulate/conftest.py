"""What several simulations start from."""

import pytest
from ase.build import molecule

from schnet_calc import SchNetCalculator
from schnet_calc.simulate.modes import NormalModes, normal_modes
from schnet_calc.simulate.relax import relax


@pytest.fixture(scope="session")
def ethanol_modes() -> NormalModes:
    """Normal modes of the shipped ethanol."""
    calculator = SchNetCalculator("ethanol", dtype="float64")
    return normal_modes(relax(molecule("CH3CH2OH"), calculator, 1e-4).atoms, calculator)
