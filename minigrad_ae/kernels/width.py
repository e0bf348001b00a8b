"""How wide the vectors of this package's kernels are: measured, once a machine.

A vector register of AVX-512 holds 64 bytes.  LLVM nevertheless splits vectors in two halves on
Intel's processors (``prefer-256-bit`` in its table of processors): the first of them lowered their
clock where wide ones ran.  Most of today's do not, and lose half of their multiply-adds by it.
Which kind this is, no name tells; so both are timed, a few lines of LLVM's language each, in 10
milliseconds, and the answer is written beside the kernels that are compiled by it.
``MINIGRAD_AE_VECTORS`` answers instead, 256 or 512 (bits).  Where halves are not slower LLVM's own
choice stands.

`Wide` is Numba's compiler with two more words on each function: other people's functions in the
same process stay as they are.
"""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from minigrad_ae.errors import DataError
from minigrad_ae.files import write_text

numba: Any
try:
    numba = import_module("numba")
    llvm: Any = import_module("llvmlite.binding")
except ImportError:
    numba = llvm = None

STEPS = 20_000  # 160,000 multiply-adds: a tenth of a millisecond
WORTH = 1.2  # so much faster have wide ones to be
GIVEN = os.environ.get("MINIGRAD_AE_VECTORS", "")
if GIVEN not in ("", "256", "512"):
    raise DataError(
        f"no vectors of {GIVEN!r} bits",
        f"MINIGRAD_AE_VECTORS={GIVEN}",
        "set it to 256 or 512, or not at all",
    )
# the processor that Numba compiles for may be another than this one (NUMBA_CPU_NAME)
HERE = numba is not None and not numba.config.CPU_NAME
AVX512 = GIVEN == "512" or (
    not GIVEN and HERE and bool(llvm.get_host_cpu_features().get("avx512f"))
)
WORDS = '"min-legal-vector-width"="512"', '"prefer-vector-width"="512"'

_LOOP = """
define float @sums_{bits}(i64 %steps)
  "min-legal-vector-width"="{bits}" "prefer-vector-width"="{bits}" {{
start:
  br label %loop
loop:
  %step = phi i64 [0, %start], [%next, %loop]
{sums}
  %next = add i64 %step, 1
  %more = icmp slt i64 %next, %steps
  br i1 %more, label %loop, label %end
end:
{total}
  ret float %t
}}
"""
FMA = "declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)"


def _loop(bits: int) -> str:
    """Eight sums of 16 numbers each, s <- s * s + s: enough to keep the multipliers busy."""
    vector = "<16 x float>"
    sums = [f"  %s{i} = phi {vector} [zeroinitializer, %start], [%n{i}, %loop]" for i in range(8)]
    sums += [
        f"  %n{i} = call {vector} @llvm.fma.v16f32({vector} %s{i}, {vector} %s{i}, {vector} %s{i})"
        for i in range(8)
    ]
    total, last = [], "%n0"
    for i in range(1, 8):
        total.append(f"  %a{i} = fadd {vector} {last}, %n{i}")
        last = f"%a{i}"
    total.append(f"  %t = extractelement {vector} {last}, i32 0")
    return _LOOP.format(bits=bits, sums="\n".join(sums), total="\n".join(total))


def measured() -> float:
    """The time of halves (256 bits) over that of whole vectors (512 bits), for the same sums."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
    )
    module = llvm.parse_assembly(FMA + "".join(_loop(bits) for bits in (256, 512)))
    with llvm.create_mcjit_compiler(module, machine) as engine:
        engine.finalize_object()
        kind = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64)
        functions = [kind(engine.get_function_address(f"sums_{bits}")) for bits in (256, 512)]
        times = [[_seconds(function) for function in functions] for _ in range(15)]
    halves, whole = (min(column) for column in zip(*times, strict=True))
    return halves / whole


def _seconds(function: Any) -> float:
    start = time.perf_counter()
    function(STEPS)
    return time.perf_counter() - start


_known: list[bool] = []


def wide(folder: str | Path | None = None) -> bool:
    """Whether kernels are compiled for 512 bits where LLVM would not.

    The answer is kept in ``folder``, where kernels are cached, for the next process: sums in vector
    lanes have other last bits in other widths.  Of two processes that measure at once the first to
    write is believed by both.
    """
    if not _known:
        _known.append(_answer(folder))
    return _known[0]


def _answer(folder: str | Path | None) -> bool:
    if GIVEN or not AVX512:
        return GIVEN == "512"
    if folder is None:
        return measured() > WORTH
    path = Path(folder) / f"vectors.{llvm.get_host_cpu_name()}.txt"
    with suppress(OSError, UnicodeDecodeError):
        said = path.read_text(encoding="utf-8")[:4]
        if said in ("256 ", "512 "):
            return said == "512 "
    bits = "512" if measured() > WORTH else "256"
    with suppress(OSError):  # where nothing can be written each process measures
        write_text(path, f"{bits} bits a vector: the faster, as measured\n")
    return bits == "512"


Wide: Any = None  # Numba's compiler, where there is one and vectors of 512 bits
if numba is not None and AVX512:
    from numba.core.compiler import CompilerBase, DefaultPassBuilder
    from numba.core.compiler_machinery import register_pass
    from numba.core.lowering import Lower
    from numba.core.typed_passes import BaseNativeLowering, NativeLowering

    class WideLower(Lower):  # type: ignore[misc]
        """Writes the words on the function that it is about to fill."""

        def pre_lower(self) -> None:
            super().pre_lower()
            widen(self.builder.function)

    @register_pass(mutates_CFG=True, analysis_only=False)
    class WideLowering(BaseNativeLowering):  # type: ignore[misc]
        """From Numba's intermediate language to LLVM's."""

        _name: Any = "minigrad_ae_wide_lowering"

        @property
        def lowering_class(self) -> Any:
            return WideLower

    class Wide(CompilerBase):  # type: ignore[misc,no-redef]
        """Numba's usual passes, but for one."""

        def define_pipelines(self) -> list[Any]:
            passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
            passes.add_pass_after(WideLowering, NativeLowering)
            passes.passes[:] = [p for p in passes.passes if p[0] is not NativeLowering]
            passes.finalize()
            return [passes]


def widen(function: Any) -> Any:
    """The same LLVM function, with the words on it where vectors are to be wide."""
    if wide():
        for word in WORDS:  # .add() of its attributes refuses words that it does not know
            set.add(function.attributes, word)
    return function
