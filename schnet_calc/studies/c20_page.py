"""The page of the C20 study."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import units

from schnet_calc.report.molecule import BondClasses, molecule_data
from schnet_calc.report.page import Page, Part, Section, Table, Text
from schnet_calc.report.sections import (
    distribution_parts,
    dynamics_parts,
    mode_parts,
    path_integral_parts,
    structure_parts,
)
from schnet_calc.studies.c20 import C20Study
from schnet_calc.studies.study_page import StudyPage


def write_c20_report(study: C20Study, place: StudyPage) -> Path:
    """Write the figures (PNG, SVG), ``c20.json`` and ``index.html``; return the path of the page."""
    directory = place.directory
    numbers = {**study.to_dict(), "model": place.metadata}
    (directory / "c20.json").write_text(json.dumps(numbers, indent=1))
    relaxed = study.relaxation.atoms
    names = ["C-C"] * len(study.bond_classes)
    classes = BondClasses(study.bond_pairs, study.bond_lengths, study.bond_classes, names)
    page = Page(
        title=f"C20, from a dodecahedron to {study.temperature:g} K",
        lead=(
            f"The study of Section 5.3 of K. T. Schütt's thesis, repeated with the model {place.model_name}. "
            f"It is compared with a surrogate, which labelled the data of this package's own models: "
            f"{study.reference['source']}"
        ),
        headline=_headline(study),
        sections=[
            Section("The relaxed cage", _cage(study, classes, directory)),
            Section("Normal modes", _modes(study, directory)),
            Section("Molecular dynamics", _dynamics(study, directory)),
            Section(
                "Path integrals", path_integral_parts(study.pimd, study.estimators, relaxed, directory)
            ),
            Section("Beside the thesis", [_comparison(study, place.metadata), Text(THESIS, soft=True)]),
            *place.last_sections(Text(_seeds(study), soft=True)),
        ],
        molecule=molecule_data(relaxed, classes, study.modes),
    )
    return place.write(page)


THESIS = (
    "The thesis's model was trained on DFT (PBE+vdW-TS) itself, the one here on a smooth surface that was "
    "fitted to it. Errors are towards each one's own labels: two studies are compared, not two networks."
)


def _largest_error(study: C20Study) -> float:
    """Percent, of the frequencies above 200 cm⁻¹."""
    known = np.array(study.reference["frequencies_cm1"])
    high = known > 200
    return float(100 * np.abs(study.frequency_errors[high] / known[high]).max())


def _headline(study: C20Study) -> list[tuple[str, str]]:
    low = np.array(study.reference["frequencies_cm1"]) <= 200
    return [
        (
            " / ".join(f"{c.mean:.2f}" for c in study.bond_classes) + " Å",
            "bond lengths (thesis: 1.41 / 1.45 / 1.52)",
        ),
        (f"{_largest_error(study):.2f} %", "largest error of a frequency above 200 cm⁻¹"),
        (f"{np.abs(study.frequency_errors[low]).max():.1f} cm⁻¹", "largest error below 200 cm⁻¹"),
        (f"{study.modes.zero_point_energy:.3f} eV", "zero-point energy"),
    ]


def _cage(study: C20Study, classes: BondClasses, directory: Path) -> list[Part]:
    n_lowest, n_starts = int((study.minima < 1e-4).sum()), len(study.minima)
    others = (
        f", the others up to {1e3 * study.minima.max():.1f} meV above it" if n_lowest < n_starts else ""
    )
    text = (
        f"{n_starts} slightly rattled regular dodecahedra were relaxed until no force was larger than "
        f"10⁻⁴ kcal/mol/Å; {n_lowest} of them ended in the lowest minimum, shown here{others}. It has "
        f"{len(study.bond_classes)} classes of bonds; a perfect dodecahedron has one."
    )
    shells = ", ".join(f"{len(s.members)} at {s.mean:.3f} Å" for s in study.shells)
    header = ("bonds", "this model, Å", "surrogate, Å", "thesis, Å")
    return [
        Text(text),
        *structure_parts(
            study.relaxation.atoms,
            classes,
            directory,
            "After Fig. 5.4 of the thesis: bonds of equal length share a colour.",
        ),
        Table(_bond_rows(study), header),
        Text(f"Atoms around the centre: {shells}.", soft=True),
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


def _modes(study: C20Study, directory: Path) -> list[Part]:
    n_imaginary = study.modes.n_imaginary
    verdict = (
        "None is imaginary: the cage is a minimum."
        if n_imaginary == 0
        else f"{n_imaginary} are imaginary: this is no minimum."
    )
    text = f"{len(study.modes.frequencies)} harmonic frequencies, beside those of the surrogate. {verdict}"
    known = np.array(study.reference["frequencies_cm1"])
    return [Text(text), *mode_parts(study.modes, directory, known, "surrogate")]


def _dynamics(study: C20Study, directory: Path) -> list[Part]:
    drift = (
        "Without a thermostat the total energy has to stay where it is: it drifts by "
        f"{study.drift:.1e} eV/atom/ps."
    )
    return [
        *dynamics_parts(study.nve.table(), directory, "dynamics", "without thermostat", drift),
        *dynamics_parts(
            study.nvt.table(),
            directory,
            "thermostat",
            f"Langevin thermostat at {study.temperature:g} K",
            "The run that the classical distributions are taken from.",
        ),
        *distribution_parts(
            [("classical", study.classical), (f"{study.pimd.settings.beads} beads", study.quantum)],
            ("nearest neighbours", "diameter", "radial distribution"),
            directory,
            f"After Fig. 5.6. Classical: {_classical_text(study)} Path integral: {_quantum_text(study)} "
            "Bands are two standard errors from block averages.",
        ),
    ]


def _classical_text(study: C20Study) -> str:
    classical = study.classical
    return (
        f"{study.nvt.table()['time_ps'][-1]:g} ps at {study.temperature:g} K, {classical.n_frames} "
        f"frames, mean nearest neighbour {classical.nearest.mean:.4f} Å, mean diameter "
        f"{classical.diameter.mean:.3f} Å."
    )


def _quantum_text(study: C20Study) -> str:
    quantum = study.quantum
    return (
        f"{study.pimd.table()['time'][-1]:g} ps with {study.pimd.settings.beads} beads, "
        f"{quantum.n_frames} frames of each, mean nearest neighbour {quantum.nearest.mean:.4f} Å, "
        f"mean diameter {quantum.diameter.mean:.3f} Å. One standard deviation of nearest neighbours is "
        f"{study.classical.nearest.spread:.4f} Å in the classical run, {quantum.nearest.spread:.4f} Å with "
        "beads."
    )


def _comparison(study: C20Study, metadata: dict[str, Any]) -> Table:
    """What the thesis reports, what the model's reference gives, what was obtained."""
    reference, thesis = study.reference, study.reference["thesis"]
    known = np.array(reference["frequencies_cm1"])
    test = metadata.get("training", {}).get("test_errors", {})
    zero_point = 0.5 * known.sum() * units.invcm
    ours, run = study.modes.frequencies, study.pimd
    time = run.table()["time"][-1] / 1e3
    rows = [
        ("bond lengths, Å", _lengths(thesis, 2), _lengths(reference, 3), _classes(study)),
        ("lowest frequency, cm⁻¹", "not given", f"{known.min():.1f}", f"{ours.min():.1f}"),
        ("highest frequency, cm⁻¹", "not given", f"{known.max():.1f}", f"{ours.max():.1f}"),
        (
            "largest error of a frequency",
            thesis["largest_frequency_error"],
            "is the reference",
            f"{_largest_error(study):.2f} % (above 200 cm⁻¹)",
        ),
        ("zero-point energy, eV", "not given", f"{zero_point:.4f}", f"{study.modes.zero_point_energy:.4f}"),
        *(
            (name, f"{thesis[key]:.3f}", "labels", f"{test[key]:.3f}" if key in test else "unknown")
            for name, key in (
                ("energy MAE, kcal/mol", "energy_mae_kcal_mol"),
                ("force MAE, kcal/mol/Å", "force_mae_kcal_mol_ang"),
            )
        ),
        ("path-integral MD", "1.25 ns, 8 beads", "not run", f"{time:g} ns, {run.settings.beads} beads"),
    ]
    return Table(rows, ("", "thesis (DFT)", "surrogate", "this model"))


def _lengths(values: dict[str, Any], digits: int) -> str:
    return ", ".join(f"{x:.{digits}f}" for x in values["bond_lengths_ang"])


def _classes(study: C20Study) -> str:
    return ", ".join(f"{c.mean:.3f}" for c in study.bond_classes)


def _seeds(study: C20Study) -> str:
    return (
        f"Seeds: {study.seed} for displacements and velocities, {study.pimd.settings.seed} for path "
        "integrals."
    )
