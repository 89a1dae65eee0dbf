"""Figures of simulations: what is drawn is what was found."""

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from matplotlib.figure import Figure

from helpers import ethanol
from schnet_calc import plots
from schnet_calc.analysis import Distribution, bonds, clusters, distribution
from schnet_calc.studies.c20 import dodecahedron


def axes(count=1, **options):
    return Figure().subplots(1, count, **options)


def labels(ax):
    return ax.get_legend_handles_labels()[1]


def test_files_come_in_two_kinds(tmp_path):
    figure, ax = plots.new_figure(3, 2)
    ax.plot([1, 2], [3, 4])
    paths = plots.save_figure(figure, tmp_path / "new" / "a.b")
    assert [p.name for p in paths] == ["a.b.png", "a.b.svg"]
    assert paths[0].read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in paths[1].read_text()
    assert len({plots.class_color(k) for k in range(25)}) == 25


def test_a_relaxation_is_drawn_above_its_end():
    ax = plots.draw_relaxation(axes(), np.array([-1.0, -2.0, -2.5, -2.6]))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1.6, 0.6, 0.1])
    assert ax.get_yscale() == "log"
    assert len(plots.draw_relaxation(axes(), np.array([-1.0])).lines[0].get_ydata()) == 1


def test_a_band_goes_through_its_images():
    images = []
    for k in range(4):
        atoms = molecule("CO")
        atoms.positions[1, 2] += 0.1 * k
        atoms.calc = SinglePointCalculator(atoms, energy=float(k * (3 - k)), forces=np.zeros((2, 3)))
        images.append(atoms)
    curve, points = plots.draw_band(axes(), images).lines
    np.testing.assert_allclose(points.get_ydata(), [0, 2, 2, 0], atol=1e-12)
    assert len(curve.get_xdata()) > 50


def test_a_spectrum_has_a_stick_for_every_mode():
    own, known = np.array([-50.0, 300.0, 1200.0]), np.array([310.0, 1190.0])
    ax = plots.draw_spectrum(axes(), own, known, name="model", clickable=True)
    up, down = (c for c in ax.collections if hasattr(c, "get_segments"))
    assert [tuple(s.ravel()) for s in up.get_segments()] == [(x, 0, x, 1) for x in own]
    assert [tuple(s.ravel()) for s in down.get_segments()] == [(x, 0, x, -1) for x in known]
    gids = [line.get_gid() for line in ax.lines if line.get_gid()]
    assert gids == ["stick-0", "stick-1", "stick-2"]
    assert labels(ax) == ["model", "reference"]
    low, high = ax.get_xlim()
    assert low < -50
    assert high > 1200
    curve = ax.lines[0]
    peak = curve.get_xdata()[np.argmax(curve.get_ydata())]
    assert np.abs(own - peak).min() < 2
    assert labels(plots.draw_spectrum(axes(), own)) == ["SchNet"]
    assert plots.draw_spectrum(axes(), own).get_legend() is None


def test_errors_of_frequencies_are_percentages():
    ax = plots.draw_frequency_errors(axes(), np.array([99.0, 505.0, 3.0]), [100.0, 500.0, 0.0])
    points = ax.lines[-1]
    np.testing.assert_allclose(points.get_xdata(), [100, 500])  # no percentages of nothing
    np.testing.assert_allclose(points.get_ydata(), [-1, 1])


def test_a_mode_far_off_leaves_room_for_the_others():
    reference = np.linspace(300.0, 1500.0, 10)
    found = reference * 1.005
    found[0] *= 0.6
    ax = plots.draw_frequency_errors(axes(), found, reference)
    assert ax.get_ylim()[0] > -3
    assert [text.get_text() for text in ax.texts] == ["-40 %"]
    assert len(ax.lines[-1].get_xdata()) == 9


