"""What can go wrong with structures: a named error, or the right number."""

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule

from helpers import REFERENCES, ethanol, mixed_structures, random_network
from schnet_calc import SchNetCalculator
from schnet_calc.errors import BadStructureError, NotFiniteError
from schnet_calc.modelfile import save_model


@pytest.fixture
def calculator(models, engine):
    """Every engine, in float64."""
    return SchNetCalculator(models["float64"], device="cpu", engine=engine)


def forces(calculator, atoms):
    return calculator.evaluate([atoms])[0].forces


@pytest.mark.parametrize("length", [100.0, 1e4, 1e7])
@pytest.mark.parametrize("pbc", [True, False, (True, True, False)])
def test_a_vacuum_is_a_vacuum(calculator, length, pbc):
    boxed = ethanol()
    boxed.set_cell([length] * 3)
    boxed.pbc = pbc
    np.testing.assert_allclose(forces(calculator, boxed), forces(calculator, ethanol()), atol=1e-9)


@pytest.mark.parametrize("shift", [1.0, 1e3, 1e6])
def test_atoms_far_outside_the_cell(calculator, shift):
    inside, outside = bulk("Si", cubic=True), bulk("Si", cubic=True)
    inside.rattle(0.05, seed=0)
    outside.positions[:] = inside.positions
    outside.positions[3] += np.round(shift) * outside.cell.array[1]
    outside.positions += np.round(shift) * outside.cell.array[0]
    np.testing.assert_allclose(
        forces(calculator, outside), forces(calculator, inside), atol=1e-8 * max(1.0, shift / 10)
    )


@pytest.mark.parametrize("far", [1e3, 1e6, 9e8])
def test_one_atom_far_away(models, engine, far):
    """Not even a float32 network loses the others' positions to it."""
    calculator = SchNetCalculator(models["float32"], device="cpu", engine=engine)
    atoms = ethanol()
    with_one = atoms + ase.Atoms("C", [(far, 0, 0)])
    found = forces(calculator, with_one)
    np.testing.assert_allclose(found[:-1], forces(calculator, atoms), atol=1e-5)
    np.testing.assert_array_equal(found[-1], 0)


@pytest.mark.parametrize("turns", [0, 1, 7, 10_000])
def test_a_lattice_has_many_cells(calculator, turns):
    """A lattice vector plus any number of another one is the same crystal."""
    plain = bulk("Si", "sc", a=2.6)
    skewed = plain.copy()
    skewed.set_cell(plain.cell.array + turns * np.array([[0, 0, 0], [0, 0, 0], plain.cell.array[0]]))
    a, b = calculator.evaluate([plain, skewed])
    assert b.energy == pytest.approx(a.energy, abs=1e-7)
    np.testing.assert_allclose(b.virial, a.virial, atol=1e-6)


def test_a_tiny_cell_sees_its_own_images(calculator):
    """One atom in a cell of half its cutoff, against the same crystal with an explicit supercell."""
    atom = bulk("Si", "fcc", a=2.9)
    many = atom * (4, 4, 4)
    a, b = calculator.evaluate([atom, many])
    assert b.energy == pytest.approx(64 * a.energy, abs=64e-8)
    np.testing.assert_allclose(b.stress, a.stress, atol=1e-9)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (ase.Atoms("X", [(0, 0, 0)]), "atom 0 is X, but this model knows"),
        (ase.Atoms(numbers=[6, 118], positions=[(0, 0, 0), (0, 0, 2)]), "atom 1 is Og"),
        (ase.Atoms(numbers=[-1]), "atom 0 is an atom of number -1"),
        (ase.Atoms(numbers=[6, 200], positions=[(0, 0, 0), (0, 0, 2)]), "atom 1 is an atom of number 200"),
        (ase.Atoms("Si", cell=[[1, 0, 0], [1, 1e-12, 0], [0, 0, 5]], pbc=True), "do not span a volume"),
        (ase.Atoms("Si", cell=[0, 5, 5], pbc=(True, False, False)), "periodic along axis 0"),
        (ase.Atoms("Si", cell=[np.inf, 5, 5], pbc=True), "cell is not finite"),
        (ase.Atoms("Si2", [(0, 0, 0), (0, -2e9, 0)]), r"atom 1 is at \[0.0, -2.*: more than 1e\+09 Å from"),
        (ase.Atoms("Si", cell=[1e16, 5, 5], pbc=True), r"the cell is larger than 1e\+09 Å"),
    ],
)
def test_named_errors(calculator, atoms, message):
    with pytest.raises(ValueError, match=message):
        calculator.evaluate([atoms])


