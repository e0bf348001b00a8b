"""Claims of lesson 08: log p = L + KL for any q, and the linear VAE at its maximum is probabilistic
PCA.
"""

from __future__ import annotations

import numpy as np

from .. import analytic
from ..autodiff import engine
from ..autodiff.curvature import extreme_curvatures, hessian_product
from ..experiments import elbo
from ..experiments.elbo import alternate, anywhere, cloud, e_step, matrices, mean_bound, trained
from ..models import LinearVAE, densities
from .bugs import edit, wrong_rule
from .definition import EPS, Run, claim, generator, mean_and_error


def roundings(scale: float) -> float:
    """A hundred roundings of numbers of this size: what an identity in float64 may miss."""
    return 100 * EPS * abs(scale)


# --- the bound, and log p = L + KL ----------------------------------------------------------------


def exact_bound(model: LinearVAE) -> float:
    """The bound in closed form, nats per datum."""
    return analytic.linear_elbo(*elbo.second_moments(model)).value


@claim(
    "bound-formula",
    "the bound in Tensor operations equals its closed form at random weights, nats per datum",
    kind="exact",
    expected=lambda run: exact_bound(anywhere()),
    tolerance=lambda run: roundings(exact_bound(anywhere())),
    reason="algebraic identity in float64: a hundred roundings",
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
    tolerance=lambda run: 5 * run.shared(sampled)[1],
    reason="5 standard errors of 32,000 draws",
    sabotage=edit(LinearVAE.draw, "mu, log_var, rng.", "mu, 2 * log_var, rng."),
)
def bound_sampled(run: Run) -> float:
    return run.shared(sampled)[0]


@claim(
    "evidence-identity",
    "log p(x) - L - KL(q || p(z | x)) for each of 80 data, at random weights: largest",
    kind="exact",
    expected=0.0,
    tolerance=lambda run: roundings(max(abs(anywhere().bound(cloud()[0]).numpy()))),
    reason="algebraic identity in float64: a hundred roundings of the largest bound",
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
    "... and for 20 random mixtures q under a non-linear decoder, where L, KL and log p(x) are "
    "integrals of their own: largest |L + KL - log p(x)|",
    kind="exact",
    expected=0.0,
    tolerance=roundings(20),
    reason="a hundred roundings of L and KL, up to 20; the trapezoid rule converges exponentially "
    "for smooth integrands, and its spacings are below a thirtieth of the least width",
    sabotage=edit(densities.log_normal, "ops.exp(-log_var)", "ops.exp(-0.5 * log_var)"),
)
def any_q(run: Run) -> float:
    model, x = elbo.hairpin()
    log_p, grid = hairpin_log_p(), np.linspace(-10, 10, 4001)
    return max(
        abs(elbo.bound_on_grid(model, x, grid, q.log_density(grid)) + divergence(q) - log_p)
        for q in elbo.mixtures(generator(run, 87), 20)
    )


def hairpin_log_conditional(z: np.ndarray) -> np.ndarray:
    """log p(x | z) of the one datum (G, 1) at the points z (G, 1), written out in NumPy: no code of
    the model.
    """
    model, x = elbo.hairpin()
    w1, b1, w2, b2 = (p.numpy() for p in model.decoder.parameters())
    square = ((x[0] - np.tanh(z @ w1 + b1) @ w2 - b2) ** 2).sum(axis=1, keepdims=True)
    return -np.log(2 * np.pi * 0.4**2) - square / (2 * 0.4**2)


def hairpin_log_p() -> float:
    """log p(x), the logarithm of the integral of p(x | z) p(z)."""
    return float(analytic.grid_log_prob(hairpin_log_conditional, 1, points=5001)[0])


def divergence(q: elbo.Mixture) -> float:
    """KL(q || p(z | x)) by a sum over a grid of its own, q and the posterior written out."""
    z, step = np.linspace(-10, 10, 3001, retstep=True)
    log_posterior = hairpin_log_conditional(z[:, None])[:, 0] - 0.5 * z**2
    log_posterior -= np.log(np.exp(log_posterior).sum() * step)
    spread = np.exp(0.5 * q.log_vars)
    heights = q.weights / spread / np.sqrt(2 * np.pi)
    log_q = np.log(np.exp(-0.5 * ((z[:, None] - q.means) / spread) ** 2) @ heights + 1e-300)
    return float((np.exp(log_q) * (log_q - log_posterior)).sum() * step)


# --- a step in phi, a step in w -------------------------------------------------------------------


@claim(
    "encoder-lifts",
    "w fixed: 12 steps in phi lift the bound by what KL(q || p(z | x)) loses, and log p stays: "
    "largest difference",
    kind="exact",
    expected=0.0,
    tolerance=roundings(100),
    reason="algebraic identity in float64: a hundred roundings of about 100",
    sabotage=edit(LinearVAE.encode, "- self.decoder.bias", "- 0.9 * self.decoder.bias"),
)
def encoder_lifts(run: Run) -> float:
    model = anywhere()
    path = elbo.stepped(model, [model.encoder_weight, model.log_var], 12)
    lifted, lost = (np.diff([getattr(t, name) for t in path]) for name in ("elbo", "kl"))
    log_p = np.array([t.log_p for t in path])
    return float(np.abs(lifted + lost).max() + np.abs(log_p - log_p[0]).max())


