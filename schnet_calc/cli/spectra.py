"""Commands about vibrations: normal modes and spectra."""

from pathlib import Path
from typing import Any, Literal

from schnet_calc.cli.app import Output, app, open_model, tell_doubts
from schnet_calc.cli.console import err, print_table, write_json


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


@app.command
def modes(
    structure: Path,
    *,
    model: str,
    reference: str | None = None,
    isotope: tuple[str, ...] = (),
    anharmonic: bool = False,
    temperature: float = 298.15,
    pressure: float = 101325.0,
    symmetry: int | None = None,
    spin: float | None = None,
    width: float = 10.0,
    scale: float = 1.0,
    experiment: Path | None = None,
    device: str = "auto",
    engine: str = "auto",
    output: Output = Path("modes"),
    json: Path | None = None,
) -> None:
    """Harmonic frequencies of a relaxed molecule; infrared intensities where the model has dipoles.

    Parameters
    ----------
    structure
        Any file that ASE reads.
    model
        A model file, or the name of a shipped model.
    reference
        What to compare with, mode by mode, after a relaxation of its own: GFN2-xTB (with the extra [xtb]),
        or the name of an ASE calculator.
    isotope
        Masses as H=2.014 (all atoms of an element) or 3=13.003 (atom 3, counted from zero).
    anharmonic
        Fundamentals by VPT2, for molecules of up to ten atoms.
    temperature
        K, of the thermochemistry.
    pressure
        Pa, of the thermochemistry's gas (md and relax take GPa, of a solid).
    symmetry
        Symmetry number of the rotations; by default that of the point group, found from structure and isotopes.
    spin
        Total electronic spin: 0, 0.5, 1 ...; by default the lowest that the number of electrons allows, so that
        oxygen, a triplet, needs --spin 1.
    width
        Of the lines in the spectrum, cm⁻¹.
    scale
        Factor of the frequencies in the spectrum.
    experiment
        Measured lines or curve to draw beside: two columns (cm⁻¹, intensity), separated by commas or spaces, or
        JCAMP-DX.
    engine
        auto, compiled or script; script runs the TorchScript of foreign files.
    output
        Name of the figures and of the numbers, without ending.
    json
        Where to write the numbers instead: frequencies, displacements, Hessian.
    """
    from schnet_calc.data import read_structure
    from schnet_calc.simulate.infrared import set_isotopes
    from schnet_calc.simulate.modes import normal_modes, write_modes
    from schnet_calc.simulate.reference import compare_modes, reference_calculator, reference_modes

    calculator = open_model(model, device, engine=engine)
    atoms = read_structure(structure)
    set_isotopes(atoms, _isotopes(isotope))
    result = normal_modes(atoms, calculator)
    compared, record = None, {}
    if reference is not None:
        known = reference_modes(result.atoms, reference_calculator(reference))
        compared = compare_modes(result, known)
        record["comparison"] = {"reference": reference, **compared.to_dict()}
    if result.fmax > 1e-2:
        err.print(f"[yellow]warning: the largest force is {result.fmax:.1e} eV/Å; relax first")
    rows: dict[str, Any] = {
        "frequencies": ", ".join(f"{f:.1f}" for f in result.frequencies) + " cm⁻¹",
        "imaginary": result.n_imaginary,
        "zero-point energy": f"{result.zero_point_energy:.6f} eV",
        "asymmetry of the Hessian": f"{result.asymmetry:.1e} eV/Å²",
        "sum rule": f"{result.sum_rule:.1e} eV/Å²",
    }
    intensities, more = _further(
        result, calculator, anharmonic, (temperature, pressure, symmetry, spin), rows
    )
    record |= more
    if compared:
        rows |= {
            f"{reference}, same order": ", ".join(f"{f:.1f}" for f in compared.reference) + " cm⁻¹",
            "mean difference": f"{abs(compared.errors).mean():.1f} cm⁻¹",
            "largest difference": f"{abs(compared.errors).max():.1f} cm⁻¹",
            "smallest overlap": f"{compared.overlaps.min():.3f}",
            "distance of the minima": f"{compared.rmsd:.4f} Å",
        }
    _draw(result, compared, intensities, width, scale, experiment, output)
    print_table(f"normal modes of {structure.name}", rows)
    write_modes(json or Path(f"{output}.json"), result, calculator, record)
    tell_doubts(calculator)


