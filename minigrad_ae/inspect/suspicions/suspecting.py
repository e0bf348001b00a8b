"""`suspect`: asks all questions of one loss."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from ...arguments import numbers
from ...autodiff.graph import Value
from ...errors import DtypeError, ShapeError
from ..record.applications import demand_loss
from ..record.names import caller_scopes
from . import inputs, losses, shapes, training, units  # noqa: F401  (each registers its questions)
from .question import QUESTIONS, Suspicion
from .scene import Scene, Scopes

WIDTH = 88


class Suspicions(Sequence[Suspicion]):
    """What `suspect` found, in the order of the questions; it prints as a list.

    Parameters
    ----------
    found : sequence of Suspicion
        The suspicions.

    Raises
    ------
    DtypeError
        If `found` is anything else.

    Examples
    --------
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> print(mg.suspect((x * x).sum()))
    nothing suspicious: 17 questions asked; what takes several steps to see needs mg.watch()
    """

    def __init__(self, found: Sequence[Suspicion]) -> None:
        several = isinstance(found, Sequence)
        self._found = tuple(found) if several else ()
        if not several or not all(isinstance(each, Suspicion) for each in self._found):
            raise DtypeError(
                "Suspicions: found is not a list of suspicions",
                f"got {' '.join(repr(found).split()):.60}",
                "pass a list of mg.inspect.Suspicion; mg.suspect(loss) makes one",
            )

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, k: int) -> Suspicion: ...

    @overload
    def __getitem__(self, k: slice) -> Sequence[Suspicion]: ...

    def __getitem__(self, k: Any) -> Any:
        return self._found[k]

    def __iter__(self) -> Iterator[Suspicion]:
        return iter(self._found)

    def __str__(self) -> str:
        if not self._found:
            asked = f"nothing suspicious: {len(QUESTIONS)} questions asked"
            return f"{asked}; what takes several steps to see needs mg.watch()"
        lines: list[str] = []
        for k, found in enumerate(self._found, start=1):
            lines += _wrapped(f"{k}. {found.what}: {found.reason}", "   ")
            if found.line:
                lines += _wrapped(f"   in   {found.place}: {found.line[2]}", "        ")
            lines += _wrapped(f"   look {found.look}", "        ")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<{len(self)} suspicions>" if self._found else "<no suspicions>"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def suspect(loss: Value, model: Any = None, optimizer: Any = None, data: Any = None) -> Suspicions:
    """What in this loss, and in the training around it, is often a bug.

    Nothing here is an error: programs that do such things on purpose run as they are.

    Parameters
    ----------
    loss : Tensor, one element
        What is minimised; one that was measured without gradient is looked at, too.
    model : Module, optional
        What is trained; by default the caller's variable that holds parameters of the loss, if
        there is one.
    optimizer : Optimizer, optional
        What trains it; by default likewise.
    data : array_like, (N, ...), optional
        All of the data, a row for each.

    Returns
    -------
    Suspicions
        A sequence of `Suspicion`, which prints as a list: what is suspected and why, in which line,
        what to look at; empty where nothing is.

    Raises
    ------
    DtypeError
        If `loss` is not a tensor, `model` has no parameters, `optimizer` no step, or `data` are no
        numbers.
    GradientError
        If `loss` has more than one element.
    ShapeError
        If `data` has no rows, or they differ in length.
    DataError
        If a mask hides some of `data`.

    See Also
    --------
    watch : Lets it see what takes several steps: ``with mg.watch():`` around the training.

    Examples
    --------
    (4,) against (4, 1) makes 16 differences:

    >>> w = mg.tensor([[1.0], [2.0]], requires_grad=True, name="w")
    >>> X, target = np.ones((4, 2)), np.zeros(4)
    >>> for found in mg.suspect(((X @ w - target) ** 2).mean()):
    ...     print(found.what)
    both operands stretched
    """
    demand_loss(loss, "suspect")
    _demand(model, "model", "named_parameters", "pass the model, or leave it out")
    _demand(optimizer, "optimizer", "step", "pass the optimiser, or leave it out")
    if data is not None:
        data = numbers(data._data if isinstance(data, Value) else data, "suspect: data")
        if data.ndim == 0:
            fix = "pass all of the data, (N, ...), a row for each"
            raise ShapeError("suspect: data has no rows", f"got {data!r:.60}", fix)
    return asked_of(loss, caller_scopes(1), model, optimizer, data)


def _demand(thing: Any, name: str, method: str, fix: str) -> None:
    if thing is not None and not callable(getattr(thing, method, None)):
        raise DtypeError(
            f"suspect: {name} has no {method}()", f"got {' '.join(repr(thing).split()):.60}", fix
        )


def asked_of(
    loss: Value,
    scopes: Scopes,
    model: Any = None,
    optimizer: Any = None,
    data: Any = None,
    gradients: Mapping[int, np.ndarray] | None = None,
) -> Suspicions:
    """What all questions answer, of a loss in the scopes of its caller; `gradients` of its leaves,
    by their id, where they are known.
    """
    scene = Scene(loss, scopes, model, optimizer, data, gradients)
    with np.errstate(all="ignore"):
        return Suspicions([found for q in QUESTIONS for found in q.answers(scene)])
