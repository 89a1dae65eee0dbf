"""The study of formaldehyde: what its dynamics tell of bands, and how it goes on."""

import numpy as np
import pytest

from h2co_card import with_error
from schnet_calc.analysis.averages import Estimate
from schnet_calc.analysis.spectrum import Spectrum
from schnet_calc.simulate.spectrum import DynamicSpectra
from schnet_calc.stages import WithEquilibration
from schnet_calc.studies import h2co_dynamics
from schnet_calc.studies.h2co import study_h2co
from schnet_calc.studies.h2co_dynamics import Band, Moving
from schnet_calc.studies.h2co_page import write_h2co_report
from schnet_calc.studies.settings import H2COSettings
from schnet_calc.studies.study_page import StudyPage

GRID = np.arange(0.0, 3300.0, 5.0)
LINES, STRENGTHS = (1200.0, 1750.0, 2800.0, 2900.0), np.array([10.0, 80.0, 60.0, 90.0])
BANDS = [Band([0], 200, 1500), Band([1], 1500, 2200), Band([2, 3], 2200, 3300)]


def peaks():
    """(K, grid) of area one each."""
    shapes = np.exp(-0.5 * ((GRID - np.array(LINES)[:, None]) / 20) ** 2)
    return shapes / np.trapezoid(shapes, GRID)[:, None]


def moving(kelvins):
    """Harmonic modes of replicas (R, K) with these temperatures."""
    replicas, kelvin = len(kelvins), float(kelvins.mean())
    along = [of_replicas(np.outer(kelvins[:, k], one)) for k, one in enumerate(peaks())]
    absorbed = of_replicas((kelvins * STRENGTHS / kelvin) @ peaks())
    seen = DynamicSpectra(along[0], absorbed, Estimate(kelvin, 1.0, replicas), 300.0)
    return Moving(seen, along, STRENGTHS)


def of_replicas(densities):
    return Spectrum(GRID, densities, np.ones(len(densities)), np.ones(len(GRID)), 5.0)


def test_bands_do_not_scatter_with_the_energies_of_their_modes():
    """Of harmonic modes they are those of double harmonic theory, however few replicas there are."""
    kelvins = np.random.default_rng(0).exponential(300.0, (4, 4))
    found, shares = moving(kelvins).absorption(BANDS)
    assert [e.value for e in found] == pytest.approx([10.0, 80.0, 150.0], rel=1e-3)
    assert [e.error for e in found] == pytest.approx([0.0] * 3, abs=0.1)
    assert [e.value for e in shares] == pytest.approx([10 / 240, 80 / 240, 150 / 240], rel=1e-3)


def test_errors_of_bands_are_their_scatter():
    rng = np.random.default_rng(1)
    values, errors = [], []
    for _ in range(200):
        one = moving(rng.exponential(300.0, (16, 4)))
        infrared = one.spectra.infrared
        noisy = of_replicas(infrared.densities * rng.uniform(0.7, 1.3, (16, 1)))
        one = Moving(DynamicSpectra(noisy, noisy, one.spectra.temperature, 300.0), one.along, STRENGTHS)
        found = one.absorption(BANDS)[0][1]
        values.append(found.value)
        errors.append(found.error)
    assert np.mean(values) == pytest.approx(80.0, rel=0.02)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


def test_progress_tells_the_equilibration_apart():
    told = []
    show = WithEquilibration(lambda *what: told.append(what[:3]), ("X, equilibration", "X"), 10)
    for step in (-8, -4, 0, 5, 10):
        show(step, None)
    warming = [("X, equilibration", done, 8) for done in (0, 4, 8)]
    assert told == [*warming, ("X", 0, 10), ("X", 5, 10), ("X", 10, 10)]


@pytest.mark.slow
def test_the_study_from_start_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(h2co_dynamics, "REPLICAS", 3)
    monkeypatch.setattr(h2co_dynamics, "STARTS", 2)
    # A picosecond of equilibration each would take most of the time.
    monkeypatch.setattr("schnet_calc.simulate.md.equilibration_time", lambda *_: 0.02)
    monkeypatch.setattr("schnet_calc.ipi.settings.EQUILIBRATION", 0.2)
    stages = []

    def report(stage, done, total):
        assert 0 <= done <= total
        if stage not in stages:
            stages.append(stage)

    def run(progress=None):
        return study_h2co(tmp_path, H2COSettings(time=0.06, pimd_time=0.06, beads=2), progress)

    first = run(report)
    kinds = ("modes", "classical, equilibration", "classical", "TRPMD, equilibration", "TRPMD")
    assert stages == [f"{name}, {kind}" for name in ("H2CO", "D2CO") for kind in kinds]
    assert (
        run().to_dict()["molecules"]["D2CO"]["classical"]
        == (first.to_dict()["molecules"]["D2CO"]["classical"])
    )
    page = write_h2co_report(first, StudyPage(tmp_path, "h2co", "schnet-calc h2co")).read_text()
    assert "without thermostat; TRPMD" in page
    assert (tmp_path / "D2CO_spectra.pdf").exists() or (tmp_path / "D2CO_spectra.png").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [(3.2, "1184 ± 3"), (0.97, "1184 ± 1"), (0.42, "1184.1 ± 0.4"), (0.06, "1184.12 ± 0.06")],
)
def test_an_error_below_one_is_not_said_to_be_none(error, said):
    assert with_error({"value": 1184.123, "error": error}) == said
