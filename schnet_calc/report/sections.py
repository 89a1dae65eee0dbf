"""Sections that every page of a molecule may have."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase import units
from ase.io import Trajectory
from numpy.typing import NDArray

from schnet_calc import plots
from schnet_calc.analysis.molecules import BondDistributions, Distributions
from schnet_calc.analysis.path_integrals import PathIntegralEstimators
from schnet_calc.report.molecule import BondClasses
from schnet_calc.report.page import Modes3D, Part, Section, Structure3D, Table, Text, save_picture
from schnet_calc.simulate.md_files import MDRun
from schnet_calc.simulate.modes import NormalModes, rigid_motions
from schnet_calc.simulate.pimd import PIMDRun

FEW_STICKS = 120
"""Modes up to which each one can be clicked in the spectrum."""


def structure_parts(atoms: ase.Atoms, classes: BondClasses, folder: Path, caption: str) -> list[Part]:
    """The molecule to turn around.

    Parameters
    ----------
    atoms : ase.Atoms
        Relaxed.
    classes : BondClasses
        Of its bonds.
    folder : Path
        For the pictures.
    caption : str
        Of the picture without scripts.
    """
    figure, axes = plots.new_figure(9, 4.6, 2)
    for ax, labels in zip(axes, (False, True), strict=True):
        plots.draw_cage(ax, atoms, classes.pairs, classes.lengths, classes.classes, labels, classes.labels)
    if classes.labels:
        axes[0].get_legend().remove()
    picture = save_picture(
        figure, folder / "cage", "The relaxed molecule, bonds coloured by class", caption
    )
    colors = [(plots.class_color(k), label) for k, label in enumerate(classes.labels)]
    return [Structure3D(picture, colors)]


def mode_parts(
    modes: NormalModes,
    folder: Path,
    reference: NDArray[np.float64] | None,
    reference_name: str,
    overlaps: NDArray[np.float64] | None = None,
    vibrations: Mapping[str, Any] | None = None,
) -> list[Part]:
    """Spectrum, the modes to click on, and all frequencies beside a reference's and VPT2's, if there are such.

    Parameters
    ----------
    modes : NormalModes
        M of them.
    folder : Path
        For the pictures.
    reference : array, optional
        (M,) frequencies of another method, cm⁻¹.
    reference_name : str
        Its name.
    overlaps : array, optional
        (M,) of the displacements of matched modes.
    vibrations : mapping, optional
        What ``modes`` wrote, with VPT2's fundamentals.
    """
    fundamentals = (vibrations or {}).get("anharmonic", {}).get("fundamentals_cm1")
    both = reference is not None
    figure, axes = plots.new_figure(
        10 if both else 8, 3.8, 2 if both else 1, squeeze=False, width_ratios=(2, 1) if both else (1,)
    )
    clickable = len(modes.frequencies) <= FEW_STICKS
    plots.draw_spectrum(
        axes[0, 0],
        modes.frequencies,
        reference,
        name="model",
        clickable=clickable,
        fundamentals=fundamentals,
    )
    caption = "Sticks and their sum, broadened by 8 cm⁻¹; click on one to see its motion."
    if reference is not None:
        plots.draw_frequency_errors(axes[0, 1], modes.frequencies, reference)
        order = "in ascending order" if overlaps is None else "matched by the overlap of the displacements"
        caption = (
            f"The model above, {reference_name} mirrored below, sticks broadened by 8 cm⁻¹; right, the "
            f"difference mode by mode ({order}), with a band of 1 %. Click on a stick to see the motion."
        )
    if fundamentals is not None:
        caption += " Dashed: fundamentals by VPT2."
    alt = "Vibrational spectrum" + (", model above, reference below" if both else "")
    parts: list[Part] = [save_picture(figure, folder / "spectrum", alt, caption, inline=True)]
    parts.append(Modes3D(modes.frequencies.tolist()))
    header = ["mode", "model, cm⁻¹"]
    columns = [[str(k + 1) for k in range(len(modes.frequencies))], [f"{f:.1f}" for f in modes.frequencies]]
    if reference is not None:
        header += [f"{reference_name}, cm⁻¹", "difference"]
        columns.append([f"{f:.1f}" for f in reference])
        columns.append([f"{f:+.1f}" for f in modes.frequencies - reference])
    if overlaps is not None:
        header.append("overlap")
        columns.append([f"{o:.3f}" for o in overlaps])
    parts.append(Table(list(zip(*columns, strict=True)), header, "All frequencies"))
    return parts


def dynamics_parts(
    table: dict[str, NDArray[np.float64]], folder: Path, stem: str, title: str, caption: str
) -> list[Part]:
    """Energy, temperature and, where there are any, the largest grade over time of a classical run.

    Parameters
    ----------
    table : dict of array
        Columns of the run, (steps,) each.
    folder : Path
        For the picture ``stem``.
    stem, title, caption : str
        Of the picture.
    """
    graded = np.isfinite(table.get("largest_grade", np.zeros(0))).any()
    figure, axes = plots.new_figure(13 if graded else 10, 3.2, 3 if graded else 2)
    plots.draw_energy_and_temperature(axes, table)
    axes[0].set_title(title)
    if graded:
        plots.draw_grades(axes[2], table["time_ps"], table["largest_grade"])
        top = np.nanmax(table["largest_grade"])
        caption += (
            f" The largest grade of any atom is {top:.2g}; above one it is outside of the training data."
        )
    return [save_picture(figure, folder / stem, f"Energies and temperature over time, {title}", caption)]


def graded_parts(run: MDRun, n_atoms: int, folder: Path, stem: str) -> list[Part]:
    """The molecule where a run has the largest grade, its atoms coloured by theirs; nothing without grades.

    Parameters
    ----------
    run : MDRun
        Finished.
    n_atoms : int
        Of the molecule, of which replicas have several.
    folder, stem : Path, str
        Where the picture goes.
    """
    largest = run.table().get("largest_grade", np.zeros(0))
    if not np.isfinite(largest).any():
        return []
    with Trajectory(run.trajectory) as trajectory:
        frame = trajectory[int(np.nanargmax(largest))]
    grades = getattr(frame.calc, "results", {}).get("grades")
    if grades is None:
        return []
    first = int(np.argmax(grades)) // n_atoms * n_atoms  # replicas stand one after the other
    figure, axes = plots.new_figure(4.6, 3.4)
    plots.draw_graded(axes, frame[first : first + n_atoms], grades[first : first + n_atoms])
    caption = "The frame with the largest grade; atoms above one are outside of the training data."
    return [save_picture(figure, folder / f"{stem}_grades", "Atoms coloured by their grades", caption)]


def path_integral_parts(
    run: PIMDRun, estimators: PathIntegralEstimators | None, atoms: ase.Atoms, folder: Path
) -> list[Part]:
    """Conserved quantity, temperature and averages of a path-integral run of a molecule."""
    figure, axes = plots.new_figure(10, 3.2, 2)
    plots.draw_pimd(axes, run.table())
    axes[0].set_title(f"path integral, {run.settings.beads} beads")
    caption = (
        "The conserved quantity of the thermostatted ring polymers has to stay where it is; the potential "
        "rises while the beads spread from the common point they start at."
    )
    alt = "Conserved quantity and temperature of the beads over time"
    parts: list[Part] = [save_picture(figure, folder / "pimd", alt, caption)]
    if estimators is None:
        return [*parts, Text("Too short a run for estimators with errors.", soft=True)]
    n_atoms, n_rigid = len(atoms), len(rigid_motions(atoms))
    classical = 1.5 * n_atoms * units.kB * run.settings.temperature
    rows = estimators.described()
    rows["kinetic energy, centroid virial"] += f" (classical: {classical:.4f})"
    rows["heat capacity"] += f" (classical harmonic: {3 * n_atoms - 0.5 * n_rigid:g})"
    return [*parts, Table([*rows.items()])]


def distribution_parts(
    sources: list[tuple[str, Distributions]], titles: tuple[str, str, str], folder: Path, caption: str
) -> list[Part]:
    """Fig. 5.6: distributions of every run, with their error bands.

    Parameters
    ----------
    sources : list of (str, Distributions)
        Names of the runs, and what they found.
    titles : (str, str, str)
        Of the panels.
    folder : Path
        For the picture.
    caption : str
        Below it.
    """
    figure, axes = plots.new_figure(11, 3.4, 3)
    for (label, source), color in zip(sources, (plots.COLORS[0], plots.COLORS[2]), strict=False):
        for ax, result in zip(axes, (source.nearest, source.diameter, source.radial), strict=True):
            plots.draw_distribution(ax, result, label, color)
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title)
    axes[0].legend(frameon=False)
    axes[2].set_ylabel("g(r), 1/Å³")
    alt = f"Distributions of {', '.join(titles)}"
    return [save_picture(figure, folder / "distributions", alt, caption)]


def bond_parts(sources: list[tuple[str, BondDistributions]], folder: Path, caption: str) -> list[Part]:
    """Lengths by kind of bond, and all distances, of every run; arguments as for :func:`distribution_parts`."""
    kinds = list(sources[0][1].bonds)
    columns, rows = min(len(kinds) + 1, 3), -(-(len(kinds) + 1) // 3)
    figure, axes = plots.new_figure(3.7 * columns, 3.4 * rows, columns, nrows=rows, squeeze=False)
    *panels, last = axes.flat[: len(kinds) + 1]
    for unused in axes.flat[len(kinds) + 1 :]:
        unused.axis("off")
    for (label, source), color in zip(sources, (plots.COLORS[0], plots.COLORS[2]), strict=False):
        for ax, kind in zip(panels, kinds, strict=True):
            plots.draw_distribution(ax, source.bonds[kind], label, color)
        plots.draw_distribution(last, source.radial, label, color)
    for ax, title in zip((*panels, last), (*kinds, "all distances"), strict=True):
        ax.set_title(title)
    panels[0].legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    last.set_ylabel("g(r), 1/Å³")
    alt = f"Distributions of the lengths of {', '.join(kinds)} and of all distances"
    return [save_picture(figure, folder / "distributions", alt, caption)]


def vibration_tables(record: dict[str, Any]) -> list[Part]:
    """Anharmonic frequencies and thermochemistry, where ``modes`` was asked for them."""
    parts: list[Part] = []
    if found := record.get("anharmonic"):
        rows = [
            [str(k + 1), f"{harmonic:.1f}", f"{fundamental:.1f}", f"{fundamental - harmonic:+.1f}"]
            for k, (harmonic, fundamental) in enumerate(
                zip(found["harmonic_cm1"], found["fundamentals_cm1"], strict=True)
            )
        ]
        parts += [
            Text("Second-order perturbation theory (VPT2) on the quartic force field of the model."),
            Table(rows, ("mode", "harmonic, cm⁻¹", "fundamental, cm⁻¹", "shift, cm⁻¹")),
        ]
    if gas := record.get("thermochemistry"):
        rows = [
            ["enthalpy", f"{gas['enthalpy_ev']:.4f} eV"],
            ["entropy", f"{1e3 * gas['entropy_ev_k']:.4f} meV/K"],
            ["Gibbs energy", f"{gas['gibbs_energy_ev']:.4f} eV"],
        ]
        where = f"{gas['temperature_k']:g} K and {gas['pressure_pa'] / 1e5:g} bar"
        parts += [
            Text(f"Thermochemistry of an ideal gas of rigid, harmonic molecules at {where}."),
            Table(rows),
        ]
    return parts


def model_section(metadata: dict[str, Any], name: str) -> Section:
    """The card of a model, as far as its file says."""
    training = metadata.get("training", {})
    shape = metadata.get("hyperparameters", {})
    sizes = f"T = {shape['n_interactions']}, F = {shape['n_features']}, " if shape else ""
    cutoff = "no cutoff" if metadata["cutoff"] is None else f"cutoff {metadata['cutoff']} Å"
    rows = [
        ("model", name),
        ("network", f"{metadata.get('architecture', 'unknown')}, {sizes}{cutoff}, {metadata['dtype']}"),
        ("weights", metadata.get("weights_sha256", "not in the file")),
    ]
    if "data" in training:
        about = training["data"]
        told = about if isinstance(about, dict) else {"theory": about}
        rows.append(("labels", f"{told.get('theory', 'not stated')} ({told.get('file', 'no file')})"))
    test = training.get("test_errors")
    if test and {"energy_mae_kcal_mol", "force_mae_kcal_mol_ang"} <= set(test):
        rows.append(
            (
                f"errors on {test.get('n_frames', 'the')} frames never used",
                f"energy MAE {test['energy_mae_kcal_mol']:.3f} kcal/mol, "
                f"force MAE {test['force_mae_kcal_mol_ang']:.3f} kcal/mol/Å",
            )
        )
    if "command" in training:
        rows.append(("trained by", training["command"]))
    return Section("The model", [Table(rows)])
