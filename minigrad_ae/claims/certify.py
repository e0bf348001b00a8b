"""How the PCA certificate is found: what is measured at a linear autoencoder, and what is allowed.

It does not train.  It compares the model with `analytic.pca` of the same data: the loss with the
optimal loss, the subspace that the decoder spans with the principal components, the gradient and
the curvature at the point found.  How far the subspace may be off follows from how far the loss may
be: E - E* >= 1/2 (s_M - s_{M+1}) sum_i sin^2 theta_i.  Where s_M = s_{M+1}, PCA itself is not
unique; the certificate then says which directions are free.

How far the loss may be follows from rounding, and an offset of the data has no part in it.  With
P = W1 W2 and any m,

    y - x = (x - m) P - (x - m) + c,    c = m P + b1 W2 + b2 - m,

so for a model with biases everything is computed from the centred data, in float64, with c as its
only bias; the large numbers cancel inside c, which is summed without rounding.  What is allowed,
eps being that of the model's parameters:

    1e-10 E*                what training may leave
    K eps ||X_c||^2         rounding of the residuals r: |dE| <= ||r|| ||dr||, ||r|| <= ||X_c||,
                            ||dr|| <= K eps ||X_c||.  A product of D terms is off by
                            sqrt(D) eps ||x|| ||w|| (Higham & Mary 2019, with eps for 2 u), over the
                            M columns of W1 and those of W2: K = sqrt(D M) + M + 2.  K is at least
                            32: a loss that starts at ||X_c||^2/2 is not trained further than L-BFGS
                            resolves it, 64 eps
    D tau^2 / 2             `analytic.pca` sets an eigenvalue below tau^2 to zero; tau holds
                            eps ||X||, to which the data themselves are stored
    n (K' eps ||m||)^2 / 2  the biases: c is zero only as well as m - m P can be stored;
                            K' = sqrt(D M) + M + 2

An offset enters the last two alone, and squared: in float64, 1e8 spreads from the origin, they are
some 1e-14 of E*.  The last does not touch the subspace, so neither the angle nor the gradient is
allowed anything for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import analytic
from ..arguments import counted
from ..autodiff import engine
from ..autodiff.curvature import extreme_curvatures, hessian_product
from ..data import check_matrix, scale
from ..data.validate import demand_squares
from ..errors import DataError, DtypeError, ShapeError
from ..experiments.run import with_weights
from ..models.linear import LinearAutoencoder, half_squared_error
from ..tensors import Tensor, tensor
from .certificate import TINY, Certificate, judged
from .definition import EPS

# how far below zero, relative to the highest, the lowest curvature may be in float64: 67 sqrt(eps)
CURVATURE = 1e-6
# roundings of ||X||^2 (64 of the loss at y = mean): what L-BFGS takes to be the rounding of a loss
RESOLVED = 32
# an offset that is so many times the spread takes two digits of every entry, and is told
FAR = 100.0
FROM_THE_RECORD = ("start_loss", "evaluations", "finished")  # that `fit` leaves, if it was called


def certify_pca(model: LinearAutoencoder, X: Any) -> Certificate:
    """Compare a linear autoencoder with the PCA of its data, without training it.

    The loss is compared with the optimal loss, the subspace that the decoder spans with the
    principal components, and gradient and curvature with those of a minimum.

    Parameters
    ----------
    model : LinearAutoencoder
        With any settings, trained in any way.  Without bias it needs centred data.
    X : array_like, (n, D)
        The data it was trained on.

    Returns
    -------
    Certificate
        Its verdict ``passed``, the numbers behind it, each beside what is allowed, and the
        sentences that say what failed; it prints as a page.  Losses are half a sum of squares over
        features and data, in the units of X.

    Raises
    ------
    DtypeError
        If `model` is not a `LinearAutoencoder`, or X is not real.
    ShapeError
        If X is not a matrix, or has another number of columns than the model has features.
    DataError
        If X or the model holds a number that is not finite, or the squares of X overflow.

    Notes
    -----
    What the loss may differ by follows from rounding, and is derived at the top of this file.
    What the subspace may follows from that: E - E* >= 1/2 (s_M - s_{M+1}) sum_i sin^2 theta_i, with
    the principal angles theta_i.  Where s_M = s_{M+1}, PCA itself is not unique, and the
    certificate says which directions are free.

    References
    ----------
    Bishop & Bishop (2024), section 19.1.1.
    Baldi, P. & Hornik, K. (1989). Neural networks and principal component analysis: learning from
    examples without local minima. Neural Networks 2, 53-58.

    Examples
    --------
    After training the loss is half the sum of the eigenvalues beyond M, from any start:

    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((40, 4)) * [4.0, 3.0, 2.0, 1.0]
    >>> model = mg.models.LinearAutoencoder(4, 2, rng=rng)
    >>> mg.certify_pca(model, X).passed
    False
    >>> record = model.fit(X)
    >>> certificate = mg.certify_pca(model, X)
    >>> certificate.passed
    True
    >>> eigenvalues = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2
    >>> bool(np.isclose(certificate.loss, 0.5 * eigenvalues[2:].sum()))
    True
    """
    given = _checked(model, X)
    X = given.astype(np.float64, copy=False)
    demand_squares(X)
    demand_squares(X - X.mean(axis=0))
    found = analytic.pca(X, model.n_latent)
    dtype = max((p.dtype for p in model.parameters()), key=lambda d: float(np.finfo(d).eps))
    eps = float(np.finfo(dtype).eps)
    exact, data = _at_the_mean(model, X, found.rank)
    weights, biases = _allowed(model, found, data, eps)
    fields: dict[str, Any] = {name: getattr(model.record, name, None) for name in FROM_THE_RECORD}
    fields |= {"n_rows": len(X), "n_features": X.shape[1], "n_latent": found.M, "rank": found.rank}
    fields |= _losses(exact, data, found, weights + biases)
    fields |= _subspace(exact, found, weights)
    fields |= _landscape(exact, data, weights, eps)
    certificate = Certificate(
        passed=False,
        centred=model.bias or _is_centred(X, found.mean, eps),
        notes=list(_notes(model, given, data, dtype, biases + _cut(found))),
        dtype=str(dtype),
        **fields,
    )
    certificate.notes.extend(_notes_on_the_subspace(certificate, found))
    return judged(certificate, lost=biases > 0.5 * float(np.sum(data**2)) > 0)


def _checked(model: Any, X: Any) -> np.ndarray:
    """X as a matrix that fits the model; refuses what cannot be certified."""
    if not isinstance(model, LinearAutoencoder):
        raise DtypeError(
            "certify_pca: this is not a linear autoencoder",
            f"got a {type(model).__name__}",
            "certify_pca(model, X)",
        )
    given = check_matrix(X, "X", min_rows=1)
    if given.shape[1] != model.n_features:
        raise ShapeError(
            "the data do not fit the autoencoder",
            f"X {given.shape}, model of {model.n_features} features",
            "certify with the data that the model was trained on",
        )
    for name, p in model.named_parameters():
        wrong = int((~np.isfinite(p.numpy())).sum())
        if wrong:
            raise DataError(
                "certify_pca: the model holds numbers that are not finite",
                f"{name} has {wrong} of {p.size}",
                "train it again; a smaller step size keeps it finite",
            )
    return given


def demand_latent(latent: int, shape: tuple[int, ...]) -> None:
    """Refuse a number of latent units that these data cannot have, in the words of the command
    line.
    """
    if not 1 <= latent <= shape[1]:
        raise DataError(
            f"--latent {latent} is not possible",
            f"the matrix has {counted(shape[0], 'row')} and {counted(shape[1], 'column')}",
            "M = 1 is the only choice" if shape[1] == 1 else f"choose 1 <= M <= {shape[1]}",
        )


def _is_centred(X: np.ndarray, mean: np.ndarray, eps: float) -> bool:
    return len(X) * float(np.sum(mean**2)) <= 64 * eps * float(np.sum(X**2))


# --- the same model, seen from the mean of the data -----------------------------------------------


def _at_the_mean(
    model: LinearAutoencoder, X: np.ndarray, rank: int
) -> tuple[LinearAutoencoder, np.ndarray]:
    """A float64 copy of `model` and the data for it, which have the loss of `model` and X without
    their offset.

    With biases: X - m, and the biases 0 and c of the formula at the top.  m is a mean and its own
    rounding error, both taken off exactly as they stand in c.  Data of rank 0 are their mean, and
    what is left of them is rounding.
    """
    exact = _in_float64(model)
    if not model.bias:
        return exact, X
    mean = X.mean(axis=0)
    rest = (X - mean).mean(axis=0)
    exact.decoder_bias.data = _bias_at_the_mean(exact, mean, rest)
    exact.encoder_bias.data = np.zeros(model.n_latent)
    return exact, X - mean - rest if rank else np.zeros_like(X)


def _in_float64(model: LinearAutoencoder) -> LinearAutoencoder:
    """The same weights in float64, so that what is measured is the model and not the measuring."""
    exact = LinearAutoencoder(
        model.n_features,
        model.n_latent,
        bias=model.bias,
        tied=model.tied,
        l2=model.l2,
        rng=np.random.default_rng(0),
    )
    return with_weights(exact, *(p.numpy() for p in model.parameters()))


def _bias_at_the_mean(model: LinearAutoencoder, mean: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(D,): c = m W1 W2 + b1 W2 + b2 - m for m = mean + rest, rounded once at the end.

    The code of the mean is kept as two floats, so that its own rounding is not part of c.
    """
    W1, W2 = model.encoder_weight.numpy(), model.decoding_weight().numpy()
    terms = np.vstack([_products(mean, W1), _products(rest, W1), model.encoder_bias.numpy()])
    code = _sums(terms)
    code_rest = _sums(np.vstack([terms, -code]))
    ends = [model.decoder_bias.numpy(), -mean, -rest]
    return _sums(np.vstack([_products(code, W2), _products(code_rest, W2), *ends]))


