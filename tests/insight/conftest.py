"""Networks to look into."""

from pathlib import Path

import pytest

from schnet_calc.modelfile import Potential, load_potential
from schnet_calc.nn import Network


@pytest.fixture(params=["SchNet", "DTNN"])
def potential(networks: dict[str, dict[str, Path]], request: pytest.FixtureRequest) -> Potential:
    """Every network."""
    return load_potential(networks[request.param]["float64"])


@pytest.fixture
def network(potential: Potential) -> Network:
    """Its module."""
    return potential.network().double()
