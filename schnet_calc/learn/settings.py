"""What a run of learning is asked for, with defaults for molecules of 3 to 25 atoms."""

import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from schnet_calc.checks import check_choice, check_not_negative, check_positive

MAY_CHANGE = {
    "budget",
    "workers",
    "timeout",
    "rounds",
    "accuracy",
    "check",
    "device",
    "executor",
    "scheduler",
    "choose",
}
"""Settings with which a run may go on that began with others."""


CHOICES = COMMITTEE, GRADE = "committee", "grade"


@dataclass(frozen=True)
class LearnSettings:
    """Temperature and beads of the dynamics that is wanted, and what may be spent on it.

    Raises
    ------
    ValueError
        A value that makes no sense; the message names it.
    """

    temperature: float = 300.0
    """K."""
    beads: int = 8
    """Of the path integrals; 1 for classical dynamics alone."""
    time: float = 5.0
    """ps of dynamics that have to pass without doubt, of MD and of path integrals each."""
    timestep: float = 0.5
    """fs."""
    budget: int = 1000
    """Labels to train on, at most."""
    start: int = 200
    """Structures from normal modes that are labelled before the first training, per minimum."""
    batch: int = 100
    """Structures labelled between two trainings, or half of those before, if that is more."""
    reference_steps: int = 200
    """Steps of dynamics with the reference itself; every tenth frame is trained on."""
    heat: float = 1.5
    """Times the temperature: of the model's classical dynamics, so that rare structures come soon."""
    accuracy: float = 0.02
    """eV/Å; mean absolute error of force components on new structures that is good enough."""
    members: int = 3
    """Of the committee."""
    rounds: int = 10
    """Trainings, at most."""
    first_steps: int = 6000
    """Training steps of the first round, at least."""
    steps: int = 3000
    """Training steps of every later round, at least."""
    steps_per_label: int = 24
    """Training steps for each label, where these are more."""
    features: int = 64
    """Width of the networks."""
    check: int = 60
    """Structures of the last dynamics that are labelled for the proof alone."""
    workers: int = 1
    """Processes that label at the same time."""
    timeout: float = 3600.0
    """Seconds that one label may take."""
    choose: str = "committee"
    """What finds structures that are worth a label: committee, its disagreement about forces, or grade, the largest
    grade of an atom (docs/guard.md)."""
    relax: bool = True
    """Relax the start structures with the reference first."""
    seed: int = 0
    """Of all random numbers."""
    device: str = "cpu"
    """Of trainings and dynamics: cpu, cuda[:N] or auto."""
    executor: str = "local"
    """What labels and trains: local, processes of this machine, or dask, the workers of a cluster, which must see
    the output's folder."""
    scheduler: str = ""
    """Address of dask's scheduler (tcp://host:8786), or the .json file that it wrote."""

    def __post_init__(self) -> None:
        zero = {"relax", "seed", "reference_steps", "check", "accuracy", "start", "steps_per_label"}
        numbers = {item.name for item in fields(self) if not isinstance(getattr(self, item.name), str)}
        check_not_negative(self, *sorted(zero))
        check_positive(self, *sorted(numbers - zero))
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device is 'auto', 'cpu' or 'cuda[:N]', got {self.device!r}")
        check_choice("choose", self.choose, CHOICES)
        if self.members < 2:
            raise ValueError(f"a committee has at least two members, got {self.members}")
        if self.heat < 1:
            raise ValueError(f"heat multiplies the temperature, by 1 at least, got {self.heat}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def decisive(self) -> dict[str, Any]:
        """Return what decided on the data and networks of a run, and so can't change."""
        return {name: value for name, value in asdict(self).items() if name not in MAY_CHANGE}
