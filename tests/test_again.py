"""The short way of a compiled step (program/again.py): the bits of the tape, also where something
has changed since the last call.
"""

from __future__ import annotations

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae import kernels
from minigrad_ae.errors import GradientError
from minigrad_ae.optim import SGD, Adam
from minigrad_ae.program import compiled as program_of_steps

CHANGED_AT, STEPS = 6, 9


class Training:
    """A small training, compiled or not; what `change` does to it before one of its steps."""

    def __init__(self, optimizer, compiled, dtype=np.float32):
        self.rng = np.random.default_rng(1)
        self.model = mg.models.LinearAutoencoder(6, 2, rng=np.random.default_rng(0), dtype=dtype)
        self.weight = next(iter(self.model.parameters()))
        self.optimizer = optimizer(list(self.model.parameters()), 0.01)
        self.x = self.rng.standard_normal((20, 6)).astype(dtype)
        self.arguments = (self.x, mg.tensor(np.ones(6, dtype)))
        self.loss = self.written(1.0)
        self.step = mg.compile(self.loss, optimizer=self.optimizer) if compiled else None

    def written(self, factor):
        model = self.model

        def loss(x, w):
            return model.loss(x * w) * factor / len(x)

        self.factor = loss.__closure__[loss.__code__.co_freevars.index("factor")]
        return loss

    def advance(self):
        """One step; the loss."""
        if self.step:
            return self.step(*self.arguments).item()
        self.optimizer.zero_grad()
        loss = self.loss(*self.arguments)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def nothing(t):
    pass


def another_batch(t):
    t.arguments = (t.rng.standard_normal((20, 6)).astype(np.float32), t.arguments[1])


def fewer_rows(t):
    t.arguments = (t.x[:7].copy(), t.arguments[1])


def one_row(t):
    t.arguments = (t.x[:1], t.arguments[1])


def every_other_row(t):
    t.arguments = (np.repeat(t.x, 2, axis=0)[::2], t.arguments[1])


def columns_first(t):
    t.arguments = (np.asfortranarray(t.x), t.arguments[1])


def another_dtype(t):
    t.arguments = (t.x.astype(np.int32), t.arguments[1])


def an_array_for_a_tensor(t):
    t.arguments = (mg.tensor(t.x), t.arguments[1].numpy())


def one_that_wants_a_gradient(t):
    t.arguments = (t.x, mg.tensor(np.ones(6, np.float32), requires_grad=True))


def what_it_closes_over(t):
    t.factor.cell_contents = 0.5


def new_data(t):
    t.weight.data = t.weight.data * np.float32(0.5)


def written_in_place(t):
    t.weight.data[0] = 0.25


def a_frozen_weight(t):
    t.weight.requires_grad = False


def a_rate(t):
    t.optimizer.lr = 0.002


def decay(t):
    t.optimizer.weight_decay = 0.1


def its_state(t):
    t.optimizer.load_state_dict(t.optimizer.state_dict())


def a_moment(t):
    for state in t.optimizer.state:
        for name in ("m", "velocity"):
            if name in state:
                state[name] *= np.float32(0.5)


def a_count(t):
    for state in t.optimizer.state:
        if "t" in state:
            state["t"] = 1


def a_count_of_one(t):
    state = t.optimizer.state[-1]
    if "t" in state:
        state["t"] = 1


