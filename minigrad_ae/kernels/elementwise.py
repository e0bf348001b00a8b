"""NumPy's element-wise functions, call after call, as one loop over all of them.

``np.multiply(a, b, t)`` and ``np.add(t, c, out)`` run over their arrays once each; in one loop a
number is still in a register when the next function wants it.  Adding, subtracting, multiplying,
dividing, comparing and choosing are exact to the last bit however they are done: the results are
NumPy's.  Shapes and strides are known when a loop is written: broadcasting is a stride of 0, and
axes that lie one behind the other are one.  ``np.add.reduce`` over the first axes is such a loop,
too, in NumPy's own order, with a stride of 0 on the side of the sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigrad_ae.kernels.calls import Calls, choose
from minigrad_ae.kernels.handlers import I8, I32, I64, begin, ir

Array = np.ndarray
# what LLVM calls them
ARITHMETIC = {np.add: "fadd", np.subtract: "fsub", np.multiply: "fmul", np.divide: "fdiv"}
COMPARISONS = {np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">="}
COMPARISONS |= {np.equal: "==", np.not_equal: "!="}
MOST = 24  # reads and writes in one loop


class Statement:
    """``out = sign(*inputs)``, all of one shape by strides of 0; a number stands for itself."""

    def __init__(self, sign: str, inputs: tuple[Any, ...], out: Array) -> None:
        self.sign, self.out, self.shape = sign, out, out.shape
        self.inputs = [spread(x, out.shape) if isinstance(x, Array) else x for x in inputs]
        self.read = [x for x in self.inputs if isinstance(x, Array)]

    def clashes(self, written: Array) -> bool:
        """Whether it reads or writes what another statement, or itself, writes at another turn."""
        return any(not same(x, written) and meet(x, written) for x in (*self.read, self.out))


class Loop:
    """Statements that are done together, element by element.

    arrays   each of them once
    shape    what the loops run over, the last one innermost
    key      what its machine code depends on
    """

    def __init__(self, statements: list[Statement]) -> None:
        self.statements = statements
        self.arrays: list[Array] = []
        for statement in statements:
            for array in (*statement.read, statement.out):
                if not any(same(array, known) for known in self.arrays):
                    self.arrays.append(array)
        strides = [tuple(s // a.itemsize for s in a.strides) for a in self.arrays]
        self.shape, self.strides = merged(statements[0].shape, strides)
        self.lines = [
            (s.sign, *(self.number(x) for x in s.inputs), self.number(s.out)) for s in statements
        ]
        dtypes = tuple(a.dtype.char for a in self.arrays)
        self.key = "loop", self.shape, tuple(self.strides), dtypes, tuple(self.lines)

    def number(self, x: Any) -> Any:
        """The number of an array among `arrays`; a constant as ('number', value)."""
        if not isinstance(x, Array):
            return "number", x
        return next(k for k, known in enumerate(self.arrays) if same(x, known))

    def write(self, module: Any, name: str) -> None:
        """The handler: addresses from its slots, and then the loops, in a function whose arrays are
        known to lie apart.
        """
        kinds = [kind_of(a.dtype).as_pointer() for a in self.arrays]
        inner = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), f"{name}_loop")
        for argument in inner.args:
            argument.add_attribute("noalias")
        body = ir.IRBuilder(inner.append_basic_block())
        self.nest(body, inner.args, [])
        body.ret_void()
        code, slot = begin(module, name)
        code.call(inner, [code.inttoptr(code.load(slot(k)), t) for k, t in enumerate(kinds)])
        code.ret(I32(0))

    def nest(self, code: Any, arrays: Any, indices: list[Any]) -> None:
        """``for i in range(shape[0]): for j in range(shape[1]): ...``"""
        if len(indices) == len(self.shape):
            self.body(code, arrays, indices)
            return
        before, loop = code.block, code.append_basic_block()
        after = code.append_basic_block()
        code.branch(loop)
        code.position_at_end(loop)
        index = code.phi(I64)
        index.add_incoming(I64(0), before)
        self.nest(code, arrays, [*indices, index])
        following = code.add(index, I64(1))
        index.add_incoming(following, code.block)
        size = I64(self.shape[len(indices)])
        code.cbranch(code.icmp_signed("<", following, size), loop, after)
        code.position_at_end(after)

    def body(self, code: Any, arrays: Any, indices: list[Any]) -> None:
        """What is done at one place."""
        places: dict[int, Any] = {}
        values: dict[int, Any] = {}  # numbers that are in registers

        def place(k: int) -> Any:
            if k not in places:
                terms = zip(indices, self.strides[k], strict=True)
                steps = [code.mul(i, I64(s)) for i, s in terms if s]
                offset = I64(0)
                for step in steps:
                    offset = code.add(offset, step)
                places[k] = code.gep(arrays[k], [offset], inbounds=True)
            return places[k]

        def value(x: Any, like: Any) -> Any:
            if isinstance(x, tuple):
                return ir.Constant(like, x[1])
            if x not in values:
                values[x] = code.load(place(x))
            return values[x]

        for sign, *inputs, out in self.lines:
            like = kind_of(self.arrays[out].dtype)
            arrays_read = [
                kind_of(self.arrays[x].dtype) for x in inputs if not isinstance(x, tuple)
            ]
            wanted = arrays_read[-1] if arrays_read else like
            found = result_of(code, sign, [value(x, wanted) for x in inputs], like)
            code.store(found, place(out))
            values[out] = found


def result_of(code: Any, sign: str, inputs: list[Any], like: Any) -> Any:
    """One function of numbers in registers, as a number of the type `like`."""
    if sign == "copy":
        (x,) = inputs
        if x.type == like:
            return x
        return code.fpext(x, like) if like == ir.DoubleType() else code.fptrunc(x, like)
    if sign == "choose":
        condition, a, b = inputs
        return code.select(code.icmp_signed("!=", condition, I8(0)), a, b)
    if sign in COMPARISONS.values():
        ask = code.fcmp_unordered if sign == "!=" else code.fcmp_ordered
        return code.zext(ask(sign, *inputs), I8)
    return getattr(code, sign)(*inputs)


# --- calls as statements --------------------------------------------------------------------------


def grouped(calls: Calls) -> Iterator[tuple[Loop | None, Calls]]:
    """The calls in their order: runs of element-wise ones with their loop, the others with None."""
    statements: list[Statement] = []
    group: Calls = []
    for call in calls:
        found = statements_of(*call)
        if statements and not joins(found, statements):
            yield Loop(statements), group
            statements, group = [], []
        if len(found) == 1:
            statements, group = [*statements, *found], [*group, call]
        elif found:
            yield from ((Loop([statement]), [call]) for statement in found)
        else:
            yield None, [call]
    if statements:
        yield Loop(statements), group


def joins(found: list[Statement], statements: list[Statement]) -> bool:
    """Whether a call's only statement can be done in the loop of the statements before it."""
    if len(found) != 1 or found[0].shape != statements[0].shape:
        return False
    (new,) = found
    if sum(len(s.read) + 1 for s in (*statements, new)) > MOST:
        return False
    return not any(new.clashes(s.out) or s.clashes(new.out) for s in statements)


