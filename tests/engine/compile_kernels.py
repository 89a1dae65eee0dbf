"""Compile every kernel for an architecture, in both types: python compile_kernels.py 90."""

import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from schnet_calc.kernels.cuda import dense, pairs

WHOLE, REAL, COUNT, K = "*i32", "*fp64", "i32", 128


def sources(real: str):
    """Kernels with the types of their arguments and the values of their constants."""
    t, wide = f"*{real}", {"BK": 128, "BE": 8}
    layer = {"N_IN": K, "N_OUT": K, "STRIDE": 384, "KIND": 0, "BR": 16, "BC": 32, "BI": 32}
    for cutoff in range(5):
        constants = {"WIDTH": 256, "STRIDE": 384, "CUTOFF": cutoff, "BW": 256, "BE": 32}
        yield pairs.locate, [WHOLE, REAL, WHOLE, WHOLE, REAL, REAL, t, t, WHOLE, t, REAL, REAL], constants
    yield pairs.convolve, [WHOLE, WHOLE, WHOLE, t, t, t, t, t], {"K": K, "STRIDE": 384, **wide}
    for first, last in ((True, False), (False, False), (False, True)):
        constants = {"K": K, "STRIDE": 384, "FIRST": first, "LAST": last, **wide}
        yield pairs.convolve_adjoint, [WHOLE, WHOLE, WHOLE, t, t, t, t, t, t, t], constants
    yield pairs.pull, [WHOLE, t, REAL, REAL, REAL], {"BE": 32}
    yield dense.dense, [t, t, t, t, t, COUNT], layer
    yield dense.dense_adjoint, [t, t, t, t, COUNT], layer
    for kind in range(5):
        constants = {"H": 64, "STRIDE": 192, "KIND": kind, "BR": 16, "BH": 64}
        yield dense.read_out, [t, t, t, REAL, t, t, REAL, COUNT], constants
    yield dense.sum_structures, [REAL, WHOLE, REAL], {"BA": 64}


def main(architecture: int) -> None:
    """Compile them, and say how large they are."""
    for real in ("fp32", "fp64"):
        for kernel, types, constants in sources(real):
            rest = iter(types)
            signature = {n: "constexpr" if n in constants else next(rest) for n in kernel.arg_names}
            source = ASTSource(kernel, signature=signature, constexprs=constants)
            made = triton.compile(source, target=GPUTarget("cuda", architecture, 32))
            print(
                kernel.__name__, real, f"cubin {len(made.asm['cubin'])} B, shared {made.metadata.shared} B"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]))