@claim(
    "decoder-lifts-more",
    "phi fixed where KL = 0 (M = 1, 20 decoders): in 5 steps in w log p rises at least as much as "
    "the bound: sum of what it lacks",
    kind="bound",
    expected=0.0,
    tolerance=20 * 5 * roundings(100),
    reason="100 differences, each a hundred roundings of about 100",
    sabotage=edit(LinearVAE.expected_log_likelihood, " + ops.sum(spread, axis=1)", ""),
)
def decoder_lifts_more(run: Run) -> float:
    rng, lacking = generator(run, 88), 0.0
    for _ in range(20):
        model, _ = at_the_posterior(rng.standard_normal((5, 1)))
        path = elbo.stepped(model, [model.decoder_weight], 5)
        log_p, bound = (np.array([getattr(t, name) for t in path]) for name in ("log_p", "elbo"))
        lacking += np.maximum(0, (bound - bound[0]) - (log_p - log_p[0])).sum()
    return float(lacking)


# --- the linear VAE at its maximum ----------------------------------------------------------------


def likelihood_maximum(run: Run) -> tuple[analytic.PPCA, float]:
    """(probabilistic PCA of the data, its mean log p), M = 2."""
    X, l = cloud()
    return analytic.ppca(X, 2), analytic.ppca_optimum(l, 2)[0]


def weights_off(run: Run) -> float:
    """How far L-BFGS has stopped from the maximum, at most: twice the gradient that is left over
    the least curvature there.
    """
    model, X = run.shared(trained, 2), cloud()[0]
    weights = [p for p in model.parameters() if p is not model.mean]
    loss = model.loss(X) / len(X)
    left = np.concatenate([np.ravel(g) for g in engine.grad(loss, weights)])
    loss = model.loss(X) / len(X)
    least, _ = extreme_curvatures(hessian_product(loss, weights), len(left))
    return 2 * float(np.linalg.norm(left)) / least


@claim(
    "is-ppca",
    "trained by L-BFGS the bound ends at the largest log p of probabilistic PCA, per datum",
    kind="exact",
    expected=lambda run: run.shared(likelihood_maximum)[1],
    tolerance=lambda run: roundings(run.shared(likelihood_maximum)[1]),
    reason="a hundred roundings; what L-BFGS leaves is the square of a gradient of 1e-9",
    sabotage=edit(LinearVAE.fit, "len(X) - len(R)", "0"),
)
def is_ppca(run: Run) -> float:
    return mean_bound(run.shared(trained, 2), cloud()[0])


@claim(
    "is-ppca-subspace",
    "... with the same W W^T: largest difference of an entry",
    kind="exact",
    expected=0.0,
    tolerance=lambda run: 2 * np.sqrt(cloud()[1][0]) * run.shared(weights_off),
    reason="2 ||w|| times how far L-BFGS has stopped from the optimum: twice the gradient that is "
    "left, over the least curvature",
    sabotage=edit(LinearVAE.expected_log_likelihood, "+ ops.sum(spread", "+ 0.9 * ops.sum(spread"),
)
def is_ppca_subspace(run: Run) -> float:
    W, truth = matrices(run.shared(trained, 2))[0], run.shared(likelihood_maximum)[0].W
    return float(np.abs(W @ W.T - truth @ truth.T).max())


def mean_left_out() -> float:
    return float(cloud()[1][2:].mean())


@claim(
    "is-ppca-noise",
    "... and the learnt sigma^2 is the mean of the eigenvalues left out",
    kind="exact",
    expected=lambda run: mean_left_out(),
    tolerance=lambda run: mean_left_out() * run.shared(weights_off),
    reason="sigma^2 times how far L-BFGS has stopped from the optimum, here in ln sigma^2",
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
    tolerance=roundings(1),
    reason="a hundred roundings: 1 - cos is the square of an angle of 1e-8",
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
    tolerance=roundings(20),
    reason="algebraic identity in float64: a hundred roundings of about 20; includes every 2 pi",
    sabotage=edit(LinearVAE._log_weights, " + log_normal(z)", ""),
)
def constant_weights(run: Run) -> float:
    (model, W), X = at_the_posterior(), cloud()[0]
    log_w = model.log_weights(X, generator(run, 1), 50).numpy()
    truth = analytic.PPCA(W, model.mean.numpy(), model.sigma2)
    return float(np.abs(log_w - truth.log_prob(X)).max())


def at_the_posterior(W: np.ndarray | None = None) -> tuple[LinearVAE, np.ndarray]:
    """One unit whose encoder is the exact posterior (with M = 1 a diagonal covariance is a full
    one), and its W (5, 1), random unless given.
    """
    model = elbo.started(1)
    W = matrices(model)[0] if W is None else W
    model.decoder_weight.data = W.T
    V, d = analytic.best_encoder(W, model.sigma2)
    model.encoder_weight.data, model.log_var.data = V.T, np.log(d)
    return model, W