def statements_of(function: Any, args: tuple[Any, ...]) -> list[Statement]:
    """An element-wise call; nothing where it is not one, or is not exact in every way."""
    if isinstance(function, partial):
        return []
    if function == np.add.reduce:
        return sums(*args)
    found = statement_of(function, args)
    if found is None or found.clashes(found.out) or 0 in found.shape:
        return []
    return [found]


def statement_of(function: Any, args: tuple[Any, ...]) -> Statement | None:
    """A call of one of the functions that are known here."""
    arrays = [a for a in args if isinstance(a, Array)]
    kinds = {a.dtype.char for a in arrays}
    real = kinds <= {"f"} or kinds <= {"d"}
    if function is np.copyto and len(args) == 2 and len(arrays) == 2:
        if len(kinds) == 1 or kinds == {"f", "d"}:
            return Statement("copy", args[1:], args[0])
    elif getattr(function, "__name__", "") == "fill" and isinstance(function.__self__, Array):
        out = function.__self__
        return Statement("copy", args, out) if out.dtype.char in "fd" else None
    elif not all(isinstance(a, Array) for a in args):
        return None
    elif function in ARITHMETIC and real:
        return Statement(ARITHMETIC[function], args[:2], args[2])
    elif function is np.negative and real:
        return Statement("fneg", args[:1], args[1])
    elif function in COMPARISONS and kinds in ({"?", "f"}, {"?", "d"}):
        return Statement(COMPARISONS[function], args[:2], args[2])
    elif function is choose and args[0].dtype == bool and kinds in ({"?", "f"}, {"?", "d"}):
        return Statement("choose", args[:3], args[3])
    return None


def sums(x: Array, axes: Any, dtype: Any, out: Array, keepdims: bool = False) -> list[Statement]:
    """``np.add.reduce`` over the first axes of rows of numbers: the first row, and on it all
    others.
    """
    axes = tuple(range(x.ndim)) if axes is None else np.atleast_1d(axes) % x.ndim
    count = int(np.prod(x.shape[: len(axes)]))
    plain = x.flags.c_contiguous and out.flags.c_contiguous and x.dtype == out.dtype
    # NumPy adds what lies side by side in another order, in pairs
    if not plain or list(axes) != list(range(len(axes))) or count == 0 or out.size < 2:
        return []
    if x.dtype.char not in "fd" or meet(x, out):
        return []
    rows, total = x.reshape(count, -1), out.reshape(-1)
    first = Statement("copy", (rows[0],), total)
    many = as_strided(total, (count - 1, total.size), (0, total.itemsize))
    return [first, Statement("fadd", (many, rows[1:]), many)] if count > 1 else [first]


# --- where numbers are ----------------------------------------------------------------------------


def spread(x: Array, shape: tuple[int, ...]) -> Array:
    """x as an array of this shape, by strides of 0."""
    return x if x.shape == shape else np.broadcast_to(x, shape)


def same(a: Array, b: Array) -> bool:
    """Whether two arrays of one shape are the same numbers in the same order."""
    return a.ctypes.data == b.ctypes.data and a.strides == b.strides and a.dtype == b.dtype


def meet(a: Array, b: Array) -> bool:
    """Whether they might have memory in common."""
    return bool(np.may_share_memory(a, b))


def merged(
    shape: tuple[int, ...], strides: list[tuple[int, ...]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The same places with as few axes as can be; the strides are those of each array."""
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for k, size in enumerate(shape):
        if size == 1:
            continue
        if sizes and all(own[-1] == s[k] * size for own, s in zip(steps, strides, strict=True)):
            sizes[-1] *= size
            for own, s in zip(steps, strides, strict=True):
                own[-1] = s[k]
        else:
            sizes.append(size)
            for own, s in zip(steps, strides, strict=True):
                own.append(s[k])
    return tuple(sizes), [tuple(own) for own in steps]


def kind_of(dtype: Any) -> Any:
    """LLVM's type for the numbers of an array: those that are only copied are bits."""
    if dtype == np.float32:
        return ir.FloatType()
    return ir.DoubleType() if dtype == np.float64 else ir.IntType(8 * dtype.itemsize)
