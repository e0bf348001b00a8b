"""Claims of lesson 09, continued: log p(x) by importance weighting, and Algorithm 1."""

from __future__ import annotations

import math

import numpy as np

from .. import analytic
from ..autodiff.graph import no_grad
from ..models import VariationalAutoencoder
from ..models.slide_algorithm import algorithm_1
from ..models.densities import log_normal
from ..experiments import variational as e
from .bugs import edit
from .definition import Run, claim

WEIGHTS = 6000  # importance weights for each digit where log p(x) is compared with a grid

# --- importance weights -----------------------------------------------------------------------------------------------


@claim(
    "vae-constant-weights",
    "with q the exact posterior, log p(x|z) + log p(z) - log q(z|x) does not depend on z: largest deviation",
    expected=0.0,
    tolerance=1e-12,
    reason="rounding of terms of about 10",
    sabotage=edit(VariationalAutoencoder._encode, "bounded(statistics[:, M:])", "bounded(0.5 * statistics[:, M:])"),
)
def constant_weights(run: Run) -> float:
    return float(e.weights_at_the_posterior(run)[0].std(axis=0).max())


@claim(
    "vae-weights-are-log-p",
    "... and is log p(x), with every 2 pi: largest difference",
    expected=0.0,
    tolerance=1e-12 * 100,
    reason="rounding of log p(x), down to -100 nats",
    sabotage=edit(log_normal, "LN_2PI + log_var", "log_var"),
)
def weights_are_log_p(run: Run) -> float:
    log_w, exact = e.weights_at_the_posterior(run)
    return float(np.abs(log_w - exact).max())


@claim(
    "vae-chi-square-rate",
    "log p - L_k approaches chi^2 / 2k: their ratio at k = 32",
    expected=1.0,
    tolerance=lambda run: _rate_tolerance(run),
    reason="4 standard errors of 20,000 repetitions, and 2 / k for the next term of the expansion",
    sabotage=edit(VariationalAutoencoder._log_weights, "log_normal(z, mu, log_var)", "log_normal(z, mu, 0.5 * log_var)"),
    thorough=True,
)
def chi_square_rate(run: Run) -> float:
    gaps, chi2 = run.shared(e.wide_encoder, 32)
    return float(gaps.mean()) / analytic.importance_gap(chi2, 32)


def _rate_tolerance(run: Run) -> float:
    gaps, chi2 = run.shared(e.wide_encoder, 32)
    return 4 * float(gaps.std()) / math.sqrt(len(gaps)) / analytic.importance_gap(chi2, 32) + 2 / 32


@claim(
    "vae-grid",
    "log p(x) of the trained model by importance weighting is that of a grid over z (20 digits)",
    expected=lambda run: float(run.shared(e.grid_log_p, e.SHORT).mean()),
    tolerance=lambda run: _grid_tolerance(run),
    reason="4 standard errors of 6,000 draws for each digit, and chi^2 / 2k",
    sabotage=edit(
        VariationalAutoencoder.log_likelihood,
        "np.logaddexp.reduce(log_w, axis=0)",
        "log_w.mean(axis=0) + math.log(len(log_w))",
    ),
    thorough=True,
)
def grid(run: Run) -> float:
    model = run.shared(e.trained, e.SHORT)[0]
    return float(model.log_likelihood(e.few_digits(), e.generator(run, 20), WEIGHTS).mean())


def _grid_tolerance(run: Run) -> float:
    with no_grad():
        log_w = run.shared(e.trained, e.SHORT)[0].log_weights(e.few_digits(), e.generator(run, 21), WEIGHTS).numpy()
    variance = np.exp(log_w - run.shared(e.grid_log_p, e.SHORT)).var(axis=0)  # chi^2 of each digit
    return float(4 * math.sqrt(variance.mean() / WEIGHTS / len(variance)) + variance.mean() / 2 / WEIGHTS)


@claim(
    "vae-rising",
    "L_1 <= L_5 <= L_50 <= log p(x) on the trained model: inequalities that hold, to 4 standard errors",
    expected=3.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(VariationalAutoencoder.iwae, "- math.log(len(log_w))", ""),
)
def rising(run: Run) -> float:
    means, errors = e.rising_bounds(run).T
    steps = np.diff([*means, float(run.shared(e.grid_log_p, e.SHORT).mean())])
    slack = 4 * np.hypot(errors, [*errors[1:], 0.0])  # the grid has no error
    return float(np.sum(steps > -slack))


# --- Algorithm 1 ------------------------------------------------------------------------------------------------------


@claim(
    "vae-algorithm-1",
    "Algorithm 1 over 20 data is the library's step in batches of one, bit for bit: largest difference",
    expected=0.0,
    tolerance=0.0,
    reason="the same operations on the same numbers",
    sabotage=edit(
        algorithm_1,
        "ascend(phi, gradients[len(w) :], eta)",
        "ascend(phi, grad(slide_bound(model, x[None, :], eps), phi), eta)",
    ),
)
def algorithm_1_bits(run: Run) -> float:
    pairs = zip(e.by_algorithm_1(run), e.by_mini_batches(run), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


@claim(
    "vae-gradients-add",
    "at fixed w and phi the gradients of the single data add up to that of the batch: relative difference",
    expected=0.0,
    tolerance=1e-13,
    reason="rounding of 20 additions",
    sabotage=edit(
        VariationalAutoencoder._noise,
        "rng.standard_normal(shape, self._dtype)",
        "np.broadcast_to(rng.standard_normal(self.n_latent, self._dtype), shape)",
    ),
)
def gradients_add(run: Run) -> float:
    model, X = e.small()
    whole, rng = e.gradient_of(model, X, e.generator(run, 22)), e.generator(run, 22)
    parts = sum(e.gradient_of(model, x[None, :], rng) for x in X)
    return float(np.linalg.norm(parts - whole) / np.linalg.norm(whole))
