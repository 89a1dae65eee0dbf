"""A loaded model file: metadata, plain weights, and the network that they make."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.archive import Archive, entries_sha256
from schnet_calc.modelfile.grades import Grades
from schnet_calc.modelfile.metadata import Metadata
from schnet_calc.nn import ARCHITECTURES, Network, upgraded_weights


@dataclass(frozen=True)
class Potential:
    """A loaded model file."""

    metadata: Metadata
    """Everything the file says about itself."""
    weights: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)
    """Plain weights; empty in foreign files without them."""
    path: str = ""
    """Where it was loaded from, absolute."""
    archive: Archive = field(default_factory=lambda: Archive({}), repr=False)
    """The checked entries of the file; its TorchScript is among them."""
    grades: Grades | None = None
    """How the training data spread in the last hidden layers; None in files that don't say."""

    @property
    def native(self) -> bool:
        """Whether it is evaluated from its plain weights, and nothing in the file is ever run."""
        return self.metadata.config is not None and bool(self.weights)

    @property
    def cutoff(self) -> float:
        """Å; infinite where all pairs count."""
        return self.metadata.cutoff

    @property
    def elements(self) -> list[int]:
        """Atomic numbers that the model was trained on."""
        return self.metadata.elements

    @property
    def reference_energies(self) -> dict[int, float]:
        """The reference energy of each atomic number, eV, to be added in float64."""
        return self.metadata.reference_energies

    @property
    def dtype(self) -> torch.dtype:
        """Floating point type of the network."""
        return getattr(torch, self.metadata.dtype)  # type: ignore[no-any-return]

    @property
    def sha256(self) -> str:
        """Hash of all that is evaluated: weights, hyperparameters and reference energies; or the whole file."""
        if not self.native:
            return entries_sha256(self.archive.entries)
        m = self.metadata
        assert m.config is not None
        essence: list[Any] = [m.architecture, m.config.to_dict(), m.dtype, m.elements]
        essence += [sorted(m.reference_energies.items()), weights_sha256(self.weights)]
        return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()

    def network(self) -> Network | None:
        """Return the network as a plain module, rebuilt from the weights; None if it is foreign.

        Raises
        ------
        ModelFileError
            Weights don't fit the hyperparameters.
        """
        if not self.native:
            return None
        config = self.metadata.config
        assert config is not None
        kind = ARCHITECTURES[self.metadata.architecture].network
        with torch.device("meta"), _ShapesOnly():
            network = kind(config)
        weights = upgraded_weights(self.weights)
        _check_shapes(self.path, network, weights)
        network.load_state_dict({k: v.clone() for k, v in weights.items()}, assign=True)
        return network.to(self.dtype).eval().requires_grad_(False)


class _ShapesOnly(TorchFunctionMode):
    """Tensors without memory, and no numbers for them: to leave these out, torch would import its compiler first.

    That takes three seconds of each start.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call what is asked for, but for random numbers and ranges."""
        named = kwargs or {}
        if func is torch.nn.init.normal_:
            return named["tensor"]
        if func is torch.linspace and len(args) == 3:
            return torch.empty(args[2], device="meta", dtype=named.get("dtype"))
        return func(*args, **named)


def _check_shapes(path: str, network: Network, weights: dict[str, torch.Tensor]) -> None:
    """Hold names and shapes of weights against those of a network without memory."""
    wanted = {name: tuple(x.shape) for name, x in network.state_dict().items()}
    found = {name: tuple(x.shape) for name, x in weights.items()}
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise ModelFileError(
                f"{path}: hyperparameters and weights are not those of one network: {name} is "
                f"{found.get(name, 'missing')}, but should be {wanted.get(name, 'absent')}"
            )


def weights_sha256(weights: dict[str, torch.Tensor]) -> str:
    """Return the hash of names, types, shapes and values of weights (...,)."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
