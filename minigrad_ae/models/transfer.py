"""Transfer: the decoder is discarded, the encoder sees whole pictures, and fresh output layers are
fine-tuned (the slide).

`classifier` makes such a network from a masked autoencoder, `fine_tune` trains it on labelled
pictures, and `LogisticRegression` is what it is compared with: the same labels on pixels, on
principal components, on frozen features.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .. import ops
from ..arguments import choice, plain, real_dtype, real_number, whole_number
from ..autodiff.graph import no_grad
from ..data import batches
from ..errors import DataError, ShapeError
from ..nn import Linear, Module, Parameter, VisionTransformer, init
from ..nn.vision import READOUTS
from ..optim import LBFGS, AdamW, cosine_schedule
from ..tensors import Tensor, tensor
from .masked import MaskedAutoencoder


def classifier(
    autoencoder: MaskedAutoencoder, n_classes: int, readout: str = "concatenate"
) -> VisionTransformer:
    """A copy of the encoder, unmasked, with a fresh linear head (weights 0) on its tokens.

    readout : "concatenate" (best on few tokens), "mean", or "class" where the autoencoder has a
    class token.
    """
    whole_number(n_classes, "classifier: n_classes")
    choice(readout, READOUTS, "classifier", "readout")
    if (readout == "class") != autoencoder.class_token:
        have = "with" if autoencoder.class_token else "without"
        raise DataError(
            f"the readout {readout!r} does not go with this encoder",
            f"it was trained {have} a class token",
            "use 'class' with one, 'concatenate' or 'mean' without",
        )
    model = copy.deepcopy(autoencoder.encoder)
    model.readout, model.n_classes = readout, n_classes
    model.head = Linear(
        model.n_features,
        n_classes,
        rng=np.random.default_rng(0),
        dtype=model.mean.dtype,
        init=init.zeros,
    )
    return model


def layer_factors(model: VisionTransformer, decay: float) -> dict[Tensor, float]:
    """{parameter: decay^k}, k = 0 at the head, 1 in the last block, ..., depth + 1 at the embedding
    (Clark et al. 2020).
    """
    fix = "0.7, or 1 for one rate everywhere"
    decay = real_number(decay, "the layer-wise decay", "(0, 1]", fix)
    factors: dict[Tensor, float] = {}
    factors.update(dict.fromkeys(model.parameters(), 1.0))
    for k, block in enumerate(reversed(model.blocks), start=1):
        factors.update(dict.fromkeys(block.parameters(), decay**k))
    first = [
        *model.embedding.parameters(),
        *([] if model.class_token is None else [model.class_token]),
    ]
    factors.update(dict.fromkeys(first, decay ** (len(model.blocks) + 1)))
    return factors


def fine_tune(
    model: VisionTransformer,
    X: Any,
    y: Any,
    *,
    steps: int,
    rng: np.random.Generator,
    lr: float = 1e-3,
    layer_decay: float = 0.7,
    batch_size: int = 36,
    warmup: float = 0.1,
) -> list[float]:
    """Train all layers on pictures X (n, D) with classes y (n,); returns the mean cross-entropy of
    each step's batch.

    AdamW (weight decay .05 on matrices), `layer_factors`, warm-up over a share of the steps, then a
    cosine to 0.
    """
    steps = whole_number(steps, "fine_tune: steps")
    batch_size = whole_number(batch_size, "fine_tune: batch_size")
    fix = "warmup is a share of the steps, e.g. 0.1"
    warmup = real_number(warmup, "fine_tune: warmup", "[0, 1)", fix)
    X, y = plain(X, "X"), plain(y, "y")
    if len(X) != len(y):
        raise ShapeError(
            "each picture needs a label",
            f"{len(X)} pictures, {len(y)} labels",
            "pass rows that belong together",
        )
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = AdamW(
        trainable,
        lr,
        (0.9, 0.95),
        weight_decay=0.05,
        matrices_only=True,
        lr_factors=layer_factors(model, layer_decay),
    )
    schedule = cosine_schedule(optimizer, steps, warmup=int(warmup * steps))
    losses: list[float] = []
    while len(losses) < steps:
        for x, labels in batches(X, min(batch_size, len(X)), rng, y, drop_last=True):
            schedule(len(losses))
            optimizer.zero_grad()
            loss = model.loss(x, labels) / len(labels)
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
            if len(losses) == steps:
                break
    return losses


def accuracy(model: Module, X: Any, y: Any) -> float:
    """The share of rows of X whose largest output is at their class y."""
    with no_grad():
        return float(np.mean(model(X).numpy().argmax(axis=1) == plain(y, "y")))


class LogisticRegression(Module):
    """Logits x W + b; `fit` minimises -sum_n ln p(y_n | x_n) + l2/2 ||W||^2 by L-BFGS from 0: a
    convex problem.
    """

    def __init__(
        self, n_features: int, n_classes: int, *, l2: float = 1.0, dtype: Any = np.float64
    ) -> None:
        n_features = whole_number(n_features, "LogisticRegression: n_features")
        n_classes = whole_number(n_classes, "LogisticRegression: n_classes")
        dtype = real_dtype(dtype, "LogisticRegression")
        self.weight = Parameter(np.zeros((n_features, n_classes), dtype))
        self.bias = Parameter(np.zeros(n_classes, dtype))
        self.l2 = real_number(l2, "LogisticRegression: l2", "[0, inf)", "choose l2 >= 0")

    def forward(self, x: Any) -> Any:
        return ops.linear(
            x if isinstance(x, Tensor) else tensor(x, dtype=self.weight.dtype),
            self.weight,
            self.bias,
        )

    def fit(self, X: Any, y: Any, max_iter: int = 300) -> LogisticRegression:
        """X (n, n_features), y (n,).  Returns the model."""
        data, rows, y = tensor(X, dtype=self.weight.dtype), np.arange(len(y)), plain(y, "y")
        optimizer = LBFGS(self.parameters(), max_iter=max_iter, gradient_tolerance=1e-2)

        def closure() -> Tensor:
            log_p = ops.log_softmax(self.forward(data))
            loss = self.l2 / 2 * ops.sum(self.weight**2) - ops.sum(log_p[rows, y])
            loss.backward()
            return loss

        optimizer.step(closure)
        return self
