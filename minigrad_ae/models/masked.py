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
from numpy.typing import ArrayLike

from .. import ops
from ..arguments import flag, generator, plain, real_number, rows, whole_number
from ..autodiff.graph import Value
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
from ..nn.vision import of_blocks, pick
from ..room import demand_room_for

NORM_EPS = 1e-6  # added to the variance of a patch under norm_pix, as in facebookresearch/mae


def random_masks(
    n: int, n_patches: int, ratio: float, rng: np.random.Generator | None
) -> np.ndarray:
    """Draw for each picture which patches are hidden: a random subset, all equally likely.

    Parameters
    ----------
    n : int
        The number of pictures, >= 0.
    n_patches : int
        L, the number of patches of a picture, >= 1.
    ratio : float
        Share of hidden patches, in [0, 1).
    rng : numpy.random.Generator
        Draws another subset for each picture, of the same size.

    Returns
    -------
    ndarray of bool, (n, L)
        True where hidden.  int(L (1 - ratio)) patches stay visible, as in facebookresearch/mae.

    Raises
    ------
    DataError
        If `ratio` is outside [0, 1) or leaves nothing visible.
    DtypeError
        If `rng` is missing, or a number is not one.

    Examples
    --------
    >>> masks = mg.models.masked.random_masks(3, 16, 0.75, np.random.default_rng(0))
    >>> masks.shape, [int(hidden) for hidden in masks.sum(axis=1)]
    ((3, 16), [12, 12, 12])
    """
    kept = visible_patches(whole_number(n_patches, "n_patches"), ratio)
    whole_number(n, "random_masks: n", low=0)
    demand_room_for((n, n_patches))
    draws = generator(rng, "random_masks", "which patches to hide").random((n, n_patches))
    order = draws.argsort(axis=1)
    hidden: np.ndarray = order.argsort(axis=1) >= kept  # by rank among the draws
    return hidden


def visible_patches(n_patches: int, ratio: float) -> int:
    """The number of patches that stay visible, int(L (1 - ratio)).

    Parameters
    ----------
    n_patches : int
        L, the number of patches of a picture.
    ratio : float
        Share of hidden patches, in [0, 1).

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    DataError
        If `ratio` is outside [0, 1) or leaves nothing visible.
    DtypeError
        If `ratio` is not a number.

    Examples
    --------
    >>> mg.models.masked.visible_patches(16, 0.75)
    4
    """
    ratio = real_number(
        ratio, "the mask ratio", "[0, 1)", "0.75 hides three quarters of the patches"
    )
    kept = int(n_patches * (1 - ratio) + 1e-9)
    if kept < 1:
        raise DataError(
            "no patch would stay visible",
            f"mask ratio {ratio} of {n_patches} patches",
            f"choose a ratio of at most {1 - 1 / n_patches:.4g}, or smaller patches",
        )
    return kept


def places(mask: np.ndarray) -> np.ndarray:
    """Un-shuffle: which row of [codes of all visible patches; mask token] belongs in each place.

    Codes stand in the order of pictures and, within one, of patches; the mask token is the last
    row.

    Parameters
    ----------
    mask : ndarray of bool, (n, L)
        True where hidden.

    Returns
    -------
    ndarray of int, (n, L)
        Numbers of rows.

    Examples
    --------
    >>> mg.models.masked.places(np.array([[True, False, True, False], [False, True, True, False]]))
    array([[4, 0, 4, 1],
           [2, 4, 4, 3]])
    """
    visible_so_far = np.cumsum(~mask).reshape(mask.shape)
    return np.where(mask, np.count_nonzero(~mask), visible_so_far - 1)