CHANGES = [
    nothing,
    another_batch,
    fewer_rows,
    one_row,
    every_other_row,
    columns_first,
    another_dtype,
    an_array_for_a_tensor,
    one_that_wants_a_gradient,
    what_it_closes_over,
    new_data,
    written_in_place,
    a_frozen_weight,
    a_rate,
    decay,
    its_state,
    a_moment,
    a_count,
    a_count_of_one,
]
OPTIMIZERS = {
    "SGD": SGD,
    "momentum": lambda p, lr: SGD(p, lr, momentum=0.9),
    "Adam": Adam,
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_bits_are_the_tapes_whatever_changes(kind, change):
    compiled, plain = (Training(OPTIMIZERS[kind], compiled=c) for c in (True, False))
    for k in range(STEPS):
        if k == CHANGED_AT:
            assert compiled.step.again is not None  # the short way was taken so far
            change(compiled)
            change(plain)
        assert compiled.advance() == plain.advance()
        for a, b in zip(compiled.arguments, plain.arguments, strict=True):
            if getattr(a, "requires_grad", False):
                np.testing.assert_array_equal(a.grad, b.grad)
        for p, q in zip(compiled.model.parameters(), plain.model.parameters(), strict=True):
            np.testing.assert_array_equal(p.data, q.data)
            assert (p.grad is None) == (q.grad is None)
            if p.grad is not None:
                np.testing.assert_array_equal(p.grad, q.grad)


def short(monkeypatch):
    """A training that takes the short way, and how often it looked closer since."""
    t, closer = Training(Adam, compiled=True), []
    for _ in range(CHANGED_AT):
        t.advance()
    step = t.step.step
    monkeypatch.setattr(t.step, "step", lambda arguments: closer.append(1) or step(arguments))
    t.advance()
    assert not closer
    return t, closer


def test_a_watcher_sees_the_ops(monkeypatch):
    t, closer = short(monkeypatch)
    with mg.detect_anomaly():
        t.advance()
    assert closer


def test_other_kernels_and_threads_are_another_program(monkeypatch):
    t, closer = short(monkeypatch)
    with kernels.use("numpy"):
        t.advance()
    t.advance()
    t.advance()
    assert len(closer) == 2
    threads = kernels.backend.state.threads
    monkeypatch.setattr(kernels.backend.state, "threads", threads + 1)
    t.advance()
    assert len(closer) == 3


def test_a_gradient_that_is_not_finite_changes_nothing(monkeypatch):
    t, closer = short(monkeypatch)
    before = [p.data.copy() for p in t.model.parameters()], str(t.optimizer.state_dict())
    t.arguments = (np.where(t.x > 1, np.float32(np.inf), t.x), t.arguments[1])
    with np.errstate(all="ignore"), pytest.raises((GradientError, ValueError)):
        t.advance()
    assert closer
    for p, old in zip(t.model.parameters(), before[0], strict=True):
        np.testing.assert_array_equal(p.data, old)
    assert str(t.optimizer.state_dict()) == before[1]


def test_a_hook_is_called(monkeypatch):
    t, closer = short(monkeypatch)
    seen = []
    t.weight.register_hook(seen.append)
    with pytest.warns(UserWarning, match="stays on the tape"):
        t.advance()
    assert closer and seen


def test_the_short_way_is_not_written_at_each_step_where_something_changes_at_each(monkeypatch):
    written = []
    write = program_of_steps.again
    monkeypatch.setattr(
        program_of_steps, "again", lambda *given: written.append(1) or write(*given)
    )
    t = Training(Adam, compiled=True)
    for _ in range(40):
        t.model.l2 = t.model.l2  # an attribute of a module is set
        t.advance()
    assert 3 <= len(written) <= 6
    t, written[:] = Training(Adam, compiled=True), []
    batches = [(t.x, t.arguments[1]), (t.x[:7].copy(), t.arguments[1])]
    for k in range(40):
        t.arguments = batches[k % 2]
        t.advance()
    assert len(written) <= 4
    assert t.step.again is t.step.program.short is not None


def test_many_sizes_among_a_usual_one_are_no_reason_to_give_up():
    t = Training(Adam, compiled=True)
    usual = t.arguments
    for _ in range(6):
        t.advance()
    for rows in range(1, 13):
        t.arguments = (t.x[:rows].copy(), usual[1])
        t.advance()
        t.arguments = usual
        t.advance()
    assert not t.step.given_up and not t.step.reason
