"""Claims of lesson 09, continued: Monte Carlo estimators of a gradient and of a divergence."""

from __future__ import annotations

import math

import numpy as np

from .. import analytic
from ..models import estimators
from ..models.densities import log_normal
from ..experiments import variational as e
from .bugs import edit, wrong_rule
from .definition import Run, claim

REPARAMETERISED, SCORE = analytic.square_gradient_variances(e.MU, e.SIGMA)
SQUARE = analytic.Quadratic(np.array([[2.0]]), np.zeros(1))  # f = z^2


def four_errors(variance: float) -> float:
    """4 standard errors of the mean of DRAWS draws."""
    return 4 * math.sqrt(variance / e.DRAWS)


# --- estimators of a gradient -----------------------------------------------------------------------------------------


@claim(
    "vae-reparameterised-mean",
    "z = mu + sigma eps lets d/dmu reach inside: mean gradient of E z^2 is 2 mu",
    expected=2 * e.MU,
    tolerance=four_errors(REPARAMETERISED),
    reason="4 standard errors of 400,000 draws",
    sabotage=edit(
        estimators.reparameterised_gradients,
        "ops.reparameterise(mu, log_var, noise)",
        "ops.reparameterise(mu, log_var, noise).detach()",
    ),
)
def reparameterised_mean(run: Run) -> float:
    return float(run.shared(e.gradient_draws, "reparameterised").mean())


@claim(
    "vae-score-mean",
    "f(z) d/dmu log q(z) has the same mean 2 mu, without the derivative of f",
    expected=2 * e.MU,
    tolerance=four_errors(SCORE),
    reason="4 standard errors of 400,000 draws",
    sabotage=edit(log_normal, "-0.5 *", "-1.0 *"),
)
def score_mean(run: Run) -> float:
    return float(run.shared(e.gradient_draws, "score").mean())


@claim(
    "vae-reparameterised-variance",
    "variance of one reparameterised draw: 4 sigma^2",
    expected=REPARAMETERISED,
    tolerance=0.05 * REPARAMETERISED,
    reason="5 %, more than 6 standard errors of a variance from 400,000 draws",
    sabotage=edit(
        estimators._repeated, "rng.standard_normal((n, len(mu)))", "np.tile(rng.standard_normal(len(mu)), (n, 1))"
    ),
)
def reparameterised_variance(run: Run) -> float:
    return float(run.shared(e.gradient_draws, "reparameterised").var())


@claim(
    "vae-score-variance",
    "variance of one score-function draw: mu^4/sigma^2 + 14 mu^2 + 15 sigma^2, 25 times as large",
    expected=SCORE,
    tolerance=0.05 * SCORE,
    reason="5 %, more than 5 standard errors of a variance from 400,000 draws",
    sabotage=edit(
        estimators.score_function_gradients, "reparameterise(mu, log_var, noise)", "reparameterise(mu, 2 * log_var, noise)"
    ),
)
def score_variance(run: Run) -> float:
    return float(run.shared(e.gradient_draws, "score").var())


@claim(
    "vae-baseline-variance",
    "a baseline E f takes more than half of it away",
    expected=float(SQUARE.score_function_variance([e.MU], [e.SIGMA], SQUARE.expectation([e.MU], [e.SIGMA]))[0]),
    tolerance=lambda run: 0.05 * float(SQUARE.score_function_variance([e.MU], [e.SIGMA], e.MU**2 + e.SIGMA**2)[0]),
    reason="5 %, more than 5 standard errors of a variance from 400,000 draws",
    sabotage=edit(estimators.score_function_gradients, ".numpy() - baseline", ".numpy() - 0 * baseline"),
)
def baseline_variance(run: Run) -> float:
    return float(run.shared(e.gradient_draws, "baseline").var())


@claim(
    "vae-price",
    "mean gradient of E z^2 in ln sigma^2: sigma^2 (Price's theorem)",
    expected=0.5 * float(SQUARE.gradient_in_log_sigma([e.MU], [e.SIGMA])[0]),
    tolerance=lambda run: 4 * float(run.shared(e.curvature_draws).std()) / math.sqrt(e.DRAWS),
    reason="4 standard errors of 400,000 draws",
    sabotage=wrong_rule("reparameterise", "log_var", "g * (exp(0.5 * log_var) * noise)"),
)
def price(run: Run) -> float:
    return float(run.shared(e.curvature_draws).mean())


# --- the divergence ---------------------------------------------------------------------------------------------------


@claim(
    "vae-kl-monte-carlo",
    "log q(z) - log p(z), averaged over draws from q, is the analytic KL",
    expected=float(analytic.kl_diagonal(e.KL_MU, e.KL_LOG_VAR).sum()),
    tolerance=four_errors(float(analytic.kl_sample_variance(e.KL_MU, e.KL_LOG_VAR))),
    reason="4 standard errors of 400,000 draws",
    sabotage=edit(estimators.kl_samples, "- log_normal(z))", "- log_normal(z, log_var=log_var))"),
)
def kl_monte_carlo(run: Run) -> float:
    return float(run.shared(e.divergence_draws).mean())


@claim(
    "vae-kl-monte-carlo-variance",
    "... with variance sum_m [(s^2 - 1)^2 / 2 + mu^2 s^2] for one draw",
    expected=float(analytic.kl_sample_variance(e.KL_MU, e.KL_LOG_VAR)),
    tolerance=0.05 * float(analytic.kl_sample_variance(e.KL_MU, e.KL_LOG_VAR)),
    reason="5 %, more than 5 standard errors of a variance from 400,000 draws",
    sabotage=edit(estimators.kl_samples, "(mu, log_var, noise)", "(mu, log_var, noise[:, :1])"),
)
def kl_monte_carlo_variance(run: Run) -> float:
    return float(run.shared(e.divergence_draws).var())
