"""A dense network of one molecule, to compare with."""

import numpy as np
import pytest

from helpers import ethanol
from schnet_calc.analysis.errors import Errors
from schnet_calc.data import Frames, read_frames
from schnet_calc.studies.baseline import train_dense


def springs_frames(tmp_path, n):
    rng = np.random.default_rng(1)
    start = ethanol()
    moves = rng.normal(scale=0.05, size=(n, len(start), 3))
    path = tmp_path / "springs.npz"
    np.savez(
        path,
        R=start.positions + moves,
        z=start.numbers,
        E=(5.0 * moves**2).sum(axis=(1, 2))[:, None] - 3000.0,
        F=-10.0 * moves,
        e_unit="eV",
    )
    return read_frames(path)


def test_a_dense_network_learns_and_is_of_one_molecule(tmp_path):
    frames = springs_frames(tmp_path, 300)
    train, test = frames.select(np.arange(200)), frames.select(np.arange(200, 300))
    found = train_dense(train, test, steps=150)
    mean = Errors.of(test.energies - train.energies.mean(), test.forces.ravel())
    errors = Errors.of(found.energies - test.energies, found.forces.ravel() - test.forces.ravel())
    assert errors.force_mae_ev_ang < 0.8 * mean.force_mae_ev_ang
    other = Frames(**{**vars(test), "numbers": np.roll(test.numbers, 1)})
    with pytest.raises(ValueError, match="frames of one molecule"):
        train_dense(train, other, steps=1)
