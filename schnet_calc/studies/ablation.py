"""What forces are worth, and how to weigh them: Tables 5.3 and 5.6 of the thesis in small."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schnet_calc.analysis.errors import Errors
from schnet_calc.studies.md17 import train_molecule
from schnet_calc.training import Run, RunConfig

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
    config: RunConfig,
    directory: str | Path,
    command: str,
    progress: Callable[[str, int, int], None] | None = None,
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

        def show(run: Run, _: Any, name: str = name) -> None:
            if progress is not None:
                progress(name, run.step, run.config.training.steps)

        tested = train_molecule(variant, folder, command, show)
        training = variant.training
        found.append(Variant(name, training.rho, training.force_weight, tested.errors))
    return found
