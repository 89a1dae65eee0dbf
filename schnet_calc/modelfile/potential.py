"""The model file: TorchScript, metadata and plain weights in one archive.

The only module that calls ``torch.jit``. ``torch.jit.load`` opens such a file without this package;
the weights inside, as safetensors, outlive TorchScript.
"""

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from schnet_calc import __version__
from schnet_calc.modelfile.archive import (
    FORMAT_VERSION,
    UNITS,
    WEIGHTS,
    ModelFileError,
    add_metadata,
    read_archive,
)
from schnet_calc.nn import CONFIGS, DTNN, SchNet, architecture_of, make_network, network_config


@dataclass
class Potential:
    """A loaded model file."""

    module: torch.jit.ScriptModule
    """Atomic energies in eV; the contract of its ``forward`` is that of :class:`schnet_calc.nn.Network`."""
    metadata: dict[str, Any]
    """Everything the file says about itself."""
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    """Plain weights; empty in foreign files without them."""
    path: str = ""
    """Where it was loaded from, absolute."""
    sha256: str = ""
    """Of the weights; of the whole file where it holds no plain weights."""
    content: bytes = field(default=b"", repr=False)
    """The file, for copies of the module."""

    @property
    def cutoff(self) -> float:
        """Å; infinite where all pairs count."""
        value = self.metadata["cutoff"]
        return float("inf") if value is None else float(value)

    @property
    def elements(self) -> list[int]:
        """Atomic numbers that the model was trained on."""
        return [int(z) for z in self.metadata["elements"]]

    @property
    def reference_energies(self) -> dict[int, float]:
        """EV per atomic number, to be added in float64."""
        return {int(z): float(e) for z, e in self.metadata["reference_energies_ev"].items()}

    @property
    def dtype(self) -> torch.dtype:
        """Floating point type of the network."""
        return getattr(torch, self.metadata["dtype"])  # type: ignore[no-any-return]

    def network(self) -> SchNet | DTNN | None:
        """The network as a plain module, rebuilt from the weights; None if it is none of this package."""
        architecture = self.metadata.get("architecture")
        if architecture not in CONFIGS or not self.weights:
            return None
        try:
            config = network_config(architecture, self.metadata["hyperparameters"])
            network = make_network(config).to(self.dtype)
            network.load_state_dict(self.weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelFileError(
                f"{self.path}: hyperparameters and weights are not those of a {architecture} ({error})"
            ) from error
        return network.eval().requires_grad_(False)


def weights_sha256(weights: dict[str, torch.Tensor]) -> str:
    """Hash of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _quiet_jit() -> Iterator[None]:
    """Silence the deprecation of TorchScript: the file carries its weights for that day."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..*")
        yield


def save_model(
    path: str | Path,
    network: SchNet | DTNN,
    reference_energies: dict[int, float],
    training: dict[str, Any] | None = None,
) -> None:
    """Write a model file.

    Parameters
    ----------
    path : path
        Replaced in one step.
    network : SchNet or DTNN
        Trained network.
    reference_energies : dict
        eV per atomic number; its keys are the elements that the model knows.
    training : dict, optional
        What it was trained on, its errors and its command, as plain JSON values.
    """
    path = Path(path)
    network = network.to("cpu").eval()
    config = network.config
    weights = {k: v.detach().contiguous().clone() for k, v in network.state_dict().items()}
    metadata = {
        "format_version": FORMAT_VERSION,
        "architecture": architecture_of(config),
        "hyperparameters": config.to_dict(),
        "cutoff": config.cutoff if config.cutoff_function == "cosine" else None,
        "elements": sorted(reference_energies),
        "units": UNITS,
        "reference_energies_ev": {str(z): e for z, e in sorted(reference_energies.items())},
        "dtype": str(network.output.weight.dtype).removeprefix("torch."),
        "training": training or {},
        "versions": {"schnet_calc": __version__, "torch": torch.__version__},
        "weights_sha256": weights_sha256(weights),
    }
    buffer = io.BytesIO()
    with _quiet_jit():
        torch.jit.save(
            torch.jit.script(network),
            buffer,
            _extra_files={WEIGHTS: save_safetensors(weights)},
        )
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(add_metadata(buffer.getvalue(), metadata))
    temporary.replace(path)


