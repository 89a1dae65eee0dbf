"""Tables of several columns."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from schnet_calc.cli.console import out


def print_columns(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], caption: str | None = None
) -> None:
    """Print rows below headings, the first column at the left, numbers at the right.

    Parameters
    ----------
    title : str
        Above the table.
    headings : sequence of str
        Of the columns.
    rows : iterable of sequence of str
        Their cells.
    caption : str, optional
        Below the table.
    """
    style: Any = {"title_style": "bold", "title_justify": "left", "caption_justify": "left"}
    table = Table(title=title, caption=caption, box=SIMPLE_HEAD, pad_edge=False, **style)
    table.add_column(headings[0], no_wrap=True)
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for cells in rows:
        table.add_row(*cells)
    out.print(table)
