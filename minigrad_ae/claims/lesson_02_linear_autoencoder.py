"""Claims of lesson 02: a linear autoencoder is PCA, and the whole landscape around that minimum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import analytic
from ..autodiff import engine
from ..autodiff.curvature import extreme_curvatures, hessian_product
from ..data import digits, scaling
from ..experiments import linear
from ..models import subspace
from ..models.linear import LinearAutoencoder, half_squared_error
from ..optim import SGD
from .bugs import Bug, edit, wrong_rule
from .definition import EPS, Run, claim

SIZES = (1, 2, 4, 8, 16, 32)
SHORT = (2, 8)  # those that a lesson reads
# squared error per image of the digits that PCA leaves at M = 10, found once and written down
RESIDUAL_10 = 1.2286


def principal(run: Run) -> analytic.PCA:
    """PCA of the digits by SVD: the independent witness."""
    return analytic.pca(digits()[0])


def allowed(run: Run) -> float:
    """How far a loss may be from the optimum: 64 roundings of the loss at y = 0, where L-BFGS ends
    at the latest (it stops when what is left to gain is less).
    """
    return 64 * EPS * 0.5 * float(np.sum(digits()[0] ** 2))


def final_losses(run: Run, M: int) -> np.ndarray:
    """The losses at the end of every start."""
    return np.array(
        [run.shared(linear.trained, M, k).loss(digits()[0]).item() for k in range(run.starts)]
    )


def sine(run: Run, M: int, model: LinearAutoencoder) -> float:
    """Of the largest principal angle between a model's decoder and the first M components."""
    U = run.shared(principal).components[:, :M]
    return float(np.sin(analytic.principal_angles(U, model.decoder_weight.numpy().T)[-1]))


def steepness(model: LinearAutoencoder) -> float:
    """The norm of dE/dW where a model's training ended, on the digits."""
    X = digits()[0]
    gradients = engine.grad(model.loss(X), [*model.weights()])
    return float(np.sqrt(sum(np.sum(g**2) for g in gradients)))


def sine_allowed(run: Run, M: int, model: LinearAutoencoder) -> float:
    """What theory allows the sine of the largest angle to be, the smaller of two bounds.

    Let W2 = U + a u_j e_i^T and W1 = U^T + b e_i u_j^T, i <= M < j.  The gradient has the entries
    s_i a - s_j b and s_j (b - a), whose sum is (s_i - s_j) a: so a is at most sqrt(2) times its
    norm over the gap s_M - s_{M+1}, and its own rounding is 64 eps s_1.  And E - E* is at least
    half the gap times a^2.
    """
    found = run.shared(principal)
    rounding = 64 * EPS * found.eigenvalues[0]
    by_gradient = (np.sqrt(2) * steepness(model) + rounding) / found.gap(M)
    return float(min(by_gradient, np.sqrt(2 * allowed(run) / found.gap(M))))


def strength_allowed(run: Run, M: int, model: LinearAutoencoder) -> float:
    """What theory allows ||W1 W2 - I|| to be: dE/dW1 = W2^T (W2 W1 - I) S, so that W1 W2 - I is
    (W2^T W2)^-1 (dE/dW1) S^-1 W2, at most the gradient's norm over s_M beside the optimum; and a
    deviation k costs 1/2 s_M k^2 at least.
    """
    smallest = run.shared(principal).eigenvalues[M - 1]
    by_gradient = steepness(model) / smallest + 64 * EPS * np.sqrt(M)
    return float(min(by_gradient, np.sqrt(2 * allowed(run) / smallest)))


DIGITS_BUGS: dict[int, Bug] = {
    1: edit(half_squared_error, "ops.half", "0.9 * ops.half"),
    2: wrong_rule("matmul", "A", "0 * (g @ swapaxes(B, -1, -2))"),
    4: edit(subspace.triangle, "block - mean - rest", "block"),
    8: edit(LinearAutoencoder._centre_on, "mean - projected", "mean"),
    16: edit(subspace.triangle, "block - mean - rest", "(block - mean - rest)[::2]"),
    32: edit(scaling.scale, "X / X.dtype.type(factor)", "X / (X.std(axis=0) + 0.1 * factor)"),
}


