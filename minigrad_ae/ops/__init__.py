"""The ops.  A primitive (`REGISTRY`) has rules; a composition (`COMPOSITIONS`) is made of primitives.

elementwise  reduce  arrays     the primitives, a block each
losses  functional              fused ones: a loss, a layer or a norm in one step; the functions of layers
compositions                    public functions made of ops
calculus                        masks, shapes and slices that rules use
bindings                        which kernel may stand in for which op: the only file that knows both
"""

from ..autodiff.operation import REGISTRY, Op, op
from . import bindings
from .arrays import broadcast_to, getitem, index_add, pad, reshape, transpose
from .compositions import (
    COMPOSITIONS, clip, concatenate, einsum, expand_dims, gelu, gelu_gate, matmul, mean, min, minimum, split, square, squeeze,
    stack, swapaxes, take, var,
)  # fmt: skip
from .elementwise import (
    abs, add, cast, cos, div, erf, exp, exp_remainder, expm1, gelu_erf, gelu_tanh, log, log1p, maximum, mul, neg, power, relu, sigmoid, sin,
    softplus, sqrt, sub, tanh, where,
)  # fmt: skip
from .functional import ACTIVATIONS, attention, dropout, layer_norm, linear, unit_rows
from .losses import bernoulli_loss, gaussian_kl, half_squared_error, l1_norm, reparameterise
from .reduce import log_softmax, logsumexp, max, softmax, sum

__all__ = [
    "ACTIVATIONS", "COMPOSITIONS", "REGISTRY", "Op", "abs", "add", "attention", "bernoulli_loss", "bindings", "broadcast_to", "cast",
    "clip", "concatenate", "cos", "div", "dropout", "einsum", "erf", "exp", "exp_remainder", "expand_dims", "expm1", "gaussian_kl", "gelu",
    "gelu_erf", "gelu_gate", "gelu_tanh", "getitem", "half_squared_error", "index_add", "l1_norm", "layer_norm", "linear", "log",
    "log1p", "log_softmax", "logsumexp", "matmul", "max", "maximum", "mean", "min", "minimum", "mul", "neg", "op", "pad", "power",
    "relu", "reparameterise", "reshape", "sigmoid", "sin", "softmax", "softplus", "split", "sqrt", "square", "squeeze", "stack",
    "sub", "sum", "swapaxes", "take", "tanh", "transpose", "unit_rows", "var", "where",
]  # fmt: skip
