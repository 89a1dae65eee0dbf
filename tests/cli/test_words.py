"""Errors in the words of the command."""

import pytest

from schnet_calc.cli.words import in_options, options_of

OPTIONS = {"--energy-key", "--forces-key", "--temperature", "--skip-bad", "--n-train"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("say energy_key, forces_key, scalars ...", "say --energy-key, --forces-key, scalars ..."),
        ("temperature must be positive, got 0", "--temperature must be positive, got 0"),
        ("skip_bad leaves out such frames", "--skip-bad leaves out such frames"),
        ("runs/n_train.npz has no 'n_train'", "runs/n_train.npz has no 'n_train'"),
        ("the temperature rises", "the temperature rises"),
    ],
)
def test_arguments_become_options(message, expected):
    assert in_options(message, OPTIONS) == expected


def test_options_of_a_command():
    assert {"--energy-key", "--n-train", "--skip-bad"} <= options_of(["train", "--data", "x"])
    assert options_of(["nonsense"]) == set() or "--energy-key" not in options_of(["nonsense"])
