"""All tables and figures of the paper and the thesis: which part of the reproduction has them, or why none has."""

import csv
from importlib import resources
from typing import NamedTuple


class CatalogueEntry(NamedTuple):
    """A table or a figure: a line of ``catalogue.csv``."""

    label: str
    """``"Table 4.2"``; those of the paper begin with ``"Paper"``."""
    title: str
    note: str
    """What differs from the original."""
    reason: str
    """Why it is not repeated."""


def _read() -> tuple[CatalogueEntry, ...]:
    with (resources.files("schnet_calc.studies") / "catalogue.csv").open(encoding="utf-8") as stream:
        return tuple(CatalogueEntry(**row) for row in csv.DictReader(stream))


CATALOGUE = _read()
"""In the order of the page. Tables 2.1 to 5.6 and figures are the thesis's."""
