"""Claims of lesson 09: the variational bound, its terms and its gradient, and what a code holds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import analytic
from ..autodiff.check import check_graph
from ..data import digits
from ..experiments import amortisation, variational
from ..experiments.run import closure, with_weights
from ..experiments.variational import (
    DRAWS,
    KL_LOG_VAR,
    KL_MU,
    MU,
    SHORT,
    SIGMA,
    gradient_of,
    grid_log_p,
    small,
    written_out,
)
from ..models import densities, diagnostics, estimators, slide_algorithm
from ..models.variational import VariationalAutoencoder, bounded
from ..optim import LBFGS
from .bugs import edit, wrong_rule
from .definition import EPS, Run, claim, generator

ROUNDING = 100 * EPS  # a hundred roundings, relative: what an identity in float64 may miss

# --- the divergence -------------------------------------------------------------------------------


@claim(
    "vae-kl-per-unit",
    "KL of the first unit, averaged over the data",
    kind="exact",
    expected=lambda run: float(analytic.kl_diagonal(*_code()).mean(axis=0)[0]),
    tolerance=ROUNDING,
    reason="a hundred roundings of numbers below 1",
    sabotage=edit(diagnostics.kl_per_unit, "mean(axis=0)", "mean(axis=1)"),
)
def kl_of_one_unit(run: Run) -> float:
    return float(diagnostics.kl_per_unit(*_code())[0])


def _code() -> tuple[np.ndarray, np.ndarray]:
    model, X = small()
    mu, log_var = (s.numpy() for s in model.encode(X))
    return mu, log_var


# --- the bound ------------------------------------------------------------------------------------


@claim(
    "vae-loops-of-the-slide",
    "the error function of the slide, by loops over n, l and m, is minus the loss: relative "
    "difference",
    kind="exact",
    expected=0.0,
    tolerance=ROUNDING,
    reason="a hundred roundings",
    sabotage=edit(
        VariationalAutoencoder._terms,
        "ops.gaussian_kl(mu, log_var)",
        "ops.gaussian_kl(mu, log_var) / len(mu)",
    ),
)
def loops_of_the_slide(run: Run) -> float:
    model, X = small(n_samples=3)
    loss = model.loss(X, generator(run, 6)).item()
    eps, total = generator(run, 6).standard_normal((3, *model.encode(X)[0].shape)), 0.0
    for n, x in enumerate(X):
        mu, log_var = (s.numpy()[0] for s in model.encode(x[None, :]))
        for sample in range(3):
            z = [mu[m] + math.exp(0.5 * log_var[m]) * eps[sample, n, m] for m in range(2)]
            pairs = zip(x, model.decode(np.array([z])).numpy()[0], strict=True)
            log_p = sum(x_d * math.log(p) + (1 - x_d) * math.log(1 - p) for x_d, p in pairs)
            total += log_p / 3
        total += 0.5 * sum(1 + log_var[m] - mu[m] ** 2 - math.exp(log_var[m]) for m in range(2))
    return total / -loss - 1


@claim(
    "vae-sampled-bound",
    "the sampled ELBO (L = 5) of a linear-Gaussian model, averaged, is the exact one",
    kind="statistical",
    expected=lambda run: _exact_bound(run),
    tolerance=lambda run: five_measured_errors(run.shared(variational.sampled_bounds)),
    reason="5 standard errors of 2,000 repetitions",
    sabotage=edit(VariationalAutoencoder._draw, "noise.reshape(", "0 * noise.reshape("),
)
def sampled_bound(run: Run) -> float:
    return float(run.shared(variational.sampled_bounds).mean())


def _exact_bound(run: Run) -> float:
    X = variational.gaussian_data(run)
    second_moments = X.T @ X / len(X)
    return analytic.linear_elbo(second_moments, *variational.misfit(), variational.SIGMA2).value


@claim(
    "vae-beta",
    "d loss / d beta is the rate: (loss at beta = 3 minus loss at beta = 0) / 3",
    kind="exact",
    expected=lambda run: _rate(),
    tolerance=lambda run: 200 * ROUNDING,
    reason="a hundred roundings of two losses, about 100 each",
    sabotage=edit(VariationalAutoencoder.loss, "self.beta * rate", "rate"),
)
def beta_slope(run: Run) -> float:
    at_3, at_0 = small(beta=3.0), small(beta=0.0)
    high, low = (model.loss(X, generator(run, 7)).item() for model, X in (at_3, at_0))
    return (high - low) / 3


def _rate() -> float:
    """KL(q || p(z)), summed over data and units."""
    return float(analytic.kl_diagonal(*_code()).sum())


@claim(
    "vae-collapsed",
    "a decoder that ignores z costs what independent pixels cost (digits, nats per image)",
    kind="exact",
    expected=lambda run: analytic.bernoulli_baseline(digits()[0], _pixel_means()),
    tolerance=30 * ROUNDING,
    reason="a hundred roundings of about 30 nats",
    sabotage=edit(densities.log_bernoulli, "ops.softplus(logits)", "ops.relu(logits)"),
)
def collapsed(run: Run) -> float:
    X, p = digits()[0], _pixel_means()
    model = VariationalAutoencoder(64, 2, hidden=(), rng=generator(run, 8))
    with_weights(model, np.zeros((64, 4)), np.zeros(4), np.zeros((2, 64)), np.log(p / (1 - p)))
    return -model.elbo(X, generator(run, 8)).item() / len(X)


def _pixel_means() -> np.ndarray:
    X = digits()[0]
    return X.mean(axis=0).clip(0.5 / len(X), 1 - 0.5 / len(X))


@claim(
    "vae-learnt-variance",
    "a learnt variance ends at the mean squared error: cost D/2 (ln 2 pi MSE + 1) per datum",
    kind="exact",
    expected=lambda run: -analytic.log_likelihood_at_best_variance(_mean_squared_error(), 6),
    tolerance=10 * ROUNDING,
    reason="a hundred roundings of about 7 nats; L-BFGS goes on to the rounding of the cost",
    sabotage=edit(
        densities.Gaussian.negative_log_likelihood,
        "(LN_2PI + self.log_var)",
        "(LN_2PI + 0.5 * self.log_var)",
    ),
)
def learnt_variance(run: Run) -> float:
    model, X = small(likelihood="gaussian", learn_sigma=True)
    no_noise = np.zeros((len(X), 2))
    optimiser = LBFGS([model.conditional.log_var], max_iter=100)
    return optimiser.step(closure(lambda: model.terms(X, no_noise)[0])) / len(X)


def _mean_squared_error() -> float:
    model, X = small(likelihood="gaussian", learn_sigma=True)
    return float(np.mean((model(X).numpy() - X) ** 2))


@claim(
    "vae-rules",
    "rules of the backward pass of the loss that contradict their own forward",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=wrong_rule("bernoulli_loss", "logits", "g * (tanh(logits) - target)"),
)
def rules(run: Run) -> float:
    model, X = small(n_samples=2)
    return float(len(check_graph(model.loss(X, generator(run, 9))).failures))


@claim(
    "vae-log-variance-bound",
    "an encoder that says sigma^2 = e^1000: entries of the gradient that are not finite",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(
        bounded, "return ops.clip(log_var, -LOG_VAR_BOUND, LOG_VAR_BOUND)", "return log_var"
    ),
)
def log_variance_bound(run: Run) -> float:
    model, X = small()
    model.encoder.parameters()[-1].data[2:] = 1000.0
    with np.errstate(all="ignore"):
        return float(np.sum(~np.isfinite(gradient_of(model, X, generator(run, 10)))))


# --- a generative model ---------------------------------------------------------------------------


@claim(
    "vae-samples",
    "a linear-Gaussian model's samples of x have the covariance W W^T + sigma^2 I: largest "
    "difference of an entry, in standard errors",
    kind="statistical",
    expected=0.0,
    tolerance=5.0,
    reason="5 standard errors, by the variances of a Wishart matrix of 400,000 samples",
    sabotage=edit(densities.Gaussian.draw, "a + self.sigma *", "a + 0.5 * self.sigma *"),
)
def samples(run: Run) -> float:
    W = variational.misfit()[0]
    return variational.samples_off(run, True, W @ W.T + variational.SIGMA2 * np.eye(6))


@claim(
    "vae-sample-means",
    "... and those of E[x | z] have the covariance W W^T",
    kind="statistical",
    expected=0.0,
    tolerance=5.0,
    reason="5 standard errors, by the variances of a Wishart matrix of 400,000 samples",
    sabotage=edit(VariationalAutoencoder.sample, "z = self._noise(", "z = 0.5 * self._noise("),
)
def sample_means(run: Run) -> float:
    W = variational.misfit()[0]
    return variational.samples_off(run, False, W @ W.T)


@claim(
    "vae-reconstruct",
    "a reconstruction is the decoder at mu(x), both networks written out: largest difference",
    kind="exact",
    expected=0.0,
    tolerance=ROUNDING,
    reason="a hundred roundings of numbers below 1",
    sabotage=edit(VariationalAutoencoder.reconstruct, "z = mu if", "z = 0 * mu if"),
)
def reconstruct(run: Run) -> float:
    model, X = small()
    encoder, decoder = ([p.numpy() for p in m.parameters()] for m in (model.encoder, model.decoder))
    mu = written_out(X, encoder)[:, :2]
    y = 1 / (1 + np.exp(-written_out(mu, decoder)))
    return float(np.abs(model.reconstruct(X) - y).max())


# --- what a code holds ----------------------------------------------------------------------------


@claim(
    "vae-information",
    "a code that tells all N data apart carries ln N nats about them (N = 300)",
    kind="exact",
    expected=math.log(300),
    tolerance=300 * 1000 * EPS,
    reason="posteriors 1,000 standard deviations apart do not overlap; a place up to 300 is "
    "rounded, and measured in units of 1/1000",
    sabotage=edit(
        diagnostics.log_aggregate_posterior,
        "np.logaddexp.reduce(log_q, axis=1)",
        "log_q.mean(axis=1)",
    ),
)
def information(run: Run) -> float:
    apart = np.arange(300, dtype=float)[:, None]
    log_var = np.full((300, 1), -2 * math.log(1000))
    return diagnostics.mutual_information(apart, log_var, generator(run, 11))


@claim(
    "vae-active-units",
    "of three units, one made constant, those that are active (variance of their mean > 0.01); "
    "count: 2",
    kind="empirical",
    expected=2.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(diagnostics.diagnose, "= mu.var(axis=0)", "= (mu**2).mean(axis=0)"),
)
def active_units(run: Run) -> float:
    X = digits()[0][:200]
    model = VariationalAutoencoder(64, 3, rng=generator(run, 12))
    _, _, weight, bias = model.encoder.parameters()
    weight.data[:, 2], bias.data[2] = 0.0, 5.0  # the mean of the third unit is 5 for every x
    return float(diagnostics.diagnose(model, X, generator(run, 13)).active.sum())


# --- estimators of a gradient ---------------------------------------------------------------------

REPARAMETERISED, SCORE = analytic.square_gradient_variances(MU, SIGMA)
SQUARE = analytic.Quadratic(np.array([[2.0]]), np.zeros(1))  # f = z^2
MEAN_SQUARE = SQUARE.expectation([MU], [SIGMA])
WITH_BASELINE = float(SQUARE.score_function_variance([MU], [SIGMA], MEAN_SQUARE)[0])


def five_errors(variance: float) -> float:
    """5 standard errors of the mean of DRAWS draws."""
    return 5 * math.sqrt(variance / DRAWS)


def five_measured_errors(draws: np.ndarray) -> float:
    """The same where the variance of a draw is known from the draws alone."""
    return 5 * float(draws.std(ddof=1)) / math.sqrt(len(draws))


def cumulants(f: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    """(variance, fourth cumulant) of f(eps), eps ~ N(0, 1), for a polynomial f of a degree up to 4:
    exact by 16 nodes.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(16)
    values, weights = f(nodes), weights / weights.sum()
    second, fourth = (float(weights @ (values - weights @ values) ** k) for k in (2, 4))
    return second, fourth - 3 * second**2


