"""The C20 fullerene study of the thesis (Section 5.3): from a dodecahedron to distributions at 300 K."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.analysis import (
    Cluster,
    bonds,
    clusters,
    shells,
)
from schnet_calc.analysis.fullerene import Distributions, distributions, dodecahedron
from schnet_calc.analysis.path_integrals import PathIntegralEstimators
from schnet_calc.calculator import SchNetCalculator
from schnet_calc.folders import locked
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.simulate.md import run_md
from schnet_calc.simulate.md_files import MDRun, MDSettings
from schnet_calc.simulate.modes import NormalModes, normal_modes
from schnet_calc.simulate.pimd import PIMDRun, run_pimd
from schnet_calc.simulate.relax import Relaxation, relax

THESIS_FMAX = 1e-4 * units.kcal / units.mol
"""eV/Å: the thesis's threshold of 1e-4 kcal/mol/Å."""
LONGEST_BOND = 1.75
"""Å; the next distances in C20 are near 2.2 Å."""
BOND_GAP = 0.015
"""Å between classes of bonds: the reference's 1.447 and 1.453 Å count as one, as in Fig. 5.4."""
N_STARTS = 5
"""Rattled dodecahedra to relax: the regular one is a Jahn-Teller saddle between several wells."""


@dataclass(frozen=True)
class C20Study:
    """Outcome of :func:`study_c20`."""

    temperature: float
    """K, of the run with thermostat."""
    seed: int
    """Of the first displacements and the velocities."""
    relaxation: Relaxation
    """From the start that ended lowest."""
    minima: NDArray[np.float64]
    """(starts,) eV above it where the starts ended: the cage has several wells, meV apart."""
    bond_pairs: NDArray[np.int64]
    """(30, 2)"""
    bond_lengths: NDArray[np.float64]
    """(30,) Å"""
    bond_classes: list[Cluster]
    shells: list[Cluster]
    modes: NormalModes
    nve: MDRun
    nvt: MDRun
    classical: Distributions
    pimd: PIMDRun
    quantum: Distributions
    """Of the beads."""
    estimators: PathIntegralEstimators | None
    """None where the run is too short for errors."""
    reference: dict[str, Any]

    @property
    def frequency_errors(self) -> NDArray[np.float64]:
        """(54,) model minus reference, cm⁻¹, both in ascending order."""
        return self.modes.frequencies - np.array(self.reference["frequencies_cm1"])

    @property
    def drift(self) -> float:
        """Slope of the total energy in the NVE run, eV/atom/ps."""
        return self.nve.drift(len(self.relaxation.atoms))

    def to_dict(self) -> dict[str, Any]:
        """All numbers, as plain values for JSON."""
        return {
            "relaxation": self.relaxation.to_dict(),
            "minima_ev": self.minima.tolist(),
            "bond_classes": [
                {"mean_ang": c.mean, "count": len(c.members), "spread_ang": c.spread}
                for c in self.bond_classes
            ],
            "bond_lengths_ang": np.sort(self.bond_lengths).tolist(),
            "shells": [{"radius_ang": c.mean, "count": len(c.members)} for c in self.shells],
            "modes": self.modes.to_dict(),
            "frequency_errors_cm1": self.frequency_errors.tolist(),
            "nve_drift_ev_atom_ps": self.drift,
            "classical": self.classical.to_dict(),
            "path_integral": {
                "beads": self.pimd.settings.beads,
                "time_ps": float(self.pimd.table()["time"][-1]),
                **self.quantum.to_dict(),
                "estimators": self.estimators.to_dict() if self.estimators else None,
            },
            "reference": self.reference,
        }


def c20_reference() -> dict[str, Any]:
    """Bond lengths and frequencies of the surface that labelled the training data, with source."""
    path = resources.files("schnet_calc.studies") / "c20_reference.json"
    reference: dict[str, Any] = json.loads(path.read_text())
    return reference


