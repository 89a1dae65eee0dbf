"""Writing model files: TorchScript for those without this package, metadata and plain weights for this one."""

import io
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_safetensors

from schnet_calc import __version__
from schnet_calc.folders import replaced
from schnet_calc.modelfile.archive import GRADES, METADATA, WEIGHTS, add_metadata, with_metadata
from schnet_calc.modelfile.grades import Grades
from schnet_calc.modelfile.metadata import FORMAT_VERSION, UNITS
from schnet_calc.modelfile.potential import Potential, weights_sha256
from schnet_calc.modelfile.torchscript import quiet_torchscript
from schnet_calc.nn import Network, architecture_of


def save_model(
    path: str | Path,
    network: Network,
    reference_energies: dict[int, float],
    training: dict[str, Any] | None = None,
    units: dict[str, str] | None = None,
) -> None:
    """Write a model file.

    Parameters
    ----------
    path : path
        Replaced in one step.
    network : Network
        Trained network.
    reference_energies : dict
        eV per atomic number; its keys are the elements that the model knows.
    training : dict, optional
        What it was trained on, its errors and its command, as plain JSON values.
    units : dict, optional
        Of the further heads, by name.
    """
    path = Path(path)
    network = network.to("cpu").eval()
    config = network.config
    weights = {k: v.detach().contiguous().clone() for k, v in network.state_dict().items()}
    metadata = {
        "format_version": FORMAT_VERSION,
        "architecture": architecture_of(config),
        "hyperparameters": config.to_dict(),
        "cutoff": None if config.cutoff_function == "none" else config.cutoff,
        "elements": sorted(reference_energies),
        "units": UNITS,
        "outputs": {name: (units or {}).get(name, "") for name in config.heads},
        "reference_energies_ev": {str(z): e for z, e in sorted(reference_energies.items())},
        "dtype": str(network.embedding.weight.dtype).removeprefix("torch."),
        "training": training or {},
        "versions": {"schnet_calc": __version__, "torch": torch.__version__},
        "weights_sha256": weights_sha256(weights),
    }
    buffer = io.BytesIO()
    with quiet_torchscript():
        torch.jit.save(torch.jit.script(network), buffer, _extra_files={WEIGHTS: save_safetensors(weights)})
    with replaced(path) as scratch:
        scratch.write_bytes(add_metadata(buffer.getvalue(), metadata))


def rewrite_model(
    path: str | Path, potential: Potential, training: dict[str, Any], grades: Grades | None
) -> None:
    """Write a loaded model anew with more knowledge of its training data; what is evaluated stays as it is.

    Parameters
    ----------
    path : path
        Replaced in one step.
    potential : Potential
        A loaded file.
    training : dict
        In place of its ``training``, plain JSON values.
    grades : Grades or None
        Statistics of the last hidden layers; None for a model without any.
    """
    entries = dict(potential.archive.entries)
    entries.pop(f"extra/{METADATA}", None)
    entries.pop(f"extra/{GRADES}", None)
    training = {k: v for k, v in training.items() if k != "grades"}
    if grades is not None:
        entries[f"extra/{GRADES}"] = grades.to_bytes()
        training["grades"] = grades.summary(potential.network())
    with replaced(Path(path)) as scratch:
        scratch.write_bytes(with_metadata(entries, {**potential.metadata.raw, "training": training}))