@claim(
    "linear-samples",
    "samples of the linear VAE have the covariance W W^T + sigma^2 I: largest difference of an "
    "entry, in standard errors",
    kind="statistical",
    expected=0.0,
    tolerance=5.0,
    reason="5 standard errors, by the variances of a Wishart matrix of 400,000 samples",
    sabotage=edit(LinearVAE.sample, "math.sqrt(self.sigma2) *", "0.5 * math.sqrt(self.sigma2) *"),
)
def linear_samples(run: Run) -> float:
    model = anywhere()
    W = matrices(model)[0]
    X = model.sample(400_000, generator(run, 89)) - model.mean.numpy()
    C = W @ W.T + model.sigma2 * np.eye(5)
    return float((np.abs(X.T @ X / len(X) - C) / elbo.covariance_errors(C, len(X))).max())


# --- EM -------------------------------------------------------------------------------------------

STEPS = 6


@claim(
    "e-step",
    "an E step by L-BFGS finds the exact posterior (M = 1): KL(q || p(z | x)) that is left",
    kind="exact",
    expected=0.0,
    tolerance=roundings(20),
    reason="a hundred roundings of log p, about 20; the rest is quadratic in a gradient of 1e-10",
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
    tolerance=2 * STEPS * 1e-10,
    reason="each half step by L-BFGS to 1e-10 in the gradient, where log p changes by less than 1",
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
    tolerance=2 * STEPS * roundings(20),
    reason="a hundred roundings of log p, about 20, in each of 12 half steps; the gap that an E "
    "step leaves is the square of a gradient of 1e-10",
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
    tolerance=roundings(20),
    reason="Fisher's identity; a hundred roundings, times the condition of the covariance, about "
    "20",
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
    tolerance=roundings(20),
    reason="a hundred roundings of log p, about 20; the rest is quadratic in a gradient of 1e-10",
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
    tolerance=lambda run: roundings(exact_bound(anywhere())),
    reason="a hundred roundings of the bound; the rest is quadratic in a gradient of 1e-12",
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
    "L_1 < L_5 < L_50 < log p(x): how many of the three hold by more than 5 standard errors",
    kind="bound",
    expected=3.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(
        LinearVAE.draw,
        "rng.standard_normal(shape)",
        "rng.standard_normal((1, *mu.shape)).repeat(n_samples, 0)",
    ),
)
def importance_order(run: Run) -> float:
    found = run.shared(groups)
    gaps, errors = np.append(found.gap, 0.0), np.append(found.error, 0.0)
    return float(np.sum(-np.diff(gaps) > 5 * np.hypot(errors[1:], errors[:-1])))


def rate_allowed(run: Run, k: int) -> float:
    return 5 * k * float(run.shared(groups).error[-1]) + elbo.imperfect()[3] / k**2


@claim(
    "importance-rate",
    "k (log p(x) - L_k) is chi^2/2 + (3 chi^4/4 - m3/3)/k, chi^2 and m3 the central moments of "
    "p(z | x)/q: at k = 50",
    kind="statistical",
    expected=lambda run: rate_at(50),
    tolerance=lambda run: rate_allowed(run, 50),
    reason="5 standard errors, and the next order in 1/k",
    sabotage=edit(
        LinearVAE.log_likelihood,
        "np.logaddexp.reduce(log_w, axis=0, dtype=np.float64)",
        "log_w.mean(axis=0) + math.log(len(log_w))",
    ),
)
def importance_rate(run: Run) -> float:
    return 50 * float(run.shared(groups).gap[-1])


def rate_at(k: int) -> float:
    """The first two terms of -k E ln(1 + mean of k (r - 1)), r = p(z | x)/q(z), z drawn from q."""
    chi2, third = moment(2) - 1, moment(3) - 3 * moment(2) + 2
    return chi2 / 2 + (3 * chi2**2 / 4 - third / 3) / k


def moment(order: int) -> float:
    """E r^order, the integral of p^order q^(1 - order), for two Gaussians: p the posterior, q the
    encoder that is near it.
    """
    model, x, _, _ = elbo.imperfect()
    (W, V, d), centred = matrices(model), x[0] - model.mean.numpy()
    P, Q = analytic.posterior_precision(W, model.sigma2), np.diag(1 / d)
    p, q = np.linalg.solve(P, W.T @ centred / model.sigma2), V @ centred
    A, h = order * P + (1 - order) * Q, order * P @ p + (1 - order) * Q @ q
    logs = order * np.linalg.slogdet(P)[1] + (1 - order) * np.linalg.slogdet(Q)[1]
    square = order * p @ P @ p + (1 - order) * q @ Q @ q
    return float(
        np.exp(0.5 * (logs - np.linalg.slogdet(A)[1] + h @ np.linalg.solve(A, h) - square))
    )
