"""A potential for a molecule of one's own, learned from GFN2-xTB in a terminal of 80 columns.

    python examples/errands/own_molecule.py methanol_run

The settings are far too small for a good potential: what is looked at is what a person sees. The script opens a
terminal, shows what ``schnet-calc learn`` writes there, and fails if a line is cut off or nothing moves
for a minute.
"""

import os
import pty
import re
import select
import struct
import sys
import time
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

from ase.build import molecule
from ase.io import write

COLUMNS, ROWS = 80, 24
SILENCE = 60.0
"""s after which a terminal that doesn't move is an error."""
SMALL = (
    *("--budget", "60", "--start", "30", "--batch", "10", "--reference-steps", "20"),
    *("--first-steps", "150", "--steps", "60", "--steps-per-label", "1", "--members", "2", "--rounds", "2"),
    *("--time", "0.05", "--beads", "2", "--features", "16", "--check", "10", "--accuracy", "0.5"),
)
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def in_terminal(arguments: list[str], transcript: Path) -> tuple[int, str, float]:
    """Run a command in a terminal; return its exit status, what it wrote, and its longest silence in seconds.

    What it writes is in the transcript at once: a run that hangs or is stopped can be looked at, too.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(arguments[0], arguments)
    ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    last, longest = time.monotonic(), 0.0
    with transcript.open("wb", buffering=0) as written:
        while True:
            if select.select([terminal], [], [], 1.0)[0]:
                try:
                    piece = os.read(terminal, 65536)
                except OSError:  # its other end is closed
                    break
                if not piece:
                    break
                written.write(piece)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, transcript.read_text(errors="replace"), longest


def cut_off(text: str) -> list[str]:
    """Return lines whose counts are shortened, or that are wider than the terminal."""
    lines = [STEERING.sub("", line).rstrip() for part in text.split("\n") for line in part.split("\r")]
    return [line for line in lines if len(line) > COLUMNS or re.search(r"\d…|…\s+…", line)]


def main() -> None:
    """Write the molecule, learn it, look at the terminal."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "own_molecule")
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "methanol.xyz", molecule("CH3OH"))
    command = ["schnet-calc", "learn", str(folder / "methanol.xyz"), *SMALL, "-o", str(folder / "learned")]
    transcript = folder / "transcript.txt"
    status, text, silence = in_terminal(command, transcript)
    print(f"status {status}, longest silence {silence:.0f} s, transcript in {transcript}")
    faults = cut_off(text)
    if status not in (0, 3) or faults or silence > SILENCE:
        last = dict.fromkeys(line.rstrip() for line in STEERING.sub("", text)[-4000:].splitlines())
        sys.exit("\n".join([*last, *faults[:5]]))


if __name__ == "__main__":
    main()
