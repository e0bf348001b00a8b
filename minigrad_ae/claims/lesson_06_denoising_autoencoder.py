"""Claims of lesson 06: the two corruptions, the best linear denoisers, noise as weight decay,
posterior means, a floor for every network, and arrows onto a curve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import analytic, ops
from ..autodiff import engine
from ..data import additive_gaussian, corruptions, zero_random_subset
from ..experiments import denoising
from ..models import DeepAutoencoder, DenoisingAutoencoder, LinearAutoencoder
from ..tensors import tensor
from .bugs import Bug, edit, wrong_rule
from .definition import EPS, Run, claim, generator, mean_and_error

# --- the two corruptions of the slide -------------------------------------------------------------


@claim(
    "noise-variance",
    "add zero-mean Gaussian noise: the mean of (x~ - x)^2 over 10^5 entries is sigma^2 = 2.25",
    kind="statistical",
    expected=denoising.SIGMA**2,
    tolerance=5 * denoising.SIGMA**2 * (2 / 1e5) ** 0.5,
    reason="5 standard errors: the square of a normal has the variance 2 sigma^4",
    sabotage=edit(additive_gaussian, "return with_noise(x, sigma, rng)", "return x"),
)
def noise_variance(run: Run) -> float:
    x = np.ones((1000, 100))
    return float(np.mean((additive_gaussian(x, denoising.SIGMA, generator(run, 76)) - x) ** 2))


@claim(
    "drop-share",
    "set a random subset to zero: the share of zeros among 10^7 entries with drop = 0.4",
    kind="statistical",
    expected=denoising.DROP,
    tolerance=5 * (denoising.DROP * (1 - denoising.DROP) / 1e7) ** 0.5,
    reason="5 standard errors of a share; .41 for .40 would be 65 of them",
    sabotage=edit(zero_random_subset, ">= drop", ">= drop + 0.01"),
)
def drop_share(run: Run) -> float:
    x, rng = np.ones((1000, 1000)), generator(run, 77)
    return float(np.mean([zero_random_subset(x, denoising.DROP, rng) == 0 for _ in range(10)]))


# --- linear, rank 2: reduced-rank regression ------------------------------------------------------

RANK_CLAIMS: dict[str, tuple[str, Bug]] = {
    "gaussian": (
        "Gaussian noise, M = 2: loss sum_{i>M} l_i + sum_{i<=M} l_i sigma^2 / (l_i + sigma^2); "
        "relative excess",
        edit(DenoisingAutoencoder.loss, "self.forward(noisy), x)", "self.forward(noisy), noisy)"),
    ),
    "anisotropic": (
        "noise of another size in each feature, M = 2: the loss of reduced-rank regression; "
        "relative excess",
        edit(DenoisingAutoencoder.corrupt, "(x, self.sigma, rng)", "(x, np.mean(self.sigma), rng)"),
    ),
    "drop": (
        "entries zeroed with probability 0.4, M = 2: the loss of reduced-rank regression; relative "
        "excess",
        edit(zero_random_subset, ">= drop", ">= 1 - drop"),
    ),
}


def relative_excess(kind: str) -> float:
    moments, rank = denoising.moments(kind), denoising.RANK
    least = analytic.best_denoiser(moments, rank).loss
    return denoising.excess(moments, rank, denoising.PAIRS) / least


def rank_claim(kind: str) -> None:
    """Register the claim about the loss that a linear denoiser reaches under this noise."""
    statement, bug = RANK_CLAIMS[kind]

    @claim(
        f"{kind}-rank-m",
        statement,
        kind="statistical",
        expected=0.0,
        tolerance=lambda run: relative_excess(kind),
        reason="chi-squared of the 21 free parameters over the noisy pairs in the last tenth of "
        "training: its mean and 5 standard errors",
        sabotage=bug,
    )
    def _(run: Run) -> float:
        moments = denoising.moments(kind)
        A = denoising.product(run.shared(denoising.linear, kind))
        least = analytic.best_denoiser(moments, denoising.RANK).loss
        return analytic.denoising_loss(A, moments) / least - 1


for noise in RANK_CLAIMS:
    rank_claim(noise)


@claim(
    "shrinkage",
    "... with PCA's directions, shrunk: eigenvalues l_i / (l_i + sigma^2) of W2 W1; largest error",
    kind="statistical",
    expected=0.0,
    # a slope, residual variance l s^2 / (l + s^2), input variance l + s^2: its standard error is
    # sqrt(l) s / (l + s^2) / sqrt(pairs), at most 1 / (2 sqrt(pairs))
    tolerance=5 / (2 * denoising.PAIRS**0.5),
    reason="5 standard errors of a slope that is fitted to the pairs in the last tenth of training",
    sabotage=edit(
        DenoisingAutoencoder.corrupt, "if self.sigma.any() else x", "if self.drop else x"
    ),
)
def shrinkage(run: Run) -> float:
    X, found = denoising.five_features()
    U = found.components[:, : denoising.RANK]
    shrunk = np.diag(U.T @ denoising.product(run.shared(denoising.linear, "gaussian")) @ U)
    exact = analytic.gaussian_shrinkage(found.eigenvalues / len(X), denoising.SIGMA, denoising.RANK)
    return float(np.max(np.abs(shrunk - exact)))


def angle_to_pca(basis: np.ndarray) -> float:
    """Sine of the largest principal angle between a subspace and that of the first two principal
    components.
    """
    components = denoising.five_features()[1].components[:, : denoising.RANK]
    return float(np.sin(analytic.principal_angles(basis, components)[-1]))


def angle_error() -> float:
    """The standard error of `angle_to_pca`, by first-order perturbation.

    Turning direction i <= M towards j > M has the gradient -e_j z_i, e the residual and z_i of
    variance c_i, an eigenvalue of P Q^-1 P^T, and the curvature c_i - c_j.
    """
    moments, M = denoising.moments("anisotropic"), denoising.RANK
    best = analytic.best_denoiser(moments)  # of any rank: all eigenvectors
    V, c = best.basis, best.captured
    left = np.diag(V.T @ denoising.residual(moments, M) @ V)
    variance = 0.0
    for i in range(M):
        for j in range(M, len(c)):
            turned = V[:, :M] + 1e-6 * np.outer(V[:, j], np.arange(M) == i)
            slope = (angle_to_pca(turned) - angle_to_pca(V[:, :M])) / 1e-6
            variance += slope**2 * c[i] * left[j] / (c[i] - c[j]) ** 2
    return float(np.sqrt(variance / denoising.PAIRS))


@claim(
    "not-pca",
    "... and with anisotropic noise its output subspace turns away from PCA's: sine of the angle "
    "to PCA's",
    kind="statistical",
    expected=lambda run: angle_to_pca(
        analytic.best_denoiser(denoising.moments("anisotropic"), denoising.RANK).basis
    ),
    tolerance=5 * angle_error(),
    reason="5 standard errors of the angle, from the pairs in the last tenth of training",
    sabotage=edit(
        DenoisingAutoencoder.corrupt,
        "self.sigma, rng)",
        "np.full_like(x, np.max(self.sigma)), rng)",
    ),
)
def not_pca(run: Run) -> float:
    model = run.shared(denoising.linear, "anisotropic")
    return angle_to_pca(model.autoencoder.decoding_weight().numpy().T)


# --- noise as weight decay: identities at any weights ---------------------------------------------


def anywhere(**noise: Any) -> DenoisingAutoencoder:
    """A linear denoiser with random weights on five features."""
    return DenoisingAutoencoder(LinearAutoencoder(5, 3, rng=np.random.default_rng(12)), **noise)


def sampled(run: Run, kind: str) -> tuple[float, float]:
    """(mean loss, standard error) at random weights with Gaussian noise or zeroed entries."""
    model, X = anywhere(**denoising.NOISES[kind]), denoising.five_features()[0]
    return denoising.mean_loss(model, X, generator(run, 70), sweeps=1000)


def ridge_loss(
    terms: Callable[[np.ndarray, np.ndarray, float], tuple[float, float]], noise: float
) -> float:
    """The loss without noise at the same weights, and the penalty that the noise adds to it."""
    X = denoising.five_features()[0]
    return sum(terms(denoising.product(anywhere()), X.T @ X / len(X), noise))


@claim(
    "ridge-gaussian",
    "at any weights Gaussian noise is weight decay on A = W2 W1: tr (I-A) S (I-A)^T + sigma^2 "
    "||A||^2",
    kind="statistical",
    expected=lambda run: ridge_loss(analytic.ridge_gaussian, denoising.SIGMA),
    tolerance=lambda run: 5 * run.shared(sampled, "gaussian")[1],
    reason="5 standard errors of 80,000 noisy points",
    sabotage=edit(corruptions.with_noise, "rng.standard_normal(", "rng.random("),
)
def ridge_gaussian(run: Run) -> float:
    return run.shared(sampled, "gaussian")[0]


@claim(
    "ridge-drop",
    "... and zeroing is decay weighted by each feature's variance: with q = 1 - drop, as in "
    "`ridge_dropout`",
    kind="statistical",
    expected=lambda run: ridge_loss(analytic.ridge_dropout, 1 - denoising.DROP),
    tolerance=lambda run: 5 * run.shared(sampled, "drop")[1],
    reason="5 standard errors of 80,000 noisy points",
    sabotage=edit(
        corruptions.zero_random_subset, ".astype(x.dtype)", ".astype(x.dtype) / (1 - drop)"
    ),
)
def ridge_drop(run: Run) -> float:
    return run.shared(sampled, "drop")[0]


# --- noise is drawn at each visit -----------------------------------------------------------------


def few_moments(run: Run) -> analytic.Moments:
    """The second moments of the five points with fresh noise."""
    X = run.shared(denoising.few_points)[2]
    X = X - X.mean(axis=0)
    return analytic.gaussian_moments(X.T @ X / len(X), denoising.SIGMA)


def few_points_allowed(run: Run) -> float:
    error = run.shared(denoising.few_points)[1]
    return 5 * error + denoising.excess(few_moments(run), 5, denoising.FEW_PAIRS)


@claim(
    "few-points",
    "five points, five features, full rank: fresh noise leaves the closed-form loss; a frozen copy "
    "would be memorised",
    kind="statistical",
    expected=lambda run: analytic.best_denoiser(few_moments(run)).loss,
    tolerance=lambda run: few_points_allowed(run),
    reason="5 standard errors of the training loss, and those of the excess that 30 free "
    "parameters leave",
    sabotage=denoising.frozen,
    thorough=True,
)
def few_points(run: Run) -> float:
    return run.shared(denoising.few_points)[0]


def ring_losses(run: Run) -> np.ndarray:
    """The training losses of the last 100 epochs, 20,000 noisy points."""
    return np.array(run.shared(denoising.on_ring)[1].loss[-100:])


@claim(
    "kernel-floor",
    "twenty points: no function of x~ has a loss below the kernel average's; by how much a deep "
    "net ends below it",
    kind="bound",
    expected=0.0,
    tolerance=lambda run: (
        5 * float(np.hypot(run.shared(denoising.ring_floor)[1], ring_losses(run).std(ddof=1) / 10))
    ),
    reason="5 standard errors of both means",
    sabotage=denoising.frozen,
)
def kernel_floor(run: Run) -> float:
    return max(0.0, run.shared(denoising.ring_floor)[0] - float(ring_losses(run).mean()))


# --- the best of all functions --------------------------------------------------------------------


@claim(
    "posterior-mean",
    "two points m and -m: one tanh unit learns E[x | x~] = m tanh(m^T x~ / sigma^2), the floor "
    "itself: relative excess; bar: .002",
    kind="empirical",
    expected=0.0,
    tolerance=2e-3,
    reason="7 parameters per 40,000 pairs in the last tenth of training, 2e-4, and what Adam's "
    "rate adds to it",
    sabotage=edit(DenoisingAutoencoder.loss, "self.forward(noisy), x)", "self.forward(x), x)"),
)
def posterior_mean(run: Run) -> float:
    points = np.array([denoising.TWIN, -denoising.TWIN])
    rng = generator(run, 72)
    noisy = np.tile(points, (10_000, 1)) + rng.standard_normal((20_000, 2))
    model = run.shared(denoising.twins)
    off = model(noisy).numpy() - analytic.kernel_denoiser(points, noisy, 1.0)
    half = float(np.linalg.norm(denoising.TWIN))
    return float(np.mean(np.sum(off**2, axis=1))) / analytic.kernel_floor_line([-half, half], 1.0)


def matching(run: Run) -> tuple[float, float, float]:
    """(loss, least loss + sigma^4 E ||claimed score - score||^2, standard error of their
    difference), random weights.
    """
    mixture, sigma = denoising.mixture(), denoising.FIELD_SIGMA
    X = mixture.sample(20_000, generator(run, 73))
    model = DenoisingAutoencoder(DeepAutoencoder(2, 2, 16, rng=generator(run, 74)), sigma=sigma)
    loss = model.loss(X, rng=generator(run, 75)).item() / len(X)
    noisy = model.corrupt(X, generator(run, 75))  # the same noise
    answer, best = model(noisy).numpy(), mixture.posterior_mean(noisy, sigma)
    off = analytic.score_of_denoiser(answer, noisy, sigma) - mixture.score(noisy, sigma)
    away, least = sigma**4 * np.sum(off**2, axis=1), np.sum((best - X) ** 2, axis=1)
    # of mean 0: x~ says nothing about the difference of x from its posterior mean
    cross = 2 * np.sum((answer - best) * (best - X), axis=1)
    return loss, float(np.mean(least + away)), mean_and_error(cross)[1]


@claim(
    "score-matching",
    "a mixture, any weights: the loss is its least value + sigma^4 E ||(y - x~)/sigma^2 - grad log "
    "p(x~)||^2",
    kind="statistical",
    expected=lambda run: run.shared(matching)[1],
    tolerance=lambda run: 5 * run.shared(matching)[2],
    reason="5 standard errors of the cross term, which has mean 0 (Vincent 2011; Tweedie's "
    "formula)",
    sabotage=edit(DenoisingAutoencoder.loss, "2 * ops", "1 * ops"),
)
def score_matching(run: Run) -> float:
    return run.shared(matching)[0]


# --- arrows onto a curved manifold: x uniform on the unit circle ----------------------------------


def around(run: Run) -> np.ndarray:
    """(200, 2): points at all radii up to 3."""
    rng = generator(run, 78)
    return denoising.circle(200) * rng.uniform(0.05, 3.0, size=(200, 1))


def exact_answer(noisy: np.ndarray) -> np.ndarray:
    """E[x | x~] = I1(k) / I0(k) x~ / r, r = ||x~||, k = r / sigma^2."""
    r = np.linalg.norm(noisy, axis=1, keepdims=True)
    answer: np.ndarray = denoising.circle_shrinkage(r, denoising.CIRCLE_SIGMA) * noisy / r
    return answer


@claim(
    "circle-posterior",
    "x uniform on the unit circle: E[x | x~] is I1(k) / I0(k) < 1 along x~, k = ||x~|| / sigma^2; "
    "distance of the mean over 256 points, by which the trapezoid rule is exact",
    kind="exact",
    expected=0.0,
    tolerance=100 * EPS,
    reason="100 eps of answers of length 1: exponents up to 12, and 256 terms",
    sabotage=edit(analytic.kernel_denoiser, "noisy, sigma) @ X", "noisy, 1.01 * sigma) @ X"),
)
def circle_posterior(run: Run) -> float:
    noisy = run.shared(around)
    found = analytic.kernel_denoiser(denoising.circle(256), noisy, denoising.CIRCLE_SIGMA)
    return float(np.max(np.abs(found - exact_answer(noisy))))


@claim(
    "circle-score",
    "... and the arrow (E[x | x~] - x~) / sigma^2 is the gradient of log p(x~), which the engine "
    "takes of the density: largest difference",
    kind="exact",
    expected=0.0,
    tolerance=100 * EPS * 3 / denoising.CIRCLE_SIGMA**2,
    reason="100 eps of (x - x~) / sigma^2, which is up to 3 / sigma^2",
    sabotage=wrong_rule(
        "logsumexp", "x", "1.01 * reshape(g, kept(x.shape, axis)) * softmax(x, axis=axis)"
    ),
)
def circle_score(run: Run) -> float:
    noisy, sigma = run.shared(around), denoising.CIRCLE_SIGMA
    points = tensor(noisy[:, None], requires_grad=True)
    squares = ops.sum((points - denoising.circle(256)) ** 2, axis=2)
    density = ops.sum(ops.logsumexp(squares / (-2 * sigma**2), axis=1))
    (gradient,) = engine.grad(density, [points])
    arrows = analytic.score_of_denoiser(exact_answer(noisy), noisy, sigma)
    return float(np.max(np.abs(gradient[:, 0] - arrows)))


def radial_misses(run: Run) -> tuple[float, float]:
    """(mean, standard error) of (x - E[x | x~]) . x~ / ||x~|| over 200,000 noisy points."""
    x = denoising.circle(200_000)
    noisy = additive_gaussian(x, denoising.CIRCLE_SIGMA, generator(run, 79))
    outwards = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    return mean_and_error(np.sum((x - exact_answer(noisy)) * outwards, axis=1))


@claim(
    "circle-arrows",
    "... where noisy points came from, on average: mean of (x - E[x | x~]) . x~ / ||x~||, noise by "
    "`additive_gaussian`",
    kind="statistical",
    expected=0.0,
    tolerance=lambda run: 5 * run.shared(radial_misses)[1],
    reason="5 standard errors of 200,000 noisy points",
    sabotage=edit(additive_gaussian, "(x, sigma, rng)", "(x, 0.5 * sigma, rng)"),
)
def circle_arrows(run: Run) -> float:
    return run.shared(radial_misses)[0]


@claim(
    "circle-net",
    "... and a deep net that was shown 2,000 points with fresh noise has these arrows: mean square "
    "off, as a share of theirs; bar: .02",
    kind="empirical",
    expected=0.0,
    tolerance=0.02,
    reason="no theory says how near 60 epochs come",
    sabotage=edit(
        DenoisingAutoencoder.loss, "self.forward(noisy), x)", "self.forward(noisy), noisy)"
    ),
)
def circle_net(run: Run) -> float:
    model, rng = run.shared(denoising.on_circle), generator(run, 80)
    noisy = denoising.circle(5000) + denoising.CIRCLE_SIGMA * rng.standard_normal((5000, 2))
    exact = exact_answer(noisy)
    off = model(noisy).numpy() - exact
    return float(np.sum(off**2) / np.sum((exact - noisy) ** 2))