def digits_loss(M: int) -> None:
    """Register the claim about the loss with M latent units."""
    statement = f"digits, M = {M}: E ends at 1/2 sum of the eigenvalues beyond M (worst start)"

    @claim(
        f"digits-loss-{M}",
        statement,
        kind="exact",
        expected=lambda run: run.shared(principal).optimal_loss(M),
        tolerance=lambda run: allowed(run),
        reason="64 roundings of 1/2 ||X||^2",
        sabotage=DIGITS_BUGS[M],
        thorough=M not in SHORT,
    )
    def _(run: Run) -> float:
        losses = final_losses(run, M)
        best = run.shared(principal).optimal_loss(M)
        return float(losses[np.argmax(np.abs(losses - best))])


for size in SIZES:
    digits_loss(size)


@claim(
    "digits-angle",
    "digits: sine of the largest principal angle to PCA's subspace over its bound, worst size "
    "and start of the run",
    kind="bound",
    expected=0.0,
    tolerance=1.0,
    reason="the gradient over the gap s_M - s_{M+1}, or the root of the allowed loss over it; see "
    "`sine_allowed`",
    sabotage=edit(subspace.triangle, "block - mean - rest", "(block - mean - rest) ** 2"),
)
def digits_angle(run: Run) -> float:
    shares = []
    for M in SHORT if run.fast else SIZES:
        models = [run.shared(linear.trained, M, k) for k in range(run.starts)]
        shares += [sine(run, M, model) / sine_allowed(run, M, model) for model in models]
    return max(shares)


@claim(
    "pca-nested",
    "solutions are nested: the subspace that 2 units found lies in that of 8; largest sine over "
    "its bound",
    kind="exact",
    expected=0.0,
    tolerance=1.0,
    reason="both are off by what their gradients allow; see `sine_allowed`",
    sabotage=edit(
        LinearAutoencoder._minimise,
        "max_evaluations=limit - report.evaluations",
        "max_evaluations=9",
    ),
)
def nested(run: Run) -> float:
    small, large = (run.shared(linear.trained, M, 0) for M in (2, 8))
    Q, P = (np.linalg.qr(m.decoder_weight.numpy().T)[0] for m in (small, large))
    outside = float(np.linalg.norm(Q - P @ (P.T @ Q), 2))
    return outside / (sine_allowed(run, 2, small) + sine_allowed(run, 8, large))


@claim(
    "no-local-minima",
    "every random start of the run reaches the same loss: relative spread at M = 8",
    kind="exact",
    expected=0.0,
    tolerance=lambda run: spread_allowed(run, 8),
    reason="all minima are global (Baldi & Hornik 1989); see `spread_allowed`",
    sabotage=edit(
        LinearAutoencoder._minimise,
        "max_evaluations=limit - report.evaluations",
        "max_evaluations=15",
    ),
)
def no_local_minima(run: Run) -> float:
    losses = final_losses(run, 8)
    return float(np.ptp(losses) / losses.min())


@claim(
    "digits-constant",
    "digits: squared error per image at M = 10 is PCA's 1.2286, a constant of these data",
    kind="exact",
    expected=RESIDUAL_10,
    tolerance=5e-5,
    reason="the constant has four decimals",
    sabotage=edit(digits, "/ LARGEST_PIXEL", "/ (LARGEST_PIXEL - 1)"),
)
def digits_constant(run: Run) -> float:
    X = digits()[0]
    return 2 * run.shared(linear.trained, 10, 0).loss(X).item() / len(X)


def output_allowed(run: Run, M: int, model: LinearAutoencoder) -> float:
    """What theory allows ||Y - X U U^T|| to be, beside the optimum.

    Let P project onto the decoder's columns.  The encoder is off the best one for this decoder by
    what makes outputs differ by (Y - X) P, whose norm is that of the gradient by the codes,
    dE/dz = (Y - X) W2, for orthonormal columns.  And P is off U U^T by the a of `sine_allowed`, in
    outputs at most by sqrt(s_i + s_j) for each.  64 roundings of X are the outputs' own.
    """
    X, s = digits()[0], run.shared(principal).eigenvalues
    by_codes = np.linalg.norm((model(X).numpy() - X) @ model.decoder_weight.numpy().T)
    turned = np.sqrt(s[0] + s[M]) * sine_allowed(run, M, model)
    return float(by_codes + turned + 64 * EPS * np.linalg.norm(X))


