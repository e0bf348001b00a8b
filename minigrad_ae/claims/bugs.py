"""Ways to plant a bug in production code, each a context manager that takes it out again.

`edit` changes a line of a function, as a tired programmer would; `wrong_rule` replaces the rule of
an op.  Neither touches a claim's expected value, measurement or tolerance.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from ..autodiff.operation import REGISTRY

Bug = Callable[[], AbstractContextManager[Any]]


def edit(function: Callable[..., Any], old: str, new: str) -> Bug:
    """The bug that `function`'s source says `new` where it says `old` (which must occur exactly
    once).
    """
    function = inspect.unwrap(getattr(function, "__func__", function))

    @contextmanager
    def planted() -> Iterator[None]:
        source = textwrap.dedent(inspect.getsource(function))
        if source.count(old) != 1:
            raise LookupError(
                f"{function.__qualname__} has {old!r} {source.count(old)} times: fix the sabotage"
            )
        tree = ast.parse(source.replace(old, new))
        definition: Any = tree.body[0]
        definition.decorator_list, scope = [], dict[str, Any]()
        changed = compile(tree, f"<bug in {function.__qualname__}>", "exec")
        exec(changed, function.__globals__, scope)
        right, function.__code__ = function.__code__, scope[function.__name__].__code__
        try:
            yield
        finally:
            function.__code__ = right

    return planted


def wrong_rule(op: str, argument: str, rule: str) -> Bug:
    """The bug that the rule of `op` for `argument` is the expression `rule`."""

    def planted() -> AbstractContextManager[Any]:
        target = REGISTRY[op]
        vjps = list(target.vjps)
        i = 0 if target.variadic else list(target.rules).index(argument)
        vjps[i] = target.compile(argument, rule)
        return mock.patch.object(target, "vjps", vjps)

    return planted
