"""Autoencoders from scratch in NumPy: gradients that explain themselves, models checked against exact answers."""

__version__ = "0.1.0"

from . import ops
from .check import check_graph, gradcheck
from .engine import grad
from .graph import no_grad
from .tensor import PUBLIC, Tensor, tensor

globals().update({name: getattr(ops, name) for name in PUBLIC})

__all__ = ["Tensor", "check_graph", "grad", "gradcheck", "no_grad", "ops", "tensor", *PUBLIC]
