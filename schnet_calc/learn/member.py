"""The process that trains one member; :func:`main` is its whole program."""

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from schnet_calc.folders import replace_json
from schnet_calc.training import Run, RunConfig, finish

PROGRESS = "progress.json"
"""Step and loss, for whoever waits."""
EVERY = 1.0
"""Seconds between two writings of it."""


def train_member(config: RunConfig, folder: Path) -> Path:
    """Train, or go on with the training in a folder, and export ``model.pt``, whose path is returned."""
    run = Run(config, folder, resume=True)
    run.run(_Told(folder / PROGRESS))
    finish(run, "schnet-calc learn")
    return folder / "model.pt"


class _Told:
    """Writes how far a run is, not too often."""

    def __init__(self, path: Path) -> None:
        self.path, self.last = path, 0.0

    def __call__(self, run: Run, _: Any) -> None:
        if time.monotonic() - self.last > EVERY:
            self.last = time.monotonic()
            replace_json(self.path, {"step": run.step, "loss": run.loss})


def _end_with_parent() -> None:
    """Wait for the end of the input: whoever started this process, and would go on with its run, is gone."""
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Train what the command line names."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    status = 1
    try:
        config = RunConfig.from_dict(json.loads(Path(sys.argv[1]).read_text()))
        train_member(config, Path(sys.argv[2]))
        status = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # the other thread still waits, which an ordinary end would not survive
