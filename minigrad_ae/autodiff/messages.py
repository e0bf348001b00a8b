"""What ops and engine say when something does not fit: NumPy's complaints with shapes, sources and
a remedy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from ..arguments import LEFT, unmasked
from ..errors import DataError, DtypeError, GradientError, MinigradError, RangeError, ShapeError
from .graph import Value
from .origin import where

NO_GRAD = "for a gradient call loss.backward() first, and mg.why(x, loss) if it is None after that"


def constant(what: str, a: Any, kinds: str = "biufc") -> np.ndarray:
    """An argument that is not a tensor, called `what`, as an array; DtypeError unless of one of the
    `kinds` ("": any).
    """
    a = unmasked(a, what)
    try:
        x = a if type(a) in LEFT else np.asarray(a)
    except ValueError as error:
        raise ShapeError(f"{what} is ragged", str(error), "pass a rectangular array") from None
    if kinds and x.dtype.kind not in kinds:
        what = f"{what} does not consist of real numbers"
        if a is None:
            fix = f"pass a tensor, an array or a number; {NO_GRAD}"
            raise DtypeError(what, "got None, which is what a .grad is before backward()", fix)
        got = f"got a {type(a).__name__} of shape {x.shape}, dtype {x.dtype}"
        raise DtypeError(what, got, "pass a tensor, an array or a number")
    return x


def refuse_mask(value: Value) -> None:
    """What a tensor on the right of a masked array says: NumPy would compute a masked array,
    without a gradient.
    """
    raise DataError(
        "a masked array on the left of a tensor loses the gradient",
        f"the tensor {described(value)}",
        "fill it first, X.filled(value); if its mask hides nothing, np.asarray(X)",
    )


def explain(op: Any, args: Sequence[Any], error: Exception) -> MinigradError:
    """NumPy's complaint about an op's arguments, with their shapes and where they came from."""
    if isinstance(error, MinigradError):
        return error
    inputs = args[: op.arity]
    shapes = (
        ", ".join(f"{op.argument(i)} {described(a)}" for i, a in enumerate(inputs)) or "no inputs"
    )
    text = f"{op.name}: {str(error).splitlines()[0].removeprefix('_')}"
    if isinstance(error, TypeError):
        return DtypeError(text, shapes, f"the signature is {op.name}{op.__signature__}")
    kind = RangeError if isinstance(error, IndexError) else ShapeError
    return kind(text, shapes, f"the law is {op.law}; {op.notes.hint}")


def described(a: Any) -> str:
    """'(3, 4) from matmul at lesson.py:12: h = x @ W': the shape of an argument and where it came
    from.
    """
    if not isinstance(a, Value):
        return str(getattr(a, "shape", type(a).__name__))
    return f"{a._data.shape} from {where(a)}" if a.op or a.name else str(a._data.shape)


def no_gradient(raw: Any, value: Value, i: int) -> GradientError:
    op: Any = value.op
    rule = list(op.rules.values())[0 if op.variadic else i]
    expected = f"expected shape {value.inputs[i]._data.shape}, from {where(value)}"
    return GradientError(
        f"{op.name}: the rule for {op.argument(i)} returned something that is not a gradient",
        f"got {shape_of(raw)}, {expected}",
        f"correct the rule: {rule}",
    )


def shape_of(x: Any) -> str:
    return f"shape {x.shape}" if hasattr(x, "shape") else f"a {type(x).__name__}"


def wrong_call(function: Callable[..., Any], args: Any, kwargs: Any) -> DtypeError | None:
    """What to say when the arguments do not fit the signature; None when they do."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        plain = signature.replace(parameters=bare, return_annotation=signature.empty)
        name, got = function.__name__, f"got {len(args)} arguments by position"
        return DtypeError(f"{name}: {error}", got, f"the signature is {name}{plain}")
    return None


def not_ours(call: str, name: str, kwargs: Any, public: Collection[str]) -> DtypeError:
    ours = (
        f"use mg.{name}" if name in public else "compute it from the functions of mg (see dir(mg))"
    )
    return DtypeError(
        f"{call} cannot be applied to a Tensor" + (f" with {', '.join(kwargs)}=" if kwargs else ""),
        "NumPy's own functions would lose the gradient",
        f"{ours}, or call NumPy on t.data if no gradient is wanted",
    )
