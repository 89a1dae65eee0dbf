"""What is said of the time a run takes."""

from schnet_calc.learn.result import Round, after_round, before_training
from schnet_calc.learn.settings import LearnSettings


def round_of(number: int, **seconds: float) -> Round:
    return Round(number, 100, 120, 0.05, 0.05, 1.0, 0.5, 0.1, seconds=seconds)


def test_the_whole_run_is_foretold():
    settings = LearnSettings(rounds=10, workers=2, budget=500)
    assert "300 labels, 5 min at most" in before_training(settings, 300, 2.0)
    rounds = [round_of(0, training=300.0, dynamics=120.0, labels=180.0)]
    said = after_round(rounds, settings, 900.0)
    # 15 min so far, three more rounds of 10 min, and a proof of 5 min; or nine more.
    assert said.startswith(
        "15 min so far; the whole run will probably take 50 min, and 1.8 h if all 10 rounds"
    )


def test_after_many_rounds_one_more_is_likely():
    rounds = [round_of(k, training=60.0) for k in range(9)]
    assert after_round(rounds, LearnSettings(rounds=10), 540.0).endswith("will probably take 10 min")


def test_a_short_run_is_foretold_in_seconds():
    said = before_training(LearnSettings(rounds=2), 30, 0.0075)
    assert "30 labels, 0 s at most" in said
    assert "about 2 of at most 2" in said
