"""The local chemical potential: what a probe atom feels."""

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.io.cube import read_cube
from scipy.spatial.transform import Rotation

from helpers import ethanol, skewed_silicon, write_model
from schnet_calc.insight import (
    atom_contributions,
    local_chemical_potential,
    potential_grid,
    potential_surface,
)
from schnet_calc.model import Model


def test_a_probe_feels_the_structure_and_leaves_it_alone(potential, network):
    """By hand: features of the atoms as without the probe, and messages to the probe only."""
    atoms, points = ethanol(), np.array([[0.5, 0.2, 1.5], [2.0, -1.0, 0.3], [80.0, 0.0, 0.0]])
    found = local_chemical_potential(potential, atoms, points, "C")
    n = len(atoms)
    for point, energy in zip(points, found, strict=True):
        places = np.vstack([atoms.positions, point])
        i, j = np.array([(a, b) for a in range(n + 1) for b in range(n) if a != b]).T
        distances = np.linalg.norm(places[i] - places[j], axis=1)
        near = distances < potential.cutoff
        arrays = (np.append(atoms.numbers, 6), distances[near], np.stack((i, j))[:, near])
        numbers, lengths, pairs = (torch.from_numpy(x) for x in arrays)
        with torch.no_grad():
            expected = network.energies(numbers, lengths, pairs, torch.zeros(n + 1, dtype=torch.int64))
        assert energy == pytest.approx(float(expected[-1]), abs=1e-10)
    alone = atom_contributions(potential, [ase.Atoms("C")]).energies[0]
    assert found[-1] == pytest.approx(alone, abs=1e-10)


def test_the_probe_potential_has_the_symmetry_of_the_molecule(potential, monkeypatch):
    atoms = molecule("C6H6")
    points = np.random.default_rng(0).uniform(-3, 3, (20, 3))
    found = local_chemical_potential(potential, atoms, points, "H")
    assert np.ptp(found) > 1e-2
    turn = Rotation.from_euler("z", 60, degrees=True).as_matrix()
    for image in (points @ turn.T, points * (1, 1, -1), points * (-1, 1, 1)):
        np.testing.assert_allclose(local_chemical_potential(potential, atoms, image, "H"), found, atol=1e-4)
    monkeypatch.setattr("schnet_calc.insight.probe.CHUNK", 30)
    np.testing.assert_allclose(local_chemical_potential(potential, atoms, points, "H"), found, atol=1e-12)


def test_the_probe_potential_of_a_crystal_is_periodic(potential):
    atoms = skewed_silicon()
    points = np.random.default_rng(0).uniform(-3, 3, (10, 3))
    found = local_chemical_potential(potential, atoms, points, "Si")
    moved = points + np.array([2, -3, 1]) @ atoms.cell.array
    np.testing.assert_allclose(local_chemical_potential(potential, atoms, moved, "Si"), found, atol=1e-9)
    larger = local_chemical_potential(potential, atoms * (2, 1, 2), points, "Si")
    np.testing.assert_allclose(larger, found, atol=1e-9)


def test_means_over_atoms_do_not_count_probes(tmp_path):
    points = np.random.default_rng(0).uniform(-3, 3, (10, 3))
    found = [
        local_chemical_potential(write_model(tmp_path / f"{p}.pt", pooling=p), ethanol(), points)
        for p in ("sum", "mean")
    ]
    np.testing.assert_allclose(found[1], found[0], atol=1e-9)
    assert np.ptp(found[0]) > 1e-3


def test_a_model_without_energies_gives_its_number(tmp_path):
    path = write_model(tmp_path / "head.pt", energy=False, heads={"formation_energy": "mean"})
    atoms = skewed_silicon()
    points = np.random.default_rng(0).uniform(-3, 3, (10, 3))
    found = local_chemical_potential(path, atoms, points, "Si")
    assert np.ptp(found) > 1e-3
    moved = points + np.array([2, -3, 1]) @ atoms.cell.array
    np.testing.assert_allclose(local_chemical_potential(path, atoms, moved, "Si"), found, atol=1e-9)
    alone = Model(path).evaluate([ase.Atoms("C")], ["formation_energy"])[0].outputs["formation_energy"]
    far = local_chemical_potential(path, ethanol(), np.array([[80.0, 0.0, 0.0]]), "C")
    assert far[0] == pytest.approx(float(np.ravel(alone)[0]), abs=1e-5)


def test_grids_and_cube_files(potential, tmp_path):
    for atoms in (ethanol(), bulk("Si", cubic=True)):
        probe = atoms.symbols[-1]
        grid = potential_grid(potential, atoms, probe, spacing=1.3, margin=1.0)
        index = tuple(n // 2 for n in grid.values.shape)
        at = local_chemical_potential(potential, atoms, grid.points[index][None], probe)
        assert grid.values[index] == pytest.approx(at[0], abs=1e-10)
        grid.write(tmp_path / "potential.cube")
        with (tmp_path / "potential.cube").open() as stream:
            read = read_cube(stream)
        np.testing.assert_allclose(read["data"], grid.values, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(read["origin"], grid.origin, atol=1e-4)
        np.testing.assert_allclose(read["atoms"].positions, atoms.positions, atol=1e-4)
        edges = grid.axes * np.array(grid.values.shape)[:, None]
        np.testing.assert_allclose(read["atoms"].cell.array, edges, atol=1e-3)
    np.testing.assert_allclose(read["atoms"].cell.array, atoms.cell.array, atol=1e-3)
    atoms.pbc = (True, False, True)
    with pytest.raises(ValueError, match="for molecules and for crystals"):
        potential_grid(potential, atoms, "Si")


def test_the_surface_is_where_it_says(potential):
    atoms = ethanol()
    surface = potential_surface(potential, atoms, "O", level=3.7, spacing=0.15)
    square = ((surface.vertices[:, None] - atoms.positions) ** 2).sum(axis=2)
    np.testing.assert_allclose((1 / square).sum(axis=1), 3.7, rtol=0.03)
    few = local_chemical_potential(potential, atoms, surface.vertices[:5], "O")
    np.testing.assert_allclose(surface.values[:5], few)
    edges = np.sort(surface.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # closed
