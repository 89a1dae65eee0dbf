"""Readers of labelled structures."""

import ase
import ase.io
import numpy as np
import pytest
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator

from helpers import DATA, ethanol, label, needs_data
from schnet_calc.data import Labels, read_frames

KCAL = units.kcal / units.mol


def write_npz(path, layout="md17", **changes):
    rng = np.random.default_rng(0)
    names = {
        "md17": ("R", "z", "E", "F"),
        "rmd17": ("coords", "nuclear_charges", "energies", "forces"),
    }[layout]
    values = [rng.normal(size=(5, 3, 3)), np.array([8, 1, 1], dtype=np.uint8), rng.normal(size=(5, 1)),
              rng.normal(size=(5, 3, 3))]  # fmt: skip
    data = {**dict(zip(names, values, strict=True)), **changes}
    np.savez(path, **{k: v for k, v in data.items() if v is not None})
    return data


@pytest.mark.parametrize("layout", ["md17", "rmd17"])
def test_npz_layouts(tmp_path, layout):
    data = write_npz(tmp_path / "water.npz", layout)
    frames = read_frames(tmp_path / "water.npz")
    assert len(frames) == 5
    assert frames.elements == [1, 8]
    np.testing.assert_allclose(
        frames.energies, next(v for v in data.values() if v.shape == (5, 1))[:, 0] * KCAL
    )
    np.testing.assert_allclose(frames.atoms(2).positions, next(iter(data.values()))[2])


def test_units_of_the_file_and_of_the_caller(tmp_path):
    data = write_npz(tmp_path / "a.npz", e_unit=np.array("Hartree"), r_unit=np.array("Bohr"))
    frames = read_frames(tmp_path / "a.npz")
    np.testing.assert_allclose(frames.forces[:3], data["F"][0] * units.Hartree / units.Bohr)
    again = read_frames(tmp_path / "a.npz", energy_unit="eV", length_unit="Ang")
    np.testing.assert_allclose(again.forces[:3], data["F"][0])
    with pytest.raises(ValueError, match="unknown energy unit 'furlong'; known are eV"):
        read_frames(tmp_path / "a.npz", energy_unit="furlong")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"E": None, "F": None}, "holds the keys .* but a layout needs"),
        ({"F": np.zeros((5, 2, 3))}, r"forces have the shape \(5, 2, 3\)"),
        ({"R": np.full((5, 3, 3), np.nan)}, "positions hold a value that is not finite"),
        (
            {"E": np.array([[1.0], [2], [np.inf], [4], [5]])},
            "frame 2: energy hold a value that is not finite",
        ),
    ],
)
def test_bad_npz_is_named(tmp_path, changes, message):
    write_npz(tmp_path / "bad.npz", **changes)
    with pytest.raises(ValueError, match=message):
        read_frames(tmp_path / "bad.npz")


@pytest.mark.parametrize("ending", ["extxyz", "db"])
def test_files_of_ase(tmp_path, ending):
    path = tmp_path / f"frames.{ending}"
    images = []
    for n in (2, 5, 9):
        atoms = ethanol()[:n]
        atoms.calc = SinglePointCalculator(atoms, energy=-float(n), forces=np.full((n, 3), 0.5))
        images.append(atoms)
    ase.io.write(path, images)
    frames = read_frames(path)
    assert frames.n_atoms.tolist() == [2, 5, 9]
    assert frames.energies.tolist() == [-2, -5, -9]
    picked = frames.select(np.array([2, 0]))
    assert picked.n_atoms.tolist() == [9, 2]
    np.testing.assert_allclose(picked.atoms(0).positions, images[2].positions, atol=1e-7)


def test_other_keys(tmp_path):
    atoms = ethanol()
    atoms.info["dft_energy"] = -3.0
    atoms.arrays["dft_forces"] = np.ones((9, 3))
    ase.io.write(tmp_path / "a.extxyz", atoms)
    frames = read_frames(tmp_path / "a.extxyz", energy_key="dft_energy", forces_key="dft_forces")
    assert frames.energies.tolist() == [-3.0]
    with pytest.raises(ValueError, match=r"no frame has 'energy' or 'forces'; the first has .*dft_energy"):
        read_frames(tmp_path / "a.extxyz")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no data file .*nowhere\.npz"):
        read_frames(tmp_path / "nowhere.npz")


