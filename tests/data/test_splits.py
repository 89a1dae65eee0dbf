"""Frames to train on, to validate with and to test."""

import numpy as np
import pytest

from schnet_calc.data import Split, split_frames


def test_random_split(tmp_path):
    split = split_frames(100, 60, 20, seed=4)
    assert [len(part) for part in split] == [60, 20, 20]
    assert len(np.unique(np.concatenate(split))) == 100
    split.save(tmp_path / "split.npz")
    for a, b in zip(Split.load(tmp_path / "split.npz"), split, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(split_frames(100, 60, 20, seed=4).train, split.train)
    assert (split_frames(100, 60, 20, seed=5).train != split.train).any()


def test_blocks_keep_the_last_trajectories_apart():
    split = split_frames(1000, 500, 100, method="blocks", n_test=200)
    assert split.test.tolist() == list(range(800, 1000))
    assert max(split.train.max(), split.validation.max()) < 800
    assert not set(split.train) & set(split.validation)


def test_impossible_splits():
    with pytest.raises(ValueError, match="90 frames to train on, 20 to validate"):
        split_frames(100, 90, 20)
    with pytest.raises(ValueError, match="the blocks before the test set hold 80"):
        split_frames(100, 70, 20, method="blocks", n_test=10, n_blocks=5)
    with pytest.raises(ValueError, match="method is"):
        split_frames(100, 7, 2, method="sorted")


def test_overlapping_split_file(tmp_path):
    Split(np.arange(5), np.arange(4, 8), np.arange(9, 12)).save(tmp_path / "s.npz")
    with pytest.raises(ValueError, match="occurs twice"):
        Split.load(tmp_path / "s.npz")
