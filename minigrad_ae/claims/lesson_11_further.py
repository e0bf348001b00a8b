"""Claims of lesson 11: a conditional VAE, a posterior with a whole covariance, importance-weighted
training, Langevin sampling with a denoiser's score.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import analytic
from ..autodiff.engine import grad
from ..experiments import further
from ..experiments.further import CENTRES, CHAIN, NOISE, SLANTED, SMOOTHING, SPREAD, STEP, VARIANCE
from ..tensors import tensor
from .bugs import edit, wrong_rule
from .definition import EPS, Run, claim, generator, mean_and_error

X1, W1, V1 = 1.5, 1.2, 0.4  # one datum and weights with nothing special about them
VALUE = 1e-9  # of a value of some nats at an optimum by L-BFGS: its error is of second order
PLACE = 1e-5  # of weights there

# --- a conditional VAE ----------------------------------------------------------------------------


@claim(
    "conditional-optimum",
    "a linear conditional VAE ends at the largest ln p(x | c): regression on c, then PPCA of what "
    "is left; nats per datum",
    kind="exact",
    expected=lambda run: further.best_conditional(),
    tolerance=VALUE,
    reason="optimum by L-BFGS",
    sabotage=edit(further.residual, "x - c @ ops.swapaxes(A, 0, 1) - b", "x - b"),
)
def conditional_optimum(run: Run) -> float:
    return run.shared(further.conditional)[0]  # type: ignore[no-any-return]


@claim(
    "conditional-regression",
    "its A and b are those of least squares: largest difference",
    kind="exact",
    expected=0.0,
    tolerance=PLACE,
    reason="optimum by L-BFGS",
    sabotage=edit(further.residual, ", 0, 1) - b", ", 0, 1) - 0 * b"),
)
def conditional_regression(run: Run) -> float:
    weights = run.shared(further.conditional)[1]
    found = np.column_stack([weights["A"].data, weights["b"].data])
    return float(np.abs(found - further.regression()[0]).max())


@claim(
    "conditional-noise",
    "its sigma^2 is the mean eigenvalue that PPCA leaves out of the residuals' covariance",
    kind="exact",
    expected=lambda run: analytic.ppca(further.regression()[1], further.M).sigma2,
    tolerance=PLACE,
    reason="optimum by L-BFGS",
    sabotage=edit(further.bound, "(LN_2PI + log_s2)", "(LN_2PI + 0.9 * log_s2)"),
)
def conditional_noise(run: Run) -> float:
    return float(np.exp(run.shared(further.conditional)[1]["log_s2"].item()))


# --- a posterior with a whole covariance ----------------------------------------------------------


@claim(
    "full-covariance",
    "with a Cholesky factor q is the posterior of a decoder with slanted columns: ln p - L, nats",
    kind="exact",
    expected=0.0,
    tolerance=VALUE,
    reason="optimum by L-BFGS",
    sabotage=edit(further.factor, "below * raw", "0 * below * raw"),
)
def full_covariance(run: Run) -> float:
    value: float = run.shared(further.encoder, True)[0]
    return further.slanted_log_p() - value


@claim(
    "diagonal-covariance",
    "the best diagonal one leaves 1/2 (sum ln P_jj - ln det P), P = W^T W / sigma^2 + I: ln p - L, "
    "nats",
    kind="exact",
    expected=lambda run: analytic.hadamard_gap(SLANTED, NOISE),
    tolerance=VALUE,
    reason="optimum by L-BFGS",
    sabotage=edit(further.bound, " + len(r) * ops.sum((W @ L) ** 2)", ""),
)
def diagonal_covariance(run: Run) -> float:
    value: float = run.shared(further.encoder, False)[0]
    return further.slanted_log_p() - value


@claim(
    "learnt-covariance",
    "L L^T as learnt is the posterior's covariance (W^T W / sigma^2 + I)^-1: largest difference",
    kind="exact",
    expected=0.0,
    tolerance=PLACE,
    reason="optimum by L-BFGS",
    sabotage=edit(further.bound, "(W @ L)", "(W @ ops.swapaxes(L, 0, 1))"),
)
def learnt_covariance(run: Run) -> float:
    L = run.shared(further.encoder, True)[1]
    P = SLANTED.T @ SLANTED / NOISE + np.eye(further.M)
    return float(np.abs(L @ L.T - np.linalg.inv(P)).max())


# --- importance-weighted training -----------------------------------------------------------------


def elbo_of_one() -> float:
    """The ELBO of the one datum in closed form."""
    m = V1 * X1
    square = (X1 - W1 * m) ** 2 + W1**2 * VARIANCE
    return float(
        -0.5 * (np.log(2 * np.pi) + square) - 0.5 * (VARIANCE - 1 - np.log(VARIANCE) + m**2)
    )


@claim(
    "one-sample-bound",
    "L_1 is the ELBO: by quadrature, beside its closed form, nats",
    kind="exact",
    expected=lambda run: elbo_of_one(),
    # ln w is quadratic in eps, which the rule integrates without error: rounding is left
    tolerance=100 * EPS * 3,
    reason="rounding of about 3 nats",
    sabotage=edit(further.log_weights, "np.log(variance)", "2 * np.log(variance)"),
)
def one_sample_bound(run: Run) -> float:
    return float(further.by_quadrature(1, X1, W1, V1))


@claim(
    "bounds-in-order",
    "L_1 <= L_2 <= L_3 <= ln p(x), by quadrature: violated inequalities",
    kind="bound",
    expected=0.0,
    tolerance=0.0,
    reason="the gaps are above 0.005 nats, the rule's error below 1e-6",
    sabotage=edit(further.importance_bound, " - np.log(log_w.shape[-1])", ""),
)
def bounds_in_order(run: Run) -> float:
    values = [float(further.by_quadrature(k, X1, W1, V1)) for k in (1, 2, 3)]
    return float(np.sum(np.diff([*values, further.log_p(X1, W1)]) <= 0))


def drawn(run: Run) -> tuple[float, float]:
    """(mean, standard error) of L_3 by sampling."""
    eps = generator(run, 11, 3).standard_normal((20_000, 3))
    log_w = further.log_weights(X1, W1, V1, eps)
    return mean_and_error(further.importance_bound(log_w))


def three_by_numpy() -> float:
    """L_3 by quadrature in NumPy, in other words: from the densities."""
    eps, weight = further.nodes(3, 30)
    z = V1 * X1 + np.sqrt(VARIANCE) * eps
    joint = np.exp(-0.5 * (X1 - W1 * z) ** 2 - 0.5 * z**2) / (2 * np.pi)
    q = np.exp(-0.5 * eps**2) / np.sqrt(2 * np.pi * VARIANCE)
    return float(weight @ np.log((joint / q).mean(axis=1)))


@claim(
    "three-samples",
    "L_3 by sampling, ln of the mean of three weights, is its integral by quadrature, nats",
    kind="statistical",
    expected=lambda run: three_by_numpy(),
    tolerance=lambda run: 5 * run.shared(drawn)[1],
    reason="5 standard errors of 20,000 draws",
    sabotage=edit(further.importance_bound, "log_w.shape[-1]", "log_w.shape[-1] + 1"),
)
def three_samples(run: Run) -> float:
    return run.shared(drawn)[0]  # type: ignore[no-any-return]


@claim(
    "importance-gradient",
    "the gradient of L_k weighs each sample's gradient of ln w by w / sum w: largest difference",
    kind="exact",
    expected=0.0,
    tolerance=100 * EPS * 10,  # 100 eps times the size of the gradients of single samples
    reason="rounding",
    sabotage=wrong_rule(
        "logsumexp", "x", "reshape(g, kept(x.shape, axis)) * softmax(0.9 * x, axis=axis)"
    ),
)
def importance_gradient(run: Run) -> float:
    eps = generator(run, 11, 2).standard_normal((50, 5))
    w, v = (tensor(at, requires_grad=True) for at in (W1, V1))
    found = grad(further.importance_bound(further.log_weights(X1, w, v, eps)).mean(), [w, v])
    z = V1 * X1 + np.sqrt(VARIANCE) * eps
    weights = np.exp(-0.5 * ((X1 - W1 * z) ** 2 + z**2) + 0.5 * eps**2)
    weights /= weights.sum(axis=1, keepdims=True)
    error = X1 - W1 * z
    by_hand = [error * z, (error * W1 - z) * X1]  # of ln w by w, by v
    return max(
        abs(float(g) - float((weights * each).sum(axis=1).mean()))
        for g, each in zip(found, by_hand, strict=True)
    )


@claim(
    "held-variance",
    "with q's variance held at d the ELBO's best decoder has w^2 = sqrt(S / d) - 1, not S - 1",
    kind="exact",
    expected=float(np.sqrt(SPREAD / VARIANCE) - 1),
    tolerance=PLACE,
    reason="optimum by L-BFGS",
    sabotage=edit(further.log_weights, "+ z**2)", "+ 0.9 * z**2)"),
)
def held_variance(run: Run) -> float:
    return run.shared(best_of, 1)[1] ** 2  # type: ignore[no-any-return]


def best_of(run: Run, k: int) -> tuple[float, float, float]:
    """`one_weight`, once a run."""
    return further.one_weight(k)


@claim(
    "importance-training",
    "trained with it, max L_1 <= max L_2 <= ln p at the w of L_2 <= largest ln p: violated "
    "inequalities",
    kind="bound",
    expected=0.0,
    tolerance=0.0,
    reason="the gaps are above 0.01 nats, the rule's error below 1e-6",
    sabotage=edit(further.importance_bound, "- np.log(", "+ 0 * np.log("),
)
def importance_training(run: Run) -> float:
    (first, _, _), (second, w, _) = (run.shared(best_of, k) for k in (1, 2))
    x = SPREAD**0.5
    line = [first, second, further.log_p(x, w), further.log_p(x, np.sqrt(SPREAD - 1))]
    return float(np.sum(np.diff(line) <= 0))


# --- Langevin sampling ----------------------------------------------------------------------------


def gaussian_ends(run: Run) -> np.ndarray:
    """Ends of chains on N(0, 1): one centre, smoothed."""
    rng = generator(run, 11, 5)
    start = rng.standard_normal((40_000, 1))
    return further.langevin(start, np.zeros((1, 1)), 1.0, 0.5, CHAIN, rng)[:, 0]


@claim(
    "langevin-gaussian",
    "on N(0, 1) steps of h = .5 end at the variance 1 / (1 - h / 2), not 1",
    kind="statistical",
    expected=1 / 0.75,
    # what remains of the start, (1 - h)^(2 steps) = 1e-24, is nothing
    tolerance=lambda run: 5 / 0.75 * np.sqrt(2 / len(run.shared(gaussian_ends))),
    reason="5 standard errors of the variance of independent Gaussian chains",
    sabotage=edit(further.langevin, "np.sqrt(2 * h)", "np.sqrt(h)"),
)
def langevin_gaussian(run: Run) -> float:
    return float(np.mean(run.shared(gaussian_ends) ** 2))


def on_grid(run: Run) -> tuple[float, float]:
    """(mean, variance) of the chains' law after all steps, from densities on a grid."""
    return further.moments_on_grid(further.exact_step(STEP), STEP, CHAIN)


