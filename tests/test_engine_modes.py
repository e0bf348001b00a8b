"""Modes and places: no_grad in every form and thread, detach, and the line of the caller."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from helpers import leaf

import minigrad_ae as mg
from minigrad_ae.autodiff.graph import Value, enable_grad
from minigrad_ae.autodiff.origin import source_line, where

# --- modes ----------------------------------------------------------------------------------------


def test_no_grad_as_context_and_decorator_nested_and_after_an_error():
    x = leaf(1.0)

    @mg.no_grad()
    def decorated(depth):
        assert not (x * 2).requires_grad
        return decorated(depth - 1) if depth else (x * 2)

    assert not decorated(2).requires_grad and (x * 2).requires_grad
    with mg.no_grad():
        with mg.no_grad():
            pass
        with enable_grad():
            assert (x * 2).requires_grad
        y = x * 2
    assert not y.requires_grad and y.is_leaf and (x * 2).requires_grad
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        raise ZeroDivisionError
    assert (x * 2).requires_grad


def test_no_grad_decorates_without_parentheses_too():
    x = leaf(1.0)

    @mg.no_grad
    def decorated(scale, shift=0.0):
        """Its text."""
        return x * scale + shift

    y = decorated(2.0, shift=1.0)
    assert y.item() == 3 and not y.requires_grad
    assert (decorated.__name__, decorated.__doc__) == ("decorated", "Its text.")
    assert (x * 2).requires_grad
    with mg.no_grad():
        assert enable_grad(lambda: x * 2)().requires_grad


@pytest.mark.parametrize("decorate", [mg.no_grad, mg.no_grad()])
def test_a_decorated_generator_runs_without_grad_and_leaks_nothing_between_yields(decorate):
    x, seen, closed = leaf(1.0), [], []

    @decorate
    def generator():
        try:
            for k in range(3):
                try:
                    seen.append((yield x * k))
                except KeyError:
                    seen.append((x * 2).requires_grad)
        finally:
            closed.append((x * 2).requires_grad)
        return "end"

    values = []
    for y in generator():
        assert (x * 2).requires_grad
        values.append(y)
    assert [y.item() for y in values] == [0, 1, 2]
    assert not any(y.requires_grad for y in values) and closed == [False]
    run = generator()
    next(run)
    run.send("sent")
    assert not run.throw(KeyError()).requires_grad
    assert seen[-2:] == ["sent", False]
    with pytest.raises(StopIteration) as end:
        run.send(None)
    assert end.value.value == "end"
    stopped = generator()
    next(stopped)
    stopped.close()
    assert closed == [False] * 3
    assert (x * 2).requires_grad


def test_no_grad_belongs_to_its_thread():
    x, inside, leave, results = leaf(1.0), threading.Event(), threading.Event(), []

    @mg.no_grad()
    def waits():
        inside.set()
        leave.wait(10)
        results.append((x * 2).requires_grad)

    thread = threading.Thread(target=waits)
    thread.start()
    inside.wait(10)
    assert (x * 2).requires_grad
    with mg.no_grad():
        leave.set()
        thread.join()
        assert not (x * 2).requires_grad
    assert results == [False] and (x * 2).requires_grad


def test_a_decorated_function_may_run_in_two_threads_at_once():
    x, entered, left, after = leaf(1.0), threading.Event(), threading.Event(), []
    both_inside = threading.Barrier(2)

    @mg.no_grad()
    def function(leaves_first):
        entered.set()
        both_inside.wait(10)
        if not leaves_first:
            left.wait(10)

    def run():
        function(leaves_first=True)
        after.append((x * 2).requires_grad)
        left.set()

    thread = threading.Thread(target=run)
    thread.start()
    entered.wait(10)
    with mg.no_grad():
        function(leaves_first=False)
        assert not (x * 2).requires_grad
    thread.join()
    assert after == [True] and (x * 2).requires_grad


def test_detach_shares_the_data_and_nothing_else():
    x = leaf(1.0, 2.0)
    y = x * 2
    d = y.detach()
    assert np.shares_memory(d.data, y.data) and d.is_leaf and not d.requires_grad
    (y * d).sum().backward()
    assert x.grad.tolist() == [4, 8]


# --- the source -----------------------------------------------------------------------------------


def test_the_callers_line_is_found_through_operators_methods_and_compositions():
    x = leaf(1.0, 2.0)
    made = [
        x * 2,
        x.sum(),
        mg.layer_norm(x),
        mg.attention(x.reshape(1, 2), x.reshape(1, 2), x.reshape(1, 2)),
        2 - x,
        np.exp(x),
        mg.grad((x * x).sum(), x, create_graph=True)[0],
    ]
    lines = [
        "x * 2,",
        "x.sum(),",
        "mg.layer_norm(x),",
        "mg.attention(",
        "2 - x,",
        "np.exp(x),",
        "mg.grad(",
    ]
    for value, line in zip(made, lines, strict=True):
        file, number, text = source_line(value)
        assert (
            file == __file__
            and text.startswith(line)
            and f"test_engine_modes.py:{number}: {line}" in where(value)
        )
    assert (
        source_line(x) is None
        and where(x) == "an unnamed leaf"
        and where(leaf(1.0, name="W")) == "leaf 'W'"
    )
    assert isinstance(x, Value)
