"""Alchemical paths between molecules."""

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule

from helpers import ethanol
from schnet_calc import SchNetCalculator
from schnet_calc.insight import alchemical_path
from schnet_calc.modelfile import load_potential


@pytest.fixture
def schnet(networks):
    return load_potential(networks["SchNet"]["float64"])


def energy(schnet, atoms):
    return SchNetCalculator(schnet, dtype="float64").evaluate([atoms])[0].energy


def test_a_path_begins_and_ends_at_the_molecules(schnet):
    start, end = ethanol(), ethanol()
    end.numbers[end.numbers == 8] = 6  # an element changes,
    end.rattle(0.05, seed=1)  # atoms move,
    end.numbers[-1] = 0  # and one fades
    path = alchemical_path(schnet, [start, end, start], points=4)
    assert path.shape == (9,)
    rest = end[end.numbers > 0]
    expected = [energy(schnet, a) for a in (start, rest, start)]
    np.testing.assert_allclose(path[::4], expected, atol=1e-6)
    np.testing.assert_allclose(path[1:4], path[-2:-5:-1], atol=1e-9)  # the way back is the way


def test_the_middle_is_no_average(schnet):
    start, end = ethanol(), ethanol()
    end.numbers[end.numbers == 8] = 6
    path = alchemical_path(schnet, [start, end], points=2)
    assert abs(path[1] - 0.5 * (path[0] + path[2])) > 1e-4


def test_what_is_no_path_is_named(schnet):
    water = molecule("H2O")
    for stages, said in (
        ([water], "two stages and one step at least, got 1 and 20"),
        ([water, ethanol()], "got 3 and 9"),
        ([bulk("Si"), bulk("Si")], "a stage is periodic"),
        ([water, ase.Atoms("AuH2", water.positions)], "'Au' is asked for"),
    ):
        with pytest.raises(ValueError, match=said):
            alchemical_path(schnet, stages)


def test_an_absent_atom_says_nothing(schnet):
    water = molecule("H2O")
    ghost = ase.Atoms("OH2X", [*water.positions, [0.0, 1.0, 0.5]])
    path = alchemical_path(schnet, [ghost, ghost], 2)
    np.testing.assert_allclose(path, energy(schnet, water), atol=1e-6)


def test_only_a_schnet_fades_atoms(networks):
    water = molecule("H2O")
    with pytest.raises(ValueError, match=r"looks into a SchNet, but .* is a DTNN"):
        alchemical_path(load_potential(networks["DTNN"]["float64"]), [water, water])
