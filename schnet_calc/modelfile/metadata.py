"""What a model file says of itself: read once, checked, typed."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.archive import METADATA
from schnet_calc.modelfile.bounded_json import parse_bounded
from schnet_calc.modelfile.kinds import (
    hyperparameter_fault,
    is_number,
    is_object,
    is_text,
    is_whole,
    object_of,
    training_fault,
)
from schnet_calc.nn import ARCHITECTURES, MAX_ATOMIC_NUMBER, NetworkConfig, network_config

FORMAT_VERSION = 1
REQUIRED = ("format_version", "cutoff", "elements", "reference_energies_ev", "dtype")
UNITS = {"energy": "eV", "length": "Ang"}
CUTOFFS = (0.1, 1000.0)
"""Å; cutoffs and centres of a basis lie between these."""


@dataclass(frozen=True)
class Metadata:
    """The metadata of a model file."""

    architecture: str
    """Name of the network; ``"unknown"`` in foreign files that don't say."""
    hyperparameters: dict[str, Any]
    """Of the network, as they stand in the file."""
    config: NetworkConfig | None
    """The same as the class of a registered network; None for a foreign one."""
    cutoff: float
    """Å; infinite where all pairs count."""
    elements: list[int]
    """Atomic numbers that the model knows, ascending."""
    reference_energies: dict[int, float]
    """eV per atomic number, to be added in float64."""
    dtype: str
    """``"float32"`` or ``"float64"``."""
    training: dict[str, Any]
    """Data, errors, command; see :class:`~schnet_calc.training.Run`."""
    distance_range: tuple[float, float] | None
    """Å: shortest and longest distance in the training data."""
    outputs: dict[str, str]
    """Further outputs by name, and their units."""
    format_version: int
    contents_sha256: str | None
    """Of everything else in the file."""
    weights_sha256: str | None
    """Of the plain weights."""
    raw: dict[str, Any] = field(repr=False)
    """All of it, as plain JSON values."""


def read_metadata(path: Path, text: bytes) -> Metadata:
    """Read and check the metadata of a file.

    Raises
    ------
    ModelFileError
        They are missing, no JSON, newer than this package, or a value is not of its kind.
    """
    raw = _parsed(path, text)
    for key, (fits, rule) in RULES.items():
        if key in raw and not fits(raw[key]):
            raise ModelFileError(f"{path}: {key} must be {rule}, got {raw[key]!r:.200}")
    energies = {int(z): float(e) for z, e in raw["reference_energies_ev"].items()}
    lacking = sorted(set(raw["elements"]) - set(energies))
    if lacking:
        raise ModelFileError(f"{path}: no reference energy for the elements {lacking}")
    training = raw.get("training", {})
    fault = training_fault(training)
    if fault:
        raise ModelFileError(f"{path}: {fault}")
    span = training.get("distance_range_ang")
    cutoff = math.inf if raw["cutoff"] is None else float(raw["cutoff"])
    architecture = raw.get("architecture", "unknown")
    return Metadata(
        architecture=architecture,
        hyperparameters=raw.get("hyperparameters", {}),
        config=_config(path, architecture, raw.get("hyperparameters", {}), cutoff),
        cutoff=cutoff,
        elements=sorted(raw["elements"]),
        reference_energies=energies,
        dtype=raw["dtype"],
        training=training,
        distance_range=None if span is None else (float(span[0]), float(span[1])),
        outputs=raw.get("outputs", {}),
        format_version=raw["format_version"],
        contents_sha256=raw.get("contents_sha256"),
        weights_sha256=raw.get("weights_sha256"),
        raw=raw,
    )


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    if not text:
        raise ModelFileError(f"{path} is TorchScript, but holds no {METADATA} with {', '.join(REQUIRED)}")
    try:
        raw = parse_bounded(text)
    except ValueError as error:
        raise ModelFileError(f"{path}: {METADATA} can't be read ({error})") from error
    if not isinstance(raw, dict):
        raise ModelFileError(f"{path}: {METADATA} holds a {type(raw).__name__}, not an object")
    missing = [key for key in REQUIRED if key not in raw]
    if missing:
        raise ModelFileError(f"{path}: {METADATA} lacks {', '.join(missing)}")
    version = raw["format_version"]
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version}, "
            f"newer than the {FORMAT_VERSION} that this version of schnet_calc reads"
        )
    return raw


