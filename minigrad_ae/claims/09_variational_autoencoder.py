"""Claims of lesson 09: the variational bound, its terms and its gradient, and what a code holds."""

from __future__ import annotations

import math

import numpy as np

from .. import analytic
from ..check import check_graph
from ..data import digits
from ..models import VariationalAutoencoder, diagnostics
from ..models.densities import kl_to_prior, log_bernoulli
from ..models.diagnostics import kl_per_unit, log_aggregate_posterior, mutual_information
from ..models.likelihoods import Gaussian
from ..models.variational import bounded
from ..optim import LBFGS
from . import experiments_variational as e
from .bugs import edit, wrong_rule
from .claim import Run, claim

ROUNDING = 1e-12

# --- the divergence ----------------------------------------------------------------------------------------------------


@claim(
    "vae-kl-of-the-bound",
    "what beta = 1 takes from the bound of a datum is 1/2 sum_m (sigma^2 + mu^2 - 1 - ln sigma^2)",
    expected=lambda run: _divergence(),
    tolerance=lambda run: ROUNDING * abs(_divergence()) * 100,
    reason="rounding: the difference of two bounds about a hundred times as large",
    sabotage=edit(kl_to_prior, "ops.exp_remainder(log_var)", "ops.exp_remainder(0.5 * log_var)"),
)
def kl_of_the_bound(run: Run) -> float:
    model, X = e.small()
    without, with_kl = (model.bound(X, e.generator(run, 5), 1, beta).numpy()[3] for beta in (0.0, 1.0))
    return float(without - with_kl)


def _divergence() -> float:
    model, X = e.small()
    mu, log_var = (s.numpy()[3] for s in model.encode(X))
    return float(analytic.kl_diagonal(mu, log_var).sum())


@claim(
    "vae-kl-per-unit",
    "KL of the first unit, averaged over the data",
    expected=lambda run: float(analytic.kl_diagonal(*_code()).mean(axis=0)[0]),
    tolerance=ROUNDING,
    reason="rounding of numbers below 1",
    sabotage=edit(kl_per_unit, "mean(axis=0)", "mean(axis=1)"),
)
def kl_of_one_unit(run: Run) -> float:
    return float(kl_per_unit(*_code())[0])


def _code() -> tuple[np.ndarray, np.ndarray]:
    model, X = e.small()
    mu, log_var = (s.numpy() for s in model.encode(X))
    return mu, log_var


# --- the bound --------------------------------------------------------------------------------------------------------


@claim(
    "vae-loops-of-the-slide",
    "the error function of the slide, by loops over n, l and m, is minus the loss: relative difference",
    expected=0.0,
    tolerance=ROUNDING,
    reason="rounding of some hundred additions",
    sabotage=edit(VariationalAutoencoder._terms, "ops.gaussian_kl(mu, log_var)", "ops.gaussian_kl(mu, log_var) / len(mu)"),
)
def loops_of_the_slide(run: Run) -> float:
    model, X = e.small(n_samples=3)
    loss = model.loss(X, e.generator(run, 6)).item()
    eps, total = e.generator(run, 6).standard_normal((3, *model.encode(X)[0].shape)), 0.0
    for n, x in enumerate(X):
        mu, log_var = (s.numpy()[0] for s in model.encode(x[None, :]))
        for sample in range(3):
            z = np.array([[mu[m] + math.exp(0.5 * log_var[m]) * eps[sample, n, m] for m in range(2)]])
            p = model.decode(z).numpy()[0]
            total += sum(x_d * math.log(p_d) + (1 - x_d) * math.log(1 - p_d) for x_d, p_d in zip(x, p, strict=True)) / 3
        total += 0.5 * sum(1 + log_var[m] - mu[m] ** 2 - math.exp(log_var[m]) for m in range(2))
    return total / -loss - 1


@claim(
    "vae-sampled-bound",
    "the sampled ELBO (L = 5) of a linear-Gaussian model, averaged, is the exact one",
    expected=lambda run: analytic.linear_elbo(_second_moments(run), *e.misfit(), e.SIGMA2).value,
    tolerance=lambda run: 4 * float(run.shared(e.sampled_bounds).std()) / math.sqrt(2000),
    reason="4 standard errors of 2,000 repetitions",
    sabotage=edit(VariationalAutoencoder.bound, "self._draws(rng,", "0 * self._draws(rng,"),
)
def sampled_bound(run: Run) -> float:
    return float(run.shared(e.sampled_bounds).mean())


def _second_moments(run: Run) -> np.ndarray:
    X = e.gaussian_data(run)
    return np.asarray(X.T @ X / len(X))


