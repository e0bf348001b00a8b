"""Vector-Jacobian products and their transposes, by minigrad_ae; the spaces that they map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from absent import Absent, absent, absent_if_refused

import minigrad_ae as mg

# of the running test: how often it reached minigrad_ae, gradients, checks left out as complex
count: Counter[str] = Counter()
_within = 0  # how many functions are being differentiated, one inside the other


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return Absent(f"core.{name}")


def taken_apart(x: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """(The arrays in a tuple, list or dict; what puts others in their places.)"""
    if isinstance(x, dict):
        parts, together = taken_apart(list(x.values()))
        return parts, lambda new: dict(zip(x, together(new), strict=True))
    if not isinstance(x, tuple | list):
        return [x], lambda new: new[0]
    inner = [taken_apart(each) for each in x]

    def together(new: list[Any]) -> Any:
        rest = iter(new)
        return type(x)(put([next(rest) for _ in parts]) for parts, put in inner)

    return [part for parts, _ in inner for part in parts], together


def real(x: Any) -> Any:
    """`x`, if it is something that minigrad_ae can differentiate."""
    dtype = getattr(x, "dtype", None) or np.asarray(x).dtype
    if dtype.kind == "c":
        absent("complex numbers")
    if dtype.kind not in "fiu":
        raise TypeError(f"{dtype} has no gradient")
    if dtype.kind == "f" and dtype not in (np.float32, np.float64):
        absent(str(dtype))
    return x


def begun(x: Any) -> mg.Tensor:
    """A node of its own with the values of `x`, through which gradients of gradients flow."""
    return x.copy() if isinstance(x, mg.Tensor) else mg.tensor(real(x), requires_grad=True)


def ended(x: Any) -> Any:
    """Outside all differentiation the values of a tensor."""
    return x.data[()] if isinstance(x, mg.Tensor) and not _within else x


def run(fun: Callable[[Any], Any], x: Any) -> tuple[list[mg.Tensor], Any, list[Any], Any, Any]:
    """(Inputs, what puts them together, outputs, what puts these together.)"""
    global _within
    count["reached"] += 1
    parts, together = taken_apart(x)
    inputs = [begun(part) for part in parts]
    _within += 1
    try:
        ans = fun(together(inputs))
    except TypeError as error:
        absent_if_refused("a number", error)
        raise
    finally:
        _within -= 1
    return inputs, together, *taken_apart(ans)


def inner(xs: list[Any], ys: list[Any]) -> mg.Tensor:
    """<x, y>, over all parts."""
    terms = [mg.sum(mg.tensor(1.0) * x * real(y)) for x, y in zip(xs, ys, strict=True)]
    return sum(terms, start=mg.tensor(0.0, requires_grad=True))


def gradients(y: mg.Tensor, xs: list[mg.Tensor]) -> list[Any]:
    """dy/dx for each x: arrays, or, inside another differentiation, tensors."""
    count["gradients"] += 1
    return [g if _within else g[()] for g in mg.grad(y, xs, create_graph=_within > 0)]


def make_vjp(fun: Callable[[Any], Any], x: Any) -> tuple[Callable[[Any], Any], Any]:
    """(g -> g dy/dx, y) at x."""
    inputs, together, outputs, finished = run(fun, x)

    def vjp(g: Any) -> Any:
        return together(gradients(inner(outputs, taken_apart(g)[0]), inputs))

    return vjp, finished([ended(y) for y in outputs])


def make_jvp(fun: Callable[[Any], Any], x: Any) -> Callable[[Any], tuple[Any, Any]]:
    """v -> (y, dy/dx v) at x: u -> u dy/dx is linear, and its own vjp at v is this."""
    inputs, _, outputs, finished = run(fun, x)

    def jvp(v: Any) -> tuple[Any, Any]:
        us = [mg.tensor(np.zeros(np.shape(y)), requires_grad=True) for y in outputs]
        rows = mg.grad(inner(outputs, us), inputs, create_graph=True)
        slopes = gradients(inner(list(rows), taken_apart(v)[0]), us)
        return finished([ended(y) for y in outputs]), finished(slopes)

    return jvp


def for_real_numbers(check: Callable[..., Any]) -> Callable[..., Any]:
    """autograd's `check_grads`, which leaves out, and counts, what is asked at complex numbers."""

    def check_grads(*settings: Any, **named: Any) -> Callable[..., None]:
        judge = check(*settings, **named)

        def judged(*inputs: Any, **parameters: Any) -> None:
            if any(map(np.iscomplexobj, taken_apart(inputs)[0])):
                count["complex"] += 1
            else:
                judge(*inputs, **parameters)

        return judged

    return check_grads


class Space:
    """The vectors of the form of `value`: an array, or a tuple, list or dict of such."""

    iscomplex = False

    def __init__(self, value: Any) -> None:
        parts, self.together = taken_apart(value)
        self.like = [np.zeros(np.shape(part), dtype_of(part)) for part in parts]
        self.kind = type(value) if isinstance(value, tuple | list | dict) else np.ndarray

    size = property(lambda self: sum(part.size for part in self.like))
    shape = property(lambda self: self.like[0].shape)
    dtype = property(lambda self: self.like[0].dtype)

    def __eq__(self, other: object) -> bool:
        forms = [
            (space.kind, [(part.shape, part.dtype) for part in space.like])
            for space in (self, other)
            if isinstance(space, Space)
        ]
        return len(forms) == 2 and forms[0] == forms[1]

    def __repr__(self) -> str:
        return f"{self.kind.__name__} of {[(part.shape, str(part.dtype)) for part in self.like]}"

    def mapped(self, f: Callable[..., Any], *vectors: Any) -> Any:
        """f of the parts, put together."""
        columns = [taken_apart(vector)[0] for vector in vectors]
        return self.together([f(*parts) for parts in zip(self.like, *columns, strict=True)])

    def zeros(self) -> Any:
        return self.mapped(lambda like: like.copy())

    def ones(self) -> Any:
        return self.mapped(np.ones_like)

    def randn(self) -> Any:
        return self.mapped(lambda like: np.asarray(np.random.randn(*like.shape)).astype(like.dtype))

    def standard_basis(self) -> Iterator[Any]:
        for row in np.eye(self.size):
            parts = np.split(row, np.cumsum([like.size for like in self.like])[:-1])
            yield self.mapped(lambda like, part: part.reshape(like.shape), self.together(parts))

    def add(self, x: Any, y: Any) -> Any:
        return self.mapped(lambda _, a, b: a + b, x, y)

    def scalar_mul(self, x: Any, factor: Any) -> Any:
        return self.mapped(lambda _, a: a * factor, x)

    def inner_prod(self, x: Any, y: Any) -> Any:
        return sum(np.sum(a * b) for a, b in zip(taken_apart(x)[0], taken_apart(y)[0], strict=True))

    def covector(self, x: Any) -> Any:
        return x


vspace = Space


def dtype_of(x: Any) -> np.dtype:
    """That of the gradients of `x`."""
    dtype = getattr(real(x), "dtype", None) or np.asarray(x).dtype
    return dtype if dtype.kind == "f" else np.dtype(np.float64)
