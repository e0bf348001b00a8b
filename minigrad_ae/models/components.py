"""The principal components that a linear autoencoder has learned, in scikit-learn's conventions.

Any invertible C gives the equally good weights (W_enc C, C^-1 W_dec), so the rows of W_dec span
PCA's subspace without being its components.  Those follow from the weights and the codes z:

    W_dec^T = Q T                 Q (D, M) orthonormal:  y - y_mean = c Q^T,  c = (z - z_mean) T^T
    c V = U diag(s)               V (M, M) turns c until its columns are uncorrelated
    components = (Q V)^T          one a row, by s;  explained variance s^2 / (n - 1)

V comes from Jacobi's rotations, one pair of columns at a time (Hestenes 1958), so nothing here asks
an SVD or an eigenvalue solver: those compute the PCA that it is compared with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..arguments import plain
from ..data import check_matrix
from ..errors import DataError, ShapeError
from ..nn import Module
from .base import fitting

AT_ONCE = 2**22  # entries of the data that are centred at once
SWEEPS = 60  # over all pairs; about ten are enough
EPS, TINY = float(np.finfo(np.float64).eps), float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Seen:
    """What `PrincipalAxes` keeps of the data (n, D) whose codes were measured, in float64.

    n        how many rows there were
    mean     (D,), of each column
    total    the sum of the variances of all columns, with n - 1
    factor   (at most M, M): R of a QR decomposition of the codes about their mean, without offsets
    encoder  (D, M), W_enc as it was then
    """

    n: int
    mean: np.ndarray
    total: float
    factor: np.ndarray
    encoder: np.ndarray


@dataclass(frozen=True)
class Axes:
    """The principal axes in the subspace that the decoder spans: `rows` (M, D) orthonormal,
    `variance` (M,) along each, `turn` (M, M) from codes about their mean to scores.
    """

    rows: np.ndarray
    variance: np.ndarray
    turn: np.ndarray


class PrincipalAxes(Module):
    """What a linear autoencoder knows of principal components, once it has seen the data.

    With y = model(x), ``inverse_transform(transform(x)) == y`` for any weights.  At the minimum all
    of it is what `sklearn.decomposition.PCA` has under the same names.

    Examples
    --------
    >>> X = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) + 5
    >>> model = mg.models.LinearAutoencoder(2, 1, rng=np.random.default_rng(0))
    >>> _ = model.fit(X)
    >>> bool(np.allclose(model.components_, [[1, 0]])), model.explained_variance_ratio_.round(6)
    (True, array([0.8]))
    >>> model.transform(X).round(6).ravel() + 0
    array([ 2., -2.,  0.,  0.])
    """

    encoder: Any
    decoder: Any
    seen: Seen | None = None  # left by `fit` and by `measure_codes`
    _last: tuple[Seen, np.ndarray, Axes] | None = None  # axes, and what they were computed from

    def measure_codes(self, X: Any) -> None:
        """Take mean and covariance of the codes from data: what `components_` needs beside weights.

        `fit` does this.  A model that was trained otherwise is given its training data once, after
        the training.

        Parameters
        ----------
        X : array_like, (n, D)
            Data in rows; finite numbers.

        Raises
        ------
        ShapeError
            If X is not a matrix of D columns.
        DataError
            If X is empty, or has entries that are masked or not finite.
        DtypeError
            If X is not made of real numbers.
        """
        weight = self.encoder.weight.numpy().astype(np.float64)
        self.seen = seen(weight, fitting(check_matrix(X), len(weight)))

    @property
    def components_(self) -> np.ndarray:
        """(M, D): the principal axes in the subspace that the decoder spans, one a row.

        Orthonormal, by the variance of the data's reconstructions along them, and with the entry
        of the largest size positive in each row, as in scikit-learn.  Computed from the weights as
        they are and the covariance of the codes, which `fit` keeps, or `measure_codes`.
        """
        return self._axes().rows

    @property
    def explained_variance_(self) -> np.ndarray:
        """(M,): the variance along each of `components_`, with n - 1, in squared units."""
        return self._axes().variance

    @property
    def explained_variance_ratio_(self) -> np.ndarray:
        """(M,): `explained_variance_` as a share of the sum of the variances of all columns."""
        total = self._seen().total
        return self.explained_variance_ / (total or 1.0)

    @property
    def mean_(self) -> np.ndarray:
        """(D,): the reconstruction of the data's mean; at the minimum it is that mean."""
        code = self._seen().mean @ self.encoder.weight.numpy() + offset_of(self.encoder)
        mean: np.ndarray = code @ self.decoder.weight.numpy() + offset_of(self.decoder)
        return mean

    def transform(self, X: Any) -> np.ndarray:
        """The codes of X in the axes `components_`: uncorrelated, by variance, about 0.

        Parameters
        ----------
        X : array_like, (n, D)
            Data in rows, of any number.

        Returns
        -------
        ndarray, (n, M)
            float64.  At the minimum (X - mean_) @ components_.T, PCA's scores.

        Raises
        ------
        ShapeError
            If X is not a matrix of D columns.
        DataError
            If X is empty, or has entries that are masked or not finite; if no data have been
            measured, or the encoder has changed since.
        DtypeError
            If X is not made of real numbers.
        """
        mean, W = self._seen().mean, self.encoder.weight.numpy()
        rows = fitting(check_matrix(X), len(W))
        scores: np.ndarray = (rows - mean) @ (W @ self._axes().turn)
        return scores

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """The reconstructions that belong to what `transform` returned.

        Parameters
        ----------
        Z : array_like, (n, M)
            Codes in the axes `components_`.

        Returns
        -------
        ndarray, (n, D)
            Z @ components_ + mean_, float64, in the units of the data.

        Raises
        ------
        ShapeError
            If Z does not have M columns.
        DataError
            If no data have been measured, or the encoder has changed since.
        """
        Z, axes = plain(Z, "Z", np.float64), self._axes()
        if Z.ndim != 2 or Z.shape[1] != len(axes.rows):
            raise ShapeError(
                "inverse_transform: the codes do not fit the autoencoder",
                f"got shape {Z.shape}, expected (n, {len(axes.rows)})",
                "pass what transform(X) returned",
            )
        rows: np.ndarray = Z @ axes.rows + self.mean_
        return rows

    def _seen(self) -> Seen:
        """What was measured, if it still holds."""
        if self.seen is None:
            raise DataError(
                f"{type(self).__name__}: principal components need the data",
                "no data have been measured, so the codes have no covariance yet",
                "call fit(X); or, after another training, measure_codes(X)",
            )
        if not np.array_equal(self.seen.encoder, self.encoder.weight.numpy()):
            raise DataError(
                f"{type(self).__name__}: the encoder has changed since the codes were measured",
                f"they were those of {self.seen.n} data, with other weights",
                "call measure_codes(X) with the training data",
            )
        return self.seen

    def _axes(self) -> Axes:
        """Of the weights as they are; computed once for the same ones."""
        found, decoder = self._seen(), self.decoder.weight.numpy().astype(np.float64)
        last = self._last
        if last is None or last[0] is not found or not np.array_equal(last[1], decoder):
            last = self._last = found, decoder, axes(found, decoder)
        return last[2]

    # --- in a checkpoint ---

    def seen_state(self) -> dict[str, np.ndarray]:
        """What was measured of the data, for a checkpoint.

        Returns
        -------
        dict of str to ndarray
            Empty if nothing was, or if it does not hold for these weights any more.
        """
        if self.seen is None or not np.array_equal(self.seen.encoder, self.encoder.weight.numpy()):
            return {}
        state = {name: np.asarray(value) for name, value in asdict(self.seen).items()}
        del state["encoder"]  # the model's own
        return state

    def load_seen_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Set what was measured of the data, after the weights have been loaded.

        Parameters
        ----------
        state : mapping of str to ndarray
            What `seen_state` returned.

        Raises
        ------
        DataError
            For what is missing, unexpected, not finite, or of another shape.
        """
        self.seen = None
        if not state:
            return
        weight = self.encoder.weight.numpy().astype(np.float64)
        D, M = weight.shape
        rows = len(state["factor"]) if np.ndim(state.get("factor", 0)) else 0
        expected = {"n": (), "mean": (D,), "total": (), "factor": (rows, M)}
        found = {name: value.shape for name, value in state.items()}
        finite = [v.dtype.kind in "iuf" and np.isfinite(v).all() for v in state.values()]
        if found != expected or not all(finite):
            raise DataError(
                "what was kept of the data cannot be understood",
                f"{found}, expected {expected} of finite numbers",
                "call measure_codes(X) with the training data",
            )
        n, total = int(state["n"]), float(state["total"])
        self.seen = Seen(n, state["mean"], total, state["factor"], weight)


def offset_of(layer: Any) -> Any:
    """The bias of a layer as an array; 0 where it has none."""
    return 0.0 if layer.bias is None else layer.bias.numpy()


def seen(weight: np.ndarray, X: np.ndarray) -> Seen:
    """What is kept of X (n, D) and its codes under W_enc (D, M), in parts of the rows."""
    n, D = X.shape
    mean = X.mean(axis=0, dtype=np.float64)
    squares = 0.0
    factor: Any = np.zeros((0, weight.shape[1]))
    step = max(1, AT_ONCE // D)
    for start in range(0, n, step):
        centred = X[start : start + step] - mean
        squares += float(np.sum(centred**2))
        factor = np.linalg.qr(np.vstack([factor, centred @ weight]), mode="r")
    return Seen(n, mean, squares / max(1, n - 1), factor, weight)


def axes(found: Seen, decoder: np.ndarray) -> Axes:
    """The principal axes for the codes that were seen and W_dec (M, D)."""
    Q, T = np.linalg.qr(decoder.T)
    V, sizes = uncorrelated(found.factor @ T.T)
    order = np.argsort(-sizes, kind="stable")
    V = V[:, order]
    rows = (Q @ V).T
    largest = np.abs(rows).argmax(axis=1)
    signs = np.where(rows[np.arange(len(rows)), largest] < 0, -1.0, 1.0)
    variance = sizes[order] ** 2 / max(1, found.n - 1)
    return Axes(rows * signs[:, None], variance, T.T @ V * signs)


def uncorrelated(C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V (M, M) orthogonal, such that the columns of C V are; and the lengths (M,) of those.

    Each rotation makes one pair of columns orthogonal; after each sweep over all pairs the angles
    that are left are about the squares of those before.
    """
    unit = float(np.abs(C).max(initial=0)) or 1.0
    n, M = C.shape
    # column j of C V, then column j of V, in row j: one rotation turns both
    both = np.hstack([C.T / unit, np.eye(M)])
    for _ in range(SWEEPS):
        worst = max((_rotate(both, n, *pairs) for pairs in rounds(M)), default=0.0)
        if worst <= EPS * max(1, M):
            break
    return both[:, n:].T, unit * np.linalg.norm(both[:, :n], axis=1)


