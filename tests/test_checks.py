import math
from types import SimpleNamespace

import pytest

from schnet_calc.checks import check_choice, check_not_negative, check_positive


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan])
def test_a_number_that_is_not_positive_is_named(value):
    check_positive(SimpleNamespace(time=2.0, steps=None), "time", "steps")
    with pytest.raises(ValueError, match=rf"steps must be positive and finite, got {value}"):
        check_positive(SimpleNamespace(time=1.0, steps=value), "time", "steps")


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_zero_is_not_negative(value):
    check_not_negative(SimpleNamespace(rho=0.0, weight=None), "rho", "weight")
    with pytest.raises(ValueError, match=rf"rho must not be negative, and finite, got {value}"):
        check_not_negative(SimpleNamespace(rho=value), "rho")


def test_a_choice_tells_what_is_known():
    check_choice("basis", "bessel", ("gaussian", "bessel"))
    with pytest.raises(ValueError, match="basis is one of gaussian, bessel, got 'fourier'"):
        check_choice("basis", "fourier", ("gaussian", "bessel"))
