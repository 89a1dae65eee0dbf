"""What the network of QM9 has learned."""

import json

import ase
import numpy as np
import pytest
from ase.build import molecule

from helpers import write_qm9
from schnet_calc import Model
from schnet_calc.data import read_frames
from schnet_calc.insight import atom_contributions, find_rings
from schnet_calc.studies.qm9_insight import pair_distribution, rank_rings


def puckered():
    atoms = molecule("C6H6")
    ring = find_rings(atoms)[0]
    atoms.positions[ring, 2] += 0.3 * (-1.0) ** np.arange(6)  # it lies in the xy plane
    return atoms


@pytest.fixture
def qm9(tmp_path):
    formulas = ("H2O", "C6H6", "C5H5N", "CH4")
    stretched = molecule("C6H6")
    stretched.positions *= 1.03
    return write_qm9(tmp_path / "qm9", [*(molecule(f) for f in formulas), stretched, puckered()])


def test_flat_carbon_rings_are_ranked_by_their_sums(qm9):
    frames, model = read_frames(qm9), Model("qm9", on_doubt="ignore")
    assert len(find_rings(puckered())) == 1
    ranked = rank_rings(model, frames, range(len(frames)))
    assert sorted(r.row for r in ranked) == [
        1,
        4,
    ]  # pyridine is no ring of carbon, the puckered one isn't flat
    for ring in ranked:
        shares = atom_contributions(model, [frames.atoms(ring.row)]).energies
        assert ring.energy == pytest.approx(shares[:6].sum(), abs=1e-9)
    assert ranked[0].energy <= ranked[1].energy


def test_pairs_are_counted_within_molecules():
    edges = np.linspace(0.5, 2.5, 21)
    shares = pair_distribution([molecule("H2O"), molecule("CH4")], ("H", "O"), edges)
    assert shares.sum() * 0.1 == pytest.approx(1.0)
    (bin_,) = np.flatnonzero(shares)
    assert edges[bin_] < 0.97 < edges[bin_ + 1]
    assert not pair_distribution([ase.Atoms("He")], ("H", "O"), edges).any()


def test_the_command_writes_figures_and_numbers(run, qm9, tmp_path, figures):
    code, out, err = run("reproduce", "insight", "--data", qm9, "-o", "figures", "--json", "i.json")
    assert code == 0, err
    assert "flat six-membered rings of carbon" in out
    found = json.loads((tmp_path / "i.json").read_text())
    assert found["n_rings"] == 2
    assert [r["formula"] for r in found["rings"]] == ["C6H6", "C6H6"]
    assert set(found["contributions"]) == {"H", "C", "N", "O"}
    names = {
        "contributions",
        "potentials",
        "bond_breaking",
        "bond_breaking_close",
        "rings",
        "pair_distributions",
    }
    assert {f"{name}.png" for name in names} <= set(figures)
    (close,) = figures["bond_breaking_close.png"].axes
    assert max(line.get_xdata().max() for line in close.lines) <= 4.0