def spread_allowed(run: Run, M: int) -> float:
    """64 roundings of a sum of squares (those of single residuals have either sign and add like
    their root), and E - E* where training ended: at most the square of what outputs are off.
    """
    off = [output_allowed(run, M, run.shared(linear.trained, M, k)) for k in range(run.starts)]
    return float(64 * EPS + max(off) ** 2 / run.shared(principal).optimal_loss(M))


def projection_allowed(run: Run, M: int) -> float:
    """`output_allowed` of the first start, beside the centred data."""
    off = output_allowed(run, M, run.shared(linear.trained, M, 0))
    return off / float(np.sqrt(np.sum(run.shared(principal).eigenvalues)))


@claim(
    "is-a-projection",
    "the trained net projects: ||X W_enc W_dec - X U U^T|| / ||X|| at M = 8",
    kind="exact",
    expected=0.0,
    tolerance=lambda run: projection_allowed(run, 8),
    reason="the gradient by the codes, and that by the weights over the gap; see `output_allowed`",
    sabotage=edit(LinearAutoencoder.decode, "ops.linear(z,", "ops.linear(1.05 * z,"),
)
def is_projection(run: Run) -> float:
    X = digits()[0]
    off = run.shared(linear.trained, 8, 0)(X).numpy() - run.shared(principal).reconstruct(X, 8)
    return float(np.linalg.norm(off) / np.linalg.norm(X - X.mean(axis=0)))


@claim(
    "code-survives",
    "encoding what was decoded gives the same code: ||W_dec W_enc - I|| at M = 8",
    kind="exact",
    expected=0.0,
    tolerance=lambda run: strength_allowed(run, 8, run.shared(linear.trained, 8, 0)),
    reason="the gradient over s_8, and rounding; see `strength_allowed`",
    sabotage=edit(LinearAutoencoder._fit_both_layers, "final = self.l2 / unit**2", "final = 20.0"),
)
def code_survives(run: Run) -> float:
    W1, W2 = (p.numpy() for p in run.shared(linear.trained, 8, 0).weights())
    return float(np.linalg.norm(W2 @ W1 - np.eye(8)))


@claim(
    "tied-orthonormal",
    "tied weights end orthonormal without a constraint: ||W^T W - I|| at M = 4",
    kind="exact",
    expected=0.0,
    tolerance=lambda run: strength_allowed(run, 4, run.shared(linear.tied, 4)),
    reason="the gradient is 4 s_i k where W^T W - I is 2 k: below it over s_4, and rounding",
    sabotage=edit(half_squared_error, "(y, x)", "(y, 0.99 * x)"),
)
def tied_orthonormal(run: Run) -> float:
    W = run.shared(linear.tied, 4).encoder_weight.numpy()
    return float(np.linalg.norm(W.T @ W - np.eye(4)))


@claim(
    "explained-variance",
    "along its own principal directions the net explains s_1 ... s_8: largest relative error",
    kind="exact",
    expected=0.0,
    tolerance=lambda run: 2 * strength_allowed(run, 8, run.shared(linear.trained, 8, 0)),
    reason="s_i k^2 with k off 1 by the gradient over s_8; rotations enter squared",
    sabotage=edit(LinearAutoencoder.encode, "ops.linear(x,", "ops.linear(x + 0.01 * x**2,"),
)
def explained_variance(run: Run) -> float:
    y = run.shared(linear.trained, 8, 0)(digits()[0]).numpy()
    explained = np.linalg.svd(y - y.mean(axis=0), compute_uv=False)[:8] ** 2
    return float(np.max(np.abs(explained / run.shared(principal).eigenvalues[:8] - 1)))


# --- L2 -------------------------------------------------------------------------------------------


def lam_between(run: Run, k: int, share: float) -> float:
    """A penalty below (share < 1) the k-th eigenvalue."""
    return share * float(run.shared(principal).eigenvalues[k - 1])