def five_errors_of_a_variance(*fs: Callable[[np.ndarray], np.ndarray]) -> float:
    """5 standard errors of the variance of DRAWS draws of f(eps_1) + g(eps_2) + ...: its variance
    is (fourth cumulant + 2 variance^2) / DRAWS, and cumulants of independent terms add.
    """
    variance, fourth = np.sum([cumulants(f) for f in fs], axis=0)
    return 5 * math.sqrt((fourth + 2 * variance**2) / DRAWS)


def score_draw(eps: np.ndarray, baseline: float = 0.0) -> np.ndarray:
    """(z^2 - baseline) d/dmu log q(z) at z = mu + sigma eps."""
    return ((MU + SIGMA * eps) ** 2 - baseline) * eps / SIGMA


@claim(
    "vae-reparameterised-mean",
    "z = mu + sigma eps lets d/dmu reach inside: mean gradient of E z^2 is 2 mu",
    kind="statistical",
    expected=2 * MU,
    tolerance=five_errors(REPARAMETERISED),
    reason="5 standard errors of 400,000 draws",
    sabotage=edit(estimators.reparameterised_gradients, "_values(f, z)", "_values(f, z.detach())"),
)
def reparameterised_mean(run: Run) -> float:
    return float(run.shared(variational.gradient_draws, "reparameterised").mean())


