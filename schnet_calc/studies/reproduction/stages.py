"""Stages of the reproduction: each tests or looks into shipped models."""

from functools import partial
from pathlib import Path

import ase
import numpy as np
import torch
from ase.build import bulk
from ase.data import chemical_symbols
from torch import nn

from schnet_calc import plots
from schnet_calc.data import read_frames
from schnet_calc.insight import (
    atom_contributions,
    embedding_components,
    filter_cuts,
    local_chemical_potential,
    main_group,
    plane_points,
    potential_surface,
)
from schnet_calc.model import Model
from schnet_calc.modelfile import load_potential
from schnet_calc.nn.activation import ShiftedSoftplus
from schnet_calc.studies import md17 as md17_study
from schnet_calc.studies.alchemy import study_alchemy
from schnet_calc.studies.c20 import study_c20
from schnet_calc.studies.c20_page import write_c20_report
from schnet_calc.studies.c20_selection import read_rows
from schnet_calc.studies.configs import config_folder, data_folder
from schnet_calc.studies.figures import draw_alchemy, draw_data_efficiency, draw_qm9_figures
from schnet_calc.studies.isomers import MODELS, isomer_rows
from schnet_calc.studies.kept import MeanErrors, Progress
from schnet_calc.studies.learning_curve import PUBLISHED, LearningPoint
from schnet_calc.studies.qm9_insight import study_qm9
from schnet_calc.studies.reproduction.pieces import Pieces, Stage
from schnet_calc.studies.reproduction.qm9_errors import add_qm9_errors
from schnet_calc.studies.study_page import StudyPage
from schnet_calc.studies.tables import ROWS, Tested, configuration, evaluated_rows, held_out
from schnet_calc.training.setup import read_data

EXTENT = 10.0
"""Å from edge to edge of cuts, as in Fig. 4.4."""
N_POINTS = 121
"""From edge to edge."""
SURFACES = ("benzene", "toluene", "salicylic_acid", "malonaldehyde")
"""Of Fig. 3.14."""
N_FRAMES = 500
"""Frames of MD17 to share energies in."""


def inside(pieces: Pieces, data: Path | None, progress: Progress) -> None:
    """Look into networks; nothing else is needed.

    Parameters
    ----------
    pieces : Pieces
        Gets tables and figures.
    data : Path or None
        Folder of the data.
    progress : callable
        Told how far it is.
    """
    _activations(pieces)
    figure, axes = plots.new_figure(13, 4.4, 3)
    for k, cuts in enumerate(filter_cuts("ethanol", EXTENT)):
        plots.draw_filter_cuts(axes[k], cuts, EXTENT)
    pieces.figure("Figure 4.4", figure, "filters", "The 64 filters of each interaction block of ethanol.")
    silicon = bulk("Si", a=5.469)
    figure, axes = plots.new_figure(13, 4.4, 3)
    for k, cuts in enumerate(filter_cuts("silicon", EXTENT, cell=silicon.cell.array)):
        plots.draw_filter_cuts(axes[k], cuts, EXTENT)
    pieces.figure("Figure 4.5", figure, "lattice_filters", "Filters of silicon, summed over its lattice.")
    _crystals_of_carbon(pieces)
    _embeddings(pieces)


def _crystals_of_carbon(pieces: Pieces) -> None:
    figure, axes = plots.new_figure(11, 4, 2)
    layers = [(0, 0, 0.25), (1 / 3, 2 / 3, 0.25), (0, 0, 0.75), (2 / 3, 1 / 3, 0.75)]
    graphite = ase.Atoms("C4", cell=(2.461, 2.461, 6.708, 90, 90, 120), scaled_positions=layers, pbc=True)
    planes = {
        "graphite": (graphite, ((1, 0, 0), (0, 1, 0))),
        "diamond": (bulk("C", a=3.567), ((1, 1, 0), (0, 0, 1))),
    }
    for ax, (name, (atoms, plane)) in zip(axes, planes.items(), strict=True):
        points = atoms.positions[0] + plane_points(EXTENT, N_POINTS, plane)
        values = local_chemical_potential("materials", atoms, points.reshape(-1, 3), "C")
        values = values.reshape(points.shape[:2])
        plots.draw_cut(ax, values, EXTENT, "what the network gives the probe C, eV")
        ax.set_title(name)
    caption = "Through an atom: a layer of graphite, and a plane of diamond that two bonds span."
    pieces.figure("Figure 4.9", figure, "crystal_potential", caption)


def _embeddings(pieces: Pieces) -> None:
    groups = {chemical_symbols[z]: main_group(z) for z in load_potential("materials").elements}
    shown = {symbol: group for symbol, group in groups.items() if group not in (0, 18)}
    figure, axes = plots.new_figure(8, 6)
    plots.draw_embeddings(axes, embedding_components("materials", list(shown)), list(shown.values()))
    caption = "Elements of the s and p blocks in the network of crystals; few crystals have noble gases."
    pieces.figure("Figure 4.15", figure, "embeddings", caption)


