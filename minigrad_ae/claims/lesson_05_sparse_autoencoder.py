"""Claims of lesson 05: a ReLU layer learns the soft threshold, lambda empties the code, the decoder
must be held, and what codes can be at best.
"""

from __future__ import annotations

import math

import numpy as np

from .. import analytic, ops
from ..autodiff import engine
from ..experiments import sparse
from ..models import SparseAutoencoder
from ..tensors import tensor
from .bugs import edit, wrong_rule
from .definition import EPS, Run, claim

# --- a given orthonormal decoder: the optimal code is a soft threshold ----------------------------


def soft(run: Run) -> np.ndarray:
    """soft(U^T x, lambda) of every row: the optimal codes."""
    X, U = run.shared(sparse.laplace)
    return analytic.soft_threshold(X @ U, sparse.LAM)


def best_loss(run: Run) -> float:
    """The sum over the data of the optimal 1/2 ||x - U z||^2 + lambda sum |z|."""
    X, U = run.shared(sparse.laplace)
    return float(analytic.sparse_loss(X, U, soft(run), sparse.LAM).sum())


def condition(run: Run) -> float:
    """The largest condition number of a unit's problem: least squares of (x, 1) on the rows where
    it is on.
    """
    X, U = run.shared(sparse.laplace)
    rows, a = np.hstack([X, np.ones((len(X), 1))]), X @ U
    on = [rows[sign * a[:, k] > sparse.LAM] for k in range(4) for sign in (1, -1)]
    return float(max(np.linalg.cond(each.T @ each) for each in on))


@claim(
    "soft-threshold-loss",
    "an encoder trained before an orthonormal decoder reaches the least E + lambda sum |z| that "
    "any code has",
    kind="exact",
    expected=best_loss,
    tolerance=lambda run: 100 * EPS * best_loss(run),
    reason="100 eps of the loss: rounding, as the error at an optimum is of second order",
    sabotage=edit(
        SparseAutoencoder.loss, "self.lam * ops.l1_norm(z)", "self.lam * ops.mean(ops.abs(z))"
    ),
)
def soft_threshold_loss(run: Run) -> float:
    return run.shared(sparse.trained_encoder).loss(run.shared(sparse.laplace)[0]).item()


@claim(
    "soft-threshold-codes",
    "... its codes are soft(u_k^T x, lambda): largest difference over 200 points",
    kind="exact",
    expected=0.0,
    tolerance=lambda run: 100 * EPS * condition(run),
    reason="100 eps x condition: with its rows known, a unit solves a least-squares problem",
    sabotage=edit(SparseAutoencoder.encode, "activation=self.activation", "activation=None"),
)
def soft_threshold_codes(run: Run) -> float:
    found = sparse.signed_codes(run.shared(sparse.trained_encoder), run.shared(sparse.laplace)[0])
    return float(np.max(np.abs(found - soft(run))))


@claim(
    "soft-threshold-bias",
    "... which a ReLU layer computes exactly, from u_k and from -u_k with bias -lambda: mean bias",
    kind="exact",
    expected=-sparse.LAM,
    tolerance=lambda run: 100 * EPS * condition(run),
    reason="100 eps x condition: with its rows known, a unit solves a least-squares problem",
    sabotage=edit(SparseAutoencoder.encode, " W, b,", " W, 2 * b,"),
)
def soft_threshold_bias(run: Run) -> float:
    return float(run.shared(sparse.trained_encoder).encoder_bias.numpy().mean())


# --- all weights trained, as lambda grows ---------------------------------------------------------

STARTS = range(3)


@claim(
    "sparser",
    "trained from 3 starts at lambda = .05, .1, .2, .4 of the longest row: steps of lambda at "
    "which the codes in use become fewer; count: 9",
    kind="empirical",
    expected=9,
    tolerance=0.0,
    reason="a count; no theory forbids that a local minimum uses more codes at a larger lambda",
    sabotage=edit(SparseAutoencoder.loss, "self.lam * ops", "0.0 * ops"),
)
def sparser(run: Run) -> float:
    counts = [[run.shared(sparse.codes_in_use, s, k) for s in sparse.SHARES] for k in STARTS]
    return float(np.count_nonzero(np.diff(counts, axis=1) < 0))


