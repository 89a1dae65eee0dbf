"""What the package is like to read: sizes, long signatures, nested functions, docstrings of arrays.

    python benchmarks/house.py [FOLDER]

FOLDER is the package, ``schnet_calc`` beside this file's folder by default.
"""

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
ARRAYS = re.compile(r"\b(NDArray|ndarray|Tensor|FloatArray|Array)\b")
SHAPE = re.compile(r"\([^()]*\b([A-Z]|[a-z_]+|\d+|\dN|\.\.\.)\b[^()]*,?[^()]*\)|\(\.\.\.,\)|\(\)|[Ss]calar")
UNIT = re.compile(
    r"eV|Å|fs|ps|amu|\bK\b|GPa|cm⁻¹|e·Å|, e\b|int64|km/mol|index|indices|number|mask|integer|units?\b|weights?\b"
)
LONG, MANY = 60, 7
REFERS = re.compile(r"([Ss]ee|[Aa]s (for|in|of)|[Tt]he same as) :|[Tt]he (errors|arguments) of :")
"""A docstring that leaves this to another's, such as that of the method it overrides."""


def functions(tree: ast.AST, inside: bool = False) -> Iterator[tuple[ast.FunctionDef, bool]]:
    """All functions, and whether each stands in another one."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, FUNCTIONS):
            yield node, inside
        yield from functions(node, inside or isinstance(node, FUNCTIONS))


def public_functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Functions and methods whose name, and whose class's, a user may know."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and node.name.startswith("_"):
            continue
        if isinstance(node, FUNCTIONS):
            yield node
        else:
            yield from public_functions(node)


def arguments(node: ast.FunctionDef) -> list[ast.arg]:
    """Arguments without self and cls."""
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [a for a in every if a.arg not in ("self", "cls")]


def array_texts(node: ast.FunctionDef) -> Iterator[str]:
    """For each array among arguments and result, the docstring that should tell its shape and unit."""
    text = ast.get_docstring(node) or ""
    for a in [*arguments(node), None]:
        annotation = node.returns if a is None else a.annotation
        if annotation is not None and ARRAYS.search(ast.unparse(annotation)):
            yield text


def told(text: str) -> bool:
    """Whether a docstring says what the arguments are."""
    return "Parameters" in text or bool(REFERS.search(text))


def measures(folder: Path) -> dict[str, int | str]:
    """Return the numbers by what they count."""
    files = sorted(folder.rglob("*.py"))
    lines = sum(len(path.read_text().splitlines()) for path in files)
    every = [found for path in files for found in functions(ast.parse(path.read_text()))]
    public = [node for path in files for node in public_functions(ast.parse(path.read_text()))]
    texts = [text for node in public for text in array_texts(node)]
    shapes, units = (sum(bool(p.search(t) or REFERS.search(t)) for t in texts) for p in (SHAPE, UNIT))
    untold = [n for n in public if len(arguments(n)) > 2 and not told(ast.get_docstring(n) or "")]
    return {
        "files": len(files),
        "lines": lines,
        f"functions with more than {MANY} parameters": sum(len(arguments(n)) > MANY for n, _ in every),
        f"definitions over {LONG} lines": sum(n.end_lineno - n.lineno + 1 > LONG for n, _ in every),
        "nested functions": sum(inside for _, inside in every),
        "public functions with more than two arguments and no Parameters": len(untold),
        "array docstrings": len(texts),
        "of them with a shape": f"{shapes / max(len(texts), 1):.0%}",
        "of them with a unit": f"{units / max(len(texts), 1):.0%}",
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", nargs="?", type=Path, default=Path(__file__).parents[1] / "schnet_calc")
    package = parser.parse_args().package
    if not package.is_dir():
        parser.error(f"there is no folder {package}")
    for name, value in measures(package).items():
        print(f"{value:>7}  {name}")
