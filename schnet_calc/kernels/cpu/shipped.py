"""Compiled functions whose types and lowering are done: LLVM code that comes with the package.

Most of what numba does before a function's first call finds types and writes LLVM code, which is the same on all
machines: its result for the usual arguments lies beside this file, and LLVM makes it for the processor at hand.
From there on all is numba's: calls, types, cache. What has no such code (other arguments, changed sources, another
architecture, another numba) is compiled as ever: the same code, later.

``benchmarks/ship_kernels.py`` writes the archives.
"""

import hashlib
import json
import logging
import os
import platform
import re
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba import types
from numba.core import bytecode, compiler, funcdesc
from numba.core.compiler_lock import global_compiler_lock
from numba.core.environment import Environment

from schnet_calc.kernels.cpu.simd import WIDE

logger = logging.getLogger("schnet_calc")
ARCHIVE = Path(__file__).parent / "shipped" / f"{'wide' if WIDE else 'narrow'}.zip"
INDEX = "index.json"
"""In an archive: numba's version, and by key the types of what each function returns."""
MACHINES = ("x86_64", "AMD64")
SYMBOL = "schnet_calc_shipped"
"""Name of the function in its module."""
ARRAY = re.compile(r"array\((\w+), (\d)d, C\)")
"""How numba writes the type of an array."""
SWITCH = "SCHNET_CALC_SHIPPED"
"""Environment variable: with 0, numba compiles everything."""


def _sources() -> str:
    """Hash of the files of this room that hold compiled code."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_text()
        compiled = "compiling import" in text or "intrinsic" in text or path.name == "compiling.py"
        if path.name != Path(__file__).name and compiled:
            digest.update(text.encode())
    return digest.hexdigest()


SOURCES = _sources()


def numba_version() -> str:
    """Return what shipped code depends on: how numba lays out arrays may change with 0.N."""
    return ".".join(numba.__version__.split(".")[:2])


def hash_of_file(module: str) -> str:
    """Return the hash of the file of a module; nothing where there is no file."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else ""


def key_of(function: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    """Return what tells a function of these argument types and sources from all others."""
    own = hash_of_file(function.__module__)
    words = (function.__module__, function.__qualname__, *map(str, arguments), SOURCES, own)
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:20]


@cache
def returned_types() -> dict[str, list[str]]:
    """Names of the types that each shipped function returns, by key; none where they can't be used."""
    if platform.machine() not in MACHINES or os.environ.get(SWITCH) == "0":
        return {}
    try:
        with zipfile.ZipFile(ARCHIVE) as archive:
            index = json.loads(archive.read(INDEX))
        found: dict[str, list[str]] = index["returned"] if index["numba"] == numba_version() else {}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return {}
    return found


class Compiler(compiler.Compiler):
    """Numba's, which looks for shipped code first."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        """Compile a function for the argument types in :attr:`state`."""
        key = key_of(func, self.state.args)
        if key in returned_types():
            try:
                with global_compiler_lock:
                    return self._shipped(func, key)
            except Exception as error:  # LLVM's, of code that it can't read, have no class of their own
                logger.info("numba compiles %s: shipped code can't be used (%r)", func.__name__, error)
        return super().compile_extra(func)

    def _shipped(self, func: Callable[..., Any], key: str) -> Any:
        """What numba's own pipeline ends with, from the function's code on."""
        state, context = self.state, self.state.targetctx
        descriptor = _described(func, state, _type_of(returned_types()[key]))
        library = context.codegen().create_library(descriptor.qualname)
        library.enable_object_caching()
        with context.push_code_library(library):
            library._final_module.link_in(_module(key, context, descriptor))
            environment = _environment(context, library, descriptor)
            context.create_cpython_wrapper(
                library, descriptor, environment, None, release_gil=state.flags.release_gil
            )
        entry = context.get_executable(library, descriptor, environment)
        context.insert_user_function(entry, descriptor, [library])
        return compiler.compile_result(
            typing_context=state.typingctx,
            target_context=context,
            entry_point=entry,
            typing_error=None,
            type_annotation="",
            library=library,
            signature=descriptor.restype(*state.args),
            objectmode=False,
            lifted=(),
            fndesc=descriptor,
            environment=environment,
            metadata=state.metadata,
            reload_init=[],
        )


def _described(func: Callable[..., Any], state: Any, returned: Any) -> Any:
    """A function's names and types as numba wants them."""
    identity = bytecode.FunctionIdentity.from_function(func)
    return funcdesc.PythonFunctionDescriptor(
        native=True,
        modname=identity.modname,
        qualname=identity.func_qualname,
        unique_name=identity.unique_name,
        doc=func.__doc__ or "",
        typemap={},
        restype=returned,
        calltypes={},
        args=tuple(identity.arg_names),
        kws=(),
        mangler=state.targetctx.mangler,
        argtypes=tuple(state.args),
        abi_tags=[state.flags.get_mangle_string()],
        uid=identity.unique_id,
    )


def _environment(context: Any, library: Any, descriptor: Any) -> Any:
    """Numba's place for Python objects that compiled code uses, of which there are none."""
    module = context.create_module("environment")
    context.declare_env_global(module, context.get_env_name(descriptor))
    context.post_lowering(module, library)
    library.add_ir_module(module)
    return Environment.from_fndesc(descriptor)


def _type_named(name: str) -> Any:
    """The numba type of a number, ``float64``, or of an array, ``array(float64, 2d, C)``."""
    if array := ARRAY.fullmatch(name):
        return types.Array(getattr(types, array[1]), int(array[2]), "C")
    return getattr(types, name)


def _type_of(names: list[str]) -> Any:
    """The numba type of nothing, or of one or several numbers and arrays."""
    kinds = [_type_named(name) for name in names]
    if not kinds:
        return types.none
    return kinds[0] if len(kinds) == 1 else types.BaseTuple.from_types(kinds)


def _module(key: str, context: Any, descriptor: Any) -> Any:
    """The shipped module, its function named as numba calls it; an error if it is called in another way."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        module = llvmlite.binding.parse_bitcode(archive.read(key))
    module.triple = llvmlite.binding.get_process_triple()
    module.data_layout = context.codegen()._data_layout
    function = module.get_function(SYMBOL)
    wanted = context.call_conv.get_function_type(descriptor.restype, descriptor.argtypes).args
    given = [str(argument.type) for argument in function.arguments]
    if given != ["ptr" if kind.is_pointer else str(kind) for kind in wanted]:
        raise ValueError(f"numba calls {descriptor.qualname} in another way")
    function.name = descriptor.llvm_func_name
    function.linkage = "external"
    return module
