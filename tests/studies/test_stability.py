"""The check of a model on physics."""

import ase
from ase.build import molecule

from helpers import ethanol, write_model
from schnet_calc.analysis import covalent_bonds
from schnet_calc.studies.stability import Stability, check_stability


def test_a_shipped_molecule_is_stable(tmp_path):
    found = check_stability(molecule("CH3CH2OH"), "ethanol", tmp_path / "md", time=0.5, device="cpu")
    assert found.passed, found
    assert found.lowest_frequency > 100
    assert 1.0 < found.longest_stretch < 1.4


def test_a_molecule_that_flies_apart_fails(tmp_path):
    model = write_model(tmp_path / "m.pt")
    found = check_stability(ethanol(), model, tmp_path / "md", time=0.2, temperature=30_000, device="cpu")
    assert found.longest_stretch > 1.6
    assert not found.passed


def test_bonds_are_those_of_the_formula():
    bonds = covalent_bonds(molecule("CH3CH2OH"))
    assert len(bonds) == 8
    assert len(covalent_bonds(ase.Atoms("H2", [[0, 0, 0], [0, 0, 3]]))) == 0
    assert not Stability(True, 0, 10.0, 1.7, 1.0).passed
    assert not Stability(True, 1, -10.0, 1.1, 1.0).passed
