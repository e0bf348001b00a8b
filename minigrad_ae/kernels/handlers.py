"""Pieces of machine code that read their arguments from a row of 8-byte numbers: see native.py.

They are written in LLVM's language with llvmlite, Numba's own tool, and are a few lines each: a
*handler* for every signature of a kernel, which fetches the arguments and jumps, and `walk`, which
goes from handler to handler.  A kernel that fails (it can only run out of memory) returns a status
other than 0, as Numba's functions do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from minigrad_ae.kernels.backend import backend
from minigrad_ae.kernels.jit import numba
from minigrad_ae.kernels.width import widen

ir: Any = None  # without Numba, or with one of another make: Python makes the calls
with suppress(ImportError):
    from numba.core import types
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    ir = import_module("llvmlite.ir")

Write = Callable[[Any, str], None]  # a function of a module and a name, which adds it to the module


def available() -> bool:
    """Whether handlers can be made, and compiled kernels are what runs."""
    return ir is not None and backend() == "numba" and not numba.config.DISABLE_JIT


if ir is not None:
    I64, I32, I8 = ir.IntType(64), ir.IntType(32), ir.IntType(8)
    HANDLER = ir.FunctionType(I32, [I64.as_pointer()])


def begin(module: Any, name: str) -> tuple[Any, Callable[[int], Any]]:
    """``i32 name(i64 *slots)``, still empty: its builder, and a function that gives slot k."""
    function = widen(ir.Function(module, HANDLER, name))
    code = ir.IRBuilder(function.append_basic_block())
    return code, lambda k: code.gep(function.args[0], [I64(k)])


def size_of(kind: Any) -> int:
    """The slots that an argument of this type takes."""
    return 5 + 2 * kind.ndim if isinstance(kind, types.Array) else 1


def jump(result: Any, kinds: Sequence[Any], to: Any) -> Write:
    """A handler that calls the kernel whose address is in slot 0, with what follows.

    A kernel that returns a number has `to`, the type in which it is stored where slot 1 points.
    """

    def write(module: Any, name: str) -> None:
        context, (code, slot) = cpu_target.target_context, begin(module, name)
        convention = context.call_conv
        shape = convention.get_function_type(result, kinds).as_pointer()
        kernel, at, values = code.inttoptr(code.load(slot(0)), shape), 1 + (to is not None), []
        for kind in kinds:
            model = context.data_model_manager[kind]
            place = code.bitcast(slot(at), model.get_data_type().as_pointer())
            values.append(model.load_from_data_pointer(code, place))
            at += size_of(kind)
        status, value = convention.call_function(code, kernel, result, kinds, values)
        if to is not None:
            place = code.inttoptr(code.load(slot(1)), context.get_value_type(to).as_pointer())
            code.store(context.cast(code, value, result, to), place)
        code.ret(status.code)

    return write


def all_set(module: Any, name: str) -> None:
    """A handler that fails unless all bytes from the address in slot 0 on are 1; slot 1 says how
    many there are.
    """
    code, slot = begin(module, name)
    flags = code.inttoptr(code.load(slot(0)), I8.as_pointer())
    count, before = code.load(slot(1)), code.block
    loop, end = (code.append_basic_block() for _ in range(2))
    code.branch(loop)
    code.position_at_end(loop)
    index, known = code.phi(I64), code.phi(I8)
    found = code.and_(known, code.load(code.gep(flags, [index])))
    after = code.add(index, I64(1))
    for phi, first, then in ((index, I64(0), after), (known, I8(1), found)):
        phi.add_incoming(first, before)
        phi.add_incoming(then, loop)
    code.cbranch(code.icmp_signed("<", after, count), loop, end)
    code.position_at_end(end)
    code.ret(code.zext(code.icmp_signed("==", found, I8(0)), I32))


def walk(module: Any, name: str) -> None:
    """``i64 name(i64 *tape, i64 length)``: one handler after the other.

    Returns -1, or where on the tape one failed.
    """
    function = ir.Function(module, ir.FunctionType(I64, [I64.as_pointer(), I64]), name)
    tape, length = function.args
    entry, call, onwards, end = (function.append_basic_block() for _ in range(4))
    code = ir.IRBuilder(entry)
    code.branch(call)
    code.position_at_end(call)
    at = code.phi(I64)
    handler = code.inttoptr(code.load(code.gep(tape, [at])), HANDLER.as_pointer())
    size = code.load(code.gep(tape, [code.add(at, I64(1))]))
    status = code.call(handler, [code.gep(tape, [code.add(at, I64(2))])])
    code.cbranch(code.icmp_signed("==", status, I32(0)), onwards, end)
    code.position_at_end(onwards)
    after = code.add(at, size)
    code.cbranch(code.icmp_signed("<", after, length), call, end)
    code.position_at_end(end)
    result = code.phi(I64)
    for phi, value, block in (
        (at, I64(0), entry),
        (at, after, onwards),
        (result, at, call),
        (result, I64(-1), onwards),
    ):
        phi.add_incoming(value, block)
    code.ret(result)


class Handlers:
    """The handlers of this process, by what they depend on; ``play(tape, length)`` walks."""

    def __init__(self) -> None:
        self.addresses: dict[Any, int] = {}
        self.libraries: list[Any] = []  # their code lives as long as these
        self.play: Any = None

    def complete(self, wanted: Mapping[Any, Write]) -> None:
        """Compile those that are missing, all in one go."""
        missing = {k: write for k, write in wanted.items() if k not in self.addresses}
        if self.play is None:
            missing["walk"] = walk
        if not missing:
            return
        library = cpu_target.target_context.codegen().create_library("minigrad_ae_handlers")
        module = library.create_ir_module("minigrad_ae_handlers")
        names = {key: f"minigrad_ae_{len(self.addresses) + n}" for n, key in enumerate(missing)}
        for key, write in missing.items():
            write(module, names[key])
        with global_compiler_lock:
            library.add_ir_module(module)
            library.finalize()
        self.libraries.append(library)
        self.addresses |= {k: library.get_pointer_to_function(n) for k, n in names.items()}
        if self.play is None:
            kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
            self.play = kind(self.addresses["walk"])


handlers = Handlers()
