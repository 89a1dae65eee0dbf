"""What is said of a network is true of it."""

import sys

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.io.cube import read_cube
from conftest import ethanol, skewed_silicon, write_model
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation
from test_model_file import FOREIGN, write_foreign

from schnet_calc import SchNetCalculator
from schnet_calc.cli.insight import insight
from schnet_calc.insight import (
    atom_contributions,
    attribute,
    distance_sensitivity,
    embedding_components,
    filter_curves,
    filter_cuts,
    local_chemical_potential,
    plane_points,
    potential_grid,
    potential_surface,
    ring_energies,
)
from schnet_calc.modelfile import load_potential
from schnet_calc.studies.c20 import dodecahedron


@pytest.fixture(params=["SchNet", "DTNN"])
def potential(networks, request):
    return load_potential(networks[request.param]["float64"])


@pytest.fixture
def network(potential):
    return potential.network().double()


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


def test_sensitivities_equal_finite_differences(potential, network):
    distances, h = np.array([0.9, 1.5, 2.7, 3.9, 4.2]), 1e-5
    found = distance_sensitivity(potential, ("C", "H"), distances)

    def features(r):
        pairs = torch.tensor([[0, 1], [1, 0]])
        lengths = torch.tensor([r, r], dtype=torch.float64)
        with torch.no_grad():
            return network.representation(torch.tensor([6, 1]), lengths, pairs).numpy()

    for r, lengths in zip(distances, found, strict=True):
        slope = (features(r + h) - features(r - h)) / (2 * h)
        np.testing.assert_allclose(lengths, np.linalg.norm(slope, axis=1), rtol=1e-6, atol=1e-9)
    assert (found[-1] == 0).all()  # beyond the cutoff


def test_filters_equal_the_networks_own(networks):
    potential = load_potential(networks["SchNet"]["float64"])
    network = potential.network().double()
    distances = torch.linspace(0.5, 5.0, 20, dtype=torch.float64)
    curves = filter_curves(potential, distances.numpy())
    assert curves.shape == (2, 20, 24)
    envelope = torch.where(distances < 4.0, 0.5 * (1 + torch.cos(torch.pi * distances / 4.0)), 0.0)
    for curve, own in zip(curves, network.filters, strict=True):
        expected = own(network.basis(distances)) * envelope[:, None]
        np.testing.assert_allclose(curve, expected.detach().numpy(), atol=1e-12)
    dtnn = load_potential(networks["DTNN"]["float64"])
    network = dtnn.network().double()
    expected = network.distance_factors(network.basis(distances)) * envelope[:, None]
    (curve,) = filter_curves(dtnn, distances.numpy())
    np.testing.assert_allclose(curve, expected.detach().numpy(), atol=1e-12)


def test_cuts_are_radial_and_lattice_sums_periodic(potential):
    cuts = filter_cuts(potential, extent=6.0, n_points=13)
    np.testing.assert_allclose(cuts, np.swapaxes(cuts, 2, 3), atol=1e-12)
    np.testing.assert_allclose(cuts, cuts[..., ::-1], atol=1e-12)
    row = filter_curves(potential, np.abs(np.linspace(-3, 3, 13)))
    np.testing.assert_allclose(cuts[:, :, 6, :], np.swapaxes(row, 1, 2), atol=1e-12)
    cell = np.diag([2.0, 3.0, 2.5])
    crystal = filter_cuts(potential, 6.0, 13, cell)
    np.testing.assert_allclose(crystal[..., 0, :], crystal[..., 6, :], atol=1e-9)  # 3 Å along the second
    np.testing.assert_allclose(crystal[..., 2], crystal[..., 6], atol=1e-9)  # 2 Å along the first
    images = [(a, b, c) for a in range(-5, 6) for b in range(-4, 5) for c in range(-4, 5)]
    point = plane_points(6.0, 13)[3, 4]
    brute = filter_curves(potential, np.linalg.norm(point + np.array(images) @ cell, axis=1)).sum(axis=1)
    np.testing.assert_allclose(crystal[:, :, 3, 4], brute, atol=1e-9)
    with pytest.raises(ValueError, match="two directions that span a plane"):
        filter_cuts(potential, plane=((1, 0, 0), (2, 0, 0)))
    with pytest.raises(ValueError, match="span a volume"):
        filter_cuts(potential, cell=np.zeros((3, 3)))


def test_components_keep_the_distances_of_the_embeddings(potential):
    found = embedding_components(potential)
    assert found.symbols == ["H", "C", "O", "Si"]
    vectors = potential.weights["embedding.weight"].numpy()[[1, 6, 8, 14]]
    np.testing.assert_allclose(pdist(found.values), pdist(vectors), rtol=1e-10)
    assert found.explained.sum() == pytest.approx(1.0)
    assert (np.diff(found.explained) <= 0).all()
    with pytest.raises(ValueError, match="at least two elements, this model knows 1"):
        embedding_components("c20")


