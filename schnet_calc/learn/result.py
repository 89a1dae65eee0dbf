"""What a run of learning leaves behind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


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
