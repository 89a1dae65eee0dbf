"""Archives of arrays, measured before they are unpacked."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from schnet_calc.errors import DataError
from schnet_calc.memory import available_memory

LARGEST_RATIO = 20
"""Times that arrays of more than :data:`SMALL` bytes may grow when they are unpacked."""
SMALL = 2**26
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)
"""What NumPy and the standard library raise for damaged archives; an entry may point before the file's start."""


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file; none of them may hold Python objects.

    Raises
    ------
    DataError
        It is none, damaged, or its arrays would not fit into memory or are far larger than the file.
    """
    with Path(path).open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as directory:
                _check_sizes(path, directory.infolist())
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        except DataError:
            raise
        except DAMAGED as error:
            raise DataError(f"{path} is no npz archive, or cut short ({error})") from error


def _check_sizes(path: str | Path, entries: list[zipfile.ZipInfo]) -> None:
    size, packed = (sum(getattr(e, name) for e in entries) for name in ("file_size", "compress_size"))
    free = available_memory()
    if size > free:
        raise DataError(f"{path}: the arrays would have {size} bytes, but {free} are free")
    if size > max(SMALL, LARGEST_RATIO * packed):
        raise DataError(
            f"{path}: the arrays would be {size} bytes from {packed}, more than {LARGEST_RATIO} times as many"
        )
