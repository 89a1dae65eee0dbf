"""The extent of training data: how close atoms came, and how many neighbours they had."""

from dataclasses import replace

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from helpers import rattled
from schnet_calc.guard.bonds import NO_BOND, RADII
from schnet_calc.guard.check import SLACK, DomainCheck
from schnet_calc.guard.domain import MOST_FORMULAS, Domain
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.neighbors import NeighborLists, all_pairs
from schnet_calc.structures.structure import Structure

ETHANOL = molecule("CH3CH2OH")
SLACK_ANG, SLACK_COORDINATION = SLACK


def reasons(domain, atoms):
    check, structure = DomainCheck(domain), Structure.from_atoms(atoms)
    return check.reasons(structure, NeighborLists().pairs(0, structure, check.reach(structure)))


def extent(*images):
    return Domain.of(Structure.from_atoms(a) for a in images)


def test_the_domain_is_that_of_the_frames(domain):
    frames = rattled(ETHANOL, 20)
    shortest = min(a.get_distance(0, 1) for a in frames)
    assert domain.shortest[6, 6] == pytest.approx(shortest)
    assert domain.shortest[6, 8] == domain.shortest[8, 6]
    assert domain.shortest[14, 14] == NO_BOND * 2 * RADII[14]  # never met: any contact is new
    assert 3.5 < domain.fewest[6] <= domain.most[6] < 4.5  # four neighbours of a carbon
    assert 1.5 < domain.fewest[8] <= domain.most[8] < 2.5
    assert np.isinf(domain.fewest[14])
    assert domain.kinds[8, 1][0] == pytest.approx(1, abs=0.1)  # one hydrogen at the oxygen
    assert domain.kinds[8, 8] == (0, 0)
    assert domain.formulas == {"C2H6O"}
    assert domain.fragments == 1


def test_training_structures_and_their_likes_are_inside(domain):
    for atoms in [*rattled(ETHANOL, 20), *rattled(ETHANOL, 20, seed=500)]:
        assert reasons(domain, atoms) == []


def test_it_survives_the_model_file(domain):
    again = Domain.from_dict(domain.to_dict())
    np.testing.assert_allclose(again.shortest, domain.shortest, atol=1e-4)
    np.testing.assert_allclose(again.most, domain.most, atol=1e-3)
    np.testing.assert_allclose(again.fewest, domain.fewest, atol=1e-3)
    assert again.kinds.keys() == domain.kinds.keys()
    for pair, known in domain.kinds.items():
        assert again.kinds[pair] == pytest.approx(known, abs=1e-3)
    assert (again.formulas, again.fragments) == (domain.formulas, domain.fragments)
    crystal = extent(bulk("Si"))
    assert Domain.from_dict(crystal.to_dict()).formulas == {"Si, periodic"}
    assert crystal.fragments is None


def test_files_of_the_first_version_know_less(domain):
    """Distances and numbers of neighbours alone: nothing else is held against a structure."""
    old = Domain.from_dict({k: domain.to_dict()[k] for k in ("shortest_ang", "coordination")})
    assert (old.kinds, old.formulas, old.fragments) == ({}, None, None)
    two = molecule("CH3CH2OH") + molecule("CH3CH2OH")
    two.positions[9:] += 10
    assert reasons(old, two) == []
    assert any("C4H12O2, but the model was trained on C2H6O only" in r for r in reasons(domain, two))
    assert any("2 separate molecules, in the training data at most 1" in r for r in reasons(domain, two))
    both = Domain.joined([old, domain])
    assert (both.kinds, both.formulas, both.fragments) == ({}, None, None)


def test_another_isomer(domain):
    """The same atoms with as many neighbours, but of other kinds."""
    found = reasons(domain, molecule("CH3OCH3"))
    assert any("neighbours of" in reason for reason in found)
    assert not any("trained on" in reason for reason in found)
    assert reasons(extent(molecule("CH3OCH3"), ETHANOL), molecule("CH3OCH3")) == []