def test_infrared_lines_have_their_intensities():
    frequencies, intensities = np.array([-20.0, 1000.0, 1700.0]), np.array([5.0, 30.0, 90.0])
    measured = np.array([[1010.0, 0.5], [1720.0, 1.0]])
    ax = plots.draw_infrared(axes(), frequencies, intensities, 10.0, measured)
    model, below = (c for c in ax.collections if hasattr(c, "get_segments"))
    assert [s[1].tolist() for s in model.get_segments()] == [[1000, 30], [1700, 90]]
    curve = ax.lines[0]
    assert curve.get_ydata().max() == pytest.approx(90, rel=0.01)
    heights = [s[1][1] for s in below.get_segments()]
    np.testing.assert_allclose(heights, [-0.5 * curve.get_ydata().max(), -curve.get_ydata().max()])
    assert labels(ax) == ["model", "experiment"]


def test_a_distribution_has_a_band_of_two_errors():
    values = np.random.default_rng(0).normal(1.5, 0.1, (400, 3))
    found = distribution(values, 1.0, 2.0, bins=40)
    assert isinstance(found, Distribution)
    ax = plots.draw_distribution(axes(), found, "bonds", xlabel="length, Å")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), found.density)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), found.centers)
    (band,) = ax.collections
    vertices = band.get_paths()[0].vertices
    assert vertices[:, 1].max() == pytest.approx((found.density + 2 * found.error).max())
    assert (ax.get_xlabel(), labels(ax)) == ("length, Å", ["bonds"])


@pytest.mark.parametrize("of_i_pi", [False, True])
def test_energies_start_at_zero(of_i_pi):
    time = np.linspace(0, 1, 5)
    columns = {"time": time, "potential": time - 3, "conserved": 0 * time - 2, "temperature": 300 + time}
    both = axes(2)
    if of_i_pi:
        plots.draw_pimd(both, columns)
    else:
        names = {"time": "time_ps", "potential": "potential_ev", "conserved": "total_ev"}
        table = {names.get(k, "temperature_k"): x for k, x in columns.items()}
        plots.draw_energy_and_temperature(both, table)
    potential, total = both[0].lines
    np.testing.assert_allclose(potential.get_ydata(), time)
    np.testing.assert_allclose(total.get_ydata(), 0)
    assert labels(both[0]) == ["potential", "conserved" if of_i_pi else "total"]
    np.testing.assert_allclose(both[1].lines[0].get_ydata(), 300 + time)


def test_long_series_are_pictures():
    """An SVG of a million points would be of no use."""
    for count, rasterized in ((100, False), (5000, True)):
        both, time = axes(2), np.arange(float(count))
        table = dict.fromkeys(("time_ps", "potential_ev", "total_ev", "temperature_k"), time)
        plots.draw_energy_and_temperature(both, table)
        assert [line.get_rasterized() for ax in both for line in ax.lines] == [rasterized] * 3


def test_a_cage_shows_all_bonds_by_class():
    atoms = dodecahedron(1.45)
    pairs, lengths = bonds(atoms, 1.75)
    classes = clusters(lengths, 0.05)
    ax = plots.draw_cage(axes(), atoms, pairs, lengths, classes)
    assert sum(len(line.get_xdata()) == 2 for line in ax.lines) == 30
    assert labels(ax) == ["1.450 Å  (30)"]
    assert len(ax.collections[0].get_offsets()) == 20
    assert {text.get_text() for text in ax.texts} == {"1.450"}
    silent = plots.draw_cage(axes(), atoms, pairs, lengths, classes, labels=False, names=["C-C"])
    assert not silent.texts
    assert labels(silent) == ["C-C"]


def test_the_flat_side_is_no_mirror_image():
    for atoms in (molecule("C6H6"), ethanol()):
        basis = plots.flat_side(atoms)
        np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(basis) == pytest.approx(1)
    np.testing.assert_allclose(plots.flat_side(molecule("C6H6"))[2], [0, 0, 1], atol=1e-9)


def test_a_frame_has_atoms_bonds_and_arrows():
    atoms, forces = ethanol(), np.zeros((9, 3))
    forces[2] = (0, 3, 4)
    ax = plots.draw_frame(axes(subplot_kw={"projection": "3d"}), atoms, forces)
    assert len(ax.lines) == 8
    assert ax.get_title() == "C2H6O, longest arrow 5.00 eV/Å"
    dots, arrows = ax.collections
    assert len(dots.get_offsets()) == 9
    shafts = [np.linalg.norm(s[1] - s[0]) for s in arrows._segments3d if len(s) == 2]
    assert max(shafts) == pytest.approx(1.5)
