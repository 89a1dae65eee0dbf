"""A model file in words: what it knows, how well, and what it doesn't."""

import math
import re

from ase.data import chemical_symbols
from ase.units import GPa

from schnet_calc.modelfile.metadata import Metadata

RATE = 40e9
"""Operations per second of one core of a computer of 2025, about, as the compiled engine uses it."""
EXAMPLE = 20
"""Atoms of the structure that a time is told for."""
SHOWN = 12
"""Compositions and elements in a list, at most."""
ERRORS = (
    ("energy_mae_ev", "energy {:.1f} meV", 1e-3),
    ("force_mae_ev_ang", "force {:.1f} meV/Å", 1e-3),
    ("stress_mae_gpa", "stress {:.2f} GPa", 1.0),  # as evaluated
    ("stress_mae", "stress {:.2f} GPa", GPa),  # as trained
)
"""Names of errors in a file, how they are said, and the unit that this is in."""

SOURCES = {
    "md17_": "MD17, http://www.quantum-machine.org/gdml",
    "qm9pack": "QM9, https://doi.org/10.6084/m9.figshare.c.978904 (pip install qm9pack)",
}
"""Where everybody finds the data, by how the name of their file begins."""
PLACE = re.compile(r" --data \S+")
"""Of the data on the machine that a model was made on, which tells others nothing."""


def card(metadata: Metadata) -> dict[str, str]:
    """Return the rows of a page about a model, in the order of what a user asks first.

    Parameters
    ----------
    metadata : Metadata
        Of the file.
    """
    rows = {
        "knows": _knows(metadata),
        "level of theory": _data(metadata).get("theory", "not stated in the file"),
        "trained on": _trained_on(metadata),
        "errors": _errors(metadata),
        "predicts": _predicts(metadata),
        "does not know": _unknown(metadata),
        "network": _network(metadata),
        "speed": speed(metadata),
        "data": _source(metadata),
        "made by": PLACE.sub("", str(metadata.training.get("command") or "not stated in the file")),
        "weights": metadata.weights_sha256 or "no hash in the file",
    }
    return {name: text for name, text in rows.items() if text}


def markdown_card(metadata: Metadata) -> str:
    """Return the table of a model's card: what the file says, without what ``domain`` may change.

    Parameters
    ----------
    metadata : Metadata
        Of the file.
    """
    rows = {
        "predicts": _predicts(metadata),
        "knows": _knows(metadata),
        "level of theory": _data(metadata).get("theory", "").replace("not stated in the file", ""),
        "network": _shape(metadata),
        "trained on": _trained_on(metadata).replace("; temperature not stated in the file", ""),
        "errors": _errors(metadata),
    }
    lines = [f"| {name} | {text} |" for name, text in rows.items() if text]
    return "\n".join(["| | |", "|---|---|", *lines])


def _data(metadata: Metadata) -> dict[str, str]:
    data = metadata.training.get("data") or {}
    return data if isinstance(data, dict) else {"name": str(data)}


def _source(metadata: Metadata) -> str:
    file = str(_data(metadata).get("file", ""))
    return next((source for start, source in SOURCES.items() if file.startswith(start)), "")


