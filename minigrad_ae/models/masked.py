"""The masked autoencoder: most of a picture is hidden, and the network fills it in (He et al., CVPR
2022).

    E(w) = 1/2 sum_n sum over hidden pixels i of (y_i(visible pixels of x_n; w) - x_ni)^2

The encoder sees visible patches only; the decoder sees their codes and, in each hidden place, one
learnt mask token. Afterwards the decoder is discarded, and the encoder is applied to whole
pictures: see `transfer`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arguments import flag, generator, plain, real_number, whole_number
from ..errors import DataError, DtypeError, ShapeError
from ..nn import (
    LayerNorm,
    Linear,
    Module,
    Parameter,
    TransformerBlock,
    VisionTransformer,
    init,
    patchify,
    unpatchify,
)
from ..nn.module import Renamed
from ..nn.positions import position_codes
from ..nn.vision import pick

NORM_EPS = 1e-6  # added to the variance of a patch under norm_pix, as in facebookresearch/mae
HALF_SQUARES = ops.half_squared_error


def random_masks(
    n: int, n_patches: int, ratio: float, rng: np.random.Generator | None
) -> np.ndarray:
    """(n, L) boolean, True where hidden: in each row another random subset, of the same size; all
    are equally likely.

    int(L (1 - ratio)) patches stay visible, as in facebookresearch/mae.  DataError for a ratio
    outside [0, 1) or one that leaves nothing visible; DtypeError for a missing `rng`.
    """
    kept = visible_patches(whole_number(n_patches, "n_patches"), ratio)
    whole_number(n, "random_masks: n", low=0)
    draws = generator(rng, "random_masks", "which patches to hide").random((n, n_patches))
    order = draws.argsort(axis=1)
    mask = np.ones((n, n_patches), bool)
    np.put_along_axis(mask, order[:, :kept], False, axis=1)
    return mask


def visible_patches(n_patches: int, ratio: float) -> int:
    """int(L (1 - ratio)), at least 1 or DataError."""
    fix = "0.75 hides three quarters of the patches"
    ratio = real_number(ratio, "the mask ratio", "[0, 1)", fix)
    kept = int(n_patches * (1 - ratio) + 1e-9)
    if kept < 1:
        raise DataError(
            "no patch would stay visible",
            f"mask ratio {ratio} of {n_patches} patches",
            f"choose a ratio of at most {1 - 1 / n_patches:.4g}, or smaller patches",
        )
    return kept


def places(mask: np.ndarray) -> np.ndarray:
    """Un-shuffle, (n, L): which row of [codes of all visible patches; mask token] belongs in each
    place.

    Codes stand in the order of pictures and, within one, of patches; the mask token is the last
    row.
    """
    visible = ~mask
    rows = np.full(mask.shape, np.count_nonzero(visible))
    rows[visible] = np.arange(np.count_nonzero(visible))
    return rows


class MaskedDecoder(Module):
    """The codes of visible patches, with one learnt token in each hidden place and positions of
    their own, through transformer blocks to the pixels of all patches.

    width : of the codes;   pixels : of a patch;   grid : (rows, columns) of patches
    decoder_width, depth, heads, mlp_ratio : of the blocks;   positions : as in `MaskedAutoencoder`
    """

    def __init__(
        self,
        width: int,
        pixels: int,
        grid: tuple[int, int],
        decoder_width: int,
        depth: int,
        heads: int,
        mlp_ratio: float,
        positions: str | None,
        rng: np.random.Generator,
        dtype: Any,
    ) -> None:
        drawn: dict[str, Any] = {"rng": rng, "dtype": dtype}
        self.bridge = Linear(width, decoder_width, **drawn)
        self.mask_token = Parameter(init.normal((1, decoder_width), rng, dtype))
        self.positions = position_codes(positions, grid, decoder_width, rng, dtype)
        self.blocks = [
            TransformerBlock(decoder_width, heads, mlp_ratio=mlp_ratio, **drawn)
            for _ in range(depth)
        ]
        self.norm = LayerNorm(decoder_width, dtype=dtype)
        self.head = Linear(decoder_width, pixels, init=init.zeros, **drawn)

    def forward(self, z: Any, mask: Any = None) -> Any:
        """Codes (n, V, width) of the patches that `mask` (n, L) leaves visible -> (n, L,
        pixels).
        """
        tokens = self.bridge(z)
        if mask is not None:
            rows = ops.reshape(tokens, (-1, tokens.shape[2]))
            tokens = ops.take(ops.concatenate([rows, self.mask_token]), places(mask), axis=0)
        tokens = tokens + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens))


class MaskedAutoencoder(Module):
    """Random patches hidden, seen by nobody, predicted by a transformer.

    image_shape, patch : (H, W) or (H, W, C), and the side of a patch; L = H W / patch^2 patches
    width, depth, heads : of the encoder, a `VisionTransformer` (``encoder``)
    decoder_width, decoder_depth, decoder_heads : of the decoder, a `MaskedDecoder` (``decoder``)
    mask_ratio : share of hidden patches;   mlp_ratio, positions ("learnt", "sincos", None) : of
    both
    class_token : a learnt token more in the encoder, in which a picture can be summed up; it is not
    decoded
    norm_pix : predict each patch less its mean, divided by its standard deviation (ddof 1, He et
    al. 2022)

    `standardise` takes a mean picture and a scale from training data.  The output is mean + scale *
    head, and the head starts at 0: the untrained network predicts the mean picture.
    """

    bridge, mask_token = Renamed("decoder.bridge"), Renamed("decoder.mask_token")
    decoder_positions, blocks = Renamed("decoder.positions"), Renamed("decoder.blocks")
    norm, head = Renamed("decoder.norm"), Renamed("decoder.head")

    def __init__(
        self,
        image_shape: Any = (8, 8),
        patch: int = 2,
        *,
        width: int = 64,
        depth: int = 2,
        heads: int = 2,
        decoder_width: int = 32,
        decoder_depth: int = 2,
        decoder_heads: int = 2,
        mask_ratio: float = 0.75,
        mlp_ratio: float = 2,
        positions: str | None = "learnt",
        class_token: bool = False,
        norm_pix: bool = False,
        rng: np.random.Generator,
        dtype: Any = np.float64,
    ) -> None:
        self.class_token = flag(class_token, "class_token")
        self.norm_pix = flag(norm_pix, "norm_pix")
        self.encoder = VisionTransformer(
            image_shape,
            patch,
            width,
            depth,
            heads,
            mlp_ratio=mlp_ratio,
            positions=positions,
            readout="class" if class_token else "concatenate",
            rng=rng,
            dtype=dtype,
        )
        embedding = self.encoder.embedding
        self.image_shape, self.patch, self.n_patches = (
            embedding.image_shape,
            embedding.patch,
            self.encoder.n_tokens,
        )
        if visible_patches(self.n_patches, mask_ratio) == self.n_patches:
            raise DataError(
                "no patch would be hidden, and there would be nothing to predict",
                f"mask ratio {mask_ratio} of {self.n_patches} patches",
                "0.75 hides three quarters of them",
            )
        self.width, self.depth, self.heads, self.mlp_ratio = width, depth, heads, mlp_ratio
        fix = "0 for no transformer block"
        self.decoder_depth = whole_number(decoder_depth, "decoder_depth", fix, low=0)
        self.decoder_width = whole_number(decoder_width, "decoder_width")
        self.decoder_heads = whole_number(decoder_heads, "decoder_heads")
        self.mask_ratio, self.positions = mask_ratio, positions
        self.decoder = MaskedDecoder(
            width,
            embedding.project.weight.shape[0],
            embedding.grid,
            self.decoder_width,
            self.decoder_depth,
            self.decoder_heads,
            mlp_ratio,
            positions,
            rng,
            dtype,
        )
        # every layer has a "weight": the inspector shows whose
        for path, p in self.named_parameters():
            p.name = path

    def standardise(self, X: Any) -> MaskedAutoencoder:
        """Take the encoder's ``mean`` picture and ``scale`` from training pictures X (n, D).
        Returns the model.
        """
        self.encoder.standardise(X)
        return self

    # --- the slide, left to right ---
    def encode(self, x: Any, mask: Any = None) -> Any:
        """Pictures x (n, D) -> codes of their visible patches (n, V, width), a class token first;
        all if no mask.
        """
        x = self.encoder.standardised(x)
        return self.encoder.tokens(x, None if mask is None else self.visible(mask, len(x)))

    def decode(self, z: Any, mask: Any = None) -> Any:
        """Codes (n, V, width) of the patches that `mask` (n, L) leaves visible -> pictures (n,
        D).
        """
        return self.picture(self.predict(z, mask))

    def forward(self, x: Any, mask: Any = None) -> Any:
        """x (n, D) -> the decoder's pictures (n, D), in visible places too, where nothing taught it
        anything.
        """
        return self.decode(self.encode(x, mask), mask)

    def predict(self, z: Any, mask: Any = None) -> Any:
        """Codes -> patches (n, L, p p C) as the network sees them: standardised, or normalised one
        by one (norm_pix).
        """
        codes = z[:, 1:] if self.class_token else z
        return self.decoder(codes, None if mask is None else self.checked(mask, z.shape[0]))

    def loss(self, x: Any, rng: np.random.Generator | None = None, mask: Any = None) -> Any:
        """E, the sum over pictures and *hidden* pixels of half the squared error (in units of
        `norm_pix` if set).

        rng draws a mask for each picture; or pass `mask` (n, L), True where hidden, as many in each
        row.
        """
        x = self.encoder.standardised(x)
        mask = (
            random_masks(len(x), self.n_patches, self.mask_ratio, rng)
            if mask is None
            else self.checked(mask, len(x))
        )
        z = self.encoder.tokens(x, self.visible(mask))
        hidden = np.nonzero(mask)[1].reshape(len(x), -1)
        error = HALF_SQUARES(pick(self.predict(z, mask), hidden), pick(self.targets(x), hidden))
        return error if self.norm_pix else self.encoder.scale**2 * error

    def targets(self, x: Any) -> Any:
        """Standardised pictures (n, D) -> what the decoder should say, (n, L, p p C)."""
        patches = patchify(x, self.image_shape, self.patch)
        if not self.norm_pix:
            return patches
        P = patches.shape[-1]
        centred = patches - ops.mean(patches, axis=-1, keepdims=True)
        return centred / ops.sqrt(ops.sum(centred**2, axis=-1, keepdims=True) / (P - 1) + NORM_EPS)

    # --- looking at it ---
    def reconstruct(self, x: Any, mask: Any, paste: bool = True) -> np.ndarray:
        """Pictures (n, D): hidden patches as predicted, visible ones as they are (`paste`) or as
        the decoder draws them.

        Under `norm_pix` a prediction lacks the mean and contrast of its patch: DataError, since to
        draw it one would have to look them up in the hidden patch.
        """
        flag(paste, "paste")
        if self.norm_pix:
            raise DataError(
                "norm_pix predicts patches without their mean and contrast",
                "a picture would have to borrow both from the hidden patches",
                "use predict() and targets(), or train with norm_pix=False to see pictures",
            )
        mask = self.checked(mask, len(x))
        y = self.forward(x, mask).data
        if not paste:
            return y
        hidden = unpatchify(
            np.repeat(mask[:, :, None], self.decoder.head.weight.shape[1], axis=2),
            self.image_shape,
            self.patch,
        )
        return np.where(hidden, y, np.asarray(x, y.dtype).reshape(y.shape))

    def masked_error(self, x: Any, mask: Any) -> float:
        """Mean over pictures and hidden pixels of the squared error."""
        mask = self.checked(mask, len(x))
        pixels = np.count_nonzero(mask) * self.decoder.head.weight.shape[1]
        return 2 * float(self.loss(x, mask=mask)) / pixels

    # --- between pictures and patches ---
    def picture(self, patches: Any) -> Any:
        """The inverse of `patchify` after the encoder's `standardised`: (n, L, p p C) -> (n, D)."""
        return (
            unpatchify(patches, self.image_shape, self.patch) * self.encoder.scale
            + self.encoder.mean
        )

    def visible(self, mask: Any, n: int | None = None) -> np.ndarray:
        """(n, V): the numbers of the visible patches of each picture, rising."""
        mask = self.checked(mask, n)
        return np.nonzero(~mask)[1].reshape(len(mask), -1)

    def checked(self, mask: Any, n: int | None = None) -> np.ndarray:
        """`mask` as a boolean (n, L) array, as many hidden in each row, and not all; one row (L,)
        serves all pictures.
        """
        mask = plain(mask, "the mask")
        if mask.dtype != np.bool_:
            raise DtypeError(
                "a mask is a boolean array, True where hidden",
                f"got {mask.dtype}",
                "compare: numbers > 0",
            )
        if mask.ndim == 1 and n is not None:
            mask = np.broadcast_to(mask, (n, len(mask)))
        if mask.ndim != 2 or mask.shape[1] != self.n_patches or n not in (None, len(mask)):
            want = f"({'n' if n is None else n}, {self.n_patches})"
            raise ShapeError(
                "the mask does not fit the pictures",
                f"got {mask.shape}, expected {want}",
                "one row per picture",
            )
        hidden = mask.sum(axis=1)
        if len(mask) and not (hidden.min() == hidden.max() < self.n_patches):
            raise DataError(
                "every picture needs the same number of hidden patches, and a visible one",
                f"{hidden.min()} to {hidden.max()} of {self.n_patches} are hidden",
                "draw masks with random_masks(n, n_patches, ratio, rng)",
            )
        return mask
