"""The command that imports other codes' models."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from schnet_calc.cli.console import print_table, write_json
from schnet_calc.cli.options import Flat, OutputOptions, Several, check_files


@dataclass(frozen=True)
class Untold:
    """What no file tells."""

    energy_unit: str | None = None
    """eV, meV, kcal/mol, kJ/mol or Hartree: no pickle tells."""
    length_unit: str = "Ang"
    """Ang, Bohr or nm."""
    elements: Annotated[tuple[str, ...], Several] = ()
    """Symbols that the model was trained on, where the file doesn't tell."""


@dataclass(frozen=True)
class StateDict:
    """What a bare state dict doesn't tell."""

    mean: float | None = None
    """Per atom, of PyTorch Geometric's bare state dict."""
    std: float | None = None
    """Per atom, of the same."""
    readout: str | None = None
    """add or mean, of the same."""
    cutoff: float | None = None
    """Å, where a bare state dict doesn't tell."""


def import_(
    file: Path,
    *,
    untold: Annotated[Untold, Flat] = Untold(),
    state: Annotated[StateDict, Flat] = StateDict(),
    out: OutputOptions,
) -> None:
    """Import a SchNet of another code as a model file; nothing in its file is run.

    SchNetPack 0.2 to 2 (best_model, checkpoints, deployed TorchScript), PyTorch Geometric (module, checkpoint,
    state dict), TensorFlow checkpoints of the original SchNet.

    Parameters
    ----------
    file
        The other code's file; of a TensorFlow checkpoint its .index, with the data beside it.
    out.output
        The model file to write.
    out.json
        Where to write what the file says of itself.
    """
    check_files(file)
    from ase.data import chemical_symbols

    from schnet_calc.modelfile.importing import import_model

    options = {k: v for k, v in asdict(state).items() if v is not None}
    potential = import_model(
        file,
        out.output,
        energy_unit=untold.energy_unit,
        length_unit=untold.length_unit,
        elements=untold.elements or None,
        options=options,
    )
    source = potential.metadata.training["source"]
    symbols = [chemical_symbols[z] for z in potential.elements]
    rows: dict[str, Any] = {
        "format": source["format"],
        "energy unit": source["energy_unit"],
        "elements": ", ".join(symbols)
        if len(symbols) < 20
        else f"{len(symbols)}, {symbols[0]} to {symbols[-1]}",
        "assumed": "; ".join(source["assumed"]) or "nothing",
        "model": out.output,
    }
    print_table(f"import of {file.name}", rows)
    write_json(out.json, potential.metadata.raw)
