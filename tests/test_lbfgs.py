"""L-BFGS: known minima to rounding, Wolfe conditions on every step, a clean end whatever the loss
does.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import rng

from minigrad_ae import nn, ops
from minigrad_ae.data import digits
from minigrad_ae.errors import GradientError
from minigrad_ae.optim import LBFGS, lbfgs
from minigrad_ae.optim.line_search import LineSearch
from minigrad_ae.optim.stopping import Point, Watch

EPS = np.finfo(float).eps


def problem(function, *starts, dtype=np.float64):
    """Parameters and a closure for ``function(*parameters)``."""
    params = [nn.Parameter(start, dtype=dtype) for start in starts]

    def closure():
        loss = function(*params)
        loss.backward()
        return loss

    return params, closure


def rosenbrock(x):
    return (100 * (x[1::2] - x[::2] ** 2) ** 2 + (1 - x[::2]) ** 2).sum()


def quadratic(condition, n=40, seed=0):
    """½ xᵀAx − bᵀx with eigenvalues of A from 1 to `condition`, its minimum, and where that is."""
    Q = np.linalg.qr(rng(seed).normal(size=(n, n)))[0]
    eigenvalues = np.geomspace(1, condition, n)
    A, best = Q * eigenvalues @ Q.T, rng(seed + 1).normal(size=n)
    return (lambda x: 0.5 * (x @ (A @ x)) - ((A @ best) * x).sum()), -0.5 * best @ A @ best, best


# --- minima ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4, 1e6])
def test_quadratics_are_minimised_to_rounding(condition):
    function, lowest, best = quadratic(condition)
    (x,), closure = problem(function, np.zeros(40))
    optimizer = LBFGS([x], history=40, max_iter=5000)
    loss = optimizer.step(closure)
    assert optimizer.converged and loss - lowest <= 1e-12 * abs(lowest)
    assert optimizer.largest == pytest.approx(abs(lowest)), (
        "the scale of rounding, although the first loss was 0"
    )
    # ½ λ_min ‖x − best‖² <= f − f*: the distance that this loss allows
    assert np.linalg.norm(x.data - best) <= math.sqrt(2 * 1e-12 * abs(lowest))
    assert condition > 1 or optimizer.evaluations <= 25


@pytest.mark.parametrize("n", [2, 10, 100])
def test_rosenbrock_from_its_classical_start(n):
    (x,), closure = problem(rosenbrock, np.tile([-1.2, 1.0], n // 2))
    optimizer = LBFGS([x], max_iter=500)
    assert optimizer.step(closure) <= 1e-25 and optimizer.converged
    np.testing.assert_allclose(x.data, 1, rtol=1e-11)
    assert optimizer.evaluations <= 80 and optimizer.iterations < optimizer.evaluations


@pytest.mark.parametrize("shift", [0.0, 1e8, -1e8])
def test_a_large_constant_in_the_loss_hides_decreases_but_not_the_slope(shift):
    """With f + 1e8 the decrease is rounding (1e-8) long before the gradient is: the slopes must
    lead the last digits.
    """
    function, _, best = quadratic(1e2)
    (x,), closure = problem(lambda x: function(x) + shift, np.zeros(40))
    optimizer = LBFGS([x], max_iter=1000)
    optimizer.step(closure)
    assert optimizer.converged
    np.testing.assert_allclose(x.data, best, atol=1e-10 if shift == 0 else 1e-7)


@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e12])
def test_the_unit_of_the_loss_does_not_matter(factor):
    (x,), closure = problem(lambda x: factor * rosenbrock(x), np.tile([-1.2, 1.0], 3))
    optimizer = LBFGS([x], max_iter=500)
    assert optimizer.step(closure) <= 1e-24 * factor and optimizer.evaluations <= 80


def test_float32_parameters_go_down_to_their_own_rounding():
    function, lowest, _ = quadratic(1e2)
    (x,), closure = problem(function, np.zeros(40), dtype=np.float32)
    optimizer = LBFGS([x], max_iter=500)
    loss = optimizer.step(closure)
    assert x.dtype == x.grad.dtype == np.float32 and optimizer.converged
    assert (
        loss - lowest <= 64 * np.finfo(np.float32).eps * abs(lowest) and optimizer.evaluations < 300
    )


def test_a_linear_autoencoder_on_the_digits_reaches_the_loss_of_pca():
    """With L2 continuation, as the linear autoencoder trains: E − E* <= 1e-10 E* in a few hundred
    evaluations.
    """
    X = digits()[0]
    R = np.linalg.qr(X - X.mean(0), mode="r")
    M, D = 4, 64
    scale = np.sum(R**2) / D
    lowest = 0.5 * np.sum(np.linalg.svd(R, compute_uv=False)[M:] ** 2)
    W1, W2 = (nn.Parameter(nn.init.xavier_normal(shape, rng())) for shape in ((D, M), (M, D)))
    optimizer = LBFGS([W1, W2], history=30, max_iter=2000)
    for penalty in [*(scale * 10.0 ** -np.arange(0, 5)), 0.0]:

        def closure(penalty=penalty):
            error = 0.5 * ((R @ W1 @ W2 - R) ** 2).sum()
            loss = error + penalty / 2 * ((W1**2).sum() + (W2**2).sum())
            loss.backward()
            return loss

        optimizer.gradient_tolerance, optimizer.loss_tolerance = (
            1e-2 * penalty,
            0.0 if penalty else 1e-12,
        )
        optimizer.step(closure)
    assert (optimizer.loss - lowest) / lowest <= 1e-10 and optimizer.evaluations <= 500


def test_every_step_of_a_minimisation_meets_the_conditions(monkeypatch):
    kinds = []

    class Spy(LineSearch):
        def search(self, first):
            end, kind = super().search(first)
            start = self.start
            kinds.append(kind)
            assert end.value <= start.value + 1e-4 * end.step * start.slope + (
                0 if kind == "wolfe" else self.noise
            )
            assert abs(end.slope) <= 0.9 * abs(start.slope) or kind == "failed"
            assert self.noise <= 64 * EPS * abs(start.value)
            return end, kind

    monkeypatch.setattr(lbfgs, "LineSearch", Spy)
    (x,), closure = problem(rosenbrock, np.tile([-1.2, 1.0], 5))
    LBFGS([x], max_iter=30).step(closure)
    assert kinds == ["wolfe"] * 30
    function, _, _ = quadratic(1e4)
    (x,), closure = problem(function, np.zeros(40))
    LBFGS([x], max_iter=2000).step(closure)
    assert "approximate" in kinds, "the end of a minimisation is rounding"


# --- ends -----------------------------------------------------------------------------------------


def test_it_says_why_it_ended():
    function, _, _ = quadratic(1e2)
    reasons = {}
    for key, options in {
        "iteration limit": {"max_iter": 3},
        "evaluation limit": {"max_evaluations": 5},
        "gradient tolerance": {"max_iter": 500, "gradient_tolerance": 1e-3},
        "loss tolerance": {"max_iter": 500, "loss_tolerance": 1e-4},
        "rounding": {"max_iter": 500},
    }.items():
        (x,), closure = problem(function, np.zeros(40))
        optimizer = LBFGS([x], **options)
        assert optimizer.reason is None and not optimizer.finished
        loss = optimizer.step(closure)
        assert optimizer.reason == key
        assert optimizer.converged == optimizer.finished == ("limit" not in key)
        assert loss == optimizer.loss == function(
            x
        ).item() and optimizer.gradient_norm == np.linalg.norm(x.grad)
        reasons[key] = optimizer.evaluations
    assert reasons["evaluation limit"] == 5 and abs(x.grad).max() < 1e-9
    assert reasons["gradient tolerance"] < reasons["rounding"]
    spent = optimizer.evaluations
    optimizer.step(closure)
    assert optimizer.reason == "rounding" and optimizer.evaluations - spent < 60, (
        "a second call does not go astray"
    )


def test_the_direction_is_that_of_the_matrix_that_the_pairs_build():
    """H of Nocedal & Wright, equation 7.16, from s.y / y.y times the unit matrix."""
    optimizer, r = LBFGS([nn.Parameter(np.zeros(5))]), rng(3)
    A = np.diag([1.0, 2.0, 4.0, 7.0, 11.0])
    for s in r.normal(size=(3, 5)):
        optimizer._remember(s, A @ s)
    s, y, curvature = optimizer.pairs[-1]
    H = curvature / (y @ y) * np.eye(5)
    for s, y, curvature in optimizer.pairs:
        V = np.eye(5) - np.outer(y, s) / curvature
        H = V.T @ H @ V + np.outer(s, s) / curvature
    g = r.normal(size=5)
    np.testing.assert_allclose(optimizer._direction(g), -H @ g, rtol=1e-12, atol=1e-14)


def test_loss_and_gradient_at_the_end_are_those_of_the_point():
    (x,), closure = problem(rosenbrock, np.tile([-1.2, 1.0], 4))
    optimizer = LBFGS([x], max_iter=3)
    optimizer.step(closure)
    left, x.grad = x.grad, None
    assert optimizer.loss == closure().item()
    np.testing.assert_allclose(left, x.grad, rtol=1e-12)
    assert optimizer.gradient_norm == pytest.approx(np.linalg.norm(x.grad), rel=1e-12)


def test_a_minimum_costs_one_evaluation():
    (x,), closure = problem(lambda x: (x * x).sum(), np.zeros(3))
    optimizer = LBFGS([x])
    assert optimizer.step(closure) == 0 and (optimizer.reason, optimizer.evaluations) == (
        "gradient tolerance",
        1,
    )


def test_the_rounding_error_of_a_loss_depends_on_the_largest_so_far():
    """f = r^2 / 2 with residuals off by d = unit sqrt(F): r d + d^2, within a factor sqrt(2)."""
    optimizer = LBFGS([nn.Parameter(np.zeros(2))])
    optimizer.largest, unit = 9.0, lbfgs.ULPS * np.finfo(float).eps
    assert optimizer._floor(0.0) == pytest.approx(9 * unit**2, rel=1e-12, abs=0)
    assert optimizer._floor(4.0) == pytest.approx(6 * unit, rel=1e-12, abs=0)


def test_iterations_are_counted_over_all_calls():
    (x,), closure = problem(rosenbrock, [-1.2, 1.0])
    optimizer = LBFGS([x], max_iter=3)
    for done in (3, 6):
        optimizer.step(closure)
        assert (optimizer.iterations, optimizer.reason) == (done, "iteration limit")


def test_the_largest_loss_of_a_descent_is_that_of_its_start():
    (x,), closure = problem(rosenbrock, [-1.2, 1.0])
    optimizer = LBFGS([x], max_iter=50)
    optimizer.step(closure)  # 100 (1 - 1.44)^2 + 2.2^2
    assert optimizer.largest == pytest.approx(24.2, rel=1e-14)
    optimizer.step(closure)
    assert optimizer.largest == pytest.approx(24.2, rel=1e-14)


def test_a_wrong_gradient_is_told_from_rounding():
    (x,) = [nn.Parameter([3.0, 4.0])]

    def closure():
        x.grad = -2 * x.data
        return (x.data**2).sum()

    optimizer = LBFGS([x])
    optimizer.step(closure)
    assert (
        optimizer.reason == "line search failed"
        and not optimizer.converged
        and x.data.tolist() == [3.0, 4.0]
    )


def test_a_slope_that_promises_more_than_rounding_is_not_called_rounding():
    """A loss that stays 1 although its gradient says that the first step, a hundredth of the
    parameters' size 1, brings 1e-2 * 1e-9: that is 1e5 roundings of 1.
    """
    x = nn.Parameter([1.0])

    def closure():
        x.grad = np.array([1e-9])
        return 1.0

    optimizer = LBFGS([x])
    optimizer.step(closure)
    assert optimizer.reason == "line search failed"


@pytest.mark.parametrize(("promise", "reason"), [(0.98, "rounding"), (1.02, "line search failed")])
def test_a_promise_is_held_against_the_rounding_error_of_the_loss(promise, reason):
    """A loss that stays 1; its first step, a hundredth of 1, promises so many of its errors."""
    x, slope = nn.Parameter([1.0]), promise * 100 * lbfgs.ULPS * EPS

    def closure():
        x.grad = np.array([slope])
        return 1.0

    optimizer = LBFGS([x])
    optimizer.step(closure)
    assert optimizer.reason == reason


def test_what_a_failed_search_finds_within_the_rounding_error_is_not_taken():
    x = nn.Parameter([1.0])

    def closure():
        x.grad = np.array([1e-9])
        return 1.0 if x.data[0] == 1.0 else 1.0 - 10 * EPS

    optimizer = LBFGS([x])
    optimizer.step(closure)
    assert (optimizer.iterations, optimizer.loss, x.data.tolist()) == (0, 1.0, [1.0])


@pytest.mark.parametrize(("size", "moves"), [(0.98, False), (1.02, True)])
def test_a_step_below_the_rounding_of_the_parameters_is_not_tried(size, moves):
    """The first step is lr times a hundredth of the parameters' size."""
    (x,), closure = problem(lambda x: (x * x).sum(), [1.0])
    optimizer = LBFGS([x], lr=size * 100 * EPS, max_iter=1)
    optimizer.step(closure)
    assert (optimizer.evaluations > 1) == moves
    assert moves or optimizer.reason == "rounding"


