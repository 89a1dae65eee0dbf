"""Doubt: limits from errors on held-out structures, frames held against them."""

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT

from helpers import graded_file, label, rattled
from schnet_calc import load_model
from schnet_calc.learn.doubt import ASTRAY, DOUBT, NORMAL, Calibration, Judge, Judgement
from schnet_calc.learn.dynamics import Exploration
from schnet_calc.learn.settings import LearnSettings


def test_the_limit_follows_the_error_down_to_the_accuracy():
    known = Calibration(force_mae=0.05, error=0.12, spread=0.06, correlation=0.5)
    assert known.ratio == pytest.approx(2.0)
    assert known.limit(0.02) == pytest.approx(DOUBT * 0.12 / 2.0)
    better = Calibration(force_mae=0.005, error=0.012, spread=0.006, correlation=0.5)
    assert better.limit(0.02) == pytest.approx(DOUBT * NORMAL * 0.02 / 2.0)


def test_spread_and_error_are_those_of_the_committee(members):
    judge = Judge(members)
    frames = [label(a, EMT()) for a in rattled(molecule("CH3OH"), 4, 0.05)]
    known = judge.calibrate(frames)
    predictions = judge.model.evaluate(frames)
    off = np.concatenate([p.forces - a.get_forces() for p, a in zip(predictions, frames, strict=True)])
    spread = np.concatenate([p.forces_std for p in predictions])
    assert known.force_mae == pytest.approx(np.abs(off).mean())
    assert known.error == pytest.approx(np.sqrt((off**2).sum(1).mean()))
    assert known.spread == pytest.approx(np.sqrt((spread**2).sum(1).mean()))
    assert -1 <= known.correlation <= 1


def test_frames_beyond_the_limit_are_doubted(members):
    judge = Judge(members)
    frames = [*rattled(molecule("CH3OH"), 3, 0.01), *rattled(molecule("CH3OH"), 3, 0.4)]
    spreads = judge.judge(frames, 1e9).spreads
    limit = float(np.sort(spreads)[-2])
    found = judge.judge(frames, limit)
    assert found.doubtful.tolist() == [int(spreads.argmax())]
    assert "standard deviation is" in found.reasons[int(spreads.argmax())]


def test_grades_decide_where_they_are_asked_to(tmp_path, members):
    known = rattled(molecule("CH3OH"), 40)
    graded = [graded_file(tmp_path / f"{k}.pt", known, n_features=8 * k) for k in (2, 3)]
    frames = [*rattled(molecule("CH3OH"), 3, 0.01), *rattled(molecule("CH3OH"), 3, 0.4)]
    found = Judge(graded, "grade").judge(frames, limit=1e-9)
    grades = np.array([p.grades.max() for p in load_model(graded, device="cpu").evaluate(frames)])
    assert found.spreads == pytest.approx(grades)
    assert found.limit == 1.0
    assert ["the largest grade" in reason for reason in found.reasons] == (grades > 1).tolist()
    assert grades[3:].max() > 1 > grades[:3].max()
    with pytest.raises(ValueError, match="has no grades to choose by"):
        Judge(members, "grade")
    with pytest.raises(ValueError, match="choose is one of committee, grade, got 'luck'"):
        LearnSettings(choose="luck")


def test_what_comes_after_a_lost_frame_is_left_out():
    limit = 0.1
    spreads = np.array([0.05, 0.2, 2.0 * ASTRAY * limit, 50.0, 0.01])
    reasons = ["", "far", "farther", "lost", ""]
    frames = [molecule("H2O") for _ in spreads]
    explored = Exploration()
    explored.add(frames, Judgement(spreads, reasons, limit))
    assert explored.seen == 5
    assert [a.info["doubt"] for a in explored.doubtful] == ["far", "farther"]
    assert len(explored.calm) == 1


def test_doubtful_frames_are_labelled_first():
    explored = Exploration()
    explored.doubtful = rattled(molecule("CH3OH"), 2, 0.2)
    explored.calm = rattled(molecule("CH3OH"), 40, 0.1, seed=9)
    chosen = explored.worth_a_label([molecule("CH3OH")], 5)
    assert {id(a) for a in chosen[:2]} == {id(a) for a in explored.doubtful}
    assert len({id(a) for a in chosen}) == 5
    assert explored.worth_a_label([], 0) == []
    assert explored.worth_a_label([], -3) == []
