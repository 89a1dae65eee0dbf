"""Depth, width and the weight of energies on C20: all rows of Table 5.6 of the thesis, in small."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from schnet_calc.studies.configs import config_folder, data_file
from schnet_calc.studies.kept import KeptPoint, Progress
from schnet_calc.training import Evaluation, RunConfig


class SelectedNetwork(NamedTuple):
    """What a row of the table is about."""

    n_interactions: int
    n_features: int
    rho: float
    """Weight of the energies (Eq. 5.7); with 0, only the constant of the energies is fitted."""


class Published(NamedTuple):
    """Mean absolute errors of Table 5.6."""

    energy: float
    """kcal/mol"""
    force: float
    """kcal/mol/Å"""


PAPER = {
    SelectedNetwork(3, 64, 0.01): Published(0.228, 0.401),
    SelectedNetwork(6, 64, 0.01): Published(0.202, 0.217),
    SelectedNetwork(3, 128, 0.01): Published(0.188, 0.197),
    SelectedNetwork(6, 128, 0.01): Published(0.100, 0.120),
    SelectedNetwork(6, 128, 0.1): Published(0.027, 0.171),
    SelectedNetwork(6, 128, 0.001): Published(0.238, 0.061),
    SelectedNetwork(6, 128, 0.0): Published(0.260, 0.058),
}
"""Its eight rows are seven networks: the first row of its lower half is the last of its upper half."""


@dataclass(frozen=True)
class SelectionPoint(KeptPoint):
    """A network, and what it reached in so many steps."""

    n_interactions: int
    n_features: int
    rho: float
    steps: int
    energy: float
    """Mean absolute error on the two unseen trajectories, kcal/mol."""
    force: float
    """kcal/mol/Å"""

    @property
    def network(self) -> SelectedNetwork:
        """The key of :data:`PAPER`."""
        return SelectedNetwork(self.n_interactions, self.n_features, self.rho)

    @classmethod
    def of(cls, config: RunConfig, tested: Evaluation) -> "SelectionPoint":
        """Take the errors of energies and forces."""
        errors = tested.errors.to_dict()
        return cls(
            config.model.n_interactions,
            config.model.n_features,
            config.training.rho,
            config.training.steps,
            errors["energy_mae_kcal_mol"],
            errors["force_mae_kcal_mol_ang"],
        )


def run_selection(
    directory: str | Path,
    networks: Sequence[SelectedNetwork] = tuple(PAPER),
    steps: int = 20_000,
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> list[SelectionPoint]:
    """Train and test every network; what is there is continued, or only read.

    Parameters
    ----------
    directory : path
        Gets a folder per training, with ``point.json`` when it is done.
    networks : sequence of SelectedNetwork
        Those to train.
    steps : int
        Of each training.
    data : path, optional
        The frames, where they are not where the configuration says.
    progress : callable, optional
        Called with a label, steps done, and their number.
    """
    found = []
    for network in networks:
        name = f"T{network.n_interactions}_F{network.n_features}_rho{network.rho:g}"
        config = configuration(network, steps, data)
        found.append(SelectionPoint.reached(config, Path(directory) / name, progress))
    return found


def read_rows(directory: str | Path) -> list[SelectionPoint]:
    """Return the trainings in a folder that are done, in the order of the table."""
    rows = SelectionPoint.read_all(directory)
    order = list(PAPER)
    return sorted((r for r in rows if r.network in PAPER), key=lambda r: order.index(r.network))


def configuration(network: SelectedNetwork, steps: int, data: str | Path | None = None) -> RunConfig:
    """Return the shipped configuration of ``c20_accurate`` for another network and length.

    Parameters
    ----------
    network : SelectedNetwork
        Depth, width and weight of energies.
    steps : int
        Of the training.
    data : path, optional
        The frames, where they are not where the configuration says.
    """
    config = RunConfig.from_toml(config_folder("c20") / "accurate.toml")
    changes = {
        **network._asdict(),
        "steps": steps,
        "validate_every": max(steps // 10, 1),
        "file": str(data_file(config.data.file) if data is None else data),
    }
    return config.changed(changes)
