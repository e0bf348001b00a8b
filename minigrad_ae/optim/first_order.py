"""Optimisers that make one step from one gradient.  They write into the array ``p.data``.

The symbols are those of the papers: g gradient, v velocity, m and v first and second moment, t the
number of the step. A parameter without a gradient is left alone, and so are its moments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import kernels
from ..errors import DataError
from ..tensors import Tensor
from .optimizer import Optimizer, checked_number
from .parameter_rows import Row, Rows


class SGD(Optimizer):
    """Gradient descent: v <- momentum v + g, p <- p - lr v; momentum=0 is p <- p - lr g.

    nesterov : p <- p - lr (g + momentum v) with the new v (Sutskever et al. 2013, in PyTorch's
    form).
    weight_decay : adds weight_decay * p to g, the gradient of weight_decay / 2 ‖p‖².
    Raises DataError for settings outside their range, otherwise what `Optimizer` and
    `Optimizer.gradients` raise.
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
        self.momentum = checked_number(
            "SGD: momentum", momentum, 0, 1, "0 for none, or e.g. 0.9", closed=True
        )
        self.weight_decay = _decay("SGD", weight_decay)
        if nesterov and not self.momentum:
            raise DataError(
                "SGD: nesterov needs a momentum",
                "got momentum=0",
                "pass momentum=0.9, or nesterov=False",
            )
        self.nesterov = nesterov

    def step(self) -> None:
        """One step along ``p.grad`` for every parameter that has one."""
        for p, g, state in self.gradients():
            if self.weight_decay:
                g = g + self.weight_decay * p.data
            if self.momentum:
                v = state["velocity"] = self.momentum * state["velocity"] + g if state else g.copy()
                g = g + self.momentum * v if self.nesterov else v
            p.data -= self.lr * g


class Adam(Optimizer):
    """Adaptive moments (Kingma & Ba 2015, algorithm 1), bias-corrected.

    betas : decay of the first and second moment.   eps : added to the root of the second moment.
    weight_decay : adds weight_decay * p to g *before* the moments; for a decay of the weights
    themselves see `AdamW`. Raises DataError for settings outside their range, otherwise what
    `Optimizer` and `Optimizer.gradients` raise.
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
        self.betas = _betas(who, betas)
        self.eps = checked_number(
            f"{who}: eps", eps, 0, math.inf, "a small number, such as 1e-8", closed=True
        )
        self.weight_decay = _decay(who, weight_decay)

    def step(self) -> None:
        """m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2, p <- p - lr m_hat /
        (sqrt(v_hat) + eps), in place.
        """
        compiled = kernels.backend.backend() == "numba"
        if compiled and (rows := self._in_rows()) and all(row.filled() for row in rows):
            for row in rows:
                row.step(*self._settings(row.params[0]))
            return
        # what is the same for many parameters: worked out once
        numbers: dict[Any, tuple[float, ...]] = {}
        for p, g, state in self.gradients():
            data = p.data
            if not state:
                state.update(
                    m=np.zeros(data.shape, data.dtype), v=np.zeros(data.shape, data.dtype), t=0
                )
            t = state["t"] = state["t"] + 1
            settings = self._settings(p)
            if (
                not compiled
                or g.dtype != data.dtype
                or not (g.flags.c_contiguous and data.flags.c_contiguous)
            ):
                kernels.optim.adam_step.definition(data, g, state["m"], state["v"], t, *settings)
            else:
                key = t, settings
                if key not in numbers:
                    numbers[key] = kernels.optim.adam_numbers(t, *settings)
                kernels.optim.adam(data, g, state["m"], state["v"], numbers[key])
            # the same array, but the tensor is told: a backward of an older graph would be too late
            p.data = data

    def factor_and_decay(self, p: Tensor) -> tuple[float, float]:
        """The factor on the learning rate, and the weight decay, of one parameter."""
        return 1.0, self.weight_decay

    def _settings(self, p: Tensor) -> tuple[Any, ...]:
        factor, decay = self.factor_and_decay(p)
        return self.lr * factor, self.betas, self.eps, decay, self.decoupled

    def _in_rows(self) -> list[Row]:
        """A small model's parameters in rows, one for each factor and decay; no row for a large
        one.

        Made at the first step, and anew where the state is another one, as after `load_state_dict`.
        """
        kinds = [self.factor_and_decay(p) for p in self.params]
        if self.rows is None or self.rows.kinds != kinds or self.rows.states is not self.state:
            self.rows = Rows(self.params, self.state, kinds)
        return self.rows.rows

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "rows": None}  # a copy's moments would be no views of its rows


class AdamW(Adam):
    """Adam with decoupled weight decay: p <- p - lr weight_decay p, beside Adam's step (Loshchilov
    & Hutter 2019).

    matrices_only : decay parameters with two axes or more, and neither biases nor the weights of a
    LayerNorm.
    lr_factors : {parameter: factor on lr}; 1 for all others.  Layer-wise learning rates are made of
    these.
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
        self.matrices_only, self.lr_factors = matrices_only, dict(lr_factors or {})
        what = "AdamW: a factor on the learning rate"
        for factor in self.lr_factors.values():
            checked_number(what, factor, 0, math.inf, "0 to freeze, or e.g. 0.7", closed=True)

    def factor_and_decay(self, p: Tensor) -> tuple[float, float]:
        """The factor on the learning rate, and the weight decay, of one parameter."""
        return self.lr_factors.get(
            p, 1.0
        ), 0.0 if self.matrices_only and p.ndim < 2 else self.weight_decay


def _decay(who: str, weight_decay: float) -> float:
    return checked_number(
        f"{who}: weight_decay", weight_decay, 0, math.inf, "0 for none, or e.g. 0.01", closed=True
    )


def _betas(who: str, betas: Any) -> tuple[float, float]:
    try:
        first, second = betas
    except (TypeError, ValueError):
        raise DataError(
            f"{who}: betas must be two numbers", f"got {betas!r}", "pass betas=(0.9, 0.999)"
        ) from None
    fix = "betas=(0.9, 0.999) or similar"
    return (
        checked_number(f"{who}: betas[0]", first, 0, 1, fix, closed=True),
        checked_number(f"{who}: betas[1]", second, 0, 1, fix, closed=True),
    )
