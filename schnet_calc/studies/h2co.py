"""Formaldehyde and its deuterated twin: harmonic, VPT2, classical and quantum spectra beside measured ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase.build import molecule
from numpy.typing import NDArray

from schnet_calc.calculator import SchNetCalculator
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.model import Model
from schnet_calc.simulate.dynamics import read_dynamics
from schnet_calc.simulate.infrared import infrared_intensities, set_isotopes
from schnet_calc.simulate.md_files import MDSettings
from schnet_calc.simulate.modes import NormalModes, normal_modes
from schnet_calc.simulate.pimd import run_pimd
from schnet_calc.simulate.relax import Relaxation, relax
from schnet_calc.simulate.replicas import run_replicas
from schnet_calc.simulate.spectrum import DynamicSpectra, spectra
from schnet_calc.simulate.vpt2 import Anharmonic, quartic_field, vpt2

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
REPLICAS = 20
STEP, INTERVAL = 0.25, 8
"""fs, and steps between frames: 2 fs."""

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Isotopologue:
    """What the study finds for one molecule."""

    name: str
    modes: NormalModes
    intensities: NDArray[np.float64]
    """(6,) km/mol"""
    anharmonic: Anharmonic
    classical: DynamicSpectra
    """Of replicas without thermostat."""
    quantum: DynamicSpectra
    """TRPMD."""

    def peaks(self, kind: str) -> NDArray[np.float64]:
        """Return for each mode the infrared peak nearest to its VPT2 fundamental, cm⁻¹; no number if none is near.

        Parameters
        ----------
        kind : str
            ``"classical"`` or ``"quantum"``.
        """
        spectrum = getattr(self, kind).infrared
        places = np.array([x for x, _, _ in spectrum.peaks(prominence=0.003)] or [np.nan])
        found = np.full(6, np.nan)
        for k, expected in enumerate(self.anharmonic.fundamentals):
            nearest = (
                places[np.nanargmin(np.abs(places - expected))] if np.isfinite(places).any() else np.nan
            )
            if abs(nearest - expected) < 0.04 * expected:
                found[k] = nearest
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "harmonic_cm1": self.modes.frequencies.tolist(),
            "intensities_km_mol": self.intensities.tolist(),
            "vpt2": self.anharmonic.to_dict(),
            "classical_peaks_cm1": self.peaks("classical").tolist(),
            "trpmd_peaks_cm1": self.peaks("quantum").tolist(),
            "measured_cm1": list(MEASURED[self.name]),
        }


@dataclass(frozen=True)
class H2COStudy:
    """Outcome of :func:`study_h2co`."""

    relaxation: Relaxation
    molecules: list[Isotopologue]
    temperature: float
    """K"""
    beads: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "relaxation": self.relaxation.to_dict(),
            "temperature_k": self.temperature,
            "beads": self.beads,
            "molecules": {m.name: m.to_dict() for m in self.molecules},
        }


def study_h2co(
    model: str | Path,
    directory: str | Path,
    *,
    time: float = 5.0,
    pimd_time: float = 1.5,
    beads: int = 8,
    temperature: float = 300.0,
    seed: int = 0,
    device: str = "auto",
    progress: Report | None = None,
) -> H2COStudy:
    """Run the study and leave its trajectories in a folder; runs that are there are continued.

    Parameters
    ----------
    model : str or path
        A model of formaldehyde with dipoles.
    directory : path
        For structures and trajectories.
    time, pimd_time : float
        ps of each of the classical replicas, and of TRPMD.
    beads : int
        Of TRPMD.
    temperature : float
        K.
    seed : int
        Of the velocities.
    device : str
        As for the calculator.
    progress : callable, optional
        Called with the name of the stage, steps done and steps in all.

    Raises
    ------
    ValueError
        The model has no dipole.
    RuntimeError
        The relaxation did not converge.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    report = progress or (lambda stage, done, total: None)
    precise = SchNetCalculator(model, device=device, dtype="float64")
    relaxation = relax(molecule("H2CO"), precise, fmax=1e-5, steps=500)
    if not relaxation.converged:
        raise RuntimeError(f"the relaxation did not converge: {relaxation.fmax:.1e} eV/Å")
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
        fast = SchNetCalculator(model, device=device)
        md = MDSettings(temperature, time, STEP, "none", interval=INTERVAL, seed=seed)
        _classical(atoms, fast, md, folders[0], name, report)
        settings = PIMDSettings(
            beads=beads,
            temperature=temperature,
            time=pimd_time,
            timestep=STEP,
            seed=seed,
            method="trpmd",
            frame_stride=INTERVAL,
            stride=INTERVAL,
        )
        _quantum(atoms, model, settings, folders[1], name, device, report)
        both = [_spectra(folder, fast.model) for folder in folders]
        found.append(Isotopologue(name, modes, intensities, field, *both))
    return H2COStudy(relaxation, found, temperature, beads)


def _classical(
    atoms: ase.Atoms,
    calculator: SchNetCalculator,
    settings: MDSettings,
    folder: Path,
    name: str,
    report: Report,
) -> None:
    """Replicas that are equilibrated from the minimum."""

    def show(step: int, _: ase.Atoms) -> None:
        report(f"{name}, classical", max(step, 0), settings.n_steps)

    run_replicas([atoms] * REPLICAS, calculator, settings, folder, resume=True, progress=show)


def _quantum(
    atoms: ase.Atoms,
    model: str | Path,
    settings: PIMDSettings,
    folder: Path,
    name: str,
    device: str,
    report: Report,
) -> None:
    def show(step: int, _: dict[str, float]) -> None:
        report(f"{name}, TRPMD", step, settings.n_steps)

    run_pimd(atoms, model, settings, folder, resume=True, device=device, progress=show)


def _spectra(folder: Path, model: Model) -> DynamicSpectra:
    return spectra([read_dynamics(folder)], model, resolution=10.0)