def _products(a: np.ndarray, B: np.ndarray) -> np.ndarray:
    """(4k, p): terms whose sum over rows is a (k,) times B (k, p) without any rounding (Veltkamp's
    halves; Dekker 1971).
    """
    return np.vstack([x[:, None] * y for x in _halves(a) for y in _halves(B)])


def _halves(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a = high + low, each of at most 26 bits, so that a product of two of them is exact."""
    shifted = a * (2.0**27 + 1)
    high = shifted - (shifted - a)
    return high, a - high


def _sums(terms: np.ndarray) -> np.ndarray:
    """Sums over rows, each rounded once (`math.fsum`)."""
    return np.array([math.fsum(column) for column in terms.T])


# --- the optimum, and what is allowed -------------------------------------------------------------


def _optimal_loss(found: analytic.PCA, l2: float) -> float:
    if l2 == 0:
        return found.optimal_loss()
    return analytic.optimal_loss_regularised(found.eigenvalues, found.M, l2)


def _cut(found: analytic.PCA) -> float:
    """How much of the optimal loss PCA may have set to zero."""
    return 0.5 * len(found.mean) * found.tolerance**2


def _losses(
    model: LinearAutoencoder, data: np.ndarray, found: analytic.PCA, allowed: float
) -> dict[str, Any]:
    """The certificate's fields about the loss, and about what the reconstructions explain."""
    loss, y = model.loss(data).item(), model(data).numpy()
    return {
        "loss": loss,
        "optimal_loss": _optimal_loss(found, model.l2),
        "loss_tolerance": allowed,
        "eigenvalues": found.eigenvalues[: found.M].tolist(),
        "explained_variance": _explained(y - y.mean(axis=0) if model.bias else y, found.M),
    }


def _explained(y: np.ndarray, M: int) -> list[float]:
    """(M,) eigenvalues of the scatter of the reconstructions, largest first: s_1 ... s_M at the
    optimum.
    """
    values = np.linalg.svd(y, compute_uv=False) ** 2
    return np.append(values, np.zeros(M))[:M].tolist()


def _allowed(
    model: LinearAutoencoder, found: analytic.PCA, data: np.ndarray, eps: float
) -> tuple[float, float]:
    """What the weights and what the biases may add to the optimal loss; derived at the top of this
    file.
    """
    D, M = model.n_features, model.n_latent
    roundings = math.sqrt(D * M) + M + 2
    squares = float(np.sum(data**2))
    optimum = _optimal_loss(found, model.l2)
    weights = 1e-10 * optimum + max(RESOLVED, roundings) * eps * squares + _cut(found)
    if not model.bias:
        return weights, 0.0
    stored = roundings * eps * float(np.linalg.norm(found.mean))
    return weights, 0.5 * len(data) * stored**2


# --- the subspace ---------------------------------------------------------------------------------


def _subspace(model: LinearAutoencoder, found: analytic.PCA, allowed: float) -> dict[str, Any]:
    """The certificate's fields about the subspace that the decoder spans."""
    decoder = model.decoding_weight().numpy()
    spanned = np.zeros((model.n_features, 0))
    if np.any(decoder):
        spanned = analytic.orthonormal_basis(decoder.T)
    sure, tied = _determined(found.eigenvalues, model.n_latent, allowed, model.l2)
    angles: list[float] = []
    if 0 < sure <= spanned.shape[1]:
        angles = analytic.principal_angles(found.components[:, :sure], spanned).tolist()
    outside = 0.0
    if tied is None:
        inside, first = found.components[:, : model.n_latent], spanned[:, : model.n_latent]
        outside = float(np.linalg.norm(first - inside @ (inside.T @ spanned)))
    return {
        "determined": sure,
        "free": tied,
        "principal_angles": angles,
        "sine_tolerance": _sine_allowed(found.eigenvalues, sure, allowed),
        "subspace_error": float(np.hypot(np.linalg.norm(np.sin(angles)), outside)),
    }


def _determined(
    s: np.ndarray, M: int, allowed: float, l2: float
) -> tuple[int, tuple[int, int] | None]:
    """How many leading directions the optimum determines, and the components (from, to) that tie
    with the M-th.

    Two components cannot be told apart by the loss when exchanging them costs no more than
    `allowed`.  With a penalty, components with s_j <= l2 collapse, and the decoder does not span
    them.
    """
    M = min(M, int(np.sum(s > l2))) if l2 else M
    apart = 0.5 * (s[:-1] - s[1:]) > allowed  # apart[j - 1]: component j from j + 1
    cuts = [0, *(np.flatnonzero(apart) + 1).tolist(), len(s)]
    if M in cuts:
        return M, None
    before, last = max(j for j in cuts if j < M), min(j for j in cuts if j > M)
    return before, (before + 1, last)


def _sine_allowed(s: np.ndarray, sure: int, allowed: float) -> float:
    """E - E* >= 1/2 gap sin^2: what the sine may be if the loss may be `allowed` too high."""
    if sure == 0:
        return 0.0
    if sure == len(s):
        return 1.0
    return min(1.0, math.sqrt(2 * allowed / (s[sure - 1] - s[sure])))


# --- gradient and curvature -----------------------------------------------------------------------


def _landscape(
    model: LinearAutoencoder, data: np.ndarray, allowed: float, eps: float
) -> dict[str, Any]:
    """The certificate's fields about gradient and curvature in the weights, the offsets being the
    best ones for them.

    E depends on the data X through X^T X = R^T R alone, so R of a QR decomposition stands for them,
    scaled to size one.
    """
    R, unit = scale(np.linalg.qr(data, mode="r") if len(data) > data.shape[1] else data)
    x, l2 = tensor(R), model.l2 / unit**2
    weights = [model.encoder_weight] if model.tied else [model.encoder_weight, model.decoder_weight]
    y = x @ model.encoder_weight @ model.decoding_weight()
    loss = model.penalised(half_squared_error(y, x), l2)
    gradients = engine.grad(loss, weights)
    slope = math.hypot(*(float(np.linalg.norm(g)) for g in gradients))
    imbalance = 0.0 if model.tied else _imbalance(weights, gradients, l2)
    low, high = extreme_curvatures(hessian_product(loss, weights), sum(w.size for w in weights))
    highest, size = max(high, 0.0), float(np.sum(R**2)) or 1.0
    allowed_at_size_one = math.sqrt(allowed) / unit
    away = math.sqrt(2 / highest) * allowed_at_size_one if highest else 0.0
    slope_allowed = math.sqrt(2 * highest) * allowed_at_size_one
    largest = max(abs(high), abs(low), TINY)
    return {
        "gradient_norm": slope / size,
        "gradient_tolerance": slope_allowed / size,
        "balancedness": imbalance / size,
        "lowest_curvature": low / largest,
        "curvature_tolerance": max(CURVATURE * math.sqrt(eps / EPS), away),
    }


def _imbalance(weights: Sequence[Tensor], gradients: tuple[Any, ...], l2: float) -> float:
    """||(dE/dW1) W1^T - W2^T (dE/dW2)|| of the loss without its penalty, in the layers' own order
    of indices: zero at any point.
    """
    W1, W2 = (w.numpy() for w in weights)
    penalty = l2 * (W1.T @ W1 - W2 @ W2.T)
    return float(np.linalg.norm(W1.T @ gradients[0] - gradients[1] @ W2.T - penalty))


# --- notes ----------------------------------------------------------------------------------------


def _notes(
    model: LinearAutoencoder, given: np.ndarray, data: np.ndarray, dtype: Any, cost: float
) -> Iterator[str]:
    """What a reader should know beside the numbers: dtype and offset."""
    if dtype != np.float64:
        judge = f"it is judged as one, with eps = {np.finfo(dtype).eps:.1e} in every tolerance"
        yield f"the model's parameters are {dtype}: {judge}"
    size, spread = float(np.linalg.norm(given.astype(np.float64))), float(np.linalg.norm(data))
    if model.bias and size > FAR * spread > 0:
        stored = float(np.finfo(given.dtype).eps) * float(np.abs(given).max())
        yield (
            f"the data lie {size / spread:.0e} times their spread from the origin, so each entry "
            f"is stored to {stored:.0e}; this and the biases that must cancel it add {cost:.1e} to "
            "the allowed loss"
        )


def _notes_on_the_subspace(c: Certificate, found: analytic.PCA) -> Iterator[str]:
    """Which directions are free, and where the decoder spans too few."""
    if c.missing:
        yield f"the decoder spans fewer than the {c.determined} directions that PCA needs"
    if c.free is None:
        return
    first, last = c.free
    free = f"{c.n_latent - c.determined} of the {c.n_latent} directions"
    if first > found.rank:
        yield f"the rank is {found.rank}: {free} hold no variance and are free"
        return
    high, low = np.sqrt(found.eigenvalues[[first - 1, last - 1]])
    as_told = high - low > found.tolerance * (last - first)
    equal = "are equal as far as the loss can tell" if as_told else "are equal"
    yield f"s_{first} ... s_{last} {equal}: {free} are free within these components"
