"""The command for normal modes."""

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Annotated, Any

from schnet_calc.cli.console import command_line, listed, print_table, stages_shown, tell_doubts, warn
from schnet_calc.cli.options import Flat, ModelOptions, OutputOptions, OutputPath, check_files, read
from schnet_calc.simulate.settings import GasSettings


@dataclass(frozen=True)
class Extras:
    """What is computed beside the frequencies."""

    reference: str | None = None
    """What to compare with, mode by mode, after a relaxation of its own: GFN2-xTB (with the extra [xtb]), or the
    name of an ASE calculator."""
    isotope: tuple[str, ...] = ()
    """Masses as H=2.014 (all atoms of an element) or 3=13.003 (atom 3, counted from zero)."""
    anharmonic: bool = False
    """Fundamentals by VPT2, for molecules of up to ten atoms."""


@dataclass(frozen=True)
class Figure:
    """How the spectrum is drawn."""

    width: float = 10.0
    """cm⁻¹; of the lines in the spectrum."""
    scale: float = 1.0
    """Factor of the frequencies in the spectrum."""
    experiment: Path | None = None
    """Measured lines or curve to draw beside: two columns (cm⁻¹, intensity), separated by commas or spaces, or
    JCAMP-DX."""


@dataclass(frozen=True)
class ModesOutput(OutputOptions):
    """What ``modes`` writes."""

    output: OutputPath = Path("modes")
    """Name of the figures and of the numbers, without ending."""
    json: Path | None = None
    """Where to write the numbers instead: frequencies, displacements, Hessian."""


def modes(
    structure: Path,
    *,
    extras: Annotated[Extras, Flat] = Extras(),
    gas: Annotated[GasSettings, Flat] = GasSettings(),
    drawn: Annotated[Figure, Flat] = Figure(),
    model: ModelOptions,
    out: ModesOutput = ModesOutput(),
) -> None:
    """Harmonic frequencies of a relaxed molecule; infrared intensities where the model has dipoles.

    Parameters
    ----------
    structure
        Any file that ASE reads.
    """
    check_files(drawn.experiment)
    masses, reference = _isotopes(extras.isotope), extras.reference
    atoms = read(structure)
    from schnet_calc.references import reference_calculator
    from schnet_calc.simulate.infrared import set_isotopes
    from schnet_calc.simulate.mode_comparison import compare_modes, reference_modes
    from schnet_calc.simulate.modes import normal_modes, write_modes

    set_isotopes(atoms, masses)
    calculator = model.calculator()
    result = normal_modes(atoms, calculator)
    compared, record = None, dict[str, Any](command=command_line())
    if reference is not None:
        with stages_shown():
            known = reference_modes(result.atoms, reference_calculator(reference))
        compared = compare_modes(result, known)
        record["comparison"] = {"reference": reference, **compared.to_dict()}
    if result.fmax > 1e-2:
        warn(f"the largest force is {result.fmax:.1e} eV/Å; relax first")
    rows: dict[str, Any] = {
        "frequencies": ", ".join(f"{f:.1f}" for f in result.frequencies) + " cm⁻¹",
        "imaginary": result.n_imaginary,
        "zero-point energy": f"{result.zero_point_energy:.6f} eV",
        "asymmetry of the Hessian": f"{result.asymmetry:.1e} eV/Å²",
        "sum rule": f"{result.sum_rule:.1e} eV/Å²",
    }
    record |= _further(result, calculator, extras.anharmonic, gas, rows)
    if compared:
        rows |= {
            f"{reference}, same order": ", ".join(f"{f:.1f}" for f in compared.reference) + " cm⁻¹",
            "mean difference": f"{abs(compared.errors).mean():.1f} cm⁻¹",
            "largest difference": f"{abs(compared.errors).max():.1f} cm⁻¹",
            "smallest overlap": f"{compared.overlaps.min():.3f}",
            "distance of the minima": f"{compared.rmsd:.4f} Å",
        }
    figures = _draw(result, compared, record, drawn, out.output)
    numbers = out.json or Path(f"{out.output}.json")
    write_modes(numbers, result, calculator, record)
    print_table(f"normal modes of {structure.name}", rows | {"files": listed(*figures, numbers)})
    tell_doubts(calculator)


def _further(
    result: Any, calculator: Any, anharmonic: bool, gas: GasSettings, rows: dict[str, Any]
) -> dict[str, Any]:
    """Intensities, VPT2 and thermochemistry, where they can be had: into the table's rows, and as values."""
    from schnet_calc.simulate.infrared import infrared_intensities
    from schnet_calc.simulate.thermochemistry import thermochemistry
    from schnet_calc.simulate.vpt2 import quartic_field, vpt2

    record: dict[str, Any] = {}
    if "dipole" in calculator.model.outputs:
        intensities = infrared_intensities(result, calculator.model)
        rows["infrared intensities"] = ", ".join(f"{i:.1f}" for i in intensities) + " km/mol"
        record["intensities_km_mol"] = intensities.tolist()
    if anharmonic:
        with stages_shown():
            field = quartic_field(result, calculator.model)
        quartic = vpt2(field)
        rows["VPT2 fundamentals"] = ", ".join(f"{f:.1f}" for f in quartic.fundamentals) + " cm⁻¹"
        rows["resonances"] = ", ".join(quartic.resonances) or "none"
        record["anharmonic"] = quartic.to_dict()
    if not result.n_imaginary:
        energy = calculator.get_potential_energy(result.atoms)
        found = thermochemistry(result, energy, *astuple(gas))
        rows["point group"] = f"{found.group.name}, symmetry number {found.symmetry}, spin {found.spin:g}"
        if found.nearly is not None and gas.symmetry is None:
            warn(f"{found.group.name} is nearly {found.nearly}: relax further, or say --symmetry")
        at = f"{found.temperature:g} K, {found.pressure:g} Pa"
        rows[f"Gibbs energy, {at}"] = f"{found.gibbs - energy:+.4f} eV to the minimum"
        rows[f"entropy, {at}"] = f"{found.entropy_j:.2f} J/mol/K"
        record["thermochemistry"] = found.to_dict()
    return record


def _draw(result: Any, compared: Any, record: dict[str, Any], drawn: Figure, output: Path) -> list[Path]:
    """Draw what there is beside each other; return the files."""
    import numpy as np

    from schnet_calc import plots
    from schnet_calc.data.measured import read_measured

    intensities = record.get("intensities_km_mol")
    fundamentals = record.get("anharmonic", {}).get("fundamentals_cm1")
    count = 1 + (compared is not None) + (intensities is not None)
    figure, axes = plots.new_figure(5.5 * count, 3.6, count, squeeze=False)
    known = None if compared is None else compared.reference
    plots.draw_spectrum(axes[0, 0], result.frequencies, known, fundamentals=fundamentals)
    if compared is not None:
        plots.draw_frequency_errors(axes[0, 1], compared.frequencies, compared.reference)
    if intensities is not None:
        measured = None if drawn.experiment is None else read_measured(drawn.experiment)
        plots.draw_infrared(
            axes[0, -1], drawn.scale * result.frequencies, np.array(intensities), drawn.width, measured
        )
    return plots.save_figure(figure, output)


def _isotopes(items: tuple[str, ...]) -> dict[str, float]:
    """``("H=2.014", "3=13.003")`` as a dictionary."""
    found = {}
    for item in items:
        name, _, mass = item.partition("=")
        try:
            found[name] = float(mass)
        except ValueError:
            raise ValueError(f"an isotope is written SYMBOL=MASS or ATOM=MASS, got {item!r}") from None
    return found
