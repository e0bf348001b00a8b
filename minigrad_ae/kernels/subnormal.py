"""Numbers too small to have all their digits: products, losses and Adam take them for 0.

Below 1.2e-38 (float32; 2.2e-308 in float64) a number is *subnormal*: it has fewer digits the
smaller it is, and a processor may take 150 times as long for an operation on it.  They are not
rare.  The weights to a pixel that is 0 in all data shrink to about 1e-38 within some thousand steps
of Adam, and stay there; a step of a small autoencoder took 170 microseconds then instead of 18.

So these kernels begin with ``before = drop()`` and end with ``restore(before)``: between them the
processor reads and writes 0 for such numbers.  What is lost of a product is at most their size
times the other factor.  Python and NumPy's functions never see the setting, nor does exp, whose
smallest results are promised.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from typing import Any

from minigrad_ae.kernels.jit import numba, overload
from minigrad_ae.kernels.vectors import called, ir

with suppress(ImportError):
    from numba.core import cgutils, types
    from numba.extending import intrinsic

# the bits of a processor's control word that say so, for operands and results; of others no word
# is known, and nothing is done
BITS = {
    "x86_64": 1 << 6 | 1 << 15,
    "amd64": 1 << 6 | 1 << 15,
    "aarch64": 1 << 24,
    "arm64": 1 << 24,
}
MACHINE = platform.machine().lower()


def drop() -> int:
    """From here on subnormal numbers are 0; what `restore` wants."""
    return 0


def restore(before: int) -> None:
    """As it was before."""


if ir is not None and numba is not None and not numba.config.DISABLE_JIT and MACHINE in BITS:
    I8, I32, I64, VOID = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.VoidType()
    ARM = BITS[MACHINE] == 1 << 24

    def word(code: Any) -> Any:
        """The control word."""
        if ARM:
            return called(code, "llvm.aarch64.get.fpcr", I64)
        place = cgutils.alloca_once(code, I32)
        called(code, "llvm.x86.sse.stmxcsr", VOID, code.bitcast(place, I8.as_pointer()))
        return code.zext(code.load(place), I64)

    def put(code: Any, word: Any) -> None:
        """It becomes this one."""
        if ARM:
            called(code, "llvm.aarch64.set.fpcr", VOID, word)
            return
        place = cgutils.alloca_once(code, I32)
        code.store(code.trunc(word, I32), place)
        called(code, "llvm.x86.sse.ldmxcsr", VOID, code.bitcast(place, I8.as_pointer()))

    @intrinsic
    def set_bits(typing: Any) -> Any:
        def build(context: Any, code: Any, signature: Any, args: Any) -> Any:
            before = word(code)
            put(code, code.or_(before, I64(BITS[MACHINE])))
            return before

        return types.int64(), build

    @intrinsic
    def set_all(typing: Any, before: Any) -> Any:
        def build(context: Any, code: Any, signature: Any, args: Any) -> Any:
            put(code, args[0])
            return context.get_dummy_value()

        return types.void(types.int64), build

    @overload(drop)
    def compiled_drop() -> Any:
        set_them: Any = set_bits
        return lambda: set_them()

    @overload(restore)
    def compiled_restore(before):  # type: ignore[no-untyped-def]  # Numba compares signatures
        set_them: Any = set_all
        return lambda before: set_them(before)
