"""What is said of a data set: counts by construction, units by mistakes made on purpose."""

from dataclasses import replace

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from helpers import DATA, needs_data, rattled, write_frames
from schnet_calc.data import read_frames
from schnet_calc.data.overview import look_over


def turned(atoms):
    copy = atoms.copy()
    copy.rotate(40, (1, 2, 3))
    copy.translate((3.0, -1.0, 2.0))
    return copy


def test_what_is_there(tmp_path):
    images = [*rattled(molecule("CH3OH"), 5), *rattled(molecule("H2O"), 3)]
    found = look_over(read_frames(write_frames(tmp_path / "d.xyz", images)))
    assert found.formulas == {"CH4O": 5, "H2O": 3}
    assert set(found.distances) == {"H-H", "H-C", "H-O", "C-O"}
    counts, shortest = found.distances["C-O"]
    assert counts.sum() == 5
    assert shortest == pytest.approx(min(a.get_distance(0, 1) for a in images[:5]))
    assert [len(x) for x in found.force_norms.values()] == [5 * 4 + 3 * 2, 5, 8]  # H, C, O
    assert found.duplicates == []
    assert found.slope is None  # too few to tell
    assert found.warnings == []


def test_distances_of_crystals_are_those_of_the_nearest_images(tmp_path):
    found = look_over(read_frames(write_frames(tmp_path / "d.xyz", rattled(bulk("Cu"), 1))))
    counts, shortest = found.distances["Cu-Cu"]
    assert shortest == pytest.approx(3.61 / np.sqrt(2), abs=0.01)
    assert counts[: round(2.7 / 0.05)].sum() == 6  # half of twelve neighbours


def test_copies_are_found_after_rigid_motions(tmp_path):
    images = rattled(molecule("CH3CH2OH"), 6)
    images += [turned(images[2]), images[4].copy()]
    found = look_over(read_frames(write_frames(tmp_path / "d.xyz", images)))
    assert found.duplicates == [(2, 6), (4, 7)]
    assert "2 pairs of frames are copies of each other, the first (2, 6)" in found.warnings[0]


@pytest.mark.parametrize(
    ("energy", "forces", "said"),
    [
        (1.0, 1.0, None),
        (1.0, -1.0, "gradients in place of forces"),
        (23.0605, 1.0, "energies in kcal/mol beside forces in eV/Ang"),
        (1.0, 1 / 51.4221, "energies in eV beside forces in Hartree/Bohr"),
        (1.0, -1 / 27.2114, "gradients in place of forces and energies in eV beside forces in Hartree/Ang"),
    ],
)
@pytest.mark.parametrize(
    "template", [molecule("CH3CH2OH"), bulk("Cu", cubic=True) * 2], ids=["molecule", "bulk"]
)
def test_units_that_dont_fit_are_named(tmp_path, template, energy, forces, said):
    images = rattled(template, 60)
    if not template.pbc.any():
        images = [turned(a) if k % 2 else a for k, a in enumerate(images)]
    found = look_over(read_frames(write_frames(tmp_path / "d.extxyz", images, energy, forces)))
    assert found.slope == pytest.approx(energy / forces, rel=0.1)
    if said is None:
        assert found.warnings == []
    else:
        assert len(found.warnings) == 1
        assert said in found.warnings[0]


@pytest.mark.parametrize("factor", [0.1, 1.8897])
def test_lengths_in_other_units_are_seen(tmp_path, factor):
    path = write_frames(tmp_path / "d.xyz", rattled(molecule("CH3CH2OH"), 3))
    frames = read_frames(path)
    scaled = replace(frames, positions=frames.positions * factor)
    assert "is the unit of lengths right?" in look_over(scaled).warnings[0]


def test_net_forces_are_seen(tmp_path):
    frames = read_frames(write_frames(tmp_path / "d.xyz", rattled(molecule("CH3CH2OH"), 3)))
    pushed = replace(frames, labels={**frames.labels, "forces": frames.forces + 0.5})
    assert "forces don't add up to zero" in look_over(pushed).warnings[0]


def test_isolated_atoms(tmp_path):
    found = look_over(read_frames(write_frames(tmp_path / "d.xyz", [ase.Atoms("Cu") for _ in range(2)])))
    assert found.distances == {}
    assert found.slope is None


@needs_data
@pytest.mark.parametrize("name", ["benzene"])
def test_md17_is_in_order(name):
    found = look_over(read_frames(DATA / "md17" / f"md17_{name}.npz"))
    assert found.slope == pytest.approx(1, abs=0.05)
    assert found.warnings == []
    assert found.duplicates == []
