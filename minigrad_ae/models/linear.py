"""The linear autoencoder: two layers of weights, M < D (Bishop & Bishop, section 19.1.1).

    z = W1 x + b1,   y = W2 z + b2,   E(w) = 1/2 sum_n ||y(x_n; w) - x_n||^2

At its minimum, y projects x onto the first M principal components of the data (Baldi & Hornik
1989).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import ops
from ..arguments import choice, flag, real_number, whole_number
from ..autodiff.graph import no_grad
from ..data import check_matrix, scale
from ..data.validate import demand_squares
from ..errors import DataError
from ..nn import Linear, Module, Parameter, init
from ..nn.module import Renamed
from ..optim import LBFGS
from ..room import demand_room
from ..tensors import Tensor, tensor
from . import subspace
from .base import Autoencoder, name_as_on_the_slides
from .components import PrincipalAxes

# pairs that L-BFGS keeps: more help data with columns of very different size, and cost time
HISTORY = 30
# largest entry of the gradient at which a penalised stage of `fit` hands over to the next
STAGE_TOLERANCE = 1e-5


@dataclass
class Fit:
    """What ``fit`` did, in a `LinearAutoencoder` or `LinearVAE`.

    Losses are in the units of the data, sums over features and data, penalty included where there
    is one.

    Parameters
    ----------
    start_loss : float
        The loss at the start weights.
    loss : float, optional
        The loss at the end.
    evaluations : int, optional
        How often loss and gradient were computed.
    losses : list of float, optional
        The loss without penalty at each evaluation.
    penalties : list of float, optional
        lambda in each stage of `LinearAutoencoder.fit` by L-BFGS.
    reason : str, optional
        Why it ended.
    finished : bool, optional
        False where a limit ended the run: it would have gone on.

    Examples
    --------
    >>> X = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> report = mg.models.LinearAutoencoder(2, 1, rng=np.random.default_rng(0)).fit(X)
    >>> report.finished, len(report.losses) == report.evaluations
    (True, True)
    """

    start_loss: float
    loss: float = float("nan")
    evaluations: int = 0
    losses: list[float] = field(default_factory=list)
    penalties: list[float] = field(default_factory=list)  # lambda in each stage
    reason: str = ""
    finished: bool = True  # False where a limit ended the run: it would have gone on


class TiedDecoder(Module):
    """y = z W^T + b with the weight W (D, M) of an encoder; only the offset is its own.

    Parameters
    ----------
    encoder : nn.Linear
        Whose weight is used.
    bias : bool
        Whether there is an offset b (D,).
    dtype : dtype
        float64 or float32, of the offset.
    """

    def __init__(self, encoder: Linear, bias: bool, dtype: Any) -> None:
        self.encoder = encoder
        self.bias = Parameter(np.zeros(encoder.weight.shape[0], dtype)) if bias else None

    @property
    def weight(self) -> Tensor:
        """W^T, a Tensor (M, D): computed from the encoder's, and so not a parameter."""
        weight: Tensor = self.encoder.weight.T
        return weight

    def forward(self, z: Any) -> Any:
        """The outputs for given codes.

        Parameters
        ----------
        z : Tensor or array_like, (n, M)
            Codes, one row for each datum.

        Returns
        -------
        Tensor, (n, D)
            y, in the units of the data.
        """
        return ops.linear(z, self.weight, self.bias)