def _rotate(both: np.ndarray, n: int, p: np.ndarray, q: np.ndarray) -> float:
    """Make row p[k] and row q[k] of both[:, :n] orthogonal; returns the largest cosine before.

    The tangent t is the smaller root of t^2 + 2 zeta t - 1 = 0, zeta = half / product (Golub & Van
    Loan, section 8.6.3).
    """
    a, b = both[p], both[q]
    product = np.einsum("ij,ij->i", a[:, :n], b[:, :n])
    lengths = [np.sqrt(np.einsum("ij,ij->i", each, each)) for each in (a[:, :n], b[:, :n])]
    cosine = np.abs(product) / np.maximum(lengths[0] * lengths[1], TINY)
    half = (lengths[1] - lengths[0]) * (lengths[1] + lengths[0]) / 2
    t = product / np.maximum(np.abs(half) + np.hypot(half, product), TINY)
    t = np.where(half < 0, -t, t)[:, None]
    cos = 1 / np.hypot(1.0, t)
    both[p], both[q] = cos * (a - t * b), cos * (b + t * a)
    return float(cosine.max(initial=0))


def rounds(M: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every pair of M columns once, as in a tournament: in a round, no column has two partners."""
    players = np.arange(M + M % 2)
    half = len(players) // 2
    for _ in range(len(players) - 1):
        first, second = players[:half], players[half:][::-1]
        both = (first < M) & (second < M)
        yield first[both], second[both]
        players[1:] = np.roll(players[1:], 1)