@pytest.mark.parametrize(("dtype", "unit"), [(np.float64, 2.0**-52), (np.float32, 2.0**-23)])
def test_what_counts_as_a_decrease_is_measured_in_last_places_of_the_loss(monkeypatch, dtype, unit):
    seen = []
    monkeypatch.setattr(Watch, "stalled", lambda self, here, ulp: seen.append((here.loss, ulp)))
    (x,), closure = problem(lambda x: rosenbrock(x) - 3.0, [-1.2, 1.0], dtype=dtype)
    LBFGS([x], max_iter=4).step(closure)
    assert len(seen) == 4 and all(ulp == unit * abs(loss) for loss, ulp in seen)


def test_a_trial_step_may_leave_the_domain_of_the_loss():
    (x,), closure = problem(
        lambda x: (x - ops.log(x)).sum() + ops.exp(x * 300).sum() * 1e-250, [0.5, 1e-3, 1.7]
    )
    optimizer = LBFGS([x], max_iter=200, lr=20)
    optimizer.step(closure)
    assert optimizer.converged
    np.testing.assert_allclose(x.data, 1, atol=1e-7)


def test_a_low_loss_whose_gradient_is_not_finite_is_outside_the_domain_too():
    x = nn.Parameter([1.0])

    def closure():
        inside = x.data[0] < 5
        x.grad = x.data - 4 if inside else np.array([np.nan])
        return 0.5 * (x.data[0] - 4) ** 2 if inside else -100.0

    optimizer = LBFGS([x], lr=1e4)
    optimizer.step(closure)
    assert optimizer.converged and x.data[0] == pytest.approx(4, abs=1e-12)