@claim(
    "vae-score-mean",
    "f(z) d/dmu log q(z) has the same mean 2 mu, without the derivative of f",
    kind="statistical",
    expected=2 * MU,
    tolerance=five_errors(SCORE),
    reason="5 standard errors of 400,000 draws",
    sabotage=edit(densities.log_normal, "-0.5 *", "-1.0 *"),
)
def score_mean(run: Run) -> float:
    return float(run.shared(variational.gradient_draws, "score").mean())


@claim(
    "vae-reparameterised-variance",
    "variance of one reparameterised draw: 4 sigma^2",
    kind="statistical",
    expected=REPARAMETERISED,
    tolerance=five_errors_of_a_variance(lambda eps: 2 * (MU + SIGMA * eps)),
    reason="5 standard errors of a variance of 400,000 draws",
    sabotage=edit(
        estimators._draws,
        "rng.standard_normal(mu.shape)",
        "np.tile(rng.standard_normal(mu.shape[1]), (n, 1))",
    ),
)
def reparameterised_variance(run: Run) -> float:
    return float(run.shared(variational.gradient_draws, "reparameterised").var())


@claim(
    "vae-score-variance",
    "variance of one score-function draw: mu^4/sigma^2 + 14 mu^2 + 15 sigma^2, here 25 times as "
    "large",
    kind="statistical",
    expected=SCORE,
    tolerance=five_errors_of_a_variance(score_draw),
    reason="5 standard errors of a variance of 400,000 draws",
    sabotage=edit(
        estimators._draws, "reparameterise(mu, log_var, ", "reparameterise(mu, 2 * log_var, "
    ),
)
def score_variance(run: Run) -> float:
    return float(run.shared(variational.gradient_draws, "score").var())


