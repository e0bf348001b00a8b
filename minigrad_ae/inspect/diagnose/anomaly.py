"""The NaN time machine: the first op whose output is not finite while its inputs are, forward or
backward.

    with mg.detect_anomaly():
        loss = model.loss(x)
        loss.backward()

While the block runs, every op and every rule is looked at as it runs, so the report names the
origin of a NaN and not the place where it was noticed.  It also keeps a checksum of every leaf and
array that a rule will read, so that writing into the elements of one (``w.data[0] = 1``) before the
backward pass is an error here, too.
"""

from __future__ import annotations

import threading
import zlib
from typing import Any

import numpy as np

from ...autodiff.graph import Value, watchers
from ...autodiff.origin import source_line, where
from ...display import is_finite
from ...errors import GradientError
from ..record.notation import rule_of
from .reasons import backward_fault, first, forward_fault, read_by, remedy

KEPT = 200_000  # checksums


class AnomalyError(GradientError, ArithmeticError):
    """A NaN or Inf that an op or a rule made of finite numbers; or data changed under a pending
    backward pass.

    ``op`` its name, ``phase`` 'forward', 'backward' or 'data', ``index`` the first such element,
    ``operands`` {name: number there}, ``location`` (file, line, code) or None, ``reason`` in words.
    """

    def __init__(self, what: str, place: str, fix: str, **facts: Any) -> None:
        super().__init__(what, place, fix)
        self.op: str = facts.get("op", "")
        self.phase: str = facts.get("phase", "data")
        self.index: tuple[int, ...] = facts.get("index", ())
        self.operands: dict[str, Any] = facts.get("operands", {})
        self.location: tuple[str, int, str] | None = facts.get("location")
        self.reason: str = facts.get("reason", "")


