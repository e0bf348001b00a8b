"""The forward and backward pass of a graph as the NumPy program that a person would have written by
hand.

Printed from the expressions that the engine runs (`inline`), in the order in which it runs them
(`record.walk`), so that the program gives the same bits.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arguments import instance
from ..autodiff import engine
from ..autodiff.graph import Value
from ..autodiff.origin import where
from ..errors import GradientError
from ..inspect.record.applications import Application, demand_loss, walk
from ..inspect.record.names import caller_scopes
from .literals import STRIDED, UNPACK, array_text
from .writer import Writer, fitted_text

_HEAD = "# A loss and its gradients, step by step.  Needs NumPy only.\nimport numpy as np"
_HELPERS = {"unpack": UNPACK, "strided": STRIDED}


def emit_numpy(loss: Value, scope: Mapping[str, Any] | None = None) -> str:
    """A loss and its gradients as the NumPy program that a person would have written by hand.

    It imports numpy and nothing else; afterwards ``loss`` and ``grad_<name>`` of each leaf are
    there.  Value and gradients are those of ``loss.backward()``, bit for bit.

    Parameters
    ----------
    loss : Tensor, one element
        What the backward pass starts from.
    scope : mapping of str to object, optional
        The variables to take names from; by default the caller's.

    Returns
    -------
    str
        The program.

    Raises
    ------
    DtypeError
        If `loss` is not a tensor.
    GradientError
        If `loss` has more than one element; if nothing in its graph requires a gradient; or if the
        graph has a hook, or an op of one's own whose source cannot be read.

    Notes
    -----
    Leaves are exact literals (packed above 4,096 elements) and have their names from ``name=`` or
    the caller's variables, as far as they are identifiers; unnamed ones are x0, x1, ...

    Examples
    --------
    >>> x = mg.tensor([3.0, 4.0], requires_grad=True, name="x")
    >>> program = mg.emit_numpy((x * x).sum())
    >>> print(program[program.index("# forward") :])
    # forward
    mul_1 = x * x  # (2,)
    loss = np.sum(mul_1)
    ...
    >>> found = {}
    >>> exec(program, found)
    >>> found["grad_x"]
    array([6., 8.])
    """
    demand_loss(loss, "emit_numpy")
    if scope is not None:
        instance(scope, Mapping, "scope", "pass names and values, such as locals()")
    scopes = [scope] if scope is not None else caller_scopes(1)
    return _Program(engine.topological(loss), scopes).text()


class _Program(Writer):
    """The program as text."""

    def compute(self, value: Value) -> None:
        """The forward line of `value`."""
        self.line("forward", self.vars[id(value)], self.forward_text(value), value._data.shape)

    def contribute(self, a: Application) -> None:
        """The backward line of one rule application."""
        text = self.rule_text(a.value, a.i)
        name, shape, dtype = self.grads[id(a.x)], a.x._data.shape, a.x._data.dtype
        text = fitted_text(text, a.raw_shape, a.raw.dtype, shape, dtype)
        if a.nth > 1:
            text = f"{name} + ({text})"
        # written anew, without brackets that are not needed
        self.line("backward", name, ast.unparse(ast.parse(text)), shape)

    def text(self) -> str:
        """The whole program."""
        for value in self.order:
            if value.hooks:
                raise GradientError(
                    "emit_numpy: a hook cannot be written as NumPy text",
                    f"it hangs on {where(value)}",
                    "take the hook out first: call what register_hook returned",
                )
            if value.op is None:
                self.declare(self.vars[id(value)], value._data)
        for value in self.order:
            if value.op is not None:
                self.compute(value)
        seed = np.ones(self.loss._data.shape, self.loss._data.dtype)
        self.line("backward", self.grads[id(self.loss)], array_text(seed), seed.shape)
        for application in walk(self.loss):
            self.contribute(application)
        data = "\n".join(self.sections["data"])
        helpers = [text for name, text in _HELPERS.items() if f"{name}(" in data]
        helpers += [f"def {name}{rest}" for rest, name in self.library.functions.items()]
        parts = [_HEAD, *(f"\n{text}\n" for text in helpers)]
        for title, lines in self.sections.items():
            parts += [f"\n# {title}", *lines]
        return "\n".join(parts) + "\n"
