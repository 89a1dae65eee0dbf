"""The page of the formaldehyde study."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schnet_calc import plots
from schnet_calc.report.molecule import bond_classes, molecule_data
from schnet_calc.report.page import Page, Part, Section, Table, Text, save_picture
from schnet_calc.report.sections import mode_parts
from schnet_calc.studies.h2co import MEASURED, MEASURED_KM_MOL, NAMES, H2COStudy, Isotopologue, whole
from schnet_calc.studies.h2co_dynamics import REPLICAS, STARTS
from schnet_calc.studies.study_page import StudyPage

LEVEL = "CCSD(T)-F12B/aug-cc-pVTZ-F12"


def write_h2co_report(study: H2COStudy, place: StudyPage) -> Path:
    """Write ``h2co.json``, figures and ``index.html``; return the path of the page."""
    directory = place.directory
    (directory / "h2co.json").write_text(json.dumps(study.to_dict(), indent=1))
    light = study.molecules[0]
    atoms = light.modes.atoms
    sections = [Section("Normal modes", mode_parts(light.modes, directory, None, ""))]
    sections += [Section(m.name, _isotopologue(m, study, directory)) for m in study.molecules]
    page = Page(
        title="Formaldehyde, from labels to its infrared spectrum",
        lead=(
            "Harmonic frequencies, VPT2, classical dynamics and path integrals (TRPMD, "
            f"{study.settings.beads} beads, {study.settings.temperature:g} K) with the model {place.model_name}, "
            f"trained on {LEVEL}, beside measured fundamentals."
        ),
        headline=_headline(study),
        sections=[*sections, *place.last_sections()],
        molecule=molecule_data(atoms, bond_classes(atoms), light.modes),
    )
    return place.write(page)


def _headline(study: H2COStudy) -> list[tuple[str, str]]:
    found = []
    for m in study.molecules:
        off = np.abs(m.anharmonic.fundamentals - np.array(MEASURED[m.name]))
        found.append((f"{off.mean():.0f} cm⁻¹", f"{m.name}: VPT2 off experiment, in the mean"))
    return found


def _isotopologue(m: Isotopologue, study: H2COStudy, directory: Path) -> list[Part]:
    runs = {"classical": m.classical.spectra, f"TRPMD, {study.settings.beads} beads": m.quantum.spectra}
    strengths = np.array(MEASURED_KM_MOL.get(m.name, np.ones(6)))
    lines = np.column_stack((MEASURED[m.name], strengths / strengths.max()))
    harmonic = {"frequencies_cm1": m.modes.frequencies, "intensities_km_mol": m.intensities}
    figure, axes = plots.new_figure(12, 3.8, 2)
    plots.draw_dynamic_spectra(axes, runs, harmonic, lines)
    text = f"Density of states and infrared absorption of {m.name}, measured fundamentals below, "
    text += "as strong as measured." if m.name in MEASURED_KM_MOL else "whose strengths are not known here."
    picture = save_picture(figure, directory / f"{m.name}_spectra", text, text)
    return [picture, _table(m), _bands(m), Text(_words(m), soft=True)]


def _table(m: Isotopologue) -> Table:
    numbers = [m.modes.frequencies, m.intensities, m.anharmonic.fundamentals]
    moving = [[whole(e) for e in one.peaks()] for one in (m.classical, m.quantum)]
    names = NAMES if m.name == "H2CO" else [str(k + 1) for k in range(6)]
    rows = [
        [name, *(f"{c[k]:.0f}" for c in numbers), *(c[k] for c in moving), f"{MEASURED[m.name][k]:.0f}"]
        for k, name in enumerate(names)
    ]
    header = ("mode, cm⁻¹", "harmonic", "km/mol", "VPT2", "classical", "TRPMD", "measured")
    return Table(rows, header)


def _bands(m: Isotopologue) -> Table:
    """Absorption of each band, km/mol."""
    measured = MEASURED_KM_MOL.get(m.name)
    columns = [_shown(m, m.intensities)]
    columns += [
        [f"{whole(e)} ({100 * s.value:.0f} ± {100 * s.error:.0f} %)" for e, s in zip(*found, strict=True)]
        for found in (one.absorption(m.bands) for one in (m.classical, m.quantum))
    ]
    columns.append(["–"] * len(m.bands) if measured is None else _shown(m, np.array(measured)))
    places = [f"{band.low:.0f} to {band.high:.0f}" for band in m.bands]
    header = ("band, cm⁻¹; km/mol (share)", "double harmonic", "classical", "TRPMD", "measured")
    return Table([list(row) for row in zip(places, *columns, strict=True)], header)


def _shown(m: Isotopologue, intensities: NDArray[np.float64]) -> list[str]:
    """Of each band its absorption, km/mol, and its share."""
    sums = [float(intensities[band.modes].sum()) for band in m.bands]
    return [f"{x:.0f} ({x / sum(sums):.0%})".replace("%", " %") for x in sums]


def _words(m: Isotopologue) -> str:
    named = ", ".join(m.anharmonic.resonances) or "none"
    reached = f"{whole(m.classical.spectra.temperature)} and {whole(m.quantum.spectra.temperature)} K"
    doubts = f"{m.classical.doubtful} and {m.quantum.doubtful}"
    return (
        f"Classical: {REPLICAS} replicas without thermostat; TRPMD: {STARTS} ring polymers. Each was equilibrated; "
        f"they had {reached}, and met {doubts} doubtful structures. Frequencies are those of the motion along each "
        "mode, errors a jackknife's over replicas. Each band is divided by the temperatures that its modes had, so "
        "that it is one of modes at the temperature asked for. "
        f"Fermi resonances treated apart in VPT2 (modes counted upwards): {named}."
    )
