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
from ..arguments import (
    choice,
    flag,
    function,
    generator,
    plain,
    real_dtype,
    real_number,
    rows,
    whole_number,
)
from ..autodiff.graph import Value
from ..errors import DtypeError, ShapeError
from ..ops.functional import ACTIVATIONS
from ..room import demand_room_for
from .init import xavier_uniform, zeros
from .module import Module, Parameter

EACH_SIDE = "a layer has a unit on each side"


class Linear(Module):
    """An affine map of features, y = f(x W + b).

    Parameters
    ----------
    in_features : int
        Length of the last axis of x, at least 1.
    out_features : int
        Length of the last axis of y, at least 1.
    bias : bool, optional
        Whether there is a b.
    activation : str or None, optional
        f by its name, one of those of `mg.linear`; None for f(a) = a.
    rng : numpy.random.Generator
        What the first weights are drawn from.
    dtype : dtype, optional
        Of W and b: float32 or float64.
    init : callable, optional
        ``init(shape, rng, dtype)`` draws W, Xavier's uniform numbers unless told otherwise;
        `nn.init.he_uniform` suits ReLU.

    Attributes
    ----------
    weight : Parameter, (in_features, out_features)
        W.
    bias : Parameter, (out_features,), or None
        b, which starts at 0.
    activation : str or None
        The name of f.

    Raises
    ------
    DataError
        For sizes below 1 and unknown activations.
    DtypeError
        For a missing `rng` and for other dtypes.

    Examples
    --------
    >>> layer = mg.nn.Linear(3, 2, rng=np.random.default_rng(0))
    >>> x = np.ones((5, 3))
    >>> bool(np.allclose(layer(x).data, x @ layer.weight.data + layer.bias.data))
    True
    >>> mg.nn.Linear(64, 32, activation="tanh", rng=np.random.default_rng(0))
    Linear(64 -> 32, tanh)  weight (64, 32), bias (32,)  = 2,080 parameters
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
        self.activation = choice(
            activation, ACTIVATIONS, "Linear", "activation", "use one of these names"
        )
        n_in = whole_number(in_features, "in_features", EACH_SIDE)
        n_out = whole_number(out_features, "out_features", EACH_SIDE)
        dtype = real_dtype(dtype, "Linear")
        rng = generator(rng, "Linear", "the first weights")
        function(init, "Linear: init", "pass a function of shape, rng and dtype, as in nn.init")
        self.weight = Parameter(init((n_in, n_out), rng, dtype), dtype=dtype)
        self.bias = Parameter(zeros((n_out,), dtype=dtype)) if flag(bias, "Linear: bias") else None

    def forward(self, x: Any) -> Any:
        """f(x W + b).

        Parameters
        ----------
        x : Tensor or array_like, (..., in_features)
            Rows of features.

        Returns
        -------
        Tensor, (..., out_features)
            y, in the dtype that NumPy gives to x and the parameters.

        Raises
        ------
        ShapeError
            If the last axis of x has another length.
        """
        _width(x, self.weight._data.shape[0], self)
        return ops.linear(x, self.weight, self.bias, activation=self.activation)

    def describe(self) -> str:
        """The line in the tree, such as 'Linear(64 -> 32, tanh)'.

        Returns
        -------
        str
            Sizes, and the activation where there is one.
        """
        size = " -> ".join(map(str, self.weight.shape))
        return f"Linear({size}{f', {self.activation}' if self.activation else ''})"


class LayerNorm(Module):
    """Each row at mean 0 and variance 1, then scaled and shifted.

    y = (x - mean) / sqrt(var + eps) * weight + bias, with the mean and the variance over the last
    axis.  Nothing is random.

    Parameters
    ----------
    features : int
        Length of the last axis, at least 1.
    eps : float, optional
        Added to the variance, in the units of x squared; at least 0.
    dtype : dtype, optional
        Of weight and bias: float32 or float64.

    Attributes
    ----------
    weight : Parameter, (features,)
        The scale, which starts at 1.
    bias : Parameter, (features,)
        The shift, which starts at 0.
    eps : float
        As given.

    Raises
    ------
    DataError
        For fewer than one feature, or an `eps` that is negative or not finite.
    DtypeError
        For other dtypes.

    References
    ----------
    Ba, Kiros & Hinton (2016), Layer normalization.

    Examples
    --------
    >>> y = mg.nn.LayerNorm(3)(np.array([[1.0, 2.0, 3.0]]))
    >>> bool(np.allclose(y.data, [[-(1.5**0.5), 0, 1.5**0.5]], atol=1e-4))
    True
    """

    def __init__(self, features: int, eps: float = 1e-5, *, dtype: Any = np.float64) -> None:
        self.eps = real_number(eps, "LayerNorm: eps", "[0, inf)", "the usual value is 1e-5")
        n = whole_number(features, "features", EACH_SIDE)
        demand_room_for((n,))
        dtype = real_dtype(dtype, "LayerNorm")
        self.weight = Parameter(np.ones(n, dtype))
        self.bias = Parameter(zeros((n,), dtype=dtype))

    def forward(self, x: Any) -> Any:
        """Normalise the last axis.

        Parameters
        ----------
        x : Tensor or array_like, (..., features)
            Rows of features.

        Returns
        -------
        Tensor, (..., features)
            y.

        Raises
        ------
        ShapeError
            If the last axis of x has another length.
        """
        _width(x, self.weight.shape[0], self)
        return ops.layer_norm(x, self.weight, self.bias, eps=self.eps)

    def describe(self) -> str:
        """The line in the tree, such as 'LayerNorm(64, eps=1e-05)'.

        Returns
        -------
        str
            The number of features, and eps.
        """
        return f"LayerNorm({self.weight.shape[0]}, eps={self.eps:g})"


class Dropout(Module):
    """Random zeros in training; nothing in evaluation.

    In training each element is 0 with probability `rate`, else divided by 1 - rate ("inverted"
    dropout, so that the mean of y is x).  In evaluation y = x.

    Parameters
    ----------
    rate : float
        Probability that an element is dropped, in [0, 1).
    rng : numpy.random.Generator
        What the masks are drawn from, one after the other.

    Attributes
    ----------
    rate : float
        As given.
    rng : numpy.random.Generator
        As given.  A deep copy of the layer has its own generator in the same state, so it draws the
        same masks.

    Raises
    ------
    DataError
        For a rate outside [0, 1).
    DtypeError
        For a missing `rng`.

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting.

    Examples
    --------
    >>> layer = mg.nn.Dropout(0.5, np.random.default_rng(0))
    >>> sorted(set(layer(np.ones(100)).data.tolist()))
    [0.0, 2.0]
    >>> bool((layer.eval()(np.ones(100)) == 1).all())
    True
    """

    def __init__(self, rate: float, rng: np.random.Generator | None = None) -> None:
        self.rate = real_number(
            rate, "Dropout: the rate", "[0, 1)", "rate is the probability of dropping"
        )
        self.rng = generator(rng, "Dropout", "which elements to drop")

    def forward(self, x: Any) -> Any:
        """Drop elements in training mode.

        Parameters
        ----------
        x : Tensor or array_like
            Any shape.

        Returns
        -------
        Tensor or array_like
            A tensor of the shape of x; in evaluation, or for rate 0, x itself.
        """
        if not self.training or self.rate == 0:
            return x
        shape = x._data.shape if isinstance(x, Value) else np.shape(x)
        return ops.dropout(x, self.rng.random(shape) >= self.rate, self.rate)

    def describe(self) -> str:
        """The line in the tree, such as 'Dropout(0.1)'.

        Returns
        -------
        str
            The rate.
        """
        return f"Dropout({self.rate:g})"


class Activation(Module):
    """A function of each element, as a module."""

    function: ClassVar[Any]

    def forward(self, x: Any) -> Any:
        """The function of each element.

        Parameters
        ----------
        x : Tensor or array_like
            Any shape.

        Returns
        -------
        Tensor
            y, in the shape of x.
        """
        return self.function(x)


class Tanh(Activation):
    """The hyperbolic tangent of each element, y = tanh x.

    Examples
    --------
    >>> x = mg.tensor([0.0], requires_grad=True)
    >>> mg.nn.Tanh()(x).sum().backward()
    >>> x.grad.tolist()
    [1.0]
    """

    function = staticmethod(ops.tanh)


class Sigmoid(Activation):
    """The logistic function of each element, y = 1 / (1 + exp(-x)).

    Examples
    --------
    >>> x = mg.tensor([0.0], requires_grad=True)
    >>> y = mg.nn.Sigmoid()(x)
    >>> y.sum().backward()
    >>> y.item(), x.grad.tolist()
    (0.5, [0.25])
    """

    function = staticmethod(ops.sigmoid)


class ReLU(Activation):
    """The positive part of each element, y = max(x, 0).

    Examples
    --------
    >>> x = mg.tensor([-1.0, 2.0], requires_grad=True)
    >>> y = mg.nn.ReLU()(x)
    >>> y.sum().backward()
    >>> y.tolist(), x.grad.tolist()
    ([0.0, 2.0], [0.0, 1.0])
    """

    function = staticmethod(ops.relu)


class Softplus(Activation):
    """A smooth positive part of each element, y = log(1 + exp x).

    Examples
    --------
    Its slope is the sigmoid:

    >>> x = mg.tensor([0.0], requires_grad=True)
    >>> y = mg.nn.Softplus()(x)
    >>> y.sum().backward()
    >>> bool(np.isclose(y.item(), np.log(2))), x.grad.tolist()
    (True, [0.5])
    """

    function = staticmethod(ops.softplus)


class GELU(Module):
    """The Gaussian error linear unit of each element, y = x Phi(x).

    Phi is the distribution function of the standard normal.

    Parameters
    ----------
    approximate : {None, 'tanh'}, optional
        "tanh" for the approximation of Phi by a tanh.

    Attributes
    ----------
    approximate : {None, 'tanh'}
        As given.

    Raises
    ------
    DataError
        For another approximation.

    References
    ----------
    Hendrycks & Gimpel (2016), Gaussian error linear units.

    Examples
    --------
    Phi(x) + Phi(-x) = 1, so y(x) - y(-x) = x:

    >>> y = mg.nn.GELU()(np.array([1.5, -1.5])).data
    >>> round(float(y[0] - y[1]), 6)
    1.5
    """

    def __init__(self, approximate: str | None = None) -> None:
        self.approximate = choice(approximate, (None, "tanh"), "GELU", "approximation")

    def forward(self, x: Any) -> Any:
        """x Phi(x), element by element.

        Parameters
        ----------
        x : Tensor or array_like
            Any shape.

        Returns
        -------
        Tensor
            y, in the shape of x.
        """
        return ops.gelu(x, approximate=self.approximate)

    def describe(self) -> str:
        """The line in the tree, 'GELU' or 'GELU(tanh)'.

        Returns
        -------
        str
            The name, and the approximation where there is one.
        """
        return f"GELU({self.approximate})" if self.approximate else "GELU"


class Flatten(Module):
    """All axes but the first joined into one.

    Examples
    --------
    >>> mg.nn.Flatten()(np.zeros((5, 8, 8))).shape
    (5, 64)
    """

    def forward(self, x: Any) -> Any:
        """Join the axes of each datum.

        Parameters
        ----------
        x : Tensor or ndarray, (n, ...)
            One datum an index of the first axis.

        Returns
        -------
        Tensor, (n, D)
            The same numbers, D of them for each datum.

        Raises
        ------
        ShapeError
            If x has no axes.
        """
        x = x if isinstance(x, Value) and x._data.shape else rows(x, "x")
        return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


class Sequential(Module):
    """Modules that are run one after the other.

    Number k is named 'k' in the state, and is ``model[k]``.

    Parameters
    ----------
    *layers : Module
        What is run, in this order.

    Attributes
    ----------
    layers : list of Module
        As given.

    Raises
    ------
    DtypeError
        For something that is not a module.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> model = mg.nn.Sequential(mg.nn.Linear(4, 3, rng=rng), mg.nn.Tanh())
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias']
    >>> x = np.ones((2, 4))
    >>> bool(np.array_equal(model(x).data, np.tanh(model[0](x).data)))
    True
    """

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
        """Each layer on what the one before it returned.

        Parameters
        ----------
        x : Tensor or array_like
            What the first layer takes.

        Returns
        -------
        Tensor
            What the last layer returns; x without layers.
        """
        for layer in self.layers:
            x = layer(x)
        return x

    def members(self) -> Iterator[tuple[str, Any]]:
        """The layers by their numbers.

        Returns
        -------
        iterator of (str, Module)
            ('0', first layer) and so on; an attribute that was added later under its own name.
        """
        return ((name.removeprefix("layers."), member) for name, member in super().members())

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def __getitem__(self, k: int) -> Module:
        return self.layers[k]


def _width(x: Any, features: int, layer: Module) -> None:
    shape = x._data.shape if isinstance(x, Value) else plain(x, "x").shape
    if not shape or shape[-1] != features:
        raise ShapeError(
            f"{layer.describe()}: the last axis of x must have {features} elements",
            f"got x of shape {shape}",
            "a row of x is one example: pass (..., features), or build the layer for this width",
        )
