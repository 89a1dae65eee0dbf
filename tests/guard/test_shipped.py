"""The shipped models doubt what a chemist would."""

import numpy as np
import pytest
from ase.build import bulk, molecule

from schnet_calc import SchNetCalculator, load_model
from schnet_calc.errors import BadStructureError, DoubtfulStructureError
from schnet_calc.guard.guard import known_domain


def two_ethanols():
    atoms = molecule("CH3CH2OH")
    other = atoms.copy()
    other.positions += [0.0, 0.0, 6.0]
    return atoms + other


def torn_ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.positions[2] += [1.5, 0.0, 0.0]
    return atoms


@pytest.mark.parametrize(
    ("model", "atoms", "words"),
    [
        ("ethanol", molecule("CH3OH"), "trained on C2H6O only"),
        ("ethanol", molecule("CH3OCH3"), "neighbours of C"),
        ("ethanol", molecule("H2O"), "trained on C2H6O only"),
        ("ethanol", molecule("C6H6"), "trained on C2H6O only"),
        ("ethanol", two_ethanols(), "separate molecules"),
        ("ethanol", torn_ethanol(), "neighbours"),
        ("c20", molecule("C60"), "trained on C20 only"),
        ("silicon", molecule("Si2H6")[:2], "trained on Si, periodic only"),
        ("h2co", molecule("CH4"), "trained on CH2O only"),
    ],
)
def test_doubt(model, atoms, words):
    calculator = SchNetCalculator(model, on_doubt="stop", device="cpu")
    with pytest.raises(DoubtfulStructureError, match=words):
        calculator.evaluate([atoms])


def test_other_elements_are_refused():
    with pytest.raises(BadStructureError, match="atom 0 is Ge, but this model knows Si"):
        SchNetCalculator("silicon", device="cpu").evaluate([bulk("Ge")])


MOLECULES = (
    *(
        "ethanol",
        "malonaldehyde",
        "benzene",
        "uracil",
        "toluene",
        "aspirin",
        "naphthalene",
        "salicylic_acid",
    ),
    *("isomers", "h2co", "c20"),
)


@pytest.mark.parametrize("model", MOLECULES)
def test_molecules_have_ranges_by_numbers_of_bonds(model):
    """And one grade of all atoms together for each composition."""
    domain = known_domain(load_model(model, device="cpu").potentials)
    assert domain.shapes
    assert all(any(c.isdigit() for c in name) for name in domain.shapes)
    assert domain.grades.keys() == domain.formulas
    assert all(0.1 < x < 1 for x in domain.grades.values())


@pytest.mark.parametrize("model", ["ethanol", "benzene", "silicon", "h2co"])
def test_no_doubt_near_the_minimum(model):
    start = {
        "ethanol": molecule("CH3CH2OH"),
        "benzene": molecule("C6H6"),
        "silicon": bulk("Si", cubic=True) * (2, 2, 2),
        "h2co": molecule("H2CO"),
    }[model]
    calculator = SchNetCalculator(model, on_doubt="stop", device="cpu")
    structures = []
    for k in range(5):
        atoms = start.copy()
        atoms.rattle(0.02, seed=k)
        structures.append(atoms)
    assert np.isfinite([p.energy for p in calculator.evaluate(structures)]).all()