class LinearAutoencoder(PrincipalAxes, Autoencoder):
    """Two layers of weights and no other function: y = (x W_enc + b_enc) W_dec + b_dec.

    The loss is 1/2 sum (y - x)^2, a sum over features and data, with the slide's factor 1/2.

    Parameters
    ----------
    n_features : int
        D, the number of features of a datum, >= 1.
    n_latent : int
        M, the number of units of the code, 1 <= M <= D.
    bias : bool, optional
        Whether there are offsets b_enc (M,) and b_dec (D,).  Without them, data that are not
        centred lead to the principal components of the second moments X^T X instead of the
        covariance.
    tied : bool, optional
        W_dec = W_enc^T, one matrix.
    l2 : float, optional
        Adds l2/2 (||W_enc||^2 + ||W_dec||^2), >= 0; the offsets are never decayed.
    rng : numpy.random.Generator
        Draws the start weights (Xavier normal); the offsets start at 0.
    dtype : dtype, optional
        float64 or float32, of all parameters.

    Attributes
    ----------
    encoder : nn.Linear
        W1^T = encoder.weight (D, M) and b1 = encoder.bias (M,), or None.
    decoder : nn.Linear or TiedDecoder
        W2^T = decoder.weight (M, D) and b2 = decoder.bias (D,), or None.
    record : Fit or None
        What the last `fit` did.
    components_, explained_variance_, explained_variance_ratio_, mean_ : ndarray
        As in scikit-learn's PCA; see `components_`.

    Raises
    ------
    DataError
        If a size is below 1, M > D, or l2 < 0.
    DtypeError
        If a number or flag is not one, `rng` not a generator, or `dtype` another one.

    References
    ----------
    Bishop & Bishop (2024), section 19.1.1; Baldi & Hornik (1989).

    Examples
    --------
    At its minimum it projects onto the first principal component, here the first axis.  What it
    cannot represent is the second, 1/2 (1 + 1).

    >>> X = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> model = mg.models.LinearAutoencoder(2, 1, rng=np.random.default_rng(0))
    >>> round(model.fit(X).loss, 6)
    1.0
    >>> bool(np.allclose(model(X).numpy(), X * [1, 0], atol=1e-5))
    True
    """

    encoder_weight, encoder_bias = Renamed("encoder.weight"), Renamed("encoder.bias")
    decoder_weight, decoder_bias = Renamed("decoder.weight"), Renamed("decoder.bias")

    def __init__(
        self,
        n_features: int,
        n_latent: int,
        *,
        bias: bool = True,
        tied: bool = False,
        l2: float = 0.0,
        rng: np.random.Generator,
        dtype: Any = np.float64,
    ) -> None:
        self.n_features = whole_number(n_features, "LinearAutoencoder: n_features")
        self.n_latent = whole_number(
            n_latent,
            "LinearAutoencoder: n_latent",
            "choose 1 <= n_latent <= n_features; fewer than n_features for a bottleneck",
            high=n_features,
            what=f"LinearAutoencoder: n_latent = {n_latent} is not possible",
            where=f"n_features = {n_features}",
        )
        self.l2 = real_number(
            l2,
            "LinearAutoencoder: l2",
            "[0, inf)",
            "choose l2 >= 0",
            what=f"LinearAutoencoder: l2 = {l2} is not possible",
            where="a penalty",
        )
        self.tied, self.bias = flag(tied, "tied"), flag(bias, "bias")
        drawn = {"rng": rng, "dtype": dtype, "init": init.xavier_normal}
        self.encoder = Linear(n_features, n_latent, self.bias, **drawn)
        self.decoder = (
            TiedDecoder(self.encoder, self.bias, dtype)
            if self.tied
            else Linear(n_latent, n_features, self.bias, **drawn)
        )
        name_as_on_the_slides(self.encoder, self.decoder)
        self.record: Fit | None = None

    def decoding_weight(self) -> Tensor:
        """The decoder's weight, which is the encoder's transposed if they are tied.

        Returns
        -------
        Tensor, (M, D)
            W_dec, differentiable.
        """
        weight: Tensor = self.decoder.weight
        return weight

    def encode(self, x: Any) -> Any:
        """The code z = x W_enc + b_enc of each row of x.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows; an array is cast to the dtype of the weights.

        Returns
        -------
        Tensor, (n, M)
            z, one row for each datum.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        """
        x = self._rows(x)
        W = self.encoder.weight
        return ops.linear(x, W, self.encoder.bias) if self.bias else x @ W

    def decode(self, z: Any) -> Any:
        """The outputs y = z W_dec + b_dec.

        Parameters
        ----------
        z : Tensor or array_like, (n, M)
            Codes, one row for each datum.

        Returns
        -------
        Tensor, (n, D)
            y, in the units of the data.
        """
        W = self.decoder.weight
        return ops.linear(z, W, self.decoder.bias) if self.bias else z @ W

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """E = 1/2 sum over data and features of (y - x)^2, plus the L2 penalty.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator, optional
            Not used: nothing is drawn.

        Returns
        -------
        Tensor, ()
            E, a sum over features and data; the penalty is added once.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        """
        x = self._rows(x)
        return self.penalised(half_squared_error(self.forward(x), x), self.l2)

    def penalised(self, error: Any, l2: float) -> Any:
        """Add l2/2 (||W_enc||^2 + ||W_dec||^2) to an error.

        Parameters
        ----------
        error : Tensor, ()
            What is penalised.
        l2 : float
            The weight of the penalty, >= 0.

        Returns
        -------
        Tensor, ()
            `error` itself where `l2` is 0.

        Raises
        ------
        DataError
            If `l2` is negative or not finite.
        """
        l2 = real_number(l2, "l2", "[0, inf)", "pass 0 for no penalty")
        if l2 == 0:
            return error
        return error + l2 / 2 * (ops.sum(self.encoder.weight**2) + ops.sum(self.decoder.weight**2))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The weights before the offsets, each with its path.

        Returns
        -------
        iterator of (str, Parameter)
            ('encoder.weight', parameter) and so on.

        Notes
        -----
        Optimisers know parameters by this order: an older state of an optimiser fits.
        """
        return iter(sorted(super().named_parameters(), key=lambda named: -named[1].ndim))

    def weights(self) -> list[Parameter]:
        """The matrices that are trained.

        Returns
        -------
        list of Parameter
            W_enc and W_dec, or the one that both share if they are tied.
        """
        return [p for p in self.parameters() if p.ndim == 2]

    def fit(
        self,
        X: Any,
        rng: np.random.Generator | None = None,
        *,
        tolerance: float = 1e-12,
        max_evaluations: int = 20_000,
        method: str | None = None,
    ) -> Fit:
        """Train to the minimum.

        Parameters
        ----------
        X : array_like, (N, D)
            Data in rows; finite numbers.
        rng : numpy.random.Generator, optional
            Draws new start weights first; None starts from the present ones.
        tolerance : float, optional
            It ends when no entry of the gradient is larger (data scaled to mean square 1), or when
            the loss no longer resolves a step.  0 goes down to the rounding of the loss.
        max_evaluations : int, optional
            Of the loss, in all stages together, >= 1.
        method : {"subspace", "lbfgs"}, optional
            "subspace" alternates between least squares for one layer, and L-BFGS over the subspace
            that the decoder spans: right for columns of any size, and the default; it knows no
            penalty.  "lbfgs" trains both layers at once, with a penalty that is taken back in
            stages; the default where l2 > 0, and slow where columns differ in size 300 times or
            more.

        Returns
        -------
        Fit
            The report, also left in ``record``.

        Raises
        ------
        ShapeError
            If X is not a matrix of D columns.
        DataError
            If X is empty, has entries that are masked, not finite, or so large or small that their
            squares are lost, or would not fit into memory; if `tolerance` is below 0 or
            `max_evaluations` below 1; if `method` is another one, or "subspace" where l2 > 0.
        DtypeError
            If X is not made of real numbers, or an argument is not a number.

        Notes
        -----
        Neither method looks at an eigenvalue.  The loss depends on X only through X^T X = R^T R, so
        R of a QR decomposition (D x D) stands in for X.  The best offsets are known for any
        weights, b_dec = mean - (mean W_enc + b_enc) W_dec, so centred data and no offsets leave
        the same problem.

        "subspace" (the module `models.subspace` derives it) ends at W_enc = Q, W_dec = Q^T with
        orthonormal columns, turned inside their span as the start weights were.  "lbfgs" has to
        choose among (W_enc C, C^-1 W_dec), equally good for every invertible C: its penalty
        lambda, from ||X||^2 / D down to its final value, keeps the two layers balanced.

        References
        ----------
        Roweis (1998), EM algorithms for PCA and SPCA.
        Kunin, Bloom, Goeva & Seed (2019), Loss landscapes of regularized linear autoencoders.
        """
        if method is None:
            method = "lbfgs" if self.l2 else "subspace"
        choice(method, ("subspace", "lbfgs"), "LinearAutoencoder.fit", "method")
        if method == "subspace" and self.l2:
            raise DataError(
                "LinearAutoencoder.fit: the method 'subspace' knows no penalty",
                f"l2 = {self.l2}",
                "leave method out, or pass method='lbfgs'",
            )
        given = ready_to_fit(self, self.weights(), X, rng, tolerance, max_evaluations)
        room = subspace.room_for(*given.shape)
        demand_room(room, "training on this matrix", "take fewer rows or columns")
        with no_grad():
            report = Fit(start_loss=float(self.loss(given)))
        R, mean = subspace.triangle(given, self.bias)
        demand_squares(R)
        R, unit = scale(R)
        if method == "subspace":
            stored = max(float(np.finfo(t).eps) for t in (given.dtype, self.encoder.weight.dtype))
            run = subspace.minimise(R, self._start(), tolerance, max_evaluations, stored)
            self._take(run, unit, report)
        else:
            self._fit_both_layers(R, unit, tolerance, max_evaluations, report)
        if self.bias:
            self._centre_on(mean)
        with no_grad():
            report.loss = float(self.loss(given))
        self.measure_codes(given)
        self.record = report
        return report

    def _start(self) -> np.ndarray:
        """(D, M), float64: the decoder's rows, whose span the subspace method starts from."""
        rows: np.ndarray = self.decoding_weight().numpy().T
        return rows.astype(np.float64)

    def _take(self, run: subspace.Descent, unit: float, report: Fit) -> None:
        """The weights that the subspace method found, and what it did."""
        turn = np.linalg.qr(run.basis.T @ self._start())[0]  # the units are not made the components
        basis = (run.basis @ turn).astype(self.encoder.weight.dtype)
        self.encoder.weight.data = basis
        if not self.tied:
            self.decoder.weight.data = basis.T.copy()
        report.losses = [loss * unit**2 for loss in run.losses]
        report.evaluations = len(run.losses)
        report.reason, report.finished = run.reason, run.finished

    def _fit_both_layers(
        self, R: np.ndarray, unit: float, tolerance: float, limit: int, report: Fit
    ) -> None:
        data = tensor(R, dtype=self.encoder.weight.dtype)
        final = self.l2 / unit**2
        stages = [
            lam
            for lam in float(np.sum(R**2)) / R.shape[1] * 100.0 ** -np.arange(0.0, 4.0)
            if lam > final
        ]
        for lam in stages:
            self._minimise(data, lam, unit, STAGE_TOLERANCE, limit, report)
        self._minimise(data, final, unit, tolerance, limit, report)
        report.penalties = [lam * unit**2 for lam in [*stages, final]]

    def _minimise(
        self, data: Tensor, lam: float, unit: float, tolerance: float, limit: int, report: Fit
    ) -> None:
        if report.evaluations >= limit:
            report.reason, report.finished = "evaluation limit", False
            return
        optimiser = LBFGS(
            self.weights(),
            history=HISTORY,
            max_iter=limit,
            max_evaluations=limit - report.evaluations,
            gradient_tolerance=tolerance,
        )

        def closure() -> Tensor:
            error = half_squared_error(data @ self.encoder.weight @ self.decoder.weight, data)
            loss: Tensor = self.penalised(error, lam)
            loss.backward()
            report.evaluations += 1
            report.losses.append(float(error) * unit**2)
            return loss

        optimiser.step(closure)
        report.reason, report.finished = str(optimiser.reason), optimiser.finished

    def _centre_on(self, mean: np.ndarray) -> None:
        """The offsets that are best for these weights: y(mean) = mean."""
        self.encoder.bias.data = np.zeros(self.n_latent)
        projected = mean @ self.encoder.weight.data @ self.decoder.weight.data
        self.decoder.bias.data = mean - projected


