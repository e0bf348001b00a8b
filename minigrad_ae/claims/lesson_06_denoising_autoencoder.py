"""Claims of lesson 06: the best linear denoisers, noise as weight decay, posterior means, and a
floor for every network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import analytic
from ..data import corruptions, zero_random_subset
from ..experiments import denoising
from ..models import DeepAutoencoder, DenoisingAutoencoder, LinearAutoencoder
from .bugs import Bug, edit
from .definition import Run, claim, generator, mean_and_error

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


def rank_claim(kind: str) -> None:
    """Register the claim about the loss that a linear denoiser reaches under this noise."""
    statement, bug = RANK_CLAIMS[kind]

    @claim(
        f"{kind}-rank-m",
        statement,
        kind="statistical",
        expected=0.0,
        tolerance=lambda run: 2 * denoising.sampling_error(),
        reason="twice the sum of the squared standard errors of the free parameters: their number "
        "per noisy pair seen in the last tenth of training",
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
    tolerance=0.02,
    reason="standard errors of the parameters: an excess loss of 3.5e-4 is the square of 2e-2",
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


@claim(
    "not-pca",
    "... and with anisotropic noise its output subspace turns away from PCA's: sine of the angle "
    "to PCA's",
    kind="statistical",
    expected=lambda run: angle_to_pca(
        analytic.best_denoiser(denoising.moments("anisotropic"), denoising.RANK).basis
    ),
    tolerance=0.02,
    reason="standard errors of the parameters: an excess loss of 3.5e-4 is the square of 2e-2",
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
    tolerance=lambda run: 4 * run.shared(sampled, "gaussian")[1],
    reason="4 standard errors of 80,000 noisy points",
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
    tolerance=lambda run: 4 * run.shared(sampled, "drop")[1],
    reason="4 standard errors of 80,000 noisy points",
    sabotage=edit(
        corruptions.zero_random_subset, ".astype(x.dtype)", ".astype(x.dtype) / (1 - drop)"
    ),
)
def ridge_drop(run: Run) -> float:
    return run.shared(sampled, "drop")[0]


# --- noise is drawn at each visit -----------------------------------------------------------------


def best_of_few(run: Run) -> float:
    """The least loss per datum of a linear denoiser of the five points with fresh noise."""
    X = run.shared(denoising.few_points)[2]
    X = X - X.mean(axis=0)
    return analytic.best_denoiser(analytic.gaussian_moments(X.T @ X / len(X), denoising.SIGMA)).loss


@claim(
    "few-points",
    "five points, five features, full rank: fresh noise leaves the closed-form loss; a frozen copy "
    "would be memorised",
    kind="statistical",
    expected=best_of_few,
    tolerance=lambda run: (
        4 * run.shared(denoising.few_points)[1] + denoising.sampling_error() * best_of_few(run)
    ),
    reason="4 standard errors of the training loss, and the free parameters per noisy pair",
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
        4 * float(np.hypot(run.shared(denoising.ring_floor)[1], ring_losses(run).std(ddof=1) / 10))
    ),
    reason="4 standard errors of both means",
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
    reason="7 parameters per 80,000 pairs in the last tenth of training, 9e-5, and what Adam's "
    "rate of 0.2 adds to it",
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
    tolerance=lambda run: 4 * run.shared(matching)[2],
    reason="4 standard errors of the cross term, which has mean 0 (Vincent 2011; Tweedie's "
    "formula)",
    sabotage=edit(DenoisingAutoencoder.loss, "2 * ops", "1 * ops"),
)
def score_matching(run: Run) -> float:
    return run.shared(matching)[0]
