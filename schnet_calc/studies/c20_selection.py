"""Depth, width and the weight of energies on C20: all rows of Table 5.6 of the thesis, in small."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from schnet_calc.studies.configs import config_folder, data_file
from schnet_calc.studies.kept import KeptPoint, MeanErrors, Progress
from schnet_calc.training import Evaluation, RunConfig


class SelectedNetwork(NamedTuple):
    """What a row of the table is about."""

    n_interactions: int
    n_features: int
    rho: float
    """Weight of the energies (Eq. 5.7); with 0, only the constant of the energies is fitted."""


PAPER = {
    SelectedNetwork(3, 64, 0.01): MeanErrors(0.228, 0.401),
    SelectedNetwork(6, 64, 0.01): MeanErrors(0.202, 0.217),
    SelectedNetwork(3, 128, 0.01): MeanErrors(0.188, 0.197),
    SelectedNetwork(6, 128, 0.01): MeanErrors(0.100, 0.120),
    SelectedNetwork(6, 128, 0.1): MeanErrors(0.027, 0.171),
    SelectedNetwork(6, 128, 0.001): MeanErrors(0.238, 0.061),
    SelectedNetwork(6, 128, 0.0): MeanErrors(0.260, 0.058),
}
"""Table 5.6. Its eight rows are seven networks: the first row of its lower half is the last of its upper half."""


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

    def cells(self) -> list[str]:
        """Return the network and its errors, each beside the thesis's, as words of a table."""
        paper = PAPER[self.network]
        numbers = (self.energy, paper.energy, self.force, paper.force)
        return [*(f"{x:g}" for x in self.network), *(f"{x:.3f}" for x in numbers)]

    @classmethod
    def of(cls, config: RunConfig, tested: Evaluation) -> "SelectionPoint":
        """Take the errors of energies and forces."""
        network, training = config.model, config.training
        shape = (network.n_interactions, network.n_features)
        return cls(*shape, training.rho, training.steps, *MeanErrors.of(tested.errors))


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
    steps, data, progress
        Of each training; the frames, where they are not where the configuration says; called with a label, steps
        done, and their number.
    """
    configs = {f"T{n[0]}_F{n[1]}_rho{n.rho:g}": configuration(n, steps, data) for n in networks}
    return SelectionPoint.all_reached(configs, directory, progress)


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
