"""Where the configurations of the studies are, in the installed package or the checkout, and where their data."""

import os
from importlib import resources
from pathlib import Path


def config_folder(name: str) -> Path:
    """Return the folder of configurations of a study: ``"md17"``, ``"qm9"``; of all for an empty name.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    package = Path(str(resources.files("schnet_calc")))
    for place in (package / "examples", package.parent / "examples"):
        if (place / name).is_dir():
            return place / name
    raise FileNotFoundError(f"no configurations of {name} beside {package}")


SHARED = "../shared/data"
"""Folder of the data that the configurations name, from the checkout."""


def data_folder(data: str | Path | None = None) -> Path:
    """Return the folder of the data: as said, or ``$SCHNET_CALC_DATA``, or beside the checkout.

    Parameters
    ----------
    data : path, optional
        What the user said.
    """
    return Path(data if data is not None else os.environ.get("SCHNET_CALC_DATA", SHARED))


def data_file(named: str, data: str | Path | None = None) -> Path:
    """Return where a file is that a configuration names: there, or in the folder of the data.

    Parameters
    ----------
    named : str
        As in the configuration, from the checkout.
    data : path, optional
        As for :func:`data_folder`.
    """
    path = Path(named)
    if path.exists() or not named.startswith(SHARED):
        return path
    return data_folder(data) / path.relative_to(SHARED)
