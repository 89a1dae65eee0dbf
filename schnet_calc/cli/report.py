"""The command for pages of molecules."""

from pathlib import Path

from schnet_calc.cli.console import out, write_json
from schnet_calc.cli.options import check_files


def report(folder: Path, *, json: Path | None = None) -> None:
    """A page of a molecule from what relax, modes, md, pimd and spectrum have written into a folder.

    Parameters
    ----------
    folder
        With relaxed.json, modes.json, spectrum.json (spectrum --json) and the folders of md and pimd, as far as
        there are any; gets index.html.
    json
        Where to write the name of the page.
    """
    check_files(folder)
    from schnet_calc.report import write_report

    page = write_report(folder)
    out.print(f"page in {page}")
    write_json(json, {"page": str(page)})
