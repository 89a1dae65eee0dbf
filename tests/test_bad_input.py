"""What can go wrong with structures: a named error, or the right number."""

import subprocess
import sys

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule
from conftest import ethanol
from test_fused import key_set

from schnet_calc import SchNetCalculator
from schnet_calc.errors import TooManyPairsError, half_pairs


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
    monkeypatch.setattr("schnet_calc.structures.neighbors._vesin_would_crash", lambda *_: True)
    found = half_pairs(sheet.positions, sheet.cell.array, sheet.pbc, 4.0)
    assert key_set(found, sheet.positions, 4.0) == key_set(expected, sheet.positions, 4.0)
    monkeypatch.undo()
    if pbc[2]:
        return  # slower, and nothing new
    wide = bulk("Si", "sc", a=2.6) * (340, 340, 1)
    wide.pbc = pbc
    assert len(half_pairs(wide.positions, wide.cell.array, wide.pbc, 2.7).i) == 2 * 340**2


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


@pytest.mark.parametrize("scale", [1e-3, 1e-6])
def test_more_pairs_than_memory_are_refused(calculator, scale):
    """Ångström taken for nanometres, or worse: said before the machine starts to swap."""
    atoms = bulk("Si", cubic=True)
    atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
    with pytest.raises(TooManyPairsError, match=r"8 atoms have about .* pairs within 4 Å, .* GB are free"):
        calculator.evaluate([ethanol(), atoms])


def test_many_atoms_in_one_place_are_refused(calculator, monkeypatch):
    monkeypatch.setattr("schnet_calc.structures.neighbors.available_memory", lambda: 10**9)
    heap = ase.Atoms("C5000", np.random.default_rng(0).uniform(0, 2, (5000, 3)))
    with pytest.raises(TooManyPairsError, match=r"5000 atoms have about 1\.2e\+07 pairs"):
        calculator.evaluate([heap])


@pytest.mark.parametrize("pbc", [(0, 0, 1), (1, 1, 0), (1, 0, 0)], ids=str)
def test_wires_and_slabs_are_not_taken_for_heaps(pbc, monkeypatch):
    """Along open directions atoms are as far apart as they are."""
    monkeypatch.setattr("schnet_calc.structures.neighbors.available_memory", lambda: 2 * 10**9)
    atoms = bulk("Si", "sc", a=2.5) * (25, 25, 25)
    atoms.pbc = pbc
    assert len(half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, 5.5).i) > 10**5


def test_the_estimate_of_pairs_is_about_right(monkeypatch):
    """Never far below what there are, for the crystals and molecules of every day."""
    monkeypatch.setattr("schnet_calc.structures.neighbors.WORTH_ASKING", 0)
    rng = np.random.default_rng(1)
    shapes = [
        bulk("Si", cubic=True) * (3, 3, 3),
        bulk("Cu"),
        bulk("Si") * (5, 1, 1),
        ase.Atoms("C400", rng.uniform(0, 15, (400, 3))),
    ]
    for atoms in shapes:
        estimates: list[float] = []

        def none_left(estimates=estimates):
            estimates.append(1.0)
            return 0

        monkeypatch.setattr("schnet_calc.structures.neighbors.available_memory", none_left)
        arrays = (atoms.positions, atoms.cell.array, atoms.pbc, 5.0)
        with pytest.raises(TooManyPairsError) as caught:
            half_pairs(*arrays)
        said = float(str(caught.value).split("about ")[1].split()[0])
        monkeypatch.setattr("schnet_calc.structures.neighbors.available_memory", lambda: 10**12)
        assert 0.9 < said / len(half_pairs(*arrays).i) < 6


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


CROWD = """
import resource, sys
import ase
from ase.build import bulk
from schnet_calc import SchNetCalculator
calculator = SchNetCalculator(sys.argv[1], device="cpu")
calculator.evaluate([bulk("Si", cubic=True) * 4])
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + 300 * 2**20,) * 2)
crowd = bulk("Si", cubic=True) * (25, 25, 20)
assert len(crowd) == 100_000
try:
    calculator.evaluate([crowd])
except MemoryError as error:
    print(error)
print(calculator.evaluate([bulk("Si")])[0].energy < 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_too_little_memory_is_an_error_that_one_survives(models):
    done = subprocess.run(
        [sys.executable, "-c", CROWD, str(models["float32"])],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert "100000 atoms" in done.stdout
    assert done.stdout.endswith("True\n")
