"""Modes beside those of a reference."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT
from scipy.spatial.transform import Rotation

from schnet_calc import SchNetCalculator
from schnet_calc.references import reference_calculator
from schnet_calc.simulate.mode_comparison import compare_modes, reference_modes
from schnet_calc.simulate.modes import NormalModes, normal_modes
from schnet_calc.simulate.relax import relax


def test_differences_of_forces_give_the_modes_of_the_hessian(ethanol_modes):
    class Plain(EMT):
        """The same forces from a calculator without Hessian."""

        implemented_properties = ["energy", "forces"]  # noqa: RUF012
        inner = SchNetCalculator("ethanol", dtype="float64")

        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            self.atoms = atoms.copy()
            (found,) = self.inner.evaluate([atoms])
            self.results = {"energy": found.energy, "forces": found.forces}

    numerical = normal_modes(ethanol_modes.atoms, Plain())
    np.testing.assert_allclose(numerical.frequencies, ethanol_modes.frequencies, atol=0.2)
    found = compare_modes(ethanol_modes, numerical)
    assert found.overlaps.min() > 0.999
    assert abs(found.errors).max() < 0.2


def test_matching_is_blind_to_rotation_and_finds_a_permutation(ethanol_modes):
    turned = ethanol_modes.atoms.copy()
    turn = Rotation.from_rotvec([1.0, -2.0, 0.5])
    turned.positions = turn.apply(turned.positions) + 3.0
    order = np.random.default_rng(0).permutation(len(ethanol_modes.modes))
    other = NormalModes(
        turned,
        ethanol_modes.hessian,
        ethanol_modes.frequencies[order] + 5.0,
        ethanol_modes.modes[order] @ turn.as_matrix().T * np.where(order % 2, 1, -1)[:, None, None],
        0.0,
        0.0,
        0.0,
    )
    found = compare_modes(ethanol_modes, other)
    np.testing.assert_allclose(found.overlaps, 1.0, atol=1e-6)
    np.testing.assert_allclose(found.errors, -5.0, atol=1e-9)
    assert found.rmsd < 1e-6


def test_what_does_not_match_is_named(ethanol_modes):
    water = normal_modes(molecule("H2O"), EMT())
    with pytest.raises(ValueError, match="of other atoms"):
        compare_modes(ethanol_modes, water)
    with pytest.raises(
        ValueError,
        match=r"a method of tblite \(GFN2-xTB, .* a functional and a basis .* the name of an ASE",
    ):
        reference_calculator("CCSD(T)")
    assert isinstance(reference_calculator("emt"), EMT)
    for name in ("orca", "schnet"):
        with pytest.raises(ValueError, match="can't be had without settings"):
            reference_calculator(name)
    with pytest.raises(RuntimeError, match="the reference's relaxation has not converged after 1 steps"):
        reference_modes(molecule("H2O"), EMT(), steps=1)


def test_degenerate_modes_may_be_mixed():
    """The bends of a linear molecule, turned by 45 degrees against each other."""
    calculator = EMT()
    modes = normal_modes(relax(molecule("CO2"), calculator, 1e-3).atoms, calculator)
    a, b = modes.modes[0], modes.modes[1]
    mixed = modes.modes.copy()
    mixed[0], mixed[1] = (a + b) / np.sqrt(2), (a - b) / np.sqrt(2)
    found = compare_modes(modes, replace(modes, modes=mixed))
    np.testing.assert_allclose(found.overlaps, 1.0, atol=1e-6)
    np.testing.assert_allclose(found.errors, 0.0, atol=1.0)


def test_charges_belong_to_the_molecule():
    pytest.importorskip("tblite", reason="the extra [xtb] is not installed")
    ammonium = molecule("CH4")
    ammonium.numbers[0] = 7
    ammonium.set_initial_charges([1, 0, 0, 0, 0])
    modes = reference_modes(ammonium, reference_calculator("GFN2-xTB"))
    assert modes.fmax < 1e-2
    assert modes.frequencies.min() > 1000
    again = NormalModes.from_dict(modes.to_dict())
    assert again.atoms.get_initial_charges().sum() == 1


def test_forces_of_xtb_are_smooth_enough_for_a_hessian():
    pytest.importorskip("tblite", reason="the extra [xtb] is not installed")
    benzene = molecule("C6H6")
    benzene.rattle(0.02, seed=1)
    assert normal_modes(benzene, reference_calculator("GFN2-xTB")).sum_rule < 3e-3