def test_joined_domains_hold_what_any_holds(domain):
    both = Domain.joined([domain, extent(molecule("CH3OCH3"), molecule("H2O"))])
    assert both.formulas == {"C2H6O", "H2O"}
    assert both.fragments == 1
    for atoms in (ETHANOL, molecule("CH3OCH3"), molecule("H2O")):
        assert reasons(both, atoms) == []
    assert reasons(domain, molecule("H2O"))


def test_data_of_many_compositions_are_taken_for_any():
    chains = [ase.Atoms("C" * n, np.outer(np.arange(n), (1.5, 0, 0))) for n in range(2, MOST_FORMULAS + 3)]
    assert extent(*chains).formulas is None
    assert len(extent(*chains[:-1]).formulas) == MOST_FORMULAS
    longer = ase.Atoms("C" * 40, np.outer(np.arange(40), (1.5, 0, 0)))
    assert reasons(extent(*chains), longer) == []
    assert reasons(extent(*chains[:-1]), longer)


def test_atoms_that_come_too_close(domain):
    atoms = molecule("CH3CH2OH")
    atoms.set_distance(0, 1, domain.shortest[6, 6] - SLACK_ANG + 0.01, fix=0)
    assert reasons(domain, atoms) == []
    atoms.set_distance(0, 1, domain.shortest[6, 6] - SLACK_ANG - 0.01, fix=0)
    assert any("atoms 0 (C) and 1 (C) are 1." in r and "Å apart" in r for r in reasons(domain, atoms))


def test_a_bond_that_breaks(domain):
    atoms = molecule("CH3CH2OH")
    assert reasons(domain, atoms) == []
    hydrogen = next(a.index for a in atoms if a.symbol == "H")
    atoms.positions[hydrogen] += 10
    of_atom, of_molecule = reasons(domain, atoms)
    assert "neighbours, in the training data" in of_atom
    assert of_molecule == "2 separate molecules, in the training data at most 1"


def test_a_neighbour_too_many():
    inside = extent(bulk("Si"))
    assert inside.fewest[14] == inside.most[14] == pytest.approx(4)
    assert reasons(inside, bulk("Si") * 2) == []
    (reason,) = reasons(inside, bulk("Si", "sc", a=2.5))
    assert "has 6.0 neighbours" in reason
    assert SLACK_COORDINATION < 2


def test_coordination_is_continuous(domain):
    check = []
    for distance in np.linspace(1.0, 2.5, 301):
        check.append(float(extent(ase.Atoms("C2", [(0, 0, 0), (0, 0, distance)])).most[6]))
    assert check[0] == 1
    assert check[-1] == 0
    assert np.abs(np.diff(check)).max() < 0.03


MANY = [
    molecule(name)
    for name in [
        *("H2O", "CH4", "NH3", "C2H2", "C2H4", "C2H6", "HCN", "H2CO", "CH3OH", "CH3CH2OH", "CH3OCH3"),
        *("H2CCO", "CH3CHO", "HCOOH", "H3CNH2", "CH3CN", "CH3COOH", "C6H6", "N2H4", "CH3CONH2"),
        *("CH3CH2NH2", "HCOOCH3", "C3H8"),
    ]
]


def test_a_fragment_of_a_molecule_is_none(tmp_path):
    """Of data of many compositions: what atoms bind to, and how small a molecule may be."""
    domain = extent(*MANY)
    assert domain.formulas is None
    assert domain.fewest_atoms == 3
    assert {"N(H3)", "C(H1N1)", "O(C1)", "H(C1)"} <= domain.environments
    for atoms in MANY:
        assert reasons(domain, atoms) == []
    assert reasons(domain, molecule("NH")) == [
        "2 atoms, in the training data at least 3",
        "atom 0 (N) is bonded to 1 H and nothing else, as no N of the training data is",
    ]
    assert "(C) is bonded to 2 H and nothing else" in reasons(domain, molecule("CH2_s1A1d"))[0]
    assert len(reasons(domain, ase.Atoms("O"))) == 2
    again = Domain.from_dict(domain.to_dict())
    assert (again.environments, again.fewest_atoms) == (domain.environments, 3)
    both = Domain.joined([domain, extent(molecule("NH"), *MANY)])
    assert reasons(both, molecule("NH")) == []
    assert Domain.joined([domain, extent(molecule("NH"))]).environments is None
    with pytest.raises(ValueError, match="are no neighbours of an atom"):
        Domain.from_dict({**domain.to_dict(), "environments": ["N(Xx3)"]})


