"""Spectra on the page of a molecule: infrared lines of its modes, and those of its dynamics."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from schnet_calc import plots
from schnet_calc.report.page import Part, Picture, Table, save_picture
from schnet_calc.report.results import Findings

WIDTH = 10.0
"""cm⁻¹, of the lines."""


def infrared_parts(record: dict[str, Any], folder: Path) -> list[Part]:
    """Infrared lines of what ``modes`` has written, if the model has dipoles; by VPT2, if there."""
    if "intensities_km_mol" not in record:
        return []
    heights = np.array(record["intensities_km_mol"])
    places, name = np.array(record["frequencies_cm1"]), "harmonic"
    if "anharmonic" in record:
        places, name = np.array(record["anharmonic"]["fundamentals_cm1"]), "VPT2"
    figure, axes = plots.new_figure(8, 3.6)
    plots.draw_infrared(axes, places, heights, WIDTH)
    caption = f"Double harmonic intensities at {name} wavenumbers, lines {WIDTH:g} cm⁻¹ wide."
    rows = [
        [str(k + 1), f"{place:.1f}", f"{height:.1f}"]
        for k, (place, height) in enumerate(zip(places, heights, strict=True))
    ]
    picture = save_picture(figure, folder / "infrared", "Infrared spectrum of the modes", caption)
    return [picture, Table(rows, ("mode", f"{name}, cm⁻¹", "intensity, km/mol"), "All intensities")]


def dynamic_spectra(found: Findings, folder: Path) -> list[Part]:
    """Spectra of the dynamics by what ``spectrum --json`` has written."""
    parts: list[Part] = []
    for number, (name, record) in enumerate(found.spectra):
        parts.append(_dynamic(record, found.vibrations, folder / f"spectra_{number}", name))
        for kind, both in record.items():
            reached, asked = both["temperature_k"], both["asked_temperature_k"]
            error = "" if reached["error"] is None else f" ± {reached['error']:.1f}"
            rows = [("temperature", f"{reached['value']:.1f}{error} K, {asked:g} K asked for")]
            rows += [("note", note) for note in both["notes"]]
            parts.append(Table(rows, (kind, "")))
    return parts


def _drawn(both: dict[str, Any]) -> SimpleNamespace:
    """Return what figures take, from the numbers in a file."""
    spectra = {}
    for name in ("vibrational", "infrared"):
        if (one := both[name]) is not None:
            arrays = {key: np.array(one[key]) for key in ("intensity", "error")}
            one = SimpleNamespace(wavenumbers=np.array(one["wavenumbers_cm1"]), **arrays)
        spectra[name] = one
    return SimpleNamespace(**spectra)


def _dynamic(record: dict[str, Any], vibrations: dict[str, Any], stem: Path, name: str) -> Picture:
    infrared = any(both["infrared"] for both in record.values())
    figure, axes = plots.new_figure(10 if infrared else 7, 3.6, 1 + infrared, squeeze=False)
    plots.draw_dynamic_spectra(
        axes[0], {kind: _drawn(both) for kind, both in record.items()}, vibrations or None
    )
    each = [one for both in record.values() for one in (both["vibrational"], both["infrared"]) if one]
    banded = any(np.any(one["error"]) for one in each)  # a single run has none
    bands = "Bands are jackknife errors over replicas; dotted" if banded else "Dotted"
    caption = f"From {name}. {bands}, the harmonic lines."
    return save_picture(figure, stem, "Spectra of the dynamics", caption)
