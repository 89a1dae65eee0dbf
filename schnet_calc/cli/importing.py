"""The command that imports other codes' models."""

from pathlib import Path
from typing import Annotated, Any

from schnet_calc.cli.app import Output, Several, app
from schnet_calc.cli.console import print_table


@app.command(name="import")
def import_(
    file: Path,
    *,
    output: Output,
    energy_unit: str | None = None,
    length_unit: str = "Ang",
    elements: Annotated[tuple[str, ...], Several] = (),
    mean: float | None = None,
    std: float | None = None,
    readout: str | None = None,
    cutoff: float | None = None,
) -> None:
    """Import a SchNet of another code as a model file; nothing in its file is run.

    SchNetPack 0.2 to 2 (best_model, checkpoints, deployed TorchScript), PyTorch Geometric (module, checkpoint,
    state dict), TensorFlow checkpoints of the original SchNet.

    Parameters
    ----------
    file
        The other code's file; of a TensorFlow checkpoint its .index, with the data beside it.
    output
        The model file to write.
    energy_unit
        eV, meV, kcal/mol, kJ/mol or Hartree: no pickle tells.
    length_unit
        Ang, Bohr or nm.
    elements
        Symbols that the model was trained on, where the file doesn't tell.
    mean, std
        Per atom, of PyTorch Geometric's bare state dict.
    readout
        add or mean, of the same.
    cutoff
        Å, where a bare state dict doesn't tell.
    """
    from ase.data import chemical_symbols

    from schnet_calc.modelfile.importing import import_model

    given = {"mean": mean, "std": std, "readout": readout, "cutoff": cutoff}
    options = {k: v for k, v in given.items() if v is not None}
    potential = import_model(
        file,
        output,
        energy_unit=energy_unit,
        length_unit=length_unit,
        elements=elements or None,
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
        "model": output,
    }
    print_table(f"import of {file.name}", rows)