def _config(
    path: Path, architecture: str, hyperparameters: dict[str, Any], cutoff: float
) -> NetworkConfig | None:
    """Hyperparameters of a registered network, held against limits and against the cutoff beside them."""
    if architecture not in ARCHITECTURES or not hyperparameters:
        return None
    fault = hyperparameter_fault(ARCHITECTURES[architecture].config, hyperparameters)
    if fault:
        raise ModelFileError(f"{path}: {fault}")
    try:
        config = network_config(architecture, hyperparameters)
        for name, value in (
            ("cutoff", config.cutoff),
            ("basis_stop", config.stop),
            ("width", config.width),
        ):
            if not CUTOFFS[0] / 100 < value < CUTOFFS[1] or (name == "cutoff" and value < CUTOFFS[0]):
                raise ValueError(f"{name} is {value:g} Å")
    except (TypeError, ValueError, OverflowError, AttributeError, KeyError) as error:
        raise ModelFileError(
            f"{path}: hyperparameters are not those of a {architecture} ({error})"
        ) from error
    if config.reach != cutoff:
        raise ModelFileError(f"{path}: the cutoff is {cutoff} Å, but hyperparameters say {config.reach} Å")
    return config


def _is_atomic_number(x: Any) -> bool:
    return is_whole(x) and 1 <= x <= 118


def _are_energies(x: Any) -> bool:
    return isinstance(x, dict) and all(
        k.isascii()
        and k.isdecimal()
        and len(k) < 4
        and _is_atomic_number(int(k))
        and is_number(e)
        and abs(e) < 1e12
        for k, e in x.items()
    )


RULES: dict[str, Any] = {
    "format_version": (lambda x: is_whole(x) and x > 0, "a whole number above zero"),
    "architecture": (lambda x: is_text(x) and len(x) <= 100, "a name"),
    "cutoff": (
        lambda x: x is None or (is_number(x) and 0 < x <= CUTOFFS[1]),
        f"a positive number of Å up to {CUTOFFS[1]:g}, or null",
    ),
    "elements": (
        lambda x: isinstance(x, list) and bool(x) and all(map(_is_atomic_number, x)),
        "a list with at least one atomic number",
    ),
    "reference_energies_ev": (_are_energies, "finite energies by atomic number"),
    "dtype": (lambda x: x in ("float32", "float64"), "float32 or float64"),
    "units": (lambda x: x == UNITS, f"{UNITS}, the only units here"),
    "hyperparameters": (is_object, "an object"),
    "training": (is_object, "an object"),
    "outputs": (object_of(is_text), "units by name"),
    "contents_sha256": (lambda x: x is None or isinstance(x, str), "a hash"),
    "weights_sha256": (lambda x: x is None or isinstance(x, str), "a hash"),
}
"""What the values of metadata must be, where they are there."""


def check_embedding(path: str, elements: list[int], architecture: str) -> None:
    """Look whether a registered network has an embedding for all elements.

    Parameters
    ----------
    path : str
        Of the file, for errors.
    elements : list of int
        Atomic numbers.
    architecture : str
        Of the network; any elements do for one that isn't registered.

    Raises
    ------
    ModelFileError
        It has none.
    """
    if architecture in ARCHITECTURES and max(elements) > MAX_ATOMIC_NUMBER:
        raise ModelFileError(f"{path}: element {max(elements)}, but embeddings end at {MAX_ATOMIC_NUMBER}")
