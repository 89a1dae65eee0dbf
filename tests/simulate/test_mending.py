"""What an interruption leaves of a run of dynamics, mended."""

import csv
import signal

import ase.io.ulm
import numpy as np
import pytest
from ase.io.trajectory import Trajectory

from helpers import ethanol
from schnet_calc import MDSettings, SchNetCalculator, run_md

SETTINGS = MDSettings(300.0, 0.05, thermostat="none", interval=5, equilibrate=0.0)


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


def test_a_signal_within_a_frame_waits_for_its_end(tmp_path, monkeypatch):
    """The third frame is on its way when it comes: three rows and three frames, nothing to mend."""
    fill, vectors = ase.io.ulm.Writer.fill, []

    def interrupted(writer, array):
        if array.shape == (9, 3):
            vectors.append(array)
            if len(vectors) == 7:  # positions, momenta, forces of two frames; then positions of the third
                signal.raise_signal(signal.SIGINT)
        fill(writer, array)

    monkeypatch.setattr(ase.io.ulm.Writer, "fill", interrupted)
    calculator = SchNetCalculator("ethanol", device="cpu", on_doubt="ignore")
    with pytest.raises(KeyboardInterrupt):
        run_md(ethanol(), calculator, SETTINGS, tmp_path)
    with Trajectory(tmp_path / "md.traj") as trajectory:
        assert len([atoms.positions for atoms in trajectory]) == 3
    assert len(rows((tmp_path / "md.csv").read_text())) == 3


def test_settings_that_can_not_be_read(finished):
    calculator, folder, _ = finished
    (folder / "md.json").write_text("{")
    with pytest.raises(ValueError, match=r"md\.json.* can't be read"):
        run_md(ethanol(), calculator, SETTINGS, folder, resume=True)


def test_another_start_is_refused(finished):
    """Of the same atoms: the run in the folder is not continued as if it had begun there."""
    calculator, folder, _ = finished
    other, moved = ethanol(), ethanol()
    other.positions[2, 1] += 0.2
    moved.set_cell([9.0, 9.0, 9.0])
    for atoms, off in ((other, "0.2"), (moved, "9")):
        with pytest.raises(ValueError, match=f"began from another structure: .* by up to {off} Å"):
            run_md(atoms, calculator, SETTINGS, folder, resume=True)


def test_frames_that_are_lost_are_told(finished, caplog):
    calculator, folder, before = finished
    with Trajectory(folder / "md.traj") as frames:
        kept = [frames[k] for k in range(3)]
    with Trajectory(folder / "md.traj", "w") as frames:
        for atoms in kept:
            frames.write(atoms)
    run_md(ethanol(), calculator, SETTINGS, folder, resume=True)
    assert f"lacks {len(rows(before)) - 4} frames that its log has: they are computed again" in caplog.text
