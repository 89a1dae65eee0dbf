"""How many structures of a run lay outside of what the model knows, kept in its folder."""

import json
from dataclasses import dataclass
from pathlib import Path

from schnet_calc.folders import replace_text

DOUBTS = "doubtful.json"


@dataclass(frozen=True)
class Doubts:
    """Doubtful structures so far."""

    count: int = 0
    reason: str = ""
    """Of the first one."""

    def __add__(self, later: "Doubts") -> "Doubts":
        """Return these and later ones."""
        return Doubts(self.count + later.count, self.reason or later.reason)

    def write(self, directory: Path) -> None:
        """Keep them in the folder of a run; a run that has gone astray does so at every step."""
        kept = {"doubtful_structures": self.count, "first_reason": self.reason}
        replace_text(directory / DOUBTS, json.dumps(kept))


NO_DOUBTS = Doubts()


def read_doubts(directory: Path) -> Doubts:
    """Those of the run in a folder, none where no file says so."""
    try:
        values = json.loads((directory / DOUBTS).read_text())
        return Doubts(int(values["doubtful_structures"]), str(values["first_reason"]))
    except (FileNotFoundError, ValueError, KeyError):
        return NO_DOUBTS
