"""A cheap reference, and settings of runs of seconds."""

from typing import Any

import ase
import pytest
from ase.build import molecule

TINY = {
    "beads": 1,
    "time": 0.1,
    "start": 24,
    "batch": 12,
    "budget": 60,
    "reference_steps": 20,
    "members": 2,
    "rounds": 2,
    "first_steps": 30,
    "steps_per_label": 0,
    "steps": 20,
    "features": 8,
    "check": 6,
}


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Settings of a run of seconds."""
    return dict(TINY)


@pytest.fixture
def water() -> ase.Atoms:
    """ASE's EMT knows its elements."""
    return molecule("H2O")
