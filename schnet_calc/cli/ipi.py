"""Commands around i-PI: the client, the input file alone."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from schnet_calc.cli.console import err, out as console, progress_bar, tell_doubtful, write_json
from schnet_calc.cli.options import EvaluationOptions, Flat, ModelName, OutputPath, check_model, read
from schnet_calc.cli.pimd import Beads, Simulation, model_names, with_beads

if TYPE_CHECKING:
    from schnet_calc.ipi import Address


@dataclass(frozen=True)
class Where:
    """Where i-PI listens."""

    unix: str | None = None
    """Name of a UNIX socket: i-PI's <address>."""
    host: str = "localhost"
    """Host of a TCP socket."""
    port: int = 31415
    """Port of a TCP socket."""
    prefix: str | None = None
    """Of UNIX sockets: i-PI's sockets_prefix, /tmp/ipi_ by default."""

    def address(self) -> "Address":
        """Return the place as the client knows it."""
        from schnet_calc.ipi import Address

        if self.prefix is not None and self.unix is None:
            raise ValueError(f"the prefix {self.prefix!r} is for UNIX sockets: name one with --unix")
        prefix = {} if self.prefix is None else {"prefix": self.prefix}
        return Address(self.unix, self.host, self.port, **prefix)


@dataclass(frozen=True)
class Serving:
    """How an i-PI simulation is served."""

    connections: int = 1
    """Ordinary connections to open; beads that arrive together are one batch. Not needed where i-PI's input has a
    <batch_size>."""
    energies: bool = False
    """Send the energies of the atoms (eV) as extras."""
    wait: float = 60.0
    """s to wait for a server that isn't there, or is gone."""
    idle: float = 3600.0
    """s without a message after which to give up."""
    failed: Path = Path("failed_structure.xyz")
    """Where a structure is written that can't be evaluated."""


def ipi(
    model: ModelName,
    structure: Path,
    *,
    where: Annotated[Where, Flat] = Where(),
    serving: Annotated[Serving, Flat] = Serving(),
    evaluation: EvaluationOptions = EvaluationOptions(),
    json: Path | None = None,
) -> None:
    """Serve an i-PI simulation until it says EXIT.

    Parameters
    ----------
    structure
        Species and periodic directions, any file that ASE reads.
    json
        Where to write what was served.
    """
    check_model(model)
    atoms = read(structure)
    from schnet_calc.ipi import Client, ModelSpec, ProcessWorker

    address = where.address()
    how = evaluation.to_dict()
    spec = ModelSpec(model_names(model), structure.resolve(), energies=serving.energies, **how)
    worker = ProcessWorker(spec)
    client = Client(
        worker,
        atoms,
        address,
        connections=serving.connections,
        wait=serving.wait,
        idle=serving.idle,
        failed=serving.failed,
    )
    with progress_bar() as bar:
        task = bar.add_task(f"serving {address}", total=None, note="")
        served = client.run(
            lambda s: bar.update(task, completed=s.batches, note=f"{s.structures} structures")
        )
    err.print(
        f"i-PI said EXIT: {served.structures} structures in {served.batches} batches, "
        f"{served.connections} connections, {served.deaths} workers replaced"
    )
    write_json(json, asdict(served))
    tell_doubtful(served.doubts.count, served.doubts.reason)


def ipi_input(
    structure: Path,
    *,
    settings: Annotated[Simulation, Flat],
    beads: Beads = 8,
    where: Annotated[Where, Flat] | None = None,
    model: ModelName,
    output: OutputPath = Path("ipi"),
    json: Path | None = None,
) -> None:
    """Write i-PI's input and the structure it starts from, for runs by hand or on other hosts.

    Parameters
    ----------
    structure
        Where all beads start, any file that ASE reads.
    output
        Folder for input.xml and init.extxyz.
    json
        Where to write the commands that are to be typed.
    """
    check_model(model)
    atoms = read(structure)
    from schnet_calc.ipi.connection import PREFIX
    from schnet_calc.ipi.input import write_input

    address = (where or Where(unix="schnet")).address()
    names = model_names(model)
    chosen, _ = with_beads(settings, beads, atoms, model, {})
    write_input(atoms, chosen, output, models=names, address=address)
    lines = [f"cd {output}", "i-pi input.xml"]
    if settings.transport == "socket":
        option = f"--host {address.host} --port {address.port}"
        if address.unix is not None:
            prefix = f" --prefix {address.prefix}" if address.prefix != PREFIX else ""
            option = f"--unix {address.unix}{prefix}"
        lines[1:] = ["i-pi input.xml &", f"schnet-calc ipi {'+'.join(names)} init.extxyz {option}"]
    for line in lines:
        console.print(line, soft_wrap=True)
    write_json(json, {"commands": lines})
