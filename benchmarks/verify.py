"""Print the table of the page "Verification": every number of the package beside a closed form or another code.

    python benchmarks/verify.py [--only WORD] [--quick] [--keep FILE] [--write docs/verification.md]

``--write`` puts the table into ``docs/tables/verification.csv`` and its summary into the page. The rows stand in
``benchmarks/verification/``. With ``--keep``, what was found stays in a file as soon as it is
known, and rows whose module is the same as then aren't run again: a run that was stopped goes on, and sections that
were run one by one (``--only``) make one page. Remove the file when the package has changed.

The exit status is 1 if a row fails.
"""

import argparse
import inspect
import json
import sys
import time
import traceback
import warnings
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from verification import Outcome, Row, all_rows
from verification.pages import fill

HEAD = ["section", "quantity", "numbers", "compared with", "ours", "theirs", "tolerance"]


def number(value: float, tolerance: float) -> str:
    """Write a value to a digit beyond the tolerance."""
    if value and (abs(value) < 1e-4 or abs(value) >= 1e6):
        return f"{value:.2e}"
    digits = 2
    while digits < 9 and tolerance < 10.0 ** (1 - digits):
        digits += 1
    text = f"{value:.{digits}f}"
    return text if tolerance else text.rstrip("0").rstrip(".")


def cells(row: Row, outcome: Outcome | None) -> list[str]:
    """Write a row of the table."""
    tolerance = f"{100 * row.tolerance:g} %" if row.relative else f"{row.tolerance:g}"
    quantity = f"{row.quantity}, {row.unit}" if row.unit else row.quantity
    if outcome is None:
        return [row.section, quantity, "", row.against, "", "", f"{tolerance}, not run"]
    size = row.tolerance * (abs(outcome.theirs) if row.relative else 1.0)
    ours, theirs = (number(x, size) for x in (outcome.ours, outcome.theirs))
    failed = "" if outcome.passed else ", failed"
    return [row.section, quantity, str(outcome.count), row.against, ours, theirs, f"{tolerance}{failed}"]


def share(entry: list[str]) -> float:
    """Return the deviation of a row of the table as a share of its tolerance."""
    ours, theirs, tolerance = entry[-3:]
    words = tolerance.split(",")[0].split()
    allowed = float(words[0]) * (0.01 * abs(float(theirs)) if words[1:] else 1.0) if ours else 0.0
    return abs(float(ours) - float(theirs)) / allowed if allowed else 0.0


def summary(table: list[list[str]]) -> str:
    """Say how many comparisons the rows of a table make, and which differs most."""
    good = sum("," not in entry[-1] for entry in table)
    compared = sum(int(entry[2] or 0) for entry in table)
    worst = max(table, key=share)
    return (
        f"{good} of {len(table)} rows pass; they compare {compared:,} numbers. The largest deviation is "
        f"{100 * share(worst):.0f} % of the\ntolerance: {worst[1]}: {worst[4]} beside {worst[5]}."
    )


def try_row(row: Row) -> Outcome | None:
    """Run a row; None if it can't be run."""
    if row.missing:
        print(f"    {row.quantity}: needs {', '.join(row.missing)}", file=sys.stderr)
        return None
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return row.run()
    except Exception:
        traceback.print_exc()
        return None
    finally:
        print(f"    {row.quantity}: {time.perf_counter() - started:.1f} s", file=sys.stderr)


class Kept:
    """What rows have found, in a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        there = path is not None and path.exists()
        self.found: dict[str, dict] = json.loads(path.read_text()) if path is not None and there else {}

    @staticmethod
    def key(row: Row) -> str:
        """Name of a row and of its module's code."""
        text = "|".join(map(str, (row.against, row.tolerance, row.unit, row.relative)))
        code = Path(inspect.getfile(row.compute)).read_bytes() + text.encode()
        return f"{row.section}: {row.quantity} [{sha256(code).hexdigest()[:12]}]"

    def of(self, row: Row) -> Outcome | None:
        """What a row has found."""
        values = self.found.get(self.key(row))
        return None if values is None else Outcome(**values)

    def add(self, row: Row, outcome: Outcome) -> None:
        """Keep it at once."""
        self.found[self.key(row)] = asdict(outcome)
        if self.path is not None:
            self.path.write_text(json.dumps(self.found, indent=1))


def main() -> int:
    """Run the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose section or quantity has this word")
    parser.add_argument("--quick", action="store_true", help="without the slow rows")
    parser.add_argument("--keep", type=Path, help="a file of what was found; rows in it aren't run again")
    parser.add_argument("--write", type=Path, help="a page whose summary and table are replaced")
    options = parser.parse_args()
    word = options.only.lower()
    rows = [r for r in all_rows() if word in f"{r.section} {r.quantity}".lower()]
    rows = [r for r in rows if not (options.quick and r.slow)]
    if not rows:
        parser.error(f"no row has the word {options.only!r}")
    if options.write and (word or options.quick):
        parser.error("--write is for all rows, without --only and --quick; --keep joins parts")
    table, good = run_all(rows, Kept(options.keep))
    print(f"\n{summary(table)}")
    if options.write:
        fill(options.write, "rows", summary(table), [HEAD, *table])
    return 0 if good else 1


def run_all(rows: list[Row], kept: Kept) -> tuple[list[list[str]], bool]:
    """Run what isn't kept; the table, and whether all rows pass."""
    table: list[list[str]] = []
    good = 0
    for row in rows:
        if not table or row.section != table[-1][0]:
            print(f"\n{row.section}", flush=True)
        outcome = kept.of(row)
        if outcome is None and (outcome := try_row(row)) is not None:
            kept.add(row, outcome)
        good += outcome is not None and outcome.passed
        table.append(cells(row, outcome))
        print(" | ".join(table[-1][1:]), flush=True)
    return table, good == len(rows)


if __name__ == "__main__":
    sys.exit(main())
