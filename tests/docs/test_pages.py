"""Pages for readers: links lead somewhere, commands are those of the package, snippets run."""

import importlib.util
import re
import shlex
import sys
import warnings
from pathlib import Path

import ase.io
import cyclopts
import pytest
from ase.build import bulk, molecule

from helpers import ROOT, labelled_methanol
from schnet_calc.cli import app

PAGES = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs" / "tutorials").glob("*.md"),
        *(ROOT / "models").glob("*.md"),
        *(ROOT / "examples").glob("*/README.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        ROOT / "schnet_calc" / "kernels" / "README.md",
    ]
)
BUILT = {"commands.md", "changelog.md", "contributing.md", "security.md", "arithmetic.md"}
"""Pages of the site that docs/conf.py makes."""
PAGES = [page for page in PAGES if not (page.parent.name == "docs" and page.name in BUILT)]
NEEDS = {"engines.md": ("torch_sim", "matcalc", "metatomic"), "recipes.md": ("dftd3", "phonopy")}
"""Packages without which the snippets of a page don't run."""
ELSEWHERE = ("dask_jobqueue", "import_model", "MetatomicCalculator", "structures, model=SchNetModel")
"""What other tests run, or needs a cluster."""
SLOW = {"calculator.md", "engines.md", "recipes.md", "training.md", "pimd.md", "crystals.md"}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """As GitHub and MyST make them from headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", text)


def test_links_lead_to_files_and_headings():
    dead = []
    for page, link in ((p, link) for p in PAGES for link in links(p)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            dead.append(f"{name(page)}: {link}")
    assert not dead


def commands(text: str) -> list[tuple[str, bool]]:
    """What the page's code says after "schnet-calc", and whether it stands in a line of prose."""
    fenced = re.findall(r"^```(\S*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    blocks = [block for language, block in fenced if language != "python"]
    rest = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    blocks += ["\n".join(re.findall(r"^ {4}(.+)$", rest, flags=re.MULTILINE))]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    inline = re.findall(r"`(schnet-calc [^`]+)`", rest)
    found = [(line, False) for line in lines if re.search(r"(?<![\w'/])schnet-calc ", line)]
    found += [(" ".join(line.split()), True) for line in inline]
    return [(line[re.search(r"(?<![\w'/])schnet-calc ", line).end() :], prose) for line, prose in found]


def test_commands_are_understood():
    """Names of commands and options, and types of values; files aren't looked for."""
    wrong = []
    for page, (line, prose) in ((p, found) for p in PAGES for found in commands(p.read_text())):
        words = shlex.split(re.split(r" [|&;>]| 2>", line)[0], comments=True)
        if not words or {"COMMAND", "..."} & set(words) or words[0].startswith("-"):
            continue
        try:
            app.parse_args(words, exit_on_error=False, print_error=False)
        except FileNotFoundError:  # the command is understood, and looks for what a reader has
            continue
        except cyclopts.MissingArgumentError as error:
            if not prose:
                wrong.append(f"{name(page)}: {line}: {error}")
        except cyclopts.CycloptsError as error:
            wrong.append(f"{name(page)}: {line}: {error}")
    assert not wrong


def snippets(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


WITH_SNIPPETS = [
    pytest.param(page, id=name(page), marks=[pytest.mark.slow] if page.name in SLOW else [])
    for page in PAGES
    if snippets(page) and page.parent.name != "tutorials"
]


@pytest.mark.parametrize("page", WITH_SNIPPETS)
def test_snippets_run(page, tmp_path, monkeypatch, capsys):
    """In the order of the page, in a folder with the structures that pages speak of."""
    for package in NEEDS.get(page.name, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["page"])
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    if page.name in NEEDS:  # packages of others warn as they like
        warnings.simplefilter("ignore")
    ase.io.write("molecule.xyz", molecule("CH3CH2OH"))
    ase.io.write("si.cif", bulk("Si", a=5.43, cubic=True))
    labelled_methanol("frames.extxyz")
    names: dict[str, object] = {"__name__": "__main__"}
    for snippet in snippets(page):
        if not any(word in snippet for word in ELSEWHERE):
            exec(compile(snippet, name(page), "exec"), names)


def sources() -> str:
    """All texts of the package, strings joined as Python joins them, with what is filled in taken out."""
    text = "".join(path.read_text() for path in (ROOT / "schnet_calc").rglob("*.py"))
    return re.sub(r'"\s+f?"', "", text)


def test_messages_of_troubleshooting_are_those_of_the_package():
    text, strange = sources(), []
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    rows = re.findall(r"^\| (`.+?) \|", page, flags=re.MULTILINE)
    for message in re.findall(r"`([^`]+)`", "\n".join(rows)):
        parts = re.split(r"\.\.\.|\[.*?\]|'[^']*'|\b[\d.]+\b|\b(?:C1|C2v|Fe|C|ps|fs)\b", message)
        longest = max((part.strip(" :,;") for part in parts), key=len)
        if longest not in text:
            strange.append(f"{message}: {longest!r}")
    assert not strange, "\n".join(strange)
