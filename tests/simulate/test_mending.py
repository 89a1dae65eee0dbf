"""What an interruption leaves of a run of dynamics, mended."""

import csv

import numpy as np
import pytest

from helpers import ethanol
from schnet_calc import MDSettings, SchNetCalculator, run_md

SETTINGS = MDSettings(300.0, 0.05, thermostat="none", interval=5)


@pytest.fixture
def finished(tmp_path):
    calculator = SchNetCalculator("ethanol", device="cpu", on_doubt="ignore")
    run_md(ethanol(), calculator, SETTINGS, tmp_path)
    return calculator, tmp_path, (tmp_path / "md.csv").read_text()


def rows(text):
    return [[float(x) for x in row] for row in list(csv.reader(text.splitlines()))[1:]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text + "0.1,not,a,row\n",
        lambda text: "\n".join(text.splitlines()[:4]) + "\n0.0075,nan,0,0,0\n",
    ],
    ids=["empty", "half", "too many", "no numbers"],
)
def test_the_log_is_made_to_fit_the_trajectory(finished, damage):
    calculator, folder, before = finished
    (folder / "md.csv").write_text(damage(before))
    run_md(ethanol(), calculator, SETTINGS, folder, resume=True)
    np.testing.assert_allclose(rows((folder / "md.csv").read_text()), rows(before), atol=1e-8)


def test_a_missing_log(finished):
    calculator, folder, before = finished
    (folder / "md.csv").unlink()
    run_md(ethanol(), calculator, SETTINGS, folder, resume=True)
    np.testing.assert_allclose(rows((folder / "md.csv").read_text()), rows(before), atol=1e-8)


def test_a_trajectory_that_ends_within_a_frame(finished):
    calculator, folder, before = finished
    whole = (folder / "md.traj").read_bytes()
    (folder / "md.traj").write_bytes(whole[:-700])
    run_md(ethanol(), calculator, SETTINGS, folder, resume=True)
    np.testing.assert_allclose(rows((folder / "md.csv").read_text()), rows(before), atol=1e-8)


def test_settings_that_can_not_be_read(finished):
    calculator, folder, _ = finished
    (folder / "md.json").write_text("{")
    with pytest.raises(ValueError, match=r"md\.json.* can't be read"):
        run_md(ethanol(), calculator, SETTINGS, folder, resume=True)
