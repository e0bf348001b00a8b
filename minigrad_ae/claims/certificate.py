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
from dataclasses import asdict, dataclass
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
    loss, optimal_loss, loss_tolerance   |loss - optimal_loss| <= loss_tolerance = 1e-10
                                         optimal_loss + 64 eps ||X||^2/2
    start_loss, evaluations              from the record that `fit` leaves; None where there is none
    subspace_error   ||P - P*||_F of the orthogonal projectors, on the part of the subspace that PCA
                     determines
    principal_angles (radians, smallest first), sine_tolerance   of that part
    gradient_norm    ||dE/dW|| / ||X||^2;  balancedness: ||(dE/dW1) W1^T - W2^T (dE/dW2)|| /
                     ||X||^2, zero at any point
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
            f"  gradient norm            {self.gradient_norm:.2e}   relative to ||X||^2",
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
        return "\n".join([*lines, *(f"  note: {n}" for n in self.notes)])

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
    notes = []
    found = analytic.pca(X, model.n_latent)
    centred = model.bias or float(np.linalg.norm(found.mean)) ** 2 * len(X) <= 64 * EPS * float(
        np.sum(X**2)
    )
    if not centred:
        notes.append(
            "the data are not centred and the model has no bias: centre them, or its optimum is "
            "not PCA"
        )
    M, s = model.n_latent, found.eigenvalues
    optimum = (
        found.optimal_loss() if model.l2 == 0 else analytic.optimal_loss_regularised(s, M, model.l2)
    )
    allowed = 1e-10 * optimum + 64 * EPS * 0.5 * float(np.sum(X**2))
    with no_grad():
        loss = float(model.loss(X))
    sure, tied = _determined(s, M, allowed, model.l2)
    gap = s[sure - 1] - (s[sure] if sure < len(s) else 0.0) if sure else np.inf
    sine_allowed = (
        min(1.0, float(np.sqrt(2 * allowed / gap)))
        if 0 < sure < len(s)
        else 0.0
        if not sure
        else 1.0
    )
    decoder = np.asarray(model.decoding_weight().numpy(), np.float64)
    learned = (
        analytic.orthonormal_basis(decoder.T) if np.any(decoder) else np.zeros((X.shape[1], 0))
    )
    U = found.components[:, :sure]
    missing = sure > learned.shape[1]
    angles = (
        [] if missing or not sure else [float(a) for a in analytic.principal_angles(U, learned)]
    )
    inside = found.components[:, : tied[1]] if tied else found.components[:, :M]
    if missing:
        notes.append(f"the decoder spans {learned.shape[1]} directions only, PCA needs {sure}")
    if tied:
        notes.append(_free(tied, M, sure, found.rank, model.l2))
    gradient, balance, curvature = _local(model, X if not model.bias else X - found.mean)
    cover = (
        float(
            np.linalg.norm(learned[:, : min(M, learned.shape[1])] - inside @ (inside.T @ learned))
        )
        if tied is None
        else 0.0
    )
    explained = _explained(model, X)
    sines = np.sin(angles) if angles else np.zeros(0)
    passed = bool(
        centred
        and abs(loss - optimum) <= allowed
        and not missing
        and (not len(sines) or float(sines.max()) <= sine_allowed or sure == X.shape[1])
        and curvature >= -CURVATURE
    )
    record = model.record
    return Certificate(
        passed,
        len(X),
        X.shape[1],
        M,
        found.rank,
        loss,
        optimum,
        allowed,
        record.start_loss if record else None,
        record.evaluations if record else None,
        float(np.hypot(np.sqrt(np.sum(sines**2)), cover)),
        angles,
        float(sine_allowed),
        gradient,
        balance,
        curvature,
        [float(v) for v in explained],
        [float(v) for v in s[:M]],
        sure,
        tied,
        bool(centred),
        notes,
    )


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


def _explained(model: LinearAutoencoder, X: np.ndarray) -> np.ndarray:
    """(M,) eigenvalues of the scatter of the reconstructions, largest first: they are s_1 ... s_M
    at the optimum.
    """
    with no_grad():
        y = model(X).numpy()
    singular = np.linalg.svd(y - (y.mean(axis=0) if model.bias else 0), compute_uv=False)
    values = np.zeros(model.n_latent)
    values[: min(len(singular), len(values))] = singular[: len(values)] ** 2
    return values


def _local(model: LinearAutoencoder, X: np.ndarray) -> tuple[float, float, float]:
    """(norm of the gradient, balancedness, lowest curvature), the first two relative to ||X||^2, on
    centred data.
    """
    R, unit = scale(np.linalg.qr(X, mode="r") if len(X) > X.shape[1] else X)
    size = float(np.sum(R**2)) or 1.0
    weights = [model.encoder_weight] if model.tied else [model.encoder_weight, model.decoder_weight]
    data = tensor(R, dtype=weights[0].dtype)
    l2 = model.l2 / unit**2
    loss = model.penalised(
        half_squared_error(data @ model.encoder_weight @ model.decoding_weight(), data), l2
    )
    gradients = engine.grad(loss, weights)
    norm = float(np.sqrt(sum(float(np.sum(g**2)) for g in gradients))) / size
    balance = 0.0
    if not model.tied:
        encoder, decoder = (w.numpy() for w in weights)
        drift = (
            encoder.T @ gradients[0]
            - gradients[1] @ decoder.T
            - l2 * (encoder.T @ encoder - decoder @ decoder.T)
        )
        balance = float(np.linalg.norm(drift)) / size
    low, high = extreme_curvatures(hessian_product(loss, weights), sum(w.size for w in weights))
    return norm, balance, low / max(abs(high), abs(low), 1e-300)


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
