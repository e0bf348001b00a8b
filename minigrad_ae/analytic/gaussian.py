"""Masked prediction from second moments alone, and what random masks do to a loss.

For Gaussian data the conditional mean is linear, and no network predicts better; for other data it
is the best *linear* predictor, and a masked autoencoder that does not beat it has learnt nothing
beyond second moments.  S is the covariance of the data (D x D, divided by N); errors are *sums over
the masked features* of squares, per datum, unless a name says mean.  Masks are uniform: K of L
patches hidden, each subset equally likely, as in He et al., CVPR 2022 (arXiv 2111.06377).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import plain
from ..errors import DataError, DtypeError, ShapeError
from ._arguments import Array, covariance, of_shape, real_array, real_number, whole_number, within

# A direction of the *correlations* (of D features) whose eigenvalue is below D times this share of
# the largest counts as constant: a sum of N products and `eigh` leave some D eps there.
FLAT = 16 * np.finfo(np.float64).eps


@dataclass(frozen=True)
class GaussianConditional:
    """The best linear prediction of masked features; made by `gaussian_conditional`.

    For Gaussian data no prediction is better.

    Parameters
    ----------
    masked : tuple of int
        The numbers of the masked features, rising.
    visible : tuple of int
        The numbers of the others, rising.
    predictor : ndarray, (len(masked), len(visible))
        B = S_mv S_vv⁻¹: E[x_m | x_v] = mean_m + B (x_v − mean_v).
    covariance : ndarray, (len(masked), len(masked))
        S_mm − S_mv S_vv⁻¹ S_vm: Cov[x_m | x_v], the same for every x_v.

    Examples
    --------
    >>> S = [[1.0, 0.8], [0.8, 1.0]]
    >>> found = mg.analytic.gaussian_conditional(S, [True, False])
    >>> found.masked, found.visible, round(found.squared_error, 6)  # 1 - 0.8²
    ((0,), (1,), 0.36)
    >>> found.predict([[np.pi, 2.0]], mean=[0.0, 0.0]).round(6).tolist()  # pi is not read
    [[1.6]]
    """

    masked: tuple[int, ...]
    visible: tuple[int, ...]
    predictor: Array
    covariance: Array

    @property
    def squared_error(self) -> float:
        """tr Cov[x_m | x_v], a sum over masked features, mean over data.

        Divide by ``len(masked)`` for the mean per feature.
        """
        return float(np.trace(self.covariance))

    def predict(self, X: ArrayLike, mean: ArrayLike) -> Array:
        """Predict the masked features of each row from its visible ones.

        Parameters
        ----------
        X : array_like, (n, D)
            Whole rows; the masked features are not read.
        mean : array_like, (D,)
            Of the data that S comes from.

        Returns
        -------
        ndarray, (n, len(masked))
            mean_m + B (x_v − mean_v).

        Raises
        ------
        ShapeError, DtypeError, DataError
            If X does not have D columns, mean does not have D numbers, or one of them does not hold
            finite real numbers.
        """
        D = len(self.masked) + len(self.visible)
        X = of_shape(X, "X", (None, D), "give whole rows; the masked features are not read")
        mean = of_shape(mean, "mean", (D,), "one number for each feature")
        masked, visible = list(self.masked), list(self.visible)
        return mean[masked] + (X[:, visible] - mean[visible]) @ self.predictor.T


@dataclass(frozen=True)
class ZeroFilledMap:
    """The best single linear map for all masks at once, as `zero_filled_map` finds it.

    Parameters
    ----------
    matrix : ndarray, (D, D)
        The prediction of feature i is row i times the input in which masked features are 0.
    squared_errors : ndarray, (D,)
        E (x_i − prediction)², the mean over data and over the masks that hide i.

    Examples
    --------
    >>> S = np.array([[1.0, 0.8], [0.8, 1.0]])
    >>> best = mg.analytic.zero_filled_map(S, K=1)  # of two features one is hidden
    >>> best.matrix.round(6).tolist()
    [[0.0, 0.8], [0.8, 0.0]]
    """

    matrix: Array
    squared_errors: Array


def gaussian_conditional(S: ArrayLike, masked: ArrayLike) -> GaussianConditional:
    """The prediction of masked features given the visible ones, from second moments alone.

    Directions in which the visible features are constant are left out; add 1e-3 I to S to be robust
    on few data.

    Parameters
    ----------
    S : array_like, (D, D)
        The covariance of the data, divided by N.
    masked : array_like of bool, (D,)
        True where a feature is hidden; at least one is.

    Returns
    -------
    GaussianConditional
        The predictor, and the error that is left.

    Raises
    ------
    ShapeError, DtypeError
        If S is not a real square matrix, or `masked` is not boolean with D entries.
    DataError
        If S is not a covariance, or nothing is masked.

    References
    ----------
    Bishop & Bishop (2024), section 3.2, the conditional distribution of a Gaussian.

    Examples
    --------
    >>> S = 0.9 ** np.abs(np.subtract.outer(np.arange(3), np.arange(3)))  # AR(1)
    >>> middle = mg.analytic.gaussian_conditional(S, [False, True, False])
    >>> bool(np.allclose(middle.predictor, 0.9 / (1 + 0.9**2)))
    True
    """
    S = covariance(S, "S")
    hidden = plain(masked, "masked")
    if hidden.dtype != np.bool_ or hidden.shape != (len(S),):
        raise (ShapeError if hidden.dtype == np.bool_ else DtypeError)(
            "masked must be a boolean array with one entry for each feature",
            f"masked has dtype {hidden.dtype} and shape {hidden.shape}, S has {len(S)} features",
            "mask = np.zeros(D, dtype=bool); mask[hidden_features] = True",
        )
    if not hidden.any():
        raise DataError("no feature is masked", f"0 of {len(S)}", "hide at least one feature")
    m, v = np.flatnonzero(hidden), np.flatnonzero(~hidden)
    predictor = regression(S[np.ix_(m, v)], S[np.ix_(v, v)])
    rest = S[np.ix_(m, m)] - predictor @ S[np.ix_(v, m)]
    return GaussianConditional(tuple(m.tolist()), tuple(v.tolist()), predictor, (rest + rest.T) / 2)


def zero_filled_map(S: ArrayLike, K: int, patches: ArrayLike | None = None) -> ZeroFilledMap:
    """The best A for E ‖masked part of (x − A (visible x, else 0))‖², one map for every mask.

    K of L patches are hidden at random, and the data have mean 0.  One map must serve every mask,
    so it lies above the conditional for each.  Given that patch p is hidden, another is visible
    with probability a = (L − K)/(L − 1), two others with b = a (L − K − 1)/(L − 2); for feature i
    in p, row i is (a S_oo on pairs in one patch, b S_oo on others)⁻¹ a S_oi, o the features outside
    p.

    Parameters
    ----------
    S : array_like, (D, D)
        The covariance of the data, divided by N.
    K : int
        Hidden patches, 1 to L − 1.
    patches : array_like of int, (D,), optional
        The patch of each feature, numbers 0 ... L − 1; each feature is its own patch unless given.

    Returns
    -------
    ZeroFilledMap
        The map, and its error for each feature.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If S is not a covariance, patches are not D numbers, or K is out of range.

    Examples
    --------
    >>> S = 0.9 ** np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    >>> one_map = mg.analytic.zero_filled_map(S, K=2)
    >>> np.diag(one_map.matrix).tolist()  # what is hidden is not read
    [0.0, 0.0, 0.0]
    >>> errors = [mg.analytic.gaussian_conditional(S, mask).covariance[0, 0]
    ...           for mask in ([True, True, False], [True, False, True])]
    >>> bool(one_map.squared_errors[0] >= np.mean(errors))
    True
    """
    S = covariance(S, "S")
    D = len(S)
    labels = (
        np.arange(D)
        if patches is None
        else of_shape(patches, "patches", (D,), "one patch number for each feature")
    )
    _, labels = np.unique(labels, return_inverse=True)
    L = int(labels.max()) + 1
    K = whole_number(K, "K", 1, L - 1, f"there are {L} patches, and one must stay visible")
    one = (L - K) / (L - 1)
    two = one * (L - K - 1) / (L - 2) if L > 2 else 0.0
    matrix = np.zeros((D, D))
    together = labels[:, None] == labels
    for patch in range(L):
        i, o = np.flatnonzero(labels == patch), np.flatnonzero(labels != patch)
        inputs = np.where(together[np.ix_(o, o)], one, two) * S[np.ix_(o, o)]
        matrix[np.ix_(i, o)] = regression(one * S[np.ix_(i, o)], inputs)
    return ZeroFilledMap(matrix, np.diag(S) - one * (matrix * S).sum(axis=1))


def mask_probabilities(L: int, K: int) -> tuple[float, float]:
    """That one given patch is hidden, K/L, and that two given patches are, K(K − 1)/L(L − 1).

    Parameters
    ----------
    L : int
        Patches, from 1.
    K : int
        Hidden patches, 1 to L; each subset is equally likely.

    Returns
    -------
    one : float
        The probability for one patch.
    two : float
        The probability for two; 0 if there is only one patch.

    Raises
    ------
    DtypeError, DataError
        If L or K is not a whole number, or out of range.

    Examples
    --------
    >>> mg.analytic.mask_probabilities(4, 3)
    (0.75, 0.5)
    """
    L, K = _masks(L, K)
    return K / L, K * (K - 1) / (L * (L - 1)) if L > 1 else 0.0


def masked_mean_variance(losses: ArrayLike, K: int) -> float:
    """(s²/K)(1 − K/L): the variance, over random masks, of the mean loss of the K hidden patches.

    The masked mean is unbiased for the mean of all L if the losses do not depend on the mask.

    Parameters
    ----------
    losses : array_like, (L,)
        Of the patches of one image; s² is their variance divided by L − 1.
    K : int
        Hidden patches, 1 to L.

    Returns
    -------
    float
        In squared units of the losses; 0 if all patches are hidden.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If losses are not a flat array of finite real numbers, or K is out of range.

    References
    ----------
    Cochran, Sampling Techniques, chapter 2: sampling without replacement.

    Examples
    --------
    >>> mg.analytic.masked_mean_variance([1.0, 3.0], K=1)  # 1 or 3, each with probability one half
    1.0
    """
    values = real_array(losses, "losses", 1)
    L, K = _masks(len(values), K)
    return float(values.var(ddof=1) / K * (1 - K / L)) if L > 1 else 0.0


def zero_prediction_loss(patches: ArrayLike, eps: float = 1e-6) -> float:
    """The loss of answering 0 when each patch is normed by its own statistics.

    The targets are (x − mean)/√(var + eps), var divided by P − 1 as in facebookresearch/mae, so the
    loss is (P − 1)/P · mean of var/(var + eps): (P − 1)/P for patches that are not flat.  A head of
    zeros starts here.

    Parameters
    ----------
    patches : array_like, (n, P)
        The pixels of a patch in each row.
    eps : float, optional
        > 0, keeps flat patches finite.

    Returns
    -------
    float
        Squared error, a mean over pixels and patches.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If patches are not a finite, real matrix with at least 2 columns, or eps is not positive.

    References
    ----------
    He et al., CVPR 2022 (arXiv 2111.06377).

    Examples
    --------
    >>> loss = mg.analytic.zero_prediction_loss(np.random.default_rng(0).normal(size=(50, 16)))
    >>> round(loss, 4), 15 / 16
    (0.9375, 0.9375)
    """
    pixels = real_array(patches, "patches", 2)
    P = whole_number(
        pixels.shape[1], "the number of pixels in a patch", 2, 10**9, "one pixel has no variance"
    )
    eps = real_number(eps, "eps", "(0, inf)", "eps keeps flat patches finite")
    var = pixels.var(axis=1, ddof=1)
    return float((P - 1) / P * (var / (var + eps)).mean())


def bernoulli_baseline(X: ArrayLike, probabilities: ArrayLike) -> float:
    """The cost of independent pixels, −Σ_d [x ln p_d + (1 − x) ln(1 − p_d)].

    With p the mean of the training pixels this is the cost of a fully collapsed variational
    autoencoder.  Pixels never (or always) inked in training need p inside (0, 1): clip p to [1/2N,
    1 − 1/2N].

    Parameters
    ----------
    X : array_like, (n, D)
        Images in [0, 1], one in each row.
    probabilities : array_like, (D,)
        p, in [0, 1].

    Returns
    -------
    float
        In nats, a sum over pixels, mean over images.

    Raises
    ------
    ShapeError, DtypeError
        If X is not a matrix, p does not have D numbers, or one of them is not real.
    DataError
        If X or p is not in [0, 1], or a pixel is impossible (p = 0 with x > 0, or p = 1 with x <
        1), so that the cost is infinite.

    Examples
    --------
    >>> X = [[0.0, 1.0], [1.0, 1.0]]
    >>> bool(np.isclose(mg.analytic.bernoulli_baseline(X, [0.5, 0.5]), 2 * np.log(2)))
    True
    >>> bool(np.isclose(mg.analytic.bernoulli_baseline(X, [0.5, 1.0]), np.log(2)))
    True
    """
    X = _pixels(X)
    p = of_shape(
        probabilities, "probabilities", (X.shape[1],), "one for each pixel: X_train.mean(axis=0)"
    )
    within(p, "probabilities", "[0, 1]", "give the means of training pixels scaled to [0, 1]")
    impossible = (X > 0) & (p == 0) | (X < 1) & (p == 1)
    if impossible.any():
        raise DataError(
            "some pixels were impossible under these probabilities, and the cost is infinite",
            f"{int(impossible.any(axis=0).sum())} pixels have p = 0 with x > 0, or p = 1 with x < "
            "1",
            "clip the probabilities: np.clip(p, 0.5 / N, 1 - 0.5 / N), N the number of training "
            "images",
        )
    return float(-(_xlogy(X, p) + _xlogy(1 - X, 1 - p)).sum(axis=1).mean())


def pixel_entropy(X: ArrayLike) -> float:
    """The least cross-entropy of a Bernoulli decoder: Σ_d H(x_d), the entropy of the pixels.

    H(x) = −x ln x − (1 − x) ln(1 − x), 0 for binary pixels.  On grey ones it shows that the
    cross-entropy is not minus a log-likelihood.

    Parameters
    ----------
    X : array_like, (n, D)
        Images in [0, 1], one in each row.

    Returns
    -------
    float
        In nats, a sum over pixels, mean over images.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If X is not a finite, real, non-empty matrix with entries in [0, 1].

    Examples
    --------
    >>> mg.analytic.pixel_entropy([[0.0, 1.0]]) == 0
    True
    >>> grey = [[0.5, 0.25]]
    >>> floor = -mg.analytic.log_bernoulli(grey, np.log([1.0, 1 / 3]))[0]  # logits of the pixels
    >>> bool(np.isclose(mg.analytic.pixel_entropy(grey), floor))
    True
    """
    X = _pixels(X)
    return float(-(_xlogy(X, X) + _xlogy(1 - X, 1 - X)).sum(axis=1).mean())


def _xlogy(x: Array, y: Array) -> Array:
    """x ln y, and 0 where x = 0."""
    x, y = np.broadcast_arrays(x, y)
    return x * np.log(np.where(x == 0, 1.0, y))


def _pixels(X: ArrayLike) -> Array:
    X = real_array(X, "X", 2)
    within(X, "X", "[0, 1]", "a Bernoulli pixel is a probability: divide by the largest grey level")
    return X


def _masks(L: int, K: int) -> tuple[int, int]:
    L = whole_number(L, "L", 1, 10**9, "an image has patches")
    return L, whole_number(K, "K", 1, L, f"K of the {L} patches are hidden")


def regression(C: Array, S: Array) -> Array:
    """C S⁻¹, for the covariance S (D, D) of inputs and that of outputs with them, C (K, D).

    Each input is measured in its own standard deviation, so that units do not matter.  Where inputs
    are constant or depend on each other it is the smallest of the answers.  D may be 0.
    """
    scale = np.sqrt(np.diag(S))
    scale = np.where(scale > 0, scale, 1.0)  # of a constant input, whose row and column are 0
    values, vectors = np.linalg.eigh(S / scale / scale[:, None])
    varies = values > FLAT * len(S) * values.max(initial=0.0)
    kept = vectors[:, varies]
    A = (C / scale @ kept) / values[varies] @ kept.T / scale
    constant = vectors[:, ~varies] / scale[:, None]  # A reads nothing there
    Q, _ = np.linalg.qr(constant / np.abs(constant).max(axis=0, initial=0.0))
    return np.asarray(A - A @ Q @ Q.T, dtype=np.float64)
