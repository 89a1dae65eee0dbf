"""Networks and their hyperparameters."""

import pytest

from helpers import REFERENCES, ethanol, random_network, write_model
from schnet_calc import SchNetCalculator


def test_mean_pooling_is_intensive(tmp_path):
    path = write_model(tmp_path / "mean.pt", pooling="mean")
    calculator = SchNetCalculator(path)
    assert calculator.engine.name == "compiled"
    one, far = ethanol(), ethanol()
    far.positions += 100
    offset = sum(REFERENCES[z] for z in one.numbers)
    single = calculator.evaluate([one])[0].energy - offset
    double = calculator.evaluate([one + far])[0].energy - 2 * offset
    assert double == pytest.approx(single, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_features": 0}, "n_features must be positive, got 0"),
        ({"cutoff": -1.0}, "cutoff must be positive"),
        ({"cutoff_function": "step"}, "cutoff_function is"),
        ({"pooling": "max"}, "pooling is"),
        ({"basis_start": 9.0}, "must lie beyond"),
    ],
)
def test_bad_hyperparameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        random_network(**options)
