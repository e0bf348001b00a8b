"""The PCA certificate: is this linear autoencoder, as it is now, at the minimum that PCA predicts?

It does not train.  It compares the model with `analytic.pca` of the same data: the loss with the
optimal loss, the subspace that the decoder spans with the principal components, and the curvature
at the point found.  How far the subspace may be off follows from how far the loss may be: E - E* >=
1/2 (s_M - s_{M+1}) sum_i sin^2 theta_i. Where s_M = s_{M+1}, PCA itself is not unique; the
certificate then says which directions are free.
"""

from __future__ import annotations

import html
import os
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .. import analytic
from ..autodiff import engine
from ..autodiff.curvature import extreme_curvatures, hessian_product
from ..autodiff.graph import no_grad
from ..data import check_matrix, scale
from ..data.validate import demand_squares
from ..errors import DataError, DtypeError, ShapeError
from ..files import write_json, write_whole
from ..models.linear import LinearAutoencoder, half_squared_error
from ..tensors import tensor
from .definition import Result

EPS = float(np.finfo(np.float64).eps)
# how far below zero, relative to the highest, rounding may put the lowest curvature
CURVATURE = 1e-6


@dataclass(frozen=True)
class Certificate:
    """What `certify_pca` found.  Losses are 1/2 sum of squares (plus the model's L2 penalty), in
    the units of the data.

    passed           loss, subspace, gradient and curvature are all as they must be at the minimum
    loss, optimal_loss, loss_tolerance   |loss - optimal_loss| <= loss_tolerance
                     = max(1e-10, eps) optimal_loss + 64 eps ||X||^2/2 + n |c|^2/2, with eps of the
                     model's own dtype, X without its mean where the model has offsets, and c what
                     the rounding of these offsets may leave (see `_without_offset`)
    start_loss, evaluations              from the record that `fit` leaves; None where there is none
    subspace_error   ||P - P*||_F of the orthogonal projectors, on the part of the subspace that PCA
                     determines
    principal_angles (radians, smallest first), sine_tolerance   of that part
    gradient_norm    ||dE/dW|| / ||X||^2;  balancedness: ||(dE/dW1) W1^T - W2^T (dE/dW2)|| /
                     ||X||^2, zero at any point
    gradient_tolerance   sqrt(2 L loss_tolerance) / ||X||^2 + 64 eps, L the largest curvature: where
                     no curvature is above L, ||dE/dW||^2 <= 2 L (E - E*)
    failures, finished   what is not as it must be, a sentence each; whether `fit` came to an end
    lowest_curvature smallest eigenvalue of the Hessian relative to the largest (Lanczos on
    Hessian-vector products)
    explained_variance  (M,) sums of squares along the principal directions of the reconstructions,
                        beside eigenvalues
    determined, free    how many directions PCA determines, and the numbers (from, to) of the
                        components that are tied
    """

    passed: bool
    n_rows: int
    n_features: int
    n_latent: int
    rank: int
    loss: float
    optimal_loss: float
    loss_tolerance: float
    start_loss: float | None
    evaluations: int | None
    subspace_error: float
    principal_angles: list[float]
    sine_tolerance: float
    gradient_norm: float
    balancedness: float
    lowest_curvature: float
    explained_variance: list[float]
    eigenvalues: list[float]
    determined: int
    free: tuple[int, int] | None
    centred: bool
    notes: list[str]
    gradient_tolerance: float = float("nan")
    failures: list[str] = field(default_factory=list)
    finished: bool = True

    @property
    def largest_sine(self) -> float:
        """Sine of the largest principal angle of the determined part; 0 where nothing is
        determined.
        """
        return float(np.sin(max(self.principal_angles, default=0.0)))

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return asdict(self)

    def json(self, path: str | os.PathLike[str]) -> None:
        """Write `as_dict` to a file, whole or not at all."""
        write_json(path, self.as_dict())

    def __str__(self) -> str:
        verdict = (
            f"this linear autoencoder {'IS PCA' if self.passed else 'is NOT at the PCA optimum'}"
        )
        start = "not recorded" if self.start_loss is None else f"{self.start_loss:.10g}"
        used = "not recorded" if self.evaluations is None else str(self.evaluations)
        lines = [
            f"PCA certificate: {verdict}",
            f"  data                     {self.n_rows} x {self.n_features}, rank {self.rank}",
            f"  latent units             M = {self.n_latent}",
            f"  loss at the start        {start}   (evaluations used: {used})",
            f"  loss now                 {self.loss:.12g}",
            f"  optimum, 1/2 sum_j>M s_j {self.optimal_loss:.12g}",
            f"  difference               {self.loss - self.optimal_loss:.2e}   (allowed "
            f"{self.loss_tolerance:.2e})",
            f"  sine of largest angle    {self.largest_sine:.2e}   (allowed "
            f"{self.sine_tolerance:.2e})",
            f"  projector distance       {self.subspace_error:.2e}   over {self.determined} "
            "determined directions",
            f"  gradient norm            {self.gradient_norm:.2e}   (allowed "
            f"{self.gradient_tolerance:.2e}) relative to ||X||^2",
            f"  balancedness             {self.balancedness:.2e}   relative to ||X||^2 (an "
            "identity: zero anywhere)",
            f"  lowest curvature         {self.lowest_curvature:+.2e}   relative to the highest",
            "  explained, by component  learned / PCA",
        ]
        pairs = list(zip(self.explained_variance, self.eigenvalues, strict=True))
        lines += [f"    {k + 1:>3}  {a:.10g} / {b:.10g}" for k, (a, b) in enumerate(pairs[:8])]
        if len(pairs) > 8:
            lines.append(
                f"    ... and {len(pairs) - 8} more, largest relative difference "
                f"{self._worst(pairs):.1e}"
            )
        because = [f"  not passed: {reason}" for reason in self.failures]
        return "\n".join([*lines, *because, *(f"  note: {n}" for n in self.notes)])

    def _repr_html_(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        return f"<div><b>PCA certificate: {verdict}</b><pre>{html.escape(str(self))}</pre></div>"

    def figure(self) -> Any:
        """A matplotlib figure: what each component explains, learned beside PCA, and the angles
        beside what is allowed.
        """
        from matplotlib.figure import Figure

        fig = Figure(figsize=(8.6, 3.6), layout="constrained")
        left, right = fig.subplots(1, 2)
        k = np.arange(1, self.n_latent + 1)
        left.semilogy(
            k,
            np.maximum(self.eigenvalues, 1e-300),
            "o",
            ms=9,
            mfc="none",
            color="#0072B2",
            label="PCA, $s_j$",
        )
        left.semilogy(
            k, np.maximum(self.explained_variance, 1e-300), "x", color="#D55E00", label="network"
        )
        finding = (
            "The network explains what PCA explains"
            if self.passed
            else "What each direction explains"
        )
        left.set(xlabel="component", ylabel="sum of squares explained", title=finding)
        left.legend()
        sines = np.maximum(np.sin(self.principal_angles), 1e-17)
        right.semilogy(
            np.arange(1, len(sines) + 1), sines, "o", color="#0072B2", label="sine of the angle"
        )
        right.axhline(self.sine_tolerance, color="#D55E00", ls="--", label="allowed by the loss")
        verdict = (
            "The learned subspace is PCA's" if self.passed else "The learned subspace is not PCA's"
        )
        right.set(xlabel="principal angle", ylabel="sine", title=verdict, ylim=(1e-17, 3))
        right.legend()
        for ax in (left, right):
            ax.xaxis.get_major_locator().set_params(integer=True)
        return fig

    def png(self, path: str | os.PathLike[str]) -> None:
        """Write `figure` as a PNG."""
        figure, metadata = self.figure(), {"Software": None}
        write_whole(
            path, lambda file: figure.savefig(file, format="png", dpi=150, metadata=metadata)
        )

    @staticmethod
    def _worst(pairs: list[tuple[float, float]]) -> float:
        return max(abs(a - b) for a, b in pairs) / max(pairs[0][1], 1e-300)


def certify_pca(model: LinearAutoencoder, X: Any) -> Certificate:
    """Compare `model` with the PCA of X (n, D); see `Certificate`.  A model without bias needs
    centred data.
    """
    if not isinstance(model, LinearAutoencoder):
        raise DtypeError(
            "certify_pca: no linear autoencoder",
            f"got a {type(model).__name__}",
            "certify_pca(model, X)",
        )
    X = check_matrix(X, "X", min_rows=1)
    if X.shape[1] != model.n_features:
        raise ShapeError(
            "the data do not fit the autoencoder",
            f"X {X.shape}, model of {model.n_features} features",
            "certify with the data that the model was trained on",
        )
    X = X.astype(np.float64, copy=False)
    demand_squares(X)
    demand_squares(X - X.mean(axis=0))
    single = model.encoder_weight.dtype == np.float32
    eps = float(np.finfo(model.encoder_weight.dtype).eps)
    exact = _in_float64(model) if single else model
    found = analytic.pca(X, model.n_latent)
    inner, offset, slack = _without_offset(exact, X, eps)
    M, s = model.n_latent, found.eigenvalues
    if model.l2 == 0:
        optimum = found.optimal_loss()
    else:
        optimum = analytic.optimal_loss_regularised(s, M, model.l2)
    squares = float(np.sum(inner**2))
    allowed = max(1e-10, eps) * optimum + 64 * eps * 0.5 * squares + 0.5 * len(X) * slack
    loss = _loss(exact, inner, offset)
    sure, tied = _determined(s, M, allowed, model.l2)
    sine_allowed = _sine_allowed(s, sure, allowed)
    learned, angles, cover = _subspace(exact, found, sure, tied)
    sines = np.sin(angles) if angles else np.zeros(0)
    point = _local(exact, inner)
    gradient_allowed = point.gradient_allowed(allowed) + 64 * eps

    notes = _notes(model, found, sure, tied, learned, single)
    mean_square = float(np.linalg.norm(found.mean)) ** 2 * len(X)
    centred = model.bias or mean_square <= 64 * EPS * float(np.sum(X**2))
    failures = []
    if not centred:
        failures.append("the data are not centred and the model has no bias")
        notes.append(f"{failures[-1]}: centre them, or its optimum is not PCA")
    if not abs(loss - optimum) <= allowed:
        miss = f"{abs(loss - optimum):.2e} from the optimum, allowed {allowed:.2e}"
        failures.append(f"the loss is {miss}")
    if sure > learned.shape[1]:
        dead = f"the decoder spans {learned.shape[1]} directions only, PCA needs {sure}"
        failures.append(dead)
        notes.append(dead)
    elif len(sines) and not float(sines.max()) <= sine_allowed and sure < X.shape[1]:
        miss = f"sine {sines.max():.2e}, allowed {sine_allowed:.2e}"
        failures.append(f"the subspace is not that of the principal components: {miss}")
    if not point.gradient <= gradient_allowed:
        miss = f"{point.gradient:.2e} of ||X||^2, allowed {gradient_allowed:.2e}"
        failures.append(f"the gradient does not vanish: {miss}")
    if not point.curvature >= -CURVATURE:
        failures.append("the lowest curvature is negative: this is a saddle, and a way leads down")
    record = model.record
    ended = record.reason if record else ""
    finished = not ended.endswith("limit")
    if not finished and failures:
        notes.append(
            f"training ended at its {ended}: it was not finished, which says nothing about PCA; "
            "call fit again to go on"
        )
    return Certificate(
        passed=not failures,
        n_rows=len(X),
        n_features=X.shape[1],
        n_latent=M,
        rank=found.rank,
        loss=loss,
        optimal_loss=optimum,
        loss_tolerance=allowed,
        start_loss=record.start_loss if record else None,
        evaluations=record.evaluations if record else None,
        subspace_error=float(np.hypot(np.sqrt(np.sum(sines**2)), cover)),
        principal_angles=angles,
        sine_tolerance=sine_allowed,
        gradient_norm=point.gradient,
        balancedness=point.balance,
        lowest_curvature=point.curvature,
        explained_variance=_explained(exact, inner),
        eigenvalues=[float(v) for v in s[:M]],
        determined=sure,
        free=tied,
        centred=bool(centred),
        notes=notes,
        gradient_tolerance=gradient_allowed,
        failures=failures,
        finished=finished,
    )


def _in_float64(model: LinearAutoencoder) -> LinearAutoencoder:
    """The same weights in float64, so that what is measured is the model and not the measuring."""
    twin = LinearAutoencoder(
        model.n_features,
        model.n_latent,
        bias=model.bias,
        tied=model.tied,
        l2=model.l2,
        rng=np.random.default_rng(0),
    )
    for exact, given in zip(twin.parameters(), model.parameters(), strict=True):
        exact.data = given.data.astype(np.float64)
    return twin


def _without_offset(
    model: LinearAutoencoder, X: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """(X - m, the error c at m, the square of what rounding may make of c).

    With offsets, y - x = (x - m) W_enc W_dec - (x - m) + c, m the mean of the data and
    c = (m W_enc + b_enc) W_dec + b_dec - m.  The mean itself, however large, cancels in c, which is
    computed in extended precision.  Offsets and weights are numbers of precision eps, so c cannot
    be closer to 0 than their rounding: |c| <= (D + M) eps (|m| |W_enc| |W_dec| + ... + |m|).
    """
    if not model.bias:
        return X, np.zeros(X.shape[1]), 0.0
    mean = X.mean(axis=0)
    inner = X - mean
    rest = inner.mean(axis=0)  # the mean is rounded, too
    inner, m = inner - rest, mean.astype(np.longdouble) + rest
    W1, W2 = (w.numpy().astype(np.longdouble) for w in _layers(model))
    b1, b2 = (b.numpy().astype(np.longdouble) for b in (model.encoder_bias, model.decoder_bias))
    offset = (m @ W1 + b1) @ W2 + b2 - m
    terms = (np.abs(m) @ np.abs(W1) + np.abs(b1)) @ np.abs(W2) + np.abs(b2) + np.abs(m)
    slack = (model.n_features + model.n_latent) * eps * terms
    return inner, offset.astype(np.float64), float(np.sum(slack**2))


def _layers(model: LinearAutoencoder) -> tuple[Any, Any]:
    """W_enc (D, M) and W_dec (M, D)."""
    return model.encoder_weight, model.decoding_weight()


def _loss(model: LinearAutoencoder, inner: np.ndarray, offset: np.ndarray) -> float:
    """1/2 sum ||y - x||^2 and the penalty, from data without their offset."""
    W1, W2 = (w.numpy() for w in _layers(model))
    error = 0.5 * float(np.sum(((inner @ W1) @ W2 - inner + offset) ** 2))
    with no_grad():
        return float(model.penalised(tensor(error), model.l2))


def _sine_allowed(s: np.ndarray, sure: int, allowed: float) -> float:
    """E - E* >= 1/2 gap sin^2: what the sine may be if the loss may be `allowed` too high."""
    if not 0 < sure < len(s):
        return 1.0 if sure else 0.0
    return min(1.0, float(np.sqrt(2 * allowed / (s[sure - 1] - s[sure]))))


def _subspace(
    model: LinearAutoencoder, found: Any, sure: int, tied: tuple[int, int] | None
) -> tuple[np.ndarray, list[float], float]:
    """(basis of what the decoder spans, its angles to the components that are determined, the
    distance of its free part from the components that tie).
    """
    decoder = _layers(model)[1].numpy()
    learned = np.zeros((model.n_features, 0))
    if np.any(decoder):
        learned = analytic.orthonormal_basis(decoder.T)
    angles: list[float] = []
    if 0 < sure <= learned.shape[1]:
        angles = analytic.principal_angles(found.components[:, :sure], learned).tolist()
    if tied is not None:
        return learned, angles, 0.0
    inside, first = found.components[:, : model.n_latent], learned[:, : model.n_latent]
    return learned, angles, float(np.linalg.norm(first - inside @ (inside.T @ learned)))


def _notes(
    model: LinearAutoencoder,
    found: Any,
    sure: int,
    tied: tuple[int, int] | None,
    learned: np.ndarray,
    single: bool,
) -> list[str]:
    """What a reader should know beside the numbers."""
    notes = []
    if tied:
        notes.append(_free(tied, model.n_latent, sure, found.rank, model.l2))
    if single:
        notes.append("the model is float32: what is allowed comes from its 7 digits, not from 16")
    far = float(np.max(np.abs(found.mean), initial=0.0))
    spread = float(np.sqrt(max(float(found.eigenvalues[0]), 0.0)))
    if model.bias and EPS * far > 1e-10 * spread > 0:
        notes.append(
            f"the means are up to {far:.1e}: the data themselves are rounded to {EPS * far:.0e}, "
            "so their last digits cannot be certified"
        )
    return notes


def _determined(
    s: np.ndarray, M: int, allowed: float, l2: float
) -> tuple[int, tuple[int, int] | None]:
    """How many leading directions the optimum determines, and the components (from, to) that tie
    with the M-th.

    Two components cannot be told apart by the loss when exchanging them costs no more than
    `allowed`.  With a penalty, components with s_j <= l2 collapse, and the decoder does not span
    them.
    """
    D = len(s)
    M = min(M, int(np.sum(s > l2))) if l2 else M
    if M in (0, D):
        return M, None
    close = 0.5 * (s[:-1] - s[1:]) <= allowed  # close[j - 1]: component j and j + 1
    if not close[M - 1]:
        return M, None
    first, last = M, M + 1
    while first > 1 and close[first - 2]:
        first -= 1
    while last < D and close[last - 1]:
        last += 1
    return first - 1, (first, last)


def _free(tied: tuple[int, int], M: int, sure: int, rank: int, l2: float) -> str:
    if tied[0] > rank:
        return f"the rank is {rank}: {M - sure} of the {M} directions hold no variance and are free"
    return (
        f"s_{tied[0]} ... s_{tied[1]} are equal: {M - sure} of the {M} directions are free "
        "within these components"
    )


def _explained(model: LinearAutoencoder, inner: np.ndarray) -> list[float]:
    """Eigenvalues of the scatter of the reconstructions, largest first: s_1 ... s_M at the
    optimum.
    """
    W1, W2 = (w.numpy() for w in _layers(model))
    singular = np.linalg.svd((inner @ W1) @ W2, compute_uv=False)
    values = np.zeros(model.n_latent)
    values[: min(len(singular), len(values))] = singular[: len(values)] ** 2
    return [float(v) for v in values]


@dataclass(frozen=True)
class _Point:
    """The landscape around a model, on data scaled by `unit`, of squared norm `size` then."""

    gradient: float  # relative to the squared norm of the data
    balance: float  # likewise
    curvature: float  # lowest, relative to the highest
    highest: float
    size: float
    unit: float

    def gradient_allowed(self, allowed: float) -> float:
        """||dE/dW||^2 <= 2 L (E - E*) where no curvature is above L: relative to ||X||^2."""
        return float(np.sqrt(2 * max(self.highest, 0.0) * allowed)) / self.unit / self.size


def _local(model: LinearAutoencoder, X: np.ndarray) -> _Point:
    """Gradient, balancedness and curvature at the weights of `model`, on data without offset."""
    R, unit = scale(np.linalg.qr(X, mode="r") if len(X) > X.shape[1] else X)
    size = float(np.sum(R**2)) or 1.0
    weights = [model.encoder_weight] if model.tied else [model.encoder_weight, model.decoder_weight]
    data = tensor(R)
    l2 = model.l2 / unit**2
    error = half_squared_error(data @ model.encoder_weight @ model.decoding_weight(), data)
    loss = model.penalised(error, l2)
    gradients = engine.grad(loss, weights)
    norm = float(np.sqrt(sum(float(np.sum(g**2)) for g in gradients))) / size
    balance = 0.0
    if not model.tied:
        encoder, decoder = (w.numpy() for w in weights)
        norms = encoder.T @ encoder - decoder @ decoder.T
        drift = encoder.T @ gradients[0] - gradients[1] @ decoder.T - l2 * norms
        balance = float(np.linalg.norm(drift)) / size
    low, high = extreme_curvatures(hessian_product(loss, weights), sum(w.size for w in weights))
    relative = low / max(abs(high), abs(low), 1e-300)
    return _Point(norm, balance, relative, high, size, float(unit))


def claims_of(certificate: Certificate) -> list[Result]:
    """The certificate as rows of a ledger."""
    c = certificate

    def row(id: str, statement: str, expected: float, measured: float, tolerance: float) -> Result:
        return Result(
            id,
            "certificate",
            statement,
            expected,
            measured,
            tolerance,
            abs(measured - expected) <= tolerance,
        )

    return [
        row(
            "loss",
            "the loss is half the sum of the eigenvalues beyond M",
            c.optimal_loss,
            c.loss,
            c.loss_tolerance,
        ),
        row(
            "angle",
            "sine of the largest principal angle to the principal components that are determined",
            0.0,
            c.largest_sine,
            c.sine_tolerance,
        ),
        row(
            "gradient",
            "the gradient, relative to the squared norm of the data, as far as the loss allows it",
            0.0,
            c.gradient_norm,
            c.gradient_tolerance,
        ),
        row(
            "curvature",
            "no negative curvature: the lowest, relative to the highest, as far as below 0",
            0.0,
            min(0.0, c.lowest_curvature),
            CURVATURE,
        ),
        row(
            "balance",
            "(dE/dW1) W1^T = W2^T (dE/dW2), relative to the squared norm of the data",
            0.0,
            c.balancedness,
            1e-12,
        ),
    ]


def demand_latent(latent: int, shape: tuple[int, ...]) -> None:
    """Refuse a number of latent units that these data cannot have, in the words of the command
    line.
    """
    if not 1 <= latent <= shape[1]:
        raise DataError(
            f"--latent {latent} is not possible",
            f"the matrix has {shape[0]} rows and {shape[1]} columns",
            f"choose 1 <= M <= {shape[1]}",
        )
