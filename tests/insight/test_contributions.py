"""Energies of atoms and rings."""

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from helpers import ethanol, skewed_silicon
from schnet_calc import SchNetCalculator
from schnet_calc.insight import (
    atom_contributions,
    ring_energies,
)
from schnet_calc.studies.c20 import dodecahedron


def test_contributions_add_up_to_the_energy(potential):
    structures = [ethanol(), skewed_silicon(), ase.Atoms("H")]
    found = atom_contributions(potential, structures)
    expected = [p.energy for p in SchNetCalculator(potential).evaluate(structures)]
    np.testing.assert_allclose(found.totals, expected, atol=1e-6)
    assert {k: len(e) for k, e in found.by_element().items()} == {"H": 7, "C": 2, "O": 1, "Si": 2}
    assert abs(found.energies).max() < 100  # without references, which are a thousand times as large


def test_rings_of_known_molecules(models):
    benzene = ring_energies(models["float64"], molecule("C6H6"))
    assert sorted(benzene.members[0]) == list(range(6))
    energies = atom_contributions(models["float64"], [molecule("C6H6")]).energies
    assert benzene.energies == pytest.approx([energies[:6].sum()])
    assert ring_energies("c20", dodecahedron(), 5).members.shape == (12, 5)
    assert ring_energies("c20", dodecahedron(), 6).members.shape == (0, 6)
    assert not len(ring_energies(models["float64"], molecule("C6H6"), symbol="O").members)
    with pytest.raises(ValueError, match="at least three atoms, got size = 2"):
        ring_energies(models["float64"], molecule("C6H6"), 2)
    with pytest.raises(ValueError, match="this structure is periodic"):
        ring_energies(models["float64"], bulk("Si"))
