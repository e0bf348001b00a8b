"""The minimum of the linear autoencoder under penalties that make single components identifiable.

Without a penalty only the *subspace* is determined.  Throughout: eigenvalues s (D,) of XᵀX of the
centred X, largest first; encoder W1 (M x D), decoder W2 (D x M); the loss is a *sum* over the data.
For a loss averaged over N data, λ becomes N λ.  Here λ is what is added to the gradient, λ W, the
convention of "weight decay" in SGD.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import (
    Array,
    one_or_each,
    probabilities,
    real_array,
    real_number,
    spectrum,
    with_units,
    within,
)

PENALTY = "lam weighs the penalty: choose one lam >= 0, or one for each latent unit"
TRAINED = "train with L2 on both layers (lam > 0), up to convergence"


def optimal_loss_regularised(s: ArrayLike, M: int, lam: ArrayLike) -> float:
    """The least loss with an L2 penalty on both layers, one λ for all latent units or one for each.

    The minimum over W1, W2 of ½ Σ_n ‖x_n − W2 W1 x_n‖² + ½ Σ_k λ_k (‖row k of W1‖² + ‖column k of
    W2‖²) is

        E = ½ [ Σ_{i>M} s_i + Σ_{i<=M} (2 λ_i − λ_i²/s_i  if s_i > λ_i  else  s_i) ].

    There W1 = W2ᵀ and W2 = U_M diag(`singular_values_regularised`) O, O orthogonal; with distinct
    λ, O is a signed permutation, so the columns of W2 themselves are the components.

    Parameters
    ----------
    s : array_like, (D,)
        Eigenvalues of XᵀX, largest first.
    M : int
        Latent units, 1 to D.
    lam : array_like, (M,) or a number
        λ >= 0; the smallest goes with the largest s.

    Returns
    -------
    float
        The minimum, a sum over features and data.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If s are not eigenvalues, largest first, M is out of range, or lam is negative or neither
        one number nor M of them.

    References
    ----------
    Kunin et al., ICML 2019 (arXiv 1901.08168), "sum loss"; for distinct λ ("non-uniform L2") Bao et
    al., NeurIPS 2020 (arXiv 2007.06731).

    Examples
    --------
    >>> mg.analytic.optimal_loss_regularised([4.0, 1.0], 1, 0.0)  # PCA
    0.5
    >>> mg.analytic.optimal_loss_regularised([4.0, 1.0], 1, 4.0)  # at λ = s_1 all is lost
    2.5
    """
    s, M, penalties = _penalised(s, M, lam)
    strengths = singular_values_regularised(s, M, penalties) ** 2
    return 0.5 * float(
        s[M:].sum() + (s[:M] * (1 - strengths) ** 2 + 2 * penalties * strengths).sum()
    )


def singular_values_regularised(s: ArrayLike, M: int, lam: ArrayLike) -> Array:
    """√max(0, 1 − λ_i/s_i): the singular values of W2 (and of W1) at the minimum with L2 penalties.

    Parameters
    ----------
    s : array_like, (D,)
        Eigenvalues of XᵀX, largest first.
    M : int
        Latent units, 1 to D.
    lam : array_like, (M,) or a number
        λ >= 0; the smallest goes with the largest s.

    Returns
    -------
    ndarray, (M,)
        Between 0 and 1; modes with s_i <= λ_i vanish.

    Raises
    ------
    ShapeError, DtypeError, DataError
        As `optimal_loss_regularised`.

    References
    ----------
    Kunin et al., ICML 2019 (arXiv 1901.08168).

    Examples
    --------
    >>> values = mg.analytic.singular_values_regularised([4.0, 1.0], 2, 2.0)
    >>> (values**2).round(6).tolist()
    [0.5, 0.0]
    """
    s, M, penalties = _penalised(s, M, lam)
    share = np.divide(penalties, s[:M], out=np.ones(M), where=s[:M] > penalties)
    return np.sqrt(1 - share)


def eigenvalues_from_singular_values(singular_values: ArrayLike, lam: float) -> Array:
    """s_i = λ / (1 − σ_i²): the eigenvalues of XᵀX, read off the weights of a trained decoder.

    The inverse of `singular_values_regularised` for the modes that survive; a σ of 0 gives λ, which
    is then only an upper bound of s_i.

    Parameters
    ----------
    singular_values : array_like, (M,)
        σ of W2, each in [0, 1).
    lam : float
        λ > 0, the penalty that it was trained with on both layers, for a loss that is a sum over
        data.

    Returns
    -------
    ndarray, (M,)
        The eigenvalues.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If the singular values are not a flat array of numbers in [0, 1), or lam is not positive.

    References
    ----------
    Kunin et al., ICML 2019 (arXiv 1901.08168).

    Examples
    --------
    >>> s, lam = [4.0, 3.0], 0.5
    >>> values = mg.analytic.singular_values_regularised(s, 2, lam)
    >>> mg.analytic.eigenvalues_from_singular_values(values, lam).round(6).tolist()
    [4.0, 3.0]
    """
    sigma = real_array(singular_values, "singular_values", 1)
    within(sigma, "singular_values", "[0, 1)", TRAINED)
    return real_number(lam, "lam", "(0, inf)", TRAINED) / ((1 - sigma) * (1 + sigma))


def optimal_loss_product(s: ArrayLike, M: int, lam: float) -> float:
    """The least loss with a penalty on the product, ½ λ ‖W2 W1‖_F².

    The minimum of ½ Σ_n ‖x_n − W2 W1 x_n‖² + ½ λ ‖W2 W1‖_F² is ½ [ Σ_i s_i − Σ_{i<=M} s_i² / (s_i +
    λ) ], and there W2 W1 = U_M diag(`shrinkage_product`) U_Mᵀ.  It is also the penalty on the
    Jacobian of the reconstruction of a linear net, and Gaussian denoising with λ = N σ².

    Parameters
    ----------
    s : array_like, (D,)
        Eigenvalues of XᵀX, largest first.
    M : int
        Latent units, 1 to D.
    lam : float
        λ >= 0.

    Returns
    -------
    float
        The minimum, a sum over features and data.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If s are not eigenvalues, largest first, M is out of range, or lam is not one number >= 0.

    References
    ----------
    Kunin et al., ICML 2019 (arXiv 1901.08168), "product loss".

    Examples
    --------
    >>> mg.analytic.optimal_loss_product([3.0, 1.0], 1, 1.0)  # (3 + 1 - 9/4) / 2
    0.875
    """
    shrinkage = shrinkage_product(s, M, lam)
    return 0.5 * float(spectrum(s)[M:].sum() + lam * shrinkage.sum())


def shrinkage_product(s: ArrayLike, M: int, lam: float) -> Array:
    """s_i / (s_i + λ): the eigenvalues of W2 W1 at the minimum with a penalty on the product.

    Parameters
    ----------
    s : array_like, (D,)
        Eigenvalues of XᵀX, largest first.
    M : int
        Latent units, 1 to D.
    lam : float
        λ >= 0.

    Returns
    -------
    ndarray, (M,)
        Between 0 and 1; 0 where s_i = λ = 0.

    Raises
    ------
    ShapeError, DtypeError, DataError
        As `optimal_loss_product`.

    References
    ----------
    Kunin et al., ICML 2019 (arXiv 1901.08168).

    Examples
    --------
    >>> mg.analytic.shrinkage_product([3.0, 1.0], 2, 1.0).round(6).tolist()
    [0.75, 0.5]
    """
    s, M, penalties = _penalised(s, M, real_number(lam, "lam", "[0, inf)", PENALTY))
    whole = s[:M] + penalties
    return np.divide(s[:M], whole, out=np.zeros(M), where=whole > 0)


def optimal_loss_nested(s: ArrayLike, M: int, weights: ArrayLike | None = None) -> float:
    """The least loss under nested dropout, Σ_j p_j ½ Σ_{i>j} s_i.

    It is the minimum of Σ_{j=1..M} p_j ½ Σ_n ‖x_n − W2 Π_j W1 x_n‖², where Π_j keeps the first j
    latent units; the expectation over the prefix is taken exactly.  All prefixes are optimal at
    once, so column j of W2 is along u_j.

    Parameters
    ----------
    s : array_like, (D,)
        Eigenvalues of XᵀX, largest first.
    M : int
        Latent units, 1 to D.
    weights : array_like, (M,), optional
        The probabilities p_1 ... p_M, all positive and of sum 1; equal unless given.

    Returns
    -------
    float
        The minimum, a sum over features and data.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If s are not eigenvalues, largest first, M is out of range, or weights are not M positive
        numbers of sum 1.

    References
    ----------
    Rippel, Gelbart & Adams, ICML 2014 (arXiv 1402.0915); the exact expectation as in Bao et al.,
    NeurIPS 2020 (arXiv 2007.06731).

    Examples
    --------
    >>> mg.analytic.optimal_loss_nested([4.0, 2.0, 1.0], 2)  # the mean of 3/2 and 1/2
    1.0
    """
    s, M = with_units(spectrum(s), "s", M)
    p = probabilities(np.full(M, 1 / M) if weights is None else weights, "weights", M)
    # beyond[j]: s_{j+1} + s_{j+2} + ..., from the small end, so nothing cancels
    beyond = s[::-1].cumsum()[::-1]
    return 0.5 * float(p @ np.append(beyond, 0.0)[1 : M + 1])


def _penalised(s: ArrayLike, M: int, lam: ArrayLike) -> tuple[Array, int, Array]:
    """s, M and the M penalties, rising: the smallest meets the largest eigenvalue."""
    s, M = with_units(spectrum(s), "s", M)
    return s, M, np.sort(one_or_each(lam, "lam", "latent unit", M, "[0, inf)", PENALTY))
