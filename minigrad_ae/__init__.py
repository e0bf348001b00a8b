"""Autoencoders from scratch in NumPy: gradients that explain themselves, models checked against
exact answers.
"""

# ruff: noqa: F401, I001  (the functions are listed in tensors.PUBLIC)

from .version import __version__
from . import (
    analytic,
    checkpoint,
    claims,
    data,
    inspect,
    kernels,
    models,
    nn,
    ops,
    optim,
    tensors,
    train,
)
from .claims.certify import certify_pca
from .autodiff.check import check_graph, gradcheck
from .autodiff.curvature import hessian, hvp, jacobian
from .autodiff.engine import grad
from .autodiff.graph import no_grad
from .inspect import backward_steps, detect_anomaly, trace, why
from .program import emit_numpy
from .ops import (
    abs,
    attention,
    broadcast_to,
    clip,
    concatenate,
    cos,
    dropout,
    einsum,
    erf,
    exp,
    expand_dims,
    expm1,
    gelu,
    layer_norm,
    linear,
    log,
    log1p,
    log_softmax,
    logsumexp,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    pad,
    relu,
    reshape,
    sigmoid,
    sin,
    softmax,
    softplus,
    split,
    sqrt,
    square,
    squeeze,
    stack,
    sum,
    swapaxes,
    take,
    tanh,
    transpose,
    var,
    where,
)
from .tensors import Tensor, tensor

__all__ = [
    "Tensor",
    "analytic",
    "backward_steps",
    "certify_pca",
    "check_graph",
    "checkpoint",
    "claims",
    "data",
    "detect_anomaly",
    "emit_numpy",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "inspect",
    "jacobian",
    "kernels",
    "models",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "tensor",
    "trace",
    "train",
    "why",
    *tensors.PUBLIC,
]
