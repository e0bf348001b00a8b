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
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import ops
from ..arguments import choice, flag, generator, offering, real_number, rows, sizes, whole_number
from ..autodiff.graph import Value, no_grad, read
from ..errors import DataError
from ..nn import Linear, Sequential, init
from ..ops.functional import ACTIVATIONS
from ..room import demand_room_for
from .base import VariationalModel, fitting
from .densities import Bernoulli, Gaussian, kl_to_prior

# sigma between 5e-5 and 2e4: wide of any useful code, far from overflow in float32
LOG_VAR_BOUND = 20.0


class VariationalAutoencoder(VariationalModel):
    """Encoder and decoder are mirrored networks with hidden layers; in between, z is sampled.

    The loss is -L(w, phi), a sum over features, units and data, in nats.

    Parameters
    ----------
    n_features : int
        D, the number of features of a datum, >= 1.
    n_latent : int
        M, the number of latent units, >= 1.
    hidden : sequence of int, optional
        Units of the encoder's hidden layers, D -> hidden -> 2 M; the decoder has them in reverse,
        M -> ... -> D.  With () both are linear.
    activation : str, optional
        Of the hidden layers, a name that `nn.Linear` knows.
    likelihood : str, optional
        "bernoulli" (data in [0, 1]) or "gaussian" (N(x; g(z), sigma^2 I)).
    sigma : float, optional
        The standard deviation of the Gaussian likelihood, > 0, in the units of x: 1 unless told
        otherwise.
    learn_sigma : bool, optional
        Whether it is learnt, from there, or fixed.
    beta : float, optional
        Weight of the KL term in `loss`, >= 0; an attribute that may be changed on the way
        (`KLWarmUp`).
    n_samples : int, optional
        L, samples of z for each datum in `loss`, >= 1.
    rng : numpy.random.Generator
        Draws the start weights (Xavier; He for relu); the biases start at 0.
    dtype : dtype, optional
        float64 or float32, of all parameters.

    Attributes
    ----------
    encoder : nn.Sequential
        Outputs mu and ln sigma^2; its parameters are phi of the slides.
    decoder : nn.Sequential
        g(z; w); its parameters (and the learnt variance) are w.
    conditional : Module
        The likelihood p(x | z; w), `densities.Bernoulli` or `densities.Gaussian`.

    Raises
    ------
    DataError
        For sizes below 1, sigma <= 0, beta < 0, n_samples < 1, an unknown likelihood or activation,
        a sigma where the likelihood has none.
    DtypeError
        If a number or flag is not one, `rng` not a generator, or `dtype` another one.

    Notes
    -----
    ln sigma^2 is kept within +-20 by `clip`: the loss stays finite whatever the encoder says, and
    the derivative is that of the clipped function, 1 up to the bound and 0 beyond.

    References
    ----------
    Bishop & Bishop (2024), section 19.2; Kingma & Welling (2013).

    Examples
    --------
    An encoder that outputs 0 says N(0, I) for every x: its KL term, the rate, is 0.  A decoder that
    outputs 0 gives each of 4 pixels the probability 1/2: the distortion is 4 ln 2.

    >>> model = mg.models.VariationalAutoencoder(4, 2, hidden=(3,), rng=np.random.default_rng(0))
    >>> for network in (model.encoder, model.decoder):
    ...     network[1].weight.data = np.zeros(network[1].weight.shape)
    >>> distortion, rate = model.terms(np.array([[0.0, 1.0, 1.0, 0.0]]), noise=np.zeros((1, 2)))
    >>> round(float(distortion.item() / np.log(2)), 6), rate.item()
    (4.0, 0.0)
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
        self.n_features = whole_number(
            n_features, "n_features", "it counts the features of a datum"
        )
        self.n_latent = whole_number(n_latent, "n_latent", "it counts latent units")
        self.hidden = sizes(
            hidden, "hidden", "a tuple of the sizes of the hidden layers, e.g. hidden=(128,)"
        )
        self.activation = choice(activation, ACTIVATIONS, "VariationalAutoencoder", "activation")
        self.learn_sigma = flag(learn_sigma, "learn_sigma")
        self.encoder = _network([n_features, *self.hidden, 2 * n_latent], activation, rng, dtype)
        self.decoder = _network([n_latent, *self.hidden[::-1], n_features], activation, rng, dtype)
        self.conditional = _conditional(likelihood, sigma, learn_sigma, dtype)
        self.likelihood = likelihood
        self.beta = beta
        self.n_samples = self._samples(n_samples)
        # "encoder.0.weight": what pages and programs call it
        for path, p in self.named_parameters():
            p.name = path

    @property
    def sigma(self) -> float | None:
        """The standard deviation of a pixel, a float; None for the Bernoulli likelihood."""
        return self.conditional.sigma if isinstance(self.conditional, Gaussian) else None

    # --- the two networks -------------------------------------------------------------------------

    def encode(self, x: Any) -> tuple[Any, Any]:
        """Mean and log variance of q(z | x) = N(z; mu, diag e^log_var).

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows; an array is cast to the dtype of the weights.

        Returns
        -------
        mu : Tensor, (n, M)
            The means.
        log_var : Tensor, (n, M)
            ln sigma^2, within +-20.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DataError
            If x is outside [0, 1] and the likelihood is Bernoulli.
        """
        return self._encode(self._rows(x))

    def _encode(self, x: Any) -> tuple[Any, Any]:
        statistics, M = self.encoder(x), self.n_latent
        return statistics[:, :M], bounded(statistics[:, M:])

    def decode(self, z: Any) -> Any:
        """E[x | z]: probabilities, or the mean of the Gaussian.

        Parameters
        ----------
        z : Tensor or array_like, (..., M)
            Latent variables.

        Returns
        -------
        Tensor, (..., D)
            What the model expects to see, in the units of the data.
        """
        return self.conditional.mean(self.decoder(z))

    # --- the bound --------------------------------------------------------------------------------

    def terms(self, x: Any, noise: np.ndarray) -> tuple[Any, Any]:
        """Distortion and rate, the two terms of the loss, for given noise.

            -1/L sum_l log p(x | z^(l); w)   and   KL(q(z | x; phi) || p(z))

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        noise : ndarray, (n, M) or (L, n, M)
            eps in z = mu + sigma eps.

        Returns
        -------
        distortion : Tensor, ()
            A sum over features and data, a mean over the L samples, in nats.
        rate : Tensor, ()
            The analytic one: a sum over units and data, in nats.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DataError
            If x is outside [0, 1] and the likelihood is Bernoulli.
        """
        noise = noise if isinstance(noise, Value) else rows(noise, "noise")
        return self._terms(self._rows(x), noise)

    def _terms(self, x: Any, eps: np.ndarray) -> tuple[Any, Any]:
        mu, log_var = self._encode(x)
        z = ops.reparameterise(mu, log_var, eps)
        a = self.decoder(z)
        rate = ops.gaussian_kl(mu, log_var)
        if eps.ndim == 2:  # L = 1
            return self.conditional.negative_log_likelihood(a, x), rate
        x = ops.broadcast_to(x, a.shape)
        return self.conditional.negative_log_likelihood(a, x) / len(eps), rate

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """-L(w, phi) with this model's ``beta`` and ``n_samples``: distortion + beta rate.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator
            Draws eps; it is needed.

        Returns
        -------
        Tensor, ()
            A sum over features, units and data, in nats.

        Raises
        ------
        DtypeError
            If there is no `rng`.
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DataError
            If x is outside [0, 1] and the likelihood is Bernoulli.
        """
        x = self._rows(x)
        distortion, rate = self._terms(x, self._noise(rng, len(x), self.n_samples))
        return distortion + (rate if self.beta == 1 else self.beta * rate)

    def bound(self, x: Any, rng: np.random.Generator, n_samples: int = 1, beta: float = 1.0) -> Any:
        """1/L sum_l log p(x_n | z_n^(l)) - beta KL_n for each row of x.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator
            Draws eps.
        n_samples : int, optional
            L, samples of z for each datum, >= 1.
        beta : float, optional
            Weight of the KL term, >= 0.

        Returns
        -------
        Tensor, (n,)
            Sums over features and units, in nats.  For beta = 1 it is on average a lower bound of
            log p(x_n; w).

        Raises
        ------
        DtypeError
            If `rng` is not a generator.
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DataError
            If beta < 0, n_samples < 1, or x is outside [0, 1] and the likelihood is Bernoulli.
        """
        x, beta = self._rows(x), self._weight(beta)
        mu, log_var = self._encode(x)
        likelihood = ops.mean(self._log_prob(x, self._draw(mu, log_var, rng, n_samples)), axis=0)
        return likelihood - beta * kl_to_prior(mu, log_var)

    def elbo(self, x: Any, rng: np.random.Generator, n_samples: int = 1, beta: float = 1.0) -> Any:
        """L(w, phi), the sum of `bound` over the data.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator
            Draws eps.
        n_samples : int, optional
            L, samples of z for each datum, >= 1.
        beta : float, optional
            Weight of the KL term, >= 0.

        Returns
        -------
        Tensor, ()
            A sum over features, units and data, in nats.

        Raises
        ------
        DtypeError
            If `rng` is not a generator.
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DataError
            If beta < 0, n_samples < 1, or x is outside [0, 1] and the likelihood is Bernoulli.
        """
        return ops.sum(self.bound(x, rng, n_samples, beta))

    # --- the likelihood itself --------------------------------------------------------------------

    def iwae(self, x: Any, rng: np.random.Generator, n_samples: int) -> Any:
        """The importance weighted bound log 1/k sum_j w_nj of each datum, differentiable.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator
            Draws z from q(z | x), k times for each datum.
        n_samples : int
            k, >= 1.

        Returns
        -------
        Tensor, (n,)
            A sum over features, in nats.  On average it is L_k: L_1 is the ELBO, and L_k rises with
            k towards log p(x).

        Raises
        ------
        DtypeError
            If `rng` is not a generator.
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DataError
            If n_samples < 1, or x is outside [0, 1] and the likelihood is Bernoulli.

        References
        ----------
        Burda, Grosse & Salakhutdinov (2016), Importance weighted autoencoders.
        """
        log_w = self.log_weights(x, rng, n_samples)
        return ops.logsumexp(log_w, axis=0) - math.log(len(log_w))

    # --- what a trained model makes ---------------------------------------------------------------

    def sample(self, n: int, rng: np.random.Generator, *, pixels: bool = False) -> np.ndarray:
        """Draw from the model: z ~ p(z), then E[x | z], or x itself.

        Parameters
        ----------
        n : int
            How many, >= 1.
        rng : numpy.random.Generator
            Draws z, and x where `pixels` is set.
        pixels : bool, optional
            Whether x is drawn from p(x | z), instead of its mean.

        Returns
        -------
        ndarray, (n, D)
            One draw in each row, in the units of the data.

        Raises
        ------
        DataError
            If `n` is below 1.
        DtypeError
            If `n` is not a whole number, `pixels` not a flag, or `rng` not a generator.
        """
        flag(pixels, "pixels")
        z = self._noise(rng, whole_number(n, "n", "it counts images"), 1)
        with no_grad():
            a = self.decoder(z).numpy()
        return np.asarray(self.conditional.draw(a, rng) if pixels else self.conditional.mean(a))

    def reconstruct(self, x: Any, rng: np.random.Generator | None = None) -> np.ndarray:
        """E[x | z] at the mean of q(z | x), or at a z drawn from it, as an array.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator, optional
            Draws z; without it z is the mean.

        Returns
        -------
        ndarray, (n, D)
            The reconstructions, in the units of the data.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DataError
            If x is outside [0, 1] and the likelihood is Bernoulli.
        """
        with no_grad():
            mu, log_var = self.encode(x)
            z = mu if rng is None else ops.reparameterise(mu, log_var, self._noise(rng, len(mu), 1))
            return np.asarray(self.decode(z).numpy())

    # --- arguments --------------------------------------------------------------------------------

    @property
    def _dtype(self) -> Any:
        return self.encoder[0].weight.dtype

    def _noise(self, rng: Any, n: int, n_samples: int) -> np.ndarray:
        """eps ~ N(0, I): (n, M), or (L, n, M) for L > 1; its own number for every datum, sample and
        unit.
        """
        rng = generator(rng, "VariationalAutoencoder", "the noise eps in z = mu + sigma eps")
        shape = (n, self.n_latent) if n_samples == 1 else (n_samples, n, self.n_latent)
        demand_room_for(shape)
        noise: np.ndarray = rng.standard_normal(shape, self._dtype)
        return noise

    def _draw(self, mu: Any, log_var: Any, rng: Any, n_samples: int) -> Any:
        """z = mu + sigma eps, (L, n, M), also for L = 1."""
        noise = self._noise(rng, len(mu), self._samples(n_samples))
        eps = noise.reshape(-1, *mu.shape)
        return ops.reparameterise(mu, log_var, eps)

    def _log_prob(self, x: Any, z: Any) -> Any:
        return self.conditional.log_prob(self.decoder(z), x)

    def _rows(self, x: Any) -> Any:
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":  # as it is, which spares a copy
            x = fitting(x.astype(self._dtype, copy=False), self.n_features)
        else:
            x = super()._rows(x)
        self.conditional.check(read(x) if isinstance(x, Value) else x)
        return x

    @staticmethod
    def _weight(beta: Any) -> float:
        return real_number(
            beta,
            "beta",
            "[0, inf)",
            "it weighs the KL term: 1 is the evidence lower bound, 0 an autoencoder with noise",
        )

    @staticmethod
    def _samples(n: Any) -> int:
        return whole_number(
            n, "n_samples", "L, the samples of z for each datum: 1 will do for training"
        )


class KLWarmUp:
    """A callback for `fit`: beta rises linearly from 0 to the model's own.

    A decoder that learns before the code costs anything has a reason to use it.  After epoch k beta
    is k / epochs of its final value.

    Parameters
    ----------
    model : VariationalAutoencoder or LinearVAE
        Its ``beta`` is the final value, and is set to the first one at once.
    epochs : int
        The length of the warm-up, >= 1.
    done : int, optional
        Epochs that are complete, in a run that is resumed, >= 0.

    Attributes
    ----------
    beta : float
        The final value.
    epochs : int
        As passed.

    Raises
    ------
    DataError
        If `epochs` is below 1 or `done` below 0.
    DtypeError
        If one of them is not a whole number.

    References
    ----------
    Bowman et al. (2016), Generating sentences from a continuous space.

    Examples
    --------
    >>> model = mg.models.VariationalAutoencoder(4, 2, beta=2.0, rng=np.random.default_rng(0))
    >>> warm_up = mg.models.KLWarmUp(model, epochs=4)
    >>> model.beta, [warm_up.at(epoch) for epoch in (1, 2, 4, 8)]
    (0.0, [0.5, 1.0, 2.0, 2.0])
    """

    def __init__(self, model: Any, epochs: int, done: int = 0) -> None:
        self.epochs = whole_number(epochs, "epochs", "the length of the warm-up")
        offering(model, "beta", "KLWarmUp: model", "pass a variational autoencoder")
        self.beta: float = model.beta
        done = whole_number(
            done, "KLWarmUp: done", "done is the number of epochs that are complete", low=0
        )
        model.beta = self.at(done)

    def at(self, epoch: int) -> float:
        """The weight of the KL term after so many epochs.

        Parameters
        ----------
        epoch : int
            Epochs that are complete.

        Returns
        -------
        float
            beta, which stays at its final value once `epochs` are over.

        Raises
        ------
        DataError
            If `epoch` is negative.
        """
        epoch = whole_number(epoch, "KLWarmUp.at: epoch", low=0)
        return self.beta * min(1.0, epoch / self.epochs)

    def __call__(self, state: Any) -> None:
        state.model.beta = self.at(state.epoch)


def bounded(log_var: Any) -> Any:
    """log_var within +-20; where nothing is outside, the same tensor.

    Parameters
    ----------
    log_var : Tensor or ndarray, (n, M)
        What the encoder says.

    Returns
    -------
    Tensor or ndarray, (n, M)
        `clip` of it; where that would be the identity, `log_var` itself.
    """
    values = np.real(read(log_var) if isinstance(log_var, Value) else log_var)
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
    choice(
        name,
        ("bernoulli", "gaussian"),
        "VariationalAutoencoder",
        "likelihood",
        "bernoulli for data in [0, 1], gaussian for all others",
    )
    if name == "gaussian":
        return Gaussian(1.0 if sigma is None else sigma, learn, dtype)
    if sigma is not None or learn:
        raise DataError(
            "VariationalAutoencoder: a Bernoulli likelihood has no sigma",
            f"got sigma={sigma}, learn_sigma={learn}",
            "leave it out, or choose likelihood='gaussian'",
        )
    return Bernoulli()
