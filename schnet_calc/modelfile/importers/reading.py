"""Reading a model of another code: found, taken apart, put together here."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from schnet_calc.data.properties import ENERGY_UNITS, LENGTH_UNITS
from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.formats import recognised
from schnet_calc.modelfile.importers.mapping import assemble
from schnet_calc.modelfile.importers.options import Options
from schnet_calc.modelfile.importers.parts import Units
from schnet_calc.modelfile.importers.unpickler import DAMAGE
from schnet_calc.nn import Network

FOREIGN_ERRORS = (*DAMAGE, RuntimeError, MemoryError)
"""Readers check what they take; what slips through in a file made to harm is an error of the file too."""


class Imported(NamedTuple):
    """A model of another code."""

    network: Network
    """Says what the other one says, in eV and Å, in the type of the file's weights."""
    reference_energies: dict[int, float]
    """eV per atomic number, to be added to the network; its keys are the elements that the model takes.

    These are the elements that were asked for; else those whose single atoms have an energy in the file; else
    all that have an embedding, as no file tells which were trained. Zero where energies are averages over atoms.
    """
    source: dict[str, Any]
    """Where it comes from: ``format``, ``file``, ``sha256`` of the file, ``energy_unit``, ``length_unit``,
    ``options`` that decided something, and in ``assumed`` what neither file nor user said."""


def read_foreign(
    path: str | Path,
    *,
    energy_unit: str | None = None,
    length_unit: str = "Ang",
    elements: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Imported:
    """Read a model of another SchNet code; arguments and errors as for :func:`~schnet_calc.import_model`."""
    path = Path(path)
    units = Units(
        _factor("energy", ENERGY_UNITS, energy_unit), _factor("length", LENGTH_UNITS, length_unit)
    )
    try:
        found = recognised(path)
        if found is None:
            raise ModelFileError("no model of SchNetPack, PyTorch Geometric or the original SchNet")
        choices = Options(options, found.stored)
        parts = found.read(found.model, choices)
        network, energies = assemble(parts, units, elements)
    except FOREIGN_ERRORS as error:
        raise ModelFileError(f"{path} can't be imported: {error!s:.500}") from error
    whole = path if path.is_file() else Path(f"{path}.index")
    source = {
        "format": found.format,
        "file": whole.name,
        "sha256": hashlib.sha256(whole.read_bytes()).hexdigest(),
        "energy_unit": energy_unit,
        "length_unit": length_unit,
        "assumed": parts.assumed,
        "options": choices.used,
    }
    return Imported(network, energies, source)


def foreign_format(path: str | Path) -> str | None:
    """Return the name of a file's format by its content, such as ``"SchNetPack 2.x pickle"``; None for others."""
    try:
        found = recognised(Path(path))
    except (*FOREIGN_ERRORS, OSError):
        return None
    return None if found is None else found.format


def _factor(what: str, known: Mapping[str, float], name: str | None) -> float:
    if name is None:
        raise ModelFileError(
            f"no such file tells its {what} unit: give {what}_unit, one of {', '.join(known)}"
        )
    if name not in known:
        raise ModelFileError(f"{what}_unit is one of {', '.join(known)}, got {name!r:.50}")
    return known[name]
