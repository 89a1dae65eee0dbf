"""Write the tables of h2co's card from what the study has found.

schnet-calc h2co -o h2co_results
python benchmarks/h2co_card.py h2co_results/h2co.json --write models/h2co.md
"""

import argparse
import json
from pathlib import Path
from typing import Any

from schnet_calc.studies.h2co import MEASURED_KM_MOL, NAMES
from schnet_calc.studies.h2co_dynamics import REPLICAS, STARTS

START, END = "<!-- dynamics -->", "<!-- end of dynamics -->"
"""Between them the card has the tables."""


def with_error(found: dict[str, float]) -> str:
    """Write value and error without decimals, or with as many as the error takes to be more than zero."""
    digits = next((d for d in range(3) if found["error"] >= 0.95 * 10.0**-d), 2)
    return f"{found['value']:.{digits}f} ± {found['error']:.{digits}f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Write a table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def frequencies(name: str, molecule: dict[str, Any], beads: int) -> list[list[str]]:
    """Rows of a molecule's modes, cm⁻¹."""
    plain = {
        "harmonic": molecule["harmonic_cm1"],
        "VPT2": molecule["vpt2"]["fundamentals_cm1"],
        "measured": molecule["measured_cm1"],
    }
    rows = [[f"{name}, {what}", *(f"{x:.0f}" for x in values)] for what, values in plain.items()]
    for what, kind in (("classical", "classical"), (f"TRPMD, {beads} beads", "quantum")):
        rows.append([f"{name}, {what}", *map(with_error, molecule[kind]["peaks_cm1"])])
    return rows


def bands(molecule: dict[str, Any], measured: tuple[float, ...] | None) -> str:
    """The table of absorption, km/mol and shares."""
    places = molecule["vpt2"]["fundamentals_cm1"]

    def summed(values: list[float] | tuple[float, ...]) -> list[str]:
        sums = [
            sum(v for v, place in zip(values, places, strict=True) if low < place < high)
            for low, high in molecule["bands_cm1"]
        ]
        return [f"{x:.0f} ({100 * x / sum(sums):.0f} %)" for x in sums]

    rows = [["double harmonic", *summed(molecule["intensities_km_mol"])]]
    for what, kind in (("classical", "classical"), ("TRPMD", "quantum")):
        found = molecule[kind]
        both = zip(found["bands_km_mol"], found["shares"], strict=True)
        percent = ({key: 100 * share[key] for key in ("value", "error")} for _, share in both)
        cells = zip(found["bands_km_mol"], percent, strict=True)
        rows.append([what, *(f"{with_error(a)} ({with_error(b)} %)" for a, b in cells)])
    if measured is not None:
        rows.append(["measured", *summed(measured)])
    return table(["cm⁻¹", *(f"{low:.0f} to {high:.0f}" for low, high in molecule["bands_cm1"])], rows)


def text(study: dict[str, Any]) -> str:
    """The part of the card between its marks."""
    beads, molecules = study["beads"], study["molecules"]
    rows = [row for name, m in molecules.items() for row in frequencies(name, m, beads)]
    parts = [table([f"{study['temperature_k']:.0f} K, cm⁻¹", *NAMES], rows)]
    for name, molecule in molecules.items():
        measured = MEASURED_KM_MOL.get(name)
        source = " (measured: D. C. Reuter et al., J. Chem. Phys. 91, 646, 1989)" if measured else ""
        parts.append(f"Infrared bands of {name}, km/mol and share of the whole{source}:")
        parts.append(bands(molecule, measured))
    reached = "; ".join(
        f"{name} {with_error(m['classical']['temperature_k'])} and {with_error(m['quantum']['temperature_k'])} K"
        for name, m in molecules.items()
    )
    doubts = sum(
        m[kind]["doubtful_structures"] for m in molecules.values() for kind in ("classical", "quantum")
    )
    parts.append(
        f"Classical: {REPLICAS} replicas of {study['time_ps']:g} ps without thermostat. TRPMD: {STARTS} ring "
        f"polymers of {beads} beads, {study['pimd_time_ps']:g} ps each. All were equilibrated for 1 ps; they had, "
        f"classical and TRPMD, {reached}. {doubts:,} structures were doubted."
    )
    return "\n\n".join(parts)


def main() -> None:
    """Print the tables, or write them into a card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("study", type=Path, help="h2co.json")
    parser.add_argument("--write", type=Path, help="a card whose tables are replaced")
    options = parser.parse_args()
    found = text(json.loads(options.study.read_text()))
    print(found)
    if options.write:
        card = options.write.read_text()
        before, after = card.split(START)[0], card.split(END)[1]
        options.write.write_text(f"{before}{START}\n{found}\n{END}{after}")


if __name__ == "__main__":
    main()
