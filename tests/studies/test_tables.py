"""Rows of tables, and where their data are."""

from pathlib import Path

import pytest

from schnet_calc.studies.configs import data_file
from schnet_calc.studies.tables import ROWS, configuration, evaluated_rows


def test_data_are_looked_for_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCHNET_CALC_DATA", str(tmp_path / "set"))
    row = ROWS["materials"][0]
    name = Path("materials_project") / "materials_project.extxyz.xz"
    assert Path(configuration(row, None).data.file) == tmp_path / "set" / name
    assert Path(configuration(row, None, tmp_path / "said").data.file) == tmp_path / "said" / name
    assert configuration(row, "mine.extxyz").data.file == "mine.extxyz"
    assert str(data_file("qm9pack")) == "qm9pack"


def test_missing_data_and_tables_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"c20_500K\.npz"):
        evaluated_rows("c20", folder=tmp_path)
    with pytest.raises(ValueError, match="the tables are qm9, materials, c20, got 'gold'"):
        evaluated_rows("gold")
