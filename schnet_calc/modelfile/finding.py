"""Finding model files, by path or by the name of a shipped model."""

from pathlib import Path

from schnet_calc.errors import suggestion


def model_directories() -> list[Path]:
    """Return where shipped models are looked for: the installed package, then the checkout."""
    package = Path(__file__).parents[1]
    return [package / "models", package.parent / "models"]


def shipped_models() -> dict[str, Path]:
    """Return the names of the shipped models and their files."""
    found: dict[str, Path] = {}
    for directory in model_directories():
        for path in sorted(directory.glob("*.pt")):
            found.setdefault(path.stem, path)
    return found


def find_model(path_or_name: str | Path) -> Path:
    """Return the file itself, or the shipped model of that name.

    Raises
    ------
    FileNotFoundError
        Neither exists; the message lists the shipped names.
    """
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = shipped_models()
    if str(path_or_name) in shipped:
        return shipped[str(path_or_name)]
    names = ", ".join(sorted(shipped)) or "none"
    meant = suggestion(str(path_or_name), shipped)
    raise FileNotFoundError(
        f"no model file {str(path)!r}, and no shipped model of that name ({names}).{meant}"
    )


def model_sources(text: str) -> list[str]:
    """Return the files or names in a text that joins them by ``+``, where there is room for one text only."""
    return [text] if Path(text).is_file() else text.split("+")
