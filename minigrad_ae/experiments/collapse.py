"""What the claims of lesson 10 measure on linear VAEs trained to their maximum: which units
collapse, what a loss convention does, rate against distortion; and MNIST's spectrum.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from .. import analytic, ops
from ..data import digits, mnist, mnist_files, shipped_results
from ..files import write_json
from ..models import KLWarmUp, LinearVAE, VariationalAutoencoder, diagnostics
from ..optim import LBFGS, SGD
from ..tensors import Tensor, tensor
from ..train import fit
from .elbo import cloud, maximise, trained
from .linear import hessian_of
from .run import Run, adam, closure, generator, mean_and_error

UNITS = 4
SPECTRUM = "10_mnist_spectrum.json"
NOISES, WEIGHTS = (0.1, 0.5, 1.2, 4.0), (0.25, 1.0, 4.0)  # sigma^2 and beta of the grid


def linear(run: Run, sigma2: float, beta: float, M: int = UNITS) -> LinearVAE:
    """A linear VAE on the five features of lesson 08, trained to its maximum at fixed sigma^2 and
    beta.
    """
    return trained(run, M, sigma2=sigma2, beta=beta)


def noise_learnt(run: Run, beta: float) -> LinearVAE:
    """The same with two units and sigma^2 learnt under beta."""
    return trained(run, 2, learn_sigma2=True, beta=beta)


def report(model: Any, X: np.ndarray, seed: int = 0) -> diagnostics.LatentReport:
    """What the units of a model do (`diagnose`), with the same draws each time."""
    return diagnostics.diagnose(model, X, np.random.default_rng([seed, 10]), draws=1)


def posteriors(model: Any, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and log-variances (n, M) of q(z | x) for every row of X."""
    mu, log_var = model.encode(X)
    return np.asarray(mu.numpy(), np.float64), np.asarray(log_var.numpy(), np.float64)


def active_units(model: Any, X: np.ndarray) -> int:
    """Units whose posterior mean varies over the data with a variance above 0.01 (Burda et al.
    2016).
    """
    return int((posteriors(model, X)[0].var(axis=0) > diagnostics.ACTIVE).sum())


def active(run: Run, sigma2: float, beta: float) -> int:
    """How many of the units of `linear` are active."""
    return active_units(run.shared(linear, sigma2, beta), cloud()[0])


# --- loss conventions -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Convention:
    """A loss per datum, as people write it: a factor times the sum (or the mean) of its squared
    errors, and the same of its KL terms.
    """

    error_factor: float
    error_reduction: str
    kl_factor: float
    kl_reduction: str

    def loss(self, e: Any, kl: Any) -> Any:
        """(n,), from squared errors e (n, D) and KL terms kl (n, M)."""
        error = REDUCTIONS[self.error_reduction](e, axis=1)
        divergence = REDUCTIONS[self.kl_reduction](kl, axis=1)
        return self.error_factor * error + self.kl_factor * divergence

    def error_weight(self, D: int) -> float:
        """What multiplies the plain sum of squared errors over D features."""
        return self.error_factor / (D if self.error_reduction == "mean" else 1)

    def kl_weight(self, M: int) -> float:
        """What multiplies the plain sum of KL terms over M units."""
        return self.kl_factor / (M if self.kl_reduction == "mean" else 1)


# the largest; with 3.4 the unit is about one standard deviation
PIXELS = {"0 to 1": 1.0, "0 to 3.4": 3.4, "0 to 16": 16.0}
REDUCTIONS: dict[str, Callable[..., Any]] = {"sum": ops.sum, "mean": ops.mean}
CONVENTIONS = {
    "sum e + sum KL": Convention(1.0, "sum", 1.0, "sum"),
    "1/2 sum e + sum KL": Convention(0.5, "sum", 1.0, "sum"),
    "sum e + 4 sum KL": Convention(1.0, "sum", 4.0, "sum"),
    "mean e + mean KL": Convention(1.0, "mean", 1.0, "mean"),
    "mean e + sum KL": Convention(1.0, "mean", 1.0, "sum"),
}