def _activations(pieces: Pieces) -> None:
    x = torch.linspace(-4, 4, 400, dtype=torch.float64)
    figure, axes = plots.new_figure(10, 3, 3)
    for name, function in (("shifted softplus", ShiftedSoftplus()), ("ELU", nn.ELU())):
        values = function(x)
        for ax, title in zip(axes, ("value", "first derivative", "second derivative"), strict=True):
            ax.plot(x, values, label=name)
            ax.set_title(title)
            values = torch.from_numpy(np.gradient(values.numpy(), x.numpy()))
    axes[0].legend()
    pieces.figure("Figure 4.3", figure, "activations", "Derivatives by differences.")


def md17(pieces: Pieces, data: Path | None, progress: Progress) -> None:
    """Test the models of MD17; the data are needed; arguments as for :func:`inside`."""
    folder = data_folder(data) / "md17"
    energies, forces, frames = [], [], {}
    for k, name in enumerate(md17_study.PAPER):
        progress("MD17", k, len(md17_study.PAPER))
        config = md17_study.configuration(config_folder("md17"), folder, name, 1000)
        frames[name] = read_data(config)
        row = md17_study.MoleculeErrors(name, md17_study.evaluate_molecule(name, config))
        energies.append([name, f"{row.found.energy:.3f}", f"{row.paper.energy:.2f}"])
        forces.append([name, f"{row.found.force:.3f}", f"{row.paper.force:.2f}"])
        if name == "ethanol":
            dtnn = MeanErrors.of(md17_study.evaluate_molecule("ethanol_dtnn", config).errors)
    pieces.table("Table 5.3", ["energy, kcal/mol", "ours", "theirs"], energies)
    pieces.table("Table 5.4", ["forces, kcal/mol/Å", "ours", "theirs"], forces)
    rows = [["ethanol", f"{dtnn.energy:.3f}", f"{dtnn.force:.3f}"]]
    pieces.table("Table 3.2", ["DTNN, T = 3", "energy, kcal/mol", "forces, kcal/mol/Å"], rows)
    for label, name in (("Figure 3.10", "benzene"), ("Figure 3.11", "malonaldehyde")):
        some = [frames[name].atoms(k) for k in range(min(N_FRAMES, len(frames[name])))]
        figure, axes = plots.new_figure(6, 3)
        plots.draw_contributions(axes, atom_contributions(Model(name, on_doubt="ignore"), some))
        pieces.figure(label, figure, f"contributions_{name}", f"Over {len(some)} frames of {name}.")
    _surfaces(pieces, "Figure 3.14", {n: (n, frames[n].atoms(0)) for n in SURFACES}, "md17_potentials")
    benzene = frames["benzene"].atoms(0)
    both = {"network of QM9": ("qm9", benzene), "network of benzene": ("benzene", benzene)}
    _surfaces(pieces, "Figure 3.15", both, "benzene_potentials")


def _surfaces(pieces: Pieces, label: str, shown: dict[str, tuple[str, ase.Atoms]], name: str) -> None:
    figure, axes = plots.new_figure(3.5 * len(shown), 3.6, len(shown), subplot_kw={"projection": "3d"})
    for ax, (title, (model, atoms)) in zip(axes, shown.items(), strict=True):
        plots.draw_surface(ax, potential_surface(model, atoms, "C"), atoms, "energy of the probe C, eV")
        ax.set_title(title.replace("_", " "))
    pieces.figure(label, figure, name, "Frames of dynamics; each probe in its own colours.")


def qm9(pieces: Pieces, data: Path | None, progress: Progress) -> None:
    """Test the models of QM9; qm9pack is needed; arguments as for :func:`inside`."""
    rows = evaluated_rows("qm9", progress=progress)
    _thesis_table(pieces, "Table 4.2", rows)
    add_qm9_errors(pieces, rows[0].evaluation, held_out(configuration(rows[0].row, None)))


def qm9_inside(pieces: Pieces, data: Path | None, progress: Progress) -> None:
    """Look at the molecules of QM9 through its network; arguments as for :func:`inside`."""
    frames = read_frames("qm9pack")
    study = study_qm9("qm9", frames, progress=progress)
    for number, path in draw_qm9_figures(study, pieces.folder).items():
        pieces.drawn(f"Figure {number}", path.stem, "By the shipped qm9 (T = 6, F = 64).")
    figure, axes = plots.new_figure(5.5, 3.6)
    draw_alchemy(axes, study_alchemy("qm9", frames))
    pieces.figure("Figure 3.16", figure, "alchemy", "By the shipped qm9.")


