"""LAMMPS with a model: ``mpiexec -n 4 schnet-calc lammps in.lmp --model silicon --elements Si``."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App

from schnet_calc.cli.app import DOUBTFUL, Output, Several

lammps = App(name="lammps", help="Run a LAMMPS input file with a model, on any number of MPI ranks.")


@lammps.default
def run(
    input: Path,
    *,
    model: str,
    elements: Annotated[list[str], Several],
    dtype: str | None = None,
    skin: float = 1.0,
    on_doubt: Literal["warn", "ignore", "stop"] = "warn",
    max_forces_std: float | None = None,
    var: Annotated[list[str] | None, Several] = None,
    log: Path = Path("log.lammps"),
) -> None:
    """Run a LAMMPS input file with a model, on any number of MPI ranks.

    The model comes in at the line "# schnet", or, once there is a box, before the first fix, run or minimize. Units
    are metal; no pair_style is needed.

    Parameters
    ----------
    input
        LAMMPS commands.
    model
        A model file, or the name of a shipped model; several joined by + make a committee.
    elements
        Of LAMMPS' atom types, in order.
    dtype
        float32 or float64; that of the file by default.
    skin
        Å; how far beyond the cutoff neighbours are listed, in LAMMPS, too.
    on_doubt
        What happens to structures outside of what the model knows, on all ranks.
    max_forces_std
        eV/Å; disagreement of a committee about a force that is a reason for doubt.
    var
        NAME=VALUE of LAMMPS' variables.
    log
        LAMMPS' log file.
    """
    from schnet_calc.lammps.ranks import together
    from schnet_calc.lammps.script import open_lammps, run_input
    from schnet_calc.model import Model, model_sources

    arguments = ["-log", str(log)]
    for pair in var or []:
        name, _, value = pair.partition("=")
        arguments += ["-var", name, *value.split()]
    lmp = open_lammps(arguments)
    comm = lmp.get_mpi_comm()
    try:
        opened = together(
            comm,
            lambda: Model(
                model_sources(model),
                device="cpu",
                dtype=dtype,
                on_doubt=on_doubt,
                max_forces_std=max_forces_std,
            ),
        )
        coupling = run_input(lmp, input, opened, elements, skin)
    except Exception:  # on all ranks
        if comm.rank:
            sys.exit(1)
        raise
    if comm.rank == 0 and coupling.guard.count:
        from schnet_calc.cli.console import err

        err.print(f"[yellow]doubtful:[/yellow] {coupling.guard.count} steps; exit status {DOUBTFUL}")
        raise SystemExit(DOUBTFUL)


@lammps.command
def build(
    output: Output = Path("schnetplugin.so"), *, include: Path | None = None, compiler: str = "mpicxx"
) -> None:
    """Compile pair_style schnet for the installed LAMMPS.

    Parameters
    ----------
    output
        The plugin; LAMMPS finds files *plugin.so in LAMMPS_PLUGIN_PATH by itself.
    include
        Folder of LAMMPS' headers: the src of the version that will load the plugin; those of the lammps
        module by default.
    compiler
        The C++ compiler of the MPI that LAMMPS uses.
    """
    from schnet_calc.cli.console import out
    from schnet_calc.lammps.building import build_plugin

    version = build_plugin(output, include, compiler)
    out.print(f"{output}: pair_style schnet for LAMMPS of {version}", soft_wrap=True)


@lammps.command
def export(
    model: str,
    output: Path,
    *,
    elements: Annotated[list[str] | None, Several] = None,
    dtype: Literal["float32", "float64"] | None = None,
) -> None:
    """Write a model for pair_style mliap unified, which KOKKOS builds of LAMMPS run on GPUs.

    The file is a pickle, which runs code where it is loaded: use those that you made yourself.

    Parameters
    ----------
    model
        A model file, or the name of a shipped model.
    output
        Ends in .pt.
    elements
        Those that pair_coeff may name; all that the model knows by default.
    dtype
        Of the evaluation; that of the file by default.
    """
    import torch

    from schnet_calc.cli.console import out
    from schnet_calc.lammps.mliap import export_mliap

    export_mliap(model, output, elements or (), None if dtype is None else getattr(torch, dtype))
    out.print(f"pair_style mliap unified {output} 0", soft_wrap=True)
