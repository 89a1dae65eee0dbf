"""Shares of atoms and pairs in an energy; what can't be seen into."""

import ase
import ase.io
import numpy as np
import pytest

from helpers import FOREIGN, ethanol, skewed_silicon, write_foreign, write_model
from schnet_calc import SchNetCalculator
from schnet_calc.insight import (
    atom_contributions,
    attribute,
    distance_sensitivity,
    filter_curves,
    filter_cuts,
    local_chemical_potential,
    potential_surface,
)


@pytest.mark.parametrize("shape", [ethanol, skewed_silicon])
def test_integrated_gradients_add_up(potential, shape):
    shares = attribute(potential, shape(), tolerance=1e-7)
    assert shares.pairs.sum() == pytest.approx(shares.energy - shares.baseline, abs=1e-6)
    assert shares.atoms.sum() == pytest.approx(shares.pairs.sum(), abs=1e-9)
    assert shares.energy == pytest.approx(atom_contributions(potential, [shape()]).energies.sum(), abs=1e-6)
    apart = [ase.Atoms([z]) for z in shape().numbers]
    assert shares.baseline == pytest.approx(atom_contributions(potential, apart).energies.sum(), abs=1e-6)


def test_gradient_times_distance_is_the_trace_of_the_virial(potential):
    atoms = ethanol()
    shares = attribute(potential, atoms, "gradient")
    virial = SchNetCalculator(potential, engine="script").evaluate([atoms])[0].virial
    assert shares.pairs.sum() == pytest.approx(np.trace(virial), abs=1e-8)
    lonely = attribute(potential, ase.Atoms("C"))
    assert lonely.atoms.tolist() == [0.0]
    assert lonely.energy == lonely.baseline


def test_models_without_a_cutoff_can_be_seen_into(tmp_path):
    path = write_model(tmp_path / "all.pt", cutoff_function="none")
    shares = attribute(path, ethanol(), tolerance=1e-7)
    assert shares.pairs.sum() == pytest.approx(shares.energy - shares.baseline, abs=1e-6)
    assert np.isfinite(local_chemical_potential(path, ethanol(), np.array([[9.0, 9.0, 9.0]]))).all()
    with pytest.raises(ValueError, match="need a model with a cutoff"):
        filter_cuts(path, cell=np.eye(3))


def test_what_cannot_be_seen_is_named(potential, tmp_path):
    with pytest.raises(ValueError, match="'Fe' is asked for, but this model knows H, C, O, Si"):
        local_chemical_potential(potential, ethanol(), np.zeros((1, 3)), "Fe")
    with pytest.raises(ValueError, match="atom 0 is Fe, but this model knows"):
        local_chemical_potential(potential, ase.Atoms("Fe"), np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"points must be \(M, 3\)"):
        local_chemical_potential(potential, ethanol(), np.zeros(3))
    with pytest.raises(ValueError, match="row of positive numbers"):
        distance_sensitivity(potential, ("C", "H"), np.array([0.0, 1.0]))
    for wrong in ({"level": -1.0}, {"spacing": 0.0}):
        with pytest.raises(ValueError, match="level and spacing must be positive"):
            potential_surface(potential, ethanol(), **wrong)
    with pytest.raises(ValueError, match="no point of the grid lies within"):
        potential_surface(potential, ethanol(), level=1e9)
    dipoles = write_model(tmp_path / "dipoles.pt", energy=False, heads={"dipole": "charges"})
    with pytest.raises(ValueError, match="or one other number; this model has none"):
        local_chemical_potential(dipoles, ethanol(), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="method is one of integrated, gradient"):
        attribute(potential, ethanol(), "shap")
    foreign = write_foreign(tmp_path / "foreign.pt", FOREIGN)
    with pytest.raises(ValueError, match="holds no plain weights of a network"):
        filter_curves(foreign, np.ones(2))
