"""From benzene to s-triazine."""

import numpy as np
import pytest
from ase.build import molecule

from helpers import write_qm9
from schnet_calc import Model
from schnet_calc.analysis.errors import KCAL_MOL
from schnet_calc.data import read_frames
from schnet_calc.studies.alchemy import MOLECULES, in_order, study_alchemy


def azine(nitrogens, seed):
    """Benzene's ring with nitrogens in place of CH, turned, moved and in another order."""
    atoms = molecule("C6H6")
    ring = np.argsort(np.arctan2(*atoms.positions[:6, :2].T))
    gone = []
    for k in ring[list(nitrogens)]:
        atoms.numbers[k] = 7
        gone.append(6 + int(atoms.get_distances(k, range(6, 12)).argmin()))
    del atoms[gone]
    atoms.rotate(35 * (seed + 1), (1, 1, 2))
    atoms.positions += seed
    return atoms[np.random.default_rng(seed).permutation(len(atoms))]


@pytest.fixture
def frames(tmp_path):
    rows = [molecule("H2O")] * 213
    for seed, (row, nitrogens) in enumerate(MOLECULES.values()):
        rows[row] = azine(nitrogens, seed)
    return read_frames(write_qm9(tmp_path / "qm9", rows))


def test_rings_are_put_in_order(frames):
    for row, nitrogens in MOLECULES.values():
        atoms = in_order(frames.atoms(row), nitrogens)
        assert tuple(np.flatnonzero(atoms.numbers == 7)) == nitrogens
        assert [k - 6 for k in np.flatnonzero(atoms.numbers == 0)] == list(nitrogens)
        for k in range(6):
            assert atoms.get_distance(k, (k + 1) % 6) < 1.5
            assert atoms.get_distance(k, k + 6) < 1.2


def test_paths_pass_the_molecules(frames):
    study, model = study_alchemy("qm9", frames, points=2), Model("qm9", on_doubt="ignore", dtype="float64")
    assert all(path.shape == (7,) for path in study.paths.values())
    known = model.potential.reference_energies
    for k, (row, _) in enumerate(MOLECULES.values()):
        atoms = frames.atoms(row)
        composition = sum(known[int(z)] for z in atoms.numbers)
        expected = (model.evaluate([atoms])[0].energy - composition) / KCAL_MOL
        # These rings have benzene's geometry: fixed and relaxed paths pass the same molecules.
        for path in study.paths.values():
            assert path[2 * k] == pytest.approx(expected, abs=1e-3)
        assert study.labels[k] == pytest.approx((frames.labels["energy"][row] - composition) / KCAL_MOL)