@claim(
    "dead-net",
    "... and from lambda = the length of the longest centred row on every stationary point has all "
    "codes 0: codes in use at 1.01 of it",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="a count: E~ >= sum ||x||^2 / 2 + (lambda - longest) sum |z|, as columns have length 1, "
    "and E~ is least along (c z, c b) at a stationary point",
    sabotage=edit(
        SparseAutoencoder.loss, "self.lam * ops.l1_norm(z)", "self.lam * ops.mean(ops.abs(z))"
    ),
)
def dead_net(run: Run) -> float:
    return float(sum(run.shared(sparse.codes_in_use, 1.01, k) for k in STARTS))


def least_with_one_code(run: Run) -> float:
    """sum ||x||^2 / 2 - N d^2 / 2 (N - 1); the dual point lambda u for the longest row u ||x||, and
    x_m + d u / (N - 1) for the others, proves that no net is below.
    """
    N, (_, dead, below) = len(run.shared(sparse.centred)[0]), run.shared(sparse.first_code)
    return float(dead - N * below**2 / (2 * (N - 1)))


@claim(
    "first-code",
    "... and with lambda d below the longest row, above the second longest, one code is the "
    "optimum: sum ||x||^2 / 2 - N d^2 / 2 (N - 1)",
    kind="exact",
    expected=least_with_one_code,
    # d^2 is of order 1, and the sum of 800 squares of order 800
    tolerance=lambda run: 100 * EPS * least_with_one_code(run),
    reason="100 eps of the loss: rounding, as the error at an optimum is of second order",
    sabotage=edit(SparseAutoencoder.decode, "self.decoder.bias)", "0 * self.decoder.bias)"),
)
def first_code(run: Run) -> float:
    return float(run.shared(sparse.first_code)[0])


# --- the decoder must be held ---------------------------------------------------------------------


def shrunk_loss(run: Run) -> float:
    return analytic.degenerate_loss(run.shared(sparse.few_digits), 4, 1.0, 1e-3)


@claim(
    "bare-degenerate",
    "the slide's objective: with codes shrunk to 1/1000 it is PCA's loss + lambda sum |U^T x| / "
    "1000",
    kind="exact",
    expected=lambda run: shrunk_loss(run),
    tolerance=lambda run: 100 * EPS * shrunk_loss(run),
    reason="100 eps of the loss: an algebraic identity in float64",
    sabotage=edit(
        SparseAutoencoder.decoding_weight, 'self.constraint == "unit"', 'self.constraint != "decay"'
    ),
)
def bare_degenerate(run: Run) -> float:
    """At W1 = c U^T, W2 = U / c, where the infimum is approached."""
    X, rng = run.shared(sparse.few_digits), np.random.default_rng(0)
    model = SparseAutoencoder(64, 4, lam=1.0, constraint="none", activation=None, rng=rng)
    U = analytic.pca(X).components[:, :4]
    model.encoder_weight.data, model.decoder_weight.data = U.copy(), U.T.copy()
    return sparse.rescaled(model, 1e-3).loss(X).item()


def downhill(run: Run) -> np.ndarray:
    """The slope's terms, gradient times weight (the decoder's negative), over lambda sum |z|."""
    X = run.shared(sparse.few_digits)
    model, _ = run.shared(sparse.held, "none")
    weights = [model.encoder_weight, model.encoder_bias, model.decoder_weight]
    gradients = engine.grad(model.loss(X), weights)
    *gained, lost = ((g * p.numpy()).ravel() for g, p in zip(gradients, weights, strict=True))
    terms: np.ndarray = np.concatenate([*gained, -lost])
    return terms / (model.lam * sparse.parts(model, X)[1])


@claim(
    "bare-downhill",
    "... and it is stationary only where all codes are 0: its slope as codes grow and decoder "
    "shrinks is +lambda sum |z|; ratio",
    kind="exact",
    expected=1.0,
    tolerance=lambda run: 100 * EPS * float(np.sum(np.abs(run.shared(downhill)))),
    reason="100 eps of the terms that are added, in which the derivative of E cancels",
    sabotage=wrong_rule("l1_norm", "x", "0.9 * g * sign(x)"),
)
def bare_downhill(run: Run) -> float:
    return float(np.sum(run.shared(downhill)))


