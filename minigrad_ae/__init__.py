"""Autoencoders from scratch in NumPy: gradients that explain themselves, models checked against exact answers."""

__version__ = "0.1.0"

from . import ops
from .engine import backward, grad
from .graph import no_grad
from .ops import *  # noqa: F403
from .tensor import Tensor, tensor
