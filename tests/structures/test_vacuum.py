"""Much vacuum, and cells by the million: the same pairs."""

import numpy as np
import pytest
from ase.build import bulk

from helpers import key_set
from schnet_calc.structures.neighbors import half_pairs


@pytest.mark.parametrize("pbc", [(1, 1, 1), (1, 1, 0), (0, 1, 0), (0, 0, 0)], ids=str)
@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("width", [30.0, 1e5, 1e9])
def test_no_pair_is_lost_in_a_vacuum(pbc, skewed, width):
    """Clusters strewn over a huge cell, some across its border: the pairs of each, and no others."""
    rng = np.random.default_rng(3)
    cell = width * (np.eye(3) + (0.4 * np.eye(3, k=1) if skewed else 0.0))
    centres = np.array([(0.0, 0.0, 0.0), (0.5, 0.0, 0.9999), (0.25, 0.6, 0.3), (0.75, 0.1, 0.6)]) @ cell
    cluster = rng.uniform(-2, 2, (40, 3))
    alone = half_pairs(cluster, np.zeros((3, 3)), np.zeros(3, bool), 2.5)
    positions = np.concatenate([centre + cluster for centre in centres])
    pbc = np.array(pbc, dtype=bool)
    away = rng.integers(-3, 4, (len(positions), 3)) * pbc @ cell
    found = half_pairs(positions + away, cell, pbc, 2.5)
    assert len(found.i) == len(centres) * len(alone.i)
    vectors = (positions + away)[found.j] + found.shifts - (positions + away)[found.i]
    assert np.linalg.norm(vectors, axis=1).max() < 2.5 * (1 + 1e-7 * width)
    assert (found.i // 40 == found.j // 40).all()


@pytest.mark.parametrize("pbc", [(1, 1, 0), (1, 1, 1)], ids=str)
def test_wide_sheets_need_another_list(pbc, monkeypatch):
    """More cells than vesin can count, in a layer one cell thick: it would end the process."""
    sheet = bulk("Si", "sc", a=2.6) * (30, 30, 1)
    sheet.pbc = pbc
    expected = half_pairs(sheet.positions, sheet.cell.array, sheet.pbc, 4.0)
    monkeypatch.setattr("schnet_calc.structures.cell_lists._vesin_would_crash", lambda *_: True)
    found = half_pairs(sheet.positions, sheet.cell.array, sheet.pbc, 4.0)
    assert key_set(found, sheet.positions, 4.0) == key_set(expected, sheet.positions, 4.0)
    monkeypatch.undo()
    if pbc[2]:
        return  # slower, and nothing new
    wide = bulk("Si", "sc", a=2.6) * (340, 340, 1)
    wide.pbc = pbc
    assert len(half_pairs(wide.positions, wide.cell.array, wide.pbc, 2.7).i) == 2 * 340**2