@claim(
    "langevin-mean",
    "Langevin steps along a denoiser's score of a mixture: mean of the ends of many chains",
    kind="statistical",
    expected=lambda run: run.shared(on_grid)[0],
    tolerance=lambda run: 5 * mean_and_error(run.shared(further.walked))[1],
    reason="5 standard errors of independent chains; the law after these steps, on a grid",
    sabotage=edit(further.drift, "(centres, x, sigma)", "(centres + 2.0, x, sigma)"),
)
def langevin_mean(run: Run) -> float:
    return float(run.shared(further.walked).mean())


@claim(
    "langevin-variance",
    "Langevin steps along a denoiser's score of a mixture: variance of the ends of many chains",
    kind="statistical",
    expected=lambda run: run.shared(on_grid)[1],
    tolerance=lambda run: 5 * mean_and_error(squares(run))[1],
    reason="5 standard errors of independent chains; the law after these steps, on a grid",
    sabotage=edit(further.drift, "(denoised, x, sigma)", "(denoised, x, 1.5 * sigma)"),
)
def langevin_variance(run: Run) -> float:
    return float(squares(run).mean())


def squares(run: Run) -> np.ndarray:
    """Squared distances of the ends from the mean of the law."""
    return (run.shared(further.walked) - run.shared(on_grid)[0]) ** 2  # type: ignore[no-any-return]