@claim(
    "vae-baseline-variance",
    "a baseline E f takes more than half of it away: the variance that is left here",
    kind="statistical",
    expected=WITH_BASELINE,
    tolerance=five_errors_of_a_variance(lambda eps: score_draw(eps, MEAN_SQUARE)),
    reason="5 standard errors of a variance of 400,000 draws",
    sabotage=edit(
        estimators.score_function_gradients, ".numpy() - baseline", ".numpy() - 0 * baseline"
    ),
)
def baseline_variance(run: Run) -> float:
    return float(run.shared(variational.gradient_draws, "baseline").var())


@claim(
    "vae-price",
    "mean gradient of E z^2 in ln sigma^2: sigma^2 (Price's theorem)",
    kind="statistical",
    expected=0.5 * float(SQUARE.gradient_in_log_sigma([MU], [SIGMA])[0]),
    tolerance=lambda run: five_measured_errors(run.shared(variational.curvature_draws)),
    reason="5 standard errors of 400,000 draws",
    sabotage=wrong_rule("reparameterise", "log_var", "g * (exp(0.5 * log_var) * noise)"),
)
def price(run: Run) -> float:
    return float(run.shared(variational.curvature_draws).mean())


# --- the divergence -------------------------------------------------------------------------------


def divergence_terms() -> list[Callable[[np.ndarray], np.ndarray]]:
    """log q(z) - log p(z) for each unit, as a function of its eps."""

    def term(mean: float, spread: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda eps: 0.5 * ((mean + spread * eps) ** 2 - eps**2) - math.log(spread)

    return [term(mean, math.exp(v / 2)) for mean, v in zip(KL_MU, KL_LOG_VAR, strict=True)]


@claim(
    "vae-kl-monte-carlo",
    "log q(z) - log p(z), averaged over draws from q, is the analytic KL",
    kind="statistical",
    expected=float(analytic.kl_diagonal(KL_MU, KL_LOG_VAR).sum()),
    tolerance=five_errors(float(analytic.kl_sample_variance(KL_MU, KL_LOG_VAR))),
    reason="5 standard errors of 400,000 draws",
    sabotage=edit(estimators.kl_samples, "- log_normal(z))", "- log_normal(z, log_var=log_var))"),
)
def kl_monte_carlo(run: Run) -> float:
    return float(run.shared(variational.divergence_draws).mean())


@claim(
    "vae-kl-monte-carlo-variance",
    "... with variance sum_m [(s^2 - 1)^2 / 2 + mu^2 s^2] for one draw",
    kind="statistical",
    expected=float(analytic.kl_sample_variance(KL_MU, KL_LOG_VAR)),
    tolerance=five_errors_of_a_variance(*divergence_terms()),
    reason="5 standard errors of a variance of 400,000 draws",
    sabotage=edit(
        estimators._draws, "rng.standard_normal(mu.shape)", "rng.standard_normal((n, 1))"
    ),
)
def kl_monte_carlo_variance(run: Run) -> float:
    return float(run.shared(variational.divergence_draws).var())


# --- importance weights ---------------------------------------------------------------------------

WEIGHTS = 6000  # importance weights for each digit where log p(x) is compared with a grid


@claim(
    "vae-weights-are-log-p",
    "with q the exact posterior, log p(x | z) + log p(z) - log q(z | x) is log p(x) for every z, "
    "with every 2 pi: largest difference",
    kind="exact",
    expected=0.0,
    tolerance=100 * ROUNDING,
    reason="a hundred roundings of log p(x), down to -100 nats",
    sabotage=edit(densities.log_normal, "LN_2PI + log_var", "log_var"),
)
def weights_are_log_p(run: Run) -> float:
    log_w, exact = variational.weights_at_the_posterior(run)
    return float(np.abs(log_w - exact).max())


@claim(
    "vae-grid",
    "log p(x) of the trained model by importance weighting, q as wide as the prior, is that of a "
    "grid over z (20 digits)",
    kind="statistical",
    expected=lambda run: float(run.shared(grid_log_p, SHORT).mean()),
    tolerance=lambda run: _grid_tolerance(run),
    reason="5 standard errors of 6,000 draws for each digit, and chi^2 / 2k; chi^2 by the grid",
    sabotage=edit(
        VariationalAutoencoder.log_likelihood,
        "np.logaddexp.reduce(log_w, axis=0, dtype=np.float64)",
        "log_w.mean(axis=0) + math.log(len(log_w))",
    ),
    thorough=True,
)
def grid(run: Run) -> float:
    model, X = run.shared(variational.widened), variational.few_digits()
    return float(model.log_likelihood(X, generator(run, 20), WEIGHTS).mean())


def _grid_tolerance(run: Run) -> float:
    chi2 = run.shared(variational.weight_variances)
    return float(5 * math.sqrt(chi2.mean() / WEIGHTS / len(chi2)) + chi2.mean() / 2 / WEIGHTS)


@claim(
    "vae-rising",
    "L_1 < L_2 < L_5 < log p(x) on the trained model: how many of the three hold by more than 5 "
    "standard errors",
    kind="bound",
    expected=3.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(VariationalAutoencoder.iwae, "- math.log(len(log_w))", ""),
    thorough=True,
)
def rising(run: Run) -> float:
    means, errors = variational.rising_bounds(run).T
    steps = np.diff([*means, float(run.shared(grid_log_p, SHORT).mean())])
    least = 5 * np.hypot(errors, [*errors[1:], 0.0])  # the grid has no error
    return float(np.sum(steps > least))


# --- Algorithm 1 ----------------------------------------------------------------------------------


@claim(
    "vae-algorithm-1",
    "Algorithm 1 over 20 data is the library's step in batches of one, bit for bit: largest "
    "difference",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="the same operations on the same numbers",
    sabotage=edit(
        slide_algorithm.algorithm_1,
        "ascend(phi, gradients[len(w) :], eta)",
        "ascend(phi, grad(slide_bound(model, x[None, :], eps), phi), eta)",
    ),
)
def algorithm_1_bits(run: Run) -> float:
    pairs = zip(variational.by_algorithm_1(run), variational.by_mini_batches(run), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


@claim(
    "vae-algorithm-1-converges",
    "until converged, return w, phi: what the exact bound lacks of probabilistic PCA's largest log "
    "p, eta/4 tr (covariance of a gradient) on average",
    kind="statistical",
    expected=lambda run: variational.excess_at_the_end(),
    tolerance=lambda run: 5 * math.sqrt(2) * variational.excess_at_the_end(),
    reason="5 standard errors of one run: its excess is a sum of weighted chi^2, with a standard "
    "deviation of at most sqrt(2) times the mean",
    sabotage=edit(
        slide_algorithm.algorithm_1,
        "ascend(phi, gradients[len(w) :], eta)",
        "ascend(phi, gradients[len(w) :], 0 * eta)",
    ),
    thorough=True,
)
def algorithm_1_converges(run: Run) -> float:
    return variational.lacking_at_the_end(run)


@claim(
    "vae-gradients-add",
    "at fixed w and phi the gradients of the single data add up to that of the batch: relative "
    "difference",
    kind="exact",
    expected=0.0,
    tolerance=ROUNDING,
    reason="a hundred roundings",
    sabotage=edit(
        VariationalAutoencoder._noise,
        "rng.standard_normal(shape, self._dtype)",
        "np.broadcast_to(rng.standard_normal(self.n_latent, self._dtype), shape)",
    ),
)
def gradients_add(run: Run) -> float:
    model, X = small()
    whole, rng = gradient_of(model, X, generator(run, 22)), generator(run, 22)
    parts = sum(gradient_of(model, x[None, :], rng) for x in X)
    return float(np.linalg.norm(parts - whole) / np.linalg.norm(whole))


# --- one encoder for all data ---------------------------------------------------------------------


@claim(
    "vae-own-posterior",
    "optimised for each datum alone, q with independent units leaves 1/2 (sum ln P_mm - ln det P) "
    "of log p, P the precision of the exact posterior (linear model): largest error, nats",
    kind="exact",
    expected=0.0,
    tolerance=100 * 100 * EPS,
    reason="a hundred roundings of bounds down to -100 nats; what L-BFGS leaves is the square of "
    "a gradient of 1e-9",
    sabotage=wrong_rule("reparameterise", "log_var", "g * (exp(0.5 * log_var) * noise)"),
)
def own_posterior(run: Run) -> float:
    return float(np.abs(amortisation.gap_left(run) - amortisation.diagonal_gap()).max())


@claim(
    "vae-amortisation-gap",
    "trained VAE, 20 digits: the encoder's bound <= the bound optimised over the datum's own mu "
    "and sigma <= log p(x) on a grid: inequalities that fail, of 40",
    kind="bound",
    expected=0.0,
    tolerance=0.0,
    reason="a count; each may fail by what twice as many nodes of the quadrature change",
    sabotage=edit(densities.kl_to_prior, "0.5 * ops.sum(", "0.25 * ops.sum("),
    thorough=True,
)
def amortisation_gap(run: Run) -> float:
    encoder, own, log_p, error = run.shared(amortisation.three_levels)
    return float(np.sum(own < encoder) + np.sum(log_p < own - error - 1e-9))