def test_a_bond_that_breaks_is_no_environment():
    """Neither bonded nor apart: numbers of neighbours and grades say what there is to say."""
    domain = extent(*MANY)
    ethane = molecule("C2H6")
    length = ethane.get_distance(0, 1)
    for factor in (1.0, 1.1, 1.3, 2.5):
        atoms = ethane.copy()
        direction = atoms.positions[1] - atoms.positions[0]
        atoms.positions[[1, 5, 6, 7]] += (factor - 1.0) * direction
        assert atoms.get_distance(0, 1) == pytest.approx(factor * length)
        found = [r for r in reasons(domain, atoms) if "bonded to 3 H and nothing else" in r]
        assert bool(found) == (factor == 2.5)


def test_beads_are_held_against_environments_too():
    check = DomainCheck(extent(*MANY))
    imide = molecule("NH") + molecule("H2O")  # no smaller than the others
    imide.positions[2:] += 1.5
    for atoms in (molecule("H2O"), molecule("CH2_s1A1d"), imide):
        doubted = bool(reasons(check.domain, atoms))
        assert check.holds(Geometries.from_atoms([atoms, atoms]), np.zeros(2)) is not doubted


def test_energies_beyond_those_of_the_data():
    """By more than their range, per atom; of few energies by 0.05 eV/atom."""
    frames = [Structure.from_atoms(a) for a in rattled(ETHANOL, 4)]
    domain = Domain.of(frames, np.array([-9.0, 0.0, np.nan, -4.5]))
    assert domain.energies == {"C2H6O": (-1.0, 0.0)}
    again = Domain.from_dict(domain.to_dict())
    assert again.energies == domain.energies
    check = DomainCheck(again)
    pairs = all_pairs(9)
    found = [check.reasons(frames[0], pairs, energy) for energy in (-18.1, -17.9, 0.0, 8.9, 9.1, np.nan)]
    assert [bool(reasons) for reasons in found] == [True, False, False, False, True, True]
    assert found[4] == ["the energy is 1.011 eV/atom, in the training data -1 to 0"]
    assert check.reasons(frames[0], pairs) == []
    assert DomainCheck(Domain.of(frames)).reasons(frames[0], pairs, 1e6) == []
    narrow = DomainCheck(Domain.of(frames, np.zeros(4)))
    assert [len(narrow.reasons(frames[0], pairs, energy)) for energy in (0.44, 0.46)] == [0, 1]
    assert Domain.joined([domain, Domain.of(frames)]).energies == {}
    assert check.holds(Geometries.from_atoms(rattled(ETHANOL, 2)), np.array([-1.0, -2.0]))
    assert not check.holds(Geometries.from_atoms(rattled(ETHANOL, 2)), np.array([-1.0, 20.0]))


def bent(angle):
    atoms = ETHANOL.copy()
    atoms.set_angle(1, 2, 3, angle, indices=[3])
    return atoms