@claim(
    "vae-beta",
    "d loss / d beta is the rate: (loss at beta = 3 minus loss at beta = 0) / 3",
    expected=lambda run: float(analytic.kl_diagonal(*_code()).sum()),
    tolerance=lambda run: 100 * ROUNDING * float(analytic.kl_diagonal(*_code()).sum()),
    reason="rounding: the difference of two losses about a hundred times as large",
    sabotage=edit(VariationalAutoencoder.loss, "self.beta * rate", "rate"),
)
def beta_slope(run: Run) -> float:
    model, X = e.small()
    losses = []
    for model.beta in (3.0, 0.0):
        losses.append(model.loss(X, e.generator(run, 7)).item())
    return (losses[0] - losses[1]) / 3


@claim(
    "vae-collapsed",
    "a decoder that ignores z costs what independent pixels cost (digits, nats per image)",
    expected=lambda run: analytic.bernoulli_baseline(digits()[0], _pixel_means()),
    tolerance=1e-9,
    reason="rounding of about 30 nats, through the logarithm of odds",
    sabotage=edit(log_bernoulli, "ops.softplus(logits)", "ops.relu(logits)"),
)
def collapsed(run: Run) -> float:
    X, p = digits()[0], _pixel_means()
    model = VariationalAutoencoder(64, 2, hidden=(), rng=e.generator(run, 8))
    encoder_weight, _, decoder_weight, decoder_bias = model.parameters()
    encoder_weight.data, decoder_weight.data = np.zeros((64, 4)), np.zeros((2, 64))
    decoder_bias.data = np.log(p / (1 - p))
    return -model.elbo(X, e.generator(run, 8)).item() / len(X)


def _pixel_means() -> np.ndarray:
    X = digits()[0]
    return X.mean(axis=0).clip(0.5 / len(X), 1 - 0.5 / len(X))


@claim(
    "vae-learnt-variance",
    "a learnt variance ends at the mean squared error: cost D/2 (ln 2 pi MSE + 1) per datum",
    expected=lambda run: -analytic.log_likelihood_at_best_variance(_mean_squared_error(), 6),
    tolerance=1e-9,
    reason="optimum by L-BFGS: the cost to 1e-9",
    sabotage=edit(Gaussian.negative_log_likelihood, "(LN_2PI + self.log_var)", "(LN_2PI + 0.5 * self.log_var)"),
)
def learnt_variance(run: Run) -> float:
    model, X = e.small(likelihood="gaussian", learn_sigma=True)
    no_noise = np.zeros((len(X), 2))
    optimiser = LBFGS([model.conditional.log_var], max_iter=100)

    def closure() -> object:
        distortion, _ = model.terms(X, no_noise)
        distortion.backward()
        return distortion

    optimiser.step(closure)
    return float(model.terms(X, no_noise)[0].item()) / len(X)


def _mean_squared_error() -> float:
    model, X = e.small(likelihood="gaussian", learn_sigma=True)
    return float(np.mean((model(X).numpy() - X) ** 2))


@claim(
    "vae-rules",
    "rules of the backward pass of the loss that contradict their own forward",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=wrong_rule("bernoulli_loss", "logits", "g * (tanh(logits) - target)"),
)
def rules(run: Run) -> float:
    model, X = e.small(n_samples=2)
    return float(len(check_graph(model.loss(X, e.generator(run, 9))).failures))


@claim(
    "vae-log-variance-bound",
    "an encoder that says sigma^2 = e^1000: entries of the gradient that are not finite",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(bounded, "return ops.clip(log_var, -LOG_VAR_BOUND, LOG_VAR_BOUND)", "return log_var"),
)
def log_variance_bound(run: Run) -> float:
    model, X = e.small()
    model.encoder.parameters()[-1].data[2:] = 1000.0
    with np.errstate(all="ignore"):
        return float(np.sum(~np.isfinite(e.gradient_of(model, X, e.generator(run, 10)))))


# --- what a code holds ------------------------------------------------------------------------------------------------


@claim(
    "vae-information",
    "a code that tells all N data apart carries ln N nats about them (N = 300)",
    expected=math.log(300),
    tolerance=1e-9,
    reason="posteriors 1,000 standard deviations apart do not overlap",
    sabotage=edit(log_aggregate_posterior, "np.logaddexp.reduce(log_q, axis=1)", "log_q.mean(axis=1)"),
)
def information(run: Run) -> float:
    apart = np.arange(300, dtype=float)[:, None]
    return mutual_information(apart, np.full((300, 1), -2 * math.log(1000)), e.generator(run, 11))


@claim(
    "vae-active-units",
    "of three units, one made constant, those that count as active (variance of their mean > 0.01)",
    expected=2.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(diagnostics.diagnose, "spread = mu.var(axis=0)", "spread = (mu**2).mean(axis=0)"),
)
def active_units(run: Run) -> float:
    X = digits()[0][:200]
    model = VariationalAutoencoder(64, 3, rng=e.generator(run, 12))
    _, _, weight, bias = model.encoder.parameters()
    weight.data[:, 2], bias.data[2] = 0.0, 5.0  # the mean of the third unit is 5 for every x
    return float(diagnostics.diagnose(model, X, e.generator(run, 13)).active.sum())