def l2_allowed(run: Run) -> float:
    """Curvatures at the minimum: 2 s_i sigma_i^2 where both layers grow, 2 lambda where one grows
    and the other shrinks; lambda = 0.2 s_4 is below both.
    """
    lam = lam_between(run, 4, 0.2)
    rounding = 64 * EPS * float(run.shared(principal).eigenvalues[0])
    return (steepness(run.shared(linear.penalised, 4, lam)) + rounding) / lam


@claim(
    "l2-singular-values",
    "an L2 penalty shrinks the decoder's singular values to sqrt(1 - lambda / s_i): largest error",
    kind="exact",
    expected=0.0,
    tolerance=lambda run: l2_allowed(run),
    reason="the gradient, 64 eps s_1 of rounding included, over the smallest curvature, lambda",
    sabotage=edit(LinearAutoencoder.penalised, "l2 / 2", "l2"),
)
def l2_singular_values(run: Run) -> float:
    lam, s = lam_between(run, 4, 0.2), run.shared(principal).eigenvalues
    decoder = run.shared(linear.penalised, 4, lam).decoder_weight.numpy()
    off = np.linalg.svd(decoder, compute_uv=False) - analytic.singular_values_regularised(s, 4, lam)
    return float(np.max(np.abs(off)))


@claim(
    "l2-directions",
    "... and its singular vectors are the single components: smallest |cos|",
    kind="exact",
    expected=1.0,
    tolerance=64 * EPS,
    reason="rounding of sums of 64 products; angles below 1e-8 enter by half their squares",
    sabotage=edit(LinearAutoencoder._fit_both_layers, "final = self.l2 / unit**2", "final = 0.0"),
)
def l2_directions(run: Run) -> float:
    model = run.shared(linear.penalised, 4, lam_between(run, 4, 0.2))
    left, _, _ = np.linalg.svd(model.decoder_weight.numpy().T, full_matrices=False)
    return float(np.min(np.abs(np.sum(left * run.shared(principal).components[:, :4], axis=0))))


@claim(
    "l2-loss",
    "... at the minimum 1/2 [sum_{i>M} s_i + sum (2 lambda - lambda^2 / s_i)] of the penalised "
    "loss",
    kind="exact",
    expected=lambda run: analytic.optimal_loss_regularised(
        run.shared(principal).eigenvalues, 4, lam_between(run, 4, 0.2)
    ),
    tolerance=allowed,
    reason="64 roundings of 1/2 ||X||^2",
    sabotage=edit(
        LinearAutoencoder.penalised,
        "ops.sum(self.encoder.weight**2)",
        "ops.sum(abs(self.encoder.weight.numpy()))",
    ),
)
def l2_loss(run: Run) -> float:
    return run.shared(linear.penalised, 4, lam_between(run, 4, 0.2)).loss(digits()[0]).item()


@claim(
    "l2-collapse",
    "modes with s_i <= lambda collapse: of 6 units, those with lambda < s_i that stay (lambda = "
    "0.9 s_3)",
    kind="exact",
    expected=3.0,
    tolerance=0.0,
    reason="a count; collapsed singular values vanish, the others exceed 0.3",
    sabotage=edit(LinearAutoencoder.penalised, " + ops.sum(self.decoder.weight**2)", ""),
)
def l2_collapse(run: Run) -> float:
    model = linear.penalised(run, 6, lam_between(run, 3, 0.9))
    return float(np.sum(np.linalg.svd(model.decoder_weight.numpy(), compute_uv=False) > 0.05))


# --- where the plain statement needs care ---------------------------------------------------------


def uncentred_optimum(run: Run) -> float:
    """Half the squared singular values of the digits as they are, without the largest two."""
    return 0.5 * float(np.sum(np.linalg.svd(digits()[0], compute_uv=False)[2:] ** 2))


@claim(
    "uncentred",
    "without offsets, data that are not centred lead to the components of the second moments: "
    "final loss",
    kind="exact",
    expected=uncentred_optimum,
    tolerance=lambda run: allowed(run),
    reason="as for the centred digits",
    sabotage=edit(LinearAutoencoder.fit, "triangle(given, self.bias)", "triangle(given, True)"),
)
def uncentred(run: Run) -> float:
    return run.shared(linear.uncentred, 2).loss(digits()[0]).item()


