"""The page of the C20 study: one HTML file that holds its figures."""

import base64
import importlib.metadata
import json
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from ase import units

from schnet_calc import __version__, plots
from schnet_calc.tasks.c20 import C20Study

PACKAGES = ("torch", "ase", "numpy", "numba", "ipi")


def write_c20_report(
    study: C20Study, directory: str | Path, metadata: dict[str, Any], model_name: str, command: str
) -> Path:
    """Write the figures (PNG, SVG), ``c20.json`` and ``index.html`` of a study.

    Parameters
    ----------
    study : C20Study
        Its numbers.
    directory : path
        Where to.
    metadata : dict
        Of the model file.
    model_name, command : str
        As the reader would type them.

    Returns
    -------
    Path
        Of the page.
    """
    directory = Path(directory)
    figures = {stem: _draw(study, stem, directory) for stem in FIGURES}
    numbers = {**study.to_dict(), "model": metadata}
    (directory / "c20.json").write_text(json.dumps(numbers, indent=1))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("schnet_calc"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = directory / "index.html"
    page.write_text(
        environment.get_template("c20.html").render(
            figures=figures,
            model_name=model_name,
            command=command,
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            versions=versions(),
            **_contents(study, metadata),
        ),
        encoding="utf-8",
    )
    return page


def versions() -> str:
    """Python and package versions, in a line."""
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return f"schnet_calc {__version__}, Python {platform.python_version()}, {packages}"


def _cage(study: C20Study) -> Any:
    figure, axes = plots.new_figure(9, 4.6, 2)
    relaxed = study.relaxation.atoms
    for ax, labels in zip(axes, (False, True), strict=True):
        plots.draw_cage(ax, relaxed, study.bond_pairs, study.bond_lengths, study.bond_classes, labels)
    axes[0].get_legend().remove()
    return figure


def _spectrum(study: C20Study) -> Any:
    figure, axes = plots.new_figure(10, 3.8, 2, width_ratios=(2, 1))
    known = study.reference["frequencies_cm1"]
    plots.draw_spectrum(axes[0], study.modes.frequencies, known)
    plots.draw_frequency_errors(axes[1], study.modes.frequencies, known)
    return figure


def _dynamics(study: C20Study) -> Any:
    figure, axes = plots.new_figure(10, 3.2, 2)
    plots.draw_energy_and_temperature(axes, study.nve.table())
    axes[0].set_title("without thermostat")
    return figure


def _distributions(study: C20Study) -> Any:
    figure, axes = plots.new_figure(11, 3.4, 3)
    sources = (
        (study.classical, "classical", plots.COLORS[0]),
        (study.quantum, f"{study.pimd.settings.beads} beads", plots.COLORS[2]),
    )
    for source, label, color in sources:
        panels = (source.nearest, source.diameter, source.radial)
        for ax, result in zip(axes, panels, strict=True):
            plots.draw_distribution(ax, result, label, color)
    for ax, title in zip(axes, ("nearest neighbours", "diameter", "radial distribution"), strict=True):
        ax.set_title(title)
    axes[0].legend(frameon=False)
    axes[2].set_ylabel("g(r), 1/Å³")
    return figure


def _pimd(study: C20Study) -> Any:
    figure, axes = plots.new_figure(10, 3.2, 2)
    plots.draw_pimd(axes, study.pimd.table())
    axes[0].set_title(f"path integral, {study.pimd.settings.beads} beads")
    return figure


FIGURES = {
    "cage": _cage,
    "spectrum": _spectrum,
    "dynamics": _dynamics,
    "distributions": _distributions,
    "pimd": _pimd,
}


def _draw(study: C20Study, stem: str, directory: Path) -> str:
    """Draw and save a figure; its SVG as a data address for the page."""
    _, svg = plots.save_figure(FIGURES[stem](study), directory / stem)
    return "data:image/svg+xml;base64," + base64.b64encode(svg.read_bytes()).decode()


def _contents(study: C20Study, metadata: dict[str, Any]) -> dict[str, Any]:
    known = np.array(study.reference["frequencies_cm1"])
    errors = study.frequency_errors
    high = known > 200
    relative = 100 * np.abs(errors[high] / known[high]).max()
    table = study.nvt.table()
    classical = study.classical
    return {
        "temperature": f"{study.temperature:g}",
        "reference": study.reference,
        "headline": [
            (
                " / ".join(f"{c.mean:.2f}" for c in study.bond_classes) + " Å",
                "bond lengths (thesis: 1.41 / 1.45 / 1.52)",
            ),
            (f"{relative:.2f} %", "largest error of a frequency above 200 cm⁻¹"),
            (f"{np.abs(errors[~high]).max():.1f} cm⁻¹", "largest error below 200 cm⁻¹"),
            (f"{study.modes.zero_point_energy:.3f} eV", "zero-point energy"),
        ],
        "bond_rows": _bond_rows(study),
        "n_starts": len(study.minima),
        "n_lowest": int((study.minima < 1e-4).sum()),
        "highest": f"{1e3 * study.minima.max():.1f}",
        "shells": study.to_dict()["shells"],
        "n_modes": len(errors),
        "n_imaginary": study.modes.n_imaginary,
        "frequency_rows": [
            (k + 1, f"{f:.1f}", f"{r:.1f}", f"{f - r:+.1f}")
            for k, (f, r) in enumerate(zip(study.modes.frequencies, known, strict=True))
        ],
        "drift": f"{study.drift:.1e}",
        "md_text": (
            f"{table['time_ps'][-1]:.0f} ps at {study.temperature:g} K, "
            f"{classical.n_frames} frames, "
            f"mean nearest neighbour {classical.nearest.mean:.4f} Å, "
            f"mean diameter {classical.diameter.mean:.3f} Å."
        ),
        "pimd_text": _pimd_text(study),
        "pimd_rows": _pimd_rows(study),
        "model_rows": _model_rows(metadata),
    }


def _pimd_text(study: C20Study) -> str:
    quantum = study.quantum
    return (
        f"{study.pimd.table()['time'][-1]:.0f} ps with {study.pimd.settings.beads} beads, "
        f"{quantum.n_frames} frames of each, mean nearest neighbour {quantum.nearest.mean:.4f} Å, "
        f"mean diameter {quantum.diameter.mean:.3f} Å. Nuclear quantum effects widen the distribution of "
        f"nearest neighbours from {study.classical.nearest.spread:.4f} Å (one standard deviation) to "
        f"{quantum.nearest.spread:.4f} Å."
    )


def _pimd_rows(study: C20Study) -> list[tuple[str, str]]:
    values, n_atoms = study.estimators, len(study.relaxation.atoms)
    if values is None:
        return []
    classical = 1.5 * n_atoms * units.kB * study.temperature
    return [
        ("kinetic energy, centroid virial", f"{values.kinetic_virial} eV (classical: {classical:.4f})"),
        ("kinetic energy, thermodynamic", f"{values.kinetic_thermodynamic} eV"),
        ("heat capacity", f"{values.heat_capacity} k_B (classical harmonic: {3 * n_atoms - 3})"),
        ("radius of gyration", f"{values.radius_of_gyration} Å"),
        ("temperature of the beads", f"{values.temperature} K"),
    ]


def _bond_rows(study: C20Study) -> list[tuple[str, str, str, str]]:
    reference, thesis = study.reference, study.reference["thesis"]["bond_lengths_ang"]
    rows = []
    for k, group in enumerate(study.bond_classes):
        nearby = [
            f"{length:.4f} ({count})"
            for length, count in zip(reference["bond_lengths_ang"], reference["bond_counts"], strict=True)
            if abs(length - group.mean) < 0.02
        ]
        rows.append(
            (
                str(len(group.members)),
                f"{group.mean:.4f}",
                ", ".join(nearby) or "none near",
                f"{thesis[k]:.2f}" if k < len(thesis) else "none",
            )
        )
    return rows


def _model_rows(metadata: dict[str, Any]) -> list[tuple[str, str]]:
    training = metadata.get("training", {})
    shape = metadata.get("hyperparameters", {})
    rows = [
        (
            "network",
            f"{metadata.get('architecture', 'unknown')}, T = {shape.get('n_interactions')}, "
            f"F = {shape.get('n_features')}, cutoff {metadata['cutoff']} Å, {metadata['dtype']}",
        ),
        ("weights", metadata.get("weights_sha256", "not in the file")),
    ]
    if "data" in training:
        rows.append(("labels", f"{training['data']['theory']} ({training['data']['file']})"))
    test = training.get("test_errors")
    if test:
        rows.append(
            (
                "errors on unseen trajectories",
                f"energy MAE {test['energy_mae_kcal_mol']:.3f} kcal/mol, "
                f"force MAE {test['force_mae_kcal_mol_ang']:.3f} kcal/mol/Å",
            )
        )
    if "command" in training:
        rows.append(("trained by", training["command"]))
    return rows
