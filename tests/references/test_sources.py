"""References: names, files, objects."""

from pathlib import Path

import pytest
from ase.calculators.emt import EMT

from schnet_calc.references.sources import make_calculator, name_of, portable


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_dft.py"
    path.write_text("from ase.calculators.emt import EMT\n\ndef calculator():\n    return EMT()\n")
    return path


def test_a_file_makes_one(file, monkeypatch):
    assert isinstance(make_calculator(file), EMT)
    assert isinstance(make_calculator(str(file)), EMT)
    assert name_of(file) == "my_dft"
    monkeypatch.chdir(file.parent)
    assert portable("my_dft.py") == file.resolve()


def test_names_classes_and_objects_do():
    calculator = EMT()
    assert make_calculator(calculator) is calculator
    assert isinstance(make_calculator(EMT), EMT)
    assert isinstance(make_calculator("emt"), EMT)
    assert name_of(calculator) == "EMT"
    assert name_of("GFN2-xTB") == "GFN2-xTB"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", r"has to define calculator\(\)"),
        ("def calculator():\n    return 3\n", "gives no ASE calculator, but 3"),
    ],
)
def test_files_that_make_none(tmp_path, text, message):
    path = tmp_path / "wrong.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        make_calculator(path)


def test_no_such_reference():
    with pytest.raises(ValueError, match="got 'no such code'"):
        make_calculator("no such code")
    with pytest.raises(FileNotFoundError, match=r"no file nowhere\.py"):
        portable(Path("nowhere.py"))
