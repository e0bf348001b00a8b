"""The vision transformer: a picture as a sequence of patches (Dosovitskiy et al. 2021)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..arguments import choice, numbers, rows, whole_number
from ..autodiff.graph import Value, read
from ..errors import DataError, DtypeError
from ..room import demand_room_for
from ..tensors import tensor
from . import init
from .attention import TransformerBlock
from .layers import LayerNorm, Linear
from .module import Module, Parameter
from .patches import check_pictures, image_grid, patchify
from .positions import position_codes

READOUTS = ("concatenate", "mean", "class")


class PatchEmbedding(Module):
    """Pictures as sequences of tokens, one for each patch.

    Token l = patch_l W + b + position_l.

    Parameters
    ----------
    image_shape : (H, W) or (H, W, C)
        Height and width in pixels, and the number of channels.
    patch : int
        p, the side of a patch in pixels, a divisor of H and W.
    width : int
        Numbers in a token.
    positions : {'learnt', 'sincos', None}, optional
        The position codes: trained, fixed sines and cosines, or none (zeros).
    rng : numpy.random.Generator
        What the first weights are drawn from.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    project : Linear
        W, (p p C, width), and b.
    positions : Parameter, (L, width)
        The position codes; L patches.
    image_shape : (int, int, int)
        (H, W, C).
    grid : (int, int)
        Patches down and across.

    Raises
    ------
    ShapeError, DataError, DtypeError
        For sizes that do not fit, unknown positions and a missing `rng`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> embedding = mg.nn.PatchEmbedding((8, 8), 2, 5, rng=rng)
    >>> embedding(np.zeros((3, 64))).shape
    (3, 16, 5)
    >>> x = np.zeros((1, 64))  # black patches differ by their positions alone
    >>> bool(np.allclose(embedding(x).data[0], embedding.positions.data))
    True
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
        """The tokens of pictures, of all patches or the visible ones.

        Parameters
        ----------
        x : Tensor or array_like, (n, H W C) or (n, H, W[, C])
            The pictures, channels last.
        visible : ndarray of int, (n, V), optional
            Numbers of patches; all others are left out *before* anything is computed from them.

        Returns
        -------
        Tensor, (n, L, width) or (n, V, width)
            The tokens of all patches, or of the visible ones.

        Raises
        ------
        ShapeError
            For pictures of another size.
        """
        patches = patchify(x, self.image_shape, self.patch)
        if visible is None:
            return self.project(patches) + self.positions
        return self.project(pick(patches, visible)) + ops.take(self.positions, visible, axis=0)


