"""The variational autoencoder (Bishop & Bishop, section 19.2; Kingma & Welling 2013).

    prior     p(z) = N(z; 0, I)
    decoder   p(x | z; w)                                   a network g(z; w) and a likelihood
    encoder   q(z | x; phi) = N(z; mu, diag sigma^2)        a network that outputs mu and ln sigma^2

    L(w, phi) = sum_n [ 1/L sum_l log p(x_n | z_n^(l); w) + 1/2 sum_m (1 + ln sigma_nm^2 - mu_nm^2 -
    sigma_nm^2) ] z_n^(l) = mu_n + sigma_n eps_n^(l),   eps ~ N(0, I)

The two terms of -L have names: *distortion*, -log p(x | z) on average, and *rate*, KL(q(z | x) ||
p(z)).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import ops
from ..arguments import choice, flag, generator, real_number, sizes, whole_number
from ..autodiff.graph import Value, no_grad
from ..errors import DataError, ShapeError
from ..nn import Linear, Module, Sequential, init
from ..ops.functional import ACTIVATIONS
from ..tensors import tensor
from .checks import dtype_of
from .densities import kl_to_prior, log_normal
from .likelihoods import Bernoulli, Gaussian

# sigma between 5e-5 and 2e4: wide of any useful code, far from overflow in float32
LOG_VAR_BOUND = 20.0
AT_ONCE = 2**22  # numbers that the decoder makes at once in `log_likelihood`


class VariationalAutoencoder(Module):
    """Encoder and decoder are mirrored networks with the given hidden layers; in between, z is
    sampled.

    n_features, n_latent : D and M
    hidden      : units of the encoder's hidden layers, D -> hidden -> 2 M; the decoder has them in
                  reverse, M -> ... -> D. With () both are linear
    activation  : of the hidden layers, a name that `nn.Linear` knows
    likelihood  : "bernoulli" (data in [0, 1]) or "gaussian" (N(x; g(z), sigma^2 I))
    sigma, learn_sigma : of the Gaussian likelihood: its standard deviation (1), fixed or where
    learning starts
    beta        : weight of the KL term in `loss`, >= 0; an attribute that may be changed on the way
                  (`warm_up`)
    n_samples   : L, samples of z for each datum in `loss`
    rng         : where the start weights come from (Xavier; He for relu); dtype : float64 or
                  float32

    ``encoder.parameters()`` are phi of the slides, ``decoder.parameters()`` (and the learnt
    variance) are w. ln sigma^2 is kept within +-20 by `clip`: the loss stays finite whatever the
    encoder says, and the derivative is that of the clipped function, 1 up to the bound and 0
    beyond.

    Raises DataError for sizes below 1, sigma <= 0, beta < 0, n_samples < 1, an unknown likelihood
    or activation.
    """

    def __init__(
        self,
        n_features: int,
        n_latent: int,
        *,
        hidden: Sequence[int] = (128,),
        activation: str = "tanh",
        likelihood: str = "bernoulli",
        sigma: float | None = None,
        learn_sigma: bool = False,
        beta: float = 1.0,
        n_samples: int = 1,
        rng: np.random.Generator,
        dtype: Any = np.float64,
    ) -> None:
        fix = "it counts the features of a datum"
        self.n_features = whole_number(n_features, "n_features", fix)
        self.n_latent = whole_number(n_latent, "n_latent", "it counts latent units")
        fix = "a tuple of the sizes of the hidden layers, e.g. hidden=(128,)"
        self.hidden = sizes(hidden, "hidden", fix)
        self.activation = choice(activation, ACTIVATIONS, "VariationalAutoencoder", "activation")
        self.learn_sigma = flag(learn_sigma, "learn_sigma")
        self.encoder = _network([n_features, *self.hidden, 2 * n_latent], activation, rng, dtype)
        self.decoder = _network([n_latent, *self.hidden[::-1], n_features], activation, rng, dtype)
        self.conditional = _conditional(likelihood, sigma, learn_sigma, dtype)
        self.likelihood = likelihood
        self.beta = beta
        self.n_samples = _samples(n_samples)
        # "encoder.0.weight": what pages and programs call it
        for path, p in self.named_parameters():
            p.name = path

    @property
    def sigma(self) -> float | None:
        """The standard deviation of a pixel under the Gaussian likelihood, learnt or not; None for
        the Bernoulli one.
        """
        return self.conditional.sigma if isinstance(self.conditional, Gaussian) else None

    @property
    def beta(self) -> float:
        """Weight of the KL term in `loss`."""
        return self._beta

    @beta.setter
    def beta(self, value: float) -> None:
        self._beta = _weight(value)

    # --- the two networks -------------------------------------------------------------------------

    def encode(self, x: Any) -> tuple[Any, Any]:
        """x (n, D) -> mu (n, M), log_var (n, M): q(z | x) = N(z; mu, diag e^log_var)."""
        return self._encode(self._checked(x))

    def _encode(self, x: Any) -> tuple[Any, Any]:
        statistics, M = self.encoder(x), self.n_latent
        return statistics[:, :M], bounded(statistics[:, M:])

    def decode(self, z: Any) -> Any:
        """z (..., M) -> E[x | z] (..., D): probabilities, or the mean of the Gaussian."""
        return self.conditional.mean(self.decoder(z))

    def forward(self, x: Any) -> Any:
        """x (n, D) -> its reconstruction (n, D) through the mean of q, without sampling."""
        return self.decode(self.encode(x)[0])

    # --- the bound --------------------------------------------------------------------------------

    def terms(self, x: Any, noise: np.ndarray) -> tuple[Any, Any]:
        """(distortion, rate), both *summed over the data*: -1/L sum_l log p(x | z^(l); w), and
        KL(q(z | x; phi) || p(z)).

        noise : eps, (n, M) or (L, n, M).  The rate is the analytic one.
        """
        return self._terms(self._checked(x), noise)

    def _terms(self, x: Any, noise: np.ndarray) -> tuple[Any, Any]:
        mu, log_var = self._encode(x)
        a = self.decoder(ops.reparameterise(mu, log_var, noise))
        rate = ops.gaussian_kl(mu, log_var)
        if noise.ndim == 2:  # L = 1
            return self.conditional.negative_log_likelihood(a, x), rate
        return self.conditional.negative_log_likelihood(a, ops.broadcast_to(x, a.shape)) / len(
            noise
        ), rate

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """-L(w, phi) with this model's ``beta`` and ``n_samples``: a scalar, *summed over features
        and data*, in nats.

        rng draws eps; it is needed (DtypeError).
        """
        x = self._checked(x)
        distortion, rate = self._terms(x, self._noise(rng, len(x), self.n_samples))
        return distortion + (rate if self.beta == 1 else self.beta * rate)

    def bound(self, x: Any, rng: np.random.Generator, n_samples: int = 1, beta: float = 1.0) -> Any:
        """(n,): 1/L sum_l log p(x_n | z_n^(l)) - beta KL_n, L = `n_samples`; sums over features and
        units, in nats.

        For beta = 1 it is on average a lower bound of log p(x_n; w).
        """
        x, beta = self._checked(x), _weight(beta)
        mu, log_var = self._encode(x)
        z = ops.reparameterise(mu, log_var, self._draws(rng, len(x), n_samples))
        return ops.mean(self.conditional.log_prob(self.decoder(z), x), axis=0) - beta * kl_to_prior(
            mu, log_var
        )

    def elbo(self, x: Any, rng: np.random.Generator, n_samples: int = 1, beta: float = 1.0) -> Any:
        """L(w, phi): `bound`, *summed over the data*, a scalar."""
        return ops.sum(self.bound(x, rng, n_samples, beta))

    # --- the likelihood itself --------------------------------------------------------------------

    def log_weights(self, x: Any, rng: np.random.Generator, n_samples: int) -> Any:
        """(k, n), k = `n_samples`: log w = log p(x | z) + log p(z) - log q(z | x) at k draws of z
        from q for each datum.
        """
        x = self._checked(x)
        return self._log_weights(x, *self._encode(x), self._draws(rng, len(x), n_samples))

    def _log_weights(self, x: Any, mu: Any, log_var: Any, noise: np.ndarray) -> Any:
        z = ops.reparameterise(mu, log_var, noise)
        log_joint = self.conditional.log_prob(self.decoder(z), x) + log_normal(z)
        return log_joint - log_normal(z, mu, log_var)

    def iwae(self, x: Any, rng: np.random.Generator, n_samples: int) -> Any:
        """(n,), log 1/k sum_j w_nj, k = `n_samples`: the importance weighted bound, differentiable.

        On average it is L_k: L_1 is the ELBO, and L_k rises with k towards log p(x) (Burda, Grosse
        & Salakhutdinov 2016).
        """
        log_w = self.log_weights(x, rng, n_samples)
        return ops.logsumexp(log_w, axis=0) - math.log(len(log_w))

    def log_likelihood(self, x: Any, rng: np.random.Generator, n_samples: int) -> np.ndarray:
        """(n,) estimates of log p(x_n; w): `iwae` as an array, without a graph, the draws taken in
        parts (k may be large).

        On average from below, by about chi^2 / 2k.
        """
        x, k = self._checked(x), _samples(n_samples)
        total = np.full(len(x), -np.inf)
        with no_grad():
            mu, log_var = self._encode(x)
            for part in _parts(k, max(1, AT_ONCE // (len(x) * self.n_features))):
                log_w = (
                    self._log_weights(x, mu, log_var, self._draws(rng, len(x), part))
                    .numpy()
                    .astype(np.float64)
                )
                total = np.logaddexp(total, np.logaddexp.reduce(log_w, axis=0))
        return np.asarray(total - math.log(k))

    # --- what a trained model makes ---------------------------------------------------------------

    def sample(self, n: int, rng: np.random.Generator, *, pixels: bool = False) -> np.ndarray:
        """(n, D) from the model: z ~ p(z), then E[x | z]; with `pixels` x itself is drawn from p(x
        | z).
        """
        flag(pixels, "pixels")
        z = self._noise(rng, whole_number(n, "n", "it counts images"), 1)
        with no_grad():
            a = self.decoder(z).numpy()
        return np.asarray(self.conditional.draw(a, rng) if pixels else self.conditional.mean(a))

    def reconstruct(self, x: Any, rng: np.random.Generator | None = None) -> np.ndarray:
        """(n, D): E[x | z] at the mean of q(z | x), or, with `rng`, at a z drawn from it."""
        with no_grad():
            mu, log_var = self.encode(x)
            z = mu if rng is None else ops.reparameterise(mu, log_var, self._noise(rng, len(mu), 1))
            return np.asarray(self.decode(z).numpy())

    # --- arguments --------------------------------------------------------------------------------

    @property
    def _dtype(self) -> Any:
        return dtype_of(self.encoder)

    def _noise(self, rng: Any, n: int, n_samples: int) -> np.ndarray:
        """eps ~ N(0, I): (n, M), or (L, n, M) for L > 1; its own number for every datum, sample and
        unit.
        """
        rng = generator(rng, "VariationalAutoencoder", "the noise eps in z = mu + sigma eps")
        shape = (n, self.n_latent) if n_samples == 1 else (n_samples, n, self.n_latent)
        return rng.standard_normal(shape, self._dtype)

    def _draws(self, rng: Any, n: int, n_samples: int) -> np.ndarray:
        """The same as (L, n, M), also for L = 1."""
        return self._noise(rng, n, _samples(n_samples)).reshape(-1, n, self.n_latent)

    def _checked(self, x: Any) -> Any:
        if not isinstance(x, Value):
            floats = isinstance(x, np.ndarray) and x.dtype.kind == "f"
            x = x.astype(self._dtype, copy=False) if floats else tensor(x, dtype=self._dtype)
        if x.ndim != 2 or x.shape[1] != self.n_features or not len(x):
            raise ShapeError(
                "the data do not fit the autoencoder",
                f"got shape {x.shape}, expected (n, {self.n_features})",
                "rows are data and columns are features; one data point x goes in as x[None, :]",
            )
        self.conditional.check(x._data if isinstance(x, Value) else x)
        return x


class KLWarmUp:
    """A callback for `fit`: beta rises linearly from 0 to the model's own over the first `epochs`
    epochs (Bowman et al. 2016).

    A decoder that learns before the code costs anything has a reason to use it.  After epoch k beta
    is k / epochs of its final value; in a run that is resumed at epoch k > 0, pass ``done=k``.
    """

    def __init__(self, model: Any, epochs: int, done: int = 0) -> None:
        self.epochs = whole_number(epochs, "epochs", "the length of the warm-up")
        self.beta = model.beta
        fix = "done is the number of epochs that are complete"
        model.beta = self.at(whole_number(done, "KLWarmUp: done", fix, low=0))

    def at(self, epoch: int) -> float:
        """beta after `epoch` epochs."""
        return self.beta * min(1.0, epoch / self.epochs)

    def __call__(self, state: Any) -> None:
        state.model.beta = self.at(state.epoch)


def bounded(log_var: Any) -> Any:
    """log_var within +-LOG_VAR_BOUND.  Where nothing is outside, it is the same tensor: `clip`
    would be the identity.
    """
    values = np.real(log_var._data if isinstance(log_var, Value) else log_var)
    if values.size and values.min() >= -LOG_VAR_BOUND and values.max() <= LOG_VAR_BOUND:
        return log_var
    return ops.clip(log_var, -LOG_VAR_BOUND, LOG_VAR_BOUND)


def _network(
    units: Sequence[int], activation: str, rng: np.random.Generator, dtype: Any
) -> Sequential:
    """Linear layers of these sizes; all but the last with the activation, fused."""
    drawn = init.he_uniform if activation == "relu" else init.xavier_uniform
    pairs = list(pairwise(units))
    hidden = [
        Linear(m, n, activation=activation, rng=rng, dtype=dtype, init=drawn) for m, n in pairs[:-1]
    ]
    return Sequential(*hidden, Linear(*pairs[-1], rng=rng, dtype=dtype))


def _conditional(name: str, sigma: float | None, learn: bool, dtype: Any) -> Any:
    fix = "bernoulli for data in [0, 1], gaussian for all others"
    choice(name, ("bernoulli", "gaussian"), "VariationalAutoencoder", "likelihood", fix)
    if name == "gaussian":
        return Gaussian(1.0 if sigma is None else sigma, learn, dtype)
    if sigma is not None or learn:
        raise DataError(
            "VariationalAutoencoder: a Bernoulli likelihood has no sigma",
            f"got sigma={sigma}, learn_sigma={learn}",
            "leave it out, or choose likelihood='gaussian'",
        )
    return Bernoulli()


def _parts(total: int, size: int) -> Iterator[int]:
    """`total` in parts of at most `size`."""
    while total > 0:
        yield min(total, size)
        total -= size


def _samples(n: Any) -> int:
    fix = "L, the samples of z for each datum: 1 will do for training"
    return whole_number(n, "n_samples", fix)


def _weight(beta: Any) -> float:
    fix = "it weighs the KL term: 1 is the evidence lower bound, 0 an autoencoder with noise"
    return real_number(beta, "beta", "[0, inf)", fix)
