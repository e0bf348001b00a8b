"""The vision transformer: a picture as a sequence of patches (Dosovitskiy et al. 2021)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..arguments import choice, plain, whole_number
from ..autodiff.graph import Value
from ..errors import DataError
from ..tensors import tensor
from . import init
from .attention import TransformerBlock
from .layers import LayerNorm, Linear
from .module import Module, Parameter
from .patches import check_pictures, image_grid, patchify
from .positions import position_codes

READOUTS = ("concatenate", "mean", "class")


class PatchEmbedding(Module):
    """Token l = patch_l W + b + position_l: pictures (n, H W C) -> tokens (n, L, width).

    ``visible`` (n, V), numbers of patches, leaves all others out *before* anything is computed from
    them.
    """

    def __init__(
        self,
        image_shape: Any,
        patch: int,
        width: int,
        *,
        positions: str | None = "learnt",
        rng: np.random.Generator,
        dtype: Any = np.float64,
    ) -> None:
        (H, W, C), grid = image_grid(image_shape, patch)
        self.image_shape, self.patch, self.grid = (H, W, C), int(patch), grid
        self.project = Linear(patch * patch * C, width, rng=rng, dtype=dtype)
        self.positions = position_codes(positions, grid, width, rng, dtype)

    def forward(self, x: Any, visible: Any = None) -> Any:
        """Tokens (n, L, width), or (n, V, width) of the visible patches alone."""
        patches = patchify(x, self.image_shape, self.patch)
        if visible is None:
            return self.project(patches) + self.positions
        return self.project(pick(patches, visible)) + ops.take(self.positions, visible, axis=0)


class VisionTransformer(Module):
    """Patches -> tokens -> `depth` transformer blocks -> LayerNorm -> read-out -> (with
    `n_classes`) logits.

    image_shape : (H, W) or (H, W, C); patch : its side in pixels, a divisor of both
    width, depth, heads, mlp_ratio, dropout : as in `TransformerBlock`
    positions : "learnt", "sincos" or None
    readout   : what a picture is summed up as: all tokens "concatenate"d (L width), their "mean"
                (width), or a learnt "class" token that is put in front (width)
    n_classes : logits from a linear head (weights start at 0); None for the read-out itself

    Pixels are shifted by ``mean`` (D,) and divided by ``scale`` (one number), 0 and 1 unless
    `standardise` sets them.
    """

    def __init__(
        self,
        image_shape: Any,
        patch: int,
        width: int = 64,
        depth: int = 2,
        heads: int = 2,
        *,
        mlp_ratio: float = 2,
        positions: str | None = "learnt",
        readout: str = "concatenate",
        n_classes: int | None = None,
        dropout: float = 0.0,
        dropout_rng: np.random.Generator | None = None,
        rng: np.random.Generator,
        dtype: Any = np.float64,
    ) -> None:
        self.readout = choice(readout, READOUTS, "VisionTransformer", "readout")
        self.width = whole_number(width, "width")
        self.depth = whole_number(depth, "depth", "0 for no transformer block", low=0)
        if n_classes is not None:
            whole_number(n_classes, "n_classes", "pass the number of classes, or None for no head")
        self.n_classes = n_classes
        self.embedding = PatchEmbedding(
            image_shape, patch, width, positions=positions, rng=rng, dtype=dtype
        )
        self.class_token = (
            Parameter(init.normal((1, 1, width), rng, dtype)) if readout == "class" else None
        )
        self.blocks = [
            TransformerBlock(
                width,
                heads,
                mlp_ratio=mlp_ratio,
                dropout=dropout,
                dropout_rng=dropout_rng,
                rng=rng,
                dtype=dtype,
            )
            for _ in range(depth)
        ]
        self.norm = LayerNorm(width, dtype=dtype)
        self.head = (
            None
            if n_classes is None
            else Linear(self.n_features, n_classes, rng=rng, dtype=dtype, init=init.zeros)
        )
        self.mean = Parameter(np.zeros(math.prod(self.embedding.image_shape), dtype))
        self.scale = Parameter(np.ones((), dtype))
        self.mean.requires_grad = self.scale.requires_grad = False

    def standardise(self, X: Any) -> VisionTransformer:
        """Take ``mean`` and ``scale`` from training pictures X (n, H W C): the mean picture, and
        the root mean square of all pixels about it.  Returns the model."""
        X = plain(X, "X", np.float64).reshape(len(X), -1)
        check_pictures(X, self.embedding.image_shape)
        self.mean.data = X.mean(axis=0)
        self.scale.data = np.sqrt(np.mean((X - X.mean(axis=0)) ** 2)) or 1.0
        return self

    def standardised(self, x: Any) -> Any:
        """Pictures x -> (x - mean) / scale, as flat rows (n, D): an array, unless x is a tensor
        that wants its gradient.
        """
        x = x if isinstance(x, Value) else tensor(x, dtype=self.mean.dtype)
        check_pictures(x, self.embedding.image_shape)
        if not x.requires_grad:
            return (x._data.reshape(len(x._data), -1) - self.mean.data) / self.scale.data
        return (ops.reshape(x, (x.shape[0], -1)) - self.mean) / self.scale

    @property
    def n_tokens(self) -> int:
        """L, the number of patches (a class token is not counted)."""
        return math.prod(self.embedding.grid)

    @property
    def n_features(self) -> int:
        """The length of the read-out."""
        return self.width * (self.n_tokens if self.readout == "concatenate" else 1)

    def tokens(self, x: Any, visible: Any = None) -> Any:
        """Standardised pictures -> codes (n, L, width) of all patches, or (n, V, width) of the
        visible ones that `visible` (n, V) names; a class token comes first."""
        tokens = self.start(x, visible)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def start(self, x: Any, visible: Any = None) -> Any:
        """The tokens that go into the first block."""
        tokens = self.embedding(x, visible)
        if self.class_token is None:
            return tokens
        first = ops.broadcast_to(self.class_token, (tokens.shape[0], 1, self.width))
        return ops.concatenate([first, tokens], axis=1)

    def features(self, x: Any) -> Any:
        """x (n, H W C) -> the read-out (n, n_features)."""
        tokens = self.tokens(self.standardised(x))
        if self.readout == "concatenate":
            return ops.reshape(tokens, (tokens.shape[0], -1))
        return ops.mean(tokens, axis=1) if self.readout == "mean" else tokens[:, 0]

    def forward(self, x: Any) -> Any:
        """Logits (n, n_classes) with a head, otherwise the read-out."""
        features = self.features(x)
        return features if self.head is None else self.head(features)

    def loss(self, x: Any, y: Any) -> Any:
        """Cross-entropy - sum_n ln p(y_n | x_n), a sum over data, in nats; y (n,) are classes 0 ...
        n_classes - 1.
        """
        if self.head is None:
            raise DataError(
                "a loss needs class logits", "the network has no head", "build it with n_classes="
            )
        log_p = ops.log_softmax(self.forward(x))
        return -ops.sum(log_p[np.arange(len(y)), plain(y, "y")])

    def attention_maps(self, x: Any) -> list[Any]:
        """For each block (n, heads, tokens, tokens): who looks at whom."""
        tokens, maps = self.start(self.standardised(x)), []
        for block in self.blocks:
            maps.append(block.attention.weights(block.attention_norm(tokens)))
            tokens = block(tokens)
        return maps


def pick(tokens: Any, which: np.ndarray) -> Any:
    """tokens (n, L, d), which (n, V): for each row its own tokens, (n, V, d)."""
    shape = tokens.shape
    rows = which + shape[1] * np.arange(shape[0])[:, None]
    if not isinstance(tokens, Value):
        return tokens.reshape(-1, shape[2])[rows]
    return ops.take(ops.reshape(tokens, (-1, shape[2])), rows, axis=0)
