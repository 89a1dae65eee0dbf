"""Thermochemistry by the structure's own symmetry number and spin, beside PySCF and measured entropies."""

import json

import ase
import ase.io
import numpy as np
import pytest
from ase.build import molecule

from schnet_calc import SchNetCalculator, relax
from schnet_calc.simulate.modes import NormalModes
from schnet_calc.simulate.thermochemistry import lowest_spin, thermochemistry


def with_frequencies(atoms, frequencies):
    """Modes that are known by their frequencies alone, cm⁻¹."""
    size = 3 * len(atoms)
    return NormalModes(
        atoms,
        np.zeros((size, size)),
        np.array(frequencies),
        np.zeros((len(frequencies), len(atoms), 3)),
        0,
        0,
        0,
    )


@pytest.mark.parametrize(
    ("name", "frequencies", "entropy", "number"),
    [
        ("H2CO", [1167, 1249, 1500, 1746, 2782, 2843], 218.9, 2),
        ("H2O", [1595, 3657, 3756], 188.8, 2),
        ("CO2", [667, 667, 1333, 2349], 213.8, 2),
        ("HCN", [712, 712, 2089, 3312], 201.8, 1),
        ("NH3", [950, 1627, 1627, 3337, 3444, 3444], 192.8, 3),
        ("CH4", [1306] * 3 + [1534] * 2 + [2917] + [3019] * 3, 186.3, 12),
    ],
)
def test_measured_entropies(name, frequencies, entropy, number):
    """J/mol/K at 298.15 K and 1 bar, of the JANAF tables; the geometries are computed ones."""
    gas = thermochemistry(with_frequencies(molecule(name), frequencies), 0.0, 298.15, 1e5)
    assert gas.symmetry == number
    assert gas.entropy_j == pytest.approx(entropy, abs=0.6)


def test_formaldehyde_by_default(run, tmp_path):
    calculator = SchNetCalculator("h2co", dtype="float64", device="cpu")
    ase.io.write(tmp_path / "a.xyz", relax(molecule("H2CO"), calculator, fmax=1e-4).atoms)
    code, out, err = run("modes", "a.xyz", "--model", "h2co")
    assert code == 0, err
    gas = json.loads((tmp_path / "modes.json").read_text())["thermochemistry"]
    assert gas["entropy_j_mol_k"] == pytest.approx(218.6, abs=0.2)
    for word in ("C2v, symmetry number 2, spin 0", "298.15 K, 101325 Pa"):
        assert word in out.replace("\n", " ")
    assert run("modes", "a.xyz", "--model", "h2co", "--symmetry", "1", "--pressure", "1e5")[0] == 0
    gas = json.loads((tmp_path / "modes.json").read_text())["thermochemistry"]
    assert gas["entropy_j_mol_k"] == pytest.approx(218.6 + 8.314 * np.log(2 * 1.01325), abs=0.2)
    assert gas["symmetry_number"] == 1


def test_isotopes_have_their_own_symmetry_number():
    water = molecule("H2O")
    water.set_masses([15.999, 1.008, 2.014])
    assert thermochemistry(with_frequencies(water, [1400, 2700, 3700]), 0.0).symmetry == 1


def test_spin():
    assert lowest_spin(molecule("H2O")) == 0.0
    radical = ase.Atoms("OH", [[0, 0, 0], [0, 0, 0.97]])
    assert lowest_spin(radical) == 0.5
    radical.set_initial_charges([-1.0, 0.0])
    assert lowest_spin(radical) == 0.0
    oxygen = ase.Atoms("O2", [[0, 0, 0], [0, 0, 1.208]])
    assert lowest_spin(oxygen) == 0.0
    oxygen.set_initial_magnetic_moments([1.0, 1.0])
    assert lowest_spin(oxygen) == 1.0
    gas = thermochemistry(with_frequencies(oxygen, [1580]), 0.0, 298.15, 1e5)
    assert gas.entropy_j == pytest.approx(205.1, abs=0.3)  # JANAF


def test_what_is_nearly_symmetric_is_named():
    atoms = molecule("H2O")
    atoms.positions[1] += [0.0, 0.0, 0.06]
    gas = thermochemistry(with_frequencies(atoms, [1595, 3657, 3756]), 0.0)
    assert (gas.group.name, gas.nearly, gas.symmetry) == ("Cs", "C2v", 1)


def test_what_makes_no_sense_is_named(tmp_path):
    modes = with_frequencies(molecule("H2O"), [1595, 3657, 3756])
    for options, words in (
        ({"temperature": 0.0}, "temperature must be positive and finite, got 0.0 K"),
        ({"pressure": -1.0}, "pressure must be positive and finite, got -1.0 Pa"),
        ({"symmetry": 0}, "a symmetry number is 1 or more, got 0"),
        ({"spin": 0.3}, r"a spin is 0, 0\.5, 1, 1\.5 \.\.\., got 0\.3"),
    ):
        with pytest.raises(ValueError, match=words):
            thermochemistry(modes, 0.0, **options)
    unstable = with_frequencies(molecule("H2O"), [-100, 3657, 3756])
    with pytest.raises(ValueError, match="1 modes are imaginary"):
        thermochemistry(unstable, 0.0)
