"""Point groups of molecules that everybody knows."""

import ase
import numpy as np
import pytest
from ase.build import molecule

from schnet_calc.analysis.molecules import dodecahedron
from schnet_calc.analysis.symmetry import point_group


def ring(n, radius, height, turn=0.0):
    angles = 2 * np.pi * np.arange(n) / n + turn
    return np.column_stack([radius * np.cos(angles), radius * np.sin(angles), np.full(n, height)])


SHAPES = {
    "sulfur hexafluoride": ase.Atoms("SF6", [[0, 0, 0], *(1.56 * np.vstack([np.eye(3), -np.eye(3)]))]),
    "ferrocene": ase.Atoms("FeC10", [[0, 0, 0], *ring(5, 1.2, 1.66), *ring(5, 1.2, -1.66, np.pi / 5)]),
    "eclipsed": ase.Atoms("FeC10", [[0, 0, 0], *ring(5, 1.2, 1.66), *ring(5, 1.2, -1.66)]),
    "propeller": ase.Atoms("C6", [*ring(3, 1.5, 0.7), *ring(3, 1.5, -0.7, 0.3)]),
    "boric acid": ase.Atoms("BO3H3", [[0, 0, 0], *ring(3, 1.36, 0.0), *ring(3, 2.2, 0.0, 0.4)]),
    "centre only": ase.Atoms("C6", np.vstack([np.eye(3) * [1, 2, 3] + 0.3, -np.eye(3) * [1, 2, 3] - 0.3])),
    "improper axis": ase.Atoms("C8", [*ring(4, 1.5, 0.7, 0.0), *ring(4, 1.5, -0.7, np.pi / 4)]),
    "turned four and four": ase.Atoms(
        "CN4O4",
        [
            [0, 0, 0],
            *ring(2, 1.4, 0.8),
            *ring(2, 1.4, -0.8, np.pi / 2),
            *ring(2, 2.0, 1.1, 0.5),
            *ring(2, 2.0, -1.1, np.pi / 2 + 0.5),
        ],
    ),
    "C20": dodecahedron(),
    "chlorofluorobromomethane": ase.Atoms(
        "CHFClBr",
        [[0, 0, 0], *np.array([[1, 1, 1], [-1.2, -1.2, 1.2], [-1.7, 1.7, -1.7], [1.9, -1.9, -1.9]])],
    ),
}


@pytest.mark.parametrize(
    ("name", "group", "number"),
    [
        ("H2O", "C2v", 2),
        ("NH3", "C3v", 3),
        ("CH4", "Td", 12),
        ("C2H6", "D3d", 6),
        ("C2H4", "D2h", 4),
        ("C6H6", "D6h", 12),
        ("C3H4_D2d", "D2d", 4),
        ("BF3", "D3h", 6),
        ("H2O2", "C2", 2),
        ("CH3CH2OH", "Cs", 1),
        ("trans-butane", "C2h", 2),
        ("CO2", "D*h", 2),
        ("HCN", "C*v", 1),
        ("C20", "Ih", 60),
        ("sulfur hexafluoride", "Oh", 24),
        ("ferrocene", "D5d", 10),
        ("eclipsed", "D5h", 10),
        ("propeller", "D3", 6),
        ("boric acid", "C3h", 3),
        ("centre only", "Ci", 1),
        ("improper axis", "D4d", 8),
        ("turned four and four", "S4", 2),
        ("chlorofluorobromomethane", "C1", 1),
    ],
)
def test_point_groups(name, group, number):
    atoms = SHAPES[name].copy() if name in SHAPES else molecule(name)
    atoms.rotate(33, (1, 2, 3))
    atoms.translate([3.0, -1.0, 2.0])
    found = point_group(atoms)
    assert (found.name, found.rotations) == (group, number)
    assert found.linear == ("*" in group)
    if not found.linear:
        atoms.rattle(0.003, seed=1)  # as relaxations leave them
        assert point_group(atoms).name == group


@pytest.mark.slow
def test_c60():
    assert point_group(molecule("C60"))[:2] == ("Ih", 60)


def test_isotopes_and_displacements_lower_it():
    water = molecule("H2O")
    water.set_masses([15.999, 1.008, 2.014])
    assert point_group(water)[:2] == ("Cs", 1)
    methane = molecule("CH4")
    methane.positions[1] *= 1.2
    assert point_group(methane)[:2] == ("C3v", 3)


def test_at_the_edge_of_the_tolerance_it_is_still_a_group():
    sizes = {1, 2, 3, 4, 6, 12}
    for seed in range(10):
        atoms = molecule("C6H6")
        atoms.rattle(0.012, seed=seed)
        assert point_group(atoms).rotations in sizes


def test_what_has_none():
    with pytest.raises(ValueError, match="needs a molecule, got 2 atoms with pbc"):
        point_group(ase.Atoms("Si2", [[0, 0, 0], [1, 1, 1]], cell=[3, 3, 3], pbc=True))