def test_a_loss_without_a_minimum_ends_at_a_limit_and_teaches_no_curvature():
    (x,), closure = problem(lambda x: -(x * x).sum(), [1.0])
    optimizer = LBFGS([x], max_iter=2)
    assert -math.inf < optimizer.step(closure) < -1e6
    assert optimizer.reason == "iteration limit" and not optimizer.converged and not optimizer.pairs


def test_the_first_trial_moves_the_parameters_by_a_hundredth():
    (x,), good = problem(lambda x: 1e6 * rosenbrock(x), [-2.0, 1.0])
    seen = []
    LBFGS([x], max_evaluations=2).step(lambda: (seen.append(x.data.copy()), good())[1])
    assert abs(seen[1] - seen[0]).max() == pytest.approx(0.02)


def test_from_zeros_the_first_trial_promises_a_hundredth_of_the_loss():
    """(x - 3)^2 at 0 is 9 with slope -6: a step of .015 promises .09."""
    (x,), good = problem(lambda x: (x - 3) @ (x - 3), [0.0])
    seen = []
    LBFGS([x], max_evaluations=2).step(lambda: (seen.append(x.data.copy()), good())[1])
    assert seen[1] == pytest.approx([0.015], rel=1e-14)


def test_at_the_rounding_level_the_flattest_of_the_lowest_points_is_the_end(monkeypatch):
    points = [
        Point(np.full(1, k), loss, np.full(1, g))
        for k, (loss, g) in enumerate(
            [
                (1.0, 1.0),
                (0.5, 1e-3),
                (0.5 + EPS, 1e-4),
                (0.5, 3e-4),
                *[(0.5, 1e-3)] * 8,
                (0.5 + 1e-9, 9e-5),
            ]
        )
    ]
    watch = Watch(points[0], 0.0)
    assert [watch.stalled(p, EPS * p.loss) for p in points[1:]] == [False] * 11 + [True]
    assert watch.best is points[2]
    start = Point(np.array([7.0]), 49.0, np.array([14.0]))
    monkeypatch.setattr(
        Watch, "stalled", lambda self, here, ulp: setattr(self, "best", start) or True
    )
    (x,), closure = problem(lambda x: (x * x).sum(), [3.0])
    optimizer = LBFGS([x])
    assert optimizer.step(closure) == 49 and x.data.tolist() == [7] and x.grad.tolist() == [14]


