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
    whole_number,
    within,
)

PENALTY = "lam weighs the penalty: choose one lam >= 0, or one for each latent unit"
TRAINED = "train with L2 on both layers (lam > 0), up to convergence"


def optimal_loss_regularised(s: ArrayLike, M: int, lam: ArrayLike) -> float:
    """The minimum over W1, W2 of ½ Σ_n ‖x_n − W2 W1 x_n‖² + ½ Σ_k λ_k (‖row k of W1‖² + ‖column k
    of W2‖²).

    One number ``lam``: L2 on both layers, Kunin et al., ICML 2019 (arXiv 1901.08168), their "sum
    loss".  M numbers: non-uniform L2, Bao et al., NeurIPS 2020 (arXiv 2007.06731); the smallest λ
    goes with the largest s.

        E = ½ [ Σ_{i>M} s_i + Σ_{i<=M} (2 λ_i − λ_i²/s_i  if s_i > λ_i  else  s_i) ]

    At the minimum W1 = W2ᵀ and W2 = U_M diag(:func:`singular_values_regularised`) O, O orthogonal;
    with distinct λ, O is a signed permutation, so the columns of W2 themselves are the components.
    """
    s, M, penalties = _penalised(s, M, lam)
    strengths = singular_values_regularised(s, M, penalties) ** 2
    return 0.5 * float(
        s[M:].sum() + (s[:M] * (1 - strengths) ** 2 + 2 * penalties * strengths).sum()
    )


def singular_values_regularised(s: ArrayLike, M: int, lam: ArrayLike) -> Array:
    """(M,), √max(0, 1 − λ_i/s_i): singular values of W2 (and of W1) at that minimum; modes with s_i
    <= λ_i vanish.
    """
    s, M, penalties = _penalised(s, M, lam)
    share = np.divide(penalties, s[:M], out=np.ones(M), where=s[:M] > penalties)
    return np.sqrt(1 - share)


def eigenvalues_from_singular_values(singular_values: ArrayLike, lam: float) -> Array:
    """s_i = λ / (1 − σ_i²): the eigenvalues of XᵀX read off a trained decoder's singular values 0 <
    σ_i < 1.

    Kunin et al. 2019.  The inverse of :func:`singular_values_regularised` for the modes that
    survive; a σ of 0 gives λ, which is then only an upper bound of s_i.
    """
    sigma = real_array(singular_values, "singular_values", 1)
    within(sigma, "singular_values", "[0, 1)", TRAINED)
    return real_number(lam, "lam", "(0, inf)", TRAINED) / ((1 - sigma) * (1 + sigma))


def optimal_loss_product(s: ArrayLike, M: int, lam: float) -> float:
    """The minimum of ½ Σ_n ‖x_n − W2 W1 x_n‖² + ½ λ ‖W2 W1‖_F²: ½ [ Σ_i s_i − Σ_{i<=M} s_i² / (s_i
    + λ) ].

    Kunin et al. 2019, their "product loss"; there W2 W1 = U_M diag(:func:`shrinkage_product`) U_Mᵀ.
    It is also the penalty on the Jacobian of the reconstruction of a linear net, and Gaussian
    denoising with λ = N σ².
    """
    shrinkage = shrinkage_product(s, M, lam)
    return 0.5 * float(spectrum(s)[M:].sum() + lam * shrinkage.sum())


def shrinkage_product(s: ArrayLike, M: int, lam: float) -> Array:
    """(M,), s_i / (s_i + λ): the eigenvalues of W2 W1 at that minimum (0 where s_i = λ = 0)."""
    s, M, penalties = _penalised(s, M, real_number(lam, "lam", "[0, inf)", PENALTY))
    whole = s[:M] + penalties
    return np.divide(s[:M], whole, out=np.zeros(M), where=whole > 0)


def optimal_loss_nested(s: ArrayLike, M: int, weights: ArrayLike | None = None) -> float:
    """The minimum of Σ_{j=1..M} p_j ½ Σ_n ‖x_n − W2 Π_j W1 x_n‖²: Σ_j p_j ½ Σ_{i>j} s_i.

    Π_j keeps the first j latent units.  Nested dropout, Rippel, Gelbart & Adams, ICML 2014 (arXiv
    1402.0915), with the expectation over the prefix taken exactly as in Bao et al. 2020.
    ``weights`` are the probabilities p_1 ... p_M, all positive and of sum 1; equal unless given.
    All prefixes are optimal at once, so column j of W2 is along u_j.
    """
    s = spectrum(s)
    M = whole_number(M, "M", 1, len(s), f"s has {len(s)} eigenvalues")
    p = probabilities(np.full(M, 1 / M) if weights is None else weights, "weights", M)
    # beyond[j]: s_{j+1} + s_{j+2} + ..., from the small end, so nothing cancels
    beyond = s[::-1].cumsum()[::-1]
    return 0.5 * float(p @ np.append(beyond, 0.0)[1 : M + 1])


def _penalised(s: ArrayLike, M: int, lam: ArrayLike) -> tuple[Array, int, Array]:
    """s, M and the M penalties in rising order, so that the smallest meets the largest
    eigenvalue.
    """
    s = spectrum(s)
    M = whole_number(M, "M", 1, len(s), f"s has {len(s)} eigenvalues")
    return s, M, np.sort(one_or_each(lam, "lam", "latent unit", M, "[0, inf)", PENALTY))
