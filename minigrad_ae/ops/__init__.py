"""The ops.  A primitive (`REGISTRY`) has rules; a composition (`COMPOSITIONS`) is made of primitives.

elementwise  reduce  shape  index  linalg     the primitives, a block each
nn                                            fused ones: a layer, a loss or a norm in one step
compositions  layers                          functions made of them
helpers                                       masks, shapes and slices that rules use
"""

from ..op import REGISTRY, Op, op
from . import compositions
from .compositions import *  # noqa: F403
from .compositions import COMPOSITIONS
from .elementwise import (
    abs, add, cast, cos, div, erf, exp, exp_remainder, expm1, gelu_erf, gelu_tanh, log, log1p, maximum, mul, neg, power, relu,
    sigmoid, sin, softplus, sqrt, sub, tanh, where,
)  # fmt: skip
from .index import getitem, index_add
from .layers import ACTIVATIONS, attention, dropout, layer_norm, linear
from .nn import bernoulli_loss, gaussian_kl, half_squared_error, l1_norm, reparameterise, unit_rows
from .reduce import log_softmax, logsumexp, max, softmax, sum
from .shape import broadcast_to, pad, reshape, transpose
