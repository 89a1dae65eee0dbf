"""What a reference may be given as: a name, a file, a function or a calculator."""

import importlib.util
from pathlib import Path
from typing import Any

from schnet_calc.references.table import reference_calculator

FUNCTION = "calculator"
"""What a file of one's own has to define."""


def make_calculator(source: Any) -> Any:
    """Make the calculator that a source stands for.

    Parameters
    ----------
    source : str, Path, callable or Calculator
        A name such as ``"GFN2-xTB"``; a Python file that defines ``calculator()``; something that makes a
        calculator when it is called; or a calculator.

    Raises
    ------
    ValueError
        No such name, a file without ``calculator()``, or something that is no calculator.
    FileNotFoundError
        There is no such file.
    ModuleNotFoundError
        The program behind a name is not installed.
    """
    if isinstance(source, Path) or (isinstance(source, str) and source.endswith(".py")):
        found = _from_file(Path(source))
    elif isinstance(source, str):
        found = reference_calculator(source)
    elif hasattr(source, "get_property") and not isinstance(source, type):
        found = source
    elif callable(source):
        found = source()
    else:
        found = source
    if not hasattr(found, "get_property"):
        raise ValueError(f"{name_of(source)} gives no ASE calculator, but {found!r:.80}")
    return found


def portable(source: Any) -> Any:
    """Return a source as other processes, which may work in other folders, understand it."""
    if isinstance(source, Path) or (isinstance(source, str) and source.endswith(".py")):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path} to take {FUNCTION}() from")
        return path.resolve()
    return source


def name_of(source: Any) -> str:
    """Return what to call the level of theory."""
    if isinstance(source, Path):
        return source.stem
    if isinstance(source, str):
        return Path(source).stem if source.endswith(".py") else source
    return str(getattr(source, "__name__", type(source).__name__))


def _from_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"schnet_calc_reference_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {path} to take {FUNCTION}() from")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    make = getattr(module, FUNCTION, None)
    if not callable(make):
        raise ValueError(f"{path} has to define {FUNCTION}(), which returns an ASE calculator")
    return make()