def test_bonds_and_angles_outside_count_beside_grades():
    """By 12° or 0.3 Å for a grade of one; of carbons with four bonds, as the data have them."""
    domain = Domain.from_dict(Domain.of([Structure.from_atoms(bent(a)) for a in (100.0, 115.0)]).to_dict())
    assert domain.shapes["H-O2-C"] == pytest.approx((100.0, 115.0))
    assert {"H1-O2", "C4-C4", "H-C4-C"} <= set(domain.shapes)
    check, pairs, grades = DomainCheck(domain), all_pairs(9), np.zeros(9)
    structure = Structure.from_atoms(bent(119.0))
    assert check.reasons(structure, pairs) == []
    for k, doubted in ((3, True), (1, True), (2, True), (5, False)):  # the angle's atoms, and another
        grades[:] = 0.0
        grades[k] = 0.68
        found = check.reasons(structure, pairs, None, grades)
        assert bool(found) is doubted
        holds = check.holds(
            Geometries.from_atoms([bent(110.0), bent(119.0)]), np.zeros(2), grades[[[0] * 9, range(9)]]
        )
        assert holds is not doubted
    grades[2] = 0.66
    assert check.reasons(structure, pairs, None, grades) == []
    assert check.reasons(Structure.from_atoms(bent(127.5)), pairs) == [
        "the angle H3-O2-C1 is 127.5°, in the training data 100 to 115°"
    ]
    longer = ETHANOL.copy()
    methyl, bond = (
        [k for k in range(9) if longer.get_distance(0, k) < 1.2],
        longer.positions[0] - longer.positions[1],
    )
    longer.positions[methyl] += 0.33 * bond / np.linalg.norm(bond)
    assert check.reasons(Structure.from_atoms(longer), pairs)[-1].startswith("the bond C0-C1 is 1.8")
    seen = Domain.of([Structure.from_atoms(bent(100.0))], others=[structure])
    assert seen.shapes["H-O2-C"] == pytest.approx((100.0, 119.0))


def test_all_atoms_together_may_be_outside():
    """By the root mean square of their grades, where each is below one; of known compositions."""
    structure, pairs = Structure.from_atoms(ETHANOL), all_pairs(9)
    plain = Domain.of([structure])
    domain = Domain.from_dict(replace(plain, grades={"C2H6O": 0.5}).to_dict())
    assert domain.grades == {"C2H6O": 0.5}
    check, one = DomainCheck(domain), np.where(np.arange(9) == 4, 0.9, 0.0)  # whose root mean square is 0.3
    geometries = Geometries.from_atoms([ETHANOL, ETHANOL])
    for grades, doubted in ((np.full(9, 0.49), False), (np.full(9, 0.51), True), (one, False)):
        assert bool(check.reasons(structure, pairs, None, grades)) is doubted
        assert check.holds(geometries, np.zeros(2), np.stack([one, grades])) is not doubted
        assert DomainCheck(plain).reasons(structure, pairs, None, grades) == []
    assert check.reasons(structure, pairs, None, np.full(9, 0.51)) == [
        "all atoms together have a grade of 0.51 (root mean square), molecules of the training data at most 0.5"
    ]
    assert check.reasons(structure, pairs) == []
    assert Domain.joined([domain]).grades == domain.grades
    assert Domain.joined([domain, domain]).grades == {}
    with pytest.raises(ValueError, match="the domain in the model file is none"):
        Domain.from_dict({**domain.to_dict(), "grades": ["C2H6O"]})


def test_ranges_of_earlier_versions_are_no_reason_for_doubt():
    domain = Domain.of([Structure.from_atoms(ETHANOL)])
    old = replace(domain, shapes={"H-O-C": (100.0, 101.0)})
    structure = Structure.from_atoms(bent(150.0))
    assert DomainCheck(old).reasons(structure, all_pairs(9)) == []
    assert "150°, in the training data 100 to 101°" in DomainCheck(old).odd_shape(
        structure, all_pairs(9), [2]
    )
    with pytest.raises(ValueError, match="is no bond and no angle"):
        Domain.from_dict({**domain.to_dict(), "shapes": {"H99-C": [1.0, 2.0]}})


def test_ranges_of_crystals_are_those_of_any_cell():
    """Through the boundaries: of a cell and of eight of them."""
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=3)
    small, large = (Domain.of([Structure.from_atoms(a)]).shapes for a in (atoms, atoms * 2))
    assert small.keys() == large.keys() == {"Si-Si", "Si-Si-Si"}  # words, no reason for doubt
    for name, limits in small.items():
        assert large[name] == pytest.approx(limits, abs=1e-3)
