"""``x.min() >= 0`` in a compiled step is asked on the tape, and means what it means in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae.program.follow import Line

QUESTIONS = {
    "min >=": lambda x: x.min() >= 0,
    "min >": lambda x: x.min() > -0.25,
    "max <=": lambda x: x.max() <= 1,
    "max <": lambda x: x.max() < 2,
    "both": lambda x: x.min() >= 0 and x.max() <= 1,
    "real": lambda x: np.real(x).min() >= 0,
    "strided": lambda x: x[:, ::2].min() >= 0,
}


def step_that_asks(question):
    """(a compiled step with another loss for each answer, its loss)."""
    w = mg.nn.Parameter([0.5, -1.0, 2.0])

    def loss(x):
        y = (x * w).sum()
        return y * 3 if question(x) else y

    return mg.compile(loss), loss


def lines_of(program):
    """NumPy's lines that stay with Python."""
    return [i for i in program.items if isinstance(i, Line)]


@pytest.mark.parametrize("bad", [-0.5, 5.0, np.nan])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_those_of_the_tape(question, dtype, bad):
    step, loss = step_that_asks(QUESTIONS[question])
    good = np.linspace(0, 1, 12, dtype=dtype).reshape(4, 3)
    for _ in range(3):
        step(good)
    program = step.program
    assert program.proved and len(lines_of(program)) == (question == "strided")
    for place in (0, 5, 11):
        x = good.copy()
        x.flat[place] = bad
        expected, found = loss(x).numpy(), step(x).numpy()
        assert np.array_equal(found, expected, equal_nan=True)
        assert step(good).item() == loss(good).item()


def test_an_extreme_that_is_used_otherwise_is_computed():
    w = mg.nn.Parameter([0.5, -1.0, 2.0])

    def loss(x):
        low = x.min()
        return (x * w).sum() * mg.tensor(low) if low >= 0.25 else (x * w).sum()

    step = mg.compile(loss)
    for k in range(5):
        x = np.linspace(0.25 + k, 1 + k, 12).reshape(4, 3)
        assert step(x).item() == loss(x).item()
    assert step.program.proved and not step.reason


def test_a_bound_that_a_dtype_does_not_have_stays_as_it_is():
    step, loss = step_that_asks(lambda x: x.max() <= 0.1)
    x = np.full((4, 3), 0.1, np.float32)
    for _ in range(3):
        assert step(x).item() == loss(x).item()
    assert len(lines_of(step.program)) == 3
