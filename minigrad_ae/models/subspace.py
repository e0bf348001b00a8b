"""The minimum of E = 1/2 ||X - X W1 W2||^2 over all encoders W1 (D, M) and decoders W2 (M, D), for
columns of any size.

Two methods take turns, since each is slow where the other is fast.

half-steps   The best encoder for a decoder, and the best decoder for an encoder, are least squares,
             solved by QR decompositions alone: EM for PCA (Roweis 1998).  The error in direction j
             against i shrinks by s_j / s_i in a pair of half-steps, s the eigenvalues of X^T X: the
             sizes of the columns do not matter, but a small gap at the cut does.
L-BFGS       over C (D - M, M) in the decoder V^T, V = Q + P C R_z^-T: Q a basis of the present
             decoder's rows, P of what is orthogonal to it, R_z the triangle of the codes,
             X Q = U R_z.  In C the curvatures of E are 1 - s_j / s_i, whatever the sizes; a gap of
             1e-5 is a condition of 1e5, which takes some hundred evaluations.

No eigenvalue and no singular value of the data is looked at anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .. import ops
from ..data.progress import counted_off
from ..optim import LBFGS
from ..tensors import tensor

EPS = float(np.finfo(np.float64).eps)
FIRST, BETWEEN = 60, 3  # half-steps before the first round of L-BFGS, and after each
ROUND = 150  # iterations of L-BFGS before Q, P and R_z are made anew
HISTORY = 30  # pairs that L-BFGS keeps
BLOCK = 65_536  # rows that `triangle` takes at once


def triangle(X: np.ndarray, centred: bool) -> tuple[np.ndarray, np.ndarray]:
    """A small matrix with the same X^T X, by blocks of rows, so that little more memory is taken
    than X has: R (D, D) of the QR decomposition of X - mean.

    Parameters
    ----------
    X : ndarray, (N, D)
        Data in rows, float32 or float64; of a `numpy.memmap` the file is read block by block.
    centred : bool
        Whether the mean is taken off.

    Returns
    -------
    R : ndarray, (D, D), float64
        X - mean itself, (N, D), where there are at most D rows.
    mean : ndarray, (D,), float64
        Zeros unless `centred`.
    """
    N, D = X.shape
    mean = rest = np.zeros(D)
    if centred:
        mean = X.mean(axis=0, dtype=np.float64)
        # what rounding left of the mean; without this a constant column is not quite zero
        rest = sum((b - mean).sum(axis=0) for b in _blocks(X, "centring")) / N
    R: np.ndarray = np.zeros((0, D))
    for block in _blocks(X, "reading"):
        R = np.vstack([R, block - mean - rest])
        if N > D:
            R = np.asarray(np.linalg.qr(R, mode="r"))
    return R, mean + rest


def _blocks(X: np.ndarray, what: str) -> Iterator[np.ndarray]:
    size = max(BLOCK, X.shape[1])
    return (X[k : k + size] for k in counted_off(range(0, len(X), size), what, "blocks"))


def room_for(N: int, D: int) -> int:
    """About how many bytes training on N x D numbers takes at its most, beside the data."""
    return 8 * D * (6 * N if N < D else 8 * D + max(BLOCK, D))


@dataclass
class Descent:
    """What `minimise` did: the basis (D, M) that it found, E after each evaluation, why it ended,
    and whether that was not a limit.
    """

    basis: np.ndarray
    losses: list[float] = field(default_factory=list)
    reason: str = ""
    finished: bool = True


def minimise(
    X: np.ndarray, start: np.ndarray, tolerance: float, limit: int, resolution: float = EPS
) -> Descent:
    """Train to the minimum from the span of the columns of `start` (D, M).

    Parameters
    ----------
    X : ndarray, (N, D)
        Data in rows, of mean square 1.
    start : ndarray, (D, M)
        M <= D; the first basis.
    tolerance : float
        A round of L-BFGS ends where no entry of the gradient in C is larger, or the loss does not
        resolve a step.
    limit : int
        How many evaluations of E there may be; a half-step counts as one.
    resolution : float, optional
        What part of E counts: less than that, in ten iterations of L-BFGS, is no progress.  It is
        the rounding of float32 where data or weights are stored so.

    Returns
    -------
    Descent
        The basis has orthonormal columns.
    """
    if len(X) < start.shape[1]:  # fewer rows than units: rows of zeros change nothing
        X = np.vstack([X, np.zeros((start.shape[1] - len(X), X.shape[1]))])
    if len(X) < X.shape[1]:  # the minimum lies in the span of the rows, which has N directions
        rows, R = np.linalg.qr(X.T)
        run = minimise(R.T, rows.T @ start, tolerance, limit, resolution)
        run.basis = rows @ run.basis
        return run
    run = Descent(np.linalg.qr(start)[0])
    # of the residual of an exact fit: K roundings of each of the numbers of X
    floor = X.shape[1] * (8 * EPS) ** 2 * float(np.sum(X**2))
    _half_steps(X, run, FIRST, limit)
    while run.losses[-1] > floor and len(run.losses) < limit:
        before, evaluations = run.losses[-1], len(run.losses)
        if not _round(X, run, tolerance, limit, resolution):
            run.reason = "rounding"
            return run
        # a gradient may vanish far from C = 0, too: V can go to infinity
        if run.reason == "gradient tolerance" and len(run.losses) == evaluations + 1:
            return run
        _half_steps(X, run, BETWEEN, limit)
        settled = before - run.losses[-1] <= max(64 * EPS, resolution) * before
        if settled and run.reason in ("rounding", "loss tolerance"):
            return run
    run.finished = run.losses[-1] <= floor
    run.reason = "rounding" if run.finished else "evaluation limit"
    return run


def _half_steps(X: np.ndarray, run: Descent, steps: int, limit: int) -> None:
    """The best codes for the basis, then the best basis for the codes, and so on."""
    codes = None
    for _ in range(min(steps, limit - len(run.losses))):
        if codes is None:
            codes = np.linalg.qr(X @ run.basis)[0]
        else:
            run.basis, codes = np.linalg.qr(X.T @ codes)[0], None
        run.losses.append(_loss(X, run.basis))


def _loss(X: np.ndarray, basis: np.ndarray) -> float:
    return 0.5 * float(np.sum((X - (X @ basis) @ basis.T) ** 2))


def coordinates(
    X: np.ndarray, basis: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Q (D, M), P (D, D - M) and R_z^-T (M, M) of V = Q + P C R_z^-T, for the span of `basis`.

    None where nothing is left to do: every direction is in the basis, or fewer than M directions of
    the codes are more than rounding.
    """
    D, M = basis.shape
    Q, P = np.split(np.linalg.qr(basis, mode="complete")[0], [M], axis=1)
    R_z = np.linalg.qr(X @ Q, mode="r")
    sizes = np.abs(np.diag(R_z))
    if M == D or len(R_z) < M or sizes.min() <= D * EPS * sizes.max():
        return None
    return Q, P, np.linalg.inv(R_z).T


def _round(X: np.ndarray, run: Descent, tolerance: float, limit: int, resolution: float) -> bool:
    """L-BFGS over C; False where nothing is left to do."""
    found = coordinates(X, run.basis)
    if found is None:
        return False
    Q, P, back = found
    C = tensor(np.zeros((P.shape[1], Q.shape[1])), requires_grad=True)
    data = tensor(X)

    def closure() -> object:
        V = Q + P @ C @ back
        basis, R_v = np.linalg.qr(V.data)
        codes = X @ basis @ np.linalg.inv(R_v).T  # the best for this decoder: X V (V^T V)^-1
        loss = ops.half_squared_error(tensor(codes) @ V.T, data)
        loss.backward()
        run.losses.append(float(loss))
        return loss

    optimiser = LBFGS(
        [C],
        history=HISTORY,
        max_iter=ROUND,
        max_evaluations=limit - len(run.losses),
        gradient_tolerance=tolerance,
        loss_tolerance=resolution,
    )
    optimiser.step(closure)
    run.reason = str(optimiser.reason)
    run.basis = np.linalg.qr(Q + P @ C.data @ back)[0]
    return True
