"""Functions in LLVM's language that work on vectors, and how Numba's code calls them.

LLVM's vectors have any number of lanes and become one register each, where they are as wide as the
registers are.  llvmlite, Numba's own tool, writes the text; `runs` puts what is written behind a
Python function, its definition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from minigrad_ae.kernels.jit import known_when_compiling, numba
from minigrad_ae.kernels.width import AVX512, widen

BYTES = 64 if AVX512 else 32  # in a vector

ir: Any = None
I64: Any = None
with suppress(ImportError):
    ir = import_module("llvmlite.ir")
    from numba.core import cgutils, types
    from numba.extending import intrinsic, overload

    I64, I32 = ir.IntType(64), ir.IntType(32)


@known_when_compiling
def lanes(a: Any) -> Any:
    """How many numbers of the dtype of ``a`` make a vector."""
    return BYTES // a.itemsize


def lanes_of(number: Any) -> int:
    """The same for one of LLVM's types."""
    return BYTES // (4 if isinstance(number, ir.FloatType) else 8)


def called(code: Any, name: str, result: Any, *arguments: Any) -> Any:
    """A call of one of LLVM's own functions."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    known = code.module.globals.get(name)
    return code.call(known or ir.Function(code.module, kind, name), arguments)


class Writer:
    """An LLVM function that is being written, for vectors of one kind of numbers.

    ``arguments`` has a letter for each: p, where numbers begin, or i, a count.
    """

    def __init__(self, module: Any, name: str, number: Any, arguments: str) -> None:
        kinds = [number.as_pointer() if letter == "p" else I64 for letter in arguments]
        self.function = widen(ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name))
        self.function.linkage = "linkonce_odr"  # one for all callers
        self.code = ir.IRBuilder(self.new_block())
        self.lanes = lanes_of(number)
        self.bytes = BYTES // self.lanes  # of a number
        self.vector = ir.VectorType(number, self.lanes)
        self.zeros = ir.Constant(self.vector, None)
        self.loops: list[Any] = []  # that have begun: (top, values, end)

    def new_block(self) -> Any:
        return self.function.append_basic_block()

    def at(self, place: Any, n: Any) -> Any:
        """Where a vector begins: n numbers on."""
        return self.code.bitcast(self.code.gep(place, [n]), self.vector.as_pointer())

    def index(self, step: Any, times: int, more: int) -> Any:
        """step times + more"""
        return self.code.add(self.code.mul(step, I64(times)), I64(more))

    def load(self, place: Any, n: Any, mask: Any = None) -> Any:
        """The vector there; zeros in lanes that are not in the mask, which are not read."""
        if mask is None:
            return self.code.load(self.at(place, n), align=self.bytes)
        arguments = self.at(place, n), I32(self.bytes), mask, self.zeros
        return self._masked("load", self.vector, arguments)

    def store(self, value: Any, place: Any, n: Any, mask: Any = None) -> None:
        if mask is None:
            self.code.store(value, self.at(place, n), align=self.bytes)
        else:
            arguments = value, self.at(place, n), I32(self.bytes), mask
            self._masked("store", ir.VoidType(), arguments)

    def _masked(self, what: str, result: Any, arguments: Sequence[Any]) -> Any:
        name = f"llvm.masked.{what}.v{self.lanes}f{8 * self.bytes}.p0"
        return called(self.code, name, result, *arguments)

    def shuffle(self, a: Any, b: Any, chosen: Sequence[int]) -> Any:
        """The chosen ones of the lanes of a, and after them of b."""
        numbers = ir.Constant(ir.VectorType(I32, self.lanes), list(chosen))
        return self.code.shuffle_vector(a, b, numbers)

    def repeat(self, number: Any) -> Any:
        """A vector with this number in every lane."""
        none = ir.Constant(ir.VectorType(number.type, self.lanes), ir.Undefined)
        return self.shuffle(self.code.insert_element(none, number, I32(0)), none, [0] * self.lanes)

    def lanes_below(self, count: Any) -> Any:
        """A mask: the first ``count`` lanes, or all of them."""
        numbers = ir.Constant(ir.VectorType(I32, self.lanes), list(range(self.lanes)))
        fewer = self.code.icmp_signed("<", count, I64(self.lanes))
        most = self.code.trunc(self.code.select(fewer, count, I64(self.lanes)), I32)
        return self.code.icmp_signed("<", numbers, self.repeat(most))

    def multiply_add(self, xs: Sequence[Any], ys: Sequence[Any], sums: Sequence[Any]) -> list[Any]:
        """x y + sum in each lane, one instruction each where the processor has it."""
        products = [self.code.fmul(x, y, flags=["contract"]) for x, y in zip(xs, ys, strict=True)]
        pairs = zip(sums, products, strict=True)
        return [self.code.fadd(total, one, flags=["contract"]) for total, one in pairs]

    def across_lanes(self, vector: Any, meet: Callable[[Any, Any], Any]) -> Any:
        """One number of a vector: halves meet until it is left."""
        half = self.lanes // 2
        while half:
            upper = [(lane + half) % self.lanes for lane in range(self.lanes)]
            vector = meet(vector, self.shuffle(vector, vector, upper))
            half //= 2
        return self.code.extract_element(vector, I32(0))

    def sum_of_lanes(self, vector: Any) -> Any:
        return self.across_lanes(vector, self.code.fadd)

    def begin_loop(self, turns: Any, firsts: Sequence[Any]) -> list[Any]:
        """What follows is done ``turns`` times, perhaps never; the values that change from turn to
        turn begin as ``firsts``.  A loop in a loop ends first.
        """
        firsts, before, top = [I64(0), *firsts], self.code.block, self.new_block()
        self.code.branch(top)
        self.code.position_at_end(top)
        values = [self.code.phi(first.type) for first in firsts]
        for value, first in zip(values, firsts, strict=True):
            value.add_incoming(first, before)
        body, end = self.new_block(), self.new_block()
        self.code.cbranch(self.code.icmp_signed("<", values[0], turns), body, end)
        self.code.position_at_end(body)
        self.loops.append((top, values, end))
        return values[1:]

    def end_loop(self, following: Sequence[Any]) -> list[Any]:
        """The values as they go into the next turn; returned is what they are in the end."""
        top, values, end = self.loops.pop()
        done = self.code.add(values[0], I64(1))
        for value, next_one in zip(values, [done, *following], strict=True):
            value.add_incoming(next_one, self.code.block)
        self.code.branch(top)
        self.code.position_at_end(end)
        return values[1:]


def one_of(functions: Sequence[Any], name: str, more: int, case: Callable[..., Any]) -> Any:
    """A function that jumps to one of several that take the same arguments.

    Its last ``more`` arguments are for ``case(code, arguments, *the others)`` alone, which computes
    the number of the function.
    """
    first = functions[0]
    kinds = [*first.function_type.args, *[I64] * more]
    choice = ir.Function(first.module, ir.FunctionType(ir.VoidType(), kinds), name)
    choice.linkage = "linkonce_odr"
    code, none = ir.IRBuilder(choice.append_basic_block()), choice.append_basic_block()
    args = list(choice.args)
    switch = code.switch(case(code, args[:-more], *args[-more:]), none)
    for number, function in enumerate(functions):
        switch.add_case(I64(number), choice.append_basic_block())
        code.position_at_end(choice.blocks[-1])
        code.call(function, args[:-more])
        code.ret_void()
    code.position_at_end(none)
    code.ret_void()
    return choice


def runs(write: Callable[[Any, str, Any], Any]) -> Callable[[Any], Any]:
    """Decorator of a definition in Python: compiled code calls the function that ``write(module,
    name, number)`` adds to its module.

    The arguments are arrays, each followed by the number of the element to begin with, and counts.
    """

    def decorate(definition: Any) -> Any:
        if ir is None or numba is None or numba.config.DISABLE_JIT:
            return definition

        @intrinsic
        def written(typing: Any, arguments: Any) -> Any:
            array = next(kind for kind in arguments if isinstance(kind, types.Array))

            def call(context: Any, code: Any, signature: Any, args: Any) -> Any:
                number = context.get_value_type(array.dtype)
                name = f"minigrad_ae_{definition.__name__}_{number}"
                function = code.module.globals.get(name) or write(code.module, name, number)
                passed: list[Any] = []
                place = None
                for kind, value in zip(arguments, cgutils.unpack_tuple(code, args[0]), strict=True):
                    if isinstance(kind, types.Array):
                        place = context.make_array(kind)(context, code, value=value).data
                        continue
                    count = context.cast(code, value, kind, types.int64)
                    passed.append(count if place is None else code.gep(place, [count]))
                    place = None
                code.call(function, passed)
                return context.get_dummy_value()

            return types.void(arguments), call

        @overload(definition, strict=False)
        def compiled(*arguments: Any) -> Any:
            run: Any = written
            return lambda *arguments: run(arguments)

        return definition

    return decorate
