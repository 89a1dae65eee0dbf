"""A SchNet of this package from the named parts of another code's."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from ase.data import atomic_numbers
from torch import Tensor

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.parts import Bessel, Block, Gaussians, Linear, Parts, Units
from schnet_calc.nn import MAX_ATOMIC_NUMBER, MeanSchNetConfig, Network, SchNetConfig, make_network

MOST_BLOCKS = 100
MOST_WEIGHTS = 5 * 10**7
"""Of a network; one block may stand for all in a file."""
ROUNDING = 1e-6
"""Relative error of numbers that were computed in float32."""
SMALL = {"sum": 2e-8, "mean": 2e-7}
"""eV per atom, or per structure, that rounding the last layer may cost before the network becomes float64."""


def assemble(
    parts: Parts, units: Units, elements: Sequence[str] | None = None
) -> tuple[Network, dict[int, float]]:
    """Return the network, and the energies in eV to be added per atom of each element that it takes.

    The file's units and its scale go into the last layer, all other weights stay as they are. The network is
    float64 if the file's weights are, if lengths are scaled, or if the last layer would suffer from rounding.

    Parameters
    ----------
    parts : Parts
        Of the other code; what has to be assumed is added to them.
    units : Units
        In which they are.
    elements : sequence of str, optional
        Symbols of those that the model was trained on, where the file doesn't tell.
    """
    _check_shapes(parts)
    config = _config(parts, units)
    energies = _reference_energies(parts, units, elements)
    exact = make_network(config).double()
    exact.load_state_dict(_weights(parts, units, config.shared_filters))
    network = exact
    if parts.dtype == torch.float32 and units.length == 1.0:
        rounded = make_network(config)
        rounded.load_state_dict(exact.state_dict())
        if _difference(exact, rounded, sorted(energies)) < SMALL[parts.pooling]:
            network = rounded
    if network is exact and parts.dtype == torch.float32:
        parts.assumed.append("float64, as the file's units or scale would lose digits in float32")
    return network.eval().requires_grad_(False), energies


def _check_shapes(parts: Parts) -> None:
    """Compare the layers with each other before a network of such sizes is made."""
    if not 0 < len(parts.blocks) <= MOST_BLOCKS or not parts.head or parts.embedding.dim() != 2:
        raise ModelFileError(f"a SchNet has an embedding, 1 to {MOST_BLOCKS} interactions and an output")
    f, k = parts.embedding.shape[1], parts.blocks[0].filter2.weight.shape[0]
    g = parts.blocks[0].filter1.weight.shape[-1]
    widths = [f, *(layer.weight.shape[0] for layer in parts.head[:-1]), 1]
    basis = parts.basis.centers if isinstance(parts.basis, Gaussians) else parts.basis.frequencies
    expected = [(k, f), (k, g), (k, k), (f, k), (f, f)] * len(parts.blocks)
    expected += [(b, a) for a, b in pairwise(widths)]
    layers = parts.layers()
    fits = all(
        tuple(layer.weight.shape) == shape and (layer.bias is None or tuple(layer.bias.shape) == shape[:1])
        for layer, shape in zip(layers, expected, strict=True)
    )
    if not fits or basis.numel() != g:
        raise ModelFileError(
            "the sizes of the layers don't fit together as those of a SchNet with one output"
        )
    if sum(layer.weight.numel() for layer in layers) > MOST_WEIGHTS:
        raise ModelFileError(f"more than {MOST_WEIGHTS} weights")


def _difference(exact: Network, rounded: Network, numbers: list[int]) -> float:
    """Return the mean difference in eV between two networks, of a lone atom of each element."""
    z, nowhere = torch.tensor(numbers), torch.zeros(len(numbers), 3, dtype=torch.float64)
    pairs = torch.zeros(2, 0, dtype=torch.int64)
    with torch.no_grad():
        want, got = (
            net.double()(z, nowhere, pairs, nowhere[:0], torch.arange(len(z))) for net in (exact, rounded)
        )
    rounded.float()
    return float((want - got).abs().mean())


def _config(parts: Parts, units: Units) -> SchNetConfig:
    first, length = parts.blocks[0], units.length
    radius = parts.cutoff.radius * length
    if isinstance(parts.basis, Gaussians):
        basis: dict[str, Any] = _gaussians(parts.basis, length)
    else:
        _check_bessel(parts.basis, parts.cutoff.radius)
        basis = {"basis": "bessel"}
    n_features, n_filters = parts.embedding.shape[1], first.filter2.weight.shape[0]
    try:
        kind = MeanSchNetConfig if parts.neighbor_mean else SchNetConfig
        return kind(
            n_features=n_features,
            n_interactions=len(parts.blocks),
            n_gaussians=first.filter1.weight.shape[1],
            cutoff=radius,
            cutoff_function=parts.cutoff.function,
            cutoff_onset=parts.cutoff.onset * length,
            pooling=parts.pooling,
            output_layers=tuple(layer.weight.shape[0] for layer in parts.head[:-1]),
            filter_activation=parts.filter_activation,
            shared_filters=_share_filters(parts.blocks),
            n_filters=None if n_filters == n_features else n_filters,
            activation=parts.activation,
            output_activation=None if parts.head_activation == parts.activation else parts.head_activation,
            dense_in_bias=any(block.dense_in.bias is not None for block in parts.blocks),
            **basis,
        )
    except (IndexError, TypeError, ValueError) as error:
        raise ModelFileError(f"hyperparameters that no SchNet here has ({error!s:.200})") from error


def _gaussians(basis: Gaussians, length: float) -> dict[str, float]:
    """Return start, stop and width of evenly spaced Gaussians."""
    centers, widths = basis.centers.double().reshape(-1), basis.widths.double().reshape(-1)
    start, stop = float(centers[0]), float(centers[-1])
    even = torch.linspace(start, stop, len(centers), dtype=torch.float64)
    reach = ROUNDING * max(abs(start), abs(stop))
    uneven = float((centers - even).abs().max()) > reach or not start < stop
    if uneven or float((widths / widths[0] - 1.0).abs().max()) > ROUNDING * len(centers):
        raise ModelFileError(
            "the Gaussians of the radial basis are not evenly spaced and of one width (trained, or all "
            "centred at zero): that can't be expressed here"
        )
    width = abs(float(widths[0])) * length
    return {"basis_start": start * length, "basis_stop": stop * length, "basis_width": width}


def _check_bessel(basis: Bessel, radius: float) -> None:
    frequencies = basis.frequencies.double().reshape(-1)
    waves = torch.arange(1, len(frequencies) + 1, dtype=torch.float64) * (math.pi / radius)
    if float((frequencies / waves - 1.0).abs().max()) > ROUNDING:
        raise ModelFileError(
            "the Bessel functions of the radial basis are not those of the cutoff: that can't be expressed here"
        )


def _share_filters(blocks: list[Block]) -> bool:
    first = blocks[0]
    return len(blocks) > 1 and all(
        _equal(first.filter1, b.filter1) and _equal(first.filter2, b.filter2) for b in blocks[1:]
    )


def _equal(a: Linear, b: Linear) -> bool:
    if a.bias is None or b.bias is None:
        return a.bias is b.bias and torch.equal(a.weight, b.weight)
    return torch.equal(a.weight, b.weight) and torch.equal(a.bias, b.bias)


def _weights(parts: Parts, units: Units, shared_filters: bool) -> dict[str, Tensor]:
    """Return the network's weights by name, in float64."""
    rows = parts.embedding[: MAX_ATOMIC_NUMBER + 1].double()
    missing = torch.zeros(MAX_ATOMIC_NUMBER + 1 - len(rows), rows.shape[1], dtype=torch.float64)
    weights = {"embedding.weight": torch.cat([rows, missing])}
    bessel = isinstance(parts.basis, Bessel)
    if isinstance(parts.basis, Bessel):
        weights["basis.frequencies"] = parts.basis.frequencies.double().reshape(-1) / units.length
    else:
        weights["basis.centers"] = parts.basis.centers.double().reshape(-1) * units.length
    for t, block in enumerate(parts.blocks):
        if t == 0 or not shared_filters:
            # sin(f d) / d in another unit of length is a multiple of itself.
            weights |= _layer(f"filters.{t}.dense1", block.filter1, units.length if bessel else 1.0)
            weights |= _layer(f"filters.{t}.dense2", block.filter2)
        for name in ("dense_in", "dense_hidden", "dense_out"):
            weights |= _layer(f"interactions.{t}.{name}", getattr(block, name))
    if all(block.dense_in.bias is None for block in parts.blocks):
        for t in range(len(parts.blocks)):
            del weights[f"interactions.{t}.dense_in.bias"]
    for i, layer in enumerate(parts.head[:-1]):
        weights |= _layer(f"output_hidden.{i}", layer)
    factor = parts.scale * units.energy
    weights |= _layer("output", parts.head[-1], factor)
    weights["output.bias"] = weights["output.bias"] * factor
    if parts.pooling == "mean":
        weights["output.bias"] = weights["output.bias"] + parts.shift * units.energy
    return weights


