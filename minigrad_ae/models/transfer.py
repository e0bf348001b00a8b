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
from ..arguments import (
    choice,
    counted,
    instance,
    plain,
    real_dtype,
    real_number,
    rows,
    whole_number,
)
from ..autodiff.graph import no_grad
from ..data import batches
from ..errors import DataError, ShapeError
from ..nn import Linear, Module, Parameter, VisionTransformer, init
from ..nn.vision import READOUTS
from ..optim import LBFGS, AdamW, cosine_schedule
from ..room import demand_room_for
from ..tensors import Tensor, tensor
from .masked import MaskedAutoencoder


def classifier(
    autoencoder: MaskedAutoencoder, n_classes: int, readout: str = "concatenate"
) -> VisionTransformer:
    """A copy of the encoder, unmasked, with a fresh linear head (weights 0) on its tokens.

    Parameters
    ----------
    autoencoder : MaskedAutoencoder
        Its encoder is copied; it stays as it is.
    n_classes : int
        How many classes there are, >= 1.
    readout : str, optional
        "concatenate" (best on few tokens), "mean", or "class" where the autoencoder has a class
        token.

    Returns
    -------
    VisionTransformer
        Pictures (n, D) -> logits (n, n_classes), all 0 before it is trained.

    Raises
    ------
    DataError
        If the readout is unknown or does not go with the encoder, or `n_classes` is below 1.
    DtypeError
        If `n_classes` is not a whole number.

    Examples
    --------
    >>> from minigrad_ae.models.transfer import classifier
    >>> pretrained = mg.models.MaskedAutoencoder(rng=np.random.default_rng(0))
    >>> logits = classifier(pretrained, 10)(np.ones((2, 64)))
    >>> logits.shape, bool(np.all(logits.numpy() == 0))
    ((2, 10), True)
    """
    fix = "pass a masked autoencoder"
    instance(autoencoder, MaskedAutoencoder, "classifier: autoencoder", fix)
    whole_number(n_classes, "classifier: n_classes")
    choice(readout, READOUTS, "classifier", "readout")
    if (readout == "class") != autoencoder.class_token:
        raise DataError(
            f"the readout {readout!r} does not go with this encoder",
            f"it was trained {'with' if autoencoder.class_token else 'without'} a class token",
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
    """Learning rates that fall from layer to layer: decay^k, k counted from the head.

    Parameters
    ----------
    model : VisionTransformer
        Whose layers are counted: 0 is the head, 1 the last block, depth + 1 the embedding.
    decay : float
        In (0, 1]; 0.7, or 1 for one rate everywhere.

    Returns
    -------
    dict of Parameter to float
        The factor of each parameter's rate.

    Raises
    ------
    DataError
        If `decay` is outside (0, 1].
    DtypeError
        If it is not a number.

    References
    ----------
    Clark et al. (2020), ELECTRA.
    """
    instance(model, VisionTransformer, "layer_factors: model", "pass a vision transformer")
    decay = real_number(
        decay, "the layer-wise decay", "(0, 1]", "0.7, or 1 for one rate everywhere"
    )
    factors: dict[Any, float] = dict.fromkeys(model.parameters(), 1.0)
    for k, block in enumerate(reversed(model.blocks), start=1):
        factors |= dict.fromkeys(block.parameters(), decay**k)
    token = [] if model.class_token is None else [model.class_token]
    first = [*model.embedding.parameters(), *token]
    return factors | dict.fromkeys(first, decay ** (len(model.blocks) + 1))


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
    """Train all layers on pictures with their classes.

    Parameters
    ----------
    model : VisionTransformer
        Changed in place.
    X : array_like, (N, D)
        Pictures in rows.
    y : array_like of int, (N,)
        Their classes, from 0.
    steps : int
        How many mini-batches, >= 1.
    rng : numpy.random.Generator
        Shuffles the pictures in each epoch.
    lr : float, optional
        The highest learning rate, at the head.
    layer_decay : float, optional
        What `layer_factors` takes, in (0, 1].
    batch_size : int, optional
        Pictures in a mini-batch, >= 1.
    warmup : float, optional
        Share of the steps in which the rate rises, in [0, 1).

    Returns
    -------
    list of float
        The cross-entropy of each step's batch, a mean over its pictures, in nats.

    Raises
    ------
    ShapeError
        If there are not as many classes as pictures.
    DataError
        If a number is outside its range.
    DtypeError
        If a number is not one, or `rng` not a generator.

    Notes
    -----
    AdamW (weight decay 0.05 on matrices), `layer_factors`, warm-up over a share of the steps, then
    a cosine to 0.
    """
    steps = whole_number(steps, "fine_tune: steps")
    batch_size = whole_number(batch_size, "fine_tune: batch_size")
    warmup = real_number(
        warmup, "fine_tune: warmup", "[0, 1)", "warmup is a share of the steps, e.g. 0.1"
    )
    instance(model, VisionTransformer, "fine_tune: model", "pass a vision transformer")
    X, y = rows(X, "X"), rows(y, "y")
    if len(X) != len(y):
        raise ShapeError(
            "each picture needs a label",
            f"{counted(len(X), 'picture')}, {counted(len(y), 'label')}",
            "pass rows that belong together",
        )
    optimizer = AdamW(
        [p for p in model.parameters() if p.requires_grad],
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
    """The share of rows of X whose largest output is at their class y.

    Parameters
    ----------
    model : Module
        (n, D) -> (n, classes).
    X : array_like, (n, D)
        Data in rows.
    y : array_like of int, (n,)
        Their classes, from 0.

    Returns
    -------
    float
        From 0 to 1.
    """
    with no_grad():
        return float(np.mean(model(X).numpy().argmax(axis=1) == plain(y, "y")))


class LogisticRegression(Module):
    """Logits x W + b: the model that transfer is compared with.

    Parameters
    ----------
    n_features : int
        D, >= 1.
    n_classes : int
        How many classes there are, >= 1.
    l2 : float, optional
        Weight of the penalty l2/2 ||W||^2, >= 0.
    dtype : dtype, optional
        float64 or float32.

    Attributes
    ----------
    weight : Parameter, (D, n_classes)
        W, 0 at the start.
    bias : Parameter, (n_classes,)
        b, 0 at the start, without a penalty.

    Raises
    ------
    DataError
        If a size is below 1, or l2 below 0.
    DtypeError
        If a number is not one, or `dtype` another one.

    Examples
    --------
    >>> from minigrad_ae.models.transfer import LogisticRegression, accuracy
    >>> X, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    >>> accuracy(LogisticRegression(1, 2).fit(X, y), X, y)
    1.0
    """

    def __init__(
        self, n_features: int, n_classes: int, *, l2: float = 1.0, dtype: Any = np.float64
    ) -> None:
        n_features = whole_number(n_features, "LogisticRegression: n_features")
        n_classes = whole_number(n_classes, "LogisticRegression: n_classes")
        dtype = real_dtype(dtype, "LogisticRegression")
        demand_room_for((n_features, n_classes))
        self.weight = Parameter(np.zeros((n_features, n_classes), dtype))
        self.bias = Parameter(np.zeros(n_classes, dtype))
        self.l2 = real_number(l2, "LogisticRegression: l2", "[0, inf)", "choose l2 >= 0")

    def forward(self, x: Any) -> Any:
        """Logits x W + b.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.

        Returns
        -------
        Tensor, (n, n_classes)
            One logit for each class.
        """
        return ops.linear(
            x if isinstance(x, Tensor) else tensor(x, dtype=self.weight.dtype),
            self.weight,
            self.bias,
        )

    def fit(self, X: Any, y: Any, max_iter: int = 300) -> LogisticRegression:
        """Minimise -sum_n ln p(y_n | x_n) + l2/2 ||W||^2 by L-BFGS: a convex problem.

        Parameters
        ----------
        X : array_like, (N, D)
            Data in rows.
        y : array_like of int, (N,)
            Their classes, from 0.
        max_iter : int, optional
            Iterations of L-BFGS, >= 1.

        Returns
        -------
        LogisticRegression
            The model itself.
        """
        data, y = tensor(X, dtype=self.weight.dtype), rows(y, "y")
        each = np.arange(len(y))
        optimizer = LBFGS(self.parameters(), max_iter=max_iter, gradient_tolerance=1e-2)

        def closure() -> Tensor:
            log_p = ops.log_softmax(self.forward(data))
            loss: Tensor = self.l2 / 2 * ops.sum(self.weight**2) - ops.sum(log_p[each, y])
            loss.backward()
            return loss

        optimizer.step(closure)
        return self