class detect_anomaly:
    """``with detect_anomaly():`` raises AnomalyError where the first NaN or Inf is made.

    inf=False lets infinities pass and reports NaN only.  Constants that are infinite, such as the
    -inf of an attention mask, are not mistakes: what an op makes of them is reported only if it
    is NaN.  One thread; may be nested.
    """

    def __init__(self, inf: bool = True) -> None:
        self.inf = inf
        self.thread = 0
        # {(serial of the reader, number of the input): checksum}
        self.sums: dict[tuple[int, int], int] = {}
        self.users: dict[Value, list[tuple[Value, int]]] = {}

    def __enter__(self) -> detect_anomaly:
        self.thread = threading.get_ident()
        # the report names the place, so NumPy's own warnings are not needed
        self.quiet = np.errstate(all="ignore")
        self.quiet.__enter__()
        watchers.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        watchers.remove(self)
        self.quiet.__exit__(None, None, None)
        self.sums.clear()
        self.users = {}

    # --- what the engine calls ---
    def computed(self, result: Value, op: Any, args: Any, arrays: Any, params: Any) -> None:
        """After an op: its output and inputs."""
        if threading.get_ident() != self.thread:
            return
        index = self.worse(result._data, arrays)
        if index is not None:
            raise self.forward_error(result, op, arrays, params, index)
        for a, array in zip(args, arrays, strict=True):
            if not (isinstance(a, Value) and a.op is not None) and np.isnan(array).any():
                raise self.data_error(op, a, array)
        self.remember(result)

    def begins(self, order: list[Value]) -> None:
        """Before a backward pass: who used what, and whether what was read is still what it was."""
        if threading.get_ident() != self.thread:
            return
        self.users = {}
        for value in order:
            for i, x in value.edges:
                self.users.setdefault(x, []).append((value, i))
            for k, a in enumerate(value.inputs):
                known = self.sums.get((value.serial, k))
                if known is not None and checksum(value.arrays[k]) != known:
                    raise changed(value, k, a)

    def sent(self, value: Value, i: int, g: Any, sent: Any) -> None:
        """After a rule: what came in, what it sends."""
        if threading.get_ident() != self.thread:
            return
        came, went = (a._data if isinstance(a, Value) else a for a in (g, sent))
        index = self.worse(went, [came, *read_by(value, i)])
        if index is not None:
            raise self.backward_error(value, i, came, went, index)

    # --- judging ---
    def worse(self, result: Any, inputs: Any) -> tuple[int, ...] | None:
        """The first element that is worse than every input: NaN where no input has one, Inf where
        all are finite.
        """
        if is_finite(result) or any(np.isnan(x).any() for x in inputs):
            return None
        nan = np.isnan(result)
        if nan.any():
            return first(nan)
        new = self.inf and all(map(is_finite, inputs))
        return first(np.isinf(result)) if new else None

    def remember(self, result: Value) -> None:
        """Checksums of the leaves and constants that the rules of `result` will read."""
        op: Any = result.op
        read = set[int]().union(*(op.reads(i, len(result.inputs)) for i, _ in result.edges))
        for k in read - {-1}:
            if not (isinstance(result.inputs[k], Value) and result.inputs[k].op is not None):
                self.sums[result.serial, k] = checksum(result.arrays[k])
        if len(self.sums) > KEPT:  # graphs of long ago
            self.sums = dict(list(self.sums.items())[KEPT // 2 :])

    # --- reports ---
    def forward_error(
        self, result: Value, op: Any, arrays: Any, params: Any, index: tuple[int, ...]
    ) -> AnomalyError:
        operands, reason = forward_fault(op, arrays, params, result._data, index)
        made = f"{op.name} made {_word(result._data[index])}"
        if all(map(is_finite, arrays)):
            made += " of finite numbers"
        place = f"from {where(result)}"
        if result.op is None:
            place = f"{op.name} (nothing here records a gradient)"
        return AnomalyError(
            f"{made}: {reason}",
            f"forward, {_element(index, operands)}, {place}",
            remedy(op, reason),
            op=op.name,
            phase="forward",
            index=index,
            operands=operands,
            location=source_line(result),
            reason=reason,
        )

    def backward_error(
        self, value: Value, i: int, g: Any, sent: Any, index: tuple[int, ...]
    ) -> AnomalyError:
        op: Any = value.op
        operands, reason = backward_fault(value, g, sent, index, self.users)
        word = _word(sent[index])
        what = f"the rule of {op.name} for {op.argument(i)} made {word}: {reason}"
        place = f"{_element(index, operands)}, rule {rule_of(op, i)}, from {where(value)}"
        return AnomalyError(
            what,
            f"backward, {place}",
            remedy(op, reason),
            op=op.name,
            phase="backward",
            index=index,
            operands=operands,
            location=source_line(value),
            reason=reason,
        )

    def data_error(self, op: Any, a: Any, array: Any) -> AnomalyError:
        nan = np.isnan(array)
        bad, index = int(nan.sum()), first(nan)
        return AnomalyError(
            f"NaN came in with the data: {_name(a)} has {bad}",
            f"first at {list(index)}, used by {op.name}",
            "clean the data first: drop these rows, or fill them in",
            op=op.name,
            phase="data",
            index=index,
            operands={"value": float("nan")},
            reason=f"{bad} NaN in the data themselves",
        )


def checksum(array: np.ndarray) -> int:
    """A checksum of the bytes; it misses one change in four thousand million."""
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def changed(value: Value, k: int, a: Any) -> AnomalyError:
    """The error for an array that was written into between forward and backward."""
    op: Any = value.op
    return AnomalyError(
        f"{_name(a)} was written into after {op.name} had used it",
        f"from {where(value)}: its rules read {op.argument(k)}, and the checksum differs from the "
        "forward pass",
        "write before the loss is computed, or after the last backward()",
        op=op.name,
        phase="data",
        location=source_line(value),
        reason="elements changed between forward and backward",
    )


def _name(a: Any) -> str:
    return where(a) if isinstance(a, Value) else f"an array of shape {np.shape(a)}"


def _word(x: Any) -> str:
    if np.isnan(x):
        return "NaN"
    return "+Inf" if x > 0 else "-Inf"


def _element(index: tuple[int, ...], operands: dict[str, Any]) -> str:
    """'element [1], x = -1, p = 0.5'."""
    return ", ".join(
        [f"element {list(index)}", *(f"{k} = {_number(v)}" for k, v in operands.items())]
    )


def _number(x: Any) -> str:
    if isinstance(x, tuple) and x:
        low, high = (f"{v:.4g}" for v in x)
        return low if x[0] == x[1] else f"{low} to {high}"
    return f"{x:.4g}" if isinstance(x, float) else str(x)