@claim(
    "full-rank",
    "data of rank 3 in 5 features: three latent units reconstruct exactly, E / (1/2 ||X||^2)",
    kind="exact",
    expected=0.0,
    tolerance=lambda run: residuals_allowed(run) ** 2,
    reason="roundings of the products x W1 W2, squared; see `residuals_allowed`",
    sabotage=edit(
        LinearAutoencoder.fit,
        "tolerance, max_evaluations, stored)",
        "tolerance, 1, stored)",
    ),
)
def full_rank(run: Run) -> float:
    model, X = rank_three(run)
    return model.loss(X).item() / (0.5 * float(np.sum(X**2)))


def rank_three(run: Run) -> tuple[LinearAutoencoder, np.ndarray]:
    """(trained model of three units, data of rank 3)."""
    rng = np.random.default_rng(run.seed)
    X = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 5))
    model = LinearAutoencoder(5, 3, rng=rng)
    model.fit(X)
    return model, X


def residuals_allowed(run: Run) -> float:
    """||Y - X|| / ||X|| by rounding: sums of D and of M products, each off by its number of terms
    times eps / 2 times |X| |W1| |W2|, and as much again for the weights, which are themselves such
    sums.
    """
    model, X = rank_three(run)
    W1, W2 = (np.abs(p.numpy()) for p in model.weights())
    size = np.linalg.norm(np.abs(X) @ W1 @ W2) / np.linalg.norm(X)
    return float((model.n_features + model.n_latent) * EPS * size)


def few_roundings(run: Run) -> float:
    return 32 * EPS * float(np.sum(_few(run) ** 2))


@claim(
    "fewer-rows",
    "6 points in 10 features: E ends at PCA's optimum all the same (M = 2)",
    kind="exact",
    tolerance=lambda run: few_roundings(run),
    expected=lambda run: analytic.pca(_few(run)).optimal_loss(2),
    reason="64 roundings of 1/2 ||X||^2",
    sabotage=edit(subspace.triangle, "return R, mean + rest", "return R[1:], mean + rest"),
)
def fewer_rows(run: Run) -> float:
    model = LinearAutoencoder(10, 2, rng=np.random.default_rng(run.seed))
    model.fit(_few(run))
    return model.loss(_few(run)).item()


def _few(run: Run) -> np.ndarray:
    return np.random.default_rng([run.seed, 6]).standard_normal((6, 10))


# --- identities at any point, every critical point, and the way down ---


# --- identities that hold at any point ------------------------------------------------------------


def anywhere() -> tuple[LinearAutoencoder, np.ndarray]:
    """A linear autoencoder with random weights on five features."""
    rng = np.random.default_rng(11)
    return LinearAutoencoder(5, 2, bias=False, rng=rng), linear.five_features()[0]


@claim(
    "gradient-formula",
    "dE/dW equals the closed form (W2 W1 - I) S W1^T and W2^T (W2 W1 - I) S: relative error",
    kind="exact",
    expected=0.0,
    tolerance=64 * EPS,
    reason="an identity: rounding of sums of 80 products",
    sabotage=wrong_rule("half_squared_error", "output", "0.999 * g * (output - target)"),
)
def gradient_formula(run: Run) -> float:
    model, X = anywhere()
    model.loss(X).backward()
    W1, W2 = model.encoder_weight.numpy().T, model.decoder_weight.numpy().T
    G1, G2 = analytic.gradient(X.T @ X, W1, W2)
    off = np.hypot(
        np.linalg.norm(model.encoder_weight.grad.T - G1),
        np.linalg.norm(model.decoder_weight.grad.T - G2),
    )
    return float(off / np.hypot(np.linalg.norm(G1), np.linalg.norm(G2)))


@claim(
    "balancedness",
    "(dE/dW1) W1^T = W2^T (dE/dW2) at random weights: relative error",
    kind="exact",
    expected=0.0,
    tolerance=64 * EPS,
    reason="an identity: rounding of sums of 80 products",
    sabotage=wrong_rule("matmul", "A", "1.01 * (g @ swapaxes(B, -1, -2))"),
)
def balancedness(run: Run) -> float:
    model, X = anywhere()
    model.loss(X).backward()
    encoder, decoder = model.encoder_weight, model.decoder_weight
    left, right = encoder.grad.T @ encoder.numpy(), decoder.numpy() @ decoder.grad.T
    return float(np.linalg.norm(left - right) / np.linalg.norm(left))


