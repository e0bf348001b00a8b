"""What NumPy does with followed arrays is written down, and can be done again with others."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae.program.follow import Changed, Lines
from minigrad_ae.program.observed import observe
from minigrad_ae.program.program import segments

COMPUTATIONS = {
    "arithmetic": lambda x: (2 * x - 1) / (x * x + 1) ** 0.5,
    "functions": lambda x: np.where(np.abs(x) > 0.5, np.exp(x), np.clip(x, -0.1, 0.1)),
    "methods": lambda x: x.reshape(2, -1).T.argsort(axis=0).astype(float).cumsum(axis=1),
    "picking": lambda x: x[np.argsort(x[:, 0])][::2, 1:],
    "several": lambda x: np.stack(np.nonzero(np.ones_like(x)))[:, :3] + x.ravel()[:3],
    "joined": lambda x: np.concatenate([x, x[:1]], axis=0).swapaxes(0, 1),
    "products": lambda x: x @ np.linalg.qr(x.T @ x + np.eye(3))[0],
    "view": lambda x: x.view() * 1,
}


def again(lines, result, arguments):
    """What the lines make of other arguments."""
    values = [None] * len(lines.values)
    values[: len(arguments)] = arguments
    for segment in segments(lines.found):
        segment(values)
    return values[result.number]


def numbers(seed):
    return np.random.default_rng(seed).standard_normal((4, 3))


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_lines_can_be_done_again(name):
    compute, x, other = COMPUTATIONS[name], numbers(0), numbers(1)
    lines = Lines([x])
    result = compute(lines.follow(0, x))
    assert not lines.lost
    np.testing.assert_array_equal(np.asarray(result), compute(x))
    np.testing.assert_array_equal(again(lines, result, [other]), compute(other))


def test_draws_are_drawn_anew_from_the_generator_that_is_passed():
    def compute(rng):
        order = rng.permutation(5)
        return rng.standard_normal(5)[order] + rng.uniform(size=5)

    lines = Lines([np.random.default_rng(0)])
    result = compute(lines.follow(0, np.random.default_rng(0)))
    np.testing.assert_array_equal(np.asarray(result), compute(np.random.default_rng(0)))
    found = again(lines, result, [np.random.default_rng(9)])
    np.testing.assert_array_equal(found, compute(np.random.default_rng(9)))


QUESTIONS = {
    "bool": lambda x: 1 if x.max() > 1 else 0,
    "float": lambda x: float(x[0, 0]),
    "int": lambda x: int(np.count_nonzero(x > 0)),
    "item": lambda x: x[0, 0].item(),
    "tolist": lambda x: x[0].tolist(),
    "index": lambda x: [7, 8, 9][(x[0, 0] > 0).astype(int)],
    "array_equal": lambda x: np.array_equal(x, np.zeros((4, 3))),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_a_condition(name):
    x = np.zeros((4, 3))
    lines = Lines([x])
    assert QUESTIONS[name](lines.follow(0, x)) == QUESTIONS[name](x)
    values = [x.copy(), *[None] * len(lines.values)]
    for segment in segments(lines.found):
        segment(values)
    values[0] = np.full((4, 3), 5.0)
    with pytest.raises(Changed):
        for segment in segments(lines.found):
            segment(values)


def write(x):
    x[0] = 1
    return x


LOSSES = {
    "assigned": write,
    "sort": lambda x: x.sort(),
    "fill": lambda x: x.fill(1),
    "+=": lambda x: x.__iadd__(1),
    "out=": lambda x: np.exp(x, out=np.empty((4, 3))),
    "put": lambda x: np.put_along_axis(np.ones((4, 3)), np.argsort(x, axis=1), 0, axis=1),
    "shuffle": lambda x: None,
}


@pytest.mark.parametrize("name", LOSSES)
def test_what_cannot_be_followed_is_noted_with_its_line(name):
    x = numbers(0)
    lines = Lines([x, np.random.default_rng(0)])
    if name == "shuffle":
        lines.follow(1, np.random.default_rng(0)).shuffle(np.arange(3))
    LOSSES[name](lines.follow(0, x))
    assert "test_follow.py:" in lines.lost


def test_an_array_is_plain_when_the_step_is_over():
    kept = []

    def loss(x):
        kept.append(x)
        return (mg.tensor([1.0, 2.0], requires_grad=True) * x).sum()

    seen, _ = observe(loss, [np.ones(2)])
    before = len(seen.lines.found)
    y = kept[0] * 2
    kept[0][0] = 5
    assert len(seen.lines.found) == before and not seen.lines.lost and y[1] == 2
