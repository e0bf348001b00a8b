"""Optimisers: they read ``p.grad`` and write ``p.data``.

optimizer     what all share: which parameters, the learning rate, the state
first_order   `SGD`, `Adam`, `AdamW`: one gradient, one step
lbfgs         `LBFGS`: steps to a minimum, down to the rounding of the loss
line_search   the strong Wolfe line search of `LBFGS`
stopping      where `LBFGS` is, and when it stands still
schedule      `cosine_schedule`, `clip_grad_norm`
"""

from .first_order import SGD, Adam, AdamW
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .schedule import clip_grad_norm, cosine_schedule

__all__ = ["LBFGS", "SGD", "Adam", "AdamW", "Optimizer", "clip_grad_norm", "cosine_schedule"]