@claim(
    "langevin-bias",
    "the steps' bias is of first order: twice the variance at h / 2, less that at h, is the "
    "mixture's",
    kind="exact",
    expected=float(CENTRES.var() + SMOOTHING**2),
    tolerance=lambda run: bias_left(),
    reason="the remainder is of order h^2: two thirds of twice what halving h removes of it",
    sabotage=edit(further.drift, "(denoised, x, sigma)", "(denoised, x, 0.97 * sigma)"),
)
def langevin_bias(run: Run) -> float:
    return extrapolated(further.denoiser_step, 0.1)


def extrapolated(step_of: Any, h: float) -> float:
    """Twice the variance at h / 2, less that at h, both after a time of 60, when 4e-7 is left of
    the start.
    """
    whole, half = (
        further.moments_on_grid(step_of(each), each, round(60 / each))[1] for each in (h, h / 2)
    )
    return float(2 * half - whole)


def bias_left() -> float:
    """2 |R(h) - R(h / 2)| for R(h) = v + c h^p from the mixture's densities, without a denoiser: at
    least |R(h) - v| where 2 (1 - 2^-p) >= 1, which is where p >= 1; 1.5 times it for p = 2.
    """
    whole, half = (extrapolated(further.exact_step, h) for h in (0.1, 0.05))
    return 2 * abs(whole - half)
