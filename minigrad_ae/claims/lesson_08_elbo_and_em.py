"""Claims of lesson 08: log p = L + KL for any q, and the linear VAE at its maximum is probabilistic
PCA.
"""

from __future__ import annotations

import numpy as np

from .. import analytic
from ..autodiff import engine
from ..experiments import elbo
from ..experiments.elbo import alternate, anywhere, cloud, e_step, matrices, mean_bound, trained
from ..models import LinearVAE, densities
from .bugs import edit, wrong_rule
from .definition import Run, claim, generator, mean_and_error

# of z; the prior beyond weighs 1e-23, and the spacing is a fiftieth of any width below
GRID = np.linspace(-10, 10, 4001)

# --- the bound, and log p = L + KL ----------------------------------------------------------------


def exact_bound(model: LinearVAE) -> float:
    """The bound in closed form, nats per datum."""
    return analytic.linear_elbo(*elbo.second_moments(model)).value


@claim(
    "bound-formula",
    "the bound in Tensor operations equals its closed form at random weights, nats per datum",
    kind="exact",
    expected=lambda run: exact_bound(anywhere()),
    tolerance=1e-10,
    reason="algebraic identity in float64: 1e-12 of about 70",
    sabotage=edit(densities.kl_to_prior, "0.5 * ops.sum(", "ops.sum("),
)
def bound_formula(run: Run) -> float:
    return mean_bound(anywhere(), cloud()[0])


def encoded(run: Run) -> LinearVAE:
    """Random weights, and the best encoder for them."""
    model = anywhere()
    e_step(model, cloud()[0])
    return model


def sampled(run: Run) -> tuple[float, float]:
    """(mean, standard error) per datum of the bound by sampling z."""
    model, rng = run.shared(encoded), generator(run, 80)
    return mean_and_error([mean_bound(model, cloud()[0], rng) for _ in range(400)])


@claim(
    "bound-sampled",
    "the bound by sampling z agrees with the exact one, nats per datum",
    kind="statistical",
    expected=lambda run: exact_bound(run.shared(encoded)),
    tolerance=lambda run: 4 * run.shared(sampled)[1],
    reason="4 standard errors of 32,000 draws",
    sabotage=edit(LinearVAE.draw, "mu, log_var, rng.", "mu, 2 * log_var, rng."),
)
def bound_sampled(run: Run) -> float:
    return run.shared(sampled)[0]


@claim(
    "evidence-identity",
    "log p(x) - L - KL(q || p(z | x)) for each of 80 data, at random weights: largest",
    kind="exact",
    expected=0.0,
    tolerance=1e-10,
    reason="algebraic identity in float64: 1e-12 of about 100",
    sabotage=edit(LinearVAE.expected_log_likelihood, "LN_2PI + ", ""),
)
def evidence_identity(run: Run) -> float:
    model, X = anywhere(), cloud()[0]
    W, _, d = matrices(model)
    truth = analytic.PPCA(W, model.mean.numpy(), model.sigma2)
    posterior, covariance = truth.posterior(X)
    q = model.encode(X)[0].numpy()
    pairs = zip(q, posterior, strict=True)
    kl = [analytic.kl_normal(a, np.diag(d), b, covariance) for a, b in pairs]
    return float(np.abs(truth.log_prob(X) - model.bound(X).numpy() - kl).max())


@claim(
    "any-q",
    "... and for six densities q of any shape under a non-linear decoder: largest |L + KL - log "
    "p(x)|",
    kind="exact",
    expected=0.0,
    tolerance=1e-10,
    reason="sums over 4001 grid points in float64; p(x) by the trapezoid rule, at rounding for "
    "smooth decoders",
    sabotage=edit(densities.log_normal, "ops.exp(-log_var)", "ops.exp(-0.5 * log_var)"),
)
def any_q(run: Run) -> float:
    model, x = elbo.hairpin()
    log_p = run.shared(hairpin_evidence)
    return max(
        abs(sum(elbo.on_grid(model, x, GRID, q)) - log_p) for q in elbo.shapes(GRID).values()
    )


def hairpin_evidence(run: Run) -> float:
    """log p(x) = ln of the integral of p(x | z) p(z), the decoder written out in NumPy, without
    any code of the model.
    """
    model, x = elbo.hairpin()
    w1, b1, w2, b2 = (p.numpy() for p in model.decoder.parameters())

    def log_conditional(z: np.ndarray) -> np.ndarray:
        y = np.tanh(z @ w1 + b1) @ w2 + b2
        return analytic.log_normal(x[0], y, 2 * np.log(0.4))[:, None]

    return float(analytic.grid_log_prob(log_conditional, 1, points=len(GRID))[0])


# --- the linear VAE at its maximum ----------------------------------------------------------------


def likelihood_maximum(run: Run) -> tuple[analytic.PPCA, float]:
    """(probabilistic PCA of the data, its mean log p), M = 2."""
    X, l = cloud()
    return analytic.ppca(X, 2), analytic.ppca_optimum(l, 2)[0]


