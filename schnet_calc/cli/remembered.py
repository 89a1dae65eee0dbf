"""Settings of a training that its folder keeps, so that nobody is asked for them again."""

import json
from pathlib import Path

from schnet_calc.data.labels import Labels
from schnet_calc.training.config import RunConfig

NAME = "settings.json"
"""Of the file in the folder of a run."""


def remember(settings: RunConfig, folder: Path) -> None:
    """Write the settings of a run that begins or goes on; those of another run in the folder stay."""
    path = folder / NAME
    begun = any(folder.rglob("checkpoint.safetensors"))
    if path.exists() and remembered(folder) != settings and not begun:
        path.unlink()
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        values = settings.to_dict()
        values["data"]["file"] = str(Path(settings.data.file).absolute())
        path.write_text(json.dumps(values, indent=1) + "\n")


def remembered(folder: Path) -> RunConfig | None:
    """Return the settings of the run in a folder; None where there are none."""
    path = folder / NAME
    return RunConfig.from_dict(json.loads(path.read_text())) if path.is_file() else None


def remembered_labels(model: Path, data: Path) -> Labels | None:
    """Return keys and units of a data file, if the model's run was trained on that very file; else None."""
    settings = remembered(model.parent) or remembered(model.parent.parent)  # of a committee's member
    if settings is None or Path(settings.data.file).absolute() != data.absolute():
        return None
    return settings.data.labels
