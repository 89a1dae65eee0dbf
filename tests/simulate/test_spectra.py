"""Spectra: of harmonic oscillators, of a model with dipoles, from folders."""

import numpy as np
import pytest
from ase import units
from ase.build import molecule
from ase.vibrations import Infrared

from schnet_calc import MDSettings, Model, SchNetCalculator, normal_modes, relax
from schnet_calc.analysis.spectra import infrared_spectrum, spectrum, vibrational_spectrum
from schnet_calc.data.measured import read_measured
from schnet_calc.errors import DataError
from schnet_calc.simulate.dynamics import read_dynamics
from schnet_calc.simulate.infrared import infrared_intensities, set_isotopes
from schnet_calc.simulate.replicas import run_replicas
from schnet_calc.simulate.spectrum import spectra

INVCM = units._c * 100e-15  # per fs


def oscillation(wavenumber, n=8000, step=1.0):
    return np.cos(2 * np.pi * wavenumber * INVCM * step * np.arange(n))[:, None]


@pytest.fixture(scope="module")
def formaldehyde():
    calculator = SchNetCalculator("h2co", dtype="float64", device="cpu")
    return calculator, relax(molecule("H2CO"), calculator, fmax=1e-5).atoms


def test_a_line_is_where_the_oscillator_is():
    found = spectrum([oscillation(1234.0)], 1.0)
    assert found.wavenumbers[np.argmax(found.intensity)] == pytest.approx(1234.0, abs=1.0)


def test_two_lines_and_their_areas():
    series = oscillation(1000.0) + 0.5 * oscillation(2500.0)
    density = vibrational_spectrum([series[:, None] * np.ones((1, 1, 3))], np.ones(1), 1.0)
    assert [x for x, _, _ in density.peaks()] == pytest.approx([1000.0, 2500.0], abs=1.0)
    assert np.trapezoid(density.intensity, density.wavenumbers) == pytest.approx(1.0)


def test_quantum_correction_lifts_high_frequencies():
    dipoles = [(oscillation(500.0) + oscillation(3000.0)) * np.ones((1, 3))]
    heights = {}
    for quantum in ("none", "harmonic"):
        spectrum = infrared_spectrum(dipoles, 1.0, 300.0, quantum)
        peaks = {round(x, -2): h for x, _, h in spectrum.peaks(prominence=5e-3)}
        heights[quantum] = peaks[3000.0] / peaks[500.0]
    ratio = (lambda b: b / -np.expm1(-b))(3000.0 * units.invcm / (units.kB * 300.0))
    low = (lambda b: b / -np.expm1(-b))(500.0 * units.invcm / (units.kB * 300.0))
    assert heights["harmonic"] / heights["none"] == pytest.approx(ratio / low, rel=0.02)


def test_intensities_are_those_of_ase(formaldehyde, tmp_path):
    calculator, atoms = formaldehyde
    modes = normal_modes(atoms, calculator)
    ours = infrared_intensities(modes, calculator.model)
    moving = atoms.copy()
    moving.calc = calculator
    infrared = Infrared(moving, name=str(tmp_path / "ir"), delta=0.005, nfree=4)
    infrared.run()
    infrared.read()
    theirs = infrared.intensities[-6:] * 42.255  # (D/Å)² / amu
    np.testing.assert_allclose(ours, theirs, rtol=5e-3, atol=0.05)


def test_isotopes_move_the_frequencies(formaldehyde):
    calculator, atoms = formaldehyde
    heavy = atoms.copy()
    set_isotopes(heavy, {"H": 2.0141})
    light, deuterated = normal_modes(atoms, calculator), normal_modes(heavy, calculator)
    assert deuterated.frequencies[-1] / light.frequencies[-1] == pytest.approx(0.747, abs=0.01)
    with pytest.raises(ValueError, match="there is no N"):
        set_isotopes(heavy, {"N": 15.0})


def test_spectra_of_replicas(formaldehyde, tmp_path):
    calculator, atoms = formaldehyde
    settings = MDSettings(300.0, 0.4, 0.5, "none", 10.0, interval=4)
    run_replicas([atoms] * 3, calculator, settings, tmp_path)
    run = read_dynamics(tmp_path)
    assert len(run.positions) == 3
    assert run.timestep == 2.0
    both = spectra([run], calculator.model, resolution=100.0)
    assert np.isfinite(both.infrared.error).all()
    assert both.asked == 300.0
    stretch = both.infrared.intensity[
        (both.infrared.wavenumbers > 1600) & (both.infrared.wavenumbers < 1900)
    ]
    assert stretch.max() > 0.2 * both.infrared.intensity.max()
    assert spectra([run], Model("ethanol"), resolution=100.0).infrared is None


def test_folders_without_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither md\.traj nor pimd\.json"):
        read_dynamics(tmp_path)


def test_measured_spectra(tmp_path):
    (tmp_path / "lines.csv").write_text("# cm-1, intensity\n2843, 5\n1746 10\n")
    np.testing.assert_allclose(read_measured(tmp_path / "lines.csv"), [[1746, 1.0], [2843, 0.5]])
    (tmp_path / "a.jdx").write_text(
        "##TITLE=x\n##FIRSTX=1000\n##LASTX=1003\n##YFACTOR=0.5\n##XYDATA=(X++(Y..Y))\n1000 2 4\n1002 8 2\n##END=\n"
    )
    np.testing.assert_allclose(read_measured(tmp_path / "a.jdx")[:, 1], [0.25, 0.5, 1.0, 0.25])
    (tmp_path / "bad.csv").write_text("wave, height\n")
    with pytest.raises(DataError, match="line 1"):
        read_measured(tmp_path / "bad.csv")