def ready_to_fit(
    model: Autoencoder,
    weights: Iterable[Parameter],
    X: Any,
    rng: np.random.Generator | None,
    tolerance: float,
    max_evaluations: int,
) -> np.ndarray:
    """X (n, D) as an array of finite numbers, after all that ``fit`` was given has been checked;
    with an `rng`, the weights are drawn again.
    """
    who = f"{type(model).__name__}.fit"
    whole_number(max_evaluations, f"{who}: max_evaluations")
    real_number(
        tolerance, f"{who}: tolerance", "[0, inf)", "0 goes down to the rounding of the loss"
    )
    data = check_matrix(X, "X", min_rows=1)
    model._rows(data[:1])
    if rng is not None:
        for weight in weights:
            weight.data = init.xavier_normal(weight.shape, rng, weight.dtype)
    return data


def half_squared_error(y: Any, x: Any) -> Any:
    """E = 1/2 sum (y - x)^2, the slides' sum-of-squares error.

    Parameters
    ----------
    y : Tensor or ndarray, (n, D)
        Outputs.
    x : Tensor or ndarray, (n, D)
        Targets.

    Returns
    -------
    Tensor or ndarray, ()
        A sum over features and data.

    Examples
    --------
    >>> from minigrad_ae.models.linear import half_squared_error
    >>> float(half_squared_error(np.array([[3.0, 4.0]]), np.zeros((1, 2))))  # 1/2 (9 + 16)
    12.5
    """
    return ops.half_squared_error(y, x)
