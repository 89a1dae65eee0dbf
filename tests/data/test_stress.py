"""Stresses as labels, in every convention."""

import ase
import ase.io
import numpy as np
import pytest
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator

from helpers import strained_copper
from schnet_calc.data import read_frames


@pytest.fixture(scope="module")
def images():
    return strained_copper()


@pytest.fixture(scope="module")
def data(images, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "copper.extxyz"
    ase.io.write(path, images)
    return path


def test_conventions_mean_the_same(images, tmp_path):
    expected = [a.get_stress(voigt=False) * a.get_volume() for a in images[1:]]
    for atoms in images[1:]:
        voigt = atoms.get_stress()
        atoms.info["kbar"] = -voigt[[0, 1, 2, 5, 3, 4]] / (0.1 * units.GPa)
        atoms.info["virial"] = -atoms.get_stress(voigt=False) * atoms.get_volume()
        atoms.info["gpa"] = voigt / units.GPa
    path = tmp_path / "all.extxyz"
    ase.io.write(path, images)
    for key, convention, unit in (
        ("stress", "ase", None),
        ("gpa", "ase", "GPa"),
        ("kbar", "vasp", None),
        ("virial", "virial", None),
    ):
        frames = read_frames(path, stress_key=key, stress_convention=convention, stress_unit=unit)
        assert np.isnan(frames.virials[0]).all()
        np.testing.assert_allclose(frames.virials[1:], expected, atol=1e-6)
        assert np.isnan(frames.select(np.array([3, 0])).virials[1]).all()
    assert read_frames(path).virials is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stress_key": "pressure"}, "no frame has 'pressure'"),
        ({"stress_key": "stress", "stress_convention": "castep"}, "stress_convention is one of"),
        ({"stress_key": "stress", "stress_unit": "psi"}, "stress_unit .* is one of .* got 'psi'"),
        ({"stress_key": "energy"}, "1 numbers are no stress"),
        (
            {"stress_key": "stress", "stress_convention": "virial", "stress_unit": "GPa"},
            "is one of eV, got",
        ),
    ],
)
def test_wrong_labels_are_named(data, options, message):
    with pytest.raises(ValueError, match=message):
        read_frames(data, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_damaged_stress_is_no_missing_one(images, tmp_path, value):
    atoms = images[1].copy()
    atoms.info["s"] = np.array([value, 0, 0, 0, 0, 0])
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((2, 3)))
    ase.io.write(tmp_path / "s.extxyz", atoms)
    with pytest.raises(ValueError, match="frame 0: s: a stress that is not finite"):
        read_frames(tmp_path / "s.extxyz", stress_key="s")


def test_stress_of_a_molecule_is_no_label(tmp_path):
    atoms = ase.Atoms("CO", [(0, 0, 0), (0, 0, 1.1)])
    atoms.info["s"] = np.zeros(6)
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((2, 3)))
    ase.io.write(tmp_path / "co.extxyz", atoms)
    with pytest.raises(ValueError, match="a stress needs periodicity"):
        read_frames(tmp_path / "co.extxyz", stress_key="s")
