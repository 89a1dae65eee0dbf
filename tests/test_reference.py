"""Modes beside those of a reference, and structures drawn from modes."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import units
from ase.build import molecule
from ase.calculators.emt import EMT
from scipy.spatial.transform import Rotation

from schnet_calc import SchNetCalculator
from schnet_calc.cli import simulate
from schnet_calc.simulate.modes import NormalModes, normal_modes
from schnet_calc.simulate.reference import compare_modes, reference_calculator, reference_modes
from schnet_calc.simulate.relax import relax
from schnet_calc.simulate.sampling import sample_modes


@pytest.fixture(scope="module")
def ethanol() -> NormalModes:
    calculator = SchNetCalculator("ethanol", dtype="float64")
    return normal_modes(relax(molecule("CH3CH2OH"), calculator, 1e-4).atoms, calculator)


def test_differences_of_forces_give_the_modes_of_the_hessian(ethanol):
    class Plain(EMT):
        """The same forces from a calculator without Hessian."""

        implemented_properties = ["energy", "forces"]  # noqa: RUF012
        inner = SchNetCalculator("ethanol", dtype="float64")

        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            self.atoms = atoms.copy()
            (found,) = self.inner.evaluate([atoms])
            self.results = {"energy": found.energy, "forces": found.forces}

    numerical = normal_modes(ethanol.atoms, Plain())
    np.testing.assert_allclose(numerical.frequencies, ethanol.frequencies, atol=0.2)
    found = compare_modes(ethanol, numerical)
    assert found.overlaps.min() > 0.999
    assert abs(found.errors).max() < 0.2


def test_matching_is_blind_to_rotation_and_finds_a_permutation(ethanol):
    turned = ethanol.atoms.copy()
    turn = Rotation.from_rotvec([1.0, -2.0, 0.5])
    turned.positions = turn.apply(turned.positions) + 3.0
    order = np.random.default_rng(0).permutation(len(ethanol.modes))
    other = NormalModes(
        turned,
        ethanol.hessian,
        ethanol.frequencies[order] + 5.0,
        ethanol.modes[order] @ turn.as_matrix().T * np.where(order % 2, 1, -1)[:, None, None],
        0.0,
        0.0,
        0.0,
    )
    found = compare_modes(ethanol, other)
    np.testing.assert_allclose(found.overlaps, 1.0, atol=1e-6)
    np.testing.assert_allclose(found.errors, -5.0, atol=1e-9)
    assert found.rmsd < 1e-6


def test_what_does_not_match_is_named(ethanol):
    water = normal_modes(molecule("H2O"), EMT())
    with pytest.raises(ValueError, match="of other atoms"):
        compare_modes(ethanol, water)
    with pytest.raises(ValueError, match="one of GFN2-xTB, GFN1-xTB, IPEA1-xTB or the name of an ASE"):
        reference_calculator("CCSD(T)")
    assert isinstance(reference_calculator("emt"), EMT)
    for name in ("orca", "schnet"):
        with pytest.raises(ValueError, match="can't be had without settings"):
            reference_calculator(name)
    with pytest.raises(RuntimeError, match="did not converge"):
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


@pytest.mark.parametrize("quantum", [True, False])
def test_samples_have_the_variance_of_the_oscillators(ethanol, quantum):
    kelvin, n = 300.0, 4000
    samples = sample_modes(ethanol, kelvin, n, seed=1, quantum=quantum)
    weights = ethanol.atoms.get_masses()[:, None]
    steps = np.array([a.positions - ethanol.atoms.positions for a in samples])
    along = np.einsum("sni,kni->sk", steps * weights, ethanol.modes)
    quanta = ethanol.frequencies * units.invcm
    hbar = units._hbar / units._e * units.s
    omega = quanta / hbar
    expected = units.kB * kelvin / omega**2
    if quantum:
        expected = hbar / (2 * omega) / np.tanh(quanta / (2 * units.kB * kelvin))
    np.testing.assert_allclose(along.var(axis=0), expected, rtol=5 * np.sqrt(2 / n))
    energy = 0.5 * np.einsum("sx,xy,sy->s", steps.reshape(n, -1), ethanol.hessian, steps.reshape(n, -1))
    assert energy.mean() == pytest.approx(0.5 * (expected * omega**2).sum(), rel=0.05)


def test_samples_need_a_minimum(ethanol):
    assert sample_modes(ethanol, 300, 0) == []
    saddle = replace(ethanol, frequencies=ethanol.frequencies - 300.0)
    with pytest.raises(ValueError, match="modes are imaginary: samples are drawn around minima"):
        sample_modes(saddle, 300, 5)
    with pytest.raises(ValueError, match="must be positive, got 0 K"):
        sample_modes(ethanol, 0, 5)


def test_a_structure_is_not_overwritten_by_its_numbers(tmp_path):
    ase.io.write(tmp_path / "start.xyz", molecule("CH3CH2OH"))
    with pytest.raises(ValueError, match="would be overwritten by the numbers"):
        simulate.relax(tmp_path / "start.xyz", model="ethanol", output=tmp_path / "relaxed.json")


def test_the_command_with_xtb(ethanol, tmp_path, capsys):
    pytest.importorskip("tblite", reason="the extra [xtb] is not installed")
    ase.io.write(tmp_path / "relaxed.xyz", ethanol.atoms)
    simulate.modes(tmp_path / "relaxed.xyz", model="ethanol", reference="gfn2", output=tmp_path / "modes")
    out = capsys.readouterr().out
    assert "gfn2, same order" in out
    assert "smallest overlap" in out
    values = (tmp_path / "modes.json").read_text()
    assert '"reference": "gfn2"' in values
    assert (tmp_path / "modes.png").stat().st_size > 10_000