def test_an_exception_in_the_closure_leaves_the_last_accepted_point():
    (x,), good = problem(rosenbrock, [-1.2, 1.0])
    calls = []

    def closure():
        calls.append(x.data.copy())
        if len(calls) == 9:
            raise KeyboardInterrupt
        return good()

    optimizer = LBFGS([x], max_iter=100)
    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert any(np.array_equal(x.data, call) for call in calls[:8])
    assert rosenbrock(x).item() <= rosenbrock(nn.Parameter(calls[0])).item()


def test_gradients_of_the_start_that_are_not_finite_are_refused():
    (x,), closure = problem(lambda x: ops.sqrt(x).sum(), [0.0, 1.0])
    with pytest.raises(GradientError, match=r"parameter 0 \(2,\): 1 of 2"):
        LBFGS([x]).step(closure)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("loss", [lambda x: -x.sum(), lambda x: -(x**4).sum()], ids=["line", "x^4"])
def test_a_loss_without_a_minimum_does_not_converge(loss):
    (x,), closure = problem(loss, [1.0, 2.0])
    optimizer = LBFGS([x], max_iter=5000)
    optimizer.step(closure)
    assert optimizer.reason == "unbounded" and not optimizer.converged and optimizer.finished
    assert np.isfinite(x.data).all()


# --- bits -----------------------------------------------------------------------------------------


def test_two_runs_agree_in_every_bit_and_a_loaded_state_continues():
    runs = []
    for resume in (False, False, True):
        (x,), closure = problem(rosenbrock, np.tile([-1.2, 1.0], 4))
        optimizer = LBFGS([x], history=4, max_iter=7)
        optimizer.step(closure)
        if resume:
            state = optimizer.state_dict()
            assert state["s"].shape == state["y"].shape == (4, 8)
            optimizer = LBFGS([x], history=4, max_iter=7)
            optimizer.load_state_dict(state)
            for key, value in optimizer.state_dict().items():
                assert np.array_equal(value, state[key]), key
        optimizer.step(closure)
        runs.append((x.data.tobytes(), optimizer.evaluations, optimizer.iterations))
    assert runs[0] == runs[1] == runs[2]
