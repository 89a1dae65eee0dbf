"""Structures as plain values, for the JSON files that results are kept in."""

from typing import Any

import ase


def describe(atoms: ase.Atoms) -> dict[str, Any]:
    """Everything about a structure that an energy may depend on."""
    return {
        "numbers": atoms.numbers.tolist(),
        "positions_ang": atoms.positions.tolist(),
        "masses_amu": atoms.get_masses().tolist(),
        "charges": atoms.get_initial_charges().tolist(),
        "magnetic_moments": atoms.get_initial_magnetic_moments().tolist(),
        "cell_ang": atoms.cell.array.tolist(),
        "pbc": atoms.pbc.tolist(),
    }


def restore(values: dict[str, Any]) -> ase.Atoms:
    """The structure that :func:`describe` described."""
    return ase.Atoms(
        values["numbers"],
        values["positions_ang"],
        masses=values["masses_amu"],
        charges=values["charges"],
        magmoms=values["magnetic_moments"],
        cell=values["cell_ang"],
        pbc=values["pbc"],
    )
