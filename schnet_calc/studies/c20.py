"""The C20 fullerene study of the thesis (Section 5.3): from a dodecahedron to distributions at 300 K."""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.analysis import Cluster, bonds, clusters, shells
from schnet_calc.analysis.molecules import Distributions, distributions, dodecahedron
from schnet_calc.analysis.path_integrals import PathIntegralEstimators
from schnet_calc.calculator import SchNetCalculator
from schnet_calc.folders import check_same, locked, replace_json
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.simulate.md import run_md
from schnet_calc.simulate.md_files import MDRun, MDSettings
from schnet_calc.simulate.modes import NormalModes, normal_modes
from schnet_calc.simulate.pimd import PIMDRun, run_pimd
from schnet_calc.simulate.relax import Relaxation, check_converged, relax
from schnet_calc.studies.kept import Progress
from schnet_calc.studies.settings import C20Settings

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
    directory: str | Path, settings: C20Settings | None = None, progress: Progress | None = None
) -> C20Study:
    """Run the study and leave its trajectories in a folder.

    Parameters
    ----------
    directory : path
        For the relaxed structure and the trajectories; runs found there are continued.
    settings : C20Settings, optional
        Which model, and how much is simulated.
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
        return _study(directory, settings or C20Settings(), report)


def _study(directory: Path, settings: C20Settings, report: Progress) -> C20Study:
    precise = SchNetCalculator(settings.model, device=settings.device, dtype="float64")
    identity = {"model_sha256": precise.potential.sha256, "seed": settings.seed}
    if (kept := directory / "study.json").exists():
        check_same(directory, json.loads(kept.read_text()), identity)
    else:
        replace_json(kept, identity)
    # On the way down from a rattled cage anything may be met; its end counts, which the modes look at.
    search = SchNetCalculator(precise.potential, device=settings.device, dtype="float64", on_doubt="ignore")
    relaxation, minima = _lowest(settings.seed, search, report)
    atoms = relaxation.atoms
    ase.io.write(directory / "c20_relaxed.xyz", atoms)
    modes = normal_modes(atoms, precise)
    report("normal modes", 1, 1)
    pairs, lengths = bonds(atoms, LONGEST_BOND)
    nve, nvt = _dynamics(atoms, directory, settings, report)
    pimd = _path_integrals(atoms, directory, settings, report)
    return C20Study(
        temperature=settings.temperature,
        seed=settings.seed,
        relaxation=relaxation,
        minima=minima,
        bond_pairs=pairs,
        bond_lengths=lengths,
        bond_classes=clusters(lengths, BOND_GAP),
        shells=shells(atoms),
        modes=modes,
        nve=nve,
        nvt=nvt,
        classical=distributions([nvt.late_frames()]),
        pimd=pimd,
        quantum=distributions(pimd.late_beads()),
        estimators=pimd.estimators(),
        reference=c20_reference(),
    )


def _path_integrals(atoms: ase.Atoms, directory: Path, settings: C20Settings, report: Progress) -> PIMDRun:
    how = PIMDSettings(
        beads=settings.beads,
        temperature=settings.temperature,
        time=settings.quantum_time,
        seed=settings.seed + 1,
    )
    return run_pimd(
        atoms,
        settings.model,
        how,
        directory / "pimd",
        resume=True,
        device=settings.device,
        progress=lambda step, _: report("PIMD", step, how.n_steps),
    )


def _dynamics(
    atoms: ase.Atoms, directory: Path, settings: C20Settings, report: Progress
) -> tuple[MDRun, MDRun]:
    """Classical runs without and with a thermostat, at the temperature of the path integrals."""
    calculator = SchNetCalculator(settings.model, device=settings.device)
    kelvin, seed, free = settings.temperature, settings.seed, settings.free_time
    runs = {
        "md_nve": MDSettings(kelvin, free, thermostat="none", seed=seed, equilibrate=min(1.0, free)),
        "md_nvt": MDSettings(kelvin, settings.classical_time, seed=seed),
    }
    nve, nvt = (
        run_md(
            atoms,
            calculator,
            how,
            directory / name,
            resume=True,
            progress=lambda step, _, name=name, how=how: report(  # type: ignore[misc]
                name.replace("_", " "), max(step, 0), how.n_steps
            ),
        )
        for name, how in runs.items()
    )
    return nve, nvt


def _lowest(
    seed: int, calculator: SchNetCalculator, report: Progress
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
    check_converged(relaxation, "the relaxation")
    return relaxation
