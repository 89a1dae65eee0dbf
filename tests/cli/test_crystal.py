"""``schnet-calc crystal``."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule


def test_crystal(run, tmp_path, figures):
    ase.io.write(tmp_path / "si.cif", bulk("Si", a=5.4))
    code, out, err = run("crystal", "si.cif", "--model", "silicon", "--supercell", "4", "4", "4")
    assert code == 0, err
    found = json.loads((tmp_path / "crystal" / "crystal.json").read_text())
    assert found["bulk_modulus_gpa"] == pytest.approx(87.5, abs=0.2)
    assert found["averages"]["bulk"] == pytest.approx(found["bulk_modulus_gpa"], rel=0.005)
    assert "differ" not in out
    corners = found["phonons"]["corners"]
    assert found["phonons"]["interpolated_corners"] == ["K", "U"]
    assert "at K, interpolated" in out
    np.testing.assert_allclose(corners["K"], corners["U"], atol=0.01)  # the same by symmetry
    assert found["phonons"]["lowest_cm1"] > -1
    assert "stable against strain" in out
    assert ase.io.read(tmp_path / "crystal" / "relaxed.extxyz").cell.lengths()[0] == pytest.approx(
        3.87, abs=0.02
    )
    axes = figures["phonons.png"].axes[0]
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert labels[:3] == ["Γ", "X", "W"]
    assert any("|" in label for label in labels)
    assert len(axes.lines) == 6  # a line for each branch
    dots = axes.collections[0].get_offsets()
    assert 6 * 8 < len(dots) < 0.5 * 6 * len(axes.lines[0].get_xdata())  # where nothing is interpolated
    assert len(figures["equation_of_state.png"].axes[0].lines[1].get_xdata()) == 9


def test_a_molecule_is_refused(run, tmp_path):
    ase.io.write(tmp_path / "water.xyz", molecule("H2O"))
    code, _, err = run("crystal", "water.xyz", "--model", "silicon")
    assert code == 1
    assert "periodic along all directions" in err


def test_averages_of_an_isotropic_solid():
    """Both bounds are the constants themselves."""
    from schnet_calc.analysis.elasticity import elastic_averages

    bulk_modulus, shear = 100.0, 60.0
    constants = np.diag([2 * shear] * 3 + [shear] * 3)
    constants[:3, :3] += bulk_modulus - 2 * shear / 3
    found = elastic_averages(constants)
    assert found.bulk == pytest.approx(bulk_modulus)
    assert found.shear == pytest.approx(shear)
    assert found.young == pytest.approx(9 * bulk_modulus * shear / (3 * bulk_modulus + shear))
    assert found.lowest == pytest.approx(shear)
