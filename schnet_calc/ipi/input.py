"""What i-PI is told: a readable input file and the structure it starts from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase
import ase.io
import jinja2
import numpy as np

from schnet_calc.ipi.connection import PREFIX, Address
from schnet_calc.ipi.settings import PIMDSettings as PIMDSettings

VACUUM = 50.0
"""Å added around a molecule: i-PI wants a cell, the model takes no notice of it."""
INPUT, STRUCTURE = "input.xml", "init.extxyz"
PES = "pes.py"
PES_TEXT = """# Found by i-PI through <pes_path>.
from schnet_calc.ipi.pes import SchNetPES

__DRIVER_NAME__ = "schnet_calc"
__DRIVER_CLASS__ = "SchNetPES"
__all__ = ["SchNetPES"]
"""


def write_input(
    atoms: ase.Atoms,
    settings: PIMDSettings,
    directory: str | Path,
    *,
    models: Sequence[str],
    address: Address | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write ``input.xml``, ``init.extxyz`` and, for the direct transport, ``pes.py``.

    Parameters
    ----------
    atoms : Atoms
        Where to start; masses may be its own. A crystal is turned as i-PI wants it.
    settings : PIMDSettings
        The simulation.
    directory : path
        Where to; it is made.
    models : sequence of str
        Model files, or names of shipped models; several make a committee.
    address : Address, optional
        For ``transport="socket"``: a UNIX socket called ``schnet`` by default.
    options : dict, optional
        More parameters of the direct potential: ``device``, ``dtype``, ``engine``, ``energies``.

    Returns
    -------
    Path
        Of the input.

    Raises
    ------
    ValueError
        A parameter that i-PI's input can't hold; an equilibration, which i-PI has none of.
    """
    if settings.equilibrate:
        raise ValueError(
            f"equilibrate ({settings.equilibrate:g} ps) is for runs without i-PI, which starts from the structure"
        )
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    ase.io.write(directory / STRUCTURE, i_pi_structure(atoms), format="extxyz")
    address = address or Address(unix="schnet")
    text = _template("pimd.xml").render(
        title=_title(atoms, settings, "+".join(models)),
        structure=STRUCTURE,
        prefix="" if address.unix is None or address.prefix == PREFIX else address.prefix,
        **_forcefield(settings, models, address, options),
        **_intervals(settings),
    )
    if settings.transport == "direct":
        (directory / PES).write_text(PES_TEXT)
    path = directory / INPUT
    path.write_text(text)
    return path


def write_forcefield(
    settings: PIMDSettings, directory: Path, *, models: Sequence[str], options: dict[str, str] | None = None
) -> str:
    """Return the force field's part of the input alone, for a run that goes on; ``pes.py`` is written anew.

    Parameters
    ----------
    settings : PIMDSettings
        Of the run.
    directory : path
        Where it is.
    models : sequence of str
        The potential, or the members of a committee.
    options : dict, optional
        Of the potential that i-PI evaluates itself.
    """
    if settings.transport == "direct":
        (directory / PES).write_text(PES_TEXT)
    values = _forcefield(settings, models, Address(unix="schnet"), options)
    return _template("forcefield.xml").render(**values)


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("schnet_calc"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def _forcefield(
    settings: PIMDSettings, models: Sequence[str], address: Address, options: dict[str, str] | None
) -> dict[str, Any]:
    transport = "inet" if address.unix is None else "unix"
    return {
        "transport": "direct" if settings.transport == "direct" else transport,
        "address": address.unix or address.host,
        "port": address.port,
        "pes_path": PES,
        "parameters": _parameters({"model": "+".join(models), "template": STRUCTURE, **(options or {})}),
        "settings": settings,
    }


def _intervals(settings: PIMDSettings) -> dict[str, int]:
    """Steps between outputs; rows and frames are on disk before the next checkpoint is."""
    steps = settings.checkpoint_stride
    return {
        "checkpoint_stride": steps,
        "flush": max(1, min(5, steps // settings.stride)),
        "frame_flush": max(1, steps // settings.frame_stride),
    }


def i_pi_structure(atoms: ase.Atoms) -> ase.Atoms:
    """A copy in a cell as i-PI wants it: a along x, b in the plane of x and y; a box around molecules."""
    plain = ase.Atoms(atoms.numbers, atoms.get_positions(), cell=atoms.cell, pbc=atoms.pbc)
    plain.set_masses(atoms.get_masses())
    if plain.pbc.any():
        cell = plain.cell.complete()
        standard, _ = cell.standard_form()
        plain.positions = cell.scaled_positions(plain.positions) @ standard.array
        plain.set_cell(standard)
    else:
        size = np.ptp(plain.positions, axis=0).max() if len(plain) else 0.0
        plain.set_cell(np.eye(3) * (size + VACUUM))
    return plain


def _title(atoms: ase.Atoms, settings: PIMDSettings, model: str) -> str:
    beads = f"{settings.beads} beads at {settings.temperature:g} K"
    text = f"{atoms.get_chemical_formula()} with {beads}, model {model}"
    return text.replace("--", "- -")  # which would end the comment


def _parameters(values: dict[str, str]) -> str:
    items = [f"{key}: {_checked(key, value)}" for key, value in values.items()]
    return "{" + ", ".join(items) + "}"


def _checked(name: str, value: str) -> str:
    bad = [c for c in ",:{}<>&[]" if c in value]
    if bad:
        raise ValueError(f"i-PI's input can't hold the {name} {value!r}: it has a {bad[0]!r}")
    return value
