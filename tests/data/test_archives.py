"""Archives that would grow beyond memory are refused before they are unpacked."""

import zipfile

import numpy as np
import pytest

from schnet_calc.data import Split, read_frames
from schnet_calc.data.archives import load_arrays
from schnet_calc.errors import DataError


@pytest.fixture
def bomb(tmp_path):
    """A directory that says that an array has a terabyte."""
    path = tmp_path / "bomb.npz"
    np.savez(
        path, R=np.zeros((2, 1, 3)), z=np.array([1]), E=np.zeros(2), train=[0], validation=[1], test=[]
    )
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("R.npy").file_size
    place = content.index(b"PK\x01\x02") + 24
    assert int.from_bytes(content[place : place + 4], "little") == size
    content[place : place + 4] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content)
    return path


def test_arrays_beyond_memory_are_refused(bomb, monkeypatch):
    monkeypatch.setattr("schnet_calc.data.archives.available_memory", lambda: 2**30)
    for read in (load_arrays, read_frames, Split.load):
        with pytest.raises(
            DataError, match=r"the arrays would have 42949\d+ bytes, but 1073741824 are free"
        ):
            read(bomb)


def test_what_is_no_archive_is_named(tmp_path):
    (tmp_path / "a.npz").write_text("no arrays")
    with pytest.raises(DataError, match="is no npz archive, or cut short"):
        load_arrays(tmp_path / "a.npz")


def test_an_entry_that_points_before_the_file(tmp_path):
    """Found by ``benchmarks/fuzz.py``: the system refuses to go there."""
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    directory = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    content[end + 16 : end + 20] = (directory + 50).to_bytes(
        4, "little"
    )  # where the directory is said to begin
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="is no npz archive, or cut short"):
        load_arrays(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError):
        load_arrays(tmp_path / "b.npz")
