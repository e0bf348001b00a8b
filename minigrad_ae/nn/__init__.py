"""Networks as trees of modules.

module    `Parameter`, and `Module`, which finds the parameters inside its attributes
layers    `Linear`, activations, `Sequential`, `LayerNorm`, `Dropout`
init      first values for weights, drawn from a generator that the caller passes
"""

from . import init
from .layers import GELU, Dropout, LayerNorm, Linear, ReLU, Sequential, Sigmoid, Softplus, Tanh
from .module import Module, Parameter

__all__ = [
    "GELU", "Dropout", "LayerNorm", "Linear", "Module", "Parameter", "ReLU", "Sequential", "Sigmoid", "Softplus", "Tanh",
    "init",
]  # fmt: skip
