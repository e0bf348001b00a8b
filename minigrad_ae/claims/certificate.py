"""The PCA certificate: what it holds, its verdict, its page, figure, and rows of a ledger.

How its numbers are found is in `certify.py`.
"""

from __future__ import annotations

import html
import os
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..files import write_json, write_png
from .definition import Result

WIDTH = 100  # columns of the page
SHOWN = 8  # components on the page
TINY = 1e-300
BLUE, ORANGE = "#0072B2", "#D55E00"  # safe for colour-blind readers (Okabe and Ito)


@dataclass(frozen=True)
class Certificate:
    """What `certify_pca` found, and its verdict.

    Losses are half a sum of squares over features and data, plus the model's L2 penalty, in the
    units of the data.  Tolerances are derived at the top of `certify.py`.

    Attributes
    ----------
    passed : bool
        Loss, subspace, gradient and curvature are all as they must be at the minimum.
    n_rows, n_features, n_latent, rank : int
        Of the data, and M of the model.
    loss, optimal_loss, loss_tolerance : float
        ``abs(loss - optimal_loss) <= loss_tolerance``.
    start_loss, evaluations : float and int, or None
        From the record that `fit` leaves; None where there is none.
    subspace_error : float
        ||P - P*||_F of the orthogonal projectors, on the part of the subspace that PCA determines.
    principal_angles, sine_tolerance : list of float and float
        Of that part; radians, smallest first.
    gradient_norm : float
        ||dE/dW|| / ||X||^2, X centred and the offsets the best ones for W.
    gradient_tolerance : float
        sqrt(2 L tol) / ||X||^2, L the largest curvature and tol what the weights may add to the
        loss: a step -(dE/dW)/L lowers the loss by ||dE/dW||^2 / 2L, and nothing is below E*.
    balancedness : float
        ||(dE/dW1) W1^T - W2^T (dE/dW2)|| / ||X||^2, zero at any point.
    lowest_curvature : float
        Smallest eigenvalue of the Hessian relative to the largest (Lanczos on Hessian-vector
        products).
    curvature_tolerance : float
        How far below zero, relative to L, the lowest curvature may be: sqrt(2 tol / L), and at
        least 67 sqrt(eps).  Turning the code, (W1 e^tA, e^-tA W2), leaves E as it is, so
        v^T H v = -g^T a with v the speed of that turn and a its acceleration, ||a|| < ||v|| = 1
        where W1 and W2 are balanced: where the gradient g is not quite 0, that flat direction
        curves downwards by up to ||g||.
    explained_variance, eigenvalues : list of float, (M,)
        Sums of squares along the principal directions of the reconstructions, beside PCA's.
    determined : int
        How many directions PCA determines.
    free : (int, int) or None
        The numbers (from, to) of the components that are tied.
    centred : bool
        False for a model without bias on data that are not centred.
    dtype : str
        Of the model's parameters, from whose eps all tolerances come.
    finished : bool or None
        From the record of `fit`: False where it ended at its limit of evaluations.
    notes, failures : list of str
        What a reader should know besides; for each line that failed, which and why.
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
    gradient_tolerance: float
    curvature_tolerance: float
    dtype: str
    finished: bool | None
    failures: list[str] = field(default_factory=list)

    @property
    def missing(self) -> bool:
        """Whether the decoder spans fewer directions than PCA determines."""
        return self.determined > len(self.principal_angles)

    @property
    def largest_sine(self) -> float:
        """Sine of the largest principal angle of the determined part; 0 where nothing is
        determined.

        1 where the decoder spans too few directions: one that is missing is at a right angle to
        all that are there.
        """
        return 1.0 if self.missing else float(np.sin(max(self.principal_angles, default=0.0)))

    @property
    def unfinished(self) -> bool:
        """Whether it failed after a run that was cut off, so that the failure says nothing about
        PCA.
        """
        return not self.passed and self.finished is False

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return asdict(self)

    def json(self, path: str | os.PathLike[str]) -> None:
        """Write `as_dict` to a file, whole or not at all."""
        write_json(path, self.as_dict())

    # --- the page ---

    def __str__(self) -> str:
        lines = [
            f"PCA certificate: {self._verdict()}",
            *(f"  {label:<24} {value}" for label, value in self._rows()),
            "  explained, by component  learned / PCA",
            *self._components(),
        ]
        sentences = [f"failed: {f}" for f in self.failures] + [f"note: {n}" for n in self.notes]
        indents: Any = {"initial_indent": "  ", "subsequent_indent": "    "}
        wrap = textwrap.TextWrapper(WIDTH, **indents, break_on_hyphens=False)
        return "\n".join([*lines, *map(wrap.fill, sentences)])

    def _verdict(self) -> str:
        if self.passed:
            return "this linear autoencoder IS PCA"
        cut_off = ", as its training was not finished" if self.unfinished else ""
        return f"this linear autoencoder is NOT at the PCA optimum{cut_off}"

    def _rows(self) -> Iterator[tuple[str, str]]:
        """The numbers of the page, each with its label and what is allowed."""
        start = "not recorded" if self.start_loss is None else f"{self.start_loss:.10g}"
        used = "not recorded" if self.evaluations is None else str(self.evaluations)
        yield "data", f"{self.n_rows} x {self.n_features}, rank {self.rank}"
        yield "latent units", f"M = {self.n_latent}"
        yield "loss at the start", f"{start}   (evaluations used: {used})"
        yield "loss now", f"{self.loss:.12g}"
        yield "optimum, 1/2 sum_j>M s_j", f"{self.optimal_loss:.12g}"
        yield "difference", _beside(self.loss - self.optimal_loss, self.loss_tolerance)
        yield "sine of largest angle", _beside(self.largest_sine, self.sine_tolerance)
        directions = f"over {self.determined} determined directions"
        yield "projector distance", f"{self.subspace_error:.2e}   {directions}"
        gradient = _beside(self.gradient_norm, self.gradient_tolerance)
        yield "gradient norm", f"{gradient}, relative to ||X||^2"
        identity = "relative to ||X||^2 (an identity: zero anywhere)"
        yield "balancedness", f"{self.balancedness:.2e}   {identity}"
        curvature = _beside(self.lowest_curvature, -self.curvature_tolerance, "+.2e")
        yield "lowest curvature", f"{curvature}, relative to the highest"

    def _components(self) -> Iterator[str]:
        pairs = list(zip(self.explained_variance, self.eigenvalues, strict=True))
        for k, (learned, exact) in enumerate(pairs[:SHOWN], start=1):
            yield f"    {k:>3}  {learned:.10g} / {exact:.10g}"
        if len(pairs) > SHOWN:
            worst = max(abs(a - b) for a, b in pairs) / max(pairs[0][1], TINY)
            more = len(pairs) - SHOWN
            yield f"    ... and {more} more, largest relative difference {worst:.1e}"

    def _repr_html_(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        return f"<div><b>PCA certificate: {verdict}</b><pre>{html.escape(str(self))}</pre></div>"

    # --- the figure ---

    def figure(self) -> Any:
        """A matplotlib figure: what each component explains, learned beside PCA, and the angles
        beside what is allowed.
        """
        from matplotlib.figure import Figure

        fig = Figure(figsize=(8.6, 3.6), layout="constrained")
        left, right = fig.subplots(1, 2)
        self._draw_variances(left)
        self._draw_angles(right)
        for ax in (left, right):
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.legend()
        return fig

    def _draw_variances(self, ax: Any) -> None:
        k = np.arange(1, self.n_latent + 1)
        exact = np.maximum(self.eigenvalues, TINY)
        learned = np.maximum(self.explained_variance, TINY)
        ax.semilogy(k, exact, "o", ms=9, mfc="none", color=BLUE, label="PCA, $s_j$")
        ax.semilogy(k, learned, "x", color=ORANGE, label="network")
        agreed = "The network explains what PCA explains"
        title = agreed if self.passed else "What each direction explains"
        ax.set(xlabel="component", ylabel="sum of squares explained", title=title)

    def _draw_angles(self, ax: Any) -> None:
        sines = np.maximum(np.sin(self.principal_angles), 1e-17)
        k = np.arange(1, len(sines) + 1)
        ax.semilogy(k, sines, "o", color=BLUE, label="sine of the angle")
        ax.axhline(self.sine_tolerance, color=ORANGE, ls="--", label="allowed by the loss")
        title = f"The learned subspace is {'' if self.passed else 'not '}PCA's"
        ax.set(xlabel="principal angle", ylabel="sine", title=title, ylim=(1e-17, 3))

    def png(self, path: str | os.PathLike[str]) -> None:
        """Write `figure` as a PNG."""
        write_png(path, self.figure(), dpi=150)


def _beside(value: float, allowed: float, form: str = ".2e") -> str:
    return f"{value:{form}}   (allowed {allowed:{form}})"


# --- the verdict ----------------------------------------------------------------------------------


def judged(c: Certificate, lost: bool) -> Certificate:
    """The certificate with its verdict.  `lost`: the data lie so far out that the rounding of the
    biases may cost more than the data vary.
    """
    failures = [f"{line}: {why}" for line, why in _failures(c, lost)]
    notes = list(c.notes)
    if failures and c.finished is False:
        notes.append(
            f"the run ended at its limit, after {c.evaluations} evaluations: this says nothing "
            "about PCA, the run was just not finished; call fit again, which starts from these "
            "weights, or allow more evaluations"
        )
    return replace(c, passed=not failures, failures=failures, notes=notes)


def _failures(c: Certificate, lost: bool) -> Iterator[tuple[str, str]]:
    """(line, why) of what is not as it must be.  Each comparison also fails for NaN."""
    if not c.centred:
        yield "data", "they are not centred, and without bias the optimum on them is not their PCA"
    if lost:
        yield (
            "data",
            f"they lie so far out that biases in {c.dtype} may cost more than the data vary; "
            "centre them",
        )
    above = c.loss - c.optimal_loss
    if not abs(above) <= c.loss_tolerance:
        side = "above" if above > 0 else "below"
        yield (
            "loss",
            f"it is {abs(above):.2e} {side} the optimum, and rounding and training explain "
            f"{c.loss_tolerance:.2e}",
        )
    turned = c.determined < c.n_features and not c.largest_sine <= c.sine_tolerance
    if c.missing or turned:
        yield (
            "angle",
            f"the decoder does not span the first {c.determined} principal components: a sine of "
            f"{c.largest_sine:.2e}, where the loss allows {c.sine_tolerance:.2e}",
        )
    if not c.gradient_norm <= c.gradient_tolerance:
        yield (
            "gradient",
            f"the weights are not at rest: the loss has a slope of {c.gradient_norm:.2e} ||X||^2 "
            f"there, and at most {c.gradient_tolerance:.2e} at the minimum",
        )
    if not c.lowest_curvature >= -c.curvature_tolerance:
        yield (
            "curvature",
            f"the loss curves downwards in one direction ({c.lowest_curvature:+.2e}): a saddle or "
            "a slope, not a minimum",
        )


# --- the certificate as rows of a ledger ----------------------------------------------------------

STATEMENTS = {
    "loss": "the loss is half the sum of the eigenvalues beyond M",
    "angle": "sine of the largest principal angle to the principal components that are determined",
    "gradient": "the gradient in the weights, relative to the squared norm of the data, is that of "
    "a minimum",
    "curvature": "no negative curvature: the lowest, relative to the highest, as far as below 0",
    "balance": "(dE/dW1) W1^T = W2^T (dE/dW2), relative to the squared norm of the data",
}


def claims_of(c: Certificate) -> list[Result]:
    """The certificate as rows of a ledger, one for each of STATEMENTS."""
    return [
        Result(
            id, "certificate", STATEMENTS[id], exact, found, allowed, abs(found - exact) <= allowed
        )
        for id, exact, found, allowed in _compared(c)
    ]


def _compared(c: Certificate) -> Iterator[tuple[str, float, float, float]]:
    """(name of the row, expected, measured, tolerance)."""
    yield "loss", c.optimal_loss, c.loss, c.loss_tolerance
    yield "angle", 0.0, c.largest_sine, c.sine_tolerance
    yield "gradient", 0.0, c.gradient_norm, c.gradient_tolerance
    yield "curvature", 0.0, min(0.0, c.lowest_curvature), c.curvature_tolerance
    yield "balance", 0.0, c.balancedness, 1e-12
