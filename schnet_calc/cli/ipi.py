"""Commands around i-PI: the client, path-integral MD, the input file alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from schnet_calc.cli.app import Output, app, tell_doubtful
from schnet_calc.cli.console import Speed, Stages, err, out, print_table, progress_bar, write_json

if TYPE_CHECKING:
    from schnet_calc.analysis.path_integrals import PathIntegralEstimators
    from schnet_calc.ipi import Address


@Parameter(name="*")
@dataclass
class Where:
    """Where i-PI listens."""

    unix: str | None = None
    """Name of a UNIX socket: i-PI's <address>."""
    host: str = "localhost"
    """Host of a TCP socket."""
    port: int = 31415
    """Port of a TCP socket."""
    prefix: str | None = None
    """Of UNIX sockets: i-PI's sockets_prefix, ``/tmp/ipi_`` by default."""


@Parameter(name="*")
@dataclass
class Simulation:
    """A path-integral simulation."""

    temperature: float
    """K."""
    time: float
    """ps in all."""
    beads: int = 8
    """P; 1 is classical."""
    timestep: float = 0.5
    """fs."""
    thermostat: Literal["pile_g", "pile_l", "svr", "langevin", "none"] = "pile_g"
    """Of i-PI."""
    time_constant: float = 100.0
    """fs, of the thermostat."""
    stride: int = 10
    """Steps between rows of properties."""
    frame_stride: int = 20
    """Steps between frames."""
    seed: int = 0
    """Of velocities and thermostat."""
    method: Literal["pimd", "trpmd"] = "pimd"
    """pimd for averages; trpmd for spectra, with thermostats on the ring polymer's internal modes alone."""
    transport: Literal["direct", "socket"] = "direct"
    """direct: i-PI evaluates the model; socket: a client does, which may die and be replaced."""


@app.command
def ipi(
    model: str,
    structure: Path,
    *,
    where: Where | None = None,
    connections: int = 1,
    device: str = "auto",
    dtype: str | None = None,
    engine: str = "auto",
    energies: bool = False,
    on_doubt: str = "warn",
    max_forces_std: float | None = None,
    wait: float = 60.0,
    idle: float = 3600.0,
    failed: Path = Path("failed_structure.xyz"),
) -> None:
    """Serve an i-PI simulation until it says EXIT.

    Parameters
    ----------
    model
        A model file, or the name of a shipped model; several joined by + make a committee.
    structure
        Species and periodic directions, any file that ASE reads.
    connections
        Ordinary connections to open; beads that arrive together are one batch. Not needed where
        i-PI's input has a <batch_size>.
    engine
        auto, compiled or script; script runs the TorchScript of foreign files.
    energies
        Send the energies of the atoms (eV) as extras.
    on_doubt
        Structures outside of what the model knows: warn, ignore, stop, or an .extxyz file to write them to.
    max_forces_std
        eV/Å; disagreement of a committee (models joined by +) about a force that is a reason for doubt.
    wait
        Seconds to wait for a server that isn't there, or is gone.
    idle
        Seconds without a message after which to give up.
    failed
        Where a structure is written that can't be evaluated.
    """
    from schnet_calc.data import read_structure
    from schnet_calc.ipi import Client, ModelSpec, ProcessWorker

    address = _address(where or Where())
    atoms = read_structure(structure)
    spec = ModelSpec(
        model_names(model),
        structure.resolve(),
        device,
        dtype,
        engine,
        energies,
        on_doubt=on_doubt,
        max_forces_std=max_forces_std,
    )
    worker = ProcessWorker(spec)
    client = Client(worker, atoms, address, connections=connections, wait=wait, idle=idle, failed=failed)
    with progress_bar() as bar:
        task = bar.add_task(f"serving {address}", total=None, note="")
        served = client.run(
            lambda s: bar.update(task, completed=s.batches, note=f"{s.structures} structures")
        )
    err.print(
        f"i-PI said EXIT: {served.structures} structures in {served.batches} batches, "
        f"{served.connections} connections, {served.deaths} workers replaced"
    )
    tell_doubtful(served.doubts.count, served.doubts.reason)


