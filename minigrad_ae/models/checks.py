"""What several models ask of their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError, ShapeError
from ..nn import Linear, Module
from ..tensors import Tensor, tensor


def rows(x: Any, n_features: int, dtype: Any) -> Tensor:
    """x (n, n_features), n >= 1, as a tensor (an array is cast to `dtype`), or a ShapeError."""
    x = x if isinstance(x, Tensor) else tensor(x, dtype=dtype)
    if x.ndim != 2 or x.shape[1] != n_features or not len(x):
        raise ShapeError(
            "the data do not fit the autoencoder",
            f"got shape {x.shape}, expected (n, {n_features}), n >= 1",
            "rows are data and columns are features; one data point x goes in as x[None, :]",
        )
    return x


def dtype_of(module: Module) -> Any:
    """The dtype of a module's first parameter; the others are not looked for."""
    return next(module.named_parameters())[1].dtype


def one_of(value: Any, allowed: Sequence[Any], who: str, what: str) -> Any:
    """`value` if it is one of `allowed`, or a DataError that lists them."""
    if value not in allowed:
        raise DataError(
            f"{who}: unknown {what} {value!r}",
            f"there are {', '.join(map(str, allowed))}",
            "use one of these",
        )
    return value


def at_least_one(who: str, **sizes: Any) -> None:
    """A DataError unless every size is a whole number, at least 1."""
    for name, n in sizes.items():
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            got = ", ".join(f"{k} = {v!r}" for k, v in sizes.items())
            raise DataError(
                f"{who}: {name} must be a whole number, at least 1",
                f"got {got}",
                "a layer has a unit at least",
            )


def name_as_on_the_slides(*layers: Linear) -> None:
    """Call the weights W1, W2, ... and the biases b1, b2, ..., as the inspector will show them."""
    for k, layer in enumerate(layers, start=1):
        layer.weight.name = f"W{k}"
        if layer.bias is not None:
            layer.bias.name = f"b{k}"