def small_digits(largest: float = 1.0) -> np.ndarray:
    """(1797, 16): the digits at 4 x 4 pixels, each the mean of 2 x 2, from 0 to ``largest``."""
    return largest * digits()[0].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)


@cache
def small_moments(largest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean (16,), R (16, 16), l (16,)) of the small digits: R^T R = X^T X centred, l the
    eigenvalues of the covariance.
    """
    X = small_digits(largest)
    R = np.asarray(np.linalg.qr(X - X.mean(axis=0), mode="r"))
    return X.mean(axis=0), R, np.linalg.svd(R, compute_uv=False) ** 2 / len(X)


def written_as(run: Run, name: str, largest: float, M: int = 10) -> LinearVAE:
    """A linear VAE on the small digits, trained with the loss written as in CONVENTIONS, by L-BFGS.

    16 rows with the same second moments stand in for the 1797; what does not depend on x is
    multiplied to make up for it.
    """
    mean, R, _ = small_moments(largest)
    model = LinearVAE(16, M, rng=generator(run, 16))
    model.mean.data = mean.copy()
    data, n = tensor(R + mean), len(digits()[0])
    share = len(R) / n

    def loss() -> Tensor:
        mu, log_var = model.encode(data)
        # what the noise in z adds to each squared error
        noise = ops.exp(log_var) @ model.decoder_weight**2
        errors = (data - model.decode(mu)) ** 2 + noise / share
        kl = 0.5 * (mu**2 + ops.exp_remainder(log_var) / share)
        return ops.sum(CONVENTIONS[name].loss(errors, kl)) / n

    weights = [model.encoder_weight, model.log_var, model.decoder_weight]
    tolerance = 1e-5 * CONVENTIONS[name].error_weight(16)
    optimiser = LBFGS(weights, history=50, max_iter=400, gradient_tolerance=tolerance)
    optimiser.step(closure(loss))
    return model


def mnist_spectrum(run: Run) -> np.ndarray:
    """(784,) eigenvalues of the covariance of MNIST's training images, pixels from 0 to 1, largest
    first.

    Shipped, to six digits and twelve decimals, which the rounding of `eigvalsh` (784 eps l_1, about
    1e-12) leaves; the full form of the lesson computes and writes them again (and needs MNIST).
    """
    if run.full:
        images = mnist()[0]
        values = np.linalg.eigvalsh(np.cov(images, rowvar=False, ddof=0))[::-1]
        record = {
            "command": "minigrad-ae lesson 10 --full",
            "what": "eigenvalues of the covariance (divided by n) of MNIST's 60,000 training "
            "images, pixels from 0 to 1",
            "sha256": mnist_files.SHA256["train-images-idx3-ubyte.gz"],
            "eigenvalues": [float(f"{max(0.0, round(value, 12)):.6g}") for value in values],
        }
        write_json(shipped_results.FOLDER / SPECTRUM, record)
    record = json.loads(shipped_results.shipped(SPECTRUM).read_text(encoding="utf-8"))
    return np.array(record["eigenvalues"])


def predicted(name: str, largest: float, M: int = 10) -> tuple[float, int]:
    """(tau, active units) that the closed form gives for that loss."""
    convention = CONVENTIONS[name]
    tau = analytic.effective_noise(convention.error_weight(16), convention.kl_weight(M))
    return tau, analytic.active_units(small_moments(largest)[2], M, tau)


# --- where collapse begins, and rate against distortion -------------------------------------------


def curvatures(sigma2: float, beta: float) -> np.ndarray:
    """(5,) rising: curvatures of -max over q of the bound per datum at W = 0 in directions of a
    column of W.

    From the engine's Hessian H over (W, V, ln d) at W = 0, V = 0, d = 1: the best q follows W, so
    what counts is the Schur complement H_WW - H_Wq H_qq^-1 H_qW.
    """
    X, _ = cloud()
    model = LinearVAE(5, 1, sigma2=sigma2, beta=beta, rng=np.random.default_rng(0))
    model.mean.data = X.mean(axis=0)
    model.decoder_weight.data, model.encoder_weight.data = np.zeros((1, 5)), np.zeros((5, 1))
    parameters = [model.decoder_weight, model.encoder_weight, model.log_var]
    H = hessian_of(model.loss(X) / len(X), parameters)
    schur = H[:5, :5] - H[:5, 5:] @ np.linalg.solve(H[5:, 5:], H[5:, :5])
    return np.linalg.eigvalsh(schur)


def rate_and_distortion(run: Run, tau: float, M: int) -> tuple[float, float]:
    """(sum of KL in nats, E ||x - y||^2 over x and z) per datum, of a linear VAE trained with
    sigma^2 = 1 and beta = tau.
    """
    X, _ = cloud()
    model = run.shared(linear, 1.0, tau, M)
    likelihood = model.expected_log_likelihood(X, *model.encode(X)).numpy().mean()
    distortion = -2 * likelihood - 5 * np.log(2 * np.pi)
    return float(report(model, X).rate), float(distortion)


# --- remedies -------------------------------------------------------------------------------------


def warmed(run: Run) -> LinearVAE:
    """Trained with a KL warm-up: to the maximum for beta = 0.5, 1, 1.5 and 2 in turn, each from
    where the last one ended.
    """
    X, _ = cloud()
    model = LinearVAE(5, 2, sigma2=0.5, beta=2.0, rng=generator(run, 2))
    model.mean.data = X.mean(axis=0)
    warm_up = KLWarmUp(model, 4)
    for stage in (1, 2, 3, 4):
        model.beta = warm_up.at(stage)
        maximise(model, X, [model.encoder_weight, model.log_var, model.decoder_weight])
    return model


def betas_of_warm_up(run: Run) -> list[float]:
    """What beta is at the start and after each of six epochs, in a warm-up of four to beta = 2."""
    model, seen = LinearVAE(5, 2, sigma2=0.5, beta=2.0, rng=generator(run, 3)), list[float]()
    warm_up = KLWarmUp(model, 4)
    seen.append(model.beta)
    fit(
        model,
        cloud()[0],
        optimizer=SGD(model.parameters(), lr=1e-4),
        epochs=6,
        rng=generator(run, 4),
        callbacks=[warm_up, lambda state: seen.append(state.model.beta)],
        progress=False,
    )
    return seen


# --- whether a code is compressed -----------------------------------------------------------------

CODES = "10_mnist_codes.json"
CODE_BETAS, CODE_SEEDS = (1.0, 4.0), (0,)


class Binarised(VariationalAutoencoder):
    """Its loss draws black and white pixels from grey ones, again at every step."""

    def loss(self, x: Any, rng: Any = None) -> Tensor:
        black = rng.random(x.shape, np.float32) < x
        return super().loss(black.astype(np.float32), rng)


def information_bounds(mu: np.ndarray, log_var: np.ndarray) -> tuple[float, float]:
    """Closed forms between which I(x; z) lies, z from one of n Gaussians with independent units,
    all equally probable (Kolchinsky & Tracey 2017).

    Both are ln n - 1/n sum_i ln sum_j e^-d_ij: the lower with Bhattacharyya's distances, the upper
    with d_ij = KL(q_i || q_j).
    """
    overlap, divergence = np.zeros((2, len(mu), len(mu)))
    for m in range(mu.shape[1]):
        center, ln_v = mu[:, m], log_var[:, m]
        square, v = (center[:, None] - center) ** 2, np.exp(ln_v)
        both, of_logs = v[:, None] + v, ln_v[:, None] + ln_v
        overlap += 0.25 * square / both + 0.5 * np.log(0.5 * both) - 0.25 * of_logs
        divergence += 0.5 * ((v[:, None] + square) / v - 1 - ln_v[:, None] + ln_v)
    below, above = (
        float(np.log(len(mu)) - np.logaddexp.reduce(-d, axis=1).mean())
        for d in (overlap, divergence)
    )
    return below, above


def information(mu: np.ndarray, log_var: np.ndarray, draws: int = 10) -> tuple[float, float]:
    """(I(x; z), its standard error) as `mutual_information` estimates it."""
    rng = np.random.default_rng(17)
    return mean_and_error([diagnostics.mutual_information(mu, log_var, rng) for _ in range(draws)])


DIGITS_SEEDS = 3


def digits_codes(run: Run, beta: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """(mu, log_var) of the first 500 training digits in three VAEs 64-64-8, from other weights
    each; 20 epochs, noise of deviation 0.2.
    """
    X, found = digits("train")[0].astype(np.float32), []
    for k in range(DIGITS_SEEDS):
        start, order, noise = (generator(run, 40, k, purpose) for purpose in range(3))
        layers: dict[str, Any] = {"hidden": (64,), "likelihood": "gaussian", "sigma": 0.2}
        layers |= {"dtype": np.float32}
        model = VariationalAutoencoder(64, 8, beta=beta, rng=start, **layers)
        adam(model, X, lr=3e-3, epochs=20, batch=64, rng=order, noise=noise)
        found.append(posteriors(model, X[:500]))
    return found


def mnist_codes(run: Run) -> np.ndarray:
    """(2, 5): beta, seed, rate, I(x; z) and ELBO, in nats, of VAEs 784-400-20 about MNIST's 10,000
    test images, for two betas and one seed.

    Shipped, to three decimals; the full form of the lesson trains them again (twice four epochs;
    three CPU-minutes with all the rest of the lesson) and writes it.
    """
    if run.full:
        train, (test, _) = mnist(dtype=np.float32)[0], mnist(split="test", dtype=np.float32)
        test = (np.random.default_rng([0, 1]).random(test.shape) < test).astype(np.float32)
        rows = []
        for seed, beta in product(CODE_SEEDS, CODE_BETAS):
            model = _mnist_model(train, beta, seed)
            found = diagnostics.diagnose(model, test, np.random.default_rng(seed), draws=1)
            nats = (found.rate, found.mutual_information, found.elbo)
            rows.append([beta, seed, *(round(value, 3) for value in nats)])
        record = {
            "command": "minigrad-ae lesson 10 --full",
            "what": "VAEs 784-400-20, binarised MNIST, four epochs of Adam; 10,000 test images",
            "columns": ["beta", "seed", "rate", "mutual_information", "elbo"],
            "rows": rows,
        }
        write_json(shipped_results.FOLDER / CODES, record)
    record = json.loads(shipped_results.shipped(CODES).read_text(encoding="utf-8"))
    return np.array(record["rows"])


def _mnist_model(train: np.ndarray, beta: float, seed: int) -> VariationalAutoencoder:
    """Four epochs of Adam."""
    start, order, noise = (np.random.default_rng([seed, k]) for k in range(3))
    layers: dict[str, Any] = {"hidden": (400,), "activation": "relu", "dtype": np.float32}
    model = Binarised(784, 20, beta=beta, rng=start, **layers)
    adam(model, train, lr=2e-3, epochs=4, batch=128, rng=order, noise=noise)
    return model


# --- the aggregate posterior ----------------------------------------------------------------------


def marginal_kl_on_grid(model: Any, X: np.ndarray) -> float:
    """KL(q(z) || p(z)) of one latent unit, by the trapezoid rule: the mixture and its integral
    written out in NumPy.
    """
    mu, log_var = posteriors(model, X)
    z = np.linspace(-8, 8, 3201)
    spread = np.exp(0.5 * log_var)
    standardised = (z[:, None] - mu[:, 0]) / spread[:, 0]
    components = np.exp(-0.5 * standardised**2) / spread[:, 0]
    q = np.mean(components, axis=1) / np.sqrt(2 * np.pi)
    p = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return float(np.sum(q * np.log(np.maximum(q, 1e-300) / p)) * (z[1] - z[0]))
