"""A page from what relaxations, modes and simulations have left in a folder."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase.io.trajectory import Trajectory

from schnet_calc.analysis.fullerene import Distributions
from schnet_calc.analysis.molecules import molecule_distributions
from schnet_calc.ipi.input import PIMDSettings
from schnet_calc.ipi.outputs import PREFIX, read_properties
from schnet_calc.potential import load_model
from schnet_calc.report.molecule import bond_classes, molecule_data
from schnet_calc.report.page import Commands, Page, Part, Section, Text, write_page
from schnet_calc.report.sections import (
    distribution_parts,
    dynamics_parts,
    mode_parts,
    model_section,
    path_integral_parts,
    structure_parts,
)
from schnet_calc.tasks.md import MDRun
from schnet_calc.tasks.modes import NormalModes
from schnet_calc.tasks.pimd import IDENTITY, PIMDRun

EQUILIBRATION = 0.2
"""Share of every run left out of the distributions."""
ENOUGH = 50
"""Frames that a distribution takes at least."""


@dataclass(frozen=True)
class Findings:
    """What a folder holds of one molecule; what isn't there is None or empty."""

    atoms: ase.Atoms
    """The relaxed molecule."""
    relaxation: dict[str, Any] | None
    modes: NormalModes | None
    comparison: dict[str, Any] | None
    """Of the modes, with a reference."""
    runs: list[tuple[str, MDRun, dict[str, Any]]]
    """Name, run and settings of each."""
    others: list[str]
    """Names of runs of another model or molecule."""
    pimd: PIMDRun | None
    model: dict[str, str]
    """Name and SHA-256; of a committee joined by ``+``."""


def write_report(directory: str | Path) -> Path:
    """Write the page of a molecule that went through ``relax``, ``modes``, ``md`` and ``pimd``.

    Parameters
    ----------
    directory : path
        Holds their results: the ``.json`` files of relaxation and modes, and the folders of the runs, at
        any depth. Figures and ``index.html`` are written into it.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    FileNotFoundError
        There is no such folder, or neither relaxation nor modes in it.
    ValueError
        Its parts are of different molecules or models, or there is more than one of a kind.
    """
    directory = Path(directory)
    found = collect(directory)
    classes = bond_classes(found.atoms)
    sections = [Section("The relaxed molecule", _structure(found, directory))]
    if found.modes is not None:
        sections.append(Section("Normal modes", _modes(found, found.modes, directory)))
    if found.runs or found.pimd:
        sections.append(Section("Dynamics", _dynamics(found, directory)))
    metadata = _metadata(found)
    name = Path(found.model["name"]).name
    if metadata is not None:
        sections.append(model_section(metadata, name))
    sections.append(Section("To repeat it", [Commands(_commands(found))]))
    page = Page(
        title=found.atoms.get_chemical_formula(),
        lead=f"Relaxation, vibrations and dynamics with the model {name}.",
        headline=_headline(found),
        sections=sections,
        molecule=molecule_data(found.atoms, classes, found.modes),
    )
    return write_page(page, directory / "index.html")


def collect(directory: Path) -> Findings:
    """Look through a folder; the errors of :func:`write_report`."""
    if not directory.is_dir():
        raise FileNotFoundError(f"there is no folder {directory}")
    records = list(_json_files(directory))
    relaxation = _only("relaxation", [r for r in records if r[1].get("task") == "relaxation"])
    modes = _only("normal modes", [r for r in records if r[1].get("task") == "modes"])
    pimd = _only("path-integral run", [r for r in records if r[0].name == IDENTITY])
    leading = modes or relaxation
    if leading is None:
        raise FileNotFoundError(
            f"{directory} holds no results of 'schnet-calc relax' or 'schnet-calc modes': "
            "have them written there with -o"
        )
    normal = NormalModes.from_dict(modes[1]) if modes else None
    atoms = normal.atoms if normal else _relaxed(leading[0])
    model = {key: "+".join(m[key] for m in leading[1]["model"]) for key in ("name", "sha256")}
    for record in (relaxation, pimd):
        if record is not None:
            _check_same(record, atoms, model["sha256"])
    runs, others = [], []
    for path, settings in (r for r in records if r[0].name == "md.json"):
        name = path.parent.relative_to(directory).as_posix()
        same = settings["model"] == model["sha256"] and settings["atomic_numbers"] == atoms.numbers.tolist()
        if same and (path.parent / "md.csv").is_file():
            runs.append((name, MDRun(path.parent / "md.traj", path.parent / "md.csv", 0), settings))
        else:
            others.append(name)
    return Findings(
        atoms=atoms,
        relaxation=relaxation[1] if relaxation else None,
        modes=normal,
        comparison=modes[1].get("comparison") if modes else None,
        runs=runs,
        others=others,
        pimd=PIMDRun(pimd[0].parent, _pimd_settings(*pimd)) if pimd else None,
        model=model,
    )


