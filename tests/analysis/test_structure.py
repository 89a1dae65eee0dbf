"""Bonds, groups and distributions of known structures."""

import numpy as np
import pytest
from ase.build import molecule

from schnet_calc.analysis import (
    bonds,
    clusters,
    diameters,
    distribution,
    nearest_neighbors,
    pair_distances,
    radial_distribution,
    shells,
)
from schnet_calc.analysis.molecules import bond_distributions
from schnet_calc.report.molecule import bond_classes
from schnet_calc.studies.c20 import dodecahedron


def test_dodecahedron_analysis():
    atoms = dodecahedron(1.45)
    pairs, lengths = bonds(atoms, 1.75)
    assert pairs.shape == (30, 2)
    np.testing.assert_allclose(lengths, 1.45)
    (shell,) = shells(atoms)
    assert len(shell.members) == 20
    distances = pair_distances([atoms] * 10)
    np.testing.assert_allclose(nearest_neighbors(distances, 20), 1.45)
    np.testing.assert_allclose(diameters(distances), 2 * shell.mean)


def test_clusters():
    groups = clusters(np.array([1.5, 1.40, 1.41, 1.2]), 0.05)
    assert [g.members.tolist() for g in groups] == [[3], [1, 2], [0]]
    assert clusters(np.array([]), 0.1) == []


def test_distribution_is_normalised_with_honest_errors():
    values = np.random.default_rng(0).normal(1.5, 0.1, (4000, 1))
    result = distribution(values, 1.0, 2.0, bins=50)
    assert (result.density * 0.02).sum() == pytest.approx(1.0)
    assert abs(result.mean - 1.5) < 4 * result.mean_error
    assert result.mean_error == pytest.approx(0.1 / np.sqrt(4000), rel=1.0)
    with pytest.raises(ValueError, match="3 frames are too few for 5 blocks"):
        distribution(values[:3], 1, 2)


def test_radial_distribution_counts_neighbours():
    distances = pair_distances([dodecahedron()] * 5)
    radial = radial_distribution(distances, 20, 5.0, bins=500)
    shells = 4 / 3 * np.pi * np.diff(np.linspace(0, 5.0, 501) ** 3)
    assert (shells * radial.density).sum() == pytest.approx(19)


def test_a_range_that_cuts_neighbours_off_counts_those_inside():
    """C20 has 3 + 6 + 6 + 3 + 1 neighbours; within 3 Å there are nine."""
    distances = pair_distances([dodecahedron()] * 5)
    radial = radial_distribution(distances, 20, 3.0, bins=300)
    shells = 4 / 3 * np.pi * np.diff(np.linspace(0, 3.0, 301) ** 3)
    assert (shells * radial.density).sum() == pytest.approx(9)
    values = np.random.default_rng(0).uniform(0.0, 2.0, (400, 3))
    assert distribution(values, 0.0, 1.0, bins=10).density.mean() == pytest.approx(0.5, abs=0.03)


def test_distributions_of_known_distances():
    atoms = molecule("H2O")
    pairs = bond_classes(atoms).pairs
    frames = [atoms] * 10
    found = bond_distributions([frames, frames], pairs)
    assert list(found.bonds) == ["H-O"]
    assert found.bonds["H-O"].mean == pytest.approx(atoms.get_distance(0, 1))
    with pytest.raises(ValueError, match="this molecule has none"):
        bond_distributions([frames], pairs[:0])


def test_bonds_of_other_elements_have_a_distribution_of_their_own():
    atoms = molecule("H2CO")
    found = bond_distributions([[atoms] * 10], bond_classes(atoms).pairs)
    assert list(found.bonds) == ["C-H", "C-O"]
    assert found.bonds["C-O"].mean == pytest.approx(atoms.get_distance(0, 1), abs=1e-3)
    assert found.bonds["C-H"].mean == pytest.approx(atoms.get_distance(1, 2), abs=1e-3)
