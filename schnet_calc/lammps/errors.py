"""The errors of the coupling."""

from schnet_calc.errors import SchNetCalcError


class LammpsError(SchNetCalcError, RuntimeError):
    """A LAMMPS that the model can't be attached to, or an error of its own."""
