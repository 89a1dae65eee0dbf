"""What no model has been trained on is doubted: structures that nobody here had prepared, one by one."""

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule

from helpers import DATA, needs_data
from schnet_calc import SchNetCalculator, load_model
from schnet_calc.errors import DoubtfulStructureError
from schnet_calc.guard.electrons import odd_state


def scaled(atoms, factor):
    """Molecule or crystal, blown up or pressed together."""
    atoms = atoms.copy()
    atoms.set_cell(factor * atoms.cell.array, scale_atoms=False)
    atoms.positions *= factor
    return atoms


def cage():
    """The relaxed C20 of the thesis's study, as the network has it."""
    data = np.load(DATA / "c20" / "c20_500K.npz")
    return ase.Atoms(numbers=data["z"], positions=data["R"][0].astype(float))


def straight(angle):
    atoms = molecule("CH3CH2OH")
    atoms.set_angle(0, 1, 2, angle, indices=[2, 3])
    return atoms


def formaldehyde(longer):
    atoms = molecule("H2CO")
    carbon, oxygen = (next(a.index for a in atoms if a.symbol == s) for s in "CO")
    atoms.set_distance(carbon, oxygen, atoms.get_distance(carbon, oxygen) + longer, fix=0)
    return atoms


def eicosane():
    """n-C20H42, all trans."""
    carbons = np.array([(1.27 * k, 0.44 * (-1) ** k, 0.0) for k in range(20)])
    hydrogens = [
        (1.27 * k, 0.44 * (-1) ** k + 0.64 * (-1) ** k, s * 0.88) for k in range(20) for s in (-1, 1)
    ]
    ends = [carbons[0] + (-0.9, -0.62, 0.0), carbons[-1] + (0.9, 0.62, 0.0)]
    return ase.Atoms("C20H42", np.concatenate([carbons, hydrogens, ends]))


def doubted(name, atoms):
    model = load_model(name, device="cpu", on_doubt="stop")
    if model.potential.grades is None:
        pytest.skip(f"{name} has no grades: python benchmarks/shipped_grades.py {name}")
    with pytest.raises(DoubtfulStructureError) as caught:
        model.evaluate([atoms])
    return str(caught.value)


SILICON = bulk("Si", cubic=True, a=5.469)


@needs_data
@pytest.mark.parametrize("factor", [0.94, 1.06, 1.08, 1.20])
def test_the_accurate_cage_scaled(factor):
    assert "the limit is 1" in doubted("c20_accurate", scaled(cage(), factor))


@needs_data
@pytest.mark.parametrize("factor", [0.94, 1.10, 1.15, 1.18])
def test_the_cage_scaled(factor):
    assert "the limit is 1" in doubted("c20", scaled(cage(), factor))


@pytest.mark.parametrize(
    ("factor", "why"), [(0.86, "the limit is 1"), (0.88, "the limit is 1"), (0.90, "the energy is")]
)
def test_diamond_under_pressure(factor, why):
    """At 0.90 its pressure, 62 GPa, is still sound, and the energy alone is beyond the data."""
    assert why in doubted("silicon", scaled(SILICON, factor))


@pytest.mark.parametrize("angle", [170, 175, 179])
def test_straight_ethanol(angle):
    assert "the limit is 1" in doubted("ethanol", straight(angle))


@pytest.mark.parametrize("atoms", [formaldehyde(0.4), formaldehyde(0.5), scaled(molecule("H2CO"), 1.3)])
def test_formaldehyde_far_out(atoms):
    assert "the limit is 1" in doubted("h2co", atoms)


def plain(name):
    """As a file has it: without the spin that ASE's database knows."""
    atoms = molecule(name)
    return ase.Atoms(atoms.numbers, atoms.positions)


QM9 = {
    "C60": molecule("C60"),
    "n-C20H42": eicosane(),
    **{name: plain(name) for name in ("CH3", "OH", "NH", "CH3O", "CH2_s1A1d", "CO", "O2", "C2H4")},
    "H3O+": ase.Atoms("OH3", [(0, 0, 0.1), (0.94, 0, -0.2), (-0.47, 0.81, -0.2), (-0.47, -0.81, -0.2)]),
}


@pytest.mark.parametrize("name", QM9)
def test_no_molecules_of_qm9(name):
    doubted("qm9", QM9[name])


def test_molecules_of_qm9_are_inside():
    model = load_model("qm9", device="cpu", on_doubt="stop")
    for name in ("H2O", "NH3", "CH4", "C2H6", "CH3CH2OH", "C6H6", "CH3CONH2", "C5H5N"):
        model.evaluate([plain(name)])


@pytest.mark.parametrize("name", ["qm9_gap", "qm9_u298", "qm9_orbitals"])
def test_a_fragment_of_a_molecule(name):
    assert "(N) is bonded to 1 H and nothing else" in doubted(name, QM9["NH"])


def test_a_crystal_of_a_wild_energy():
    """Strained along two directions, which its grade of 0.91 lets pass."""
    atoms = SILICON.copy()
    atoms.set_cell(atoms.cell.array @ np.diag([1.2, 1.2, 1.0]), scale_atoms=True)
    assert "eV/atom, in the training data -5.422 to -5.181" in doubted("silicon", atoms)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.info.update(charge=1), "charge is 1, the training data have 0"),
        (lambda a: a.info.update(charge=np.int64(-1)), "charge is -1"),
        (lambda a: a.info.update(spin=3), "spin is 3, the training data have the multiplicity 1"),
        (lambda a: a.info.update(multiplicity=2), "multiplicity is 2"),
        (lambda a: a.set_initial_charges([1.0] + 8 * [0.0]), "initial charges add up to 1"),
        (lambda a: a.set_initial_magnetic_moments([2.0] + 8 * [0.0]), "magnetic moments add up to 2"),
    ],
)
def test_charge_and_spin(change, words, caplog):
    atoms = molecule("CH3CH2OH")
    change(atoms)
    assert words in doubted("ethanol", atoms)
    atoms.calc = SchNetCalculator("ethanol", device="cpu")
    atoms.get_potential_energy()
    assert words in caplog.text
    atoms.calc = SchNetCalculator("ethanol", device="cpu", on_doubt="ignore")
    atoms.get_potential_energy()
    assert len(caplog.records) == 1


def test_what_says_nothing_else_is_no_doubt():
    atoms = molecule("CH3CH2OH")
    atoms.info.update(charge=0, spin=1, multiplicity=1, energy=3.0)
    atoms.set_initial_charges([0.3, -0.3] + 7 * [0.0])
    assert odd_state(atoms) == []
    atoms.info.update(spin=0, charge="none of your business")
    assert odd_state(atoms) == []
    radical = molecule("OH")
    radical.info.update(spin=2, charge=0)
    assert odd_state(radical, multiplicity=2) == []
    assert (
        odd_state(molecule("OH"), charge=0) != []
    )  # ASE's own database says that it has one electron to spare


@needs_data
@pytest.mark.parametrize("name", ["c20", "c20_accurate"])
def test_unseen_frames_are_inside(name):
    """Of the two trajectories that these models have never seen."""
    positions = np.load(DATA / "c20" / "c20_500K.npz", mmap_mode="r")["R"][-6000::120].astype(float)
    model = load_model(name, device="cpu", on_doubt="stop")
    if model.potential.grades is None:
        pytest.skip(f"{name} has no grades: python benchmarks/shipped_grades.py {name}")
    found = model.evaluate([ase.Atoms("C20", p) for p in positions])
    assert max(p.grades.max() for p in found) < 1
