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
    """Tokens that look at each other, in several heads.

    y = concat_h(softmax(q_h k_h^T / sqrt(d)) v_h) W_o + b_o, with d = width / heads; q, k and v are
    linear in the tokens.

    Parameters
    ----------
    width : int
        Numbers in a token.
    heads : int
        How many stripes of d columns attend for themselves; a divisor of `width`.
    rng : numpy.random.Generator
        What the first weights are drawn from.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    query, key, value, output : Linear
        The four maps width -> width.
    width, heads : int
        As given.

    Raises
    ------
    DataError
        Where `heads` does not divide `width`, or one of them is below 1.
    DtypeError
        For a missing `rng` and for other dtypes.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, section 3.2.

    Examples
    --------
    Without positions, tokens in another order give the same results in that order:

    >>> layer = mg.nn.MultiHeadAttention(8, 2, rng=np.random.default_rng(0))
    >>> x = np.random.default_rng(1).normal(size=(1, 5, 8))
    >>> bool(np.allclose(layer(x[:, ::-1]).data, layer(x).data[:, ::-1]))
    True
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
        """Every token takes from all others.

        Parameters
        ----------
        x : Tensor or array_like, (n, tokens, width)
            The tokens of n data.
        mask : None or array_like, optional
            As of `mg.attention`: booleans, False where a token (row) may not look, or numbers that
            are added to the scores.

        Returns
        -------
        Tensor, (n, tokens, width)
            What each token has taken.

        Raises
        ------
        ShapeError
            If the tokens have another width.
        """
        _width(x, self.width, self)
        return self.output(
            ops.attention(self.query(x), self.key(x), self.value(x), mask, heads=self.heads)
        )

    def weights(self, x: Any) -> Any:
        """How much each token (row) takes from each (column), without a mask.

        Parameters
        ----------
        x : Tensor or ndarray, (n, tokens, width)
            The tokens of n data.

        Returns
        -------
        Tensor, (n, heads, tokens, tokens)
            The attention weights; rows sum to 1.
        """
        found = attention_weights(self.query(x), self.key(x), 0.0, self.heads)
        return ops.reshape(found, (x.shape[0], self.heads, x.shape[1], x.shape[1]))

    def describe(self) -> str:
        """The line in the tree, such as 'MultiHeadAttention(64, heads=2)'.

        Returns
        -------
        str
            The width and the number of heads.
        """
        return f"MultiHeadAttention({self.width}, heads={self.heads})"


class TransformerBlock(Module):
    """Attention and an MLP, each added to the tokens (pre-norm).

    x <- x + attention(norm x), then x <- x + mlp(norm x), with GELU (its tanh form) in the MLP.

    Parameters
    ----------
    width : int
        Numbers in a token.
    heads : int
        Of the attention; a divisor of `width`.
    mlp_ratio : float, optional
        Hidden units of the MLP per unit of width; above 0.
    dropout : float, optional
        Probability of dropping on both branches, in [0, 1).
    dropout_rng : numpy.random.Generator, optional
        What the dropped elements are drawn from; needed for a `dropout` above 0.
    rng : numpy.random.Generator
        What the first weights are drawn from.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    attention_norm, mlp_norm : LayerNorm
        What is done to the tokens before each branch.
    attention : MultiHeadAttention
        The first branch.
    expand, contract : Linear
        The MLP of the second branch.
    dropout : Dropout or None
        None for rate 0.

    Raises
    ------
    DataError
        For sizes and rates outside their ranges.
    DtypeError
        For a generator that is missing or none, and for other dtypes.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need.
    Xiong et al. (2020), On layer normalization in the transformer architecture.

    Examples
    --------
    With nothing in the output maps of its branches, a block passes tokens on:

    >>> block = mg.nn.TransformerBlock(8, 2, rng=np.random.default_rng(0))
    >>> for layer in (block.attention.output, block.contract):
    ...     layer.weight.data[...] = 0
    >>> x = np.random.default_rng(1).normal(size=(1, 5, 8))
    >>> bool(np.array_equal(block(x).data, x))
    True
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
        hidden = round(width * real_number(mlp_ratio, "mlp_ratio", "(0, 1e9]", fix))
        self.expand = Linear(width, hidden, activation="gelu_tanh", rng=rng, dtype=dtype)
        self.contract = Linear(hidden, width, rng=rng, dtype=dtype)
        rate = real_number(
            dropout, "dropout", "[0, 1)", "0 for none; dropout is the probability of dropping"
        )
        if dropout_rng is not None:
            generator(dropout_rng, "TransformerBlock", "which elements to drop")
        self.dropout = Dropout(rate, dropout_rng) if rate else None

    def forward(self, x: Any, mask: Any = None) -> Any:
        """Both branches, one after the other.

        Parameters
        ----------
        x : Tensor or array_like, (n, tokens, width)
            The tokens of n data.
        mask : None or array_like, optional
            As of `mg.attention`.

        Returns
        -------
        Tensor, (n, tokens, width)
            The tokens after this block.
        """
        x = x + self.drop(self.attention(self.attention_norm(x), mask))
        return x + self.drop(self.contract(self.expand(self.mlp_norm(x))))

    def drop(self, branch: Any) -> Any:
        """A branch after dropout.

        Parameters
        ----------
        branch : Tensor, (n, tokens, width)
            What the branch has computed.

        Returns
        -------
        Tensor, (n, tokens, width)
            The branch itself where nothing is dropped.
        """
        return branch if self.dropout is None else self.dropout(branch)