Record = tuple[Path, dict[str, Any]]


def _json_files(directory: Path) -> Iterator[Record]:
    for path in sorted(directory.rglob("*.json")):
        try:
            values = json.loads(path.read_text())
        except (ValueError, RecursionError):
            continue  # not ours
        if isinstance(values, dict):
            yield path, values


def _only(what: str, records: list[Record]) -> Record | None:
    if len(records) > 1:
        names = ", ".join(str(path) for path, _ in records)
        raise ValueError(f"a page shows one {what}, and here are {len(records)}: {names}")
    return records[0] if records else None


def _relaxed(record: Path) -> ase.Atoms:
    """The structure beside the numbers of a relaxation."""
    for path in sorted(record.parent.glob(f"{record.stem}.*")):
        if path.suffix not in (".json", ".png", ".svg"):
            return ase.io.read(path)
    raise FileNotFoundError(f"there is no relaxed structure beside {record}")


def _check_same(record: Record, atoms: ase.Atoms, sha256: str) -> None:
    path, values = record
    models = [m["sha256"] if isinstance(m, dict) else m for m in values["model"]]
    if "+".join(models) != sha256:
        raise ValueError(f"{path} is of another model than the rest of the folder: {'+'.join(models)}")
    numbers = values.get("atomic_numbers", atoms.numbers.tolist())
    if numbers != atoms.numbers.tolist():
        raise ValueError(f"{path} is of another molecule than the rest of the folder")


def _pimd_settings(path: Path, values: dict[str, Any]) -> PIMDSettings:
    known = {f.name for f in fields(PIMDSettings)}
    time = float(read_properties(path.parent / f"{PREFIX}.out")["time"][-1])
    return PIMDSettings(time=time, **{k: v for k, v in values.items() if k in known - {"time"}})


def _structure(found: Findings, directory: Path) -> list[Part]:
    classes = bond_classes(found.atoms)
    parts = structure_parts(
        found.atoms, classes, directory, "Bonds of equal elements and length share a colour."
    )
    if found.relaxation is None:
        return parts
    values = found.relaxation
    verdict = "converged" if values["converged"] else "did not converge"
    text = (
        f"The relaxation {verdict} after {values['steps']} steps, at {values['energy_ev']:.6f} eV and a "
        f"largest force of {values['fmax_ev_ang']:.1e} eV/Å."
    )
    return [Text(text), *parts]


def _modes(found: Findings, modes: NormalModes, directory: Path) -> list[Part]:
    text = (
        f"{len(modes.frequencies)} harmonic frequencies, {modes.n_imaginary or 'none'} of them imaginary."
    )
    compared = found.comparison
    if compared is None:
        return [Text(text), *mode_parts(modes, directory, None, "")]
    known = np.array(compared["reference_cm1"])
    text += f" {compared['reference']} has its minimum {compared['rmsd_ang']:.3f} Å from the model's."
    return [
        Text(text),
        *mode_parts(modes, directory, known, compared["reference"], np.array(compared["overlaps"])),
    ]


