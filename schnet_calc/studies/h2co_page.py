"""The page of the formaldehyde study."""

import json
from pathlib import Path

import numpy as np

from schnet_calc import plots
from schnet_calc.report.molecule import bond_classes, molecule_data
from schnet_calc.report.page import Page, Part, Section, Table, Text, save_picture
from schnet_calc.report.sections import mode_parts
from schnet_calc.studies.h2co import MEASURED, MEASURED_KM_MOL, NAMES, H2COStudy, Isotopologue, whole
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
            f"Harmonic frequencies, VPT2, classical dynamics and path integrals (TRPMD, {study.beads} beads, "
            f"{study.temperature:g} K) with the model {place.model_name}, trained on {LEVEL}, "
            "beside measured fundamentals."
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
    runs = {"classical": m.classical.spectra, f"TRPMD, {study.beads} beads": m.quantum.spectra}
    lines = np.column_stack((MEASURED[m.name], np.ones(6)))
    harmonic = {"frequencies_cm1": m.modes.frequencies, "intensities_km_mol": m.intensities}
    figure, axes = plots.new_figure(12, 3.8, 2)
    plots.draw_dynamic_spectra(axes, runs, harmonic, lines)
    text = f"Density of states and infrared absorption of {m.name}, measured fundamentals below."
    picture = save_picture(figure, directory / f"{m.name}_spectra", text, text)
    return [picture, _table(m), _bands(m), Text(_resonances(m), soft=True)]


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
    rows = []
    for modes, low, high in m.bands:
        known = "–" if measured is None else f"{sum(measured[k] for k in modes):.0f}"
        found = [whole(one.band(low, high)) for one in (m.classical, m.quantum)]
        rows.append([f"{low:.0f} to {high:.0f}", f"{m.intensities[modes].sum():.0f}", *found, known])
    return Table(rows, ("band, cm⁻¹; km/mol", "double harmonic", "classical", "TRPMD", "measured"))


def _resonances(m: Isotopologue) -> str:
    named = ", ".join(m.anharmonic.resonances) or "none"
    return f"Fermi resonances treated apart in VPT2 (modes counted upwards): {named}."
