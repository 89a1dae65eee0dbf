"""A page from what relaxations, modes and simulations have left in a folder."""

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from schnet_calc.analysis.molecules import BondDistributions, bond_distributions
from schnet_calc.folders import commands_noted
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.modelfile import load_potential
from schnet_calc.report.molecule import BondClasses, bond_classes, molecule_data
from schnet_calc.report.page import Commands, Page, Part, Section, Text, write_page
from schnet_calc.report.page_spectra import dynamic_spectra, infrared_parts
from schnet_calc.report.results import Findings, collect
from schnet_calc.report.sections import (
    bond_parts,
    dynamics_parts,
    graded_parts,
    mode_parts,
    model_section,
    path_integral_parts,
    structure_parts,
    vibration_tables,
)
from schnet_calc.simulate.modes import NormalModes
from schnet_calc.simulate.settings import MDSettings

ENOUGH = 50
"""Frames that a distribution takes at least."""


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
    FileNotFoundError, ValueError
        From :func:`~schnet_calc.report.results.collect`.
    """
    directory = Path(directory)
    found = collect(directory)
    classes = bond_classes(found.atoms)
    sections = [Section("The relaxed molecule", _structure(found, classes, directory))]
    if found.modes is not None:
        sections.append(Section("Normal modes", _modes(found, found.modes, directory)))
        if further := vibration_tables(found.vibrations):
            sections.append(Section("Beyond harmonic frequencies", further))
    if found.spectra:
        sections.append(Section("Spectra of the dynamics", dynamic_spectra(found, directory)))
    if found.runs or found.pimd or found.others:
        sections.append(Section("Dynamics", _dynamics(found, classes, directory)))
    sections += [_model(entry) for entry in found.models]
    sections.append(Section("To repeat it", [Commands(_commands(found))]))
    page = Page(
        title=found.atoms.get_chemical_formula(),
        lead=f"Relaxation, vibrations and dynamics with the model {found.model_names}.",
        headline=_headline(found),
        sections=sections,
        molecule=molecule_data(found.atoms, classes, found.modes),
    )
    return write_page(page, directory / "index.html")


def _structure(found: Findings, classes: BondClasses, directory: Path) -> list[Part]:
    caption = "Bonds of equal elements and length share a colour."
    parts = structure_parts(found.atoms, classes, directory, caption)
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
    compared, infrared = found.comparison, infrared_parts(found.vibrations, directory)
    if compared is None:
        return [Text(text), *mode_parts(modes, directory, None, "", vibrations=found.vibrations), *infrared]
    known, overlaps = np.array(compared["reference_cm1"]), np.array(compared["overlaps"])
    text += f" {compared['reference']} has its minimum {compared['rmsd_ang']:.3f} Å from the model's."
    parts = mode_parts(modes, directory, known, compared["reference"], overlaps, found.vibrations)
    return [Text(text), *parts, *infrared]


def _dynamics(found: Findings, classes: BondClasses, directory: Path) -> list[Part]:
    parts: list[Part] = []
    for name, run, settings in found.runs:
        table, free = run.table(), settings["thermostat"] == "none"
        kind = "without thermostat" if free else f"{settings['thermostat']} thermostat"
        if "replicas" in settings:
            kind += f", means of {len(settings['replicas'])} replicas"
        caption = f"{table['time_ps'][-1]:g} ps in steps of {settings['timestep']:g} fs."
        if free:
            caption += f" The total energy drifts by {run.drift(len(found.atoms)):.1e} eV/atom/ps."
        stem = f"dynamics_{name.replace('/', '_')}"
        parts += dynamics_parts(table, directory, stem, f"{name}, {kind}", caption)
        parts += graded_parts(run, len(found.atoms), directory, stem)
    sources = _distributions(found, classes)
    if sources:
        caption = "Bands are two standard errors from block averages."
        parts += bond_parts(sources, directory, caption)
    if found.pimd is not None:
        parts += path_integral_parts(found.pimd, found.pimd.estimators(), found.atoms, directory)
    if found.others:
        named = ", ".join(f"{name} ({reason})" for name, reason in found.others)
        parts.append(Text(f"Left out: {named}.", soft=True))
    return parts


def _distributions(found: Findings, classes: BondClasses) -> list[tuple[str, BondDistributions]]:
    """Of the first run with thermostat and of the path integrals, where they are long enough."""
    if not len(classes.pairs):
        return []
    sources = []
    for _, run, settings in found.runs:
        frames = run.late_frames() if settings["thermostat"] != "none" else []
        if len(frames) >= ENOUGH:
            size, label = len(found.atoms), f"classical, {settings['temperature']:g} K"
            parts = range(0, len(frames[0]), size)
            each = [[frame[first : first + size] for frame in frames] for first in parts]
            sources.append((label, bond_distributions(each, classes.pairs)))
            break
    if found.pimd is not None:
        beads, how = found.pimd.late_beads(), found.pimd.settings
        if len(beads[0]) >= ENOUGH:
            label = f"{how.beads} beads, {how.temperature:g} K"
            sources.append((label, bond_distributions(beads, classes.pairs)))
    return sources


def _headline(found: Findings) -> list[tuple[str, str]]:
    values = [(str(len(found.atoms)), "atoms")]
    if found.modes is not None:
        values.append((f"{found.modes.zero_point_energy:.3f} eV", "zero-point energy"))
    if found.comparison is not None:
        off = np.abs(np.subtract(found.comparison["frequencies_cm1"], found.comparison["reference_cm1"]))
        values.append((f"{off.mean():.1f} cm⁻¹", f"mean difference to {found.comparison['reference']}"))
    if found.pimd is not None:
        how = found.pimd.settings
        values.append((f"{how.time:g} ps", f"path integrals, {how.beads} beads"))
    return values


def _model(entry: dict[str, str]) -> Section:
    """The card of a model file, if it is still where it was and the same."""
    name = Path(entry["name"]).name
    try:
        potential = load_potential(entry["name"])
    except (FileNotFoundError, ValueError) as error:
        return Section("The model", [Text(f"{name}, weights {entry['sha256']}: {error}.", soft=True)])
    if potential.sha256 != entry["sha256"]:
        text = f"{name} had the weights {entry['sha256']}; the file has others now."
        return Section("The model", [Text(text, soft=True)])
    return model_section(potential.metadata.raw, name)


def _commands(found: Findings) -> list[str]:
    """What gives the same results: commands as they were typed, where their files say; else with made-up names."""
    model, lines = found.model_names, list[list[Any]]()
    if found.relaxation:
        lines.append(
            _typed(found.relaxation) or ["relax", "START.xyz", "--model", model, "-o", "relaxed.xyz"]
        )
    if found.modes is not None:
        usual = ["modes", "relaxed.xyz", "--model", model, *_mode_options(found), "-o", "modes"]
        lines.append(_typed(found.vibrations) or usual)
    for name, run, settings in found.runs:
        given = {**settings, "time": float(run.table()["time_ps"][-1])}
        several = ["--replicas", len(settings["replicas"])] if "replicas" in settings else []
        options = [*_flags(MDSettings, given), *several, "-o", name]
        lines += _noted(run.trajectory.parent) or [["md", "relaxed.xyz", "--model", model, *options]]
    if found.pimd is not None:
        given, folder = vars(found.pimd.settings), found.pimd.directory
        driver = ["--driver", "batch", "--replicas", found.replicas] if found.replicas else []
        options = [*_flags(PIMDSettings, given), *driver, "-o", folder.name]
        lines += _noted(folder) or [["pimd", "relaxed.xyz", "--model", model, *options]]
    lines += filter(None, (_typed(next(iter(record.values()))) for _, record in found.spectra))
    lines.append(["report", "."])
    return [shlex.join(["schnet-calc", *map(_plain, line)]) for line in lines]


def _noted(folder: Path) -> list[list[Any]]:
    """The words of each command that a run's folder keeps, without the first."""
    return [shlex.split(line)[1:] for line in commands_noted(folder)]


def _typed(record: dict[str, Any]) -> list[Any]:
    """The words of a command after the first, as its file keeps them; none in files of earlier versions."""
    return shlex.split(record.get("command", ""))[1:]


def _mode_options(found: Findings) -> list[Any]:
    """What was asked of the modes beside frequencies."""
    options: list[Any] = ["--anharmonic"] if "anharmonic" in found.vibrations else []
    if found.comparison:
        options += ["--reference", found.comparison["reference"]]
    if gas := found.vibrations.get("thermochemistry"):
        options += ["--temperature", gas["temperature_k"]]
    return options


ALWAYS = ("temperature", "time", "timestep", "thermostat", "beads", "interval", "seed")
"""Settings that a command names although they may be the default: it may change."""


def _flags(kind: Any, given: dict[str, Any]) -> list[Any]:
    """Every setting of a kind that says something, as options."""
    parts: list[Any] = []
    for item in fields(kind):
        value = given.get(item.name)
        if value is not None and (item.name in ALWAYS or value != item.default):
            parts += [f"--{item.name.replace('_', '-')}", value]
    return parts


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
