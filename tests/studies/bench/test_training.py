"""What measures training steps."""

import pytest
from ase.build import bulk

from schnet_calc.studies.bench.training import (
    SMALL,
    TrainingCase,
    run_training_bench,
    training_cases,
    training_operations,
)

pytestmark = pytest.mark.slow


def test_operations_of_a_step_are_counted():
    """Of two atoms that see each other once, by hand."""
    pair = bulk("C")
    pair.pbc = False
    f, t, n_gaussians = 64, 3, 25
    pairs, layers = f * t * (6 + 12 + 13 + 26), 2 * 6 * f * (3 * t * f + f // 2)
    filters = 3 * t * (1 + 5) * f * (n_gaussians + f)  # one distance, one interval
    assert training_operations(pair, SMALL) == 2.0 * (pairs + layers + filters)
    alone = training_operations(pair, SMALL, forces=False)
    assert alone == 2.0 * (f * t * 18 + layers // 2 + filters)


def test_cases():
    found = list(training_cases())
    assert [len(case.atoms) * case.count for case in found] == [672, 160, 672, 256, 21, 168, 2688]
    assert [case.forces for case in found].count(False) == 1


def test_steps_are_timed(monkeypatch):
    monkeypatch.setattr(
        "schnet_calc.studies.bench.training.training_cases",
        lambda: [TrainingCase("two", bulk("C"), 2, SMALL)],
    )
    found = run_training_bench(seconds=0.01)
    (timing,) = found.timings
    assert timing.adam > timing.floor > 0
    assert timing.over_floor > 1
    assert timing.peer is None
    assert found.parts["whole"] == pytest.approx(sum(v for k, v in found.parts.items() if k != "whole"))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"against": "abacus"}, "nothing, got 'abacus'"), ({"seconds": 0.0}, "seconds must be positive")],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        run_training_bench(**options)
