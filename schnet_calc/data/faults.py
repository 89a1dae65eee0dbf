"""Frames of a file that can't be used: all of them are listed, or left out where that is asked for."""

import logging
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import ase
import ase.io
import numpy as np

from schnet_calc.errors import DataError

logger = logging.getLogger("schnet_calc")
SHOWN = 20
"""Frames that a message lists."""
XYZ = (".xyz", ".extxyz")


class Fault(NamedTuple):
    """A frame that can't be used."""

    frame: int
    """Its number in the file, from 0."""
    reason: str


def settle(path: Path, faults: Sequence[Fault], n_frames: int, skip: bool) -> dict[str, str]:
    """Raise for frames that can't be used, or say which are left out, and return their reasons by number.

    Parameters
    ----------
    path : Path
        The file.
    faults : sequence of Fault
        Any number.
    n_frames : int
        In the file, with these.
    skip : bool
        Whether to leave them out.

    Raises
    ------
    DataError
        There are some, and they are not to be left out; or nothing is left.
    """
    if not faults:
        return {}
    if len(faults) == 1:
        text = f"{path}, frame {faults[0].frame}: {faults[0].reason}"
    else:
        lines = [f"frame {f.frame}: {f.reason}" for f in faults[:SHOWN]]
        if len(faults) > SHOWN:
            lines.append(f"and {len(faults) - SHOWN} more")
        text = f"{path}: {len(faults)} of {n_frames} frames can't be used\n" + "\n".join(lines)
    if not skip:
        raise DataError(f"{text}\nskip_bad leaves out such frames")
    if len(faults) >= n_frames:
        raise DataError(f"{text}\nno other frames are left")
    logger.warning("left out: %s", text)
    return {str(f.frame): f.reason for f in faults}


def structure_fault(atoms: ase.Atoms) -> str:
    """Return why a structure can't be used, whatever its labels; empty if it can."""
    if not len(atoms):
        return "it has no atoms"
    for name, values in (("positions", atoms.positions), ("cell", atoms.cell.array)):
        if not np.isfinite(values).all():
            atom = f" of atom {np.argwhere(~np.isfinite(values))[0][0]}" if name == "positions" else ""
            return f"the {name}{atom} hold a value that is not finite"
    return ""


def read_xyz(path: Path) -> tuple[list[ase.Atoms], list[int], list[Fault]]:
    """Read a file of xyz or extended xyz frame by frame.

    Returns
    -------
    images : list of Atoms
        Those that can be read.
    numbers : list of int
        Their numbers in the file.
    faults : list of Fault
        The others.
    """
    images, numbers, faults = [], [], []
    for k, (text, fault) in enumerate(_frames(path)):
        if not fault:
            try:
                images.append(ase.io.read(StringIO(text), format="extxyz"))
                numbers.append(k)
                continue
            except Exception as error:  # ASE's readers raise anything for what is no structure
                fault = f"ASE can't read it ({error!r:.100})"
        faults.append(Fault(k, fault))
    return images, numbers, faults


def is_sound_xyz(path: Path) -> bool:
    """Whether every count line of a file is right: ASE counts on them, and one of 10^9 would take it minutes."""
    return not any(fault for _, fault in _frames(path))


def _frames(path: Path) -> Iterator[tuple[str, str]]:
    """Text of each frame, and what is wrong with its count; each begins with a line that is a whole number."""
    with path.open(errors="replace") as stream:
        line = stream.readline()
        while line:
            if not line.strip():
                line = stream.readline()
                continue
            head, body = [line, stream.readline()], []
            line = stream.readline()
            while line and not line.strip().isdecimal():
                if line.strip():
                    body.append(line)
                line = stream.readline()
            yield "".join(head + body), _count_fault(head[0].strip(), body)


def _count_fault(count: str, body: Sequence[str]) -> str:
    if not count.isdecimal():
        return f"it begins with {count[:40]!r}, not with the number of its atoms"
    n_lines = sum(not text.startswith("VEC") for text in body)
    if int(count) == 0:
        return "it has no atoms"
    if int(count) != n_lines:
        return f"it says {int(count)} atoms, but has {n_lines} lines of atoms"
    return ""
