"""Commands that run a model: relaxation, normal modes, dynamics."""

from pathlib import Path

from schnet_calc.cli.app import Output, app
from schnet_calc.console import Speed, Stages, err, print_table, progress_bar, write_json


@app.command
def relax(
    structure: Path,
    *,
    model: str,
    fmax: float = 1e-3,
    steps: int = 1000,
    optimizer: str = "BFGS",
    dtype: str = "float64",
    device: str = "auto",
    output: Output = Path("relaxed.xyz"),
    json: Path | None = None,
) -> None:
    """Relax a structure.

    Parameters
    ----------
    structure
        Any file that ASE reads.
    model
        A model file, or the name of a shipped model.
    fmax
        Largest force to end with, eV/Å.
    output
        The relaxed structure, in any format that ASE writes; figures get its name.
    """
    import ase.io

    from schnet_calc import SchNetCalculator, plots
    from schnet_calc.data import read_structure
    from schnet_calc.tasks.relax import relax as run

    atoms = read_structure(structure)
    result = run(atoms, SchNetCalculator(model, device, dtype), fmax, steps, optimizer)
    ase.io.write(output, result.atoms)
    figure, axes = plots.new_figure(5.5, 3.6)
    plots.draw_relaxation(axes, result.energies)
    plots.save_figure(figure, output.with_suffix(""))
    print_table(
        f"relaxation of {structure.name}",
        {
            "converged": result.converged,
            "steps": result.steps,
            "energy": f"{result.energies[-1]:.6f} eV",
            "largest force": f"{result.fmax:.2e} eV/Å",
            "structure": output,
        },
    )
    write_json(json, result.to_dict())
    if not result.converged:
        raise RuntimeError(f"not converged after {steps} steps: largest force {result.fmax:.2e} eV/Å")


@app.command
def modes(
    structure: Path,
    *,
    model: str,
    device: str = "auto",
    output: Output = Path("modes"),
    json: Path | None = None,
) -> None:
    """Harmonic frequencies of a relaxed molecule.

    Parameters
    ----------
    structure
        Any file that ASE reads.
    model
        A model file, or the name of a shipped model.
    output
        Name of the figures, without ending.
    json
        Where to write the numbers.
    """
    from schnet_calc import SchNetCalculator, plots
    from schnet_calc.data import read_structure
    from schnet_calc.tasks.modes import normal_modes

    result = normal_modes(read_structure(structure), SchNetCalculator(model, device))
    if result.fmax > 1e-2:
        err.print(f"[yellow]warning: the largest force is {result.fmax:.1e} eV/Å; relax first")
    figure, axes = plots.new_figure(6.5, 3.4)
    plots.draw_spectrum(axes, result.frequencies)
    plots.save_figure(figure, output)
    print_table(
        f"normal modes of {structure.name}",
        {
            "frequencies": ", ".join(f"{f:.1f}" for f in result.frequencies) + " cm⁻¹",
            "imaginary": result.n_imaginary,
            "zero-point energy": f"{result.zero_point_energy:.6f} eV",
            "asymmetry of the Hessian": f"{result.asymmetry:.1e} eV/Å²",
            "sum rule": f"{result.sum_rule:.1e} eV/Å²",
        },
    )
    write_json(json, result.to_dict())


@app.command
def md(
    structure: Path,
    *,
    model: str,
    temperature: float,
    time: float,
    timestep: float = 0.5,
    thermostat: str = "langevin",
    time_constant: float = 100.0,
    interval: int = 10,
    seed: int = 0,
    resume: bool = False,
    device: str = "auto",
    dtype: str | None = None,
    output: Output = Path("md"),
    json: Path | None = None,
) -> None:
    """Molecular dynamics, streamed to a folder.

    Parameters
    ----------
    structure
        Any file that ASE reads; its momenta are used if it has any.
    model
        A model file, or the name of a shipped model.
    temperature
        K.
    time
        ps in all.
    timestep
        fs.
    thermostat
        none (NVE), langevin, bussi or nose-hoover.
    time_constant
        fs, of the thermostat.
    interval
        Steps between frames.
    resume
        Go on with the run in the folder.
    output
        Folder for md.traj, md.csv and the figures.
    """
    from schnet_calc import SchNetCalculator, plots
    from schnet_calc.data import read_structure
    from schnet_calc.tasks.md import MDSettings, run_md

    settings = MDSettings(temperature, time, timestep, thermostat, time_constant, interval, seed)
    atoms = read_structure(structure)
    speed = Speed(timestep)
    with progress_bar() as bar:
        stages = Stages(bar)
        run = run_md(
            atoms,
            SchNetCalculator(model, device, dtype),
            settings,
            output,
            resume=resume,
            progress=lambda step, _: stages("MD", step, settings.n_steps, speed(step)),
        )
    table = run.table()
    figure, axes = plots.new_figure(9, 3.2, 2)
    plots.draw_energy_and_temperature(axes, table)
    plots.save_figure(figure, output / "md")
    numbers = {
        "time_ps": float(table["time_ps"][-1]),
        "mean_temperature_k": float(table["temperature_k"].mean()),
        "total_energy_change_ev": float(table["total_ev"][-1] - table["total_ev"][0]),
        "speed": speed(settings.n_steps),
    }
    print_table(f"MD of {structure.name}", {**numbers, "trajectory": run.trajectory})
    write_json(json, numbers)
