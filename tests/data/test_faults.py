"""Files with frames that can't be used."""

import time

import numpy as np
import pytest

from schnet_calc.data import read_frames
from schnet_calc.errors import DataError

GOOD = """2
Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.0 pbc="F F F"
H 0.0 0.0 0.0 0.1 0.0 0.0
H 0.0 0.0 0.74 -0.1 0.0 0.0
"""
NAN = GOOD.replace("energy=-1.0", "energy=nan")
FORCE = GOOD.replace("0.1 0.0 0.0\n", "nan 0.0 0.0\n", 1)
EMPTY = "0\n\n"
HUGE = GOOD.replace("2\n", "1000000000\n", 1)
FEW = GOOD.replace("2\n", "1\n", 1)
WORDS = GOOD.replace("-1.0", "unknown")
FAR = GOOD.replace("0.74", "inf")


def written(tmp_path, *frames):
    path = tmp_path / "frames.extxyz"
    path.write_text("".join(frames))
    return path


def test_all_bad_frames_are_listed_with_their_reasons(tmp_path):
    path = written(tmp_path, GOOD, NAN, EMPTY, HUGE, GOOD, FEW, FORCE, WORDS, FAR, GOOD)
    started = time.perf_counter()
    with pytest.raises(DataError) as error:
        read_frames(path)
    assert time.perf_counter() - started < 10
    first, *lines, last = str(error.value).splitlines()
    assert first == f"{path}: 7 of 10 frames can't be used"
    assert lines == [
        "frame 1: energy holds a value that is not finite",
        "frame 2: it has no atoms",
        "frame 3: it says 1000000000 atoms, but has 2 lines of atoms",
        "frame 5: it says 1 atoms, but has 2 lines of atoms",
        "frame 6: forces of atom 0 holds a value that is not finite",
        "frame 7: energy is 'unknown', which are no numbers",
        "frame 8: the positions of atom 1 hold a value that is not finite",
    ]
    assert last == "skip_bad leaves out such frames"


def test_bad_frames_are_left_out_where_that_is_asked_for(tmp_path, caplog):
    path = written(tmp_path, GOOD, NAN, EMPTY, GOOD)
    frames = read_frames(path, skip_bad=True)
    assert len(frames) == 2
    assert frames.energies.tolist() == [-1.0, -1.0]
    assert "2 of 4 frames can't be used" in caplog.text
    assert frames.info["left_out"] == {
        "1": "energy holds a value that is not finite",
        "2": "it has no atoms",
    }
    with pytest.raises(DataError, match="no other frames are left"):
        read_frames(written(tmp_path, NAN, EMPTY), skip_bad=True)


def test_many_bad_frames_are_counted(tmp_path):
    with pytest.raises(DataError, match="and 5 more"):
        read_frames(written(tmp_path, GOOD, *[NAN] * 25))


def test_npz_with_bad_frames(tmp_path):
    energies = np.array([1.0, np.nan, 3.0, 4.0])
    forces = np.ones((4, 2, 3))
    forces[3, 1, 2] = np.inf
    np.savez(tmp_path / "a.npz", R=np.arange(24.0).reshape(4, 2, 3), z=[1, 1], E=energies, F=forces)
    with pytest.raises(DataError, match=r"2 of 4 frames(.|\n)*frame 1: energy(.|\n)*frame 3: forces"):
        read_frames(tmp_path / "a.npz")
    frames = read_frames(tmp_path / "a.npz", skip_bad=True, energy_unit="eV")
    assert frames.energies.tolist() == [1.0, 3.0]
    assert frames.positions[2:].tolist() == [[12, 13, 14], [15, 16, 17]]
