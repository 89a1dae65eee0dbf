"""Tables of the documentation as CSV files that pages show, and text between two marks of a page."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

Cells = Sequence[str]


def table_of(page: Path) -> Path:
    """Return where a page's table lies: ``docs/pimd.md`` has ``docs/tables/pimd.csv``."""
    return page.parent / "tables" / f"{page.stem}.csv"


def fill(page: Path, mark: str, text: str, rows: Sequence[Cells]) -> None:
    """Put text between a page's two marks, and rows, the first of them the head, into its table."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    written, pattern = page.read_text(), re.escape(begin) + ".*" + re.escape(end)
    if not re.search(pattern, written, re.DOTALL):
        raise SystemExit(f"{page} has no place for the text: {begin} ... {end}")
    table = table_of(page)
    table.parent.mkdir(exist_ok=True)
    with table.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    page.write_text(re.sub(pattern, lambda _: f"{begin}\n{text}\n{end}", written, flags=re.DOTALL))


def read(page: Path) -> list[list[str]]:
    """Read the rows of a page's table, the first of them the head."""
    with table_of(page).open(newline="") as file:
        return list(csv.reader(file))
