"""A sample of disturbances: the same trajectory."""

import threading

import numpy as np
import pytest

import interruptions
from schnet_calc import SchNetCalculator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed():
    calculator = SchNetCalculator("c20", device="cpu")
    result, outcome = interruptions.perform(interruptions.undisturbed, True, calculator, 0)
    assert outcome == "completed"
    return calculator, result


@pytest.mark.parametrize(
    ("disturb", "batched"),
    interruptions.DISTURBANCES,
    ids=lambda d: getattr(d, "__name__", "batched" if d else ""),
)
def test_disturbed_runs_end_with_the_same_trajectory(undisturbed, disturb, batched):
    """A sample; ``benchmarks/interruptions.py`` does a hundred."""
    calculator, expected = undisturbed
    before = threading.active_count()
    result, outcome = interruptions.perform(disturb, batched, calculator, seed=11)
    assert outcome == "completed"
    # A restart passes through i-PI's text file and its normal modes: the last digit may differ.
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)
    assert threading.active_count() <= before + 1  # a thread may just be ending
