"""The table of properties: what may be labelled, trained and predicted, in which units.

Adding one is an entry here, and a head if it arises in a new way (see :mod:`schnet_calc.nn.heads`).
"""

from dataclasses import dataclass, field

from ase import units

ENERGY_UNITS = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
    "Hartree": units.Hartree,
}
POOLINGS = ("sum", "mean", "extent")
"""How a number of a structure may arise from those of its atoms, see :data:`schnet_calc.nn.heads.REDUCTIONS`."""
LENGTH_UNITS = {"Ang": 1.0, "Bohr": units.Bohr, "nm": 10.0}
DIPOLE_UNITS = {"eAng": 1.0, "Debye": units.Debye, "au": units.Bohr}


@dataclass(frozen=True)
class Property:
    """A property of a structure or of its atoms."""

    name: str
    """As in ASE's results, where it is among them."""
    unit: str
    """In which it is kept and predicted."""
    shape: tuple[int, ...] = ()
    """Of the value of one structure, or of one atom."""
    per_atom: bool = False
    """Whether it belongs to atoms."""
    source: str = "sum"
    """How it arises: ``"energy"``, ``"derivative"`` of the energy, ``"sum"`` or ``"mean"`` of an atom-wise head,
    ``"charges"``, the dipole of latent charges, or ``"extent"``, their second moment."""
    units: dict[str, float] = field(default_factory=dict)
    """Units that labels may have, as multiples of :attr:`unit`."""


PROPERTIES = {
    p.name: p
    for p in (
        Property("energy", "eV", source="energy", units=ENERGY_UNITS),
        Property("forces", "eV/Ang", (3,), per_atom=True, source="derivative"),
        Property("virial", "eV", (3, 3), source="derivative"),
        Property("dipole", "eAng", (3,), source="charges", units=DIPOLE_UNITS),
        Property("dipole_length", "eAng", source="charges", units=DIPOLE_UNITS),
    )
}
"""Properties with a name of their own; ``virial`` is volume times stress, ``dipole_length`` the length of the
dipole, where only that is known. Any other name is a number of the structure, see :func:`scalar`."""


def scalar(name: str, unit: str = "", pooling: str = "sum") -> Property:
    """Return a number of a structure as a property: ``gap``, ``formation_energy`` ...

    Parameters
    ----------
    name : str
        A word that is none of :data:`PROPERTIES`.
    unit : str
        Energies among the units (``"Hartree"`` ...) are kept in eV, others as they are.
    pooling : str
        ``"sum"`` of the atoms' numbers for extensive properties, ``"mean"`` for intensive ones, ``"extent"``
        for second moments of the atoms' charges about the centre of mass.

    Raises
    ------
    ValueError
        A name that is taken or no word, or another pooling.
    """
    if name in PROPERTIES or not name.isidentifier():
        raise ValueError(f"a property needs a name of its own, one word, got {name!r}")
    if pooling not in POOLINGS:
        raise ValueError(f"the pooling of {name} is one of {', '.join(POOLINGS)}, got {pooling!r}")
    kept = "eV" if unit in ENERGY_UNITS else unit
    factor = ENERGY_UNITS.get(unit, 1.0)
    return Property(name, kept, source=pooling, units={unit: factor})
