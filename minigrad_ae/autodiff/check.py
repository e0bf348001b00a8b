"""Gradients that prove themselves.

`check_graph(loss)` tests every rule that a backward pass from `loss` runs, on the user's own data,
and names the op, the argument and the source line of what is wrong.  `gradcheck(fn, *inputs)` tests
a function as a whole, element by element.

The witness is the forward alone.  A complex step gives a directional derivative to full precision,

    J v = Im f(x + i h v) / h,   h = 1e-20   (Squire & Trapp 1998; no difference is taken, so
                                 nothing cancels),

and a rule is right if and only if <u, J v> = <rule(u), v> for random u and v.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..arguments import function, generator, plain, whole_number
from ..errors import DtypeError, GradientError, MinigradError
from . import engine
from .graph import Value
from .operation import Op
from .origin import where

STEP = 1e-20
EPS = float(np.finfo(np.float64).eps)
# what complex step and rule may differ by, against the size of the terms that are added up
RELATIVE = 1e-10
FLOOR = 64 * EPS  # and absolutely: a rule such as 1 - y^2 is good to eps where it vanishes


@dataclass(frozen=True)
class Failure:
    """A rule that contradicts its forward: `error` is |<u, J v> - <rule(u), v>| relative to the
    terms added up.
    """

    op: str
    argument: str
    location: str
    error: float
    detail: str = ""

    def __str__(self) -> str:
        return (
            f"{self.op}: the rule for {self.argument} is wrong ({self.detail})\n    at "
            f"{self.location}"
        )


@dataclass
class GraphReport:
    """What `check_graph` found.  True when every rule agreed with its forward."""

    failures: list[Failure] = field(default_factory=list)
    checked: int = 0
    skipped: list[str] = field(default_factory=list)
    worst: float = 0.0  # largest relative error among the rules that agree

    @property
    def ok(self) -> bool:
        return not self.failures

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [
            f"{self.checked} rules checked, {len(self.failures)} wrong, largest error of the "
            f"others {self.worst:.1e}"
        ]
        lines += [str(f) for f in self.failures]
        lines += [f"not checked: {text}" for text in self.skipped]
        return "\n".join(lines)


def check_graph(loss: Value, rng: np.random.Generator | None = None) -> GraphReport:
    """Test each rule that a backward pass from `loss` applies, on the data of this graph.

    Parameters
    ----------
    loss : Tensor
        Any shape; its graph is walked.
    rng : numpy.random.Generator, optional
        Draws the upstream vector u and the direction v of each rule.

    Returns
    -------
    GraphReport
        True if every rule agrees with its forward; printed, it names op, argument and source line
        of each that does not (``failures``), and what could not be judged (``skipped``).

    Raises
    ------
    DtypeError
        If `loss` is not a tensor.

    Notes
    -----
    A rule is right if and only if <u, J v> = <rule(u), v>; J v comes from a complex step of the
    forward alone, in float64. v is zero where the op declares a kink. Results that are not finite
    (a mask's -inf) are left out; where nothing is left, the rule cannot be judged. Not seen: an
    error below 64 eps of the product of the two random vectors.

    References
    ----------
    Squire & Trapp (1998), Using complex variables to estimate derivatives, SIAM Review 40.

    Examples
    --------
    >>> x = mg.tensor([0.5, -1.0], requires_grad=True)
    >>> report = mg.check_graph((mg.tanh(x) * x).sum())
    >>> bool(report), report.checked  # tanh, both factors of the product, sum
    (True, 4)
    """
    if not isinstance(loss, Value):
        raise DtypeError(
            "check_graph: the loss is not a tensor",
            f"got a {type(loss).__name__}",
            "pass a tensor with a graph",
        )
    rng = _directions(rng, "check_graph")
    report = GraphReport()
    for value in engine.topological(loss):
        for i, _ in value.edges:
            assert value.op is not None
            error, detail = rule_error(value.op, i, value.arrays, value.params, rng)
            if np.isnan(error):
                report.skipped.append(
                    f"{value.op.name}, {value.op.argument(i)}: {detail}, at {where(value)}"
                )
                continue
            report.checked += 1
            if detail:
                report.failures.append(
                    Failure(value.op.name, value.op.argument(i), where(value), error, detail)
                )
            else:
                report.worst = max(report.worst, error)
    return report


def _directions(rng: np.random.Generator | None, who: str) -> np.random.Generator:
    return np.random.default_rng(0) if rng is None else generator(rng, who, "directions")


def rule_error(
    op: Op, i: int, arrays: Any, params: Any, rng: np.random.Generator
) -> tuple[float, str]:
    """(relative error, what is wrong or '') of the rule for input `i` at `arrays`; (nan, why) if it
    cannot be judged.
    """
    active = [True] * len(arrays) if op.variadic else [rule is not None for rule in op.vjps]
    arrays = [np.asarray(x, np.float64) if on else x for x, on in zip(arrays, active, strict=True)]
    x = arrays[i]
    with np.errstate(all="ignore"):
        v = _direction(op, i, arrays, params, rng)
        y = np.asarray(op.forward(*arrays, **params))
        jv = (
            np.asarray(op.forward(*arrays[:i], x + 1j * STEP * v, *arrays[i + 1 :], **params)).imag
            / STEP
        )
        finite = np.isfinite(y) & np.isfinite(jv)
        u = np.where(finite, rng.standard_normal(y.shape), 0)
        try:
            g = _apply(op, i, u, y, arrays, params)
        except Exception as problem:
            return np.inf, f"it raised {type(problem).__name__}: {problem}".splitlines()[0]
        if g.shape != x.shape:
            return np.inf, f"it returned shape {g.shape} for an input of shape {x.shape}"
        left, right = np.where(finite, u * jv, 0), np.where(v == 0, 0, g * v)
        size = float(np.sum(np.abs(left)) + np.sum(np.abs(right)))
        miss = abs(float(np.sum(left) - np.sum(right)))
    if (y.size and not finite.any()) or not (finite.all() or np.isfinite(miss)):
        return np.nan, "the values or their derivative are not finite"
    if not np.isfinite(miss):
        return np.inf, "it returned values that are not finite where the derivative is"
    floor = FLOOR * float(np.linalg.norm(u) * np.linalg.norm(v))
    error = miss / size if miss > floor else 0.0
    agree = (
        ""
        if miss <= RELATIVE * size + floor
        else f"forward says {np.sum(left):.10g}, rule says {np.sum(right):.10g}"
    )
    return error, agree


def _direction(op: Op, i: int, arrays: Any, params: Any, rng: np.random.Generator) -> np.ndarray:
    """A random direction for input `i`: small where it is small, zero where it is not finite or the
    op has a kink.
    """
    x = arrays[i]
    v: np.ndarray = rng.standard_normal(x.shape) * np.where(x == 0, 1, np.minimum(np.abs(x), 1))
    v = np.where(np.isfinite(x), v, 0)
    if op.kink is not None:
        mask = np.asarray(op.kink(*arrays, **params)[i], np.float64)
        v = np.where(engine.unbroadcast(mask, x.shape) > 0, 0, v)
    return v


def _apply(op: Op, i: int, u: Any, y: Any, arrays: Any, params: Any) -> np.ndarray:
    """The gradient that the rule for input `i` gives, un-broadcast."""
    rule, extra = (op.vjps[0], {"i": i}) if op.variadic else (op.vjps[i], {})
    g = np.asarray(rule(u, y, *arrays, **params, **extra))
    if np.iscomplexobj(g):
        raise TypeError("complex numbers for real ones")
    return g if g.shape == arrays[i].shape else np.asarray(engine.unbroadcast(g, arrays[i].shape))


# --- a function as a whole ------------------------------------------------------------------------


@dataclass(frozen=True)
class GradReport:
    """What `gradcheck` found.  True when analytic and numerical gradient agree; `index` is where
    they agree least.
    """

    ok: bool
    input: int
    index: tuple[int, ...]
    analytic: float
    numeric: float
    digits: float
    method: str
    checked: int

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        verdict = "agree" if self.ok else "DISAGREE"
        return (
            f"gradients {verdict} to {self.digits:.1f} digits or more in {self.checked} elements "
            f"({self.method})\n"
            f"  least in input {self.input} at {list(self.index)}: analytic {self.analytic:.12g}, "
            f"numeric {self.numeric:.12g}"
        )


def gradcheck(
    fn: Callable[..., Any], *inputs: Any, order: int = 1, rng: np.random.Generator | None = None
) -> GradReport:
    """Compare the gradient of ``fn(*inputs)`` with a numerical one, element by element, in float64.

    Parameters
    ----------
    fn : callable
        Takes as many tensors as there are inputs and returns a tensor of any shape, which is
        contracted with a random vector (never with ones).
    *inputs : Tensor or array_like
        Where the gradient is taken. Up to 300 elements of each are tried, at random.
    order : {1, 2}
        2 checks the gradient of the gradient.
    rng : numpy.random.Generator, optional
        Draws the vector and the elements.

    Returns
    -------
    GradReport
        True if they agree; printed, it says where they differ most.

    Raises
    ------
    DataError
        If `order` is something else.
    DtypeError
        If `fn` does not return a tensor.

    Notes
    -----
    The numerical side is a complex step where `fn` consists of our ops (agreement to about 15
    digits is expected, 10 are required), and central differences where it does not run on complex
    numbers (9 expected, 6 required).

    Examples
    --------
    >>> bool(mg.gradcheck(lambda x, y: mg.sin(x) * y, [0.3, 2.0], [1.0, -1.0]))
    True
    """
    what, fix = "gradcheck: unknown order", "order=1 checks gradients, order=2 Hessians"
    order = whole_number(order, "gradcheck: order", fix, 1, 2, what=what, where=f"{order=}")
    function(fn, "gradcheck: fn", "pass a function that makes a tensor of tensors")
    rng = _directions(rng, "gradcheck")
    arrays = [
        np.array(plain(x._data if isinstance(x, Value) else x, f"gradcheck: input {k}", np.float64))
        for k, x in enumerate(inputs)
    ]
    if order == 2:
        fn = _slope(fn, arrays, rng)
    tensors = [Value.result_class.new(x.copy(), requires_grad=True) for x in arrays]
    y = fn(*tensors)
    if not isinstance(y, Value):
        raise DtypeError(
            "gradcheck: fn must return a tensor",
            f"it returned {type(y).__name__}",
            "build it from mg functions",
        )
    u = rng.standard_normal(y._data.shape)
    analytic = engine.grad(y, tensors, gradient=u)
    method, numeric = _numeric(fn, arrays, u)
    required = {"complex step": RELATIVE, "central differences": 1e-6}[method]
    size = max([1e-300, *(float(np.max(np.abs(a), initial=0)) for a in analytic)])
    worst: tuple[float, int, tuple[int, ...], float, float] = (-1.0, 0, (), 0.0, 0.0)
    checked = 0
    for k, (x, a) in enumerate(zip(arrays, analytic, strict=True)):
        for flat in rng.permutation(x.size)[:300]:
            index = tuple(int(j) for j in np.unravel_index(flat, x.shape))
            number = numeric(k, index)
            error = abs(a[index] - number) / max(abs(a[index]), abs(number), 1e-3 * size)
            checked += 1
            if not error <= worst[0]:
                worst = (float(error), k, index, float(a[index]), float(number))
    error = max(worst[0], 0.0)
    digits = -np.log10(max(error, 1e-16)) if np.isfinite(error) else 0.0
    return GradReport(
        error <= required, *worst[1:], digits=float(digits), method=method, checked=checked
    )


def _slope(
    fn: Callable[..., Any], arrays: list[np.ndarray], rng: np.random.Generator
) -> Callable[..., Any]:
    """The function sum_k <w_k, d<u, fn>/dx_k> with fixed random u, w: its gradient is a Hessian
    times w.
    """
    u = rng.standard_normal(fn(*(Value.result_class.new(x) for x in arrays))._data.shape)
    w = [rng.standard_normal(x.shape) for x in arrays]

    def slope(*xs: Any) -> Any:
        for x in xs:
            x.requires_grad = True
        gradients = engine.grad(fn(*xs), xs, gradient=u, create_graph=True)
        terms = [(g * direction).sum() for g, direction in zip(gradients, w, strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    return slope


def _numeric(
    fn: Callable[..., Any], arrays: list[np.ndarray], u: np.ndarray
) -> tuple[str, Callable[..., float]]:
    """The method that works for `fn`, and a function (input, index) -> d<u, fn>/dx[index]."""

    def run(k: int, index: tuple[int, ...], change: complex) -> np.ndarray:
        moved = [
            x.astype(np.result_type(x, change)) if j == k else x.copy()
            for j, x in enumerate(arrays)
        ]
        moved[k][index] += change
        result: np.ndarray = fn(*(Value.result_class.new(x) for x in moved))._data
        return result

    def complex_step(k: int, index: tuple[int, ...]) -> float:
        h = STEP * min(1.0, abs(float(arrays[k][index])) or 1.0)
        return float(np.sum(u * run(k, index, 1j * h).imag) / h)

    def central(k: int, index: tuple[int, ...]) -> float:
        h = EPS ** (1 / 3) * max(1.0, abs(float(arrays[k][index])))
        return float(np.sum(u * (run(k, index, h) - run(k, index, -h))) / (2 * h))

    first = next(((k, (0,) * x.ndim) for k, x in enumerate(arrays) if x.size), None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            if first is not None and not np.iscomplexobj(run(*first, 1j * STEP)):
                return "central differences", central
    except (MinigradError, TypeError, ValueError, np.exceptions.ComplexWarning):
        return "central differences", central
    return "complex step", complex_step


def demand(report: GraphReport | GradReport) -> None:
    """Raise GradientError with the report's text unless it is all right."""
    if not report:
        raise GradientError(
            "a gradient is wrong", str(report).replace("\n", "\n  "), "fix the rule that is named"
        )
