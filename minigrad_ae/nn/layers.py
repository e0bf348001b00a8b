"""Layers: a few lines each around the function of the same name in `ops`.

Inputs are tensors or arrays (..., features); what is computed has the dtype that NumPy gives to
input and parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..arguments import choice, flag, generator, real_dtype, real_number, whole_number
from ..autodiff.graph import Value
from ..errors import DtypeError, ShapeError
from ..ops.functional import ACTIVATIONS
from .init import xavier_uniform, zeros
from .module import Module, Parameter

EACH_SIDE = "a layer has a unit on each side"


class Linear(Module):
    """y = f(x W + b): x (..., in), W (in, out), b (out,), f one of the activations of `mg.linear`,
    by name, or None.

    W is drawn by `init(shape, rng, dtype)`: Xavier unless told otherwise (init.he_uniform suits
    ReLU); b starts at 0.
    dtype: float32 or float64.

    Raises DataError for sizes below 1 and unknown activations; DtypeError for a missing `rng` and
    for other dtypes; when called, ShapeError for an x of another width.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation: str | None = None,
        *,
        rng: np.random.Generator | None = None,
        dtype: Any = np.float64,
        init: Callable[..., np.ndarray] = xavier_uniform,
    ) -> None:
        choice(activation, ACTIVATIONS, "Linear", "activation", "use one of these names")
        n_in = whole_number(in_features, "in_features", EACH_SIDE)
        n_out = whole_number(out_features, "out_features", EACH_SIDE)
        dtype = real_dtype(dtype, "Linear")
        rng = generator(rng, "Linear", "the first weights")
        self.activation = activation
        self.weight = Parameter(init((n_in, n_out), rng, dtype), dtype=dtype)
        self.bias = Parameter(zeros((n_out,), dtype=dtype)) if flag(bias, "Linear: bias") else None

    def forward(self, x: Any) -> Any:
        _width(x, self.weight._data.shape[0], self)
        return ops.linear(x, self.weight, self.bias, activation=self.activation)

    def describe(self) -> str:
        size = " -> ".join(map(str, self.weight.shape))
        return f"Linear({size}{f', {self.activation}' if self.activation else ''})"


class LayerNorm(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias over the last axis: x (..., features) (Ba,
    Kiros & Hinton 2016).

    weight (features,) starts at 1 and bias (features,) at 0; nothing is random.
    """

    def __init__(self, features: int, eps: float = 1e-5, *, dtype: Any = np.float64) -> None:
        self.eps = real_number(eps, "LayerNorm: eps", "[0, inf)", "the usual value is 1e-5")
        n = whole_number(features, "features", EACH_SIDE)
        dtype = real_dtype(dtype, "LayerNorm")
        self.weight = Parameter(np.ones(n, dtype))
        self.bias = Parameter(zeros((n,), dtype=dtype))

    def forward(self, x: Any) -> Any:
        _width(x, self.weight.shape[0], self)
        return ops.layer_norm(x, self.weight, self.bias, eps=self.eps)

    def describe(self) -> str:
        return f"LayerNorm({self.weight.shape[0]}, eps={self.eps:g})"


class Dropout(Module):
    """In training, each element is 0 with probability `rate`, else divided by 1 - rate; in
    evaluation y = x.

    (Srivastava et al. 2014; "inverted", so the mean of y is x.)  Masks come one after the other
    from `rng`; a deep copy has its own generator in the same state, so it draws the same masks.

    Raises DataError for a rate outside [0, 1) and DtypeError for a missing `rng`.
    """

    def __init__(self, rate: float, rng: np.random.Generator | None = None) -> None:
        self.rate = real_number(
            rate, "Dropout: the rate", "[0, 1)", "rate is the probability of dropping"
        )
        self.rng = generator(rng, "Dropout", "which elements to drop")

    def forward(self, x: Any) -> Any:
        if not self.training or self.rate == 0:
            return x
        shape = x._data.shape if isinstance(x, Value) else np.shape(x)
        return ops.dropout(x, self.rng.random(shape) >= self.rate, self.rate)

    def describe(self) -> str:
        return f"Dropout({self.rate:g})"


class Activation(Module):
    """A function of each element, as a module."""

    function: ClassVar[Any]

    def forward(self, x: Any) -> Any:
        return self.function(x)


class Tanh(Activation):
    """y = tanh x."""

    function = staticmethod(ops.tanh)


class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x))."""

    function = staticmethod(ops.sigmoid)


class ReLU(Activation):
    """y = max(x, 0)."""

    function = staticmethod(ops.relu)


class Softplus(Activation):
    """y = log(1 + exp x)."""

    function = staticmethod(ops.softplus)


class GELU(Module):
    """y = x Phi(x), or its approximation by a tanh on request (Hendrycks & Gimpel 2016)."""

    def __init__(self, approximate: str | None = None) -> None:
        self.approximate = choice(approximate, (None, "tanh"), "GELU", "approximation")

    def forward(self, x: Any) -> Any:
        return ops.gelu(x, approximate=self.approximate)

    def describe(self) -> str:
        return f"GELU({self.approximate})" if self.approximate else "GELU"


class Flatten(Module):
    """x (n, ...) -> (n, the rest in one axis)."""

    def forward(self, x: Any) -> Any:
        return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


class Sequential(Module):
    """Modules, one after the other; number k is named 'k' in the state, and is ``model[k]``."""

    def __init__(self, *layers: Module) -> None:
        for k, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise DtypeError(
                    "Sequential takes modules",
                    f"number {k} is {layer!r:.60}",
                    "pass instances: Sequential(Linear(...), Tanh()), not a list, a class or a "
                    "function",
                )
        self.layers = list(layers)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def members(self) -> Iterator[tuple[str, Any]]:
        return ((name.removeprefix("layers."), member) for name, member in super().members())

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def __getitem__(self, k: int) -> Module:
        return self.layers[k]


def _width(x: Any, features: int, layer: Module) -> None:
    shape = x._data.shape if isinstance(x, Value) else np.shape(x)
    if not shape or shape[-1] != features:
        raise ShapeError(
            f"{layer.describe()}: the last axis of x must have {features} elements",
            f"got x of shape {shape}",
            "a row of x is one example: pass (..., features), or build the layer for this width",
        )