def _few(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _knows(metadata: Metadata) -> str:
    elements = _few([chemical_symbols[z] for z in metadata.elements])
    domain = metadata.training.get("domain")
    if not domain:
        return f"elements {elements}; of which compositions, the file doesn't say"
    formulas = domain.get("formulas")
    if formulas is None:
        return f"elements {elements}, in many compositions"
    return f"{_few(sorted(formulas))} (elements {elements})"


def _trained_on(metadata: Metadata) -> str:
    data, training = _data(metadata), metadata.training
    count = training.get("n_train")
    words = [f"{count} structures" if count else "", str(data.get("name", ""))]
    text = " of ".join(word for word in words if word)
    if not text:
        return "not stated in the file"
    heat = data.get("temperature")
    text += f", up to {heat}" if heat else "; temperature not stated in the file"
    span = metadata.distance_range
    return text + (f"; distances {span[0]:.2f} to {span[1]:.2f} Å" if span else "")


def _errors(metadata: Metadata) -> str:
    training = metadata.training
    for key, what in (
        ("test_errors", "never used in training"),
        ("validation_errors", "of the validation"),
    ):
        errors = training.get(key) or {}
        words = []
        for name, text, unit in ERRORS:
            value = errors.get(name)
            if isinstance(value, int | float):
                words.append(text.format(value / unit))
        for name, value in errors.items():
            said = name.removesuffix("_mae")
            output = metadata.outputs.get(said.removesuffix("_length"))
            if output is not None and said != name and isinstance(value, int | float):
                words.append(f"{said.replace('_', ' ')} {value:.3g} {output}".strip())
        if words:
            count = errors.get("n_frames")
            of = (
                f" on {count:.0f} structures {what}"
                if isinstance(count, int | float)
                else f" on structures {what}"
            )
            return "mean absolute, " + ", ".join(words) + of
    return "not stated in the file"


def _predicts(metadata: Metadata) -> str:
    config = metadata.config
    words = []
    if config is None or config.energy:
        tested = metadata.training.get("test_errors") or {}
        alone = "energy_mae_ev" in tested and "force_mae_ev_ang" not in tested
        words.append("energies (no forces in its data)" if alone else "energies, forces")
        formulas = (metadata.training.get("domain") or {}).get("formulas")
        crystals = formulas is None or any("periodic" in formula for formula in formulas)
        if math.isfinite(metadata.cutoff) and crystals:
            words.append("stress of crystals")
    heads = {} if config is None else config.heads
    words += [
        f"{name} ({unit})" if unit else name
        for name, unit in {**dict.fromkeys(heads, ""), **metadata.outputs}.items()
    ]
    return ", ".join(words)


def _unknown(metadata: Metadata) -> str:
    domain = metadata.training.get("domain")
    if not domain:
        return "the file doesn't say: schnet-calc domain adds it, so that doubtful structures are told"
    words = ["other elements"]
    if domain.get("formulas") is not None:
        words.append("other compositions")
    numbers = ", ".join(f"{s} {low:.0f} to {high:.0f}" for s, (low, high) in domain["coordination"].items())
    words.append(f"other numbers of neighbours than {numbers}")
    shortest = domain["shortest_ang"]
    if shortest:
        pair = min(shortest, key=lambda name: shortest[name])
        words.append(f"atoms closer than in training (the closest: {pair} {shortest[pair]:.2f} Å)")
    if domain.get("fragments") == 1:
        words.append("several molecules")
    if not math.isfinite(metadata.cutoff):
        words.append("periodic structures")
    return "; ".join(words)


def _network(metadata: Metadata) -> str:
    shape = metadata.hyperparameters
    reach = f"cutoff {metadata.cutoff:g} Å" if math.isfinite(metadata.cutoff) else "no cutoff"
    words = [metadata.architecture]
    if {"n_features", "n_interactions"} <= set(shape):
        words.append(f"{shape['n_features']} features, {shape['n_interactions']} interactions")
    return ", ".join([*words, reach, metadata.dtype])


def _shape(metadata: Metadata) -> str:
    """The network as the paper writes it."""
    shape = metadata.hyperparameters
    if not {"n_features", "n_interactions", "n_gaussians"} <= set(shape):
        return _network(metadata)
    width = f" of {shape['basis_width']:g} Å width" if shape.get("basis_width") else ""
    kind = shape.get("cutoff_function", "cosine")
    reach = f"{kind} cutoff at {metadata.cutoff:g} Å" if math.isfinite(metadata.cutoff) else "no cutoff"
    size = f"T = {shape['n_interactions']}, F = {shape['n_features']}"
    return f"{metadata.architecture}, {size}, {shape['n_gaussians']} Gaussians{width}, {reach}, {metadata.dtype}"


def operations(metadata: Metadata, n_atoms: int, n_pairs: int) -> float | None:
    """Count floating point operations of energy and forces by the compiled engine; None for other networks.

    Per block and atom three dense layers there and back, per pair two look-ups of a filter (six products each) and
    its derivative; the head has half the width.

    Parameters
    ----------
    metadata : Metadata
        Of a SchNet.
    n_atoms, n_pairs : int
        Of the structure.
    """
    shape = metadata.hyperparameters
    if metadata.architecture != "SchNet" or not {"n_features", "n_interactions"} <= set(shape):
        return None
    width, blocks = shape["n_features"], shape["n_interactions"]
    filters = shape.get("n_filters") or width
    dense = 4.0 * blocks * (2 * width * filters + width * width) + 4.0 * width * width / 2
    return n_atoms * dense + n_pairs * blocks * filters * (16.0 + 34.0)


def speed(metadata: Metadata) -> str:
    """Return about how long energy and forces take, from the number of operations."""
    count = operations(metadata, EXAMPLE, EXAMPLE * (EXAMPLE - 1) // 2)
    if count is None:
        return ""
    time, millions = f"{1e3 * count / RATE:.1g} ms", f"{count / 1e6:.0f} million operations"
    return f"about {time} for {EXAMPLE} atoms on one core ({millions})"
