"""Vectors of a processor's width in compiled code.

LLVM finds vectors in plain loops by itself, but narrow ones, and it keeps no tile of a matrix product in
registers: look-ups took 1.7 times as long, products of twenty rows two to five times. So the loops of
:mod:`~schnet_calc.kernels.cpu.structure` say themselves what is a vector: ``load``, ``store``, ``fma``.
"""

from typing import Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as _intrinsic, models, register_model

intrinsic: Any = _intrinsic
"""Its arguments are other ones than those that are written down, which type checkers can't know."""


def _has_wide_vectors() -> bool:
    """Whether code is compiled for 64-byte vectors."""
    chosen = getattr(numba.config, "CPU_FEATURES", None)
    if chosen is None:
        return bool(llvmlite.binding.get_host_cpu_features().get("avx512f", False))
    return "+avx512f" in chosen


WIDE = _has_wide_vectors()
VECTOR_BYTES = 64 if WIDE else 32
"""Elsewhere two registers may make one vector."""
CONTRACT = ("contract",)
"""A product and a sum may become one operation, and nothing else may change: same numbers for any batch."""


class Vector(types.Type):
    """Type of a vector of floating point numbers in compiled code."""

    def __init__(self, element: types.Float) -> None:
        self.element = element
        self.lanes = 8 * VECTOR_BYTES // element.bitwidth
        super().__init__(name=f"Vector({element}, {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Vector) -> None:
        element = manager.lookup(kind.element).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


@intrinsic
def lanes(typingctx, array):  # type: ignore[no-untyped-def]
    """How many numbers of an array a vector has: known when code is compiled, as ``array.itemsize`` is not."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return context.get_constant(types.intp, Vector(array.dtype).lanes)

    return types.intp(array), codegen


@intrinsic
def load(typingctx, array, index):  # type: ignore[no-untyped-def]
    """The vector that begins at an index of a contiguous array (n,)."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = data_of(context, builder, signature.args[0], arguments[0])
        return load_at(builder, data, arguments[1], signature.return_type.lanes)

    return Vector(array.dtype)(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, vector):  # type: ignore[no-untyped-def]
    """Write a vector to where an index of a contiguous array (n,) says."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = data_of(context, builder, signature.args[0], arguments[0])
        store_at(builder, data, arguments[1], arguments[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@intrinsic
def splat(typingctx, value):  # type: ignore[no-untyped-def]
    """The vector whose numbers are all the same."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return splat_of(builder, arguments[0], signature.return_type.lanes)

    return Vector(value)(value), codegen


@intrinsic
def times(typingctx, a, b):  # type: ignore[no-untyped-def]
    """``a * b``."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.fmul(*arguments, flags=CONTRACT)

    return a(a, b), codegen


@intrinsic
def plus(typingctx, a, b):  # type: ignore[no-untyped-def]
    """``a + b``."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.fadd(*arguments, flags=CONTRACT)

    return a(a, b), codegen


@intrinsic
def fma(typingctx, a, b, c):  # type: ignore[no-untyped-def]
    """``a * b + c``, in one operation where the processor has it."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return fma_of(builder, *arguments)

    return a(a, b, c), codegen


@intrinsic
def total(typingctx, a):  # type: ignore[no-untyped-def]
    """The sum of a vector's numbers."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (vector,) = arguments
        element = vector.type.element
        name = f"llvm.vector.reduce.fadd.v{vector.type.count}f{signature.return_type.bitwidth}"
        kind = ir.FunctionType(element, [element, vector.type])
        reduce = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(reduce, [ir.Constant(element, 0.0), vector], fastmath=("reassoc",))

    return a.element(a), codegen


def data_of(context: Any, builder: Any, kind: types.Array, array: Any) -> Any:
    """Pointer to the first element of an array."""
    return context.make_array(kind)(context, builder, array).data


def load_at(builder: Any, data: Any, index: Any, lanes: int) -> Any:
    """The vector at an index; it need not be aligned."""
    return builder.load(_place(builder, data, index, lanes), align=_alignment(data.type.pointee))


def store_at(builder: Any, data: Any, index: Any, vector: Any) -> None:
    """Write a vector to an index."""
    place = _place(builder, data, index, vector.type.count)
    builder.store(vector, place, align=_alignment(data.type.pointee))


def splat_of(builder: Any, value: Any, lanes: int) -> Any:
    """The vector of one number."""
    kind = ir.VectorType(value.type, lanes)
    integer = ir.IntType(32)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, integer(0))
    mask = ir.Constant(ir.VectorType(integer, lanes), [0] * lanes)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), mask)


def fma_of(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``."""
    return builder.fadd(builder.fmul(a, b, flags=CONTRACT), c, flags=CONTRACT)


def _place(builder: Any, data: Any, index: Any, lanes: int) -> Any:
    kind = ir.VectorType(data.type.pointee, lanes)
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _alignment(element: Any) -> int:
    return 4 if isinstance(element, ir.FloatType) else 8
