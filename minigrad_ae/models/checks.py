"""What several models ask of their arguments."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from ..nn import Module, Parameter
from ..tensors import Tensor, tensor


def rows(x: Any, n_features: int, dtype: Any) -> Tensor:
    """x (n, n_features), n >= 1, as a tensor (an array is cast to `dtype`), or a ShapeError."""
    x = x if isinstance(x, Tensor) else tensor(x, dtype=dtype)
    shape = x.shape
    if len(shape) != 2 or shape[1] != n_features or shape[0] == 0:
        raise ShapeError(
            "the data do not fit the autoencoder",
            f"got shape {shape}, expected (n, {n_features}), n >= 1",
            "rows are data and columns are features; one data point x goes in as x[None, :]",
        )
    return x


def dtype_of(module: Module) -> Any:
    """The dtype of a module's first parameter; the others are not looked for."""
    return next(module.named_parameters())[1].dtype


def name_as_on_the_slides(*layers: Any) -> None:
    """Call the weights W1, W2, ... and the biases b1, b2, ..., as the inspector will show them."""
    for k, layer in enumerate(layers, start=1):
        if isinstance(layer.weight, Parameter):  # not where it is computed, as a tied one is
            layer.weight.name = f"W{k}"
        if layer.bias is not None:
            layer.bias.name = f"b{k}"
