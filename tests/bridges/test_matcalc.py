"""Silicon through matcalc and phonopy, as docs/engines.md says: the numbers of ``schnet-calc crystal``."""

import numpy as np
import pytest
from ase.build import bulk

from schnet_calc import SchNetCalculator
from schnet_calc.simulate.crystal import crystal_properties

matcalc = pytest.importorskip("matcalc", reason="matcalc is not installed: extra [materials]")
pymatgen_ase = pytest.importorskip("pymatgen.io.ase", reason="pymatgen is not installed: extra [materials]")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # matcalc's, phonopy's and pymatgen's
PER_CM = 33.35641
"""cm⁻¹ of a THz."""


@pytest.fixture(scope="module")
def silicon():
    """As pymatgen has it."""
    return pymatgen_ase.AseAtomsAdaptor.get_structure(bulk("Si"))


@pytest.fixture(scope="module")
def calculator():
    return SchNetCalculator("silicon", dtype="float64")


@pytest.fixture(scope="module")
def ours(calculator):
    return crystal_properties(bulk("Si"), calculator, supercell=(4, 4, 4))


def test_equation_of_state(silicon, calculator, ours):
    found = matcalc.EOSCalc(calculator, fmax=1e-4, max_abs_strain=0.005).calc(silicon)
    assert float(found["bulk_modulus_bm"]) == pytest.approx(ours.bulk_modulus, rel=0.01)


def test_elasticity(silicon, calculator, ours):
    small = (-0.004, -0.002, 0.002, 0.004)
    found = matcalc.ElasticityCalc(
        calculator,
        fmax=1e-4,
        norm_strains=small,
        shear_strains=small,
        relax_deformed_structures=True,
        units_GPa=True,
    ).calc(silicon)
    np.testing.assert_allclose(found["elastic_tensor"].voigt, ours.elastic, atol=1.0)


def test_phonons(silicon, calculator, ours):
    found = matcalc.PhononCalc(
        calculator, fmax=1e-4, supercell_matrix=np.diag([4, 4, 4]), write_phonon=False
    ).calc(silicon)
    points = [[0.0, 0.0, 0.0], [0.5, 0.0, 0.5]]
    theirs = PER_CM * found["phonon"].run_qpoints(points).frequencies
    corner = dict(reversed(ours.phonons.corners))["X"]
    np.testing.assert_allclose(theirs[0], ours.phonons.frequencies[0], atol=0.1)
    np.testing.assert_allclose(theirs[1], ours.phonons.frequencies[corner], atol=0.1)


def test_the_recipe_for_phonopy(calculator, ours):
    """Displaced supercells as one batch."""
    from ase import Atoms
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    primitive = ours.atoms
    cell = PhonopyAtoms(
        symbols=list(primitive.symbols), cell=primitive.cell.array, positions=primitive.positions
    )
    phonon = Phonopy(cell, np.diag([4, 4, 4]))
    phonon.generate_displacements(distance=0.01)
    cells = [
        Atoms(c.symbols, c.positions, cell=c.cell, pbc=True) for c in phonon.supercells_with_displacements
    ]
    phonon.forces = [p.forces for p in calculator.evaluate(cells)]
    phonon.produce_force_constants()
    found = PER_CM * phonon.run_qpoints([[0.0, 0.0, 0.0]]).frequencies[0]
    np.testing.assert_allclose(found, ours.phonons.frequencies[0], atol=0.1)
