"""i-PI's output files: read, and cut back to the checkpoint that a run goes on from."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.folders import replace_text

PREFIX = "simulation"
CHECKPOINT, RESTART = f"{PREFIX}.checkpoint", "RESTART"
_STEP = re.compile(r"Step:\s+(\d+)")
_CELL = re.compile(r"CELL\(abcABC\):((?:\s+[-+.\deE]+){6})")


def read_properties(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """Return the columns (rows,) of i-PI's properties file, in the units that it was asked to write."""
    from ipi.scripting import read_output

    values, _ = read_output(str(path))
    return {name: np.atleast_1d(column) for name, column in values.items()}


def read_frames(path: str | Path) -> list[ase.Atoms]:
    """Frames of a trajectory that i-PI wrote in Å; ``info["step"]`` holds the step of each.

    Read by our own few lines: i-PI's reader leaves its file open and misreads the steps.
    """
    frames = []
    symbols: list[str] = []
    for step, text in _frames(Path(path)):
        _, comment, *lines = text.splitlines()
        rows = [line.split() for line in lines]
        symbols = symbols or [row[0] for row in rows]
        positions = np.array([row[1:4] for row in rows], dtype=float)
        found = _CELL.search(comment)
        cell = [float(x) for x in found.group(1).split()] if found else None
        frames.append(ase.Atoms(symbols, positions, cell=cell, info={"step": step}))
    return frames


def bead_files(directory: Path) -> list[Path]:
    """The trajectory of each bead, in the order of the beads."""
    return sorted(directory.glob(f"{PREFIX}.pos_*.xyz"))


def last_checkpoint(directory: Path, stride: int, frame_stride: int) -> tuple[Path, int] | None:
    """The best file to go on from and the steps behind it; None where there is no whole one.

    i-PI buffers its output: a killed run may have left a checkpoint with rows before it that never
    reached the disk. Such a checkpoint would leave a gap, so an earlier one is chosen.

    Parameters
    ----------
    directory : Path
        Of the run.
    stride, frame_stride : int
        Steps between rows of properties, and between frames.
    """
    complete = _complete_until(directory, stride, frame_stride)
    found = []
    for path in [directory / RESTART, *directory.glob(f"{CHECKPOINT}_*")]:
        step = _step_of(path)
        if step is not None and step <= complete:
            found.append((step, path))
    if not found:
        return None
    step, path = max(found)
    return path, step


def _complete_until(directory: Path, stride: int, frame_stride: int) -> int:
    """The last step before a row or frame is missing."""
    rows = _rows_until(directory / f"{PREFIX}.out", None)
    last = [_step_of_row(rows[-1]) + stride - 1] if rows and not rows[-1].startswith("#") else [-1]
    for path in directory.glob(f"{PREFIX}.*.xyz"):
        steps = [step for step, _ in _frames(path)]
        last.append(steps[-1] + frame_stride - 1 if steps else -1)
    return min(last)


def _step_of(path: Path) -> int | None:
    """The step of a checkpoint; None for one that is not there or was cut off while it was written."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    step = root.find("step")
    return int(step.text or 0) if step is not None else 0


def continue_from(checkpoint: Path, n_steps: int, target: Path, forcefield: str | None = None) -> None:
    """Write a checkpoint as the input of a run that goes on.

    Parameters
    ----------
    checkpoint : path
        Of the run so far.
    n_steps : int
        Of the run in all.
    target : path
        The input.
    forcefield : str, optional
        In place of the checkpoint's own.
    """
    tree = ElementTree.parse(checkpoint)
    root = tree.getroot()
    total = root.find("total_steps")
    if total is None:
        total = ElementTree.SubElement(root, "total_steps")
    total.text = str(n_steps)
    if forcefield is not None:
        for old in [*root.findall("ffdirect"), *root.findall("ffsocket")]:
            root.remove(old)
        root.append(ElementTree.fromstring(f"<part>{forcefield}</part>")[0])
    tree.write(target)


def cut_outputs(directory: Path, step: int) -> None:
    """Remove rows and frames after a step, and later checkpoints: the run writes them again."""
    properties = directory / f"{PREFIX}.out"
    if properties.exists():
        replace_text(properties, "".join(_rows_until(properties, step)))
    for path in directory.glob(f"{PREFIX}.*.xyz"):
        replace_text(path, "".join(frame for found, frame in _frames(path) if found <= step))
    for path in directory.glob(f"{CHECKPOINT}_*"):
        found = _step_of(path)
        if found is None or found > step:
            path.unlink()


def _rows_until(path: Path, step: int | None) -> list[str]:
    """Header and whole rows up to a step."""
    if not path.exists():
        return []
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [x for x in lines if x.startswith("#") or step is None or _step_of_row(x) <= step]


def _step_of_row(line: str) -> int:
    return int(float(line.split()[0]))


def _frames(path: Path) -> Iterator[tuple[int, str]]:
    """Step and text of every whole frame of a trajectory."""
    lines = path.read_text().splitlines(keepends=True)
    start = 0
    while start < len(lines):
        count = int(lines[start]) + 2
        frame = lines[start : start + count]
        found = _STEP.search(frame[1]) if len(frame) > 1 else None
        if found is None or len(frame) < count or not frame[-1].endswith("\n"):
            return
        yield int(found.group(1)), "".join(frame)
        start += count
