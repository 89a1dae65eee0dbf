"""What a model of rattled ethanol has seen."""

import pytest
from ase.build import molecule

from helpers import rattled
from schnet_calc.guard.domain import Domain
from schnet_calc.structures.structure import Structure


@pytest.fixture(scope="session")
def domain() -> Domain:
    """Of twenty frames."""
    return Domain.of(Structure.from_atoms(a) for a in rattled(molecule("CH3CH2OH"), 20))