@claim(
    "is-ppca",
    "trained by L-BFGS the bound ends at the largest log p of probabilistic PCA, per datum",
    kind="exact",
    expected=lambda run: run.shared(likelihood_maximum)[1],
    tolerance=1e-8,
    reason="1e-9 of about 9: optimum by L-BFGS",
    sabotage=edit(LinearVAE.fit, "len(X) - len(R)", "0"),
)
def is_ppca(run: Run) -> float:
    return mean_bound(run.shared(trained, 2), cloud()[0])


@claim(
    "is-ppca-subspace",
    "... with the same W W^T: largest difference of an entry",
    kind="exact",
    expected=0.0,
    tolerance=1e-5,
    reason="optimum by L-BFGS, entries up to 8",
    sabotage=edit(LinearVAE.expected_log_likelihood, "+ ops.sum(spread", "+ 0.9 * ops.sum(spread"),
)
def is_ppca_subspace(run: Run) -> float:
    W, truth = matrices(run.shared(trained, 2))[0], run.shared(likelihood_maximum)[0].W
    return float(np.abs(W @ W.T - truth @ truth.T).max())


@claim(
    "is-ppca-noise",
    "... and the learnt sigma^2 is the mean of the eigenvalues left out",
    kind="exact",
    expected=lambda run: float(cloud()[1][2:].mean()),
    tolerance=1e-6,
    reason="optimum by L-BFGS",
    sabotage=edit(
        LinearVAE.expected_log_likelihood, "self.n_features * (", "(self.n_features - 1) * ("
    ),
)
def is_ppca_noise(run: Run) -> float:
    return run.shared(trained, 2).sigma2


@claim(
    "rotation-fixed",
    "a diagonal q fixes the rotation that the likelihood leaves free: |cos| of W's columns to "
    "components",
    kind="exact",
    expected=1.0,
    tolerance=1e-9,
    reason="1 - cos is the square of an angle below 1e-5",
    sabotage=wrong_rule("exp", "x", "0 * g * y"),
)
def rotation_fixed(run: Run) -> float:
    W, U = matrices(run.shared(trained, 2))[0], analytic.pca(cloud()[0]).components[:, :2]
    cosines = np.abs((W / np.linalg.norm(W, axis=0)).T @ U)
    return float(cosines.max(axis=1).min())


@claim(
    "constant-weights",
    "where q is the exact posterior, ln w = ln p(x, z)/q(z | x) is log p(x) for every z: largest "
    "difference",
    kind="exact",
    expected=0.0,
    tolerance=1e-12,
    reason="algebraic identity in float64, a hundred roundings of about 20; includes every 2 pi",
    sabotage=edit(LinearVAE._log_weights, " + log_normal(z)", ""),
)
def constant_weights(run: Run) -> float:
    (model, W), X = at_the_posterior(), cloud()[0]
    log_w = model.log_weights(X, generator(run, 1), 50).numpy()
    truth = analytic.PPCA(W, model.mean.numpy(), model.sigma2)
    return float(np.abs(log_w - truth.log_prob(X)).max())


def at_the_posterior() -> tuple[LinearVAE, np.ndarray]:
    """One unit whose encoder is the exact posterior (with M = 1 a diagonal covariance is a full
    one), and W.
    """
    model = elbo.started(1)
    W = matrices(model)[0]
    V, d = analytic.best_encoder(W, model.sigma2)
    model.encoder_weight.data, model.log_var.data = V.T, np.log(d)
    return model, W


# --- EM -------------------------------------------------------------------------------------------

STEPS = 6


@claim(
    "e-step",
    "an E step by L-BFGS finds the exact posterior (M = 1): KL(q || p(z | x)) that is left",
    kind="exact",
    expected=0.0,
    tolerance=1e-12,
    reason="quadratic in an error of 1e-10 in the gradient, and roundings of log p",
    sabotage=edit(LinearVAE.encode, "- self.decoder.bias", "- 0.9 * self.decoder.bias"),
)
def e_step_exact(run: Run) -> float:
    model, X = elbo.started(1), cloud()[0]
    e_step(model, X)
    return elbo.terms(model, X).log_p - mean_bound(model, X)


@claim(
    "em-formulas",
    "E and M steps by L-BFGS are Tipping & Bishop's equations 29 and 30 (M = 1): log p after 6 "
    "steps",
    kind="exact",
    expected=lambda run: em_by_formula(elbo.started(1)),
    tolerance=1e-9,
    reason="each half step by L-BFGS to 1e-10 in the gradient",
    sabotage=edit(
        densities.kl_to_prior,
        "ops.exp_remainder(log_var)",
        "0.98 * ops.exp(log_var) - 1 - log_var",
    ),
)
def em_formulas(run: Run) -> float:
    return run.shared(alternate, 1, STEPS)[1][-1].log_p


def em_by_formula(start: LinearVAE) -> float:
    """log p after STEPS rounds of Tipping & Bishop's equations."""
    S, W = elbo.covariance(start, cloud()[0]), matrices(start)[0]
    return float(analytic.em_sequence(S, W, start.sigma2, STEPS)[1][-1])