@claim(
    "gauge",
    "E does not change under W1 -> C W1, W2 -> W2 C^-1: relative change",
    kind="exact",
    expected=0.0,
    tolerance=64 * EPS,
    reason="an identity: rounding, C has a condition of 4",
    sabotage=edit(LinearAutoencoder.encode, "x @ W", "(x @ W).tanh()"),
)
def gauge(run: Run) -> float:
    model, X = anywhere()
    C = np.array([[2.0, 1.0], [0.5, 1.5]])
    moved = linear.linear_model(
        C @ model.encoder_weight.numpy().T, model.decoder_weight.numpy().T @ np.linalg.inv(C)
    )
    return abs(moved.loss(X).item() / model.loss(X).item() - 1)


# --- the landscape --------------------------------------------------------------------------------


def landscape(
    run: Run,
) -> Iterator[tuple[analytic.CriticalPoint, LinearAutoencoder, np.ndarray]]:
    """(critical point, model there, X) for every critical point of five features, M = 2 and 3."""
    X, found = linear.five_features()
    for M in (2, 3):
        for point in analytic.critical_points(found.eigenvalues, M):
            weights = analytic.saddle(found.components, point.components, M)
            yield point, linear.linear_model(*weights), X


def signs(model: LinearAutoencoder, X: np.ndarray) -> tuple[int, int, int]:
    """(negative, zero, positive) eigenvalues of the engine's own Hessian."""
    return analytic.inertia(linear.engine_hessian(model, X))


@claim(
    "saddle-gradients",
    "dE/dW vanishes at U_I U_I^T for all 42 sets I (M = 2 and 3): sum of relative norms",
    kind="exact",
    expected=0.0,
    tolerance=42 * 64 * EPS,
    reason="cancellation of products of size s_1: 64 eps each",
    sabotage=edit(half_squared_error, "(y, x)", "(y, 0.999 * x)"),
)
def saddle_gradients(run: Run) -> float:
    norms = 0.0
    for _, model, X in landscape(run):
        gradients = engine.grad(model.loss(X), model.parameters())
        norms += sum(float(np.linalg.norm(g)) for g in gradients) / float(np.sum(X**2))
    return norms


def saddle_roundings(run: Run) -> float:
    shares = [float(np.sum(X**2)) / point.loss for point, _, X in landscape(run)]
    return 32 * EPS * sum(shares)


@claim(
    "saddle-losses",
    "E there is 1/2 the sum of the eigenvalues left out: sum of relative errors over 42 sets",
    kind="exact",
    expected=0.0,
    tolerance=lambda run: saddle_roundings(run),
    reason="64 roundings of 1/2 ||X||^2 beside E, at each",
    sabotage=edit(half_squared_error, "ops.half", "1.000001 * ops.half"),
)
def saddle_losses(run: Run) -> float:
    return sum(abs(model.loss(X).item() / point.loss - 1) for point, model, X in landscape(run))


@claim(
    "morse-index",
    "negative curvatures of the engine's Hessian, as predicted, at all 42 critical points: "
    "mismatches",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=wrong_rule("half_squared_error", "output", "g * real(output - target)"),
)
def morse_index(run: Run) -> float:
    return float(sum(abs(signs(model, X)[0] - point.index) for point, model, X in landscape(run)))


@claim(
    "nullity",
    "flat directions of the engine's Hessian, M^2 - (M - r)^2, at all 42 critical points: "
    "mismatches",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=wrong_rule("matmul", "B", "real(swapaxes(A, -1, -2)) @ g"),
)
def nullity(run: Run) -> float:
    return float(sum(abs(signs(model, X)[1] - point.nullity) for point, model, X in landscape(run)))


