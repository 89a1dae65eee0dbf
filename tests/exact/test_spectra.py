"""Spectra of motions that are known: lines keep their areas, replicas their weights, and noise makes no peaks."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from scipy.linalg import expm, null_space
from scipy.spatial.transform import Rotation

from schnet_calc.analysis.spectra import (
    INVCM_FS,
    KM_MOL,
    check_sampling,
    infrared_spectrum,
    vibrational_spectrum,
)
from schnet_calc.analysis.spectrum import Spectrum
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.simulate.dynamics import Dynamics
from schnet_calc.simulate.mode_spectra import mode_spectra
from schnet_calc.simulate.modes import NormalModes, rigid_motions
from schnet_calc.simulate.spectrum import check_ensemble, spectra
from schnet_calc.simulate.stiffest import stiffest_guess

MASS, KELVIN = 12.0, 300.0
LINES = (600.0, 1700.0, 3000.0)


def angular(wavenumber: float) -> float:
    """Per unit of ASE's time."""
    return 2 * np.pi * wavenumber / INVCM_FS / units.fs


def oscillators(wavenumbers, energies, interval, seed=0):
    """Positions and momenta (M, K) of harmonic oscillators with total energies, eV."""
    rng = np.random.default_rng(seed)
    n = int(16000 / interval)
    phases = rng.uniform(0, 2 * np.pi, len(wavenumbers))
    omega = np.array([angular(x) for x in wavenumbers])
    turns = np.outer(np.arange(n) * interval * units.fs, omega) + phases
    amplitude = np.sqrt(2 * np.array(energies) / MASS) / omega
    return amplitude * np.cos(turns), -MASS * amplitude * omega * np.sin(turns)


def area(spectrum: Spectrum, line: float) -> float:
    return spectrum.area(line - 100, line + 100).value


@pytest.mark.parametrize("interval", [0.5, 2.0, 4.0, 5.0])
@pytest.mark.parametrize("positions", [False, True], ids=["momenta", "positions"])
def test_modes_of_equal_energy_have_equal_areas(interval, positions):
    """At every interval that holds them: differences of frames lose 98 percent of 3000 cm⁻¹ at 5 fs."""
    x, p = oscillators(LINES, [units.kB * KELVIN] * 3, interval)
    series = (x if positions else p)[:, :, None] * [1.0, 0.0, 0.0]
    found = vibrational_spectrum([series], np.full(3, MASS), interval, positions=positions)
    # Per mode m <v²> / kB is the temperature.
    assert [area(found, line) for line in LINES] == pytest.approx([KELVIN] * 3, rel=0.02)


@pytest.mark.parametrize("interval", [0.5, 4.0])
def test_infrared_areas_are_those_of_double_harmonic_theory(interval):
    charges = np.array([0.3, 0.1, 0.2])
    x, _ = oscillators(LINES, [units.kB * KELVIN] * 3, interval)
    found = infrared_spectrum([(x * charges)[:, :, None].sum(axis=1) * [[1.0, 0, 0]]], interval, KELVIN)
    expected = KM_MOL * charges**2 / MASS
    assert [area(found, line) for line in LINES] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("ratio", [9.0, 99.0])
def test_replicas_are_pooled_by_what_they_absorb(ratio):
    """Not by the shapes of their curves, which would make 9.2 to 1 of 99 to 1."""
    rng = np.random.default_rng(1)
    energies = rng.exponential(units.kB * KELVIN, (20, 2))
    dipoles = []
    for k, pair in enumerate(energies):
        x, _ = oscillators(LINES[1:], pair, 2.0, seed=k)
        dipoles.append((x @ [np.sqrt(ratio), 1.0])[:, None] * [[1.0, 0, 0]])
    found = infrared_spectrum(dipoles, 2.0, KELVIN)
    expected = ratio * energies[:, 0].sum() / energies[:, 1].sum()
    assert area(found, LINES[1]) / area(found, LINES[2]) == pytest.approx(expected, rel=0.02)


