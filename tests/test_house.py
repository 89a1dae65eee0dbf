"""The rules of the house: directions of imports, sizes, docstrings."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "schnet_calc"


FILES = sorted(PACKAGE.rglob("*.py"))


ORDER = (
    "__init__ checks errors",
    "compat device folders interruption memory reductions stages",
    "analysis",
    "nn",
    "structures",
    "data",
    "kernels",
    "modelfile",
    "engine",
    "guard",
    "model",
    "calculator",
    "ase_plugin training insight",
    "references",
    "ipi lammps torchsim metatomic",
    "simulate",
    "warm_up",
    "learn",
    "plots",
    "report",
    "cli",
    "studies",
)
"""From the ground up; rooms of one line don't know each other."""


LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms.split()}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (
                [node.module]
                if node.module != "schnet_calc"
                else [f"schnet_calc.{a.name}" for a in node.names]
            )
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("schnet_calc.")}
    return found


def test_imports_point_one_way():
    """So does the direction of studies, the highest room: nobody knows them."""
    wrong = []
    for path in FILES:
        here = room(path)
        for other in imports(path) & set(LEVEL):
            if other != here and LEVEL[other] >= LEVEL[here]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert not wrong


def test_every_room_has_its_place():
    assert {room(path) for path in FILES} <= set(LEVEL)


def undocumented(path: Path) -> list[str]:
    """Public names without a docstring."""
    found, bodies = [], [ast.parse(path.read_text()).body]
    while bodies:
        for node in bodies.pop():
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                setter = any(ast.unparse(d).endswith(".setter") for d in node.decorator_list)
                if not ast.get_docstring(node) and not setter:
                    found.append(f"{path.relative_to(PACKAGE)}: {node.name}")
                if isinstance(node, ast.ClassDef):
                    bodies.append(node.body)
    return found


def test_public_names_have_docstrings():
    assert not [name for path in FILES for name in undocumented(path)]


def privates(path: Path) -> set[str]:
    """What a file takes of other libraries that begins with an underscore."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("schnet_calc"):
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            found |= {name for name in names if name.startswith("_") and name != "__future__"}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[0] in LIBRARIES:
            found |= {node.attr} if node.attr.startswith("_") and not node.attr.startswith("__") else set()
    return found


LIBRARIES = {"ase", "torch", "np", "numba", "scipy", "matplotlib"}


def test_other_libraries_privates_are_used_in_one_place():
    users = {str(path.relative_to(PACKAGE)): found for path in FILES if (found := privates(path))}
    assert set(users) == {"compat.py"}, users


def torchscript_names(path: Path) -> set[str]:
    """What of ``torch.jit`` a file uses."""
    nodes = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute))
    return {n.attr for n in nodes if ast.unparse(n.value) == "torch.jit"}


def test_torchscript_is_loaded_in_one_place():
    """And written in another; networks say no more than which of their methods go into it."""
    users = {str(p.relative_to(PACKAGE)): torchscript_names(p) for p in FILES}
    assert {p for p, names in users.items() if "load" in names} == {"modelfile/torchscript.py"}
    assert {p for p, names in users.items() if names & {"script", "save"}} == {"modelfile/saving.py"}
    for path, names in users.items():
        if not path.startswith("modelfile/"):
            assert names <= {"export", "unused", "ignore"}, path


def bodies(path: Path):
    """Names and lengths of the functions' bodies, docstrings apart."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node.name, body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_files_and_bodies_are_short():
    long = {str(p.relative_to(PACKAGE)): n for p in FILES if (n := len(p.read_text().splitlines())) > 300}
    for path in FILES:
        here = path.relative_to(PACKAGE)
        long |= {f"{here}: {name}": length for name, length in bodies(path) if length > 40}
    assert not long
