"""Where the configurations of the studies are: in the installed package, or in the checkout."""

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
