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
from ...errors import GradientError
from ..record.notation import rule_of
from .reasons import backward_reason, forward_reason, remedy

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
    -inf of an attention mask, are nobody's mistake: what an op makes of them is reported only if it
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
        # what NumPy would warn of is said here, with its place
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
        arrays = [a._data if isinstance(a, Value) else a for a in (g, sent)]
        read = value.op.reads(i, len(value.arrays)) if value.op else set()
        known = [value._data if k == -1 else value.arrays[k] for k in read]
        index = self.worse(arrays[1], [arrays[0], *known])
        if index is not None:
            raise self.backward_error(value, i, arrays[0], arrays[1], index)

    # --- judging ---
    def worse(self, result: Any, inputs: Any) -> tuple[int, ...] | None:
        """The first element that is worse than every input: NaN where no input has one, Inf where
        all are finite.
        """
        if np.isfinite(result).all():
            return None
        nan, inf_in, nan_in = (
            np.isnan(result),
            any(np.isinf(x).any() for x in inputs),
            any(np.isnan(x).any() for x in inputs),
        )
        if nan.any() and not nan_in:
            return _first(nan)
        if self.inf and not nan_in and not inf_in:
            return _first(np.isinf(result))
        return None

    def remember(self, result: Value) -> None:
        """Checksums of the leaves and constants that the rules of `result` will read."""
        read = (
            set().union(*(result.op.reads(i, len(result.inputs)) for i, _ in result.edges))
            if result.op
            else set()
        )
        for k in read - {-1}:
            if not (isinstance(result.inputs[k], Value) and result.inputs[k].op is not None):
                self.sums[result.serial, k] = checksum(result.arrays[k])
        if len(self.sums) > KEPT:  # graphs of long ago
            self.sums = dict(list(self.sums.items())[KEPT // 2 :])

    # --- reports ---
    def forward_error(
        self, result: Value, op: Any, arrays: Any, params: Any, index: tuple[int, ...]
    ) -> AnomalyError:
        word = _word(result._data[index])
        operands = {op.argument(k): _at(a, index, result._data.shape) for k, a in enumerate(arrays)}
        reason = forward_reason(op.name, operands, arrays, index, word, params)
        place = _place(result) if result.op else f"{op.name} (nothing here records a gradient)"
        of_finite = " of finite numbers" if all(_finite(a) for a in arrays) else ""
        what = f"{op.name} made {word}{of_finite}: {reason}"
        element = f"forward, element {list(index)}{_operands(operands)}, {place}"
        return _anomaly("forward", what, element, op, result, index, operands, reason)

    def backward_error(
        self, value: Value, i: int, g: Any, sent: Any, index: tuple[int, ...]
    ) -> AnomalyError:
        op: Any = value.op
        word, shape = _word(sent[index]), value._data.shape
        operands = {"g": _at(g, index, sent.shape), "y": _at(value._data, index, sent.shape)}
        operands |= {op.argument(k): _at(a, index, sent.shape) for k, a in enumerate(value.arrays)}
        here = _matching(index, sent.shape, shape)
        reason = backward_reason(value, here, operands, word, self.users)
        what = f"the rule of {op.name} for {op.argument(i)} made {word}: {reason}"
        rule = f"rule {rule_of(op, i)}, {_place(value)}"
        element = f"backward, element {list(index)}{_operands(operands)}, {rule}"
        return _anomaly("backward", what, element, op, value, index, operands, reason)

    def data_error(self, op: Any, a: Any, array: Any) -> AnomalyError:
        index, bad = _first(np.isnan(array)), int(np.isnan(array).sum())
        name = where(a) if isinstance(a, Value) else f"an array of shape {np.shape(array)}"
        reason = f"{bad} NaN in the data themselves"
        return AnomalyError(
            f"NaN came in with the data: {name} has {bad}",
            f"first at {list(index)}, used by {op.name}",
            "clean the data first: drop these rows, or fill them in",
            op=op.name,
            phase="data",
            index=index,
            operands={"value": float("nan")},
            reason=reason,
        )


def _anomaly(
    phase: str,
    what: str,
    element: str,
    op: Any,
    value: Value,
    index: tuple[int, ...],
    operands: dict[str, Any],
    reason: str,
) -> AnomalyError:
    return AnomalyError(
        what,
        element,
        remedy(op.name, reason),
        op=op.name,
        phase=phase,
        index=index,
        operands=operands,
        location=source_line(value),
        reason=reason,
    )


def checksum(array: np.ndarray) -> int:
    """Of the bytes; any change of an element shows (but for one in four thousand million)."""
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def changed(value: Value, k: int, a: Any) -> AnomalyError:
    """The error for an array that was written into between forward and backward."""
    op: Any = value.op
    name = where(a) if isinstance(a, Value) else f"an array of shape {np.shape(a)}"
    return AnomalyError(
        f"{name} was written into after {op.name} had used it",
        f"{_place(value)}: its rules read {op.argument(k)}, and the checksum differs from the "
        "forward pass",
        "write before the loss is computed, or after the last backward()",
        op=op.name,
        phase="data",
        location=source_line(value),
        reason="elements changed between forward and backward",
    )


def _finite(a: Any) -> bool:
    return bool(np.isfinite(a).all())


def _first(mask: Any) -> tuple[int, ...]:
    return tuple(int(k) for k in np.argwhere(mask)[0])


def _word(x: Any) -> str:
    if np.isnan(x):
        return "NaN"
    return "+Inf" if x > 0 else "-Inf"


def _place(value: Value) -> str:
    return f"from {where(value)}"


def _matching(
    index: tuple[int, ...], shape: tuple[int, ...], other: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The element of an array of shape `other` that broadcasting pairs with `index` of one of
    `shape`; None if none.
    """
    if len(other) > len(shape):
        return None
    lead = len(shape) - len(other)
    if any(n not in (1, m) for m, n in zip(shape[lead:], other, strict=True)):
        return None
    return tuple(0 if n == 1 else k for k, n in zip(index[lead:], other, strict=True))


def _at(array: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The number that broadcasting pairs with `index`; a range (low, high) where elements do not
    pair up.
    """
    array = np.asarray(array)
    place = _matching(index, shape, array.shape)
    if place is not None:
        return array[place].item()
    return (float(np.min(array)), float(np.max(array))) if array.size else ()


def _operands(operands: dict[str, Any]) -> str:
    def text(x: Any) -> str:
        if isinstance(x, tuple) and x and x[0] == x[1]:
            return text(x[0])
        if isinstance(x, tuple) and x:
            return f"{x[0]:.4g} to {x[1]:.4g}"
        return f"{x:.4g}" if isinstance(x, float) else str(x)

    return "".join(f", {k} = {text(v)}" for k, v in operands.items())