@pytest.mark.parametrize("pbc", [False, True])
def test_one_atom(calculator, pbc):
    """Alone, it has the energy of its embedding; in a crystal, forces by symmetry none."""
    atoms = ase.Atoms("C", cell=[3.0, 3.1, 3.2], pbc=pbc)
    prediction = calculator.evaluate([atoms])[0]
    assert np.isfinite(prediction.energy)
    np.testing.assert_allclose(prediction.forces, 0, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.int64, np.float32, ">f8"])
def test_arrays_of_any_kind(calculator, dtype):
    positions = np.round(molecule("CH3CH2OH").positions * 4).astype(dtype)
    wide = np.repeat(positions, 2, axis=1)[:, ::2]
    assert not wide.flags.c_contiguous
    numbers = molecule("CH3CH2OH").numbers.astype(np.int16)
    atoms = ase.Atoms(numbers, positions)
    atoms.arrays["positions"] = wide
    plain = ase.Atoms(numbers, positions.astype(float))
    np.testing.assert_allclose(forces(calculator, atoms), forces(calculator, plain), atol=1e-6)


def broken(change):
    atoms = ethanol()
    change(atoms)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (ase.Atoms(), "no atoms"),
        (ase.Atoms("OFe", positions=[(0, 0, 0), (0, 0, 2)]), "atom 1 is Fe, but this model knows H, C, O"),
        (broken(lambda a: a.positions.__setitem__((3, 1), np.nan)), "position of atom 3 .* y = nan"),
        (broken(lambda a: a.positions.__setitem__((0, 0), np.inf)), "position of atom 0 .* x = inf"),
        (
            broken(lambda a: a.positions.__setitem__(2, a.positions[1])),
            "atoms 1 and 2 are at the same place",
        ),
        (ase.Atoms("C", pbc=True), "periodic along axis 0, but that cell vector is zero"),
        (ase.Atoms("C", cell=[(1, 0, 0), (2, 0, 0), (0, 0, 1)], pbc=True), "do not span a volume"),
        (ase.Atoms("C", cell=[np.nan, 1, 1], pbc=True), "cell is not finite"),
    ],
)
def test_bad_structures_are_named(calculator, atoms, message):
    with pytest.raises(ValueError, match=message):
        calculator.evaluate([atoms])


def test_no_structures(models, engine):
    assert SchNetCalculator(models["float64"], engine=engine).evaluate([]) == []
    assert SchNetCalculator([models["float64"]] * 2, engine=engine).evaluate([]) == []


def test_an_error_names_the_structure_of_the_batch(models, engine):
    images = mixed_structures()
    images[3].positions[2, 1] = np.nan
    with pytest.raises(BadStructureError, match="structure 3: position of atom 2 is not finite") as caught:
        SchNetCalculator(models["float64"], engine=engine).evaluate(images)
    assert caught.value.index == 3
    images = mixed_structures()
    images[1].positions[5] = images[1].positions[3]
    with pytest.raises(BadStructureError, match="structure 1: atoms 3 and 5 are at the same") as caught:
        SchNetCalculator(models["float64"], engine=engine).evaluate(images)
    assert caught.value.index == 1


def test_results_that_are_no_numbers_are_named(tmp_path, engine):
    network = random_network()
    with torch.no_grad():
        network.embedding.weight[8] = np.nan  # of oxygen
    save_model(tmp_path / "bad.pt", network, REFERENCES)
    calculator = SchNetCalculator(tmp_path / "bad.pt", device="cpu", engine=engine)
    assert np.isfinite(calculator.evaluate([bulk("Si"), molecule("CH4")])[1].energy)
    with pytest.raises(NotFiniteError, match=r"structure 1: the model returned .* not finite") as caught:
        calculator.evaluate([bulk("Si"), ethanol(), molecule("CH4")])
    assert caught.value.index == 1
    with pytest.raises(NotFiniteError, match=r"^the model returned") as caught:
        calculator.evaluate([ethanol()])
    assert caught.value.index == 0
