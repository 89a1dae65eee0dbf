"""What a round trains on: roles that stay, labels that fit, forces of ordinary size."""

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT

from helpers import label, rattled, strained_copper
from schnet_calc.data import Split, read_frames
from schnet_calc.learn.settings import LearnSettings
from schnet_calc.learn.training import FRAMES, SPLIT, training_config, write_data


@pytest.fixture
def labelled():
    return [label(a, EMT()) for a in rattled(molecule("H2O"), 40, 0.05)]


def test_structures_keep_their_role(labelled, tmp_path):
    folders = []
    for count in (30, 40):
        folders.append(tmp_path / str(count))
        folders[-1].mkdir()
        write_data(labelled[:count], folders[-1], "EMT")
    early, late = (Split.load(f / SPLIT) for f in folders)
    assert early.validation.tolist() == [5, 15, 25]
    assert late.validation.tolist() == [5, 15, 25, 35]
    assert set(early.train) <= set(late.train)
    assert not len(late.test)
    frames = read_frames(folders[1] / FRAMES)
    assert len(frames) == 40
    assert frames.info["theory"] == "EMT"


def test_violent_structures_are_left_out(labelled, tmp_path):
    labelled[3].calc.results["forces"] = labelled[3].calc.results["forces"] + 100.0
    write_data(labelled, tmp_path, "EMT")
    assert 3 not in np.concatenate(Split.load(tmp_path / SPLIT))


def test_too_few_are_said_to_be_too_few(labelled, tmp_path):
    with pytest.raises(RuntimeError, match="7 labels are too few"):
        write_data(labelled[:7], tmp_path, "EMT")


def test_later_rounds_are_shorter(labelled, tmp_path):
    settings = LearnSettings(first_steps=100, steps=40, steps_per_label=0)
    first, later = (training_config(tmp_path, labelled, settings, further) for further in (False, True))
    assert (first.training.steps, later.training.steps) == (100, 40)
    assert later.training.learning_rate < first.training.learning_rate
    assert first.model == later.model
    assert not first.data.stress_key


def test_steps_follow_the_labels(labelled, tmp_path):
    config = training_config(tmp_path, labelled, LearnSettings(device="cuda:1"), False)
    assert config.training.device == "cuda:1"
    with pytest.raises(ValueError, match="device is 'auto', 'cpu' or 'cuda"):
        LearnSettings(device="gpu")
    config = training_config(tmp_path, labelled, LearnSettings(steps_per_label=1000), False)
    assert config.training.steps == 1000 * len(labelled)


def test_stresses_and_dipoles_are_trained_on_where_all_have_them(labelled, tmp_path):
    for atoms in labelled:
        atoms.calc.results["dipole"] = np.zeros(3)
    assert training_config(tmp_path, labelled, LearnSettings(), False).data.dipole_key == "dipole"
    del labelled[0].calc.results["dipole"]
    assert training_config(tmp_path, labelled, LearnSettings(), False).data.dipole_key == ""
    crystals = strained_copper(4)[1:]
    config = training_config(tmp_path, crystals, LearnSettings(), False)
    assert config.data.stress_key == "stress"
    assert config.training.stress_weight > 0
