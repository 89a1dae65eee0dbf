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
    minutes = seconds * labels / settings.workers / 60
    return (
        f"a calculation takes {seconds:.2g} s; the budget leaves {labels} labels, {minutes:.1f} min at most. "
        f"Now come rounds of training, dynamics and new labels, about {TYPICAL_ROUNDS} of at most "
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
    last = sum(rounds[-1].seconds.values()) / 60
    left = settings.rounds - len(rounds)
    likely = min(max(TYPICAL_ROUNDS - len(rounds), 1), left)
    so_far = spent / 60
    proof = (rounds[-1].seconds.get("dynamics", 0.0) + rounds[-1].seconds.get("labels", 0.0)) / 60
    return (
        f"{so_far:.1f} min so far; the whole run will probably take {so_far + likely * last + proof:.0f} min, "
        f"and {so_far + left * last + proof:.0f} if all {settings.rounds} rounds are needed"
    )
