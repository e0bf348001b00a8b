"""The line search of L-BFGS: the strong Wolfe conditions hold where it says so, also from absurd
first steps.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from minigrad_ae.optim.line_search import LineSearch, Trial, cubic_minimum

EPS = np.finfo(float).eps

LINES = {  # the first is function 1 of Moré & Thuente (1994)
    "tail": (lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2),
    "quartic": (lambda a: a**4 / 4 - a, lambda a: a**3 - 1),
    "wiggle": (
        lambda a: (a - 3) ** 2 - math.sin(4 * a),
        lambda a: 2 * (a - 3) - 4 * math.cos(4 * a),
    ),
    "wall": (
        lambda a: -math.log1p(-a) - 3 * a if a < 1 else math.inf,
        lambda a: 1 / (1 - a) - 3 if a < 1 else math.nan,
    ),
}


@pytest.mark.parametrize("first", [1e-3, 1e-1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("c2", [0.9, 0.1, 1e-3])
@pytest.mark.parametrize("name", LINES)
def test_a_step_that_is_called_wolfe_meets_both_conditions(name, c2, first):
    phi, slope = LINES[name]
    start = Trial(0.0, phi(0.0), slope(0.0))
    end, kind = LineSearch(lambda a: Trial(a, phi(a), slope(a)), start, c2=c2).search(first)
    a = end.step
    assert kind == "wolfe" and a > 0
    assert phi(a) <= phi(0) + 1e-4 * a * slope(0) and abs(slope(a)) <= c2 * abs(slope(0))


def test_going_down_a_little_is_not_enough():
    """(a - 1)² from a = 1.8 has 0.8 of the first slope and has gone down, but less than c1 = 0.4
    asks of the step.
    """

    def phi(a):
        return Trial(a, (a - 1) ** 2, 2 * (a - 1))

    end, _ = LineSearch(phi, phi(0.0), c1=0.4).search(1.8)
    assert end.value <= 1 - 0.4 * 2 * end.step and end.step <= 1.2


def test_where_values_are_only_rounding_the_slopes_lead():
    def phi(a):
        # the values differ by less than their last place
        return Trial(a, 1e8 + 1e-9 * (a - 1) ** 2, 2e-9 * (a - 1))

    search = LineSearch(phi, phi(0.0), c2=1e-9, noise=64 * EPS * 1e8)
    end, kind = search.search(16.0)
    assert kind != "failed" and end.step == pytest.approx(1, abs=1e-9)
    assert search.left >= 30 - 4, "the straight line through two slopes hits at once"


@pytest.mark.parametrize(
    ("minimum", "further"), [(1.0, [1.0]), (0.25, [0.3]), (30.0, [2.0]), (300.0, [2.0, 18.2])]
)
def test_the_next_step_out_is_the_minimum_of_the_cubic_within_its_limits(minimum, further):
    """Of a parabola after 0 and .2: its minimum, but 1.5 to 10 times as far as the last advance."""
    steps = []

    def evaluate(a):
        steps.append(a)
        return Trial(a, 0.5 * (a - minimum) ** 2, a - minimum)

    start = Trial(0.0, 0.5 * minimum**2, -minimum)
    LineSearch(evaluate, start, c2=0.01, limit=1 + len(further)).search(0.2)
    assert steps == pytest.approx([0.2, *further], rel=1e-12)


@pytest.mark.parametrize("first", [3.0, 10.0, 100.0])
@pytest.mark.parametrize("name", LINES)
def test_it_is_faster_than_halving(name, first):
    """To a slope of 1e-9 of the first one halving takes log2 1e9 = 30 evaluations."""
    (phi, slope), steps = LINES[name], []

    def evaluate(a):
        steps.append(a)
        return Trial(a, phi(a), slope(a))

    start = Trial(0.0, phi(0.0), slope(0.0))
    _, kind = LineSearch(evaluate, start, c2=1e-9, noise=1e-14).search(first)
    assert kind != "failed" and len(steps) <= 20


@pytest.mark.parametrize(("left", "halved"), [(0.68, True), (0.64, False)])
def test_an_interval_is_halved_that_two_trials_have_not_shrunk_to_two_thirds(left, halved):
    """Two thirds are 0.66, as in Moré & Thuente (1994).  The values say nothing here, so that the
    straight line through the slopes leads: to 0.1, and then to 1 - left.
    """
    second = (0.9 - left) / 0.9  # of the way from 0.1 to 1
    slopes, steps = iter([-9 * second / (1 - second), -1.0, -1.0]), []

    def evaluate(a):
        steps.append(a)
        return Trial(a, 0.0, next(slopes))

    low, high = Trial(0.0, 0.0, -1.0), Trial(1.0, 0.0, 9.0)
    LineSearch(evaluate, low, c2=0.0, noise=1.0, limit=3)._zoom(low, high)
    part = 0.5 if halved else 0.1  # the slopes -1 and 9 lead to a tenth
    assert steps == pytest.approx([0.1, 1 - left, 1 - left + part * left], rel=1e-12)


def test_without_evaluations_left_the_lowest_trial_is_the_end():
    phi, slope = LINES["quartic"]
    start = Trial(0.0, phi(0.0), slope(0.0))
    search = LineSearch(lambda a: Trial(a, phi(a), slope(a)), start, c2=1e-9)
    search.left = 1
    end, kind = search.search(1.2)  # beyond the minimum, and lower than the start
    assert (end.step, kind) == (1.2, "failed")


def test_a_value_above_the_promised_one_is_approximate():
    search = LineSearch(None, Trial(0.0, 1.0, -1.0), c1=1e-4)
    assert search._accept(Trial(1.0, 1.0 - 1e-4, 0.0))[1] == "wolfe"
    assert search._accept(Trial(1.0, 1.0 - 9e-5, 0.0))[1] == "approximate"


def test_the_cubic_minimum_is_exact_for_cubics():
    def cubic(a):
        return Trial(a, a**3 - 6 * a**2 + 5, 3 * a**2 - 12 * a)  # its minimum is at 4

    for left, right in [(1.0, 3.0), (3.0, 1.0), (3.5, 9.0)]:
        assert cubic_minimum(cubic(left), cubic(right)) == pytest.approx(4, rel=1e-13)
    assert cubic_minimum(Trial(0, 0, 1), Trial(1, 1, 1)) is None
