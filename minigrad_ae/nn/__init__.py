"""Networks as trees of modules.

module    `Parameter`, and `Module`, which finds the parameters inside its attributes
layers    `Linear`, activations, `Sequential`, `LayerNorm`, `Dropout`
attention `MultiHeadAttention`, `TransformerBlock`
patches   `patchify`, `unpatchify`: pictures and square patches
positions codes that say where a token stands
vision    `PatchEmbedding`, `VisionTransformer`
init      first values for weights, drawn from a generator that the caller passes
"""

from . import init
from .attention import MultiHeadAttention, TransformerBlock
from .layers import (
    GELU,
    Dropout,
    Flatten,
    LayerNorm,
    Linear,
    ReLU,
    Sequential,
    Sigmoid,
    Softplus,
    Tanh,
)
from .module import Module, Parameter
from .patches import patchify, unpatchify
from .vision import PatchEmbedding, VisionTransformer

__all__ = [
    "GELU",
    "Dropout",
    "Flatten",
    "LayerNorm",
    "Linear",
    "Module",
    "MultiHeadAttention",
    "Parameter",
    "PatchEmbedding",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "TransformerBlock",
    "VisionTransformer",
    "init",
    "patchify",
    "unpatchify",
]
