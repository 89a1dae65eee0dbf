"""Dynamics of the formaldehyde study: classical and of ring polymers, and what they tell of each mode and band."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.analysis.averages import Estimate
from schnet_calc.analysis.spectrum import Spectrum, jackknife
from schnet_calc.calculator import SchNetCalculator
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.model import Model
from schnet_calc.simulate.dynamics import read_dynamics
from schnet_calc.simulate.md_files import MDSettings
from schnet_calc.simulate.mode_spectra import mode_spectra
from schnet_calc.simulate.modes import NormalModes
from schnet_calc.simulate.replicas import run_replicas
from schnet_calc.simulate.ring_polymer_run import run_ring_polymers
from schnet_calc.simulate.spectrum import DynamicSpectra, spectra
from schnet_calc.stages import WithEquilibration
from schnet_calc.studies.kept import Progress
from schnet_calc.studies.settings import H2COSettings

HIGHEST = 3300.0
"""cm⁻¹ where the highest band ends."""
REPLICAS, STARTS = 32, 16
"""Classical ones, and of ring polymers."""
STEP, INTERVAL = 0.25, 12
"""fs, and steps between frames: 3 fs, so that overtones don't fold back onto the bands."""


class Band(NamedTuple):
    """A part of the infrared spectrum."""

    modes: list[int]
    """Whose fundamentals lie in it, counted from zero."""
    low: float
    """cm⁻¹"""
    high: float
    """cm⁻¹"""


@dataclass(frozen=True)
class Moving:
    """What dynamics of one kind give."""

    spectra: DynamicSpectra
    along: list[Spectrum]
    """Of the motion along each harmonic mode."""
    intensities: NDArray[np.float64]
    """(K,) km/mol of these modes, double harmonic"""
    doubtful: int = 0
    """Structures on the way that the guard doubted."""

    def peaks(self) -> list[Estimate]:
        """Return the frequency of each mode, cm⁻¹."""
        return [one.maximum() for one in self.along]

    def temperatures(self) -> list[Estimate]:
        """Return the kinetic temperature of each mode, K."""
        return [one.area(0.0, HIGHEST) for one in self.along]

    def absorption(self, bands: list[Band]) -> tuple[list[Estimate], list[Estimate]]:
        """Return the absorption of bands, km/mol, and their shares of its sum, with errors of a jackknife.

        Few modes of few molecules have energies that scatter, and a band is as strong as its modes are hot. So each
        band is divided by what its modes would absorb if they were harmonic, with the temperatures that they had,
        and multiplied by the same at equipartition.

        Parameters
        ----------
        bands : list of Band
            Of :attr:`Isotopologue.bands`.
        """
        infrared = self.spectra.infrared
        assert infrared is not None
        kelvin = np.stack([one.areas(0.0, HIGHEST) for one in self.along], axis=1)
        strengths = [self.intensities[band.modes] for band in bands]
        found = np.stack([infrared.areas(b.low, b.high) for b in bands], axis=1)
        found = found * self.spectra.temperature.value
        expected = np.stack(
            [kelvin[:, b.modes] @ each / each.sum() for b, each in zip(bands, strengths, strict=True)],
            axis=1,
        )
        values = found.sum(axis=0) / expected.sum(axis=0)
        without = (found.sum(axis=0) - found) / (expected.sum(axis=0) - expected)
        shares, parts = values / values.sum(), without / without.sum(axis=1, keepdims=True)
        return _estimates(values, without), _estimates(shares, parts)

    def to_dict(self, bands: list[Band]) -> dict[str, Any]:
        """Return plain values for JSON: estimates as value and error.

        Parameters
        ----------
        bands : list of Band
            Of :attr:`Isotopologue.bands`.
        """
        absorption, shares = self.absorption(bands)
        return {
            "peaks_cm1": [e.to_dict() for e in self.peaks()],
            "mode_temperatures_k": [e.to_dict() for e in self.temperatures()],
            "bands_km_mol": [e.to_dict() for e in absorption],
            "shares": [e.to_dict() for e in shares],
            "temperature_k": self.spectra.temperature.to_dict(),
            "doubtful_structures": self.doubtful,
        }


def run_classical(
    atoms: ase.Atoms, calculator: SchNetCalculator, settings: H2COSettings, folder: Path, report: Progress
) -> int:
    """Run replicas that are equilibrated from the minimum; return how many structures were doubtful.

    Parameters
    ----------
    atoms : Atoms
        At the minimum.
    calculator : SchNetCalculator
        What moves them.
    settings : H2COSettings
        Time and temperature.
    folder : Path
        Of the run; one that is there is continued. Its name is the stage's.
    report : callable
        Called with the name of the stage, steps done and steps in all.
    """
    md = MDSettings(
        settings.temperature, settings.time, STEP, "none", interval=INTERVAL, seed=settings.seed
    )
    before, show = calculator.guard.count, _stages(folder.name.replace("_", ", "), md.n_steps, report)
    run_replicas([atoms] * REPLICAS, calculator, md, folder, resume=True, progress=show)
    return calculator.guard.count - before


def run_trpmd(
    atoms: ase.Atoms, model: Model, settings: H2COSettings, folder: Path, report: Progress
) -> int:
    """Run ring polymers that are thermalised from the minimum; return how many of their beads were doubtful.

    The arguments of :func:`run_classical`, with a model.
    """
    how: dict[str, Any] = {name: getattr(settings, name) for name in ("beads", "temperature", "seed")}
    how |= {"timestep": STEP, "frame_stride": INTERVAL, "stride": INTERVAL, "time": settings.pimd_time}
    pimd = PIMDSettings(**how, method="trpmd")
    show = _stages(folder.name.replace("_trpmd", ", TRPMD"), pimd.n_steps, report)
    several: dict[str, Any] = {"replicas": STARTS, "resume": True, "progress": show}
    return run_ring_polymers(atoms, model, pimd, folder, **several).doubts.count


def _stages(name: str, n_steps: int, report: Progress) -> WithEquilibration:
    names = (f"{name}, equilibration", name)
    return WithEquilibration(lambda stage, done, total, note: report(stage, done, total), names, n_steps)


def read_moving(
    folder: Path, model: Model, modes: NormalModes, intensities: NDArray[np.float64], doubtful: int
) -> Moving:
    """Return the spectra of the run in a folder, dipoles turned with the molecule.

    Parameters
    ----------
    folder : path
        Of md or pimd.
    model : Model
        Of the dipoles.
    modes : NormalModes
        Of the molecule.
    intensities : array
        (K,) km/mol of these.
    doubtful : int
        Structures that the guard doubted.
    """
    run = read_dynamics(folder)
    return Moving(spectra([run], model, turned=True), mode_spectra([run], modes), intensities, doubtful)


def _estimates(values: NDArray[np.float64], without: NDArray[np.float64]) -> list[Estimate]:
    """Of values (B,) and those without each of the replicas (R, B)."""
    errors = jackknife(without)
    return [Estimate(float(v), float(e)) for v, e in zip(values, errors, strict=True)]
