"""What a run will probably take, from what it has taken so far."""

from collections.abc import Sequence

from schnet_calc.learn.result import Round
from schnet_calc.learn.settings import LearnSettings

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
