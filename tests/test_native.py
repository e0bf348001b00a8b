"""Calls on a tape give what Python's calls give, to the last bit, and so do loops over NumPy's."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae import kernels
from minigrad_ae.errors import GradientError
from minigrad_ae.kernels import elementwise, fused, loops, row_sums
from minigrad_ae.kernels.calls import choose, demand, make, store
from minigrad_ae.kernels.native import Tape, prepared

UFUNCS = [np.add, np.subtract, np.multiply, np.divide]
QUESTIONS = [np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal]
HARD = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e-40, 3e38, 0.1]


def hard(rng, shape, dtype):
    """Numbers among which are the ones that are treated apart."""
    return rng.choice(np.array(HARD, dtype), size=shape)


def same_bits(a, b):
    """Equal with the signs of zeros; one NaN is as good as another."""
    known = ~(np.isnan(a) & np.isnan(b))
    return np.array_equal(np.signbit(a)[known], np.signbit(b)[known]) and np.array_equal(
        a, b, equal_nan=True
    )


def both(calls, outs):
    """What the calls leave in `outs`, by a tape and by Python; the tape is the whole of it."""
    before = [out.copy() for out in outs]
    works = prepared(calls)
    assert [type(work) for work in works] == [Tape]
    works[0]()
    found = [out.copy() for out in outs]
    for out, old in zip(outs, before, strict=True):
        out[...] = old
    with np.errstate(all="ignore"):
        make(calls)
    return list(zip(found, outs, strict=True))


def layouts(rng, dtype):
    """(inputs and output) of one shape: row by row, column by column, slices, broadcasting."""
    yield [hard(rng, (6, 9), dtype) for _ in range(2)], np.zeros((6, 9), dtype)
    yield [hard(rng, (9, 6), dtype).T, hard(rng, (6, 9), dtype)], np.zeros((6, 9), dtype)
    yield [hard(rng, (6, 1), dtype), hard(rng, (9,), dtype)], np.zeros((6, 9), dtype)
    yield [hard(rng, (12, 9), dtype)[::-2], hard(rng, (), dtype)], np.zeros((6, 18), dtype)[:, ::2]
    yield [hard(rng, (3, 1, 5), dtype), hard(rng, (1, 4, 5), dtype)], np.zeros((3, 4, 5), dtype)
    yield [hard(rng, (), dtype), hard(rng, (), dtype)], np.zeros((), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [*UFUNCS, *QUESTIONS], ids=lambda f: f.__name__)
def test_a_function_of_two_numbers_has_numpys_bits(function, dtype):
    for (a, b), out in layouts(np.random.default_rng(0), dtype):
        if function in QUESTIONS:
            out = np.zeros(out.shape, bool)
        for found, expected in both([(function, (a, b, out))], [out]):
            assert same_bits(found, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_one_number_have_numpys_bits(dtype):
    for (a, b), out in layouts(np.random.default_rng(1), dtype):
        other = np.zeros(out.shape, np.float64 if dtype == np.float32 else np.float32)
        condition = np.asarray(np.broadcast_to(b, out.shape) > 0)
        spread = np.broadcast_to(b, out.shape)
        for call in (
            (np.copyto, (out, a)),
            (np.copyto, (other, a)),
            (np.negative, (a, out)),
            (out.fill, (2.5,)),
            (choose, (condition, a, spread, out)),
        ):
            to = other if call[1][0] is other else out
            with np.errstate(all="ignore"):
                pairs = both([call], [to])
            assert all(same_bits(found, expected) for found, expected in pairs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape, axes", [((5, 7), 0), ((3, 4, 6), (0, 1)), ((1, 8), 0), ((9, 2), 0)]
)
def test_sums_over_the_first_axes_add_in_numpys_order(shape, axes, dtype):
    x = np.random.default_rng(2).standard_normal(shape).astype(dtype)
    out = np.zeros(np.add.reduce(x, axes).shape, dtype)
    (pair,) = both([(np.add.reduce, (x, axes, None, out))], [out])
    np.testing.assert_array_equal(*pair)


def test_a_run_of_functions_is_one_loop():
    rng = np.random.default_rng(3)
    a, b, t, u = (rng.random((4, 5)) for _ in range(4))
    calls = [(np.multiply, (a, b, t)), (np.add, (t, a, u)), (np.subtract, (u, t, t))]
    assert [len(loop.statements) for loop, _ in elementwise.grouped(calls)] == [3]
    for found, expected in both(calls, [t, u]):
        np.testing.assert_array_equal(found, expected)


def test_what_is_read_elsewhere_than_it_is_written_is_another_loop():
    """In one pass, x[i] would be read in reverse after half of it has been written."""
    x, y, z = np.arange(8.0), np.ones(8), np.zeros(8)
    calls = [(np.add, (x, y, x)), (np.multiply, (x[::-1], y, z))]
    assert len(list(elementwise.grouped(calls))) == 2
    for found, expected in both(calls, [x, z]):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, y: (np.copyto, (x[1:], x[:-1])),  # NumPy copies first
        lambda x, y: (np.exp, (x, y)),
        lambda x, y: (np.add.reduce, (x.reshape(2, 4).T, 0, None, y[:2])),  # not row by row
        lambda x, y: (np.add, (x.astype(np.float32), x, y)),
        lambda x, y: (partial(np.maximum, out=y), (x, x)),
    ],
    ids=["overlap", "exp", "columns", "mixed", "maximum"],
)
def test_what_is_not_exact_in_a_loop_stays_with_python(call):
    x, y = np.arange(8.0), np.zeros(8)
    (work,) = prepared([call(x, y)])
    assert isinstance(work, partial)
    work()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 64, 100, 128, 129, 136, 257, 784, 1000, 4096])
def test_sums_along_rows_are_in_numpys_order(length, dtype):
    rng = np.random.default_rng(length)
    shape = 2, 3, length
    x = (rng.standard_normal(shape) * 10 ** rng.uniform(-3, 3, shape)).astype(dtype)
    one, rows, two = np.zeros((), dtype), np.zeros((2, 3), dtype), np.zeros((2, 1, 1), dtype)
    calls = [
        (np.add.reduce, (x[0, 0], None, None, one)),
        (np.add.reduce, (x, -1, None, rows)),
    ]
    if 3 * length <= row_sums.LONGEST:
        calls.append((np.add.reduce, (x, (1, 2), None, two, True)))
    for found, expected in both(calls, [one, rows, two]):
        assert same_bits(found, expected)


@pytest.mark.parametrize("x", HARD)
def test_sums_of_hard_numbers_are_numpys(x):
    rng = np.random.default_rng(3)
    numbers, sums = np.array([[x] * 11, hard(rng, 11, np.float64)]), np.zeros(2)
    ((found, expected),) = both([(np.add.reduce, (numbers, 1, None, sums, False))], [sums])
    assert same_bits(found, expected)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_tape_stops_at_a_demand_that_is_not_met(size):
    flags, x = np.ones(size, bool), np.zeros(3)
    (tape,) = prepared([(demand, (flags, KeyError)), (np.add, (x, np.ones(3), x))])
    assert isinstance(tape, Tape)
    tape()
    for place in {0, size // 2, size - 1}:
        flags[:] = np.arange(size) != place
        with pytest.raises(KeyError):
            tape()
    assert x.tolist() == [1, 1, 1]  # made once


def test_kernels_are_called_with_arrays_numbers_and_results():
    rng = np.random.default_rng(4)
    a, b = rng.random((6, 5), np.float32), rng.random((5, 40), np.float32)
    c, value = np.zeros((6, 40), np.float32), np.zeros((), np.float32)
    slope, y = np.zeros(240, np.float32), np.zeros(240, np.float32)
    before = kernels.get_num_threads()
    kernels.set_num_threads(1)
    try:
        loops.tanh(c.reshape(-1), y)
        fused._half_squares(y, slope, slope.copy())
        with kernels.calls.recorded() as calls:
            kernels.accumulate(a, b, c, fresh=True)
    finally:
        kernels.set_num_threads(before)
    calls += [
        (loops.tanh, (c.reshape(-1), y)),
        (store, (value, fused._half_squares, y, c.reshape(-1), slope)),
    ]
    for found, expected in both(calls, [c, y, value, slope]):
        np.testing.assert_array_equal(found, expected)
    assert value > 0


def test_a_kernel_that_fails_is_called_again_by_python(monkeypatch):
    """The tape says where; Python's call raises what is wrong."""
    a = np.ones((4, 4))
    c = np.zeros((4, 4))
    with kernels.calls.recorded() as calls:
        kernels.accumulate(a, a, c, fresh=True)
    (tape,) = prepared(calls)

    def broken(*args):
        raise MemoryError("no room for a panel")

    tape.entries[0].calls = [(broken, ())]
    monkeypatch.setattr(tape, "play", lambda *where: 0)
    with pytest.raises(MemoryError, match="no room"):
        tape()


