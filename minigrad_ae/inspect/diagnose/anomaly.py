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

from ...autodiff.graph import Value, Watcher, watchers
from ...autodiff.origin import source_line, where
from ...display import is_finite
from ...errors import GradientError
from ..record.notation import rule_of
from .reasons import backward_fault, first, forward_fault, read_by, remedy

KEPT = 200_000  # checksums


class AnomalyError(GradientError, ArithmeticError):
    """A NaN or Inf that an op or a rule made of finite numbers, or data that changed meanwhile.

    Parameters
    ----------
    what : str
        The fault in one line.
    place : str
        Where it was made, and of which numbers.
    fix : str
        What to do about it.
    **facts : object
        The attributes below, as far as they are known.

    Attributes
    ----------
    op : str
        The name of the op.
    phase : str
        'forward', 'backward', or 'data' (NaN in the data, or data that were written into under a
        pending backward pass).
    index : tuple of int
        The first such element.
    operands : dict of str to number
        The numbers there, by argument; 'g' is the incoming gradient.
    location : tuple of (str, int, str) or None
        File, line and code that called the op.
    reason : str
        What the op did, in words.

    Examples
    --------
    >>> x = mg.tensor([0.0, 1.0], requires_grad=True, name="x")
    >>> try:
    ...     with mg.detect_anomaly():
    ...         mg.log(x)
    ... except mg.inspect.AnomalyError as error:
    ...     print(error.op, error.phase, error.index, error.operands)
    log forward (0,) {'x': 0.0}
    """

    def __init__(self, what: str, place: str, fix: str, **facts: Any) -> None:
        super().__init__(what, place, fix)
        self.op: str = facts.get("op", "")
        self.phase: str = facts.get("phase", "data")
        self.index: tuple[int, ...] = facts.get("index", ())
        self.operands: dict[str, Any] = facts.get("operands", {})
        self.location: tuple[str, int, str] | None = facts.get("location")
        self.reason: str = facts.get("reason", "")


class detect_anomaly(Watcher):
    """A block in which the first NaN or Inf raises AnomalyError where it is made.

    Parameters
    ----------
    inf : bool, optional
        False lets infinities pass and reports NaN only.

    Notes
    -----
    Constants that are infinite, such as the -inf of an attention mask, are not mistakes: what an op
    makes of them is reported only if it is NaN.  The block watches one thread, and may be nested.

    An array that a rule will read has a checksum from the forward pass to the backward pass; a
    write in between is reported.  A step of a small variational autoencoder (64 digits) takes twice
    as long in here, of which the checksums are a tenth.

    Examples
    --------
    The derivative of the square root is infinite at 0, and 0 times infinity is NaN:

    >>> x = mg.tensor([0.0, 4.0], requires_grad=True, name="x")
    >>> try:
    ...     with mg.detect_anomaly():
    ...         (0.0 * mg.sqrt(x)).sum().backward()
    ... except mg.inspect.AnomalyError as error:
    ...     print(error.phase, error.op, error.index)
    backward sqrt (0,)
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
        """After an op: look at its output and inputs.

        Parameters
        ----------
        result : Tensor
            What the op made.
        op : Op
            The op.
        args : tuple
            What it was called with.
        arrays : sequence of ndarray
            Its inputs as arrays of one dtype.
        params : dict
            Its settings.

        Raises
        ------
        AnomalyError
            If the output is not finite and the inputs are, or if NaN came in with the data.
        """
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
        """Before a backward pass: who used what, and whether what was read is still what it was.

        Parameters
        ----------
        order : list of Tensor
            The values of the graph, inputs before outputs.

        Raises
        ------
        AnomalyError
            If an array that a rule will read was written into.
        """
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
        """After a rule: look at what came in and what it sends.

        Parameters
        ----------
        value : Tensor
            The value whose op's rule it was.
        i : int
            The number of the input that it is for.
        g : ndarray or Tensor, shape of `value`
            The incoming gradient.
        sent : ndarray or Tensor, shape of the input
            What the rule sends.

        Raises
        ------
        AnomalyError
            If what it sends is not finite, and what came in and what it read are.
        """
        if threading.get_ident() != self.thread:
            return
        came, went = (a._data if isinstance(a, Value) else a for a in (g, sent))
        index = self.worse(went, [came, *read_by(value, i)])
        if index is not None:
            raise self.backward_error(value, i, came, went, index)

    # --- judging ---
    def worse(self, result: Any, inputs: Any) -> tuple[int, ...] | None:
        """The first element that is worse than every input.

        Parameters
        ----------
        result : ndarray
            What was made.
        inputs : sequence of ndarray
            What it was made of.

        Returns
        -------
        tuple of int or None
            The first NaN where no input has one, or the first Inf where all are finite; None if
            there is neither.
        """
        if is_finite(result) or any(np.isnan(x).any() for x in inputs):
            return None
        nan = np.isnan(result)
        if nan.any():
            return first(nan)
        new = self.inf and all(map(is_finite, inputs))
        return first(np.isinf(result)) if new else None

    def remember(self, result: Value) -> None:
        """Keep checksums of the leaves and constants that the rules of `result` will read, and of
        the views of them.

        Parameters
        ----------
        result : Tensor
            What an op made.
        """
        op: Any = result.op
        read = set[int]().union(*(op.reads(i, len(result.inputs)) for i, _ in result.edges))
        for k in read - {-1}:
            if not _owns_what_it_made(result.inputs[k]):
                self.sums[result.serial, k] = checksum(result.arrays[k])
        if len(self.sums) > KEPT:  # graphs of long ago
            self.sums = dict(list(self.sums.items())[KEPT // 2 :])

    # --- reports ---
    def forward_error(
        self, result: Value, op: Any, arrays: Any, params: Any, index: tuple[int, ...]
    ) -> AnomalyError:
        """The report on an output that is not finite.

        Parameters
        ----------
        result : Tensor
            What the op made.
        op : Op
            The op.
        arrays : sequence of ndarray
            Its inputs.
        params : dict
            Its settings.
        index : tuple of int
            The element that is not finite.

        Returns
        -------
        AnomalyError
            Of phase 'forward'.
        """
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
        """The report on what a rule sends, where that is not finite.

        Parameters
        ----------
        value : Tensor
            The value whose op's rule it was.
        i : int
            The number of the input that it is for.
        g : ndarray, shape of `value`
            The incoming gradient.
        sent : ndarray, shape of the input
            What the rule sends.
        index : tuple of int
            The element that is not finite.

        Returns
        -------
        AnomalyError
            Of phase 'backward'.
        """
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
        """The report on NaN that came in with the data.

        Parameters
        ----------
        op : Op
            The op that met it.
        a : Tensor or ndarray
            The leaf or constant that has it.
        array : ndarray
            Its elements.

        Returns
        -------
        AnomalyError
            Of phase 'data'.
        """
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


def _owns_what_it_made(a: Any) -> bool:
    """Whether an op made `a` in memory of its own, which is read-only: a transposed leaf looks into
    what the leaf's owner may write to.
    """
    return isinstance(a, Value) and a.op is not None and a._data.base is None


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
