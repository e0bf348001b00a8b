"""Tokens that look at each other: multi-head attention and the transformer block (Vaswani et al.
2017).

Tokens are (n, tokens, width) throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arguments import generator, real_number, whole_number
from ..errors import DataError
from ..ops.functional import attention_weights
from .layers import Dropout, LayerNorm, Linear, _width
from .module import Module


class MultiHeadAttention(Module):
    """y = concat_h(softmax(q_h k_h^T / sqrt(d)) v_h) W_o + b_o, d = width / heads; q, k, v linear
    in the tokens.

    mask : as `mg.attention`'s.   Raises DataError where `heads` does not divide `width`.
    """

    def __init__(
        self, width: int, heads: int, *, rng: np.random.Generator, dtype: Any = np.float64
    ) -> None:
        self.width = whole_number(width, "width")
        self.heads = whole_number(heads, "heads")
        if width % heads:
            fitting = ", ".join(str(h) for h in range(1, width + 1) if width % h == 0)
            raise DataError(
                f"MultiHeadAttention: {heads} heads do not divide the width",
                f"width {width}",
                f"choose heads from {fitting}",
            )
        self.query, self.key, self.value, self.output = (
            Linear(width, width, rng=rng, dtype=dtype) for _ in range(4)
        )

    def forward(self, x: Any, mask: Any = None) -> Any:
        """x (n, tokens, width) -> (n, tokens, width)."""
        _width(x, self.width, self)
        return self.output(
            ops.attention(self.query(x), self.key(x), self.value(x), mask, heads=self.heads)
        )

    def weights(self, x: Any) -> Any:
        """(n, heads, tokens, tokens): how much each token (row) takes from each (column); rows sum
        to 1.
        """
        found = attention_weights(self.query(x), self.key(x), 0.0, self.heads)
        return ops.reshape(found, (x.shape[0], self.heads, x.shape[1], x.shape[1]))

    def describe(self) -> str:
        return f"MultiHeadAttention({self.width}, heads={self.heads})"


class TransformerBlock(Module):
    """x <- x + attention(norm x), then x <- x + mlp(norm x): pre-norm (Xiong et al. 2020), GELU in
    the MLP.

    mlp_ratio : hidden units of the MLP per unit of width.   dropout : rate on both branches; needs
    `dropout_rng`.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        mlp_ratio: float = 2,
        dropout: float = 0.0,
        dropout_rng: np.random.Generator | None = None,
        rng: np.random.Generator,
        dtype: Any = np.float64,
    ) -> None:
        self.attention_norm = LayerNorm(width, dtype=dtype)
        self.attention = MultiHeadAttention(width, heads, rng=rng, dtype=dtype)
        self.mlp_norm = LayerNorm(width, dtype=dtype)
        fix = "2 makes twice as many hidden units as there are numbers in a token"
        hidden = round(width * real_number(mlp_ratio, "mlp_ratio", "(0, inf)", fix))
        self.expand = Linear(width, hidden, activation="gelu_tanh", rng=rng, dtype=dtype)
        self.contract = Linear(hidden, width, rng=rng, dtype=dtype)
        rate = real_number(
            dropout, "dropout", "[0, 1)", "0 for none; dropout is the probability of dropping"
        )
        if dropout_rng is not None:
            generator(dropout_rng, "TransformerBlock", "which elements to drop")
        self.dropout = Dropout(rate, dropout_rng) if rate else None

    def forward(self, x: Any, mask: Any = None) -> Any:
        """x (n, tokens, width) -> (n, tokens, width)."""
        x = x + self.drop(self.attention(self.attention_norm(x), mask))
        return x + self.drop(self.contract(self.expand(self.mlp_norm(x))))

    def drop(self, branch: Any) -> Any:
        return branch if self.dropout is None else self.dropout(branch)
