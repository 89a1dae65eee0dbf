"""Commands about data sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from schnet_calc.cli.console import listed, print_table, stages_shown, warn, write_json
from schnet_calc.cli.options import OutputOptions, OutputPath, check_data
from schnet_calc.cli.words import told
from schnet_calc.data.labels import Labels

if TYPE_CHECKING:
    from schnet_calc.data import Frames
    from schnet_calc.data.overview import Overview

LabelOptions = Annotated[Labels, Parameter(name="*", group="Labels")]
"""The labels' keys and units as options."""


@dataclass(frozen=True)
class DataOutput(OutputOptions):
    """What ``data`` writes."""

    output: OutputPath = Path("data")
    """Name of the figures, without ending."""


def data(
    file: Path, *, frame: int = 0, labels: LabelOptions | None = None, out: DataOutput = DataOutput()
) -> None:
    """What a data set holds, and whether its labels fit its structures.

    Parameters
    ----------
    file
        Labelled structures: MD17/rMD17 npz, or anything ASE reads.
    frame
        The one to draw, with its forces.
    """
    check_data(file)
    import numpy as np

    from schnet_calc.data.readers import read_frames

    with stages_shown() as stages:
        frames = read_frames(file, labels)
        if not -len(frames) <= frame < len(frames):
            raise ValueError(f"there is no frame {frame}: {file} holds {len(frames)}")
        from schnet_calc import plots
        from schnet_calc.data.checks import label_warnings
        from schnet_calc.data.overview import look_over

        found = look_over(frames, lambda done, total: stages("frames", done, total))
    values = found.to_dict()
    rows = _rows(frames, found)
    for warning in dict.fromkeys([*found.warnings, *label_warnings(frames)]):
        warn(told(warning))
    files = plots.draw_to(out.output, plots.draw_overview, found, size=(11, 3.2), columns=3)
    k = frame % len(frames)
    arrows = np.nan_to_num(frames.forces[frames.rows(k)])
    drawn: Any = (plots.draw_frame, frames.atoms(k), arrows)
    files += plots.draw_to(
        f"{out.output}_frame{k}", *drawn, size=(4.5, 4.5), subplot_kw={"projection": "3d"}
    )
    print_table(file.name, rows | {"files": listed(*files)})
    write_json(out.json, values)


def _list(values: dict[str, float], unit: str) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items()) + f" {unit}"


def _rows(frames: "Frames", found: "Overview") -> dict[str, Any]:
    """What the table says."""
    import numpy as np
    from ase.units import GPa

    from schnet_calc.data.checks import energies_by_composition

    values = found.to_dict()
    rows = {
        "frames": ", ".join(f"{n} of {formula}" for formula, n in [*found.formulas.items()][:12]),
        "level of theory": frames.info["theory"],
        "labels": ", ".join(f"{name} of {n}" for name, n in found.labelled.items()),
    }
    if len(found.formulas) > 12:
        rows["frames"] += f" and {len(found.formulas) - 12} more"
    if energy := values["energy_per_atom_ev"]:
        rows["energy per atom"] = f"{energy['mean']:.4f} ± {energy['std']:.4f} eV"
    by_formula = energies_by_composition(frames)
    if len(by_formula) > 1:
        lines = [f"{f} {mean:.4f} ± {std:.4f} eV ({n})" for f, (n, mean, std) in [*by_formula.items()][:12]]
        more = f"\nand {len(by_formula) - 12} more" if len(by_formula) > 12 else ""
        rows["energies by composition"] = "\n".join(lines) + more
    if values["force_rms_ev_ang"]:
        rows["force components, RMS"] = _list(values["force_rms_ev_ang"], "eV/Å")
        slope = found.slope
        rows["energy / work of forces"] = "can't tell" if slope is None else f"{slope:.3f}"
    for name, (mean, std, unit) in found.scalars.items():
        rows[name] = f"{mean:.4g} ± {std:.4g} {unit}"
    rows["shortest distances"] = _list(values["shortest_distance_ang"], "Å")
    rows["copies"] = len(found.duplicates)
    if frames.virials is not None:
        given = np.isfinite(frames.virials).all(axis=(1, 2))
        volumes = np.abs(np.linalg.det(frames.cells[given]))
        pressures = -np.trace(frames.virials[given], axis1=1, axis2=2) / (3 * volumes * GPa)
        rows["stresses"] = f"{given.sum()}, pressures {pressures.min():.2f} to {pressures.max():.2f} GPa"
    return rows
