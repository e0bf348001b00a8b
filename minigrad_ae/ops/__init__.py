"""The ops.  A primitive (`REGISTRY`) has rules; a composition (`COMPOSITIONS`) is made of
primitives.

elementwise  reduce  arrays     the primitives, a block each
losses  functional              fused ones: a loss, a layer or a norm in one step; the functions of
        layers
compositions  rearranged  algebra    public functions made of ops
public                          which of them users see, as functions and as methods
notes                           what is said of them when numbers or gradients go wrong
calculus                        masks, shapes and slices that rules use
bindings                        which kernel may stand in for which op: the only file that knows
                                both
"""

from ..autodiff.operation import REGISTRY, Notes, Op, op
from . import bindings, public
from .algebra import one_hot
from .arrays import getitem, index_add
from .compositions import COMPOSITIONS, gelu_gate
from .elementwise import add, cast, div, exp_remainder, gelu_erf, gelu_tanh, mul, neg, power, sub
from .functional import ACTIVATIONS, unit_rows
from .losses import bernoulli_loss, gaussian_kl, half_squared_error, l1_norm, reparameterise
from .public import *  # noqa: F403
from .rearranged import trace

__all__ = [
    "ACTIVATIONS",
    "COMPOSITIONS",
    "REGISTRY",
    "Notes",
    "Op",
    "add",
    "bernoulli_loss",
    "bindings",
    "cast",
    "div",
    "exp_remainder",
    "gaussian_kl",
    "gelu_erf",
    "gelu_gate",
    "gelu_tanh",
    "getitem",
    "half_squared_error",
    "index_add",
    "l1_norm",
    "mul",
    "neg",
    "one_hot",
    "op",
    "power",
    "reparameterise",
    "sub",
    "trace",
    "unit_rows",
    *public.__all__,
]
