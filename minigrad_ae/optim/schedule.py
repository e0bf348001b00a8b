"""The learning rate over time, and gradients cut to a length."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from ..arguments import real_number, whole_number
from ..errors import DataError
from ..tensors import Tensor
from .optimizer import Optimizer, checked_gradients, checked_parameters


def cosine_schedule(
    base: Optimizer | float, steps: int, warmup: int = 0, final_lr: float = 0.0
) -> Callable[[int], float]:
    """A learning rate that rises along a line and falls along a cosine.

    With the top rate that `base` gives::

        k < warmup   lr = top (k + 1) / warmup
        afterwards   lr = final + (top - final) (1 + cos(pi (k - warmup) / (steps - warmup))) / 2

    until k = steps, and final from there on.

    Parameters
    ----------
    base : Optimizer or float
        A learning rate above 0, or an optimiser, whose ``initial_lr`` is meant and whose ``lr``
        each call then sets.
    steps : int
        The number of all steps, warm-up included.
    warmup : int, optional
        Steps of the rise; fewer than `steps`.
    final_lr : float, optional
        The rate from step `steps` on; at least 0.

    Returns
    -------
    callable
        A function of the step k = 0, 1, ... that returns its learning rate, a float.  It holds no
        state, so it can be resumed; DataError for a negative k.

    Raises
    ------
    DataError
        Unless 0 <= warmup < steps and 0 <= final_lr.

    References
    ----------
    Goyal et al. (2017), Accurate, large minibatch SGD, for the rise.
    Loshchilov & Hutter (2017), SGDR: stochastic gradient descent with warm restarts, eq. 5, for the
    fall.

    Examples
    --------
    >>> lr = mg.optim.cosine_schedule(1.0, steps=12, warmup=2)
    >>> [round(lr(k), 6) for k in (0, 1, 2, 7, 12)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    top = real_number(
        getattr(base, "initial_lr", base),
        "cosine_schedule: the base",
        "(0, inf)",
        "pass a learning rate",
    )
    final_lr = real_number(
        final_lr, "cosine_schedule: final_lr", "[0, inf)", "pass 0, or the last rate"
    )
    steps = whole_number(steps, "cosine_schedule: steps")
    warmup = whole_number(warmup, "cosine_schedule: warmup", "0 for none", low=0)
    if warmup >= steps:
        raise DataError(
            "cosine_schedule: the warm-up must be shorter than the whole",
            f"got warmup={warmup}, steps={steps}",
            "pass the number of all steps, warm-up included",
        )

    def schedule(k: int) -> float:
        if k < 0:
            raise DataError(
                "cosine_schedule: steps count from 0", f"got {k}", "pass the number of the step"
            )
        if k < warmup:
            lr = top * (k + 1) / warmup
        else:
            done = min(1.0, (k - warmup) / (steps - warmup))
            lr = final_lr + (top - final_lr) * (1 + math.cos(math.pi * done)) / 2
        if isinstance(base, Optimizer):
            base.lr = lr
        return lr

    return schedule


def clip_grad_norm(params: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by one number, so that their joint Euclidean norm is at most `max_norm`.

    Gradients that are short enough are not touched; None counts as 0.

    Parameters
    ----------
    params : iterable of Tensor
        Parameters with their ``.grad``, each counted once.
    max_norm : float
        The largest length, above 0, in the units of the gradients.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    DataError
        Unless `max_norm` is positive and finite; without parameters.
    GradientError
        Where no parameter has a gradient, or one is not finite.
    DtypeError
        For something that is not a tensor.

    References
    ----------
    Pascanu et al. (2013), On the difficulty of training recurrent neural networks.

    Examples
    --------
    >>> x = mg.nn.Parameter([1.0, 1.0])
    >>> x.grad = np.array([3.0, 4.0])
    >>> mg.optim.clip_grad_norm([x], 1.0)
    5.0
    >>> x.grad.round(6).tolist()
    [0.6, 0.8]
    """
    max_norm = real_number(
        max_norm, "clip_grad_norm: max_norm", "(0, inf)", "pass a positive length, such as 1.0"
    )
    params = checked_parameters(params, "clip_grad_norm")
    found = [
        g.astype(np.float64) for g in checked_gradients(params, "clip_grad_norm") if g is not None
    ]
    largest = max((float(np.abs(g).max(initial=0.0)) for g in found), default=0.0)
    if largest == 0.0:
        return 0.0
    # no overflow in the squares
    norm = largest * math.sqrt(sum(float(np.sum((g / largest) ** 2)) for g in found))
    if norm > max_norm:
        for p in params:
            if p.grad is not None:
                p.grad = p.grad * (max_norm / norm)
    return norm