@app.command
def pimd(
    structure: Path,
    *,
    model: str,
    simulation: Simulation,
    resume: bool = False,
    device: str = "auto",
    dtype: str | None = None,
    engine: str = "auto",
    on_doubt: str = "warn",
    max_forces_std: float | None = None,
    output: Output = Path("pimd"),
    json: Path | None = None,
) -> None:
    """Path-integral MD with i-PI, in a folder with its standard output files.

    Parameters
    ----------
    structure
        Where all beads start, any file that ASE reads.
    model
        A model file, or the name of a shipped model.
    engine
        auto, compiled or script; script runs the TorchScript of foreign files.
    on_doubt
        Structures outside of what the model knows: warn, ignore, stop, or an .extxyz file to write them to.
    max_forces_std
        eV/Å; disagreement of a committee (models joined by +) about a force that is a reason for doubt.
    resume
        Go on with the run in the folder.
    output
        Folder for input.xml, simulation.* and the figure.
    json
        Where to write the estimators.
    """
    from schnet_calc import plots
    from schnet_calc.data import read_structure
    from schnet_calc.ipi.input import PIMDSettings
    from schnet_calc.simulate.pimd import run_pimd

    settings = PIMDSettings(**vars(simulation))
    atoms = read_structure(structure)
    speed = Speed(settings.timestep)
    with progress_bar() as bar:
        stages = Stages(bar)

        def show(step: int, row: dict[str, float]) -> None:
            note = f"{row['time']:.3f} ps, {row['temperature']:.0f} K, "
            note += f"conserved {row['conserved']:.4f} eV, {speed(step)}"
            stages("PIMD", step, settings.n_steps, note)

        run = run_pimd(
            atoms,
            model_names(model),
            settings,
            output,
            resume=resume,
            device=device,
            dtype=dtype,
            engine=engine,
            on_doubt=on_doubt,
            max_forces_std=max_forces_std,
            progress=show,
        )
    table = run.table()
    figure, axes = plots.new_figure(9, 3.2, 2)
    plots.draw_pimd(axes, table)
    plots.save_figure(figure, output / "pimd")
    result = run.estimators()
    rows = {
        "time": f"{table['time'][-1]:.3f} ps, {settings.beads} beads, {speed(settings.n_steps)}",
        "conserved quantity": f"changed by {table['conserved'][-1] - table['conserved'][0]:.1e} eV",
        **_estimates(result),
        "doubtful structures": run.doubts.count,
    }
    print_table(f"PIMD of {structure.name}", {**rows, "output": output})
    numbers = {"time_ps": float(table["time"][-1]), "doubtful_structures": run.doubts.count}
    write_json(json, {**numbers, **(result.to_dict() if result else {})})
    tell_doubtful(run.doubts.count, run.doubts.reason)


def _estimates(result: "PathIntegralEstimators | None") -> dict[str, str]:
    """What the table says of averages with errors."""
    if result is None:
        err.print("[yellow]too short for estimators with errors")
        return {}
    return {
        "kinetic energy, virial": f"{result.kinetic_virial} eV",
        "kinetic energy, thermodynamic": f"{result.kinetic_thermodynamic} eV",
        "heat capacity": f"{result.heat_capacity} k_B",
        "radius of gyration": f"{result.radius_of_gyration} Å",
        "temperature of the beads": f"{result.temperature} K",
    }


@app.command
def ipi_input(
    structure: Path,
    *,
    model: str,
    simulation: Simulation,
    where: Where | None = None,
    output: Output = Path("ipi"),
) -> None:
    """Write i-PI's input and the structure it starts from, for runs by hand or on other hosts.

    Parameters
    ----------
    structure
        Where all beads start, any file that ASE reads.
    model
        A model file, or the name of a shipped model.
    output
        Folder for input.xml and init.extxyz.
    """
    from schnet_calc.data import read_structure
    from schnet_calc.ipi.connection import PREFIX
    from schnet_calc.ipi.input import PIMDSettings, write_input

    address = _address(where or Where(unix="schnet"))
    settings = PIMDSettings(**vars(simulation))
    names = model_names(model)
    write_input(read_structure(structure), settings, output, models=names, address=address)
    out.print(f"cd {output}", soft_wrap=True)
    if settings.transport == "direct":
        out.print("i-pi input.xml", soft_wrap=True)
        return
    option = f"--host {address.host} --port {address.port}"
    if address.unix is not None:
        option = f"--unix {address.unix}" + (
            f" --prefix {address.prefix}" if address.prefix != PREFIX else ""
        )
    out.print(f"i-pi input.xml &\nschnet-calc ipi {'+'.join(names)} init.extxyz {option}", soft_wrap=True)


def model_names(text: str) -> tuple[str, ...]:
    """Return the files, with absolute paths, or names that an argument joins by ``+``."""
    from schnet_calc.model import model_sources
    from schnet_calc.simulate.pimd import absolute_names

    return absolute_names(model_sources(text))


def _address(given: Where) -> "Address":
    from schnet_calc.ipi import Address

    if given.prefix is not None and given.unix is None:
        raise ValueError(f"the prefix {given.prefix!r} is for UNIX sockets: name one with --unix")
    prefix = {} if given.prefix is None else {"prefix": given.prefix}
    return Address(given.unix, given.host, given.port, **prefix)
