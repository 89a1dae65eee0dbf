"""Formaldehyde and its deuterated twin: harmonic, VPT2, classical and quantum spectra beside measured ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase.build import molecule
from numpy.typing import NDArray

from schnet_calc.analysis.averages import Estimate
from schnet_calc.analysis.spectrum import LOWEST
from schnet_calc.calculator import SchNetCalculator
from schnet_calc.simulate.infrared import infrared_intensities, set_isotopes
from schnet_calc.simulate.modes import NormalModes, normal_modes
from schnet_calc.simulate.relax import Relaxation, check_converged, relax
from schnet_calc.simulate.vpt2 import Anharmonic, quartic_field, vpt2
from schnet_calc.studies.h2co_dynamics import HIGHEST, Band, Moving, read_moving, run_classical, run_trpmd
from schnet_calc.studies.kept import Progress
from schnet_calc.studies.settings import H2COSettings

ISOTOPES: dict[str, dict[str, float]] = {"H2CO": {}, "D2CO": {"H": 2.0141}}
"""Masses, amu, of the molecules in the study."""
MEASURED = {
    "H2CO": (1167.0, 1249.0, 1500.0, 1746.0, 2782.0, 2843.0),
    "D2CO": (938.0, 989.0, 1106.0, 1700.0, 2056.0, 2160.0),
}
"""cm⁻¹, measured fundamentals in ascending order, rounded as in compilations of gas-phase spectra."""
NAMES = (
    "out of plane",
    "CH2 rock",
    "CH2 scissors",
    "C=O stretch",
    "CH2 symmetric stretch",
    "CH2 asymmetric stretch",
)
"""Of H2CO's modes, ascending."""
MEASURED_KM_MOL = {"H2CO": (6.5, 9.9, 11.2, 74.0, 75.5, 87.6)}
"""Of the same modes (D. C. Reuter et al., J. Chem. Phys. 91, 646, 1989)."""
APART = 120.0
"""cm⁻¹ between modes whose bands are told apart."""


@dataclass(frozen=True)
class Isotopologue:
    """What the study finds for one molecule."""

    name: str
    modes: NormalModes
    intensities: NDArray[np.float64]
    """(6,) km/mol"""
    anharmonic: Anharmonic
    classical: Moving
    """Replicas without thermostat."""
    quantum: Moving
    """TRPMD from several starts."""

    @property
    def bands(self) -> list[Band]:
        """Modes whose fundamentals lie close together, and where their band ends."""
        places = self.anharmonic.fundamentals
        cuts = [k for k in range(1, len(places)) if places[k] - places[k - 1] > APART]
        groups = [list(part) for part in np.split(np.arange(len(places)), cuts)]
        middles = [0.5 * (places[k - 1] + places[k]) for k in cuts]
        return [Band(*of) for of in zip(groups, [LOWEST, *middles], [*middles, HIGHEST], strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "harmonic_cm1": self.modes.frequencies.tolist(),
            "intensities_km_mol": self.intensities.tolist(),
            "vpt2": self.anharmonic.to_dict(),
            "measured_cm1": list(MEASURED[self.name]),
            "bands_cm1": [[band.low, band.high] for band in self.bands],
            **{name: getattr(self, name).to_dict(self.bands) for name in ("classical", "quantum")},
        }


@dataclass(frozen=True)
class H2COStudy:
    """Outcome of :func:`study_h2co`."""

    relaxation: Relaxation
    molecules: list[Isotopologue]
    settings: H2COSettings

    @property
    def doubtful(self) -> int:
        """Structures of all dynamics that the guard doubted."""
        return sum(m.classical.doubtful + m.quantum.doubtful for m in self.molecules)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "relaxation": self.relaxation.to_dict(),
            "temperature_k": self.settings.temperature,
            "beads": self.settings.beads,
            "time_ps": self.settings.time,
            "pimd_time_ps": self.settings.pimd_time,
            "molecules": {m.name: m.to_dict() for m in self.molecules},
        }


def study_h2co(
    directory: str | Path, settings: H2COSettings | None = None, progress: Progress | None = None
) -> H2COStudy:
    """Run the study and leave its trajectories in a folder; runs that are there are continued.

    Parameters
    ----------
    directory : path
        For structures and trajectories.
    settings : H2COSettings, optional
        Which model, and how much is simulated.
    progress : callable, optional
        Called with the name of the stage, steps done and steps in all.

    Raises
    ------
    ValueError
        The model has no dipole.
    RuntimeError
        The relaxation did not converge.
    """
    directory, how = Path(directory), settings or H2COSettings()
    directory.mkdir(parents=True, exist_ok=True)
    report = progress or (lambda stage, done, total: None)
    precise = SchNetCalculator(how.model, device=how.device, dtype="float64")
    # Frames have been judged when they were made.
    seen = SchNetCalculator(how.model, device=how.device, on_doubt="ignore").model
    relaxation = relax(molecule("H2CO"), precise, fmax=1e-5, steps=500)
    check_converged(relaxation, "the relaxation")
    ase.io.write(directory / "relaxed.xyz", relaxation.atoms)
    found = []
    for name, masses in ISOTOPES.items():
        atoms = relaxation.atoms.copy()
        set_isotopes(atoms, masses)
        modes = normal_modes(atoms, precise)
        field = vpt2(quartic_field(modes, precise.model))
        intensities = infrared_intensities(modes, precise.model)
        report(f"{name}, modes", 1, 1)
        folders = (directory / f"{name}_classical", directory / f"{name}_trpmd")
        fast = SchNetCalculator(how.model, device=how.device)
        doubts = (
            run_classical(atoms, fast, how, folders[0], report),
            run_trpmd(atoms, fast.model, how, folders[1], report),
        )
        both = [
            read_moving(folder, seen, modes, intensities, count)
            for folder, count in zip(folders, doubts, strict=True)
        ]
        found.append(Isotopologue(name, modes, intensities, field, *both))
    return H2COStudy(relaxation, found, how)


def whole(estimate: Estimate) -> str:
    """Write value and error without decimals."""
    return f"{estimate.value:.0f} ± {estimate.error:.0f}"