def model_directories() -> list[Path]:
    """Where shipped models are looked for: the installed package, then the checkout."""
    package = Path(str(resources.files("schnet_calc")))
    return [package / "models", package.parent / "models"]


def shipped_models() -> dict[str, Path]:
    """Names of the shipped models and their files."""
    found: dict[str, Path] = {}
    for directory in model_directories():
        for path in sorted(directory.glob("*.pt")):
            found.setdefault(path.stem, path)
    return found


def find_model(path_or_name: str | Path) -> Path:
    """The file itself, or the shipped model of that name.

    Raises
    ------
    FileNotFoundError
        Neither exists; the message lists the shipped names.
    """
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = shipped_models()
    if str(path_or_name) in shipped:
        return shipped[str(path_or_name)]
    names = ", ".join(sorted(shipped)) or "none"
    raise FileNotFoundError(f"no model file {str(path)!r}, and no shipped model of that name ({names})")


def load_models(names: str) -> list["Potential"]:
    """Models whose files or names are joined by ``+``, for where there is room for one string only."""
    return [load_model(name) for name in ([names] if Path(names).is_file() else names.split("+"))]


def load_model(path_or_name: str | Path) -> Potential:
    """Load a model file or a shipped model.

    Parameters
    ----------
    path_or_name : path or str
        ``"runs/ethanol/model.pt"``, or a shipped name such as ``"c20"``.

    Raises
    ------
    FileNotFoundError
        There is no such file or name.
    ModelFileError
        The file is no TorchScript archive, lacks metadata, is newer than this package, holds entries
        that no model has, or its contents don't have the hash that it says.
    """
    path = find_model(path_or_name)
    archive = read_archive(path)
    module = _load_module(archive.content, path)
    try:
        weights = load_safetensors(archive.weights) if archive.weights else {}
    except SafetensorError as error:
        raise ModelFileError(f"{path}: {WEIGHTS} is not in that format ({error})") from error
    sha256 = weights_sha256(weights) if weights else hashlib.sha256(archive.content).hexdigest()
    if weights and sha256 != archive.metadata.get("weights_sha256"):
        raise ModelFileError(f"{path}: the weights do not have the SHA-256 that the metadata say")
    _check_forward(path, module)
    return Potential(module, archive.metadata, weights, str(path.resolve()), sha256, archive.content)


def _check_forward(path: Path, module: torch.jit.ScriptModule) -> None:
    forward = getattr(module, "forward", None)
    if forward is None:
        raise ModelFileError(f"{path}: the TorchScript module has no forward method")
    names = [a.name for a in forward.schema.arguments]
    wanted = ["self", "numbers", "positions", "pairs", "shifts", "system"]
    if names != wanted:
        raise ModelFileError(f"{path}: forward takes {names[1:]}, but the contract is {wanted[1:]}")


def private_module(potential: Potential) -> torch.jit.ScriptModule:
    """A copy of the module that may be moved and cast without touching the potential."""
    return _load_module(potential.content, potential.path)


def _load_module(content: bytes, path: str | Path) -> torch.jit.ScriptModule:
    with _torchscript(path):
        return torch.jit.load(io.BytesIO(content), map_location="cpu").eval()


@contextmanager
def _torchscript(path: str | Path) -> Iterator[None]:
    """Make errors of TorchScript, of many kinds and none of them documented, errors of the file."""
    try:
        with _quiet_jit():
            yield
    except Exception as error:
        raise ModelFileError(
            f"{path} is not a model file: TorchScript says {str(error).partition(chr(10))[0]!r}"
        ) from error
