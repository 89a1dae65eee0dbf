"""Archives of arrays, measured before they are unpacked."""

import zipfile
from pathlib import Path

import numpy as np

from schnet_calc.errors import DataError
from schnet_calc.memory import available_memory


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file; none of them may hold Python objects.

    Raises
    ------
    DataError
        It is none, damaged, or its arrays would not fit into memory.
    """
    try:
        with zipfile.ZipFile(path) as directory:
            size, free = sum(entry.file_size for entry in directory.infolist()), available_memory()
        if size > free:
            raise DataError(f"{path}: the arrays would have {size} bytes, but {free} are free")
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except DataError:
        raise
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path} is no npz archive, or cut short ({error})") from error
