"""The command that makes the page "Verification"."""

import json

import numpy as np
import pytest

import verify
from verification import Row


def rows_of(calls, values):
    def compute():
        calls.append(1)
        return values, np.zeros(2)

    return [Row("A", "twice nothing", "zero", 0.1, "", False, False, (), compute)]


def test_what_was_found_is_kept(tmp_path):
    """So that parts of a long run make one page; what fails is no secret."""
    calls, path = [], tmp_path / "kept.json"
    for _ in range(2):
        total, text, good = verify.run_all(rows_of(calls, [0.0, 0.05]), verify.Kept(path))
    assert len(calls) == 1
    assert (total, good) == ("1 of 1 rows pass.", True)
    assert "| twice nothing (2) | zero | 0.05 | 0.00 | 0.1 |" in text
    assert len(json.loads(path.read_text())) == 1
    stricter = rows_of(calls, [0.0, 0.05])[0]
    stricter = Row(**{**vars(stricter), "tolerance": 0.01})
    _, text, good = verify.run_all([stricter], verify.Kept(path))
    assert not good
    assert "| 0.01, **failed** |" in text
    assert len(calls) == 2


def test_rows_that_break_are_not_kept(tmp_path):
    broken = Row("A", "nothing", "zero", 0.1, "", False, False, (), lambda: 1 / 0)
    total, text, good = verify.run_all([broken], verify.Kept(tmp_path / "kept.json"))
    assert (total, good) == ("0 of 1 rows pass.", False)
    assert "**not run**" in text
    assert not (tmp_path / "kept.json").exists()


def test_a_page_is_of_all_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["verify.py", "--only", "C20", "--write", str(tmp_path / "p.md")])
    with pytest.raises(SystemExit):
        verify.main()
