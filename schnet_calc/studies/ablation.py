"""What forces are worth, and how to weigh them: Tables 5.3 and 5.6 of the thesis in small."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schnet_calc.analysis.errors import Errors
from schnet_calc.studies.kept import Progress, steps_of
from schnet_calc.studies.md17 import train_molecule
from schnet_calc.training import RunConfig

VARIANTS: dict[str, dict[str, float]] = {
    "energies alone": {"rho": 1.0, "force_weight": 0.0},
    "forces alone": {"rho": 0.0, "force_weight": 1.0},
    "rho = 0.01": {"rho": 0.01},
    "rho = 0.1": {"rho": 0.1},
    "rho = 1": {"rho": 1.0},
    "rho = 10": {"rho": 10.0},
    "rho = 100": {"rho": 100.0},
}
"""What is changed in the configuration; everything else stays."""


@dataclass(frozen=True)
class Variant:
    """One way to weigh energies and forces, trained and tested."""

    name: str
    rho: float
    force_weight: float
    errors: Errors
    """On frames never used."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"rho": self.rho, "force_weight": self.force_weight, **self.errors.to_dict()}


def run_ablation(
    config: RunConfig, directory: str | Path, command: str, progress: Progress | None = None
) -> list[Variant]:
    """Train and test every variant; runs that are there are continued, those that are done only tested.

    Parameters
    ----------
    config : RunConfig
        Of the molecule; its weights are replaced.
    directory : path
        Gets a folder per variant.
    command : str
        For the metadata.
    progress : callable, optional
        Called with the name of a variant, its steps and their number.
    """
    found = []
    for name, changes in VARIANTS.items():
        variant = config.changed(changes)
        folder = Path(directory) / name.replace(" ", "_").replace("=", "")
        tested = train_molecule(variant, folder, command, steps_of(progress, name))
        training = variant.training
        found.append(Variant(name, training.rho, training.force_weight, tested.errors))
    return found