def _further(
    result: Any, calculator: Any, anharmonic: bool, gas_at: tuple[Any, ...], rows: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Intensities, VPT2 and thermochemistry, where they can be had: into the table's rows, and as values."""
    from schnet_calc.simulate.infrared import infrared_intensities
    from schnet_calc.simulate.thermochemistry import thermochemistry
    from schnet_calc.simulate.vpt2 import quartic_field, vpt2

    intensities, record = None, {}
    if "dipole" in calculator.model.outputs:
        intensities = infrared_intensities(result, calculator.model)
        rows["infrared intensities"] = ", ".join(f"{i:.1f}" for i in intensities) + " km/mol"
        record["intensities_km_mol"] = intensities.tolist()
    if anharmonic:
        found = vpt2(quartic_field(result, calculator.model))
        rows["VPT2 fundamentals"] = ", ".join(f"{f:.1f}" for f in found.fundamentals) + " cm⁻¹"
        rows["resonances"] = ", ".join(found.resonances) or "none"
        record["anharmonic"] = found.to_dict()
    if not result.n_imaginary:
        energy = calculator.get_potential_energy(result.atoms)
        gas = thermochemistry(result, energy, *gas_at)
        rows["point group"] = f"{gas.group.name}, symmetry number {gas.symmetry}, spin {gas.spin:g}"
        if gas.nearly is not None and gas_at[2] is None:
            err.print(
                f"[yellow]warning: {gas.group.name} is nearly {gas.nearly}: relax further, or say --symmetry"
            )
        at = f"{gas.temperature:g} K, {gas.pressure:g} Pa"
        rows[f"Gibbs energy, {at}"] = f"{gas.gibbs - energy:+.4f} eV to the minimum"
        rows[f"entropy, {at}"] = f"{gas.entropy_j:.2f} J/mol/K"
        record["thermochemistry"] = gas.to_dict()
    return intensities, record


def _draw(
    result: Any,
    compared: Any,
    intensities: Any,
    width: float,
    scale: float,
    experiment: Path | None,
    output: Path,
) -> None:
    from schnet_calc import plots
    from schnet_calc.data.measured import read_measured

    count = 1 + (compared is not None) + (intensities is not None)
    figure, axes = plots.new_figure(5.5 * count, 3.6, count, squeeze=False)
    known = None if compared is None else compared.reference
    plots.draw_spectrum(axes[0, 0], result.frequencies, known)
    if compared is not None:
        plots.draw_frequency_errors(axes[0, 1], compared.frequencies, compared.reference)
    if intensities is not None:
        measured = None if experiment is None else read_measured(experiment)
        plots.draw_infrared(axes[0, -1], scale * result.frequencies, intensities, width, measured)
    plots.save_figure(figure, output)


@app.command
def spectrum(
    *folders: Path,
    model: str | None = None,
    quantum: Literal["harmonic", "none"] = "harmonic",
    resolution: float | None = None,
    modes: Path | None = None,
    experiment: Path | None = None,
    device: str = "auto",
    output: Output = Path("spectrum"),
    json: Path | None = None,
) -> None:
    """Spectra of the dynamics in folders: density of states, and infrared with a model that has dipoles.

    Runs of md --thermostat none and of pimd --method trpmd. Replicas and folders of one kind are pooled, with
    error bands by a jackknife. Frames that lie too far apart for the stiffest mode are refused, with the time that
    would do: --interval of md, --frame-stride of pimd.

    Parameters
    ----------
    folders
        Of runs of one molecule; those of classical dynamics and of path integrals are shown beside each other.
    model
        Of the dipoles.
    quantum
        Correction of the classical lineshape, at the temperature that the runs had.
    resolution
        cm⁻¹; by default 5, or as fine as the length of the runs allows without noise.
    modes
        JSON of the command modes, to draw the harmonic lines too.
    experiment
        Measured lines or curve, as for the command modes.
    output
        Name of the figure, without ending.
    json
        Where to write the spectra.
    """
    import json as json_module

    from schnet_calc import plots
    from schnet_calc.data.measured import read_measured
    from schnet_calc.simulate.spectrum import read_dynamics, spectra

    if not folders:
        raise ValueError("name at least one folder with a run of md or pimd")
    loaded = None if model is None else open_model(model, device, on_doubt="ignore").model
    runs: dict[str, list[Any]] = {}
    for folder in folders:
        run = read_dynamics(folder)
        runs.setdefault(run.kind, []).append(run)
    found = {kind: spectra(these, loaded, quantum, resolution) for kind, these in runs.items()}
    harmonic = None if modes is None else json_module.loads(modes.read_text())
    measured = None if experiment is None else read_measured(experiment)
    infrared = any(both.infrared is not None for both in found.values())
    count = 2 if infrared else 1
    figure, axes = plots.new_figure(6.5 * count, 3.8, count, squeeze=False)
    plots.draw_dynamic_spectra(axes[0], found, harmonic, measured)
    plots.save_figure(figure, output)
    print_table("spectra", {**_rows(found), "figure": output})
    write_json(json, {kind: both.to_dict() for kind, both in found.items()})


def _rows(found: dict[str, Any]) -> dict[str, str]:
    rows = {}
    for kind, both in found.items():
        rows[f"temperature, {kind}"] = f"{both.temperature} K, {both.asked:g} K asked for"
        rows |= {f"note, {kind}": note for note in both.notes}
        for name, one in (("density of states", both.vibrational), ("infrared", both.infrared)):
            if one is not None:
                peaks = ", ".join(f"{p.position:.0f} ({p.height:.2f})" for p in one.peaks()[:20])
                rows[f"{name}, {kind}"] = (
                    f"{peaks or 'no peak above the noise'} cm⁻¹, resolution {one.resolution:.0f} cm⁻¹, "
                    f"replicas: {len(one.densities)}"
                )
    return rows