class VisionTransformer(Module):
    """A picture as a sequence of patches, read by transformer blocks.

    Patches -> tokens -> `depth` transformer blocks -> LayerNorm -> read-out -> (with `n_classes`)
    logits.

    Parameters
    ----------
    image_shape : (H, W) or (H, W, C)
        Height and width in pixels, and the number of channels.
    patch : int
        The side of a patch in pixels, a divisor of H and W.
    width : int, optional
        Numbers in a token.
    depth : int, optional
        Transformer blocks; 0 for none.
    heads : int, optional
        Of each attention; a divisor of `width`.
    mlp_ratio : float, optional
        Hidden units of each MLP per unit of width.
    positions : {'learnt', 'sincos', None}, optional
        The position codes, as of `PatchEmbedding`.
    readout : {'concatenate', 'mean', 'class'}, optional
        What a picture is summed up as: all tokens one after the other (L width numbers for L
        patches), their mean (width), or a learnt class token that is put in front (width).
    n_classes : int, optional
        Logits from a linear head, whose weights start at 0; None for the read-out itself.
    dropout : float, optional
        Probability of dropping in each block, in [0, 1).
    dropout_rng : numpy.random.Generator, optional
        What the dropped elements are drawn from; needed for a `dropout` above 0.
    rng : numpy.random.Generator
        What the first weights are drawn from.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    embedding : PatchEmbedding
        Makes tokens of pictures.
    class_token : Parameter, (1, 1, width), or None
        Put in front for the read-out "class".
    blocks : list of TransformerBlock
        `depth` of them.
    norm : LayerNorm
        The last normalisation.
    head : Linear or None
        Makes logits of the read-out.
    mean : Parameter, (H W C,)
        Taken off the pixels, in their units; 0 unless `standardise` sets it.  It is not trained.
    scale : Parameter, ()
        The pixels are divided by this one number; 1 unless `standardise` sets it.  It is not
        trained.

    Raises
    ------
    ShapeError, DataError, DtypeError
        For sizes that do not fit, settings that do not exist, and a missing `rng`.

    References
    ----------
    Dosovitskiy et al. (2021), An image is worth 16x16 words.

    Examples
    --------
    A head of zeros gives every class the same probability, so the loss is n ln(n_classes):

    >>> rng = np.random.default_rng(0)
    >>> model = mg.nn.VisionTransformer((8, 8), 4, 8, depth=1, n_classes=10, rng=rng)
    >>> loss = model.loss(np.ones((2, 64)), [3, 7])
    >>> bool(np.isclose(loss.item(), 2 * np.log(10)))
    True
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
            for _ in range(of_blocks(depth, width))
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
        """Take ``mean`` and ``scale`` from training pictures.

        The mean picture, and the root mean square of all pixels about it (1 where that is 0).

        Parameters
        ----------
        X : array_like, (n, H W C) or (n, H, W[, C])
            Training pictures.

        Returns
        -------
        VisionTransformer
            The model itself.

        Raises
        ------
        ShapeError
            For pictures of another size.
        """
        X = rows(X, "X", np.float64)
        X = X.reshape(len(X), math.prod(X.shape[1:]))
        check_pictures(X, self.embedding.image_shape)
        self.mean.data = X.mean(axis=0)
        self.scale.data = np.sqrt(np.mean((X - X.mean(axis=0)) ** 2)) or 1.0
        return self

    def standardised(self, x: Any) -> Any:
        """The pictures as the network sees them, (x - mean) / scale.

        Parameters
        ----------
        x : Tensor or array_like, (n, H W C) or (n, H, W[, C])
            Pictures in the units of the data.

        Returns
        -------
        ndarray or Tensor, (n, H W C)
            Flat rows: an array, unless x is a tensor that wants its gradient.

        Raises
        ------
        ShapeError
            For pictures of another size.
        """
        x = x if isinstance(x, Value) else tensor(x, dtype=self.mean.dtype)
        check_pictures(x, self.embedding.image_shape)
        shape = len(x), math.prod(x.shape[1:])
        if not x.requires_grad:
            return (read(x).reshape(shape) - self.mean.data) / self.scale.data
        return (ops.reshape(x, shape) - self.mean) / self.scale

    @property
    def n_tokens(self) -> int:
        """L, the number of patches, an int; a class token is not counted."""
        return math.prod(self.embedding.grid)

    @property
    def n_features(self) -> int:
        """The length of the read-out, an int."""
        return self.width * (self.n_tokens if self.readout == "concatenate" else 1)

    def tokens(self, x: Any, visible: Any = None) -> Any:
        """The codes of patches, after all blocks.

        Parameters
        ----------
        x : Tensor or array_like, (n, H W C)
            Standardised pictures.
        visible : ndarray of int, (n, V), optional
            Numbers of the patches that are looked at; all by default.

        Returns
        -------
        Tensor, (n, L, width) or (n, V, width)
            A code for each of these patches; for the read-out "class" that of the class token comes
            first, as one more.
        """
        tokens = self.start(x, visible)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def start(self, x: Any, visible: Any = None) -> Any:
        """The tokens that go into the first block.

        Parameters
        ----------
        x : Tensor or array_like, (n, H W C)
            Standardised pictures.
        visible : ndarray of int, (n, V), optional
            Numbers of the patches that are looked at; all by default.

        Returns
        -------
        Tensor, (n, L, width) or (n, V, width)
            The tokens; a class token comes first, as one more.
        """
        tokens = self.embedding(x, visible)
        if self.class_token is None:
            return tokens
        first = ops.broadcast_to(self.class_token, (tokens.shape[0], 1, self.width))
        return ops.concatenate([first, tokens], axis=1)

    def features(self, x: Any) -> Any:
        """The read-out of pictures.

        Parameters
        ----------
        x : Tensor or array_like, (n, H W C) or (n, H, W[, C])
            Pictures in the units of the data.

        Returns
        -------
        Tensor, (n, n_features)
            What each picture is summed up as.
        """
        tokens = self.tokens(self.standardised(x))
        if self.readout == "concatenate":
            return ops.reshape(tokens, (tokens.shape[0], -1))
        return ops.mean(tokens, axis=1) if self.readout == "mean" else tokens[:, 0]

    def forward(self, x: Any) -> Any:
        """Logits of pictures; without a head, the read-out.

        Parameters
        ----------
        x : Tensor or array_like, (n, H W C) or (n, H, W[, C])
            Pictures in the units of the data.

        Returns
        -------
        Tensor, (n, n_classes) or (n, n_features)
            Logits, or the read-out.
        """
        features = self.features(x)
        return features if self.head is None else self.head(features)

    def loss(self, x: Any, y: Any) -> Any:
        """Cross-entropy, -sum_n ln p(y_n | x_n): a sum over data, in nats.

        Parameters
        ----------
        x : Tensor or array_like, (n, H W C) or (n, H, W[, C])
            Pictures in the units of the data.
        y : array_like of int, (n,)
            Classes 0 ... n_classes - 1.

        Returns
        -------
        Tensor, ()
            The loss.

        Raises
        ------
        DataError
            For a network without a head.
        """
        if self.head is None:
            raise DataError(
                "a loss needs class logits", "the network has no head", "build it with n_classes="
            )
        log_p, y = ops.log_softmax(self.forward(x)), rows(y, "y")
        return -ops.sum(log_p[np.arange(len(y)), y])

    def attention_maps(self, x: Any) -> list[Any]:
        """Who looks at whom, in each block.

        Parameters
        ----------
        x : Tensor or array_like, (n, H W C) or (n, H, W[, C])
            Pictures in the units of the data.

        Returns
        -------
        list of Tensor, (n, heads, tokens, tokens)
            The attention weights of each block; rows sum to 1.
        """
        tokens, maps = self.start(self.standardised(x)), []
        for block in self.blocks:
            maps.append(block.attention.weights(block.attention_norm(tokens)))
            tokens = block(tokens)
        return maps


def of_blocks(depth: int, width: int) -> int:
    """`depth`, if the weights of so many transformer blocks fit into memory."""
    demand_room_for((depth, 4, width, width))
    return depth


def pick(tokens: Any, which: np.ndarray) -> Any:
    """tokens (n, L, d), which (n, V): for each row its own tokens, (n, V, d)."""
    shape = tokens.shape
    which = numbers(which, "visible")
    if which.dtype.kind not in "iu" or which.ndim != 2:
        raise DtypeError(
            "visible must be the numbers of patches, a row for each picture",
            f"got shape {which.shape}, dtype {which.dtype}",
            "pass an array of int, (n, V)",
        )
    rows = which + shape[1] * np.arange(shape[0])[:, None]
    if not isinstance(tokens, Value):
        return tokens.reshape(-1, shape[2])[rows]
    return ops.take(ops.reshape(tokens, (-1, shape[2])), rows, axis=0)
