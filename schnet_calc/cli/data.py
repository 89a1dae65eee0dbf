"""Commands about data sets."""

from dataclasses import asdict, dataclass
from pathlib import Path

from cyclopts import Parameter

from schnet_calc.cli.app import Output, app
from schnet_calc.cli.console import Stages, err, print_table, progress_bar, write_json


@Parameter(name="*")
@dataclass
class Labels:
    """Where the labels of a file are, and in which units."""

    energy_key: str = "energy"
    """Of the energies, in files that ASE reads."""
    forces_key: str = "forces"
    """Of the forces."""
    energy_unit: str | None = None
    """eV, meV, kcal/mol, kJ/mol or Hartree; by default what the file says."""
    length_unit: str | None = None
    """Ang, Bohr or nm."""
    stress_key: str = ""
    """Of the stresses, if they are to be read."""
    stress_convention: str = "ase"
    """ase (positive under tension), vasp (positive under compression, kbar) or virial (eV)."""
    stress_unit: str | None = None
    """eV/Ang3, GPa or kbar."""


@app.command
def data(
    file: Path,
    *,
    frame: int = 0,
    output: Output = Path("data"),
    json: Path | None = None,
    labels: Labels | None = None,
) -> None:
    """What a data set holds, and whether its labels fit its structures.

    Parameters
    ----------
    file
        Labelled structures: MD17/rMD17 npz, or anything ASE reads.
    frame
        The one to draw, with its forces.
    output
        Name of the figures, without ending.
    json
        Where to write the numbers.
    """
    import numpy as np
    from ase.units import GPa

    from schnet_calc import plots
    from schnet_calc.data import read_frames
    from schnet_calc.data.overview import look_over

    frames = read_frames(file, **asdict(labels or Labels()))
    if not -len(frames) <= frame < len(frames):
        raise ValueError(f"there is no frame {frame}: {file} holds {len(frames)}")
    with progress_bar() as bar:
        stages = Stages(bar)
        found = look_over(frames, lambda done, total: stages("frames", done, total))
    values = found.to_dict()
    energy = values["energy_per_atom_ev"]
    rows = {
        "frames": ", ".join(f"{n} of {formula}" for formula, n in found.formulas.items()),
        "level of theory": frames.info["theory"],
        "energy per atom": f"{energy['mean']:.4f} ± {energy['std']:.4f} eV",
        "force components, RMS": _list(values["force_rms_ev_ang"], "eV/Å"),
        "shortest distances": _list(values["shortest_distance_ang"], "Å"),
        "copies": len(found.duplicates),
        "energy / work of forces": "can't tell" if found.slope is None else f"{found.slope:.3f}",
    }
    if frames.virials is not None:
        given = np.isfinite(frames.virials).all(axis=(1, 2))
        volumes = np.abs(np.linalg.det(frames.cells[given]))
        pressures = -np.trace(frames.virials[given], axis1=1, axis2=2) / (3 * volumes * GPa)
        rows["stresses"] = f"{given.sum()}, pressures {pressures.min():.2f} to {pressures.max():.2f} GPa"
    print_table(file.name, rows)
    for warning in found.warnings:
        err.print(f"[yellow]warning:[/yellow] {warning}", soft_wrap=True)
    figure, axes = plots.new_figure(11, 3.2, 3)
    plots.draw_overview(axes, found)
    plots.save_figure(figure, output)
    figure, ax = plots.new_figure(4.5, 4.5, subplot_kw={"projection": "3d"})
    k = frame % len(frames)
    plots.draw_frame(ax, frames.atoms(k), frames.forces[frames.rows(k)])
    plots.save_figure(figure, f"{output}_frame{k}")
    write_json(json, values)


def _list(values: dict[str, float], unit: str) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items()) + f" {unit}"
