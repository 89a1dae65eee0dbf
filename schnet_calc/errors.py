"""The errors of this package; what else it raises are Python's own for wrong arguments and missing files."""


class SchNetCalcError(Exception):
    """Base of all errors that this package defines."""


class ModelFileError(SchNetCalcError, ValueError):
    """A file that is not a usable model; the message says what is missing or wrong."""


class BadStructureError(SchNetCalcError, ValueError):
    """A structure that no network, or not this one, can say anything about."""

    index: int = 0
    """Its place in the batch."""


class NotFiniteError(SchNetCalcError, FloatingPointError):
    """The network returned values that are not finite."""

    index: int = 0
    """The place in the batch of the structure that they belong to."""


class TooManyPairsError(SchNetCalcError, MemoryError):
    """The pairs of a structure would not fit into memory."""


class DoubtfulStructureError(SchNetCalcError, RuntimeError):
    """The structure lies outside of what the model knows, and ``on_doubt`` is ``"stop"``."""

    index: int = 0
    """Its place in the batch."""


class DataError(SchNetCalcError, ValueError):
    """Labelled structures that can't be read or don't hold what is asked for."""
