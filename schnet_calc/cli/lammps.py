"""LAMMPS with a model: ``mpiexec -n 4 schnet-calc lammps in.lmp --model silicon --elements Si``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App

from schnet_calc.cli.console import tell_doubtful, write_json
from schnet_calc.cli.options import (
    DType,
    ModelName,
    ModelOptions,
    OutputPath,
    Several,
    check_files,
    check_model,
)


@dataclass(frozen=True)
class RankOptions(ModelOptions):
    """Which model, and how it is evaluated on all ranks."""

    device: str = "cpu"
    """cpu: every rank evaluates its own atoms there."""
    on_doubt: str = "warn"
    """For structures outside of what the model knows: warn, ignore or stop, on all ranks. Exit status 3 says that
    there were some, unless it is ignore."""


lammps = App(name="lammps", help="Run a LAMMPS input file with a model, on any number of MPI ranks.")


@lammps.default
def run(
    input: Path,
    *,
    elements: Annotated[list[str], Several],
    skin: float = 1.0,
    var: Annotated[list[str] | None, Several] = None,
    log: Path = Path("log.lammps"),
    model: RankOptions,
    json: Path | None = None,
) -> None:
    """Run a LAMMPS input file with a model, on any number of MPI ranks.

    The model comes in at the line "# schnet", or, once there is a box, before the first fix, run or minimize. Units
    are metal; no pair_style is needed.

    Parameters
    ----------
    input
        LAMMPS commands.
    elements
        Of LAMMPS' atom types, in order.
    skin
        Å; how far beyond the cutoff neighbours are listed, in LAMMPS, too.
    var
        NAME=VALUE of LAMMPS' variables.
    log
        LAMMPS' log file.
    json
        Where to write how many steps were doubtful.
    """
    check_files(input)
    sources = check_model(model.model)
    from schnet_calc.cli.console import stop_waiting
    from schnet_calc.lammps.exchange import agreed
    from schnet_calc.lammps.script import open_lammps, run_input
    from schnet_calc.model import Model

    stop_waiting()  # LAMMPS writes to the terminal itself
    arguments = ["-log", str(log)]
    for pair in var or []:
        name, _, value = pair.partition("=")
        arguments += ["-var", name, *value.split()]
    lmp = open_lammps(arguments)
    comm = lmp.get_mpi_comm()
    try:
        opened = agreed(comm, lambda: Model(sources, **model.to_dict()))
        coupling = run_input(lmp, input, opened, elements, skin)
    except Exception:  # on all ranks
        if comm.rank:
            sys.exit(1)
        raise
    if comm.rank == 0:
        write_json(json, {"doubtful_steps": coupling.guard.count})
        tell_doubtful(coupling.guard.count)


@lammps.command
def build(
    output: OutputPath = Path("schnetplugin.so"),
    *,
    include: Path | None = None,
    compiler: str = "mpicxx",
    json: Path | None = None,
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
    json
        Where to write which LAMMPS it is for.
    """
    from schnet_calc.cli.console import out
    from schnet_calc.lammps.building import build_plugin

    version = build_plugin(output, include, compiler)
    out.print(f"{output}: pair_style schnet for LAMMPS of {version}", soft_wrap=True)
    write_json(json, {"plugin": str(output), "lammps": str(version)})


@lammps.command
def export(
    model: ModelName,
    output: Path,
    *,
    elements: Annotated[list[str] | None, Several] = None,
    dtype: DType | None = None,
    json: Path | None = None,
) -> None:
    """Write a model for pair_style mliap unified, which KOKKOS builds of LAMMPS run on GPUs.

    The file is a pickle, which runs code where it is loaded: use those that you made yourself.

    Parameters
    ----------
    output
        Ends in .pt.
    elements
        Those that pair_coeff may name; all that the model knows by default.
    dtype
        Of the evaluation; that of the file by default.
    json
        Where to write the line for LAMMPS, too.
    """
    check_model(model)
    import torch

    from schnet_calc.cli.console import out
    from schnet_calc.lammps.mliap import export_mliap

    export_mliap(model, output, elements or (), None if dtype is None else getattr(torch, dtype))
    line = f"pair_style mliap unified {output} 0"
    out.print(line, soft_wrap=True)
    write_json(json, {"file": str(output), "pair_style": line})
