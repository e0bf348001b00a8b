"""Two layers with non-linear hidden units and linear outputs: how close they come to PCA.

The network is y = W2 h(W1 x + b1) + b2 with W1 (M x D), W2 (D x M), h applied to each hidden unit
by itself.  Whatever h does, the rows of Y − 1 b2ᵀ span at most M dimensions, so by Eckart & Young E
= ½ Σ_n ‖x_n − y_n‖² >= ½ Σ_{j>M} s_j on the data it is trained on.  Bourlard & Kamp, Biol. Cybern.
59:291-294 (1988).  With tanh or sigmoid units the bound is an infimum, approached as W1 -> 0 and
W2 -> ∞.  Few points attain it: on N <= D + 1 of them in general position W1 and b1 can give the
hidden units any values, PCA's scores among them.  With ReLU units and a bias it is attained on any
data.  None of this holds for non-linear *outputs*, nor on data that are not trained on.

For the constructions here W1 = ε Uᵀ, so E − PCA = ½ Σ_n ‖a_n − h_ε(a_n)‖² with a = U_Mᵀ (x − mean):
the residual orthogonal to U_M does not mix with the distortion h_ε inside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import counted
from ..errors import DataError
from ._arguments import (
    Array,
    of_shape,
    real_array,
    spectrum,
    squarable,
    whole_number,
    with_units,
)
from .principal_components import PCA, pca


@dataclass(frozen=True)
class TwoLayerNet:
    """Weights of y = W2 h(W1 x + b1) + b2, and its loss above PCA on the data it was made for.

    Parameters
    ----------
    activation : {"tanh", "sigmoid", "relu"}
        h, applied to each hidden unit by itself.
    W1 : ndarray, (M, D)
        Weights of the hidden units.
    b1 : ndarray, (M,)
        Their biases.
    W2 : ndarray, (D, M)
        Weights of the outputs.
    b2 : ndarray, (D,)
        Their biases.
    gap : float
        E − ½ Σ_{j>M} s_j, exact, a sum over features and data.
    predicted_gap : float
        Its leading term in ε: (ε⁴/18) Σ a⁶ for tanh, (ε⁴/288) Σ a⁶ for sigmoid, 0 for ReLU.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> net = mg.analytic.almost_linear(X, M=2, epsilon=0.1)
    >>> loss = 0.5 * float(((X - net.reconstruct(X)) ** 2).sum())
    >>> bool(np.isclose(loss, mg.analytic.pca(X, 2).optimal_loss() + net.gap, rtol=1e-9))
    True
    """

    activation: str
    W1: Array
    b1: Array
    W2: Array
    b2: Array
    gap: float
    predicted_gap: float

    def reconstruct(self, X: ArrayLike) -> Array:
        """The network's answer to each row.

        Parameters
        ----------
        X : array_like, (n, D)
            Any rows; they need not be those that the network was made for.

        Returns
        -------
        ndarray, (n, D)
            y = W2 h(W1 x + b1) + b2.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If X is not a finite, real, non-empty matrix.
        """
        X = of_shape(X, "X", (None, self.W1.shape[1]), "give a column for each feature")
        hidden = ACTIVATIONS[self.activation](X @ self.W1.T + self.b1)
        return hidden @ self.W2.T + self.b2


def two_layer_bound(s: ArrayLike, M: int) -> float:
    """½ Σ_{j>M} s_j: no network with M hidden units and linear outputs has a lower loss.

    It holds for any activation and any weights, at any step of training, on the data trained on;
    the output needs no bias for it.

    Parameters
    ----------
    s : array_like, (D,)
        Eigenvalues of XᵀX of the *centred* data, largest first.
    M : int
        Hidden units, 0 to D.

    Returns
    -------
    float
        A bound of ½ Σ_n ‖x_n − y_n‖², a sum over features and data.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If s are not eigenvalues, largest first, or M is out of range.

    References
    ----------
    Bourlard & Kamp, Biol. Cybern. 59:291-294 (1988).  Bishop & Bishop (2024), section 19.1.1.

    Examples
    --------
    >>> mg.analytic.two_layer_bound([4.0, 1.0], 1)
    0.5
    """
    s, M = with_units(spectrum(s), "s", M, low=0)
    return 0.5 * float(s[M:].sum())


def almost_linear(X: ArrayLike, M: int, epsilon: float, activation: str = "tanh") -> TwoLayerNet:
    """A net that works where its units are nearly linear: W1 = ε U_Mᵀ, and W2 undoes the slope.

    - tanh:     W2 = U_M / ε,      unit answers a − ε² a³/3 + ...,  so gap = (ε⁴/18) Σ a⁶ + O(ε⁶);
    - sigmoid:  W2 = 4 U_M / ε,    unit answers a − ε² a³/12 + ..., so gap = (ε⁴/288) Σ a⁶ + O(ε⁶).

    a = U_Mᵀ (x − mean) are the scores, summed over data and units.  The gap shrinks 16-fold for
    each halving of ε, while ‖W2‖ doubles.  The biases take off the mean of X and, for the sigmoid,
    its value ½ at 0.

    Parameters
    ----------
    X : array_like, (N, D)
        The data, a row for each; they need not be centred.
    M : int
        Hidden units, 1 to D.
    epsilon : float
        ε > 0, small: 0.1, say.
    activation : {"tanh", "sigmoid"}, optional
        h.

    Returns
    -------
    TwoLayerNet
        The weights, and how far they stay above PCA.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If X is not a finite, real, non-empty matrix, M or epsilon is out of range, or the
        activation is neither of the two.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> wide, narrow = (mg.analytic.almost_linear(X, 2, epsilon) for epsilon in (0.02, 0.01))
    >>> bool(narrow.gap > 0), round(wide.predicted_gap / narrow.predicted_gap, 6)
    (True, 16.0)
    >>> bool(np.isclose(narrow.gap, narrow.predicted_gap, rtol=0.01))
    True
    """
    epsilon = squarable(
        epsilon, "epsilon", "(0, inf)", "epsilon scales the input weights: choose it small, say 0.1"
    )
    if not isinstance(activation, str) or activation not in WIDTH_AND_CENTRE:
        raise DataError(
            f"no almost linear net with activation {activation!r}",
            "it has a linear part with a cubic correction for tanh and sigmoid only",
            'choose "tanh" or "sigmoid"; for ReLU use relu_equals_pca(X, M)',
        )
    result, U, scores = _scores(X, M)
    width, centre = WIDTH_AND_CENTRE[activation]
    W1, W2 = epsilon * U.T, width**2 / epsilon * U
    small = epsilon / width
    gap = 0.5 * float(((scores - np.tanh(small * scores) / small) ** 2).sum())
    leading = small**4 / 18 * float((scores**6).sum())
    return TwoLayerNet(
        activation, W1, -W1 @ result.mean, W2, result.mean - centre * W2.sum(axis=1), gap, leading
    )


def relu_equals_pca(X: ArrayLike, M: int) -> TwoLayerNet:
    """The ReLU net that attains PCA's loss exactly: a bias keeps every unit in its linear half.

    W1 = U_Mᵀ, W2 = U_M, and unit k has the bias c_k = max(0, −min_n a_nk), so that relu(a + c) − c
    = a on these data.  New data with a score below −c_k are clipped.

    Parameters
    ----------
    X : array_like, (N, D)
        The data, a row for each; they need not be centred.
    M : int
        Hidden units, 1 to D.

    Returns
    -------
    TwoLayerNet
        The weights; its gap is 0.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If X is not a finite, real, non-empty matrix, or M is out of range.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> net = mg.analytic.relu_equals_pca(X, 2)
    >>> bool(np.allclose(net.reconstruct(X), mg.analytic.pca(X, 2).reconstruct(X)))
    True
    """
    result, U, scores = _scores(X, M)
    lift = np.maximum(0.0, -scores.min(axis=0))
    return TwoLayerNet("relu", U.T, lift - U.T @ result.mean, U, result.mean - U @ lift, 0.0, 0.0)


def parabola(points: int = 201) -> Array:
    """Points x = (t, t²) on a parabola: one number describes each, no line does.

    Parameters
    ----------
    points : int, optional
        From 2: t is on an even grid over [−1, 1].

    Returns
    -------
    ndarray, (points, 2)
        A point in each row.

    Raises
    ------
    DtypeError, DataError
        If `points` is not a whole number from 2.

    Examples
    --------
    >>> mg.analytic.parabola(3).tolist()
    [[-1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    """
    points = whole_number(points, "points", 2, 10**6, "a grid needs its two ends")
    t = np.linspace(-1.0, 1.0, points)
    return np.stack([t, t**2], axis=1)


def parabola_residual(points: int | None = 201) -> float:
    """The squared error of PCA with M = 1 on `parabola`: the variance of t².

    t and t² are uncorrelated and t varies more, so u_1 = (1, 0).  On a grid of n points mean t² =
    (n+1) / 3(n−1) and mean t⁴ = (n+1)(3n²−7) / 15(n−1)³; n = 201 gives 0.0906688.

    Parameters
    ----------
    points : int or None, optional
        n, from 2; None stands for the limit, t uniform: 1/5 − 1/9 = 4/45.

    Returns
    -------
    float
        ‖x − y‖², a sum over features without ½, mean over points.

    Raises
    ------
    DtypeError, DataError
        If `points` is not a whole number from 2.

    Examples
    --------
    >>> X = mg.analytic.parabola(201)
    >>> found = mg.analytic.pca(X, 1)
    >>> round(mg.analytic.parabola_residual(201) / (2 * found.optimal_loss() / 201), 6)
    1.0
    >>> bool(np.isclose(mg.analytic.parabola_residual(None), 4 / 45))
    True
    """
    if points is None:
        return 4 / 45
    n = whole_number(points, "points", 2, 10**6, "a grid needs its two ends")
    square = (n + 1) / (3 * (n - 1))
    return (n + 1) * (3 * n**2 - 7) / (15 * (n - 1) ** 3) - square**2


def _scores(X: ArrayLike, M: int) -> tuple[PCA, Array, Array]:
    """PCA of X, U_M (D x M) with zero columns beyond the rank, and the scores a (N x M)."""
    X = real_array(X, "X", 2)
    M = whole_number(M, "M", 1, X.shape[1], f"X has {counted(X.shape[1], 'feature')}")
    result = pca(X, M)
    U = np.zeros((X.shape[1], M))
    U[:, : min(M, result.rank)] = result.basis()
    return result, U, (X - result.mean) @ U


# both are centre + tanh(a / width) / width, since sigmoid a = ½ + ½ tanh(a / 2)
WIDTH_AND_CENTRE = {"tanh": (1, 0.0), "sigmoid": (2, 0.5)}


def _sigmoid(a: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(a / 2)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda a: np.maximum(a, 0.0),
}
