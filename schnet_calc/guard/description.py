"""What a model knows, in words, from the plain values of its file."""

from typing import Any

HINT = "none; schnet-calc domain MODEL DATA -o NEW adds them"


def described(training: dict[str, Any]) -> dict[str, str]:
    """Return rows for a table: names of things, and what a file's ``training`` says of them.

    Values of unknown files are believed no further than that they can be printed.
    """
    rows = {"grades": _grades(training.get("grades"))}
    domain = training.get("domain")
    if not isinstance(domain, dict):
        return rows | {"training data": "nothing is known of them"}
    coordination = domain.get("coordination", {})
    rows["neighbours in training"] = ", ".join(
        f"{symbol} {float(low):.1f} to {float(high):.1f}" for symbol, (low, high) in coordination.items()
    )
    formulas = domain.get("formulas")
    rows["compositions"] = "many" if formulas is None else ", ".join(map(str, formulas))
    rows["charge and spin"] = _state(domain)
    if "most_atoms" in domain:
        rows["most atoms"] = str(domain["most_atoms"])
    return rows


def _grades(values: Any) -> str:
    """How far energies of atoms below the limit can be from those in training."""
    if not isinstance(values, dict):
        return HINT
    reach = values.get("reach_ev", {})
    if not reach:
        return f"of the heads {', '.join(map(str, values.get('heads', [])))}"
    if len(reach) > 10:
        return f"of {len(reach)} elements"
    atoms = ", ".join(f"{symbol} {float(x):.3g}" for symbol, x in reach.items())
    return f"energies of atoms below 1 lie within {atoms} eV of their means in training"


def _state(domain: dict[str, Any]) -> str:
    charge, multiplicity = int(domain.get("charge", 0)), int(domain.get("multiplicity", 1))
    kind = "neutral" if charge == 0 else f"charge {charge:+d}"
    spin = "singlets" if multiplicity == 1 else f"multiplicity {multiplicity}"
    odd = ", some with an odd number of electrons" if domain.get("odd_electrons") else ""
    return f"{kind} {spin}{odd}; anything else is doubted where structures say so"