class MaskedDecoder(Module):
    """Codes in, patches out: what the masked autoencoder trains and then discards.

    The codes of visible patches, with one learnt token in each hidden place and positions of their
    own, go through transformer blocks to the pixels of all patches.

    Parameters
    ----------
    width : int
        Of the codes.
    pixels : int
        p p C, of a patch.
    grid : tuple of int
        (rows, columns) of patches.
    decoder_width, depth, heads, mlp_ratio : int, int, int, float
        Of the blocks.
    positions : str or None
        As in `MaskedAutoencoder`.
    rng : numpy.random.Generator
        Draws the start weights; those of the head are 0.
    dtype : dtype
        float64 or float32, of all parameters.
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
            for _ in range(of_blocks(depth, decoder_width))
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

    The loss is 1/2 sum (y - x)^2 over pictures and *hidden* pixels.

    Parameters
    ----------
    image_shape : tuple of int, optional
        (H, W) or (H, W, C), in pixels; a datum has D = H W C features.
    patch : int, optional
        The side of a patch in pixels; there are L = H W / patch^2 patches.
    width, depth, heads : int, optional
        Of the encoder: the size of a token, the number of blocks, of attention heads in each.
    decoder_width, decoder_depth, decoder_heads : int, optional
        Of the decoder.
    mask_ratio : float, optional
        Share of hidden patches, in [0, 1); int(L (1 - ratio)) patches stay visible.
    mlp_ratio : float, optional
        Hidden units of each block's MLP, of both, as a multiple of its width.
    positions : str or None, optional
        What tells the places apart in both: "learnt", "sincos", or None for nothing.
    class_token : bool, optional
        A learnt token more in the encoder, in which a picture can be summed up; it is not decoded.
    norm_pix : bool, optional
        Predict each patch less its mean, divided by its standard deviation (ddof 1).
    rng : numpy.random.Generator
        Draws the start weights.
    dtype : dtype, optional
        float64 or float32, of all parameters.

    Attributes
    ----------
    encoder : nn.VisionTransformer
        Sees visible patches only; it holds the ``mean`` picture and the ``scale`` of `standardise`.
    decoder : MaskedDecoder
        Sees the codes and, in each hidden place, one learnt mask token.
    n_patches : int
        L.

    Raises
    ------
    DataError
        If a size is below 1 (`decoder_depth` below 0), the patches do not tile the picture, the
        heads do not divide the width, or the ratio leaves nothing visible or nothing hidden.
    DtypeError
        If a number or flag is not one, `rng` not a generator, or `dtype` another one.

    Notes
    -----
    The output is mean + scale * head, and the head starts at 0: the untrained network predicts the
    mean picture.

    References
    ----------
    Bishop & Bishop (2024), section 19.1.5; He et al. (2022), Masked autoencoders are scalable
    vision learners.

    Examples
    --------
    Without training pictures the mean picture is 0: the first error is the sum of squares of the
    hidden pixels.  Here those are 1, 12 patches of 4.

    >>> model = mg.models.MaskedAutoencoder((8, 8), 2, rng=np.random.default_rng(0))
    >>> model.loss(np.ones((1, 64)), np.random.default_rng(1)).item()  # 1/2 * 12 * 4
    24.0
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
        self.decoder_depth = whole_number(
            decoder_depth, "decoder_depth", "0 for no transformer block", low=0
        )
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
        """Take the encoder's ``mean`` picture and ``scale`` from training pictures.

        Parameters
        ----------
        X : array_like, (N, D)
            Pictures in rows.

        Returns
        -------
        MaskedAutoencoder
            The model itself.
        """
        self.encoder.standardise(X)
        return self

    # --- the slide, left to right ---
    def encode(self, x: Any, mask: Any = None) -> Any:
        """Codes of the visible patches of each picture.

        Parameters
        ----------
        x : array_like, (n, D)
            Pictures in rows.
        mask : ndarray of bool, (n, L) or (L,), optional
            True where hidden; without it every patch is visible.

        Returns
        -------
        Tensor, (n, V, width)
            One code for each visible patch, in their order, a class token first where there is one.

        Raises
        ------
        DtypeError, ShapeError, DataError
            If the mask is not possible; see `checked`.
        """
        x = self.encoder.standardised(x)
        return self.encoder.tokens(x, None if mask is None else self.visible(mask, len(x)))

    def decode(self, z: Any, mask: Any = None) -> Any:
        """Pictures from codes.

        Parameters
        ----------
        z : Tensor, (n, V, width)
            Codes of the patches that `mask` leaves visible.
        mask : ndarray of bool, (n, L) or (L,), optional
            True where hidden; without it every patch has a code.

        Returns
        -------
        Tensor, (n, D)
            Every pixel as the decoder draws it, in the units of the data.

        Raises
        ------
        DtypeError, ShapeError, DataError
            If the mask is not possible; see `checked`.
        """
        return self.picture(self.predict(z, mask))

    def forward(self, x: Any, mask: Any = None) -> Any:
        """The decoder's pictures, in visible places too, where nothing taught it anything.

        Parameters
        ----------
        x : array_like, (n, D)
            Pictures in rows.
        mask : ndarray of bool, (n, L) or (L,), optional
            True where hidden; without it every patch is visible.

        Returns
        -------
        Tensor, (n, D)
            Every pixel as the decoder draws it, in the units of the data.

        Raises
        ------
        DtypeError, ShapeError, DataError
            If the mask is not possible; see `checked`.
        """
        return self.decode(self.encode(x, mask), mask)

    def predict(self, z: Any, mask: Any = None) -> Any:
        """Patches from codes, as the network sees them.

        Parameters
        ----------
        z : Tensor, (n, V, width)
            Codes of the patches that `mask` leaves visible, a class token first where there is one.
        mask : ndarray of bool, (n, L) or (L,), optional
            True where hidden; without it every patch has a code.

        Returns
        -------
        Tensor, (n, L, p p C)
            The pixels of each patch, standardised, or normalised patch by patch under `norm_pix`.

        Raises
        ------
        DtypeError, ShapeError, DataError
            If the mask is not possible; see `checked`.
        """
        z = z if isinstance(z, Value) else plain(z, "z", self.decoder.mask_token.dtype)
        if z.ndim != 3:
            wanted = "(pictures, visible patches, width) are needed"
            raise ShapeError("z must be the codes of patches", f"got {z.shape}; {wanted}", "encode")
        codes = z[:, 1:] if self.class_token else z
        return self.decoder(codes, None if mask is None else self.checked(mask, z.shape[0]))

    def loss(self, x: Any, rng: np.random.Generator | None = None, mask: Any = None) -> Any:
        """E = 1/2 sum over pictures and *hidden* pixels of (y - x)^2.

        Parameters
        ----------
        x : array_like, (n, D)
            Pictures in rows.
        rng : numpy.random.Generator, optional
            Draws a mask for each picture; needed where no `mask` is passed.
        mask : ndarray of bool, (n, L) or (L,), optional
            True where hidden, as many in each row.

        Returns
        -------
        Tensor, ()
            E in squared units of the data, or of normalised patches under `norm_pix`; a sum over
            pictures and pixels.

        Raises
        ------
        DtypeError, ShapeError, DataError
            If there is neither `rng` nor mask, or the mask is not possible; see `checked`.
        """
        x = self.encoder.standardised(x)
        mask = (
            random_masks(len(x), self.n_patches, self.mask_ratio, rng)
            if mask is None
            else self.checked(mask, len(x))
        )
        z = self.encoder.tokens(x, self.visible(mask))
        hidden = np.nonzero(mask)[1].reshape(len(x), np.count_nonzero(mask[:1]))
        predicted, target = pick(self.predict(z, mask), hidden), pick(self.targets(x), hidden)
        error = ops.half_squared_error(predicted, target)
        return error if self.norm_pix else self.encoder.scale**2 * error

    def targets(self, x: Any) -> Any:
        """What the decoder should say.

        Parameters
        ----------
        x : Tensor or ndarray, (n, D)
            Standardised pictures in rows.

        Returns
        -------
        Tensor or ndarray, (n, L, p p C)
            Their patches; under `norm_pix` each less its mean, divided by its standard deviation.
        """
        patches = patchify(x, self.image_shape, self.patch)
        if not self.norm_pix:
            return patches
        P = patches.shape[-1]
        centred = patches - ops.mean(patches, axis=-1, keepdims=True)
        return centred / ops.sqrt(ops.sum(centred**2, axis=-1, keepdims=True) / (P - 1) + NORM_EPS)

    # --- looking at it ---
    def reconstruct(self, x: Any, mask: Any, paste: bool = True) -> np.ndarray:
        """Pictures with hidden patches as predicted.

        Parameters
        ----------
        x : array_like, (n, D)
            Pictures in rows.
        mask : ndarray of bool, (n, L) or (L,)
            True where hidden.
        paste : bool, optional
            Whether visible patches are shown as they are, or as the decoder draws them.

        Returns
        -------
        ndarray, (n, D)
            The pictures, in the units of the data.

        Raises
        ------
        DataError
            Under `norm_pix`: a prediction lacks the mean and contrast of its patch, and to draw it
            one would have to look them up in the hidden patch.  And if the mask is not possible;
            see `checked`.
        DtypeError, ShapeError
            If `paste` is not a flag, or the mask not one of these pictures.
        """
        flag(paste, "paste")
        if self.norm_pix:
            raise DataError(
                "norm_pix predicts patches without their mean and contrast",
                "a picture would have to borrow both from the hidden patches",
                "use predict() and targets(), or train with norm_pix=False to see pictures",
            )
        x = x if isinstance(x, Value) else rows(x, "x")
        mask = self.checked(mask, len(x))
        y: np.ndarray = self.forward(x, mask).data
        if not paste:
            return y
        hidden = unpatchify(
            np.repeat(mask[:, :, None], self.decoder.head.weight.shape[1], axis=2),
            self.image_shape,
            self.patch,
        )
        return np.where(hidden, y, np.asarray(x, y.dtype).reshape(y.shape))

    def masked_error(self, x: Any, mask: Any) -> float:
        """The squared error of a hidden pixel, a mean over pictures and hidden pixels.

        Parameters
        ----------
        x : array_like, (n, D)
            Pictures in rows.
        mask : ndarray of bool, (n, L) or (L,)
            True where hidden.

        Returns
        -------
        float
            In squared units of the data, or of normalised patches under `norm_pix`.

        Raises
        ------
        DtypeError, ShapeError, DataError
            If the mask is not possible; see `checked`.
        """
        mask = self.checked(mask, len(x))
        pixels: int = np.count_nonzero(mask) * self.decoder.head.weight.shape[1]
        return 2 * float(self.loss(x, mask=mask)) / pixels

    # --- between pictures and patches ---
    def picture(self, patches: Any) -> Any:
        """The inverse of `patchify` after the encoder's `standardised`.

        Parameters
        ----------
        patches : Tensor or ndarray, (n, L, p p C)
            Standardised pixels of each patch.

        Returns
        -------
        Tensor or ndarray, (n, D)
            Pictures in rows, in the units of the data.
        """
        return (
            unpatchify(patches, self.image_shape, self.patch) * self.encoder.scale
            + self.encoder.mean
        )

    def visible(self, mask: Any, n: int | None = None) -> np.ndarray:
        """The numbers of the visible patches of each picture, rising.

        Parameters
        ----------
        mask : ndarray of bool, (n, L) or (L,)
            True where hidden.
        n : int, optional
            The number of pictures, which the mask has to fit.

        Returns
        -------
        ndarray of int, (n, V)
            From 0, in the order of the patches.

        Raises
        ------
        DtypeError, ShapeError, DataError
            If the mask is not possible; see `checked`.
        """
        mask = self.checked(mask, n)
        return np.nonzero(~mask)[1].reshape(len(mask), np.count_nonzero(~mask[:1]))

    def checked(self, mask: ArrayLike, n: int | None = None) -> np.ndarray:
        """The mask as a boolean (n, L) array, if it is possible.

        Parameters
        ----------
        mask : array_like of bool, (n, L) or (L,)
            True where hidden; one row serves all pictures.
        n : int, optional
            The number of pictures, which the mask has to fit.

        Returns
        -------
        ndarray of bool, (n, L)
            One row for each picture.

        Raises
        ------
        DtypeError
            If it is not made of booleans.
        ShapeError
            If it does not fit the pictures.
        DataError
            If rows differ in the number of hidden patches, or one hides all.
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
            raise ShapeError(
                "the mask does not fit the pictures",
                f"got {mask.shape}, expected ({'n' if n is None else n}, {self.n_patches})",
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
