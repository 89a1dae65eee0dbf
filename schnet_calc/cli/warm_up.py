"""The command that compiles."""

import time
from pathlib import Path

from schnet_calc.cli.console import err, out, print_table, write_json


def warm_up(*, json: Path | None = None) -> None:
    """Compile everything for this processor now, and say where it is kept.

    Jobs that see the same folder then begin at once: NUMBA_CACHE_DIR names one for numba, on a shared disk or in a
    container image.

    Parameters
    ----------
    json
        Where to write the seconds of each part, the folder and its size.
    """
    from schnet_calc.kernels.cpu.compiling import cache_folder
    from schnet_calc.warm_up import warm_up as parts

    folder = cache_folder()
    if folder is None:
        raise OSError("there is no folder to keep compiled code in: let NUMBA_CACHE_DIR name one")
    began, seconds = time.perf_counter(), {}
    for name, compile_all in parts():
        started = time.perf_counter()
        err.print(f"{name} ...", end="")
        compile_all()
        seconds[name] = time.perf_counter() - started
        err.print(f" {seconds[name]:.1f} s")
    files = [path for path in folder.parent.rglob("*.nb[ic]") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    print_table(
        "compiled",
        {
            "seconds": f"{time.perf_counter() - began:.0f}",
            "folder": folder.parent,
            "size": f"{size:.1f} MB",
        },
    )
    out.print("to use it elsewhere: the same processor, versions and NUMBA_CACHE_DIR")
    write_json(json, {"seconds": seconds, "folder": str(folder.parent), "megabytes": size})
