"""L-BFGS: a quasi-Newton method that needs the loss and its gradient only, and goes down to the
rounding of the loss.

    x <- x + a d,   d = -H g,   H from the last few pairs s = x_new - x, y = g_new - g (Nocedal &
                    Wright 2006, ch. 7.2)
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..arguments import function, instance, plain, real_number, whole_number
from ..errors import DtypeError, GradientError
from ..tensors import Tensor
from .line_search import LineSearch, Trial
from .optimizer import Optimizer, checked_gradients, numbers
from .parameter_rows import places
from .stopping import Point, Watch

# the rounding error of a loss, a sum of many terms, in units of its last place: a generous estimate
ULPS = 64
LOWEST = -math.sqrt(sys.float_info.max)  # a loss below has no bound: its square is infinite
SEARCH = 30  # evaluations in one line search; three are many
COUNTS = "e.g. history=10, max_iter=100"


class LBFGS(Optimizer):
    """Limited-memory BFGS with a strong Wolfe line search, for losses without randomness.

    x <- x + a d with d = -H g, where H is built from the last few pairs s = x_new - x and y =
    g_new - g of points x and their gradients g.  It goes down to the rounding of the loss.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves with requires_grad, such as ``model.parameters()``.
    lr : float, optional
        The first step tried along a quasi-Newton direction, above 0; 1 is right.
    history : int, optional
        How many pairs (s, y) are kept.
    max_iter : int, optional
        Iterations in one call of `step`.
    max_evaluations : int, optional
        Evaluations of the closure in one call of `step`; None for no limit.
    gradient_tolerance : float, optional
        Stop when no entry of the gradient is larger; 0 goes down to the rounding level.
    loss_tolerance : float, optional
        Stop when ten iterations lower the loss by no more than this part of it; 0 likewise.
    c1, c2 : float, optional
        Of the Wolfe conditions, 0 < c1 < 0.5 and c1 < c2 < 1: how far the loss must go down, as a
        part of what the slope promises, and how flat it must be there.

    Attributes
    ----------
    reason : str or None
        Why the last call ended: 'gradient tolerance', 'loss tolerance', 'rounding' (what is left is
        smaller than the rounding error of the loss), 'line search failed' (nothing lower was found
        although the slope promised it: the gradient is wrong, or the loss random or not smooth),
        'unbounded' (the loss fell below -1.3e154, whose square is infinite: it has no minimum),
        'iteration limit', 'evaluation limit'; None before the first call.
    evaluations, iterations : int
        In all calls so far.
    loss : float
        At the point that was reached.
    gradient_norm : float
        The Euclidean norm of the gradient there.
    lr, history, max_iter, max_evaluations, gradient_tolerance, loss_tolerance, c1, c2
        As given; they may be changed between calls.

    Raises
    ------
    DataError
        For settings outside their range; without parameters.
    DtypeError, GradientError
        For what cannot be trained: see `Optimizer`.

    References
    ----------
    Liu & Nocedal (1989), On the limited memory BFGS method for large scale optimization.
    Nocedal & Wright (2006), Numerical optimization, ch. 7.2.

    Examples
    --------
    Rosenbrock's valley, whose minimum lies at (1, 1):

    >>> x = mg.nn.Parameter([-1.2, 1.0])
    >>> def closure():
    ...     loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> optimizer = mg.optim.LBFGS([x], max_iter=100)
    >>> bool(optimizer.step(closure) < 1e-20)
    True
    >>> x.data.round(6).tolist(), optimizer.converged
    ([1.0, 1.0], True)
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1.0,
        history: int = 10,
        max_iter: int = 20,
        max_evaluations: int | None = None,
        gradient_tolerance: float = 0.0,
        loss_tolerance: float = 0.0,
        c1: float = 1e-4,
        c2: float = 0.9,
    ) -> None:
        super().__init__(params, real_number(lr, "LBFGS: lr", "(0, inf)", "pass lr=1"))
        self.history = whole_number(history, "LBFGS: history", COUNTS)
        self.max_iter = whole_number(max_iter, "LBFGS: max_iter", COUNTS)
        self.max_evaluations = (
            None
            if max_evaluations is None
            else whole_number(max_evaluations, "LBFGS: max_evaluations", COUNTS)
        )
        self.gradient_tolerance = _tolerance(gradient_tolerance, "gradient_tolerance")
        self.loss_tolerance = _tolerance(loss_tolerance, "loss_tolerance")
        self.c1 = real_number(c1, "LBFGS: c1", "(0, 0.5)", "pass c1=1e-4")
        self.c2 = real_number(c2, "LBFGS: c2", f"({self.c1}, 1)", "pass c2=0.9")
        self.reason: str | None = None
        self.evaluations = self.iterations = 0
        self.loss = self.gradient_norm = math.nan
        self.epsilon = max(float(np.finfo(p.dtype).eps) for p in self.params)
        self.largest = 0.0
        self.places = places(self.params)
        # s, y and s.y, oldest first
        self.pairs: deque[tuple[np.ndarray, np.ndarray, float]] = deque()

    @property
    def converged(self) -> bool:
        """Whether the last call of `step` ended at a minimum, to a tolerance or rounding."""
        return self.reason in ("gradient tolerance", "loss tolerance", "rounding")

    @property
    def finished(self) -> bool:
        """Whether the last call of `step` ended by itself, a bool.

        False where a limit ended it, so that a longer run would go on, and before the first call.
        """
        return self.reason not in (None, "iteration limit", "evaluation limit")

    def reset(self) -> None:
        """Forget the pairs: the next step starts along the steepest descent."""
        self.pairs.clear()

    def step(self, closure: Callable[[], Any]) -> float:
        """Minimise from where the parameters are; parameters and gradients are at the end then.

        Warnings about overflow are silent inside: a trial step may leave the domain of the loss,
        and is then taken back.

        Parameters
        ----------
        closure : callable
            Computes the loss from the parameters, calls ``loss.backward()``, and returns the loss
            (a tensor or a number).  The gradients are None whenever it is called, so it need not
            clear them.

        Returns
        -------
        float
            The loss where it ends.

        Raises
        ------
        GradientError
            Where loss or gradient are not finite at the start, or the closure leaves no gradient.
        DtypeError
            Where the closure does not return a number.

        Notes
        -----
        An exception in the closure leaves the parameters at the last point that was accepted.
        """
        self.reason = None
        limit = math.inf if self.max_evaluations is None else self.max_evaluations
        last = self.evaluations + limit
        here = self._evaluate(closure)
        checked_gradients(self.params, "LBFGS")
        if not math.isfinite(here.loss):
            raise GradientError(
                "LBFGS: the loss is not finite where it starts",
                f"loss {here.loss}",
                "start from other parameters, or look for a log or a division near 0",
            )
        self.largest = max(self.largest, abs(here.loss))
        watch = Watch(here, self.loss_tolerance)
        try:
            for _ in range(self.max_iter):
                if here.steepness <= self.gradient_tolerance:
                    break
                there = self._iterate(closure, here, last)
                if isinstance(there, str):
                    self.reason = there
                    break
                here, self.iterations = there, self.iterations + 1
                if here.loss < LOWEST:
                    self.reason = "unbounded"
                    break
                if watch.stalled(here, self.epsilon * abs(here.loss)):
                    self.reason = "loss tolerance" if self.loss_tolerance else "rounding"
                    break
            if here.steepness <= self.gradient_tolerance:
                self.reason = "gradient tolerance"
            elif self.reason == "rounding":
                here = watch.best
        finally:
            self._settle(here)
        self.reason = self.reason or "iteration limit"
        return here.loss

    # --- one iteration ---
    def _iterate(self, closure: Callable[[], Any], here: Point, last: float) -> Point | str:
        """The next point, within `last` evaluations in all, or the reason why there is none.
        Steepest descent has the last word.
        """
        promise = 0.0
        noise = ULPS * self.epsilon * abs(here.loss)  # its rounding error
        while True:
            left = last - self.evaluations
            if left <= 0:
                return "evaluation limit"
            d = self._direction(here.gradient)
            slope = float(d @ here.gradient)
            if self.pairs and not slope < 0:
                self.reset()
                continue
            first = self.lr * (1.0 if self.pairs else first_step(here))
            promise = max(promise, -slope * first)
            if np.all(np.abs(first * d) <= self.epsilon * np.abs(here.x)):
                return "rounding"  # of the parameters themselves

            def evaluate(step: float, d: np.ndarray = d) -> Trial:
                self._write(here.x + step * d)
                point = self._evaluate(closure)
                slope = float(point.gradient @ d) if math.isfinite(point.loss) else math.nan
                return Trial(step, point.loss if math.isfinite(slope) else math.inf, slope, point)

            start = Trial(0.0, here.loss, slope, here)
            limit = int(min(SEARCH, left))
            end, kind = LineSearch(evaluate, start, self.c1, self.c2, noise, limit).search(first)
            point: Point = end.point
            if kind != "failed" or point.loss < here.loss - noise:
                self._remember(point.x - here.x, point.gradient - here.gradient)
                self.largest = max(self.largest, abs(point.loss))
                return point
            if not self.pairs and limit == SEARCH:
                return "rounding" if promise <= self._floor(here.loss) else "line search failed"
            self.reset()

    def _direction(self, g: np.ndarray) -> np.ndarray:
        """-H g by the two loops of Nocedal & Wright's algorithm 7.4; -g without pairs."""
        d, alphas = -g, []
        for s, y, curvature in reversed(self.pairs):
            alpha = (s @ d) / curvature
            d -= alpha * y
            alphas.append(alpha)
        if self.pairs:
            _, y, curvature = self.pairs[-1]
            d *= curvature / (y @ y)
        for (s, y, curvature), alpha in zip(self.pairs, reversed(alphas), strict=True):
            d += (alpha - (y @ d) / curvature) * s
        return d

    def _remember(self, s: np.ndarray, y: np.ndarray) -> None:
        """Keep a pair if its curvature is positive beyond rounding (the Wolfe conditions see to it,
        rounding may not).
        """
        curvature = float(s @ y)
        if curvature > self.epsilon * math.sqrt(s @ s) * math.sqrt(y @ y):
            self.pairs.append((s, y, curvature))
        while len(self.pairs) > self.history:
            self.pairs.popleft()

    def _floor(self, loss: float) -> float:
        """The rounding error of a loss that is small against the largest so far, F.

        For f = ½‖r‖² with residuals rounded like those of F, δf = r δr + ½ δr², δr = ε √F.
        """
        unit = ULPS * self.epsilon
        return unit * math.sqrt(abs(loss) * self.largest) + unit**2 * self.largest

    # --- between the parameters and one long vector ---
    def _evaluate(self, closure: Callable[[], Any]) -> Point:
        """Loss and gradient where the parameters are."""
        self.zero_grad()
        self.evaluations += 1
        function(closure, "LBFGS: the closure", "pass a function that returns the loss")
        with np.errstate(all="ignore"):
            loss = closure()
        try:
            value = float(loss)
        except TypeError:
            raise DtypeError(
                "LBFGS: the closure must return the loss",
                f"it returned {type(loss).__name__}",
                "end it with: return loss",
            ) from None
        if all(p.grad is None for p in self.params):
            raise GradientError(
                "LBFGS: the closure left no gradient",
                "every .grad is None after it",
                "call loss.backward() in the closure",
            )
        gradients = [np.zeros(p.size) if p.grad is None else np.ravel(p.grad) for p in self.params]
        x = np.concatenate([p.data.ravel() for p in self.params], dtype=np.float64)
        return Point(x, value, np.concatenate(gradients, dtype=np.float64))

    def _write(self, x: np.ndarray) -> None:
        for p, (place, shape) in zip(self.params, self.places, strict=True):
            p.data[...] = x[place].reshape(shape)

    def _settle(self, here: Point) -> None:
        """Parameters, gradients and the numbers that are told, of the point `here`."""
        self._write(here.x)
        self.loss, self.gradient_norm = here.loss, float(np.linalg.norm(here.gradient))
        for p, (place, shape) in zip(self.params, self.places, strict=True):
            p.grad = here.gradient[place].reshape(shape).astype(p.dtype)

    # --- state ---
    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` continues from, bit for bit.

        Returns
        -------
        dict of str to str, float, int or ndarray
            'class', 'lr', 'evaluations', 'iterations', 'largest' (the largest loss so far), and
            the pairs 's' and 'y', (pairs, n) for n numbers in all parameters, oldest first; arrays
            are copies.
        """
        shape = len(self.pairs), sum(p.size for p in self.params)
        s, y = (np.array([pair[k] for pair in self.pairs]).reshape(shape) for k in (0, 1))
        return {
            "class": type(self).__name__,
            "lr": self.lr,
            "evaluations": self.evaluations,
            "iterations": self.iterations,
            "largest": self.largest,
            "s": s,
            "y": y,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; where it does not fit these parameters, nothing changes.

        Parameters
        ----------
        state : mapping of str to str, float, int or ndarray
            What `state_dict` returned; ``'class'`` may be missing.

        Raises
        ------
        DataError
            For the state of another class of optimiser, and for what is missing, unexpected, of
            another shape or no number; all of it is named.
        DtypeError
            For complex arrays.
        """
        own = self.state_dict()
        instance(state, Mapping, "load_state_dict: state", "pass what state_dict() returned")
        faults = self._faults_of(state)
        present = {"class", "lr", *state}  # of these two it is said already
        faults += [f"missing {key!r}" for key in own if key not in present]
        faults += [f"unexpected {key!r}" for key in state if key not in own]
        given = {key: state.get(key, own[key]) for key in own}
        for key in ("evaluations", "iterations"):
            if not isinstance(given[key], int | np.integer):
                faults.append(f"{key!r} is not a whole number: {given[key]!r:.40}")
        if not isinstance(given["largest"], int | float | np.floating):
            faults.append(f"'largest' is not a number: {given['largest']!r:.40}")
        n = own["s"].shape[1]
        pairs = {key: numbers(key, given[key], faults) for key in ("s", "y")}
        s, y = pairs["s"], pairs["y"]
        if s is not None and y is not None:
            faults += [
                f"wrong shape of {key!r}: got {array.shape}, expected (pairs, {n})"
                for key, array in (("s", s), ("y", y))
                if array.shape[1:] != (n,) or array.shape != s.shape
            ]
        self._refuse(faults)
        self.lr = float(given["lr"])
        self.evaluations, self.iterations = int(given["evaluations"]), int(given["iterations"])
        self.largest = float(given["largest"])
        s, y = (np.array(plain(array, repr(key), np.float64)) for key, array in pairs.items())
        self.pairs = deque((a, b, float(a @ b)) for a, b in zip(s, y, strict=True))


def first_step(here: Point) -> float:
    """How far along -g to try at first: a hundredth of the parameters' size (Hager & Zhang 2005,
    step I0).
    """
    size = float(np.abs(here.x).max(initial=0.0))
    if size > 0:
        return 0.01 * size / here.steepness
    return 0.01 * (abs(here.loss) or 1.0) / float(here.gradient @ here.gradient)


def _tolerance(value: Any, name: str) -> float:
    return real_number(
        value, f"LBFGS: {name}", "[0, inf)", "pass 0, to go down to the rounding level"
    )