@claim(
    "unit-rows",
    "with rows of unit length, the length of the weights behind them receives no gradient: largest "
    "share",
    kind="exact",
    expected=0.0,
    tolerance=100 * EPS,
    reason="100 eps: the 64 products of unit vectors cancel in float64",
    sabotage=wrong_rule("unit_rows", "x", "g / sqrt(sum(x * x, axis=-1, keepdims=True))"),
)
def unit_rows(run: Run) -> float:
    X = run.shared(sparse.few_digits)
    model = SparseAutoencoder(64, 100, lam=0.2, rng=np.random.default_rng([run.seed, 3]))
    (g,) = engine.grad(model.loss(X), [model.decoder_weight])
    W = model.decoder_weight.numpy()
    sizes = np.linalg.norm(g, axis=1) * np.linalg.norm(W, axis=1)
    return float(np.max(np.abs(np.sum(g * W, axis=1)) / sizes))


@claim(
    "decay-balance",
    "with weight decay mu every unit ends where lambda sum_n |z_nk| = mu ||w_k||^2: largest "
    "relative error",
    kind="exact",
    expected=0.0,
    tolerance=sparse.SLOPE,
    reason="the difference is the slope under z_k -> c z_k, w_k -> w_k / c, a direction without a "
    "kink: L-BFGS leaves 1e-6 of it, and mu ||w_k||^2 is above 1 on average",
    sabotage=edit(SparseAutoencoder.loss, "self.decay / 2", "self.decay"),
    thorough=True,
)
def decay_balance(run: Run) -> float:
    model = run.shared(sparse.decayed)
    penalty = model.lam * np.abs(model.encode(run.shared(sparse.laplace)[0]).numpy()).sum(axis=0)
    decay = model.decay * np.sum(model.decoder_weight.numpy() ** 2, axis=1)
    return float(np.max(np.abs(penalty - decay)) / np.mean(decay))


def uneven_sources(run: Run) -> np.ndarray:
    """(1000, 6): the sources, stretched so that no two principal components have one variance."""
    X: np.ndarray = run.shared(sparse.sources)[0] * np.arange(1, 7)
    return X


def pca_loss(run: Run) -> float:
    """The least E of two components on the uneven sources."""
    return analytic.pca(uneven_sources(run)).optimal_loss(2)


@claim(
    "no-penalty",
    "lambda = 0, linear units: E ends at PCA's optimum, as every linear autoencoder does (M = 2)",
    kind="exact",
    expected=pca_loss,
    tolerance=lambda run: 100 * EPS * pca_loss(run),
    reason="100 eps of the loss: rounding, as the error at an optimum is of second order",
    sabotage=edit(
        SparseAutoencoder.decode, "self.decoder.bias)", "self.decoder.bias.numpy() + 0.1)"
    ),
)
def no_penalty(run: Run) -> float:
    X = uneven_sources(run)
    model = SparseAutoencoder(6, 2, lam=0.0, activation=None, rng=np.random.default_rng(run.seed))
    sparse.minimise(model, X)
    return model.loss(X).item()


# --- what codes can be at best --------------------------------------------------------------------


def best_codes(run: Run) -> tuple[np.ndarray, np.ndarray, analytic.SparseCodes]:
    """(x - b_dec, W, FISTA's codes) for digits that were not trained on, with the trained decoder W
    (D, K).
    """
    model, X = run.shared(sparse.on_digits)
    W = model.decoding_weight().numpy().T
    X = X - model.decoder_bias.numpy()
    return X, W, analytic.fista(X, W, model.lam, tolerance=1e-8)


