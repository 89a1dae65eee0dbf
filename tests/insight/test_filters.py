"""Filters, sensitivities and embeddings."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from schnet_calc.insight import (
    distance_sensitivity,
    embedding_components,
    filter_curves,
    filter_cuts,
    plane_points,
)
from schnet_calc.modelfile import load_potential


def test_sensitivities_equal_finite_differences(potential, network):
    distances, h = np.array([0.9, 1.5, 2.7, 3.9, 4.2]), 1e-5
    found = distance_sensitivity(potential, ("C", "H"), distances)

    def features(r):
        pairs = torch.tensor([[0, 1], [1, 0]])
        lengths = torch.tensor([r, r], dtype=torch.float64)
        with torch.no_grad():
            return network.at_distances(torch.tensor([6, 1]), lengths, pairs).numpy()

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
    with pytest.raises(ValueError, match="at least two elements, got 1"):
        embedding_components("c20")
