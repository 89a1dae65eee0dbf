"""The reader of QM9."""

import numpy as np
import pytest
from ase.build import molecule
from ase.units import Debye, Hartree

from helpers import write_qm9
from schnet_calc.data import read_frames
from schnet_calc.errors import DataError


def test_rows_become_frames_in_electronvolts(tmp_path):
    molecules = [molecule("C6H6"), molecule("H2O")]
    frames = read_frames(write_qm9(tmp_path / "qm9", molecules))
    assert list(frames.n_atoms) == [12, 3]
    np.testing.assert_allclose(frames.atoms(1).positions, molecules[1].positions)
    assert frames.atoms(0).get_chemical_formula() == "C6H6"
    np.testing.assert_allclose(frames.labels["energy"], [-1.12 * Hartree, -1.03 * Hartree])
    np.testing.assert_allclose(frames.labels["dipole_length"][1], -2.13 * Debye)


def test_a_broken_row_is_named(tmp_path):
    folder = write_qm9(tmp_path / "qm9", [molecule("H2O")])
    file = folder / "qm9_part1.csv"
    file.write_text(file.read_text().replace("'O'", "'Oo'"))
    with pytest.raises(DataError, match=r"0\.xyz is not as QM9's rows are"):
        read_frames(folder)
