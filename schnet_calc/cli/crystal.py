"""The command for crystals."""

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from schnet_calc.cli.console import print_table, stages_shown, tell_doubts, write_json
from schnet_calc.cli.options import Flat, OutputOptions, OutputPath, PreciseModelOptions, read
from schnet_calc.simulate.settings import CrystalSettings


@dataclass(frozen=True)
class CrystalOutput(OutputOptions):
    """What ``crystal`` writes."""

    output: OutputPath = Path("crystal")
    """Folder for relaxed.extxyz, crystal.json and the figures."""
    json: Path | None = None
    """Where to write the numbers instead of crystal.json."""


if TYPE_CHECKING:
    from schnet_calc.simulate.crystal import Crystal
    from schnet_calc.simulate.phonons import Dispersion


def crystal(
    structure: Path,
    *,
    settings: Annotated[CrystalSettings, Flat] = CrystalSettings(),
    model: PreciseModelOptions,
    out: CrystalOutput = CrystalOutput(),
) -> None:
    """Lattice, equation of state, elastic constants and phonons of a crystal; NPT is md --pressure.

    Parameters
    ----------
    structure
        Any file that ASE reads; best a primitive cell, which is relaxed first.
    """
    atoms, output = read(structure), out.output
    import ase.io

    from schnet_calc import plots
    from schnet_calc.simulate.crystal import crystal_properties

    calculator = model.calculator()
    with stages_shown():
        found = crystal_properties(atoms, calculator, *astuple(settings))
    output.mkdir(parents=True, exist_ok=True)
    ase.io.write(output / "relaxed.extxyz", found.atoms)
    plots.draw_to(output / "equation_of_state", plots.draw_equation_of_state, found.volumes, found.energies)
    rows = _rows(found)
    if found.phonons is not None:
        lowest, highest = found.phonons.lowest, found.phonons.frequencies.max()
        rows["phonons"] = f"up to {highest:.0f} cm⁻¹, " + (
            "all real" if found.phonons.stable else f"imaginary ones down to {-lowest:.0f}i cm⁻¹"
        )
        rows |= _corners(found.phonons)
        lines = (found.phonons.distances, found.phonons.frequencies, found.phonons.corners)
        plots.draw_to(output / "phonons", plots.draw_phonons, *lines, found.phonons.exact)
    print_table(f"crystal of {found.atoms.get_chemical_formula()}", {**rows, "folder": output})
    write_json(
        out.json or output / "crystal.json", {"task": "crystal", **calculator.todict(), **found.to_dict()}
    )
    tell_doubts(calculator)


CONSTANTS = ((1, 1), (2, 2), (3, 3), (1, 2), (1, 3), (2, 3), (4, 4), (5, 5), (6, 6))
"""Those that a crystal of any symmetry but the lowest shows; all are in the JSON file."""


def _rows(found: "Crystal") -> dict[str, str]:
    """Lattice and elasticity in words."""
    lengths, angles = found.atoms.cell.lengths(), found.atoms.cell.angles()
    c, averages = found.elastic, found.averages
    rows = {
        "cell": f"{', '.join(f'{x:.4f}' for x in lengths)} Å, {', '.join(f'{x:.2f}' for x in angles)}°",
        "volume": f"{found.atoms.get_volume() / len(found.atoms):.4f} Å³ per atom",
        "bulk modulus": f"{found.bulk_modulus:.1f} GPa by volumes, {averages.hydrostatic:.1f} by elastic constants",
        "elastic constants": ", ".join(f"C{a}{b} {c[a - 1, b - 1]:.1f}" for a, b in CONSTANTS) + " GPa",
        "polycrystal": f"shear {averages.shear:.1f}, Young {averages.young:.1f} GPa",
        "Poisson": f"{averages.poisson:.3f}",
        "stable against strain": "yes"
        if averages.lowest > 0
        else f"no: an eigenvalue of {averages.lowest:.1f} GPa",
    }
    if found.moduli_differ is not None:
        rows["bulk modulus"] += (
            f"; they differ by {abs(found.moduli_differ):.1%}: the model's stress isn't the slope of its energy "
            "there, or the energy bends within 1.5 % in volume"
        )
    return rows


def _corners(phonons: "Dispersion") -> dict[str, str]:
    """A row for each special point; for more than two atoms its range alone."""
    rows = {}
    for name, frequencies, exact in phonons.special_points():
        text = ", ".join(f"{round(x) + 0}" for x in frequencies)
        if len(frequencies) > 6:
            text = f"{frequencies.min():.0f} to {frequencies.max():.0f}"
        rows[f"at {name}" + ("" if exact else ", interpolated")] = f"{text} cm⁻¹"
    return rows
