"""Claims of lesson 08, continued: EM is coordinate ascent on the bound; the parts of the gap; importance weighting."""

from __future__ import annotations

import numpy as np

from .. import analytic, engine
from ..models import LinearVAE
from . import experiments_elbo as lab
from . import experiments_evidence as evidence
from .bugs import edit, wrong_rule
from .claim import Run, claim
from .experiments_elbo import alternate, anywhere, cloud, e_step, matrices, mean_bound

# --- EM ---------------------------------------------------------------------------------------------------------------

STEPS = 6


@claim(
    "e-step",
    "an E step by L-BFGS finds the exact posterior (M = 1): KL(q || p(z | x)) that is left",
    expected=0.0,
    tolerance=1e-12,
    reason="quadratic in an error of 1e-10 in the gradient, and roundings of log p",
    sabotage=edit(LinearVAE.encode, "- self.mean", "- 0.9 * self.mean"),
)
def e_step_exact(run: Run) -> float:
    model, X = lab.one_unit(), cloud()[0]
    e_step(model, X)
    return lab.terms(model, X).log_p - mean_bound(model, X)


@claim(
    "em-formulas",
    "E and M steps by L-BFGS are Tipping & Bishop's equations 29 and 30 (M = 1): log p after 6 steps",
    expected=lambda run: float(_em_sequence()[-1]),
    tolerance=1e-9,
    reason="each half step by L-BFGS to 1e-10 in the gradient",
    sabotage=edit(LinearVAE.bound_of, "+ ops.exp_remainder(log_var)", "+ 0.98 * ops.exp(log_var) - 1 - log_var"),
)
def em_formulas(run: Run) -> float:
    return run.shared(alternate, 1, STEPS)[1][-1].log_p


def _em_sequence() -> np.ndarray:
    start = lab.one_unit()
    return analytic.em_sequence(lab.covariance(start, cloud()[0]), matrices(start)[0], start.sigma2, STEPS)[1]


@claim(
    "em-monotone",
    "log p never falls in EM: sum of all falls over 6 E and M steps (M = 1)",
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
    "after an E step bound and likelihood touch: d bound / dW = d log p / dW there (M = 1): relative error",
    expected=0.0,
    tolerance=1e-8,
    reason="Fisher's identity; the encoder is exact to about 1e-9",
    sabotage=wrong_rule("matmul", "B", "1.01 * (swapaxes(A, -1, -2) @ g)"),
)
def bound_touches(run: Run) -> float:
    model, X = lab.one_unit(), cloud()[0]
    W, S = matrices(model)[0], lab.covariance(model, X)
    V, d = analytic.best_encoder(W, model.sigma2)
    model.encoder_weight.data, model.log_var.data = V.T, np.log(d)
    (gradient,) = engine.grad(model.elbo(X) / len(X), [model.decoder_weight])
    C = np.linalg.inv(W @ W.T + model.sigma2 * np.eye(5))
    exact = (C @ S @ C - C) @ W  # of -1/2 [ln det C + tr C^-1 S], C = W W^T + sigma^2 I
    return float(np.linalg.norm(gradient.T - exact) / np.linalg.norm(exact))


# --- gaps -------------------------------------------------------------------------------------------------------------


@claim(
    "approximation-gap",
    "what the best diagonal q misses for a W with skewed columns (M = 2): Hadamard's gap",
    expected=lambda run: analytic.hadamard_gap(matrices(anywhere())[0], anywhere().sigma2),
    tolerance=1e-9,
    reason="E step by L-BFGS, quadratic in the error of the encoder",
    sabotage=edit(LinearVAE.bound_of, "+ ops.exp_remainder(log_var)", "+ ops.exp(log_var) - 1 - 0.9 * log_var"),
)
def approximation_gap(run: Run) -> float:
    model, X = anywhere(), cloud()[0]
    e_step(model, X)
    return lab.terms(model, X).log_p - mean_bound(model, X)


@claim(
    "amortisation-gap",
    "what the encoder misses of a best diagonal q for each datum on its own (80 x 4 free numbers)",
    expected=lambda run: analytic.amortisation_gap(*lab.second_moments(anywhere())),
    tolerance=1e-8,
    reason="q of each datum by L-BFGS, quadratic in their errors; 1e-10 of about 70",
    sabotage=edit(LinearVAE.decode, "+ self.mean", "+ 1.01 * self.mean"),
)
def amortisation_gap(run: Run) -> float:
    model, X = anywhere(), cloud()[0]
    return lab.free_posteriors(model, X) - mean_bound(model, X)


# --- importance weighting ----------------------------------------------------------------------------------------------


def groups(run: Run) -> evidence.Importance:
    """Bounds L_k of one datum for k = 1, 5 and 50."""
    return evidence.importance(run, (1, 5, 50), 6000 if run.fast else 20_000)


@claim(
    "importance-order",
    "L_1 < L_5 < L_50 < log p(x): how many of the three hold by more than 4 standard errors",
    expected=3.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(LinearVAE.draw, "((n_samples, *mu.shape))", "((1, *mu.shape)).repeat(n_samples, 0)"),
)
def importance_order(run: Run) -> float:
    found = run.shared(groups)
    gaps, errors = np.append(found.gap, 0.0), np.append(found.error, 0.0)
    return float(np.sum(-np.diff(gaps) > 4 * np.hypot(errors[1:], errors[:-1])))


@claim(
    "importance-rate",
    "k (log p(x) - L_k) tends to chi^2(p(z | x) || q)/2: at k = 50",
    expected=lambda run: evidence.imperfect()[3] / 2,
    tolerance=lambda run: 50 * 4 * float(run.shared(groups).error[-1]) + evidence.imperfect()[3] / 2 / 50,
    reason="4 standard errors, and the next order in 1/k",
    sabotage=edit(LinearVAE.log_likelihood, "ops.logsumexp(log_w, axis=0).numpy() - math.log(n_samples)",
                  "log_w.numpy().mean(axis=0)"),
)  # fmt: skip
def importance_rate(run: Run) -> float:
    return 50 * float(run.shared(groups).gap[-1])
