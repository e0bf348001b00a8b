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


# what NumPy and Python raise where arguments do not fit
NUMPY_ERRORS = (
    *(ValueError, IndexError, TypeError, AttributeError),
    *(OverflowError, ZeroDivisionError, MemoryError),
)


def constant(what: str, a: Any, kinds: str = "biufc") -> np.ndarray:
    """An argument that is not a tensor, called `what`, as an array; DtypeError unless of one of the
    `kinds` ("": any).
    """
    a = unmasked(a, what)
    try:
        x = a if type(a) in LEFT else np.asarray(a)
    except (ValueError, OverflowError) as error:
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
    text = f"{op.name}: {_first_line(error).removeprefix('_')}"
    if isinstance(error, TypeError | AttributeError):
        return DtypeError(text, shapes, f"the signature is {op.name}{op.__signature__}")
    return _kind(error)(text, shapes, f"the law is {op.law}; {op.notes.hint}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _kind(error: Exception) -> type[MinigradError]:
    """The class of ours that says the same as an error of Python's or NumPy's."""
    if isinstance(error, IndexError):
        return RangeError
    if isinstance(error, TypeError | AttributeError):
        return DtypeError
    return ShapeError if isinstance(error, ValueError) else DataError


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


def wrong_call(
    function: Callable[..., Any], args: Any, kwargs: Any, error: Exception
) -> MinigradError:
    """What to say when a function cannot be called like this: the arguments do not fit its
    signature, or Python or NumPy complained of one of them.
    """
    if isinstance(error, MinigradError):
        return error
    signature, name = inspect.signature(function), function.__name__
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    plain = signature.replace(parameters=bare, return_annotation=signature.empty)
    fix = f"the signature is {name}{plain}"
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as unfit:
        return DtypeError(f"{name}: {unfit}", f"got {len(args)} arguments by position", fix)
    got = ", ".join(f"{key} {passed(value)}" for key, value in given.items())
    return _kind(error)(f"{name}: {_first_line(error)}", got, fix)


def passed(value: Any) -> str:
    """'(3, 4) from matmul at ...' of what has a shape, of anything else its beginning."""
    if isinstance(value, Value) or hasattr(value, "shape"):
        return described(value)
    return f"{value!r:.40}"


def not_ours(call: str, name: str, kwargs: Any, public: Collection[str]) -> DtypeError:
    ours = (
        f"use mg.{name}" if name in public else "compute it from the functions of mg (see dir(mg))"
    )
    return DtypeError(
        f"{call} cannot be applied to a Tensor" + (f" with {', '.join(kwargs)}=" if kwargs else ""),
        "NumPy's own functions would lose the gradient",
        f"{ours}, or call NumPy on t.data if no gradient is wanted",
    )
