"""Which labels a file has, under which keys and in which units: said once for files, commands and Python."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from schnet_calc.errors import suggestion

if TYPE_CHECKING:  # options of commands are made of Labels, and wait for neither
    import ase

    from schnet_calc.data.properties import Property


class FileLabel(NamedTuple):
    """A property to read from each frame."""

    property: "Property"
    key: str
    """In info, arrays or a calculator's results."""
    factor: float
    """From the file's unit to the property's."""
    required: bool
    """Whether some frame has to have it."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Where the labels of a file are, and in which units; any of them may be absent in any frame."""

    energy_key: str = "energy"
    """Of the energies, in files that ASE reads; empty to leave them out."""
    forces_key: str = "forces"
    """Of the forces; empty to leave them out."""
    energy_unit: str | None = None
    """eV, meV, kcal/mol, kJ/mol or Hartree; by default what the file says, else kcal/mol for npz, eV for others."""
    length_unit: str | None = None
    """Ang, Bohr or nm; by default what the file says, else Ang."""
    stress_key: str = ""
    """Of the stresses, if they are to be read."""
    stress_convention: str = "ase"
    """ase (positive under tension), vasp (positive under compression, kbar) or virial (eV)."""
    stress_unit: str | None = None
    """eV/Ang3, GPa or kbar; by default that of the convention."""
    dipole_key: str = ""
    """Of the dipoles, if they are to be read."""
    dipole_unit: str = "eAng"
    """eAng, Debye or au."""
    scalars: tuple[str, ...] = ()
    """Further numbers of a structure, such as gap:eV:mean; each is
    NAME[=KEY][:UNIT][:sum|mean|extent]."""
    skip_bad: bool = False
    """Leave out frames that can't be used (no atoms, a label that is no number), instead of listing them as an
    error."""
    theory: str = ""
    """Level of theory of the labels, for the model's card; by default what the file says."""

    def __post_init__(self) -> None:
        from schnet_calc.data.properties import DIPOLE_UNITS, ENERGY_UNITS, LENGTH_UNITS

        object.__setattr__(self, "scalars", tuple(self.scalars))
        for name, value, known in (
            ("energy_unit", self.energy_unit, ENERGY_UNITS),
            ("length_unit", self.length_unit, LENGTH_UNITS),
            ("dipole_unit", self.dipole_unit, DIPOLE_UNITS),
        ):
            if value is not None and value not in known:
                kind = name.removesuffix("_unit")
                raise ValueError(
                    f"unknown {kind} unit {value!r}; known are {', '.join(known)}.{suggestion(value, known)}"
                )

    def wanted(self, energy: float, length: float) -> list[FileLabel]:
        """Return what is looked for in files that ASE reads, stresses apart.

        Parameters
        ----------
        energy, length : float
            eV and Å per unit of the file.
        """
        from schnet_calc.data.properties import DIPOLE_UNITS, PROPERTIES

        found = []
        for name, key, factor in (
            ("energy", self.energy_key, energy),
            ("forces", self.forces_key, energy / length),
            ("dipole", self.dipole_key, DIPOLE_UNITS[self.dipole_unit]),
        ):
            if key:
                found.append(FileLabel(PROPERTIES[name], key, factor, name == "dipole"))
        return found + [_scalar(text) for text in self.scalars]


def _scalar(text: str) -> FileLabel:
    """What ``NAME[=KEY][:UNIT][:sum|mean|extent]`` asks for."""
    from schnet_calc.data.properties import poolings, scalar

    named, *rest = text.split(":")
    name, _, key = named.partition("=")
    pooling = rest.pop() if rest and rest[-1] in poolings() else "sum"
    if len(rest) > 1:
        raise ValueError(f"a scalar is written NAME[=KEY][:UNIT][:{'|'.join(poolings())}], got {text!r}")
    unit = rest[0] if rest else ""
    found = scalar(name, unit, pooling)
    return FileLabel(found, key or name, found.units[unit], True)


def find_label(atoms: "ase.Atoms", key: str) -> Any:
    """Return the value of a key in calculator results, info or arrays; None if it is nowhere."""
    results = atoms.calc.results if atoms.calc is not None else {}
    for source in (results, atoms.info, atoms.arrays):
        if key in source:
            return source[key]
    return None


def label_keys(atoms: "ase.Atoms") -> list[str]:
    """Return all keys that :func:`find_label` finds."""
    results = atoms.calc.results if atoms.calc is not None else {}
    return sorted({*results, *atoms.info, *atoms.arrays})
