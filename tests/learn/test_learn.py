"""The loop from end to end on ASE's EMT, small; its page; interruptions."""

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from schnet_calc import SchNetCalculator
from schnet_calc.learn import LearnSettings, learn
from schnet_calc.learn.proof import check_on_dynamics
from schnet_calc.learn.store import DONE, LabelStore
from schnet_calc.modelfile import model_sources
from schnet_calc.report.learn_page import write_learn_report

pytestmark = pytest.mark.slow
CALM = {
    "temperature": 30,
    "heat": 1.0,
    "first_steps": 1000,
    "rounds": 3,
    "check": 12,
    "accuracy": 5.0,
    "time": 0.3,
}
"""Cold and trained for longer, so that there is no doubt; time for both samples."""
SCRIPT = """
import json, sys
from ase.build import molecule
from ase.calculators.emt import EMT
from schnet_calc.learn import learn
learn(molecule("H2O"), EMT(), sys.argv[1], resume=True, **json.loads(sys.argv[2]))
"""


def calculations(folder):
    """Kinds and numbers of finished calculations."""
    kinds = [e.kind for e in LabelStore(folder / "labels.db").entries.values() if e.status == DONE]
    return {kind: kinds.count(kind) for kind in set(kinds)}


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A whole run, and what it said."""
    folder, said = tmp_path_factory.mktemp("learned"), []
    return learn(molecule("H2O"), EMT(), folder, say=said.append, **tiny), said


def test_it_leaves_a_committee_that_works(finished, water):
    result, _ = finished
    sources = model_sources((result.directory / "committee.txt").read_text().strip())
    assert sources == [str(p) for p in result.models]
    water.calc = SchNetCalculator(sources, device="cpu")
    assert np.isfinite(water.get_forces()).all()
    assert "forces_std" in water.calc.results


def test_its_numbers_are_those_of_the_database(finished):
    result, said = finished
    kinds = calculations(result.directory)
    assert result.calculations == sum(kinds.values())
    assert kinds["modes"] == 24
    assert kinds["check"] == 6
    assert kinds["dynamics"] == 2  # of 20 steps, every tenth; the first frame is the minimum
    assert result.labels == kinds["modes"] + kinds["minimum"] + kinds["dynamics"] + kinds["doubt"]
    assert [r.labels for r in result.rounds] == [27, result.labels]
    assert result.labels > 27
    assert not result.trusted  # 30 steps are no training
    assert any("round 1" in line for line in said)


def test_its_proof_is_complete(finished):
    proof = finished[0].proof
    assert proof["dynamics"]["n_frames"] == 6
    assert len(proof["dynamics"]["rounds_force_mae_mev_ang"]) == 2
    assert set(proof) == {"dynamics", "stability", "frequencies"}
    json.dumps(finished[0].to_dict())


def test_its_page_shows_it(finished):
    text = write_learn_report(finished[0].directory).read_text()
    assert "H2O, learned from EMT" in text
    assert "committee.txt" in text


def test_a_folder_is_not_taken_twice(finished, water):
    folder = finished[0].directory
    with pytest.raises(FileExistsError, match="holds a run"):
        learn(water, "emt", folder)
    with pytest.raises(ValueError, match="has features = 8, not 9"):
        learn(water, EMT(), folder, resume=True, **{**_settings(folder), "features": 9})
    with pytest.raises(ValueError, match="has other starts than these"):
        learn(molecule("CH4"), EMT(), folder, resume=True, **_settings(folder))


def _settings(folder):
    return json.loads((folder / "learn.json").read_text())["settings"]


def test_a_finished_run_computes_nothing_again(finished, water):
    folder = finished[0].directory
    before = calculations(folder)
    again = learn(water, EMT(), folder, resume=True, **_settings(folder))
    assert calculations(folder) == before
    assert again.labels == finished[0].labels
    assert again.proof["dynamics"] == finished[0].proof["dynamics"]


def test_more_rounds_go_on_from_there(finished, water, tmp_path):
    shutil.copytree(finished[0].directory, tmp_path, dirs_exist_ok=True)
    settings = {**_settings(tmp_path), "rounds": 3}
    more = learn(water, EMT(), tmp_path, resume=True, **settings)
    assert [r.labels for r in more.rounds][:2] == [r.labels for r in finished[0].rounds]
    assert len(more.rounds) == 3
    assert finished[0].labels < more.labels <= settings["budget"]


def test_there_is_no_page_of_half_a_run(finished, tmp_path):
    state = json.loads((finished[0].directory / "learn.json").read_text())
    (tmp_path / "learn.json").write_text(json.dumps({**state, "result": None}))
    with pytest.raises(ValueError, match="isn't finished"):
        write_learn_report(tmp_path)


def test_killed_at_any_stage_it_ends_the_same(finished, tiny, tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), json.dumps(tiny)]
    for seconds in (4.0, 7.0, 10.0, 13.0):
        process = subprocess.Popen(command, start_new_session=True)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, timeout=200)
    assert calculations(tmp_path) == calculations(finished[0].directory)


def test_errors_on_its_own_dynamics_end_it(tiny, water, tmp_path):
    result = learn(water, EMT(), tmp_path, **{**tiny, **CALM})
    (only,) = result.rounds
    assert result.trusted
    assert only.calm
    assert calculations(tmp_path)["trial"] == 6
    assert calculations(tmp_path)["check"] == 12
    assert only.own_mae == pytest.approx(result.proof["dynamics"]["force_mae_mev_ang"] / 1e3)
    assert result.labels == 27  # the trial's are for another round


def test_a_proof_that_is_worse_than_the_trial_asks_for_another_round(tiny, water, tmp_path, monkeypatch):
    def worse_at_first(rounds, *rest):
        found = check_on_dynamics(rounds, *rest)
        return {**found, "force_mae_mev_ang": 6000.0} if len(rounds) == 1 else found

    monkeypatch.setattr("schnet_calc.learn.learner.check_on_dynamics", worse_at_first)
    result = learn(water, EMT(), tmp_path, **{**tiny, **CALM})
    kinds = calculations(tmp_path)
    assert kinds["doubt"] > 0
    assert [r.labels for r in result.rounds] == [27, 27 + 6 + kinds["doubt"]]
    assert result.rounds[0].own_mae == 6.0
    assert result.trusted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 1}, "at least two members, got 1"),
        ({"temperature": -1}, "temperature must be positive"),
        ({"heat": 0.5}, "by 1 at least, got 0.5"),
        ({"time": float("inf")}, "time must be positive and finite"),
    ],
)
def test_settings_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        LearnSettings(**options)


def test_names_that_i_pi_could_not_be_told(water, tmp_path):
    with pytest.raises(ValueError, match=r"there is a '\+' in the name"):
        learn(water, EMT(), tmp_path / "a+b")
    with pytest.raises(ValueError, match="no structure to start from"):
        learn([], EMT(), tmp_path)


def test_a_crystal_keeps_its_cell_and_has_stresses(tiny, tmp_path):
    crystal = bulk("Cu", cubic=True)
    result = learn(crystal, EMT(), tmp_path, **{**tiny, "rounds": 1, "budget": 30})
    labelled = LabelStore(tmp_path / "labels.db").labelled()
    assert len(labelled) == result.labels <= 30
    assert all("stress" in a.calc.results and a.pbc.all() for a in labelled)
    assert result.proof["frequencies"] is None
    assert "stress_mae_gpa" not in result.proof["dynamics"] or result.proof["dynamics"]["n_frames"] == 6
    assert "Cu4, learned from EMT" in write_learn_report(tmp_path).read_text()