def study_c20(
    model: str | Path,
    directory: str | Path,
    *,
    time: float = 10.0,
    nve_time: float = 2.0,
    pimd_time: float = 2.0,
    beads: int = 8,
    temperature: float = 300.0,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[str, int, int], None] | None = None,
) -> C20Study:
    """Run the study and leave its trajectories in a folder.

    Parameters
    ----------
    model : str or path
        A model of C20.
    directory : path
        For the relaxed structure and the trajectories; runs found there are continued.
    time, nve_time, pimd_time : float
        Length of the classical runs with Langevin thermostat and without, and of the path-integral
        run, ps.
    beads : int
        Of the path-integral run.
    temperature : float
        K.
    seed : int
        Of the first displacements and the velocities.
    device : str
        As for the calculator.
    progress : callable, optional
        Called with the name of the stage, steps done and steps in all.

    Raises
    ------
    FolderInUseError
        Another process is at work in the folder.
    RuntimeError
        The relaxation did not converge.
    ValueError
        The folder holds the study of another model, seed or temperature.
    """
    directory = Path(directory)
    report = progress or (lambda stage, done, total: None)
    with locked(directory):
        precise = SchNetCalculator(model, device=device, dtype="float64")
        _same_study(directory / "study.json", {"model_sha256": precise.potential.sha256, "seed": seed})
        relaxation, minima = _lowest(seed, precise, report)
        ase.io.write(directory / "c20_relaxed.xyz", relaxation.atoms)
        modes = normal_modes(relaxation.atoms, precise)
        report("normal modes", 1, 1)
        pairs, lengths = bonds(relaxation.atoms, LONGEST_BOND)
        how = PIMDSettings(beads=beads, temperature=temperature, time=pimd_time, seed=seed + 1)
        nve, nvt = _dynamics(relaxation.atoms, model, directory, (nve_time, time), how, device, report)
        pimd = run_pimd(
            relaxation.atoms,
            model,
            how,
            directory / "pimd",
            resume=True,
            device=device,
            progress=lambda step, _: report("PIMD", step, how.n_steps),
        )
        return C20Study(
            temperature=temperature,
            seed=seed,
            relaxation=relaxation,
            minima=minima,
            bond_pairs=pairs,
            bond_lengths=lengths,
            bond_classes=clusters(lengths, BOND_GAP),
            shells=shells(relaxation.atoms),
            modes=modes,
            nve=nve,
            nvt=nvt,
            classical=distributions([nvt.late_frames()]),
            pimd=pimd,
            quantum=distributions(pimd.late_beads()),
            estimators=pimd.estimators(),
            reference=c20_reference(),
        )


def _dynamics(
    atoms: ase.Atoms,
    model: str | Path,
    directory: Path,
    times: tuple[float, float],
    quantum: PIMDSettings,
    device: str,
    report: Callable[[str, int, int], None],
) -> tuple[MDRun, MDRun]:
    """Classical runs without and with a thermostat, ps each, at the temperature of the path integrals."""
    calculator, kelvin, seed = SchNetCalculator(model, device=device), quantum.temperature, quantum.seed - 1

    def run(name: str, settings: MDSettings) -> MDRun:
        def show(step: int, _: ase.Atoms) -> None:
            report(name.replace("_", " "), max(step, 0), settings.n_steps)

        return run_md(atoms, calculator, settings, directory / name, resume=True, progress=show)

    warm = min(1.0, times[0])
    nve = run("md_nve", MDSettings(kelvin, times[0], thermostat="none", seed=seed, equilibrate=warm))
    return nve, run("md_nvt", MDSettings(kelvin, times[1], seed=seed))


def _lowest(
    seed: int, calculator: SchNetCalculator, report: Callable[[str, int, int], None]
) -> tuple[Relaxation, NDArray[np.float64]]:
    """The relaxation that ends lowest, and the energies above it where all of them end, eV."""
    report("relaxation", 0, N_STARTS)
    starts = []
    for n in range(N_STARTS):
        starts.append(_relax_from(seed + n, calculator))
        report("relaxation", n + 1, N_STARTS)
    best = min(starts, key=lambda r: r.energies[-1])
    return best, np.sort([r.energies[-1] for r in starts]) - best.energies[-1]


def _relax_from(seed: int, calculator: SchNetCalculator) -> Relaxation:
    """Relax a dodecahedron that was rattled off the saddle point of its symmetry."""
    start = dodecahedron()
    start.rattle(0.05, seed=seed)
    relaxation = relax(start, calculator, fmax=THESIS_FMAX, steps=2000)
    if not relaxation.converged:
        raise RuntimeError(
            f"the relaxation did not converge: {relaxation.fmax:.1e} eV/Å after {relaxation.steps} steps"
        )
    return relaxation


def _same_study(path: Path, identity: dict[str, Any]) -> None:
    """Refuse to go on with the trajectories of another model or seed."""
    if not path.exists():
        path.write_text(json.dumps(identity))
        return
    for key, value in json.loads(path.read_text()).items():
        if value != identity.get(key):
            raise ValueError(
                f"{path.parent} holds a study with {key} = {value}, not {identity.get(key)}: "
                f"choose another folder"
            )