@pytest.mark.parametrize("shape", [ethanol, skewed_silicon])
def test_integrated_gradients_add_up(potential, shape):
    shares = attribute(potential, shape(), tolerance=1e-7)
    assert shares.pairs.sum() == pytest.approx(shares.energy - shares.baseline, abs=1e-6)
    assert shares.atoms.sum() == pytest.approx(shares.pairs.sum(), abs=1e-9)
    assert shares.energy == pytest.approx(atom_contributions(potential, [shape()]).energies.sum(), abs=1e-6)
    apart = [ase.Atoms([z]) for z in shape().numbers]
    assert shares.baseline == pytest.approx(atom_contributions(potential, apart).energies.sum(), abs=1e-6)


def test_gradient_times_distance_is_the_trace_of_the_virial(potential):
    atoms = ethanol()
    shares = attribute(potential, atoms, "gradient")
    virial = SchNetCalculator(potential, engine="script").evaluate([atoms])[0].virial
    assert shares.pairs.sum() == pytest.approx(np.trace(virial), abs=1e-8)
    lonely = attribute(potential, ase.Atoms("C"))
    assert lonely.atoms.tolist() == [0.0]
    assert lonely.energy == lonely.baseline


def test_models_without_a_cutoff_can_be_seen_into(tmp_path):
    path = write_model(tmp_path / "all.pt", cutoff_function="none")
    shares = attribute(path, ethanol(), tolerance=1e-7)
    assert shares.pairs.sum() == pytest.approx(shares.energy - shares.baseline, abs=1e-6)
    assert np.isfinite(local_chemical_potential(path, ethanol(), np.array([[9.0, 9.0, 9.0]]))).all()
    with pytest.raises(ValueError, match="need a model with a cutoff"):
        filter_cuts(path, cell=np.eye(3))


def test_what_cannot_be_seen_is_named(potential, tmp_path):
    with pytest.raises(ValueError, match="'Fe' is asked for, but this model knows H, C, O, Si"):
        local_chemical_potential(potential, ethanol(), np.zeros((1, 3)), "Fe")
    with pytest.raises(ValueError, match="atom 0 is Fe, but this model knows"):
        local_chemical_potential(potential, ase.Atoms("Fe"), np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"points must be \(M, 3\)"):
        local_chemical_potential(potential, ethanol(), np.zeros(3))
    with pytest.raises(ValueError, match="row of positive numbers"):
        distance_sensitivity(potential, ("C", "H"), np.array([0.0, 1.0]))
    for wrong in ({"level": -1.0}, {"spacing": 0.0}):
        with pytest.raises(ValueError, match="level and spacing must be positive"):
            potential_surface(potential, ethanol(), **wrong)
    with pytest.raises(ValueError, match="no point of the grid lies within"):
        potential_surface(potential, ethanol(), level=1e9)
    mean = write_model(tmp_path / "mean.pt", pooling="mean")
    with pytest.raises(ValueError, match="predicts a mean over atoms"):
        local_chemical_potential(mean, ethanol(), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="method is one of integrated, gradient"):
        attribute(potential, ethanol(), "shap")
    foreign = write_foreign(tmp_path / "foreign.pt", FOREIGN)
    with pytest.raises(ValueError, match="holds no plain weights of a SchNet or DTNN"):
        filter_curves(foreign, np.ones(2))


def test_the_command(networks, tmp_path, capsys, monkeypatch):
    ase.io.write(tmp_path / "m.extxyz", [ethanol(), molecule("CH3CH2OH")])
    folder = tmp_path / "seen"
    model = str(networks["DTNN"]["float32"])
    insight(model, tmp_path / "m.extxyz", spacing=1.5, output=folder)
    figures = {"attribution", "contributions", "embeddings", "filter_curves", "filter_cuts", "potential"}
    assert figures | {"sensitivity"} == {p.stem for p in folder.glob("*.png")}
    with np.load(folder / "insight.npz") as arrays:
        assert arrays["contributions"].shape == (18,)
    assert (folder / "potential.cube").is_file()
    assert "0 rings of 6" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    insight(model, tmp_path / "m.extxyz", spacing=1.5, output=tmp_path / "without")
    assert "pip install" in capsys.readouterr().out
    assert (tmp_path / "without" / "attribution.png").is_file()
    monkeypatch.undo()
    ase.io.write(tmp_path / "c.extxyz", skewed_silicon())
    insight(model, tmp_path / "c.extxyz", spacing=1.5, output=tmp_path / "crystal")
    assert (tmp_path / "crystal" / "potential.png").is_file()
    assert (tmp_path / "crystal" / "lattice_cuts.png").is_file()
