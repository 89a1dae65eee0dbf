"""What a run of learning will probably take, and what it leaves behind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schnet_calc.learn.settings import LearnSettings


@dataclass
class Round:
    """One training and the dynamics with it."""

    number: int
    """From 0."""
    labels: int
    """That were trained or validated on."""
    calculations: int
    """Of the reference in all: relaxation, Hessian and dynamics too."""
    force_mae: float
    """On validation structures, eV/Å."""
    spread: float
    """Root mean square of the committee's standard deviation there, eV/Å."""
    ratio: float
    """Error per spread there."""
    correlation: float
    """Spearman's, of both."""
    limit: float
    """Of the standard deviation of the force on an atom, eV/Å."""
    seen: int = 0
    """Frames of dynamics."""
    doubtful: int = 0
    """Of those."""
    complete: bool = False
    """Whether the dynamics was as long as wanted."""
    own_mae: float | None = None
    """On structures of its dynamics, where that was long enough and without doubt, eV/Å."""
    example: str = ""
    """A reason for doubt."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Of ``labels``, ``training`` and ``dynamics``, of this round."""

    def confident(self, accuracy: float) -> bool:
        """Return whether this round needs no other: dynamics without doubt, errors as small as wanted.

        The errors are those on its own dynamics, or on validation structures where there are no others.
        """
        error = self.force_mae if self.own_mae is None else self.own_mae
        return self.calm and (not accuracy or error <= accuracy)

    @property
    def calm(self) -> bool:
        """Whether the dynamics was as long as wanted, and without doubt."""
        return self.complete and not self.doubtful


@dataclass(frozen=True)
class LearnResult:
    """Outcome of :func:`schnet_calc.learn.learn`."""

    directory: Path
    """With ``learn.json``, ``labels.db``, the models and the rounds."""
    models: list[Path]
    """The committee; ``committee.txt`` holds the same, as ``--model`` takes it."""
    rounds: list[Round]
    """All of them."""
    trusted: bool
    """Whether the last dynamics met no doubt and its errors, as the proof has them, are as small as wanted."""
    labels: int
    """That were trained or validated on."""
    calculations: int
    """Of the reference, all kinds; failed ones are not among them."""
    failures: int
    """Structures without label, and why is in the database."""
    proof: dict[str, Any]
    """``dynamics``, ``stability`` and ``frequencies``."""
    seconds: dict[str, float]
    """Of ``labels``, ``training``, ``dynamics`` and ``proof``."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "models": [str(path) for path in self.models],
            "trusted": self.trusted,
            "labels": self.labels,
            "calculations": self.calculations,
            "failures": self.failures,
            "rounds": [vars(r) for r in self.rounds],
            "proof": self.proof,
            "seconds": self.seconds,
        }


def committee_text(models: Sequence[Path]) -> str:
    """Return what ``--model`` takes: the files joined by ``+``."""
    return "+".join(str(path) for path in models)


def worth_of(proof: dict[str, Any]) -> dict[str, str]:
    """Return in words what a proof says of errors, calibration, stability and frequencies."""
    found, stability, modes = (proof[name] for name in ("dynamics", "stability", "frequencies"))
    rows = {"new structures of its dynamics": str(found["n_frames"])}
    if "force_mae_mev_ang" in found:
        members = ", ".join(f"{1e3 * m:.1f}" for m in found["members_force_mae_ev_ang"])
        rows |= {
            "frames of it in doubt": f"{found['doubtful_frames']} of {found['frames']}",
            "force MAE there": f"{found['force_mae_mev_ang']:.1f} meV/Å (members: {members})",
            "energy MAE there": f"{1e3 * found.get('energy_mae_ev', math.nan):.1f} meV",
            "disagreement and error": f"of the force on an atom: ranks correlate by "
            f"{found['rank_correlation']:.2f}; the error is {found['error_per_spread']:.1f} times the standard "
            "deviation",
        }
    if stability["stable"]:
        told = f"{stability['time_ps']:g} ps, drift {stability['drift_ev_atom_ps']:.1e} eV/atom/ps"
    else:
        told = f"not stable: {stability['reason']}"
    rows["without thermostat"] = told
    if modes and "mean_error_cm1" in modes:
        off = f"off by {modes['mean_error_cm1']:.1f} cm⁻¹ on average, at most {modes['largest_error_cm1']:.1f}"
        zero = (modes["zero_point_energy_ev"], modes["reference_zero_point_energy_ev"])
        rows |= {"frequencies": off, "zero-point energy": f"{zero[0]:.4f} eV (reference: {zero[1]:.4f})"}
    return rows


TYPICAL_ROUNDS = 4
"""Rounds after which most molecules are learned."""


def before_training(settings: LearnSettings, labels: int, seconds: float) -> str:
    """Say what the first label times tell.

    Parameters
    ----------
    settings : LearnSettings
        Of the run.
    labels : int
        That may still be computed.
    seconds : float
        Of one label.
    """
    most = seconds * labels / settings.workers
    rounds = min(TYPICAL_ROUNDS, settings.rounds)
    return (
        f"a calculation takes {seconds:.2g} s; the budget leaves {labels} labels, {_time(most)} at most. "
        f"Now come rounds of training, dynamics and new labels, about {rounds} of at most "
        f"{settings.rounds}: what the whole run takes is said after the first"
    )


def after_round(rounds: Sequence[Round], settings: LearnSettings, spent: float) -> str:
    """Say what the whole run will probably take; rounds become longer with their labels.

    Parameters
    ----------
    rounds : sequence of Round
        Finished ones, at least one.
    settings : LearnSettings
        Of the run.
    spent : float
        Seconds so far.
    """
    last = sum(rounds[-1].seconds.values())
    left = settings.rounds - len(rounds)
    likely = min(max(TYPICAL_ROUNDS - len(rounds), 1), left)
    proof = rounds[-1].seconds.get("dynamics", 0.0) + rounds[-1].seconds.get("labels", 0.0)
    words = (
        f"{_time(spent)} so far; the whole run will probably take {_time(spent + likely * last + proof)}"
    )
    if likely == left:
        return words
    return f"{words}, and {_time(spent + left * last + proof)} if all {settings.rounds} rounds are needed"


def _time(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
