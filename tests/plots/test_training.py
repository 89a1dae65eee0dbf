"""Figures of data, training, errors and speed: what is drawn is what was found."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from ase.units import GPa
from matplotlib.figure import Figure

from helpers import rattled, write_frames
from schnet_calc import plots
from schnet_calc.data import read_frames
from schnet_calc.data.overview import look_over
from schnet_calc.studies.bench.cases import SILICON
from schnet_calc.studies.bench.figure import draw_bench
from schnet_calc.studies.bench.run import Bench, Timing


def labels(ax):
    return ax.get_legend_handles_labels()[1]


def test_data_are_counted(tmp_path):
    path = write_frames(tmp_path / "d.xyz", rattled(molecule("CH3OH"), 30))
    found = look_over(read_frames(path))
    axes = Figure().subplots(1, 3)
    plots.draw_overview(axes, found)
    assert sum(bar.get_height() for bar in axes[0].patches) == 30
    assert labels(axes[1]) == ["H", "C", "O"]
    assert set(labels(axes[2])) == {"H-H", "H-C", "H-O", "C-O"}
    for line in axes[2].lines:
        counts, _ = found.distances[line.get_label()]
        np.testing.assert_allclose(line.get_ydata() * 30, counts)


def write_metrics(path, columns):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(columns))
        writer.writeheader()
        writer.writerows(
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        )
    return path


def test_learning_curves_show_what_was_validated(tmp_path):
    columns = {
        "step": [10, 20, 30],
        "loss": [3, 2, 1],
        "energy_mae_kcal_mol": [3.0, 2.0, 1.0],
        "force_mae_kcal_mol_ang": [9.0, 6.0, 3.0],
        "gap_mae": [0.3, 0.2, 0.1],
    }
    path = write_metrics(tmp_path / "metrics.csv", columns)
    ax = plots.draw_learning_curve(Figure().subplots(), path)
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert drawn == {
        "forces, kcal/mol/Å": columns["force_mae_kcal_mol_ang"],
        "energy, kcal/mol": columns["energy_mae_kcal_mol"],
        "gap": columns["gap_mae"],
    }
    several = plots.draw_learning_curves(Figure().subplots(), {"a": path, "b $1$": path})
    assert [list(line.get_ydata()) for line in several.lines] == [columns["force_mae_kcal_mol_ang"]] * 2
    assert labels(several)[0] == "a"


def test_errors_are_in_their_units():
    axes = Figure().subplots(1, 3)
    values = np.array([-1.0, 0.5, 2.0])
    plots.draw_errors(axes, {"energy": 1e-3 * values, "stress": values * GPa, "band_gap": values})
    assert [ax.get_xlabel() for ax in axes] == [
        "model − label: energy, meV",
        "model − label: stress component, GPa",
        "model − label: band gap",
    ]
    for ax in axes:
        edges = [bar.get_x() for bar in ax.patches if bar.get_height()]
        assert edges[0] == pytest.approx(-1, abs=0.06)
        assert edges[1] == pytest.approx(0.5, abs=0.06)


def timing(n_atoms, group, script):
    return Timing("x", group, n_atoms, 1.0 * n_atoms, script, None, 0.5 * n_atoms, None, None, 2.0)


def test_speed_is_drawn_over_atoms():
    timings = [
        timing(20, "batches", 90.0),
        timing(40, "batches", None),
        timing(64, "diamond", 200.0),
        timing(1000, SILICON, None),
    ]
    bench = Bench(timings, 10.0, 0.1, None, {}, 1, 3.0)
    axes = Figure().subplots(1, 2)
    draw_bench(axes, bench)
    assert [ax.get_title() for ax in axes] == ["batches", "diamond"]
    drawn = {line.get_label(): line for line in axes[0].lines}
    assert "SchNetPack" not in drawn
    assert drawn["script"].get_xdata().tolist() == [20]
    assert drawn["arithmetic"].get_ydata().tolist() == [10, 20]
    draw_bench(axes, replace(bench, timings=[replace(t, peer=7.0) for t in timings]))
    assert "SchNetPack" in labels(axes[1])
