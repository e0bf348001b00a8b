"""What `fit` asks of the things that it is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import DataError, DtypeError
from .history import Callback, History

OF_A_MODEL = ("loss", "parameters", "named_parameters", "train")
OF_AN_OPTIMIZER = ("step", "zero_grad")


def demand_trainable(model: Any, optimizer: Any) -> None:
    """DtypeError of what has no loss and parameters, or makes no steps."""
    lacks = [name for name in OF_A_MODEL if not callable(getattr(model, name, None))]
    if lacks:
        raise DtypeError(
            f"fit: the model has no {lacks[0]}()",
            f"got {_shown(model)}",
            "pass one of mg.models, or an mg.nn.Module of your own with loss(x, rng)",
        )
    if not model.parameters():
        raise DataError(
            "fit: the model has no parameters",
            f"got {_shown(model)}",
            "give it layers, or an mg.nn.Parameter, as attributes",
        )
    lacks = [name for name in OF_AN_OPTIMIZER if not callable(getattr(optimizer, name, None))]
    if lacks or not hasattr(optimizer, "lr"):
        raise DtypeError(
            f"fit: the optimizer has no {lacks[0] + '()' if lacks else 'lr'}",
            f"got {_shown(optimizer)}",
            "pass mg.optim.Adam(model.parameters()), or another of mg.optim",
        )


def record(history: Any) -> History:
    """A history to go on with, or a new one."""
    if history is None:
        return History()
    if not isinstance(history, History):
        raise DtypeError(
            "fit: history is not a History",
            f"got {_shown(history)}",
            "pass what fit returned, or mg.train.History(**kept); leave it out to begin",
        )
    for name in ("loss", "updates"):
        if not isinstance(getattr(history, name), list):
            raise DtypeError(
                f"fit: {name} of the history is not a list",
                f"got {_shown(getattr(history, name))}",
                "pass what fit returned, or a new History()",
            )
    return history


def callable_or_error(thing: Any, name: str, example: str) -> Any:
    """`thing`; DtypeError where it cannot be called."""
    if not callable(thing):
        raise DtypeError(
            f"fit: {name} is not a function", f"got {_shown(thing)}", f"pass e.g. {example}"
        )
    return thing


def listed(callbacks: Iterable[Callback], name: str) -> list[Callback]:
    """The callbacks; DtypeError where they are not functions."""
    if not isinstance(callbacks, Iterable):
        raise DtypeError(
            f"fit: {name} is not a list of functions",
            f"got {_shown(callbacks)}",
            f"pass {name}=[f], with f(state)",
        )
    return [callable_or_error(f, f"one of {name}", "a function of the state") for f in callbacks]


def _shown(thing: Any) -> str:
    return " ".join(repr(thing).split())[:60]