def error_gradient(model: SparseAutoencoder, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """dE/dz at codes z, by the engine, through the model's decoder."""
    codes = tensor(z, requires_grad=True)
    return np.asarray(engine.grad(ops.half_squared_error(model.decode(codes), x), [codes])[0])


@claim(
    "optimality",
    "at the optimal codes of a trained decoder the engine's -dE/dz is lambda sign z, or within "
    "lambda at z = 0",
    kind="exact",
    expected=0.0,
    tolerance=1e-8 + 1e-12,
    reason="FISTA stops where its own optimality conditions hold to 1e-8; the engine's gradient "
    "differs from its own by some 1,000 eps of sums of about 3",
    sabotage=wrong_rule("half_squared_error", "output", "1.02 * g * (output - target)"),
)
def optimality(run: Run) -> float:
    model, X = run.shared(sparse.on_digits)
    Z = run.shared(best_codes)[2].codes
    pull = -error_gradient(model, X, Z)
    outside = np.maximum(np.abs(pull) - model.lam, 0.0)
    return float(np.max(np.where(Z != 0, np.abs(pull - model.lam * np.sign(Z)), outside)))


def codes_near_lambda_max(run: Run, factor: float) -> np.ndarray:
    """sum_k |z_k| of each digit, in units of 1e-6 lambda_max, with lambda = factor x lambda_max.

    From z = 0 by steps along the engine's -dE/dz, a soft threshold after each.  1/e of the error is
    lost in L steps, L the curvature.
    """
    model, X = run.shared(sparse.on_digits)
    most = analytic.lambda_max(*run.shared(best_codes)[:2])[:, None]
    L = float(np.linalg.norm(model.decoding_weight().numpy(), 2) ** 2)
    z = np.zeros((len(X), model.n_latent))
    for _ in range(math.ceil(-math.log(EPS) * L)):
        ahead = z - error_gradient(model, X, z) / L
        z = np.sign(ahead) * np.maximum(np.abs(ahead) - factor * most / L, 0.0)
    total: np.ndarray = np.abs(z).sum(axis=1) / (1e-6 * most[:, 0])
    return total


@claim(
    "lambda-max",
    "codes that the engine's gradient finds are all 0 at 1 + 1e-6 times max |w_k^T x|, and at 1 - "
    "1e-6 times it one code is 1e-6 of it: largest relative error",
    kind="exact",
    expected=0.0,
    tolerance=100 * EPS / 1e-6,
    reason="100 eps of max |w_k^T x|, of which a code is 1e-6",
    sabotage=edit(
        SparseAutoencoder.decode, "self.decoding_weight()", "0.9 * self.decoding_weight()"
    ),
)
def lambda_max(run: Run) -> float:
    above, below = (codes_near_lambda_max(run, factor) for factor in (1 + 1e-6, 1 - 1e-6))
    return float(max(above.max(), np.abs(below - 1).max()))


@claim(
    "never-below",
    "no encoder beats the codes that FISTA's dual bound proves optimal: digits where E + lambda "
    "sum |z| is below it",
    kind="bound",
    expected=0.0,
    tolerance=0.0,
    reason="a count; weak duality",
    sabotage=edit(SparseAutoencoder.loss, "self.lam * ops.l1_norm", "0.1 * self.lam * ops.l1_norm"),
)
def never_below(run: Run) -> float:
    model, X = run.shared(sparse.on_digits)
    shifted, W, found = run.shared(best_codes)
    bound = analytic.sparse_loss(shifted, W, found.codes, model.lam) - found.duality_gap
    losses = np.array([model.loss(x[None]).item() for x in X])
    return float(np.count_nonzero(losses < bound - 100 * EPS * losses))


def dictionary_scatter(run: Run) -> float:
    """1 - cos that the angle of a trained row to its column of A stays below by sampling.

    Turning w_k towards a_j has the gradient -clip(s_j, lambda) z_k at the truth, of mean 0, and the
    curvature z_k^2 where |s_j| <= lambda.  So 2 (1 - cos) is a sum of D - 1 squared angles, each of
    this variance: chi-squared, of mean D - 1 and standard deviation sqrt(2 (D - 1)).
    """
    X, A = run.shared(sparse.sources)
    s, lam = X @ A, run.shared(sparse.planted).lam
    z, inside = np.maximum(s - lam, 0.0), np.abs(s) <= lam  # a unit sees one sign
    variance = np.mean(np.clip(s, -lam, lam) ** 2) / np.mean(z**2) / np.mean(inside) ** 2 / len(s)
    others = s.shape[1] - 1
    return float((others + 5 * np.sqrt(2 * others)) * variance / 2)


@claim(
    "dictionary-found",
    "x = A s, A orthogonal, s sparse: the trained rows are the columns of A up to sign, the "
    "best of 3 starts: smallest |cos|",
    kind="statistical",
    expected=1.0,
    tolerance=dictionary_scatter,
    reason="5 standard errors of the squared angle, which 1,000 rows leave",
    sabotage=edit(SparseAutoencoder.loss, "ops.l1_norm(z)", "ops.sum(z**2)"),
)
def dictionary_found(run: Run) -> float:
    W, A = run.shared(sparse.planted).decoding_weight().numpy(), run.shared(sparse.sources)[1]
    cosines = np.abs(W @ A)
    return float(min(cosines.max(axis=0).min(), cosines.max(axis=1).min()))