@needs_data
def test_real_data():
    ethanol_frames = read_frames(DATA / "md17" / "md17_ethanol.npz")
    assert len(ethanol_frames) == 3941
    assert "PBE" in ethanol_frames.info["theory"]
    silicon = read_frames(DATA / "bulk" / "Si_training.extxyz")
    assert silicon.pbc.all()
    assert silicon.elements == [14]


@pytest.mark.parametrize("missing", ["E", "F"])
def test_energies_or_forces_may_be_missing(tmp_path, missing):
    write_npz(tmp_path / "a.npz", **{missing: None})
    frames = read_frames(tmp_path / "a.npz")
    assert list(frames.labels) == [{"E": "forces", "F": "energy"}[missing]]
    assert np.isnan(frames.energies).all() == (missing == "E")
    assert np.isnan(frames.forces).all() == (missing == "F")
    assert frames.labelled("energy").tolist() == [missing != "E"] * 5
    assert frames.labelled("forces").tolist() == [missing != "F"] * 5


def test_frames_without_a_label_are_not_numbers(tmp_path):
    """Energies, forces, dipoles and other numbers, each of them in some of the frames only."""
    images = []
    for n in (2, 3, 4):
        atoms = ethanol()[:n]
        if n != 2:
            atoms.info |= {"E": -1.0 * n, "gap": 0.1 * n}
        if n != 3:
            atoms.arrays["f"] = np.full((n, 3), 1.0 * n)
            atoms.info["mu"] = np.array([0.0, 0.0, 1.0 * n])
        images.append(atoms)
    ase.io.write(tmp_path / "a.extxyz", images)
    labels = Labels(
        energy_key="E", forces_key="f", energy_unit="Hartree", dipole_key="mu", dipole_unit="Debye",
        scalars=("gap:meV:mean",),
    )  # fmt: skip
    frames = read_frames(tmp_path / "a.extxyz", labels)
    np.testing.assert_allclose(frames.energies, [np.nan, -3 * units.Hartree, -4 * units.Hartree])
    np.testing.assert_allclose(frames.labels["gap"], [np.nan, 0.3e-3, 0.4e-3])
    np.testing.assert_allclose(frames.labels["dipole"][:, 2], [2 * units.Debye, np.nan, 4 * units.Debye])
    np.testing.assert_allclose(frames.forces[:, 0] / units.Hartree, [2] * 2 + [np.nan] * 3 + [4] * 4)
    assert (frames.properties["gap"].unit, frames.properties["gap"].reduction.name) == ("eV", "mean")
    assert frames.labelled("forces").tolist() == [True, False, True]
    picked = frames.select(np.array([2, 1]))
    np.testing.assert_array_equal(picked.labels["gap"], frames.labels["gap"][[2, 1]])
    np.testing.assert_array_equal(picked.forces, frames.forces[[5, 6, 7, 8, 2, 3, 4]])
    assert picked.digest() != frames.digest() == read_frames(tmp_path / "a.extxyz", labels).digest()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scalars": ("gap:eV:max",)}, "a scalar is written"),
        ({"scalars": ("energy",)}, "a property needs a name of its own"),
        ({"scalars": ("band gap",)}, "a property needs a name of its own"),
        ({"dipole_unit": "D"}, "unknown dipole unit 'D'; known are eAng, Debye, au"),
        ({"dipole_key": "mu"}, "no frame has 'mu'"),
        ({"scalars": ("gap=homo_lumo",)}, "no frame has 'homo_lumo'"),
    ],
)
def test_labels_that_are_not_there_are_named(tmp_path, options, message):
    ase.io.write(tmp_path / "a.extxyz", label(ethanol()))
    with pytest.raises(ValueError, match=message):
        read_frames(tmp_path / "a.extxyz", **options)


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
def test_a_compressed_file_is_read_once(tmp_path, ending, monkeypatch):
    """ASE goes back for every frame: hours, where the file is decompressed from its beginning each time."""
    images = [label(ethanol(), energy=1.0 + k) for k in range(4)]
    ase.io.write(tmp_path / "frames.extxyz", images)
    ase.io.write(tmp_path / f"frames.extxyz.{ending}", images)
    read, seen = ase.io.iread, []
    monkeypatch.setattr(ase.io, "iread", lambda path, **more: seen.append(path) or read(path, **more))
    plain, compressed = (read_frames(tmp_path / f"frames.extxyz{end}") for end in ("", f".{ending}"))
    assert seen[1].name == "frames.extxyz"
    np.testing.assert_array_equal(compressed.positions, plain.positions)
    np.testing.assert_array_equal(compressed.energies, plain.energies)
