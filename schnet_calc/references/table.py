"""The table of label sources; other packages add theirs by the entry-point group ``schnet_calc.references``.

    [project.entry-points."schnet_calc.references"]
    orca = "my_package:make"

lets ``schnet-calc learn --reference orca:PBE0/def2-SVP`` call ``make("PBE0/def2-SVP")``, which returns an ASE
calculator.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from ase.calculators.calculator import BadConfiguration, get_calculator_class, names as calculator_names

from schnet_calc.references.pyscf import PySCF

GROUP = "schnet_calc.references"
XTB = ("GFN2-xTB", "GFN1-xTB", "IPEA1-xTB")
"""Methods of tblite."""
ACCURACY = 0.01
"""Of tblite's self-consistency, its default being 1: there, differences of forces are too noisy for the Hessian
of some 20 atoms (caffeine: its sum rule off by 0.1 eV/Å², and by 0.001 with this)."""


def _xtb(name: str) -> Any:
    method = next((m for m in XTB if name.lower() in (m.lower(), m.lower().removesuffix("-xtb"))), None)
    if method is None:
        return None
    try:
        from tblite.ase import TBLite
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{method} is computed by tblite: pip install 'schnet-calc[xtb]'"
        ) from error
    return TBLite(method=method, accuracy=ACCURACY, verbosity=0)


def _plugin(name: str) -> Any:
    kind, _, method = name.partition(":")
    found = next(iter(entry_points(group=GROUP, name=kind)), None)
    return None if found is None else found.load()(method)


def _ase(name: str) -> Any:
    if name not in calculator_names:
        return None
    try:
        return get_calculator_class(name)()
    except (ImportError, AttributeError, TypeError, BadConfiguration) as error:
        raise ValueError(
            f"ASE's calculator {name!r} can't be had without settings or a program ({error}); in Python, or in a "
            "file that defines calculator(), it can be set up"
        ) from error


REFERENCES: dict[str, Callable[[str], Any]] = {
    f"a method of tblite ({', '.join(XTB)})": _xtb,
    "a name of another package's, as NAME or NAME:METHOD": _plugin,
    "a functional and a basis of PySCF, as in PBE/def2-SVP": lambda name: (
        PySCF(name) if "/" in name else None
    ),
    "the name of an ASE calculator": _ase,
}
"""Kinds of names in words, and what makes a calculator of a name, or None where it is another kind's."""


def reference_calculator(name: str) -> Any:
    """Return an ASE calculator by a name of one of the kinds of :data:`REFERENCES`.

    Raises
    ------
    ModuleNotFoundError
        tblite or PySCF is not installed (``pip install 'schnet-calc[xtb]'``, ``'schnet-calc[dft]'``).
    ValueError
        Nobody knows the name, or ASE's calculator needs more than it.
    """
    for make in REFERENCES.values():
        found = make(name)
        if found is not None:
            return found
    raise ValueError(f"the reference is {'; '.join(REFERENCES)}; got {name!r}")