@claim(
    "saddle-escape",
    "started 1e-6 away from the saddle {1, 3}, descent reaches the optimum",
    kind="exact",
    tolerance=lambda run: 64 * EPS * linear.five_features()[1].optimal_loss(2),
    expected=lambda run: linear.five_features()[1].optimal_loss(2),
    # beside the optimum 100 steps leave 1/600 of E - E*: 3e-11 after 700, and nothing after 1,000
    reason="64 roundings of a sum of squares; after 1,000 steps nothing else is left",
    sabotage=wrong_rule("matmul", "B", "0 * (swapaxes(A, -1, -2) @ g)"),
)
def saddle_escape(run: Run) -> float:
    return run.shared(linear.escape)[-1]


# --- dynamics -------------------------------------------------------------------------------------


def largest_eigenvalue() -> float:
    return float(linear.five_features()[1].eigenvalues[0])


@claim(
    "sharpness",
    "the largest curvature at the balanced optimum is 2 s_1 (Lanczos on the engine's "
    "Hessian-vector products)",
    kind="exact",
    expected=lambda run: 2 * largest_eigenvalue(),
    tolerance=lambda run: 128 * EPS * largest_eigenvalue(),
    reason="a symmetric eigenvalue: 64 eps of the largest",
    sabotage=edit(half_squared_error, "ops.half", "2 * ops.half"),
)
def sharpness(run: Run) -> float:
    X, found = linear.five_features()
    U = found.components[:, :2]
    model = linear.linear_model(U.T, U)
    product = hessian_product(model.loss(X), [*model.parameters()])
    return extreme_curvatures(product, 2 * U.size)[1]


def growth_allowed(factor: float, steps: int = 20) -> float:
    """A step takes the deviation d to (1 - 2 f) d - 3 f d^2 - ..., f = eta s_1: the mean of 3 f d
    over all steps, and the rounding of 1 + d at the last.
    """
    deviations = 1e-6 * abs(1 - 2 * factor) ** np.arange(steps + 1)
    return float(3 * factor * np.mean(deviations[:-1]) + 64 * EPS / deviations[-1] / steps)


@claim(
    "step-size-above",
    "beside the balanced optimum, eta = 1.1 / s_1: a deviation grows by |1 - 2.2| = 1.2 per step",
    kind="exact",
    expected=1.2,
    tolerance=lambda run: growth_allowed(1.1),
    reason="the square of the deviation, 4e-5 at the end, and rounding; see `growth_allowed`",
    sabotage=edit(SGD.step, "self.lr", "(0.5 * self.lr)"),
)
def step_size_above(run: Run) -> float:
    return linear.growth(1.1)


@claim(
    "step-size-below",
    "beside the balanced optimum, eta = 0.9 / s_1: it shrinks by |1 - 1.8| = 0.8 per step",
    kind="exact",
    expected=0.8,
    tolerance=lambda run: growth_allowed(0.9),
    reason="the square of the deviation, and rounding of 1e-8 beside 1; see `growth_allowed`",
    sabotage=edit(SGD.step, "self.lr", "(1.1 * self.lr)"),
)
def step_size_below(run: Run) -> float:
    return linear.growth(0.9)


def mode_step(run: Run) -> float:
    """The smaller of two steps."""
    return 2e-3 if run.fast else 5e-4


@claim(
    "mode-curves",
    "from a balanced, aligned start descent follows Saxe's sigmoid to first order in eta: halving "
    "eta halves the distance: ratio",
    kind="exact",
    expected=2.0,
    tolerance=lambda run: 2 * mode_step(run) * float(linear.five_features()[1].eigenvalues[0]) / 80,
    reason="Euler's error is c eta (1 + k eta), k of the order of the fastest rate, s_1 / N",
    sabotage=wrong_rule("matmul", "A", "1.05 * (g @ swapaxes(B, -1, -2))"),
)
def mode_curves(run: Run) -> float:
    eta = mode_step(run)
    return linear.mode_error(run, 2 * eta) / linear.mode_error(run, eta)


@claim(
    "balance-drift",
    "W1 W1^T - W2^T W2, conserved by gradient flow, drifts in proportion to eta: ratio for eta / "
    "10",
    kind="exact",
    expected=10.0,
    tolerance=0.5,
    reason="first order in eta, with a relative correction of order eta s_1",
    sabotage=wrong_rule("matmul", "A", "1.5 * (g @ swapaxes(B, -1, -2))"),
)
def balance_drift(run: Run) -> float:
    return linear.drift(1e-3) / linear.drift(1e-4)
