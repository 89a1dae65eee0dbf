"""Labels that are there or not, under any key and in any unit."""

import ase.io
import numpy as np
import pytest
from ase import units
from ase.build import molecule

from helpers import DATA, needs_data
from schnet_calc.data import Labels, read_frames, scalar
from schnet_calc.data.checks import label_warnings
from schnet_calc.errors import DataError
from schnet_calc.reductions import REDUCTIONS
from schnet_calc.training.atomic_energies import predict_mean


@pytest.fixture
def mixed(tmp_path):
    """Energies in even frames, forces in odd ones, a gap in Hartree in all, dipoles in Debye in three."""
    rng, frames = np.random.default_rng(0), []
    for k in range(10):
        atoms = molecule("H2O" if k < 5 else "CH4")
        if k % 2 == 0:
            atoms.info["E"] = float(len(atoms)) + 0.01 * k
        else:
            atoms.arrays["F"] = rng.normal(size=(len(atoms), 3))
        atoms.info["homo_lumo"] = 0.3 + 0.01 * k
        if k < 3:
            atoms.info["mu"] = np.array([0.0, 0.0, 1.0])
        frames.append(atoms)
    ase.io.write(tmp_path / "mixed.extxyz", frames)
    return tmp_path / "mixed.extxyz"


LABELS = Labels(
    energy_key="E",
    forces_key="F",
    dipole_key="mu",
    dipole_unit="Debye",
    scalars=("gap=homo_lumo:Hartree:mean",),
)


def test_each_label_where_it_is(mixed):
    frames = read_frames(mixed, LABELS)
    assert frames.labelled("energy").tolist() == [True, False] * 5
    assert frames.labelled("forces").tolist() == [False, True] * 5
    assert frames.labelled("dipole").sum() == 3
    assert frames.labels["dipole"][0] == pytest.approx([0, 0, units.Debye])
    assert frames.labels["gap"] == pytest.approx((0.3 + 0.01 * np.arange(10)) * units.Hartree)
    assert frames.properties["gap"].reduction is REDUCTIONS["mean"]


def test_selection_keeps_labels_with_their_frames(mixed):
    frames = read_frames(mixed, LABELS)
    chosen = frames.select(np.array([7, 2]))
    np.testing.assert_array_equal(chosen.labels["forces"][:5], frames.labels["forces"][frames.rows(7)])
    assert chosen.labelled("energy").tolist() == [False, True]
    assert chosen.digest() != frames.digest()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"energy_key": "U", "forces_key": "G"}, "no frame has 'U' or 'G'; the first has"),
        ({"scalars": ("gap=nowhere:eV",)}, "no frame has 'nowhere'"),
        ({"energy_key": "mu"}, r"frame 0: mu has the shape \(3,\)"),
    ],
)
def test_what_is_not_there_is_named(mixed, options, message):
    with pytest.raises(DataError, match=message):
        read_frames(mixed, **options)


@pytest.mark.parametrize("text", ["gap:eV:average", "energy:eV", "two words:eV", "gap:eV:sum:mean"])
def test_bad_scalars(mixed, text):
    with pytest.raises(ValueError, match=r"gap|energy|two words"):
        read_frames(mixed, scalars=(text,))


def test_energies_among_units_are_kept_in_ev():
    assert scalar("gap", "kcal/mol").unit == "eV"
    assert scalar("polarizability", "Bohr3").unit == "Bohr3"


def test_composition_alone(mixed):
    frames = read_frames(mixed, LABELS)
    known = frames.select(np.flatnonzero(frames.labelled("energy")))
    off = known.energies - predict_mean(known, known, "energy")
    assert np.abs(off).max() < 0.05


def test_outliers_and_units_are_doubted(tmp_path):
    rng, frames = np.random.default_rng(1), []
    for k in range(40):
        atoms = molecule("CH4")
        atoms.info["energy"] = -40.0 + 0.01 * rng.normal() + (5.0 if k == 17 else 0.0)
        atoms.arrays["forces"] = 30.0 * rng.normal(size=(5, 3))
        frames.append(atoms)
    ase.io.write(tmp_path / "odd.extxyz", frames)
    found = label_warnings(read_frames(tmp_path / "odd.extxyz"))
    assert any("mean force" in text for text in found)
    assert any(text.startswith("frame 17: an energy") for text in found)


@needs_data
def test_crystals_with_one_number_each():
    path = DATA / "h2co" / "h2co_ccsdt_f12.extxyz"
    frames = read_frames(path, dipole_key="dipole")
    assert frames.labels["dipole"].shape == (len(frames), 3)
    assert not label_warnings(frames)