def test_the_jackknife_tells_the_scatter_of_shares():
    """The error over replicas is that of repeated experiments."""
    rng = np.random.default_rng(2)
    grid = np.arange(0.0, 4000.0, 5.0)
    lines = np.exp(-0.5 * ((grid - np.array(LINES)[:, None]) / 20) ** 2)
    values, errors = [], []
    for _ in range(300):
        densities = rng.exponential(1.0, (20, 3)) @ lines
        one = Spectrum(grid, densities, np.ones(20), np.ones(len(grid)), 5.0)
        value, error = one.share(1500, 1900)[:2]
        values.append(value)
        errors.append(error)
    assert np.mean(values) == pytest.approx(1 / 3, abs=0.01)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def langevin_line(wavenumber, time_constant, interval, n, seed):
    """Positions (M, 1) of an oscillator under Langevin's thermostat, propagated exactly."""
    omega, gamma, step = angular(wavenumber), 1 / (time_constant * units.fs), interval * units.fs
    drift = np.array([[0.0, 1.0], [-(omega**2), -gamma]])
    propagator = expm(drift * step)
    stationary = np.diag([1 / omega**2, 1.0])
    noise = np.linalg.cholesky(stationary - propagator @ stationary @ propagator.T)
    rng = np.random.default_rng(seed)
    state, found = np.sqrt(stationary) @ rng.normal(size=2), []
    for kick in rng.normal(size=(n, 2)):
        state = propagator @ state + noise @ kick
        found.append(state[0])
    return np.array(found)[:, None]


@pytest.mark.parametrize("resolution", [None, 5.0, 20.0])
def test_noise_of_a_broad_line_makes_no_peaks(resolution):
    for seed in range(6):
        series = [langevin_line(1167.0, 100.0, 2.0, 5000, 10 * seed + k)[:, :, None] for k in range(2)]
        found = vibrational_spectrum(series, np.ones(1), 2.0, positions=True, resolution=resolution).peaks()
        assert len(found) <= 1, found
        if resolution != 5.0:
            assert found[0].position == pytest.approx(1167.0, abs=40)


def test_weak_lines_beside_strong_ones_are_found():
    dipoles = []
    for k, energies in enumerate(np.random.default_rng(5).exponential(1.0, (20, 4))):
        x, _ = oscillators((1180.0, 1260.0, 1520.0, 1770.0), energies, 2.0, seed=k)
        dipoles.append((x @ [0.3, 0.35, 0.4, 1.0])[:, None] * [[1.0, 0, 0]])
    found = [p.position for p in infrared_spectrum(dipoles, 2.0, KELVIN).peaks()]
    assert found == pytest.approx([1180, 1260, 1520, 1770], abs=2)


def test_frames_too_far_apart_are_refused():
    check_sampling(4.0, 3000.0)
    with pytest.raises(
        ValueError, match=r"nothing above 3336 cm⁻¹.*3500 cm⁻¹: write a frame at least every 4\.7 fs"
    ):
        check_sampling(5.0, 3500.0)


@pytest.mark.parametrize(
    ("name", "mass", "harmonic"),
    [("H2", None, 4401), ("H2", 2.014, 3116), ("HF", None, 4138), ("HF", 2.014, 3000), ("H2O", None, 3943)],
)
def test_no_molecule_is_stiffer_than_is_guessed(name, mass, harmonic):
    """Measured harmonic wavenumbers, among them the stiffest there are."""
    atoms = (
        molecule("H2O") if name == "H2O" else Atoms(name, [(0, 0, 0), (0, 0, 0.75 + 0.17 * (name == "HF"))])
    )
    if mass:
        atoms.set_masses(
            [mass if z == 1 else m for z, m in zip(atoms.numbers, atoms.get_masses(), strict=True)]
        )
    assert harmonic < stiffest_guess(atoms) < 1.05 * harmonic


def test_trpmd_writes_frames_for_spectra():
    """The default of pimd, 10 fs apart, shows nothing above 1668 cm⁻¹."""

    def stride(**settings):
        return PIMDSettings(temperature=300, time=1.0, **settings).frame_stride

    assert stride(method="trpmd") == 5
    assert stride(method="trpmd", timestep=0.25) == 10
    assert stride(method="trpmd", timestep=3.0) == 1
    assert (stride(), stride(method="trpmd", frame_stride=8)) == (20, 8)
    check_sampling(0.5 * stride(method="trpmd"), 4500.0)
    with pytest.raises(ValueError, match="frame_stride must be positive and finite, got -1"):
        stride(frame_stride=-1)
    with pytest.raises(ValueError, match="timestep must be positive and finite, got 0"):
        stride(timestep=0)


