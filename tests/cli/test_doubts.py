"""Every command that evaluates says what it doubts, and ends with status 3."""

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator

from schnet_calc.cli.console import DOUBTFUL


@pytest.fixture
def files(tmp_path):
    """Ethanol, and one that is straight; bands and labelled frames of both; silicon far too small."""
    straight = molecule("CH3CH2OH")
    straight.set_angle(0, 1, 2, 175, indices=[2, 3])
    ase.io.write(tmp_path / "straight.xyz", straight)
    ase.io.write(tmp_path / "ethanol.xyz", molecule("CH3CH2OH"))
    frames = [molecule("CH3CH2OH"), straight]
    for atoms in frames:
        atoms.calc = SinglePointCalculator(atoms, energy=-4208.0, forces=np.zeros((9, 3)))
    ase.io.write(tmp_path / "frames.extxyz", frames)
    ase.io.write(tmp_path / "small.extxyz", bulk("Si", a=4.7))
    return tmp_path


COMMANDS = {
    "energy": ("energy", "straight.xyz", "--model", "ethanol"),
    "relax": ("relax", "straight.xyz", "--model", "ethanol", "--fmax", "3.0"),
    "modes": ("modes", "straight.xyz", "--model", "ethanol"),
    "md": ("md", "straight.xyz", "--model", "ethanol", "--temperature", "10", "--time", "0.001"),
    "neb": ("neb", "ethanol.xyz", "straight.xyz", "--model", "ethanol", "--fmax", "100"),
    "crystal": ("crystal", "small.extxyz", "--model", "silicon"),
    "evaluate": ("evaluate", "ethanol", "frames.extxyz", "--on-doubt", "warn"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_doubts_end_with_status_3(run, files, figures, name):
    code, _, err = run(*COMMANDS[name])
    assert code == DOUBTFUL == 3, err
    assert "lay outside of what the model knows" in err


@pytest.mark.parametrize("name", ["relax", "md", "evaluate"])
def test_none_with_ignore(run, files, figures, name):
    words = COMMANDS[name]
    words = words[:-2] if name == "evaluate" else (*words, "--on-doubt", "ignore")
    assert run(*words)[0] == 0


def test_stop_is_an_error(run, files, figures):
    code, _, err = run(*COMMANDS["md"], "--on-doubt", "stop")
    assert code == 1
    assert "the limit is 1" in err


def test_errors_by_grade(run, files, figures):
    _, out, _ = run(*COMMANDS["evaluate"])
    assert "grade 0" in out
    assert "and more" in out or "grade 2 to 5" in out


def test_info_in_words(run):
    code, out, _ = run("info", "ethanol")
    assert code == 0
    assert "neutral singlets" in out
    assert "lie within" in out
