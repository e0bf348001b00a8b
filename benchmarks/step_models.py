"""The models whose training steps are timed, written once for our framework and once for all
others.

To add a model, add one entry to `MODELS`.  `ours` builds it from public layers around the given
weights and returns the loss as a function; `theirs` is the same loss over a small table of
functions, `f`, which each library fills in with what its own users would call (step_peers.py).
Weights are in the order in which both use them, and (in, out).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.step_masked import Masked

Array = np.ndarray
DIGIT = 64  # pixels of one of the digits that travel in the package
Loss = Callable[[Any, Any], Any]  # loss(x, noise) -> scalar
# {("tape" or "compiled", threads): {peer: their time over ours, at least}}
Goals = dict[tuple[str, int], dict[str, float]]


@dataclass(frozen=True)
class Model:
    """One row of the benchmark: sizes, both versions of the loss, and the goals."""

    name: str
    batch: int
    features: int
    weights: Sequence[tuple[int, ...]]
    ours: Callable[[list[Array]], tuple[list[Any], Loss]]
    theirs: Callable[[Any, Any, Any, Any], Any]
    noise: int = 0  # standard normal numbers per data point
    goals: Goals = field(default_factory=dict)
    start: Callable[[], list[Array]] | None = None  # start weights of its own

    def draw(self, seed: int = 0) -> tuple[list[Array], Array, Array]:
        """Start weights (Xavier; biases a little off 0), data in [0, 1] (digits where they fit) and
        noise: float32, the same for everyone."""
        rng = np.random.default_rng(seed)
        scales = [np.sqrt(2 / sum(s)) if len(s) == 2 else 0.01 for s in self.weights]
        weights = [
            (a * rng.standard_normal(s)).astype(np.float32)
            for s, a in zip(self.weights, scales, strict=True)
        ]
        if self.start is not None:
            weights = self.start()
        x = rng.random((self.batch, self.features)).astype(np.float32)
        if self.features == DIGIT:
            from minigrad_ae.data import digits

            x = digits()[0][: self.batch].astype(np.float32)
        return weights, x, rng.standard_normal((self.batch, self.noise)).astype(np.float32)

    def multiply_adds(self) -> int:
        """In the matrix products of one step: forward, both gradients, without the one of the
        data.
        """
        layers = [s[0] * s[1] for s in self.weights if len(s) == 2]
        return self.batch * (3 * sum(layers) - layers[0])


def linears(weights: list[Array], activations: Sequence[str | None]) -> list[Any]:
    """`nn.Linear` layers that start from the given weights and biases."""
    from minigrad_ae import nn

    layers = []
    for k, activation in enumerate(activations):
        weight, bias = weights[2 * k : 2 * k + 2]
        layer = nn.Linear(
            *weight.shape, activation=activation, rng=np.random.default_rng(0), dtype=weight.dtype
        )
        layer.weight.data, layer.bias.data = weight.copy(), bias.copy()  # type: ignore[union-attr]
        layers.append(layer)
    return layers


def trained(layers: list[Any]) -> list[Any]:
    return [p for layer in layers for p in layer.parameters()]


# --- variational autoencoder ----------------------------------------------------------------------


def _our_vae(weights: list[Array]) -> tuple[list[Any], Loss]:
    """`mg.models.VariationalAutoencoder`, its two terms at the given noise."""
    from minigrad_ae.models import VariationalAutoencoder

    (D, H), M = weights[0].shape, weights[4].shape[0]
    model = VariationalAutoencoder(
        D, M, hidden=(H,), rng=np.random.default_rng(0), dtype=np.float32
    )
    for p, w in zip(model.parameters(), weights, strict=True):
        p.data = w.copy()

    def loss(x: Any, noise: Any) -> Any:
        distortion, rate = model.terms(x, noise)
        return (distortion + rate) / len(x)

    return model.parameters(), loss


def _their_vae(f: Any, p: Any, x: Any, noise: Any) -> Any:
    s = f.linear(f.tanh(f.linear(x, p[0], p[1])), p[2], p[3])
    M = s.shape[1] // 2
    mu, log_var = s[:, :M], s[:, M:]
    z = mu + f.exp(0.5 * log_var) * noise
    kl = 0.5 * f.sum(f.exp(log_var) + mu * mu - 1 - log_var)
    return (f.bernoulli(f.linear(f.tanh(f.linear(z, p[4], p[5])), p[6], p[7]), x) + kl) / x.shape[0]


def vae(D: int, H: int, M: int, goals: Goals) -> Model:
    shapes = [(D, H), (H,), (H, 2 * M), (2 * M,), (M, H), (H,), (H, D), (D,)]
    return Model(
        f"VAE {D}-{H}-{M}-{H}-{D}", 128, D, shapes, _our_vae, _their_vae, noise=M, goals=goals
    )


# --- autoencoders ---------------------------------------------------------------------------------


def _our_linear(weights: list[Array]) -> tuple[list[Any], Loss]:
    """`mg.models.LinearAutoencoder`; its loss is a sum over data, here divided by their number."""
    from minigrad_ae.models import LinearAutoencoder

    D, M = weights[0].shape
    model = LinearAutoencoder(D, M, rng=np.random.default_rng(0), dtype=np.float32)
    params = [model.encoder_weight, model.encoder_bias, model.decoder_weight, model.decoder_bias]
    for p, w in zip(params, weights, strict=True):
        p.data = w.copy()
    return params, lambda x, noise: model.loss(x) / len(x)


def _our_model(name: str, *sizes: int) -> Callable[[list[Array]], tuple[list[Any], Loss]]:
    """A sigmoidal one of `mg.models`, such as DeepAutoencoder(D, M, H)."""

    def built(weights: list[Array]) -> tuple[list[Any], Loss]:
        from minigrad_ae import models

        model = getattr(models, name)(
            *sizes, activation="sigmoid", rng=np.random.default_rng(0), dtype=np.float32
        )
        for p, w in zip(model.parameters(), weights, strict=True):
            p.data = w.copy()
        return model.parameters(), lambda x, noise: model.loss(x) / len(x)

    return built


def autoencoder(
    name: str,
    sizes: Sequence[int],
    activations: Sequence[str | None],
    batch: int,
    goals: Goals,
    ours: Any = None,
) -> Model:
    """Layers of the given sizes and half the squared error; from `nn.Linear` layers unless `ours`
    is given.
    """

    def built(weights: list[Array]) -> tuple[list[Any], Loss]:
        from minigrad_ae import ops

        layers = linears(weights, activations)

        def loss(x: Any, noise: Any) -> Any:
            y = x
            for layer in layers:
                y = layer(y)
            return ops.half_squared_error(y, x) / len(x)

        return trained(layers), loss

    def theirs(f: Any, p: Any, x: Any, noise: Any) -> Any:
        y = x
        for k, activation in enumerate(activations):
            y = f.linear(y, p[2 * k], p[2 * k + 1])
            y = getattr(f, activation)(y) if activation else y
        return f.half_squares(y, x) / x.shape[0]

    shapes: list[tuple[int, ...]] = []
    for n, m in pairwise(sizes):
        shapes += [(n, m), (m,)]
    return Model(name, batch, sizes[0], shapes, ours or built, theirs, goals=goals)


# lambda of the sparse, deviation of the noise of the denoising autoencoder
SPARSITY, SIGMA = 0.1, 0.3


def _our_sparse(weights: list[Array]) -> tuple[list[Any], Loss]:
    """`mg.models.SparseAutoencoder`, ReLU units and a decoder with rows of length 1."""
    from minigrad_ae.models import SparseAutoencoder

    model = SparseAutoencoder(
        *weights[0].shape, lam=SPARSITY, rng=np.random.default_rng(0), dtype=np.float32
    )
    for p, w in zip(model.parameters(), weights, strict=True):
        p.data = w.copy()
    return model.parameters(), lambda x, noise: model.loss(x) / len(x)


def _their_sparse(f: Any, p: Any, x: Any, noise: Any) -> Any:
    z = f.relu(f.linear(x, p[0], p[1]))
    return (
        f.half_squares(f.linear(z, f.unit_rows(p[2]), p[3]), x) + SPARSITY * f.sum(f.abs(z))
    ) / x.shape[0]


def sparse(D: int, K: int, goals: Goals) -> Model:
    shapes = [(D, K), (K,), (K, D), (D,)]
    return Model(f"sparse AE {D}-{K}-{D}", 64, D, shapes, _our_sparse, _their_sparse, goals=goals)


def denoising(D: int, M: int, H: int, goals: Goals) -> Model:
    """A deep one inside `mg.models.DenoisingAutoencoder`; everyone adds the given noise at each
    step.
    """

    def ours(weights: list[Array]) -> tuple[list[Any], Loss]:
        from minigrad_ae.models import DeepAutoencoder, DenoisingAutoencoder

        rng = np.random.default_rng(0)
        model = DenoisingAutoencoder(
            DeepAutoencoder(D, M, H, rng=rng, dtype=np.float32), sigma=SIGMA
        )
        for p, w in zip(model.parameters(), weights, strict=True):
            p.data = w.copy()
        given = _Given()

        def loss(x: Any, noise: Any) -> Any:
            given.noise = noise
            return model.loss(x, rng=given) / len(x)

        return model.parameters(), loss

    def theirs(f: Any, p: Any, x: Any, noise: Any) -> Any:
        h = f.sigmoid(f.linear(x + SIGMA * noise, p[0], p[1]))
        h = f.sigmoid(f.linear(f.linear(h, p[2], p[3]), p[4], p[5]))
        return 2 * f.half_squares(f.linear(h, p[6], p[7]), x) / x.shape[0]

    shapes = [(D, H), (H,), (H, M), (M,), (M, H), (H,), (H, D), (D,)]
    return Model(
        f"denoising AE {D}-{H}-{M}-{H}-{D}", 64, D, shapes, ours, theirs, noise=D, goals=goals
    )


class _Given(np.random.Generator):
    """A generator whose normal numbers are the given ones."""

    noise: Array

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def standard_normal(self, *args: Any, **kwargs: Any) -> Any:
        return self.noise


def _our_linear_vae(weights: list[Array]) -> tuple[list[Any], Loss]:
    """`mg.models.LinearVAE`: its exact bound; the variance of a pixel is fixed at 1."""
    from minigrad_ae.models import LinearVAE

    model = LinearVAE(*weights[0].shape, rng=np.random.default_rng(0), dtype=np.float32)
    params = [p for p in model.parameters() if p.requires_grad]
    for p, w in zip(params, weights, strict=True):
        p.data = w.copy()
    return params, lambda x, noise: model.loss(x) / len(x)


def _their_linear_vae(f: Any, p: Any, x: Any, noise: Any) -> Any:
    V, log_var, W, mean = p
    mu = f.product(x - mean, V)
    error = 2 * f.half_squares(f.linear(mu, W, mean), x) / x.shape[0] + f.sum(
        f.exp(log_var) * f.row_squares(W)
    )
    rate = 0.5 * (f.sum(mu * mu) / x.shape[0] + f.sum(f.exp(log_var) - 1 - log_var))
    return 0.5 * (x.shape[1] * np.log(2 * np.pi) + error) + rate


def masked(
    encoder: tuple[int, int, int],
    decoder: tuple[int, int, int],
    batch: int = 64,
    goals: Goals | None = None,
    **pictures: int,
) -> Model:
    """The masked autoencoder, on digits unless `pictures` have another side and patch; see
    step_masked.py.
    """
    made = Masked(encoder, decoder, **pictures)
    return Model(
        made.name,
        batch,
        made.side**2,
        made.shapes,
        made.ours,
        made.theirs,
        noise=made.tokens,
        goals=goals or MASKED,
        start=made.start,
    )


PLAIN: Goals = {("tape", 1): {"torch": 3.0, "jax": 1.0}}
SMALL = PLAIN | {("compiled", 1): {"torch": 5.0, "torch.compile": 1.2, "jax": 1.6}}
LINEAR = PLAIN | {("compiled", 1): {"torch": 5.0, "torch.compile": 1.2, "jax": 4.0}}
MASKED: Goals = {
    ("tape", 1): {"torch fused": 1.3, "jax": 1.5},
    ("compiled", 1): {"torch.compile": 1.2, "jax": 1.5},
}
MODELS = [
    vae(64, 128, 2, SMALL | {("tape", 1): {"torch": 3.8, "autograd": 4.4, "jax": 1.1}}),
    vae(
        784,
        400,
        20,
        {
            ("tape", 1): {"torch": 1.35, "autograd": 2.4, "jax": 1.0},
            ("tape", 2): {"torch": 1.3, "torch fused": 1.05, "jax": 1.0},
            ("compiled", 1): {"torch": 1.4, "torch.compile": 1.2, "jax": 1.0},
            ("compiled", 2): {"jax": 1.0},
        },
    ),
    autoencoder("linear AE 64-8-64", (64, 8, 64), (None, None), 64, LINEAR, ours=_our_linear),
    autoencoder(
        "two-layer AE 64-8-64",
        (64, 8, 64),
        ("sigmoid", None),
        64,
        LINEAR,
        ours=_our_model("TwoLayerAutoencoder", 64, 8),
    ),
    autoencoder(
        "deep AE 64-32-8-32-64",
        (64, 32, 8, 32, 64),
        ("sigmoid", None, "sigmoid", None),
        64,
        SMALL,
        ours=_our_model("DeepAutoencoder", 64, 8, 32),
    ),
    masked((32, 1, 2), (32, 2, 2)),
    masked((48, 2, 3), (32, 2, 2)),
    masked((64, 2, 2), (32, 2, 2)),
    sparse(64, 100, SMALL),
    denoising(64, 8, 32, SMALL),
    Model(
        "linear VAE 64-8-64",
        64,
        DIGIT,
        [(64, 8), (8,), (8, 64), (64,)],
        _our_linear_vae,
        _their_linear_vae,
        goals=SMALL | {("tape", 1): {"torch": 1.2}},
    ),
    masked(
        (64, 4, 4), (48, 2, 3), 128, MASKED | {("tape", 1): {"torch fused": 1.1}}, side=28, patch=4
    ),
]