def dynamics(thermostat, kind="classical", interval=2.0):
    x, p = oscillators([500.0, 1000.0, 3000.0], [0.03] * 3, interval)
    x, p = x[:, :, None] * np.eye(3), p[:, :, None] * np.eye(3)
    atoms = Atoms("CH2", [(0, 0, 0), (0, 0, 1), (0, 1, 0)])
    return Dynamics(atoms, [x], [p], [[x]], interval, KELVIN, kind, thermostat, 100.0)


def test_thermostats_are_refused_or_named():
    with pytest.raises(ValueError, match=r"broadens lines by 53 cm⁻¹.*--thermostat none"):
        spectra([dynamics("langevin")])
    with pytest.raises(ValueError, match="run pimd with --method trpmd"):
        spectra([dynamics("pimd", "path integral")])
    assert "bussi was on" in check_ensemble(dynamics("bussi"), 5.0)
    assert "broadens lines by 53" in check_ensemble(dynamics("langevin"), 60.0)
    assert check_ensemble(dynamics("none"), 5.0) is None
    assert check_ensemble(dynamics("trpmd", "path integral"), 5.0) is None
    with pytest.raises(
        ValueError, match=r"stiffest mode lies near 4450 cm⁻¹: write a frame at least every 3\.7 fs"
    ):
        spectra([dynamics("none", interval=5.0)])


def test_modes_are_seen_one_by_one():
    """In a molecule that turns and moves away."""
    rng = np.random.default_rng(3)
    atoms = Atoms("OCH2", [(0, 0, 1.2), (0, 0, 0), (0.9, 0, -0.6), (-0.9, 0, -0.6)])
    internal = null_space(rigid_motions(atoms)).T.reshape(6, 4, 3)
    shapes = internal / np.sqrt(atoms.get_masses())[:, None]
    wavenumbers, kelvins = np.linspace(900, 3000, 6), np.linspace(200, 400, 6)
    hessian = np.zeros((12, 12))
    modes = NormalModes(atoms, hessian, wavenumbers, shapes, 0.0, 0.0, 0.0)
    times = np.arange(4000) * 2.0 * units.fs
    omega = np.array([angular(x) for x in wavenumbers])
    size = np.sqrt(2 * 1e-3 * units.kB * kelvins) / omega  # so small that the motion is that of the modes
    along = size * np.cos(np.outer(times, omega) + rng.uniform(0, 6, 6))
    frames = atoms.positions + np.einsum("mk,kna->mna", along, shapes)
    turns = Rotation.from_rotvec(np.outer(np.arange(4000) * 1e-3, [0.3, 0.5, 1.0])).as_matrix()
    moving = np.einsum("mab,mnb->mna", turns, frames) + times[:, None, None] * 1e-3
    run = Dynamics(atoms, [moving], None, [[moving]], 2.0, KELVIN, "path integral", "trpmd", 100.0)
    found = mode_spectra([run], modes, 20.0)
    assert [s.maximum().value for s in found] == pytest.approx(wavenumbers, abs=1.0)
    # Areas are temperatures.
    assert [1e3 * s.area(200, 5000).value for s in found] == pytest.approx(kelvins, rel=0.02)


@pytest.mark.parametrize("by_momenta", [True, False])
def test_the_temperature_that_was_reached(by_momenta):
    run = dynamics("none")
    if not by_momenta:
        run = Dynamics(**{**vars(run), "momenta": None})
    # All momenta of the three oscillators against the three vibrations that a bent molecule has, or nine momenta.
    weights = (run.atoms.get_masses() / MASS) ** (-1 if by_momenta else 1)
    shared = 9 if by_momenta else 3
    expected = 3 * 0.03 / units.kB * weights.mean() / shared
    assert spectra([run]).temperature.value == pytest.approx(expected, rel=0.02)
