"""The masked autoencoder's training step, for step_models.py: a quarter of the patches is visible.

Both versions draw the mask from the same noise: where its smallest numbers are, patches stay
visible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray


class Masked:
    """Encoder width/depth/heads and decoder width/depth/heads, as in reference tables: 32/1/2;
    32/2/2.

    Pictures of side x side pixels, in patches of patch x patch; the defaults are the digits'.
    """

    def __init__(
        self,
        encoder: tuple[int, int, int],
        decoder: tuple[int, int, int],
        side: int = 8,
        patch: int = 2,
    ) -> None:
        self.encoder, self.decoder, self.side, self.patch = encoder, decoder, side, patch
        self.tokens = (side // patch) ** 2
        self.visible = self.tokens // 4
        self.name = f"masked AE {'/'.join(map(str, encoder))}; {'/'.join(map(str, decoder))}"
        self.name += f", {self.tokens} tokens" if side != 8 else ""
        self.shapes = [p.shape for p in self.parameters(self.build())]

    def build(self) -> Any:
        from minigrad_ae.models import MaskedAutoencoder

        (width, depth, heads), (w, d, h) = self.encoder, self.decoder
        return MaskedAutoencoder(
            (self.side, self.side),
            self.patch,
            width=width,
            depth=depth,
            heads=heads,
            decoder_width=w,
            decoder_depth=d,
            decoder_heads=h,
            rng=np.random.default_rng(0),
            dtype=np.float32,
        )

    @staticmethod
    def parameters(model: Any) -> list[Any]:
        return [p for p in model.parameters() if p.requires_grad]

    def start(self) -> list[Array]:
        """As the model starts, but with a head that is not zero, so that every layer has a
        gradient.
        """
        model, rng = self.build(), np.random.default_rng(0)
        model.head.weight.data = 0.1 * rng.standard_normal(model.head.weight.shape)
        return [p.data.copy() for p in self.parameters(model)]

    def ours(self, weights: list[Array]) -> tuple[list[Any], Any]:
        """`mg.models.MaskedAutoencoder` with these weights."""
        model = self.build()
        params = self.parameters(model)
        for p, w in zip(params, weights, strict=True):
            p.data = w.copy()

        def loss(x: Any, noise: Any) -> Any:
            mask = noise.argsort(axis=1).argsort(axis=1) >= self.visible
            return model.loss(x, mask=mask) / len(x)

        return params, loss

    def theirs(self, f: Any, p: Any, x: Any, noise: Any) -> Any:
        """The same, as each library's users would write it: shuffle, encode, restore the order,
        decode.
        """
        weights, n = iter(p), x.shape[0]
        order = f.argsort(noise)
        visible, hidden, restore = (
            order[:, : self.visible],
            order[:, self.visible :],
            f.argsort(order),
        )
        rows, patch, tokens_in_all = self.side // self.patch, self.patch, self.tokens
        patches = f.permute(x.reshape((n, rows, patch, rows, patch)), (0, 1, 3, 2, 4)).reshape(
            (n, tokens_in_all, patch**2)
        )
        tokens = (
            f.linear(f.pick(patches, visible), next(weights), next(weights))
            + f.table(next(weights))[visible]
        )
        tokens = _blocks(f, weights, tokens, self.encoder[1], self.encoder[2])
        tokens = f.linear(
            f.layer_norm(tokens, next(weights), next(weights)), next(weights), next(weights)
        )
        token, positions = f.table(next(weights)), f.table(next(weights))
        masked = f.broadcast(
            token.reshape((1, 1, -1)), (n, tokens_in_all - self.visible, token.shape[-1])
        )
        tokens = f.pick(f.concatenate([tokens, masked], 1), restore) + positions
        tokens = _blocks(f, weights, tokens, self.decoder[1], self.decoder[2])
        y = f.linear(
            f.layer_norm(tokens, next(weights), next(weights)), next(weights), next(weights)
        )
        return f.half_squares(f.pick(y, hidden), f.pick(patches, hidden)) / n


def _blocks(f: Any, w: Iterator[Any], x: Any, depth: int, heads: int) -> Any:
    n, tokens, width = x.shape
    for _ in range(depth):
        z = f.layer_norm(x, next(w), next(w))
        q, k, v = (
            f.permute(
                f.linear(z, next(w), next(w)).reshape((n, tokens, heads, width // heads)),
                (0, 2, 1, 3),
            )
            for _ in range(3)
        )
        joined = f.permute(f.attention(q, k, v), (0, 2, 1, 3)).reshape((n, tokens, width))
        x = x + f.linear(joined, next(w), next(w))
        z = f.layer_norm(x, next(w), next(w))
        x = x + f.linear(f.gelu(f.linear(z, next(w), next(w))), next(w), next(w))
    return x
