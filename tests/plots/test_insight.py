"""Figures of what a network has learned: what is drawn is what was found."""

import numpy as np
import pytest
from ase.build import molecule
from ase.data import atomic_numbers
from matplotlib.figure import Figure

from helpers import ethanol
from schnet_calc import plots
from schnet_calc.insight import (
    Attribution,
    Components,
    Contributions,
    Surface,
    atom_contributions,
    attribute,
    embedding_components,
    main_group,
    ring_energies,
)


@pytest.fixture
def axes():
    return Figure().subplots()


def images(ax):
    return [np.asarray(image.get_array()) for image in ax.images]


@pytest.mark.parametrize("copies", [1, 40])
def test_contributions_by_element(models, axes, copies):
    found = atom_contributions(models["float64"], [ethanol()] * copies)
    assert isinstance(found, Contributions)
    plots.draw_contributions(axes, found)
    assert [t.get_text() for t in axes.get_yticklabels()] == list(reversed(found.by_element()))
    said = [text.get_text() for text in axes.texts]
    for energies in found.by_element().values():
        assert f"{energies.mean():.2f} ± {energies.std():.2f} eV" in said
    dots = sum(len(line.get_xdata()) for line in axes.lines)
    assert dots == (9 if copies == 1 else 0)
    assert len(axes.patches) == (0 if copies == 1 else 3)


def test_rings_are_filled(models, axes):
    atoms = molecule("C6H6")
    found = ring_energies(models["float64"], atoms)
    plots.draw_rings(axes, atoms, found)
    polygons = axes.collections[0]
    assert len(polygons.get_paths()) == 1
    assert len(axes.collections[-1].get_offsets()) == 12
    assert len(axes.lines) == 12
    assert axes.figure.axes[1].get_ylabel() == "energy of the ring, eV"


def test_a_surface_has_its_triangles():
    atoms = molecule("H2O")
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    faces = np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])
    surface = Surface(vertices, faces, np.array([1.0, 2.0, 3.0, 4.0]))
    ax = plots.draw_surface(Figure().add_subplot(projection="3d"), surface, atoms, "eV")
    assert len(ax.collections[0].get_facecolor()) == 4
    assert ax.figure.axes[1].get_ylabel() == "eV"


def test_cuts_are_pictures(axes):
    values = np.arange(64.0).reshape(8, 8)
    plots.draw_cut(axes, values, 6.0, "eV")
    np.testing.assert_array_equal(images(axes)[0], values)
    assert axes.images[0].get_extent() == [-3, 3, -3, 3]
    filters = Figure().subplots()
    plots.draw_filter_cuts(filters, np.stack([values, -2 * values, 0 * values]), 6.0)
    (canvas,) = images(filters)
    np.testing.assert_allclose(canvas[:8, :8], values / 63)
    np.testing.assert_allclose(canvas[:8, 9:17], -values / 63)
    np.testing.assert_allclose(canvas[9:17, :8], 0)
    assert filters.get_title() == "3 filters, 6 Å × 6 Å each"


def test_curves_over_the_distance(axes):
    distances = np.linspace(1, 5, 9)
    curves = np.outer(distances, [1.0, -2.0])
    plots.draw_filter_curves(axes, distances, curves)
    for k in range(2):
        np.testing.assert_array_equal(axes.lines[k].get_ydata(), curves[:, k])
    answers = Figure().subplots()
    plots.draw_sensitivity(answers, distances, {"C-H": np.abs(curves) + 1, "C-C": np.abs(curves) + 2})
    assert answers.get_legend_handles_labels()[1] == ["C of C-H", "H of C-H", "C-C"]
    np.testing.assert_array_equal(answers.lines[1].get_ydata(), np.abs(curves[:, 1]) + 1)


def test_elements_are_where_their_components_are(models, axes):
    found = embedding_components(models["float64"])
    assert isinstance(found, Components)
    plots.draw_embeddings(axes, found)
    np.testing.assert_allclose(axes.collections[0].get_offsets(), found.values[:, :2])
    assert [text.get_text() for text in axes.texts] == found.symbols
    assert f"{100 * found.explained[0]:.0f} %" in axes.get_xlabel()


def test_shares_of_pairs_and_atoms(models, axes):
    atoms = ethanol()
    found = attribute(models["float64"], atoms, "gradient")
    assert isinstance(found, Attribution)
    plots.draw_attribution(axes, atoms, found)
    assert len(axes.lines) == len(found.pairs)
    widths = np.array([line.get_linewidth() for line in axes.lines])
    shares = np.sort(np.abs(found.pairs)) / np.abs(found.pairs).max()
    np.testing.assert_allclose(widths, 0.5 + 6 * shares)
    np.testing.assert_allclose(axes.collections[0].get_array(), found.atoms)
    assert [text.get_text() for text in axes.texts] == list(atoms.symbols)


def test_embeddings_of_chosen_elements_are_coloured_by_group():
    symbols = ["Li", "Na", "K", "F", "Cl"]
    found = embedding_components("materials", symbols)
    assert found.symbols == symbols
    assert found.explained.sum() == pytest.approx(1.0)
    groups = [main_group(atomic_numbers[s]) for s in symbols]
    assert groups == [1, 1, 1, 17, 17]
    assert [main_group(z) for z in (1, 2, 4, 5, 21, 30, 31, 57, 86)] == [1, 18, 2, 13, 0, 0, 13, 0, 18]
    _, axes = plots.new_figure(4, 4)
    plots.draw_embeddings(axes, found, groups)
    assert [text.get_text() for text in axes.get_legend().texts] == ["group 1", "group 17"]
    with pytest.raises(ValueError, match="'Po' is asked for"):
        embedding_components("materials", ["Li", "Po"])
