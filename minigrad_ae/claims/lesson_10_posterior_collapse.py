"""Claims of lesson 10: which units collapse, loss conventions, rate and distortion, warm-up, the
aggregate posterior.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from .. import analytic
from ..experiments import collapse
from ..experiments.collapse import UNITS, linear, report
from ..experiments.elbo import cloud, matrices
from ..models import KLWarmUp, LinearVAE, VariationalAutoencoder, densities, diagnostics
from ..ops import compositions
from .bugs import edit, wrong_rule
from .definition import EPS, Run, claim, mean_and_error

LBFGS_OPTIMUM = 1e-6  # of a matrix or a divergence at an optimum found by L-BFGS
CASE = (0.5, 2.5)  # sigma^2 and beta: tau = 1.25 lies between the third and the fourth eigenvalue


def optimum(run: Run) -> analytic.LinearVAEOptimum:
    """The closed form for four units in the case above."""
    return analytic.linear_vae_optimum(cloud()[1], UNITS, *CASE)


def largest_error(measured: np.ndarray, expected: np.ndarray) -> float:
    """Unit by unit, both sorted from the largest: which unit takes which component is free."""
    return float(np.abs(np.sort(measured)[::-1] - np.sort(expected)[::-1]).max())


# --- which units collapse -------------------------------------------------------------------------


@claim(
    "active-units",
    "at the maximum as many units are active as eigenvalues exceed beta sigma^2, M at most: wrong "
    "counts in a grid",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="a count; no eigenvalue of the data is within 3 % of a beta sigma^2 of the grid",
    sabotage=edit(LinearVAE._maximise, "beta=self.beta", "beta=1.0"),
)
def active_units(run: Run) -> float:
    l, short = cloud()[1], (collapse.NOISES[1:3], collapse.WEIGHTS[1:])
    grid = product(*short) if run.fast else product(collapse.NOISES, collapse.WEIGHTS)
    wrong = [collapse.active(run, *at) != analytic.active_units(l, UNITS, *at) for at in grid]
    return float(sum(wrong))


@claim(
    "unit-kl",
    "each unit's KL term is 1/2 ln(l_i / beta sigma^2), and 0 if it is collapsed: largest error, "
    "nats",
    kind="exact",
    expected=0.0,
    tolerance=LBFGS_OPTIMUM,
    reason="optimum by L-BFGS",
    sabotage=edit(densities.kl_to_prior, "0.5 * ops.sum(", "0.5 * ops.mean("),
)
def unit_kl(run: Run) -> float:
    return largest_error(report(run.shared(linear, *CASE), cloud()[0]).kl, optimum(run).kl)


@claim(
    "mean-variance",
    "the posterior mean of unit i has variance 1 - beta sigma^2 / l_i over the data: largest error",
    kind="exact",
    expected=0.0,
    tolerance=LBFGS_OPTIMUM,
    reason="optimum by L-BFGS",
    sabotage=edit(LinearVAE.expected_log_likelihood, "* ops.exp(-self", "* ops.exp(-0.5 * self"),
)
def mean_variance(run: Run) -> float:
    return largest_error(
        report(run.shared(linear, *CASE), cloud()[0]).mean_variance, optimum(run).mean_variances
    )


@claim(
    "decoder-norms",
    "decoder columns shrink to ||w_i||^2 = l_i - beta sigma^2, collapsed ones to 0: largest error",
    kind="exact",
    expected=0.0,
    tolerance=1e-5,
    reason="optimum by L-BFGS, norms up to 8",
    sabotage=edit(LinearVAE.expected_log_likelihood, "+ ops.sum(spread", "+ 1.1 * ops.sum(spread"),
)
def decoder_norms(run: Run) -> float:
    W = matrices(run.shared(linear, *CASE))[0]
    return largest_error((W**2).sum(axis=0), optimum(run).squared_norms)


@claim(
    "beta-optimum",
    "training ends at the largest E log p(x | z) - beta KL there is, nats per datum",
    kind="exact",
    expected=lambda run: optimum(run).value,
    tolerance=1e-8,
    reason="1e-9 of about 12: optimum by L-BFGS",
    sabotage=edit(
        LinearVAE.expected_log_likelihood, "self.n_features * (LN_2PI", "self.n_latent * (LN_2PI"
    ),
)
def beta_optimum(run: Run) -> float:
    model, X = run.shared(linear, *CASE), cloud()[0]
    return float(model.elbo(X, beta=CASE[1])) / len(X)


@claim(
    "complete-collapse",
    "all units collapse from beta = l_1 / sigma^2 on: active units at 0.95 and at 1.05 of it, as "
    "10 a + b",
    kind="exact",
    expected=10.0,
    tolerance=0.0,
    reason="a count; just below, the variance of the mean is 1 - 0.95 = 0.05",
    sabotage=edit(LinearVAE._weight, "        beta,", "        beta**0.5,"),
    thorough=True,
)
def complete_collapse(run: Run) -> float:
    threshold = float(cloud()[1][0]) / 2.0
    models = [collapse.linear(run, 2.0, f * threshold, 2) for f in (0.95, 1.05)]
    below, above = (collapse.active_units(model, cloud()[0]) for model in models)
    return 10.0 * below + above


@claim(
    "collapse-curvature",
    "curvatures of the loss at W = 0 (engine's Hessian, best q) are beta (tau - l_i)/tau^2: "
    "largest error",
    kind="exact",
    expected=0.0,
    tolerance=1e-10,
    reason="algebraic identity in float64, and a symmetric eigenvalue problem",
    sabotage=wrong_rule("matmul", "A", "0.99 * (g @ swapaxes(B, -1, -2))"),
)
def collapse_curvature(run: Run) -> float:
    exact = np.sort(analytic.collapse_curvature(cloud()[1], 1.5, 2.0))
    return float(np.abs(collapse.curvatures(1.5, 2.0) - exact).max())


@claim(
    "noise-under-beta",
    "sigma^2 learnt under beta = 1.5 is sum_{i>M} l_i / (D - beta M), not the mean of what is left "
    "out",
    kind="exact",
    expected=lambda run: float(cloud()[1][2:].sum()) / (5 - 1.5 * 2),
    tolerance=1e-6,
    reason="optimum by L-BFGS",
    sabotage=edit(
        LinearVAE.expected_log_likelihood,
        "LN_2PI + self.log_sigma2",
        "LN_2PI + 0.9 * self.log_sigma2",
    ),
)
def noise_under_beta(run: Run) -> float:
    return collapse.noise_learnt(run, 1.5).sigma2


# --- loss conventions -----------------------------------------------------------------------------


@claim(
    "loss-conventions",
    "five ways to write the loss, in each pixel unit of the run: active units as predicted by tau, "
    "wrong counts",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="a count; no eigenvalue is within 6 % of a tau",
    sabotage=edit(compositions.mean, "return total / n", "return total"),
)
def loss_conventions(run: Run) -> float:
    units = ("0 to 3.4",) if run.fast else ("0 to 1", "0 to 3.4")
    wrong = 0
    for name, unit in product(collapse.CONVENTIONS, units):
        largest = collapse.PIXELS[unit]
        model = run.shared(collapse.written_as, name, largest)
        active = collapse.active_units(model, collapse.small_digits(largest))
        wrong += active != collapse.predicted(name, largest)[1]
    return float(wrong)


# --- rate and distortion --------------------------------------------------------------------------


@claim(
    "rate-distortion",
    "sweeping beta walks along the rate-distortion function of a Gaussian (reverse water-filling)",
    kind="exact",
    expected=0.0,
    tolerance=1e-6,
    reason="optima by L-BFGS; sum over the sweep of the distance in nats and in squared error",
    sabotage=edit(LinearVAE.decode, "z @ self.decoder.weight", "1.02 * z @ self.decoder.weight"),
)
def rate_distortion(run: Run) -> float:
    total = 0.0
    for tau in (0.5, 3.0) if run.fast else (0.2, 0.5, 1.0, 1.5, 3.0, 6.0):
        exact = analytic.rate_distortion(cloud()[1], 5, tau)
        total += float(np.abs(np.subtract(collapse.rate_and_distortion(run, tau, 5), exact)).sum())
    return total


@claim(
    "rate-distortion-slope",
    "its slope is -1 / (2 beta sigma^2): -2 tau d rate / d distortion, by a difference about tau = "
    "0.5",
    kind="exact",
    expected=1.0,
    tolerance=1e-3,
    reason="a central difference of a logarithm: (0.04)^2 / 3 = 5e-4",
    sabotage=edit(LinearVAE._maximise, "beta=self.beta", "beta=self.beta**2"),
    thorough=True,
)
def rate_distortion_slope(run: Run) -> float:
    (r0, d0), (r1, d1) = (collapse.rate_and_distortion(run, 0.5 * f, 5) for f in (0.96, 1.04))
    return -2 * 0.5 * (r1 - r0) / (d1 - d0)


# --- remedies, and the aggregate posterior --------------------------------------------------------


@claim(
    "warm-up",
    "a linear VAE trained to the maximum for beta = 0.5, 1, 1.5 and 2 in turn, each from where the "
    "last one ended, ends at the maximum for beta = 2, nats per datum",
    kind="exact",
    expected=lambda run: analytic.linear_vae_optimum(cloud()[1], 2, 0.5, 2.0).value,
    tolerance=1e-8,
    reason="1e-9 of about 12: optimum by L-BFGS",
    sabotage=edit(KLWarmUp.at, "min(1.0,", "min(0.75,"),
    thorough=True,
)
def warm_up(run: Run) -> float:
    X = cloud()[0]
    return float(collapse.warmed(run).elbo(X, beta=2.0)) / len(X)


@claim(
    "warm-up-schedule",
    "KLWarmUp over 4 epochs to beta = 2, in a training of 6: beta from epoch to epoch is 0, 0.5, "
    "1, 1.5, 2, 2, 2; largest difference",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="halves are exact in float64",
    sabotage=edit(KLWarmUp.at, "epoch / self.epochs", "2 * epoch / self.epochs"),
)
def warm_up_schedule(run: Run) -> float:
    seen = collapse.betas_of_warm_up(run)
    return float(np.abs(np.array(seen) - [0, 0.5, 1, 1.5, 2, 2, 2]).max())


@claim(
    "aggregate-moments",
    "at the maximum of a linear VAE the aggregate posterior has the prior's mean and covariance "
    "(though not its shape), here under beta = 2.5: ||Cov - I|| + ||mean||",
    kind="exact",
    expected=0.0,
    tolerance=1e-5,
    reason="optimum by L-BFGS",
    sabotage=edit(
        densities.kl_to_prior,
        "ops.exp_remainder(log_var)",
        "ops.exp(log_var) - 1 - 0.9 * log_var",
    ),
)
def aggregate_moments(run: Run) -> float:
    found = report(run.shared(linear, *CASE), cloud()[0])
    return float(np.linalg.norm(found.covariance - np.eye(UNITS)) + np.linalg.norm(found.mean))


@claim(
    "rate-splits",
    "rate = I(x; z) + KL(q(z) || p(z)): the last by sampling, against an integral on a grid (M = "
    "1), nats",
    kind="statistical",
    expected=lambda run: marginal_kl(run),
    tolerance=lambda run: 4 * run.shared(marginal_kls)[1],
    reason="4 standard errors of 40 reports",
    sabotage=edit(
        diagnostics.log_aggregate_posterior, "- np.log(len(mu))", "- np.log(2 * len(mu))"
    ),
    thorough=True,
)
def rate_splits(run: Run) -> float:
    return run.shared(marginal_kls)[0]


def single_unit(run: Run) -> LinearVAE:
    """A linear VAE of one unit with little noise, at its maximum."""
    return run.shared(linear, 0.02, 1.0, 1)  # type: ignore[no-any-return]


def marginal_kl(run: Run) -> float:
    """Its KL(q(z) || p(z)), by an integral on a grid."""
    return collapse.marginal_kl_on_grid(single_unit(run), cloud()[0])


def marginal_kls(run: Run) -> tuple[float, float]:
    """(mean, standard error) of KL(q(z) || p(z)) as `diagnose` estimates it."""
    model = single_unit(run)
    return mean_and_error([report(model, cloud()[0], seed=k).marginal_kl for k in range(40)])


@claim(
    "uncompressed",
    "three units, beta = 0.001: the code names the datum, I(x; z) = ln N for the 80 data, nats",
    kind="exact",
    expected=float(np.log(80)),
    tolerance=lambda run: overlap(3, 0.5 * 0.001),
    reason="rounding, and what draws within five standard deviations lack; see `overlap`",
    sabotage=edit(diagnostics.mutual_information, "np.exp(0.5 * log_var)", "np.exp(log_var)"),
    thorough=True,
)
def uncompressed(run: Run) -> float:
    model = run.shared(linear, 0.5, 0.001, 3)
    return report(model, cloud()[0], seed=run.seed).mutual_information


def overlap(units: int, tau: float) -> float:
    """What ln N - I(x; z) is at most, at the maximum, where no draw of z is further than 5 standard
    deviations towards another datum's mean; and 64 roundings of ln N.

    Posteriors share their variances tau / l_i, and means are sqrt(1 - tau / l_i) a_i / sqrt(l_i)
    with the scores a_i of PCA: they are d standard deviations apart, d^2 = sum of
    (1 - tau / l_i) (difference of a_i)^2 / tau.  Towards that mean a draw of e standard deviations
    has the ratio exp(e d - d^2 / 2) of the two densities, and ln(1 + ratios) <= their sum.  Here
    the closest means are 13 apart: a draw half way there has a probability of 2e-11.
    """
    X, l = cloud()[0], cloud()[1][:units]
    scores = (X - X.mean(axis=0)) @ analytic.pca(X).components[:, :units]
    places = scores * np.sqrt((1 - tau / l) / tau)
    d = np.linalg.norm(places[:, None] - places, axis=2)
    ratios = np.exp(5 * d - d**2 / 2)[d > 0]
    return float(64 * EPS * np.log(len(X)) + np.sum(ratios) / len(X))


@claim(
    "information-bounds",
    "deep VAE on digits, beta = 1 and 4: closed forms below <= I(x; z) <= above, I <= ln N, I <= "
    "the rate: inequalities that fail, of 8",
    kind="bound",
    expected=0.0,
    tolerance=0.0,
    reason="a count; I is a mean of 10 estimates, and has 5 standard errors",
    sabotage=edit(
        diagnostics.log_aggregate_posterior, "- np.log(len(mu))", "- np.log(4 * len(mu))"
    ),
    thorough=True,
)
def information_bounds(run: Run) -> float:
    failures = 0
    for beta in collapse.CODE_BETAS:
        code = run.shared(collapse.digits_codes, beta)[0]
        information, error = collapse.information(*code)
        below, above = collapse.information_bounds(*code)
        rate = float(analytic.kl_diagonal(*code).sum(axis=1).mean())
        least, most = below - 5 * error, [above, np.log(len(code[0])), rate]
        failures += (information < least) + sum(information > m + 5 * error for m in most)
    return float(failures)


@claim(
    "beta-compresses",
    "deep VAE on digits: with beta = 4 the closed form above I(x; z) is below the one under it "
    "with beta = 1: trainings from other weights where it is so; count: 3",
    kind="empirical",
    expected=float(collapse.DIGITS_SEEDS),
    tolerance=0.0,
    reason="a count",
    sabotage=edit(VariationalAutoencoder.loss, "self.beta * rate", "rate"),
    thorough=True,
)
def beta_compresses(run: Run) -> float:
    codes = (run.shared(collapse.digits_codes, beta) for beta in collapse.CODE_BETAS)
    pairs = [
        (collapse.information_bounds(*loose)[0], collapse.information_bounds(*tight)[1])
        for loose, tight in zip(*codes, strict=True)
    ]
    return float(sum(above < below for below, above in pairs))