def _dynamics(found: Findings, directory: Path) -> list[Part]:
    parts: list[Part] = []
    pairs = bond_classes(found.atoms).pairs
    sources: list[tuple[str, Distributions]] = []
    for name, run, settings in found.runs:
        table = run.table()
        kind = (
            "without thermostat"
            if settings["thermostat"] == "none"
            else f"{settings['thermostat']} thermostat"
        )
        caption = f"{table['time_ps'][-1]:g} ps in steps of {settings['timestep']:g} fs."
        if settings["thermostat"] == "none":
            slope = np.polyfit(table["time_ps"], table["total_ev"], 1)[0] / len(found.atoms)
            caption += f" The total energy drifts by {slope:.1e} eV/atom/ps."
        parts += dynamics_parts(
            table, directory, f"dynamics_{name.replace('/', '_')}", f"{name}, {kind}", caption
        )
        frames = _late_frames(run)
        if settings["thermostat"] != "none" and len(frames) >= ENOUGH and not sources:
            label = f"classical, {settings['temperature']:g} K"
            sources.append((label, molecule_distributions([frames], pairs)))
    if found.pimd is not None:
        beads = [frames[int(EQUILIBRATION * len(frames)) :] for frames in found.pimd.beads()]
        if len(beads[0]) >= ENOUGH:
            label = f"{found.pimd.settings.beads} beads, {found.pimd.settings.temperature:g} K"
            sources.append((label, molecule_distributions(beads, pairs)))
    if sources:
        titles = ("bond lengths", "diameter", "radial distribution")
        caption = "Bands are two standard errors from block averages."
        parts += distribution_parts(sources, titles, directory, caption)
    if found.pimd is not None:
        parts += path_integral_parts(found.pimd, directory)
    if found.others:
        parts.append(Text(f"Left out, of another model or molecule: {', '.join(found.others)}.", soft=True))
    return parts


def _late_frames(run: MDRun) -> list[ase.Atoms]:
    with Trajectory(run.trajectory) as trajectory:
        return [trajectory[k] for k in range(int(EQUILIBRATION * len(trajectory)), len(trajectory))]


def _headline(found: Findings) -> list[tuple[str, str]]:
    values = [(str(len(found.atoms)), "atoms")]
    if found.modes is not None:
        values.append((f"{found.modes.zero_point_energy:.3f} eV", "zero-point energy"))
    if found.comparison is not None:
        off = np.abs(np.subtract(found.comparison["frequencies_cm1"], found.comparison["reference_cm1"]))
        values.append((f"{off.mean():.1f} cm⁻¹", f"mean difference to {found.comparison['reference']}"))
    if found.pimd is not None:
        values.append(
            (f"{found.pimd.settings.time:g} ps", f"path integrals, {found.pimd.settings.beads} beads")
        )
    return values


def _metadata(found: Findings) -> dict[str, Any] | None:
    """Of the model file, if it is still where it was and the same."""
    try:
        potential = load_model(found.model["name"])
    except (FileNotFoundError, ValueError):
        return None
    return potential.metadata if potential.sha256 == found.model["sha256"] else None


def _commands(found: Findings) -> list[str]:
    model = Path(found.model["name"]).name
    lines = [f"schnet-calc relax START.xyz --model {model} -o relaxed.xyz"] if found.relaxation else []
    if found.modes is not None:
        reference = f" --reference {found.comparison['reference']}" if found.comparison else ""
        lines.append(f"schnet-calc modes relaxed.xyz --model {model}{reference} -o modes")
    for name, run, s in found.runs:
        lines.append(
            f"schnet-calc md relaxed.xyz --model {model} --thermostat {s['thermostat']} "
            f"--temperature {s['temperature']:g} --time {run.table()['time_ps'][-1]:g} "
            f"--timestep {s['timestep']:g} --seed {s['seed']} -o {name}"
        )
    if found.pimd is not None:
        q = found.pimd.settings
        lines.append(
            f"schnet-calc pimd relaxed.xyz --model {model} --beads {q.beads} "
            f"--temperature {q.temperature:g} --time {q.time:g} --timestep {q.timestep:g} "
            f"--seed {q.seed} -o {found.pimd.directory.name}"
        )
    return [*lines, "schnet-calc report ."]
