"""Errors of means on series whose error is known: autoregressive ones of first order."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from schnet_calc.analysis.averages import (
    FEWEST,
    Estimate,
    correlation_time,
    error_over_blocks,
    independent_values,
    mean_with_error,
)
from schnet_calc.analysis.distances import distribution


def series(memory, n, seed):
    """x(t) = memory x(t - 1) + noise, of variance one and mean zero."""
    noise = np.random.default_rng(seed).normal(size=n + 2000) * np.sqrt(1 - memory**2)
    return lfilter([1], [1, -memory], noise)[2000:]


def exact_error(memory, n):
    """Of the mean of n values: the sum over the correlation function memory**k."""
    tail = 2 * memory * (1 - memory**n) / (n * (1 - memory) ** 2)
    return np.sqrt(((1 + memory) / (1 - memory) - tail) / n)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_the_error_is_that_of_the_series(memory):
    n = round(200 * (1 + memory) / (1 - memory))
    found = [mean_with_error(series(memory, n, seed)) for seed in range(200)]
    errors = np.array([e.error for e in found])
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(exact_error(memory, n), rel=0.06)
    assert np.mean([abs(e.value) < 2 * e.error for e in found]) == pytest.approx(0.954, abs=0.045)


@pytest.mark.parametrize("memory", [0.9, 0.97, 0.99])
def test_a_series_as_long_as_its_memory_has_no_error(memory):
    """Ten blocks of it would say 0.35 of the true error."""
    n = round(2 * (1 + memory) / (1 - memory))
    found = [mean_with_error(series(memory, n, seed)) for seed in range(200)]
    assert np.mean([math.isnan(e.error) for e in found]) > 0.9
    assert "independent values: too short a run for an error" in str(
        next(e for e in found if math.isnan(e.error))
    )


def test_correlation_time():
    times = [correlation_time(series(0.9, 20_000, seed)) for seed in range(20)]
    assert np.mean(times) == pytest.approx(0.5 * 1.9 / 0.1, rel=0.05)
    assert correlation_time(np.full(50, 3.0)) == 0.5
    assert independent_values(np.linspace(0, 1, 1000)) < FEWEST  # a drift is no average


def test_blocks_that_are_too_short_have_no_error():
    long, short = series(0.9, 4000, 0), series(0.99, 400, 0)
    for values, known in ((long, True), (short, False)):
        blocks = np.array([[b.mean()] for b in np.array_split(values, 5)])
        assert np.isfinite(error_over_blocks(values, blocks)).all() == known
        found = distribution(1.5 + 0.1 * values[:, None], 1.0, 2.0, bins=10)
        assert np.isfinite(found.error).all() == known
        assert math.isfinite(found.mean_error) == known


def test_what_is_printed():
    assert str(Estimate(1.23456, 0.0123, 40.0)) == "1.235 ± 0.012"
    assert str(Estimate(1.23456, math.nan)) == "1.235 (too few values: too short a run for an error)"
    assert str(Estimate(1.23456, math.nan, 4.2)).startswith("1.235 (about 4 independent values")
    assert Estimate(2.0, 0.5, 30.0) * 0.5 == (1.0, 0.25, 30.0)