@claim(
    "em-monotone",
    "log p never falls in EM: sum of all falls over 6 E and M steps (M = 1)",
    kind="bound",
    expected=0.0,
    tolerance=1e-10,
    reason="a few roundings of log p, and an M step that is exact to 1e-10",
    sabotage=edit(LinearVAE.expected_log_likelihood, " + ops.sum(spread, axis=1)", ""),
)
def em_monotone(run: Run) -> float:
    log_p = np.array([t.log_p for t in run.shared(alternate, 1, STEPS)[1]])
    return float(np.maximum(0, -np.diff(log_p)).sum())


@claim(
    "bound-touches",
    "after an E step bound and likelihood touch: d bound / dW = d log p / dW there (M = 1): "
    "relative error",
    kind="exact",
    expected=0.0,
    tolerance=1e-8,
    reason="Fisher's identity; the encoder is exact to about 1e-9",
    sabotage=wrong_rule("matmul", "B", "1.01 * (swapaxes(A, -1, -2) @ g)"),
)
def bound_touches(run: Run) -> float:
    (model, W), X = at_the_posterior(), cloud()[0]
    S = elbo.covariance(model, X)
    (gradient,) = engine.grad(model.elbo(X) / len(X), [model.decoder_weight])
    C = np.linalg.inv(W @ W.T + model.sigma2 * np.eye(5))
    exact = (C @ S @ C - C) @ W  # of -1/2 [ln det C + tr C^-1 S], C = W W^T + sigma^2 I
    return float(np.linalg.norm(gradient.T - exact) / np.linalg.norm(exact))


# --- gaps -----------------------------------------------------------------------------------------


@claim(
    "approximation-gap",
    "what the best diagonal q misses for a W with skewed columns (M = 2): Hadamard's gap",
    kind="exact",
    expected=lambda run: analytic.hadamard_gap(matrices(anywhere())[0], anywhere().sigma2),
    tolerance=1e-9,
    reason="E step by L-BFGS, quadratic in the error of the encoder",
    sabotage=edit(
        densities.kl_to_prior,
        "ops.exp_remainder(log_var)",
        "ops.exp(log_var) - 1 - 0.9 * log_var",
    ),
)
def approximation_gap(run: Run) -> float:
    model, X = anywhere(), cloud()[0]
    e_step(model, X)
    return elbo.terms(model, X).log_p - mean_bound(model, X)


@claim(
    "amortisation-gap",
    "what the encoder misses of a best diagonal q for each datum on its own (80 x 4 free numbers)",
    kind="exact",
    expected=lambda run: analytic.amortisation_gap(*elbo.second_moments(anywhere())),
    tolerance=1e-8,
    reason="q of each datum by L-BFGS, quadratic in their errors; 1e-10 of about 70",
    sabotage=edit(LinearVAE.decode, "+ self.decoder.bias", "+ 1.01 * self.decoder.bias"),
)
def amortisation_gap(run: Run) -> float:
    model, X = anywhere(), cloud()[0]
    return elbo.free_posteriors(model, X) - mean_bound(model, X)


# --- importance weighting -------------------------------------------------------------------------


def groups(run: Run) -> elbo.Importance:
    """Bounds L_k of one datum for k = 1, 5 and 50."""
    return elbo.importance(run, (1, 5, 50), 6000 if run.fast else 20_000)


@claim(
    "importance-order",
    "L_1 < L_5 < L_50 < log p(x): how many of the three hold by more than 4 standard errors",
    kind="bound",
    expected=3.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(
        LinearVAE.draw, "((n_samples, *mu.shape))", "((1, *mu.shape)).repeat(n_samples, 0)"
    ),
)
def importance_order(run: Run) -> float:
    found = run.shared(groups)
    gaps, errors = np.append(found.gap, 0.0), np.append(found.error, 0.0)
    return float(np.sum(-np.diff(gaps) > 4 * np.hypot(errors[1:], errors[:-1])))


@claim(
    "importance-rate",
    "k (log p(x) - L_k) tends to chi^2(p(z | x) || q)/2: at k = 50",
    kind="statistical",
    expected=lambda run: half_chi_square(),
    tolerance=lambda run: importance_rate_allowed(run),
    reason="4 standard errors, and the next order in 1/k",
    sabotage=edit(
        LinearVAE.log_likelihood,
        "np.logaddexp.reduce(log_w, axis=0, dtype=np.float64)",
        "log_w.mean(axis=0) + math.log(len(log_w))",
    ),
)
def importance_rate(run: Run) -> float:
    return 50 * float(run.shared(groups).gap[-1])


def importance_rate_allowed(run: Run) -> float:
    """4 standard errors of 50 (log p(x) - L_50), and the next order in 1/k."""
    return 50 * 4 * float(run.shared(groups).error[-1]) + half_chi_square() / 50


def half_chi_square() -> float:
    """Half of chi^2(p(z | x) || q), for the encoder that is near the posterior."""
    return elbo.imperfect()[3] / 2
