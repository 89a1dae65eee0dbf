"""The command that makes the page "Verification"."""

import json

import numpy as np
import pytest

import verify
from helpers import ROOT
from verification import Row, all_rows
from verification.pages import fill, read

PAGE = ROOT / "docs" / "verification.md"


def rows_of(calls, values):
    def compute():
        calls.append(1)
        return values, np.zeros(2)

    return [Row("A", "twice nothing", "zero", 0.1, "", False, False, (), compute)]


def test_what_was_found_is_kept(tmp_path):
    """So that parts of a long run make one page; what fails is no secret."""
    calls, path = [], tmp_path / "kept.json"
    for _ in range(2):
        table, good = verify.run_all(rows_of(calls, [0.0, 0.05]), verify.Kept(path))
    assert len(calls) == 1
    assert good
    assert table == [["A", "twice nothing", "2", "zero", "0.05", "0.00", "0.1"]]
    assert len(json.loads(path.read_text())) == 1
    stricter = rows_of(calls, [0.0, 0.05])[0]
    stricter = Row(**{**vars(stricter), "tolerance": 0.01})
    table, good = verify.run_all([stricter], verify.Kept(path))
    assert not good
    assert table[0][-1] == "0.01, failed"
    assert verify.summary(table).startswith("0 of 1 rows pass; they compare 2 numbers. ")
    assert len(calls) == 2


def test_rows_that_break_are_not_kept(tmp_path):
    broken = Row("A", "nothing", "zero", 0.1, "", False, False, (), lambda: 1 / 0)
    table, good = verify.run_all([broken], verify.Kept(tmp_path / "kept.json"))
    assert not good
    assert table[0][-1] == "0.1, not run"
    assert verify.summary(table).startswith("0 of 1 rows pass; they compare 0 numbers. ")
    assert not (tmp_path / "kept.json").exists()


def test_a_page_is_of_all_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["verify.py", "--only", "C20", "--write", str(tmp_path / "p.md")])
    with pytest.raises(SystemExit):
        verify.main()


def test_the_page_has_a_table_of_all_rows_and_its_summary():
    head, *table = read(PAGE)
    assert head == verify.HEAD
    assert [entry[1] for entry in table] == [verify.cells(row, None)[1] for row in all_rows()]
    assert verify.summary(table) in PAGE.read_text()


def test_tables_are_replaced_and_pages_without_a_place_left_alone(tmp_path):
    page = tmp_path / "p.md"
    page.write_text("# P\n\n<!-- rows -->\nold\n<!-- end of rows -->\nafter\n")
    fill(page, "rows", "new", [["a", "b"], ["1, 2", "é"]])
    assert page.read_text() == "# P\n\n<!-- rows -->\nnew\n<!-- end of rows -->\nafter\n"
    assert read(page) == [["a", "b"], ["1, 2", "é"]]
    with pytest.raises(SystemExit, match="no place"):
        fill(page, "others", "new", [])
