"""Files that are whole or not there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def replace_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write values as JSON, so that a reader, or a run that is killed, sees the old file or the new one."""
    scratch = path.with_suffix(".tmp")
    with scratch.open("w") as stream:
        stream.write(json.dumps(values, indent=1) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(path)
