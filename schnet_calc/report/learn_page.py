"""A page from what ``schnet-calc learn`` has left in a folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from schnet_calc import plots
from schnet_calc.folders import commands_noted
from schnet_calc.learn.result import worth_of
from schnet_calc.report.molecule import bond_classes, molecule_data
from schnet_calc.report.page import Commands, Page, Part, Section, Table, Text, save_picture, write_page
from schnet_calc.report.sections import mode_parts, structure_parts
from schnet_calc.simulate.modes import NormalModes
from schnet_calc.simulate.records import restore

STATE, MODES = "learn.json", "modes.json"
STAGES = ("labels", "training", "dynamics")


def write_learn_report(directory: str | Path) -> Path:
    """Write the page of a finished run of learning.

    Parameters
    ----------
    directory : path
        With ``learn.json``; figures and ``index.html`` are written into it.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    FileNotFoundError
        There is no such run.
    ValueError
        It isn't finished.
    """
    directory = Path(directory)
    state = json.loads((directory / STATE).read_text())
    result = state["result"]
    if result is None:
        raise ValueError(f"the run in {directory} isn't finished: go on with it first")
    atoms, modes, recorded = restore(state["starts"][0]), None, {}
    if (directory / MODES).exists():
        recorded = json.loads((directory / MODES).read_text())
        modes = NormalModes.from_dict(recorded)
        atoms = modes.atoms
    sections = [
        Section("What it is worth", [Table([*worth_of(result["proof"]).items()])]),
        Section("How it came about", _history(result, directory)),
    ]
    molecule: dict[str, Any] = {}
    if not atoms.pbc.any() and len(atoms) > 1:
        classes = bond_classes(atoms)
        caption = "Bonds of equal elements and length share a colour."
        sections.append(Section("The molecule", structure_parts(atoms, classes, directory, caption)))
        molecule = molecule_data(atoms, classes, modes)
    if modes is not None:
        compared = recorded["comparison"]
        known, overlaps = np.array(compared["reference_cm1"]), np.array(compared["overlaps"])
        parts = mode_parts(modes, directory, known, compared["reference"], overlaps)
        sections.append(Section("Normal modes", parts))
    sections.append(Section("To use it", _use(state)))
    if typed := commands_noted(directory):
        sections.append(Section("To repeat it", [Commands(typed)]))
    settings = state["settings"]
    page = Page(
        title=f"{atoms.get_chemical_formula()}, learned from {state['reference']}",
        lead=f"A committee of {settings['members']} for {settings['beads']} beads at "
        f"{settings['temperature']:g} K, from labels where it asked for them.",
        headline=_headline(result),
        sections=sections,
        molecule=molecule,
    )
    return write_page(page, directory / "index.html")


def _headline(result: dict[str, Any]) -> list[tuple[str, str]]:
    values = [(str(result["labels"]), "labels")]
    found = result["proof"]["dynamics"]
    if "force_mae_mev_ang" in found:
        values.append((f"{found['force_mae_mev_ang']:.1f} meV/Å", "force error on its own dynamics"))
    modes = result["proof"]["frequencies"]
    if modes and "mean_error_cm1" in modes:
        values.append((f"{modes['mean_error_cm1']:.1f} cm⁻¹", "mean error of frequencies"))
    values.append((f"{sum(result['seconds'].values()) / 60:.0f} min", "in all"))
    return [*values, ("yes" if result["trusted"] else "not yet", "dynamics without doubt")]


def _history(result: dict[str, Any], directory: Path) -> list[Part]:
    """Learning curve, time, and a row per round."""
    rounds = result["rounds"]
    figure, axes = plots.new_figure(10, 3.6, 2)
    draw_rounds(axes[0], rounds, result["proof"]["dynamics"].get("rounds_force_mae_mev_ang"))
    draw_time(axes[1], rounds)
    caption = (
        "Left, errors of the committee after each training, on structures held out and on the sample of the "
        "last dynamics; right, where the time went."
    )
    picture = save_picture(
        figure, directory / "learning", "Errors over labels, and time per round", caption
    )
    header = (
        "round",
        "labels",
        "validation, meV/Å",
        "own dynamics, meV/Å",
        "doubt from, meV/Å",
        "frames",
        "in doubt",
        "such as",
    )
    rows = [
        (
            str(r["number"]),
            str(r["labels"]),
            f"{1e3 * r['force_mae']:.1f}",
            "–" if r.get("own_mae") is None else f"{1e3 * r['own_mae']:.1f}",
            f"{1e3 * r['limit']:.0f}",
            str(r["seen"]) + ("" if r["complete"] else " (cut short)"),
            str(r["doubtful"]),
            r["example"] or "–",
        )
        for r in rounds
    ]
    text = (
        f"{result['calculations']} calculations in all, with those of relaxation, Hessian, dynamics and "
        f"proof; {result['failures']} failed."
    )
    return [picture, Table(rows, header), Text(text)]


def draw_rounds(axes: Axes, rounds: list[dict[str, Any]], checked: list[float] | None) -> Axes:
    """Draw force errors, meV/Å, over the number of labels; the same of a sample of dynamics, if there is one.

    Parameters
    ----------
    axes : Axes
        Where to.
    rounds : list of dict
        Records of active learning, errors in eV/Å.
    checked : list of float, optional
        meV/Å, of each round's models on a sample of the last dynamics.
    """
    labels = [r["labels"] for r in rounds]
    held_out = [1e3 * r["force_mae"] for r in rounds]
    axes.plot(labels, held_out, "o-", color=plots.COLORS[0], label="held out")
    if checked:
        axes.plot(labels, checked, "s-", color=plots.COLORS[1], label="last dynamics")
    axes.set(xlabel="labels", ylabel="force MAE, meV/Å", ylim=(0, None))
    axes.legend(frameon=False)
    return axes


def draw_time(axes: Axes, rounds: list[dict[str, Any]]) -> Axes:
    """Draw the minutes of each round, by stage."""
    bottom = np.zeros(len(rounds))
    for stage, color in zip(STAGES, plots.COLORS, strict=False):
        minutes = np.array([r["seconds"].get(stage, 0.0) / 60 for r in rounds])
        axes.bar([r["number"] for r in rounds], minutes, bottom=bottom, color=color, label=stage)
        bottom += minutes
    axes.set(xlabel="round", ylabel="minutes", xticks=[r["number"] for r in rounds])
    axes.legend(frameon=False)
    return axes


def _use(state: dict[str, Any]) -> list[Part]:
    settings = state["settings"]
    kelvin, beads = settings["temperature"], settings["beads"]
    return [
        Text("The members of the committee, joined by +, stand in committee.txt."),
        Commands(
            [
                f'schnet-calc pimd START.xyz --model "$(cat committee.txt)" --temperature {kelvin:g} '
                f"--beads {beads} --time 10 -o pimd",
                'schnet-calc relax START.xyz --model "$(cat committee.txt)" -o relaxed.xyz',
            ]
        ),
    ]