def test_without_compiled_kernels_python_makes_the_calls():
    x, y = np.arange(3.0), np.zeros(3)
    with kernels.use("numpy"):
        (work,) = prepared([(np.add, (x, x, y))])
    assert isinstance(work, partial)
    work()
    assert y.tolist() == [0, 2, 4]


# --- the optimisers' prepared steps ---------------------------------------------------------------


def trained(make_optimizer, compiled, steps=12, change=None):
    """Parameters and moments after some steps."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((20, 6)).astype(np.float32)
    model = mg.models.LinearAutoencoder(6, 2, rng=np.random.default_rng(6), dtype=np.float32)
    optimizer = make_optimizer(model.parameters())

    def loss(x):
        return model.loss(x) / len(x)

    step = mg.compile(loss, optimizer=optimizer) if compiled else None
    for k in range(steps):
        if change:
            change(k, optimizer)
        if step:
            step(X)
        else:
            value = loss(X)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    state = [v for own in optimizer.state for v in own.values()]
    used = step is not None and step.program.update is not None
    return [p.data for p in model.parameters()] + state, used


KINDS = {
    "SGD": lambda p: mg.optim.SGD(p, lr=0.01),
    "decay": lambda p: mg.optim.SGD(p, lr=0.01, weight_decay=0.1),
    "momentum": lambda p: mg.optim.SGD(p, lr=0.01, momentum=0.9),
    "nesterov": lambda p: mg.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adam": lambda p: mg.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "AdamW": lambda p: mg.optim.AdamW(
        p, lr=0.01, matrices_only=True, lr_factors={next(iter(p)): 0.5}
    ),
}


def lower_the_rate(k, optimizer):
    optimizer.lr = 0.01 / (1 + k)


def load_its_state(k, optimizer):
    if k == 6:
        optimizer.load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize("change", [None, lower_the_rate, load_its_state])
@pytest.mark.parametrize("kind", KINDS)
def test_a_prepared_step_is_the_optimisers_step(kind, change):
    def optimizer(params):
        return KINDS[kind](list(params))

    wanted, _ = trained(optimizer, compiled=False, change=change)
    found, used = trained(optimizer, compiled=True, change=change)
    assert used
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_optimiser_of_ones_own_makes_its_own_step():
    class Slower(mg.optim.Adam):
        def step(self):
            self.lr = 1e-4
            super().step()

    wanted, _ = trained(Slower, compiled=False)
    found, used = trained(Slower, compiled=True)
    assert not used
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("method", ["step", "zero_grad"])
def test_an_optimiser_with_a_method_of_its_own_is_asked(method):
    """Replaced on the object, as schedulers of other frameworks do it."""
    x = mg.nn.Parameter([1.0, 2.0])
    optimizer = mg.optim.SGD([x], lr=0.1)
    plain, called = getattr(optimizer, method), []
    setattr(optimizer, method, lambda: (called.append(method), plain()))
    step = mg.compile(lambda t: (x * t).sum(), optimizer=optimizer)
    for _ in range(5):
        step(np.ones(2))
    assert len(called) == 5 and step.program.update is None


def test_gradients_of_parameters_that_a_program_does_not_use_are_none():
    used, unused = mg.nn.Parameter([1.0, 2.0]), mg.nn.Parameter([3.0])
    step = mg.compile(lambda t: (used * t).sum(), optimizer=mg.optim.SGD([used, unused], lr=0.1))
    for _ in range(5):
        unused.grad = np.ones(1)
        step(np.ones(2))
    assert step.program.update is not None
    assert unused.grad is None and unused.tolist() == [3.0]
    assert used.grad.tolist() == [1, 1]


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_gradient_that_is_not_finite_changes_nothing(kind):
    x = mg.nn.Parameter([1.0, 2.0])
    optimizer = KINDS[kind]([x])
    step = mg.compile(lambda t: (x * t).sum(), optimizer=optimizer)
    for _ in range(4):
        step(np.ones(2))
    assert step.program.update is not None
    before = x.numpy().copy(), str(optimizer.state_dict())
    with pytest.raises(GradientError, match="NaN or infinite"):
        step(np.array([1.0, np.nan]))
    np.testing.assert_array_equal(x.numpy(), before[0])
    assert str(optimizer.state_dict()) == before[1]
