"""Deployed models: which functions the code of a TorchScript class applies, from its text alone."""

import re
from collections.abc import Callable

from schnet_calc.errors import ModelFileError

LONGEST = 2**17, 2**12
"""Characters of the code of a module, and of one method; a layer has some hundred."""
CALL = re.compile(r"\b(?:__torch__|torch)\.[\w.]+(?=\()")
ALIAS = re.compile(r"^ +(\w+) = (__torch__\.[\w.]+)$", re.MULTILINE)
LAYER = "linear"


def functions_behind(code: Callable[[str], str], path: str) -> list[str]:
    """Return the names of the functions that a dense layer applies to what it has made.

    Parameters
    ----------
    code : callable
        Source text of a module by its name with slashes.
    path : str
        Of the class, such as ``"__torch__.schnetpack.nn.base.___torch_mangle_1.Dense"``.

    Raises
    ------
    ModelFileError
        There is no such code in the file.
    """
    module, _, name = path.removeprefix("__torch__.").rpartition(".")
    method = _forward(code(module.replace(".", "/"))[: LONGEST[0]], name)
    aliases = dict(ALIAS.findall(method))
    called = CALL.findall(method)
    called += [full for short, full in aliases.items() if re.search(rf"\b{short}\(", method)]
    names = [full.rpartition(".")[2] for full in called]
    return [n for n in names if n != LAYER]


def _forward(text: str, name: str) -> str:
    """Return the lines of the method ``forward`` of a class."""
    lines: list[str] = []
    in_class = in_method = False
    for line in text.splitlines():
        if line and not line.startswith(" "):
            in_class = line == f"class {name}(Module):"
        if not line.startswith("   "):
            in_method = in_class and line.startswith("  def forward(")
        if in_method:
            lines.append(line)
    method = "\n".join(lines)
    if not method or len(method) > LONGEST[1]:
        raise ModelFileError(f"the deployed model has no code for {name[:50]} that is understood here")
    return method
