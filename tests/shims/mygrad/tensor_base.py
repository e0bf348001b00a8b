"""MyGrad's Tensor around one of ours: every result keeps its gradient, and knows its inputs."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from absent import Absent, absent, absent_if_refused

import minigrad_ae as mg

# of the running test: how often it reached minigrad_ae, gradients, checks left out as complex
count: Counter[str] = Counter()


class Tensor:
    """A tensor of minigrad_ae, ``ours``, with MyGrad's attributes."""

    _op = Absent("Tensor._op")
    __array_ufunc__ = None  # array * tensor is ours to compute

    def __init__(self, x: Any, *, dtype: Any = None, constant: bool = False, **private: Any):
        if private:
            absent(f"Tensor with {min(private)}=")
        self.ours = mg.tensor(ours(x), requires_grad=not constant, dtype=dtype)
        self.inputs: list[Tensor] = []

    data = property(lambda self: self.ours.data)
    grad = property(lambda self: self.ours.grad)
    shape = property(lambda self: self.ours.shape)
    ndim = property(lambda self: self.ours.ndim)
    size = property(lambda self: self.ours.size)
    dtype = property(lambda self: self.ours.dtype)
    T = property(lambda self: computed(operator.attrgetter("T"), "T")(self))
    constant = _constant = property(
        lambda self: not self.ours.requires_grad,
        lambda self, yes: setattr(self, "ours", self.ours.detach() if yes else self.ours),
    )

    def backward(self, grad: Any = None) -> None:
        """Ones, where no gradient is given."""
        count["gradients"] += 1
        if not self.constant:
            self.ours.backward(np.ones(self.shape) if grad is None else ours(grad))

    def null_gradients(self) -> None:
        """Of this one, and of all that it was computed from."""
        self.ours.zero_grad()
        for each in self.inputs:
            each.null_gradients()

    def __setitem__(self, key: Any, value: Any) -> None:
        absent("assignment into a tensor")

    def __copy__(self) -> Tensor:
        return Tensor(self, constant=self.constant)

    def __len__(self) -> int:
        return len(self.ours)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        absent(f"Tensor.{name}")


def ours(x: Any) -> Any:
    """`x` with our tensors in the places of MyGrad's."""
    if isinstance(x, tuple | list):
        return type(x)(map(ours, x))
    return x.ours if isinstance(x, Tensor) else x


def computed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """One of our functions as MyGrad's: with ``constant=``, from and to its tensors."""

    def call(*args: Any, constant: bool = False, **kwargs: Any) -> Any:
        count["reached"] += 1
        try:
            made = function(*map(ours, args), **kwargs)
        except (TypeError, ValueError) as error:
            absent_if_refused(name, error)
            raise
        return wrapped(made, [x for x in args if isinstance(x, Tensor)], constant)

    call.__name__ = name
    return call


def wrapped(made: Any, inputs: list[Tensor], constant: bool) -> Any:
    """A result as MyGrad's tensor."""
    if isinstance(made, list | tuple):
        return type(made)(wrapped(each, inputs, constant) for each in made)
    if not isinstance(made, mg.Tensor | np.ndarray | np.floating):
        return made
    result = Tensor.__new__(Tensor)
    result.ours = made if isinstance(made, mg.Tensor) else mg.tensor(made, requires_grad=True)
    result.ours = result.ours.detach() if constant else result.ours
    result.inputs = inputs
    if result.ours.requires_grad:
        result.ours.retain_grad()
    return result


for _name in set(dir(mg.Tensor)) - set(dir(Tensor)):
    if callable(getattr(mg.Tensor, _name)) and not _name.startswith("_"):
        setattr(Tensor, _name, computed(getattr(mg.Tensor, _name), f"Tensor.{_name}"))
for _name in "add sub mul truediv pow matmul".split():
    _operator = getattr(operator, _name)
    setattr(Tensor, f"__{_name}__", computed(_operator, _name))
    _reflected = lambda a, b, _operator=_operator: _operator(b, a)  # noqa: E731
    setattr(Tensor, f"__r{_name}__", computed(_reflected, _name))
for _name in "neg pos getitem".split():
    setattr(Tensor, f"__{_name}__", computed(getattr(operator, _name), _name))
for _name in "lt le gt ge eq ne".split():
    _compare = getattr(operator, _name)
    setattr(Tensor, f"__{_name}__", lambda a, b, _compare=_compare: _compare(ours(a), ours(b)))
Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]
