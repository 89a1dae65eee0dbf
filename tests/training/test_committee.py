"""Training a committee: members that differ, share a test set, resume, and know where they don't know."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from schnet_calc import SchNetCalculator
from schnet_calc.data import Split, read_frames
from schnet_calc.modelfile import load_potential
from schnet_calc.nn import SchNetConfig
from schnet_calc.training import DataConfig, RunConfig, TrainingConfig
from schnet_calc.training.committee import assess, train_members
from schnet_calc.training.setup import training_frames


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Rattled copper: half of the frames hardly, half of them much."""
    images = []
    for seed in range(60):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05 if seed % 2 else 0.2, seed=seed)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        images.append(atoms)
    path = tmp_path_factory.mktemp("data") / "copper.extxyz"
    ase.io.write(path, images)
    return RunConfig(
        DataConfig(file=str(path), n_train=30, n_validation=6),
        SchNetConfig(n_features=16, n_interactions=2, n_gaussians=16, cutoff=4.5),
        TrainingConfig(
            steps=150,
            batch_size=3,
            optimizer="adam",
            rho=0.01,
            learning_rate=1e-2,
            warmup=5,
            validate_every=50,
            threads=1,
        ),
    )


@pytest.fixture(scope="module")
def committee(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("committee")
    return folder, train_members(config, folder, 3, bootstrap=True, command="train it")


def test_members_differ_and_share_the_test_frames(committee):
    _, paths = committee
    assert [p.parent.name for p in paths] == ["member_0", "member_1", "member_2"]
    potentials = [load_potential(p) for p in paths]
    assert len({p.metadata.weights_sha256 for p in potentials}) == 3
    assert len({p.metadata.training["config"]["seed"] for p in potentials}) == 3
    splits = [Split.load(p.parent / "split.npz") for p in paths]
    for part in zip(*splits, strict=True):
        np.testing.assert_array_equal(part[0], part[1])
    assert potentials[0].metadata.training["command"] == "train it"
    assert potentials[0].metadata.training["test_errors"]["n_frames"] == 24


def test_a_bootstrap_draws_from_the_training_frames(config):
    split = Split(np.arange(10, 40), np.arange(10), np.arange(40, 60))
    drawn = []
    for seed in range(3):
        sampled = replace(
            config,
            data=replace(config.data, bootstrap=True),
            training=replace(config.training, seed=seed),
        )
        drawn.append(training_frames(sampled, split))
        np.testing.assert_array_equal(drawn[-1], training_frames(sampled, split))
        assert len(drawn[-1]) == 30
        assert set(drawn[-1]) <= set(split.train)
        assert 12 < len(set(drawn[-1])) < 27  # about 63 percent
    assert not np.array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(training_frames(config, split), split.train)


def test_its_mean_beats_its_members(config, committee):
    _, paths = committee
    frames = read_frames(config.data.file).select(Split.load(paths[0].parent / "split.npz").test)
    found = assess(paths, frames)
    assert found.mean.errors.force_mae_ev_ang < np.mean(found.members)
    assert found.spread > 0
    assert found.correlation > 0.2  # it tells the frames that are rattled much
    assert len(found.to_dict()["members_force_mae_ev_ang"]) == 3


def test_an_interrupted_committee_goes_on(config, committee, tmp_path):
    _, expected = committee

    def stop(member, run, errors):
        if (member, run.step) == (1, 70):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_members(config, tmp_path, 3, bootstrap=True, report=stop)
    with pytest.raises(FileExistsError):
        train_members(config, tmp_path, 3, bootstrap=True)
    paths = train_members(config, tmp_path, 3, bootstrap=True, resume=True)
    for a, b in zip(paths, expected, strict=True):
        assert load_potential(a).metadata.weights_sha256 == load_potential(b).metadata.weights_sha256


def test_one_is_no_committee(config, tmp_path):
    with pytest.raises(ValueError, match="at least two members, got 1"):
        train_members(config, tmp_path, 1)


def test_doubt_grows_away_from_the_data(committee):
    _, paths = committee
    calculator = SchNetCalculator(paths, on_doubt="ignore")
    spreads = []
    for amplitude in (0.05, 0.3):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(amplitude, seed=7)
        spreads.append(float(np.abs(calculator.evaluate([atoms])[0].forces_std).max()))
    assert spreads[1] > 2 * spreads[0]