def materials(pieces: Pieces, data: Path | None, progress: Progress) -> None:
    """Test the models of crystals; the data are needed; arguments as for :func:`inside`."""
    rows = evaluated_rows("materials", progress=progress, folder=data)
    _thesis_table(pieces, "Table 4.3", rows)
    figure, axes = plots.new_figure(5.5, 3.6)
    for row in rows:
        off = np.sort(np.abs(row.evaluation.differences["formation_energy"]))
        axes.plot(off, 100 * np.arange(1, len(off) + 1) / len(off), label=row.row.what)
    axes.set(xlabel="absolute error, eV/atom", ylabel="crystals below it, %", xlim=(0, 0.5), ylim=(0, 100))
    axes.legend()
    pieces.figure("Figure 4.7", figure, "materials_errors", "Unseen crystals.")


def c20(pieces: Pieces, data: Path | None, progress: Progress) -> None:
    """Run the C20 study; nothing else is needed; arguments as for :func:`inside`."""
    place = pieces.folder / "c20"
    study = study_c20(place, progress=progress)
    write_c20_report(study, StudyPage(place, "c20", "schnet-calc c20"))
    for figure, name, caption in (
        ("5.4", "cage", "Bonds of equal length share a colour; 1.41, 1.45 and 1.52 Å in the thesis."),
        ("5.5", "spectrum", "The model above, the surface of the labels below."),
        ("5.6", "distributions", "Classical, and with 8 beads."),
    ):
        pieces.drawn(f"Figure {figure}", f"c20/{name}", caption)


def c20_errors(pieces: Pieces, data: Path | None, progress: Progress) -> None:
    """Test the models of C20; the data are needed; arguments as for :func:`inside`."""
    _thesis_table(pieces, "Table 5.6", evaluated_rows("c20", progress=progress, folder=data))


def isomers(pieces: Pieces, data: Path | None, progress: Progress) -> None:
    """Test the models of isomers on the data that come along; arguments as for :func:`inside`."""
    header = ["trained on", "tested on", "energy, kcal/mol", "theirs", "forces, kcal/mol/Å", "theirs"]
    pieces.table("Table 5.5", header, [row.cells() for row in isomer_rows(progress=progress)])


def trained_stages(folder: Path) -> dict[str, Stage]:
    """Return the stages that read what ``schnet-calc reproduce`` has trained in a folder, by its name there."""
    readers = {"learning_curve": _learning_curve, "c20_selection": _c20_selection}
    return {name: Stage(partial(read, folder / name), (), lasting=False) for name, read in readers.items()}


def _c20_selection(folder: Path, pieces: Pieces, data: Path | None, progress: Progress) -> None:
    rows = read_rows(folder)
    if not rows:
        raise FileNotFoundError(f"no trainings in {folder}: schnet-calc reproduce c20-selection")
    header = ["T", "F", "rho", "energy, kcal/mol", "theirs", "forces, kcal/mol/Å", "theirs", "our steps"]
    pieces.table("Table 5.6", header, [[*row.cells(), f"{row.steps:,}"] for row in rows])


def _learning_curve(folder: Path, pieces: Pieces, data: Path | None, progress: Progress) -> None:
    points = LearningPoint.read_all(folder)
    if not points:
        raise FileNotFoundError(f"no trainings in {folder}: schnet-calc reproduce learning-curve")
    figure, axes = plots.new_figure(5.5, 4)
    draw_data_efficiency(axes, points, PUBLISHED)
    steps = ", ".join(f"{s:,}" for s in sorted({p.steps for p in points}))
    pieces.figure("Figure 4.6", figure, "learning_curve", f"{steps} steps each; rings: published.")
    dtnn = [[f"{p.n_train:,}", f"{p.error:.2f}"] for p in points if p.architecture == "DTNN"]
    if dtnn:
        pieces.table("Table 3.1", ["DTNN, T = 3: QM9 molecules", "kcal/mol"], dtnn)


def _thesis_table(pieces: Pieces, label: str, rows: list[Tested]) -> None:
    cells = [line for tested in rows for line in tested.cells()]
    pieces.table(label, ["", "mean absolute error", "ours", "theirs", "our steps"], cells)
    tried = [[tested.row.what, tested.row.tried] for tested in rows if tested.row.tried]
    if tried:
        pieces.table(label, ["", "what was tried, and what it gave"], tried)


STAGES = {
    "inside": Stage(inside, ("ethanol", "silicon", "materials")),
    "isomers": Stage(isomers, tuple(model for model, _ in MODELS.values())),
    "md17": Stage(md17, (*md17_study.PAPER, "ethanol_dtnn", "qm9")),
    "materials": Stage(materials, tuple(row.model for row in ROWS["materials"])),
    "c20_errors": Stage(c20_errors, tuple(row.model for row in ROWS["c20"])),
    "c20": Stage(c20, ("c20",)),
    "qm9": Stage(qm9, tuple(row.model for row in ROWS["qm9"])),
    "qm9_inside": Stage(qm9_inside, ("qm9",)),
}
"""In the order that they run; those that need nothing else first."""
