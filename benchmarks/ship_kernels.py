"""Write the LLVM code of the compiled functions that comes with the package: schnet_calc/kernels/cpu/shipped/.

    python benchmarks/ship_kernels.py

Run it after each change of schnet_calc/kernels/cpu, schnet_calc/guard/bonds.py and shapes.py,
schnet_calc/engine/checks.py and schnet_calc/lammps/pairs.py; a test says when it was forgotten, and until then
numba compiles on each machine. It uses the package in every common way, and for either vector width keeps what
numba makes of the functions that were called, before anything is made for a processor.
"""

import importlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import llvmlite.binding
import torch
from numba.core import codegen, types

from schnet_calc.kernels.cpu import shipped
from schnet_calc.warm_up import warm_up

PROCESSORS = {
    "narrow": ("x86-64-v3", "+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+movbe"),
    "wide": ("x86-64-v4", "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+avx2,+fma,+bmi,+bmi2"),
}
Called = dict[str, tuple[str, str, tuple[Any, ...]]]
"""By key: module and name of a function, and the types it was called with."""


DEPTH = [0]
CALLED: Called = {}
FOUND: dict[str, tuple[list[str], bytes]] = {}
"""By key: what each function returns, and its code."""


def record() -> None:
    """Keep what is linked from all that a function calls, before it is optimised."""
    optimize, compile_extra = codegen.CPUCodeLibrary._optimize_final_module, shipped.Compiler.compile_extra

    def keep(library: Any) -> None:
        library.linked = library._final_module.as_bitcode()
        optimize(library)

    def compile_and_keep(self: Any, func: Any) -> Any:
        DEPTH[0] += 1
        try:
            result = compile_extra(self, func)
        finally:
            DEPTH[0] -= 1
        # What compiled code calls belongs to it, and has code of its own where Python calls it as well.
        called = DEPTH[0] == 0 or not self.state.flags.no_cpython_wrapper
        if called and func.__module__.startswith("schnet_calc."):
            key = shipped.key_of(func, self.state.args)
            CALLED[key] = (func.__module__, func.__qualname__, self.state.args)
            FOUND[key] = (returned(result.signature.return_type), portable(result))
        return result

    codegen.CPUCodeLibrary._optimize_final_module = keep
    shipped.Compiler.compile_extra = compile_and_keep  # type: ignore[method-assign]


def returned(kind: Any) -> list[str]:
    """Names of the types of what a function returns."""
    if kind is types.none:
        return []
    return [str(k) for k in (kind if isinstance(kind, types.BaseTuple) else [kind])]


def portable(result: Any) -> bytes:
    """The module of a function as bitcode, with nothing in it that the function doesn't need."""
    module = llvmlite.binding.parse_bitcode(result.library.linked)
    for thing in (*module.functions, *module.global_variables):
        if thing.name == result.fndesc.llvm_func_name:
            thing.name = shipped.SYMBOL
        elif not thing.is_declaration:
            thing.linkage = "internal"
    machine = llvmlite.binding.Target.from_default_triple().create_target_machine()
    builder = llvmlite.binding.create_pass_builder(
        machine, llvmlite.binding.create_pipeline_tuning_options()
    )
    passes = llvmlite.binding.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, builder)
    module.name = shipped.SYMBOL
    return module.as_bitcode()


def record_all(width: str, passed: Path) -> None:
    """Write one archive; the first process calls the functions, the next compile what that called."""
    record()
    if passed.is_file():
        for module, name, arguments in pickle.loads(passed.read_bytes()).values():
            getattr(importlib.import_module(module), name).compile(arguments)
        write(width)
        return
    torch.set_num_threads(2)
    for name, compile_all in warm_up():
        print(width, name, flush=True)
        compile_all()
        passed.write_bytes(pickle.dumps(CALLED))
        write(width)


def write(width: str) -> None:
    """Write what there is so far."""
    target = shipped.ARCHIVE.with_name(f"{width}.zip")
    target.parent.mkdir(exist_ok=True)
    kinds = {key: kinds for key, (kinds, _) in sorted(FOUND.items())}
    index = {"numba": shipped.numba_version(), "sources": shipped.SOURCES, "returned": kinds}
    index["files"] = {module: shipped.hash_of_file(module) for module, _, _ in CALLED.values()}
    files = {shipped.INDEX: json.dumps(index).encode(), **{key: code for key, (_, code) in FOUND.items()}}
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in sorted(files.items()):  # ZipInfo's date is always the same
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_LZMA)


def main() -> None:
    """Write both archives, each in a process of its own: a processor is chosen once."""
    with tempfile.TemporaryDirectory() as folder:
        for width, (name, features) in PROCESSORS.items():
            environment = {
                "NUMBA_CPU_NAME": name,
                "NUMBA_CPU_FEATURES": features,
                "NUMBA_CACHE_DIR": folder,
                shipped.SWITCH: "0",
            }
            arguments = [sys.executable, __file__, width, f"{folder}/called"]
            subprocess.run(arguments, env={**os.environ, **environment}, check=True)


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else record_all(sys.argv[1], Path(sys.argv[2]))
