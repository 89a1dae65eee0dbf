"""The table of properties: what may be labelled, trained and predicted, in which units.

Adding one is an entry here; one that arises in a new way is a class of :mod:`schnet_calc.reductions`, too.
"""

from dataclasses import dataclass, field

from ase import units

from schnet_calc.reductions import REDUCTIONS, Reduction

ENERGY_UNITS = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
    "Hartree": units.Hartree,
}
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
    reduction: Reduction | None = None
    """How it arises from the numbers that a head gives the atoms; none for the energy and its derivatives."""
    head_name: str = ""
    """Of its head, where that is another name."""
    units: dict[str, float] = field(default_factory=dict)
    """Units that labels may have, as multiples of :attr:`unit`."""

    @property
    def head(self) -> str:
        """Name of the head that it is read from."""
        return self.head_name or self.name


PROPERTIES = {
    p.name: p
    for p in (
        Property("energy", "eV", units=ENERGY_UNITS),
        Property("forces", "eV/Ang", (3,), per_atom=True),
        Property("virial", "eV", (3, 3)),
        Property("dipole", "eAng", (3,), reduction=REDUCTIONS["charges"], units=DIPOLE_UNITS),
        Property(
            "dipole_length", "eAng", reduction=REDUCTIONS["charges"], head_name="dipole", units=DIPOLE_UNITS
        ),
    )
}
"""Properties with a name of their own; ``virial`` is volume times stress, ``dipole_length`` the length of the
dipole, where only that is known. Any other name is a number of the structure, see :func:`scalar`."""


def poolings() -> list[str]:
    """Return the names of the reductions that give a number."""
    return [name for name, how in REDUCTIONS.items() if how.shape == ()]


def scalar(name: str, unit: str = "", pooling: str = "sum") -> Property:
    """Return a number of a structure as a property: ``gap``, ``formation_energy`` ...

    Parameters
    ----------
    name : str
        A word that is none of :data:`PROPERTIES`.
    unit : str
        Energies among the units (``"Hartree"`` ...) are kept in eV, others as they are.
    pooling : str
        One of :func:`poolings`: ``"sum"`` of the atoms' numbers for extensive properties, ``"mean"`` for
        intensive ones, ``"extent"`` for second moments of the atoms' charges about the centre of mass.

    Raises
    ------
    ValueError
        A name that is taken or no word, or another pooling.
    """
    if name in PROPERTIES or not name.isidentifier():
        raise ValueError(f"a property needs a name of its own, one word, got {name!r}")
    if pooling not in poolings():
        raise ValueError(f"the pooling of {name} is one of {', '.join(poolings())}, got {pooling!r}")
    kept = "eV" if unit in ENERGY_UNITS else unit
    factor = ENERGY_UNITS.get(unit, 1.0)
    return Property(name, kept, reduction=REDUCTIONS[pooling], units={unit: factor})
