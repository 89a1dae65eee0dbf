"""i-PI's output files: read, and cut back to the checkpoint that a run goes on from."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import ase
import numpy as np
from numpy.typing import NDArray

PREFIX = "simulation"
CHECKPOINT, RESTART = f"{PREFIX}.checkpoint", "RESTART"
_STEP = re.compile(r"Step:\s+(\d+)")


def read_properties(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """Columns of i-PI's properties file, in the units it was asked to write."""
    from ipi.scripting import read_output

    values, _ = read_output(str(path))
    return {name: np.atleast_1d(column) for name, column in values.items()}


def read_frames(path: str | Path) -> list[ase.Atoms]:
    """Frames of an i-PI trajectory, Å; ``info["step"]`` holds the step of each."""
    from ipi.scripting import read_trajectory

    frames: list[ase.Atoms] = read_trajectory(str(path), format="xyz")
    return frames


def bead_files(directory: Path) -> list[Path]:
    """The trajectory of each bead, in the order of the beads."""
    return sorted(directory.glob(f"{PREFIX}.pos_*.xyz"))


def last_checkpoint(directory: Path) -> tuple[Path, int] | None:
    """The file with the most steps behind it and their number; None where there is no whole one."""
    found = []
    for path in [directory / RESTART, *directory.glob(f"{CHECKPOINT}_*")]:
        step = _step_of(path)
        if step is not None:
            found.append((step, path))
    if not found:
        return None
    step, path = max(found)
    return path, step


def _step_of(path: Path) -> int | None:
    """The step of a checkpoint; None for one that is not there or was cut off while it was written."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    step = root.find("step")
    return int(step.text or 0) if step is not None else 0


def continue_from(checkpoint: Path, n_steps: int, target: Path) -> None:
    """Write a checkpoint as the input of a run of ``n_steps`` steps in all."""
    tree = ElementTree.parse(checkpoint)
    total = tree.getroot().find("total_steps")
    if total is None:
        total = ElementTree.SubElement(tree.getroot(), "total_steps")
    total.text = str(n_steps)
    tree.write(target)


def cut_outputs(directory: Path, step: int) -> None:
    """Remove rows and frames after a step, and later checkpoints: the run writes them again."""
    properties = directory / f"{PREFIX}.out"
    if properties.exists():
        _rewrite(properties, _rows_until(properties, step))
    for path in directory.glob(f"{PREFIX}.*.xyz"):
        _rewrite(path, _frames_until(path, step))
    for path in directory.glob(f"{CHECKPOINT}_*"):
        found = _step_of(path)
        if found is None or found > step:
            path.unlink()


def _rewrite(path: Path, text: str) -> None:
    scratch = path.with_suffix(".cut")
    scratch.write_text(text)
    scratch.replace(path)


def _rows_until(path: Path, step: int) -> str:
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        whole = line.endswith("\n")
        if line.startswith("#") or (whole and line.split() and float(line.split()[0]) <= step):
            kept.append(line)
    return "".join(kept)


def _frames_until(path: Path, step: int) -> str:
    lines = path.read_text().splitlines(keepends=True)
    kept: list[str] = []
    start = 0
    while start < len(lines):
        frame = lines[start : start + int(lines[start]) + 2]
        found = _STEP.search(frame[1]) if len(frame) > 1 else None
        whole = len(frame) == int(lines[start]) + 2 and frame[-1].endswith("\n")
        if not whole or found is None or int(found.group(1)) > step:
            break
        kept += frame
        start += len(frame)
    return "".join(kept)
