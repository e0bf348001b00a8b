"""Autoencoders from scratch in NumPy: gradients that explain themselves, models checked against
exact answers.
"""

# ruff: noqa: F401, F403, I001  (the functions are those of ops.public)

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
from .checkpoint import load_model as load
from .claims.certify import certify_pca
from .autodiff.check import check_graph, gradcheck
from .autodiff.curvature import hessian, hvp, jacobian
from .autodiff.engine import grad
from .autodiff.graph import no_grad
from .inspect import backward_steps, detect_anomaly, suspect, trace, watch, why
from .program import compile, emit_numpy
from .ops import one_hot
from .ops.public import *
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
    "compile",
    "emit_numpy",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "inspect",
    "jacobian",
    "kernels",
    "load",
    "models",
    "nn",
    "no_grad",
    "one_hot",
    "ops",
    "optim",
    "suspect",
    "tensor",
    "trace",
    "train",
    "watch",
    "why",
    *ops.public.__all__,
]
