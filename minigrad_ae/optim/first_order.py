"""Optimisers that make one step from one gradient.  They write into the array ``p.data``.

The symbols are those of the papers: g gradient, v velocity, m and v first and second moment, t the
number of the step. A parameter without a gradient is left alone, and so are its moments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from .. import kernels
from ..arguments import flag, real_number, real_pair
from ..errors import DataError, DtypeError
from ..tensors import Tensor
from .optimizer import Optimizer
from .parameter_rows import Row, Rows


# the same for many parameters: worked out once
@lru_cache(maxsize=64)
def _numbers(t: int, *settings: Any) -> Any:
    return kernels.optim.adam_numbers(t, *settings)


class SGD(Optimizer):
    """Gradient descent, with or without momentum.

    v <- momentum v + g, p <- p - lr v, for the gradient g; momentum=0 is p <- p - lr g.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves with requires_grad, such as ``model.parameters()``.
    lr : float
        The learning rate, at least 0.
    momentum : float, optional
        Part of the velocity that is kept, in [0, 1).
    weight_decay : float, optional
        Adds weight_decay * p to g, the gradient of weight_decay / 2 ‖p‖²; at least 0.
    nesterov : bool, optional
        p <- p - lr (g + momentum v) with the new v; needs a momentum.

    Attributes
    ----------
    momentum, weight_decay, nesterov
        As given; they may be changed between steps.
    lr : float
        The learning rate; see `Optimizer` for what all optimisers have.

    Raises
    ------
    DataError
        For settings outside their range; without parameters.
    DtypeError, GradientError
        For what cannot be trained: see `Optimizer`.

    References
    ----------
    Sutskever et al. (2013), On the importance of initialization and momentum in deep learning;
    Nesterov momentum in PyTorch's form.

    Examples
    --------
    >>> x = mg.nn.Parameter([3.0])
    >>> (x**2).sum().backward()
    >>> mg.optim.SGD([x], lr=0.25).step()  # 3 - 0.25 * 6
    >>> x.tolist()
    [1.5]
    """

    arrays = ("velocity",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, lr)
        self.momentum = real_number(
            momentum, "SGD: momentum", "[0, 1)", "pass 0 for none, or e.g. 0.9"
        )
        self.weight_decay = _decay("SGD", weight_decay)
        if flag(nesterov, "SGD: nesterov") and not self.momentum:
            raise DataError(
                "SGD: nesterov needs a momentum",
                "got momentum=0",
                "pass momentum=0.9, or nesterov=False",
            )
        self.nesterov = nesterov

    def step(self) -> None:
        """One step along ``p.grad`` for every parameter that has one.

        Raises
        ------
        GradientError
            Where no parameter has a gradient, or one is not finite; nothing changes then.
        """
        for p, g, state in self.gradients():
            if self.weight_decay:
                g = g + self.weight_decay * p.data
            if self.momentum:
                v = state["velocity"] = self.momentum * state["velocity"] + g if state else g.copy()
                g = g + self.momentum * v if self.nesterov else v
            p.data -= self.lr * g

    def _prepared(self, gradients: Mapping[Tensor, np.ndarray]) -> Any:
        """A step for gradients that stay in these arrays, or None: see prepared.py."""
        from .prepared import SGDStep, can_be_prepared  # Numba comes with it

        kind = type(self)
        ours = kind.step is SGD.step and kind.zero_grad is Optimizer.zero_grad
        if not ours or not can_be_prepared(self, gradients, begun=bool(self.momentum)):
            return None
        return SGDStep(self, gradients)


class Adam(Optimizer):
    """Adaptive moments: steps of about lr for each number, whatever the size of its gradient.

    m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2, p <- p - lr m_hat / (sqrt(v_hat) +
    eps), with m_hat = m / (1 - beta1^t) and v_hat = v / (1 - beta2^t) at step t (bias correction).

    Parameters
    ----------
    params : iterable of Tensor
        Leaves with requires_grad, such as ``model.parameters()``.
    lr : float, optional
        The learning rate, at least 0.
    betas : (float, float), optional
        Decay of the first and second moment, each in [0, 1).
    eps : float, optional
        Added to the root of the second moment, in the units of the gradient; at least 0.
    weight_decay : float, optional
        Adds weight_decay * p to g *before* the moments; for a decay of the weights themselves see
        `AdamW`.

    Attributes
    ----------
    betas, eps, weight_decay
        As given; they may be changed between steps.
    lr : float
        The learning rate; see `Optimizer` for what all optimisers have.

    Raises
    ------
    DataError
        For settings outside their range; without parameters.
    DtypeError, GradientError
        For what cannot be trained: see `Optimizer`.

    References
    ----------
    Kingma & Ba (2015), Adam: a method for stochastic optimization, algorithm 1.

    Examples
    --------
    The first step has the length lr in each number, since m_hat = g and v_hat = g^2:

    >>> x = mg.nn.Parameter([3.0, -400.0])
    >>> (x**2).sum().backward()
    >>> mg.optim.Adam([x], lr=0.1).step()
    >>> x.data.round(6).tolist()
    [2.9, -399.9]
    """

    arrays, counts, decoupled = ("m", "v"), ("t",), False

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        who = type(self).__name__
        super().__init__(params, lr)
        self.rows: Rows | None = None  # made at the first step
        fix = "pass betas=(0.9, 0.999) or similar"
        self.betas = real_pair(betas, f"{who}: betas", "[0, 1)", fix)
        self.eps = real_number(eps, f"{who}: eps", "[0, inf)", "pass a small number, such as 1e-8")
        self.weight_decay = _decay(who, weight_decay)

    def step(self) -> None:
        """One step, in place, for every parameter that has a gradient.

        Raises
        ------
        GradientError
            Where no parameter has a gradient, or one is not finite; nothing changes then.
        """
        compiled = kernels.backend.backend() == "numba"
        if compiled and (rows := self._in_rows()) and all(row.filled() for row in rows):
            for row in rows:
                row.step(*self._settings(row.params[0]))
            return
        for p, g, state in self.gradients():
            data = p.data
            if not state:
                state.update(
                    m=np.zeros(data.shape, data.dtype), v=np.zeros(data.shape, data.dtype), t=0
                )
            t = state["t"] = state["t"] + 1
            settings = self._settings(p)
            contiguous = g.flags.c_contiguous and data.flags.c_contiguous
            if compiled and contiguous and g.dtype == data.dtype:
                kernels.optim.adam(data, g, state["m"], state["v"], _numbers(t, *settings))
            else:
                plain: Any = kernels.optim.adam_step.definition  # type: ignore[attr-defined]
                plain(data, g, state["m"], state["v"], t, *settings)
            # the same array, but the tensor is told: a backward of an older graph would be too late
            p.data = data

    def _prepared(self, gradients: Mapping[Tensor, np.ndarray]) -> Any:
        """A step for gradients that stay in these arrays, or None: see prepared.py."""
        from .prepared import AdamStep, can_be_prepared  # Numba comes with it

        kind = type(self)
        ours = kind.step is Adam.step and kind.zero_grad is Optimizer.zero_grad
        if not ours or not can_be_prepared(self, gradients, begun=True):
            return None
        return AdamStep(self, gradients, kind.factor_and_decay is Adam.factor_and_decay)

    def factor_and_decay(self, p: Tensor) -> tuple[float, float]:
        """What differs between parameters.

        Parameters
        ----------
        p : Tensor
            One of the parameters.

        Returns
        -------
        factor : float
            On the learning rate; 1.
        decay : float
            The weight decay.
        """
        return 1.0, self.weight_decay

    def _settings(self, p: Tensor) -> tuple[Any, ...]:
        factor, decay = self.factor_and_decay(p)
        return self.lr * factor, self.betas, self.eps, decay, self.decoupled

    def _in_rows(self) -> list[Row]:
        """A small model's parameters in rows, one for each factor and decay; no row for a large
        one.

        Made at the first step, and again where the state has been replaced (`load_state_dict`).
        """
        kinds = [self.factor_and_decay(p) for p in self.params]
        if self.rows is None or self.rows.kinds != kinds or self.rows.states is not self.state:
            self.rows = Rows(self.params, self.state, kinds)
        return self.rows.rows

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "rows": None}  # a copy's moments would be no views of its rows


class AdamW(Adam):
    """Adam with decoupled weight decay: p <- p - lr weight_decay p, beside Adam's step.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves with requires_grad, such as ``model.parameters()``.
    lr : float, optional
        The learning rate, at least 0.
    betas : (float, float), optional
        Decay of the first and second moment, each in [0, 1).
    eps : float, optional
        Added to the root of the second moment, in the units of the gradient; at least 0.
    weight_decay : float, optional
        The part of p, times lr, that each step takes off; at least 0.
    matrices_only : bool, optional
        Decay parameters with two axes or more, and neither biases nor the weights of a LayerNorm.
    lr_factors : mapping of Tensor to float, optional
        Factors on lr, 1 for all other parameters.  Layer-wise learning rates are made of these.

    Attributes
    ----------
    betas, eps, weight_decay, matrices_only, lr_factors
        As given; they may be changed between steps.
    lr : float
        The learning rate; see `Optimizer` for what all optimisers have.

    Raises
    ------
    DataError
        For settings outside their range; without parameters.
    DtypeError, GradientError
        For what cannot be trained: see `Optimizer`.

    References
    ----------
    Loshchilov & Hutter (2019), Decoupled weight decay regularization.

    Examples
    --------
    With a gradient of zero only the decay is left, p (1 - lr weight_decay):

    >>> x = mg.nn.Parameter([3.0])
    >>> x.grad = np.zeros(1)
    >>> mg.optim.AdamW([x], lr=0.1, weight_decay=0.5).step()
    >>> x.data.round(6).tolist()
    [2.85]
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        *,
        matrices_only: bool = False,
        lr_factors: Mapping[Tensor, float] | None = None,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
        self.matrices_only = flag(matrices_only, "AdamW: matrices_only")
        self.lr_factors = _factors({} if lr_factors is None else lr_factors)

    def factor_and_decay(self, p: Tensor) -> tuple[float, float]:
        """What differs between parameters.

        Parameters
        ----------
        p : Tensor
            One of the parameters.

        Returns
        -------
        factor : float
            On the learning rate: that of `lr_factors`, or 1.
        decay : float
            The weight decay; 0 for a vector where `matrices_only`.
        """
        decays = p.ndim >= 2 or not self.matrices_only
        return self.lr_factors.get(p, 1.0), self.weight_decay if decays else 0.0


def _decay(who: str, weight_decay: float) -> float:
    return real_number(
        weight_decay, f"{who}: weight_decay", "[0, inf)", "pass 0 for none, or e.g. 0.01"
    )


def _factors(lr_factors: Any) -> dict[Tensor, float]:
    if not isinstance(lr_factors, Mapping):
        raise DtypeError(
            "AdamW: lr_factors must be a mapping",
            f"got {lr_factors!r:.60}",
            "pass {parameter: factor}",
        )
    name, fix = "AdamW: a factor on the learning rate", "pass 0 to freeze, or e.g. 0.7"
    return {p: real_number(factor, name, "[0, inf)", fix) for p, factor in lr_factors.items()}