def _layer(name: str, layer: Linear, factor: float = 1.0) -> dict[str, Tensor]:
    bias = torch.zeros(layer.weight.shape[0]) if layer.bias is None else layer.bias
    return {f"{name}.weight": layer.weight.double() * factor, f"{name}.bias": bias.double()}


def _reference_energies(parts: Parts, units: Units, elements: Sequence[str] | None) -> dict[int, float]:
    known = range(1, min(len(parts.embedding), MAX_ATOMIC_NUMBER + 1))
    if len(parts.embedding) > MAX_ATOMIC_NUMBER + 1:
        parts.assumed.append(f"elements beyond {MAX_ATOMIC_NUMBER} are left out")
    table = [] if parts.atomrefs is None else parts.atomrefs.double().reshape(-1).tolist()
    listed = [z for z in known if z < len(table) and table[z] != 0.0]
    if parts.pooling == "mean" and listed:
        raise ModelFileError(
            "energies of single atoms within an average over atoms can't be expressed here"
        )
    numbers = listed or list(known)
    if elements is not None:
        numbers = sorted({_atomic_number(symbol) for symbol in elements})
        beyond = [z for z in numbers if z not in known]
        if beyond or not numbers:
            raise ModelFileError(f"the embedding has no elements {beyond}: only 1 to {known.stop - 1}")
    elif not listed:
        parts.assumed.append(
            "all elements that have an embedding; the file does not tell which were trained"
        )
    shift = 0.0 if parts.pooling == "mean" else parts.shift
    return {z: (shift + (table[z] if z < len(table) else 0.0)) * units.energy for z in numbers}


def _atomic_number(symbol: str) -> int:
    number = atomic_numbers.get(symbol) if isinstance(symbol, str) else None
    if not number:
        raise ModelFileError(f"elements are chemical symbols, got {symbol!r:.50}")
    return int(number)
