"""Every planted cause of a bad gradient is named; a healthy gradient gets no answer."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import nonfinite_numbers

import minigrad_ae as mg
from minigrad_ae.errors import DtypeError, GradientError

pytestmark = nonfinite_numbers
CAUSES = {}
ALIVE = []  # what a caller would still hold in a variable


def cause(*words):
    """Register ``build(w, x) -> (tensor, loss)``; the answer must contain all the words."""

    def register(build):
        CAUSES[build.__name__] = (build, words)
        return build

    return register


@cause("None", "does not require a gradient")
def no_requires_grad(w, x):
    c = mg.tensor([1.0, 2.0, 3.0])
    return c, (w * c).sum()


@cause("None", "this tensor was detached", "h = mg.tanh(w).detach()")
def detached_itself(w, x):
    h = mg.tanh(w).detach()
    return h, (w * h).sum()


@cause("None", "a value computed from it was detached", "z = h.detach()")
def detached_on_the_way(w, x):
    h = mg.tanh(w)
    ALIVE.append(h)
    z = h.detach()
    v = mg.tensor(1.0, requires_grad=True)
    return w, (v * z).sum()


@cause("None", "under no_grad", "with mg.no_grad()")
def computed_under_no_grad(w, x):
    with mg.no_grad():
        h = mg.tanh(w)
    return h, (w * h).sum()


@cause("None", "a value that was computed under no_grad", "with mg.no_grad()")
def no_grad_on_the_way(w, x):
    with mg.no_grad():
        h = mg.tanh(w)
    v = mg.tensor(1.0, requires_grad=True)
    return w, (v * h).sum()


@cause("None", "the loss has no history", "no_grad")
def loss_without_history(w, x):
    with mg.no_grad():
        loss = mg.tanh(w).sum()
    return w, loss


@cause("None", "no path", "was not computed from it")
def no_path(w, x):
    v = mg.tensor([1.0], requires_grad=True)
    return w, (v * 2).sum()


@cause("None", "its array (.data or numpy()) was used", "mul at test_why.py")
def data_was_used(w, x):
    v = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    return w, (v * w.data).sum()


@cause("None", "only the condition", "no gradient flows")
def condition_only(w, x):
    v = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    return w, mg.where(w, v, 0.0).sum()


@cause("None", "not a leaf", "retain_grad()")
def intermediate(w, x):
    h = mg.tanh(w)
    loss = (h * h).sum()
    loss.backward()
    return h, loss


@cause("None", "zero_grad() was called")
def zeroed(w, x):
    v = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    loss = (w * v).sum()
    loss.backward()
    w.zero_grad()
    return w, loss


@cause("zero", "dead relu", "relu at test_why.py")
def dead_relu(w, x):
    return w, mg.relu(w - 10.0).sum()


@cause("zero", "unchosen branch", "where at test_why.py")
def unchosen_where(w, x):
    return w, mg.where(np.zeros(3, bool), w * w, x).sum()


@cause("zero", "cancel at the fan-out of w")
def cancelled(w, x):
    return w, (w * 3.0).sum() - (3.0 * w).sum()


@cause("tiny", "saturated sigmoid", "sigmoid at test_why.py")
def saturated_sigmoid(w, x):
    return w, mg.sigmoid(w + 30.0).sum()


@cause("zero", "saturated tanh")
def saturated_tanh(w, x):
    return w, mg.tanh(w * 100.0 + 500).sum()


@cause("zero", "multiplied by 0", "beta", "coefficient")
def beta_is_zero(w, x):
    beta = mg.tensor(0.0)
    v = mg.tensor(1.0, requires_grad=True)
    return w, v * 2 + beta * (w * w).sum()


@cause("zero", "mask or factor", "wherever a gradient comes in")
def masked(w, x):
    return w, (w * np.array([0.0, 0.0, 1.0]) * np.array([1.0, 1.0, 0.0])).sum()


@cause("zero", "other factor of the matrix product", "V", "zero weights")
def zero_weights_behind(w, x):
    V = mg.tensor(np.zeros((3, 2)), requires_grad=True, name="V")
    return w, ((mg.tanh(w) @ V - 1.0) ** 2).sum()


@cause("zero", "unchosen branch", "mg.clip(")
def clipped(w, x):
    return w, mg.clip(w + 5.0, -1.0, 1.0).sum()


@cause("zero", "index picks nothing of it")
def not_picked(w, x):
    return w, (w * w)[3:].sum() + x.sum()


@cause("zero", "softmax does not change when all its inputs shift")
def sum_of_a_softmax(w, x):
    return w, mg.softmax(w).sum()


@cause("zero", "square has its minimum", "at rest")
def perfect_fit(w, x):
    r = w - w.data
    return w, (r * r).sum()


@cause("zero", "a hook replaced the gradient")
def hook(w, x):
    h = mg.tanh(w)
    h.register_hook(np.zeros_like)
    return w, h.sum()


@cause("zero", "underflow: exp")
def underflow(w, x):
    return w, mg.exp(w - 2000.0).sum()


@cause("zero", "the exponent is 0")
def power_of_nothing(w, x):
    return w, ((w * w + 1) ** 0).sum()


@cause("huge", "division by a number as small as 5.0e-11", "div at test_why.py")
def division(w, x):
    return w, mg.sin(1.0 / (w * 1e-10)).sum()


@cause("huge", "it explodes", "20 of")
def exploding(w, x):
    h = w
    for _ in range(20):
        h = h * 10.0
    return w, mg.sin(h).sum()


@cause("tiny", "multiplied by", "next to 0", "mul at test_why.py")
def tiny_factor(w, x):
    return w, (w * np.array([1e-20, 2e-20, 1e-20]) + x).sum()


@cause("zero", "maximum", "limit was reached")
def lower_limit(w, x):
    return w, mg.maximum(w, 7.0).sum()


@cause("tiny", "no single op", "over 62 rules")
def vanishing(w, x):
    h = w
    for _ in range(30):
        h = mg.sin(h * 0.25)
    return w, (h + 1.0).sum()


@cause("NaN", "the forward value of log", "is nan: log of -4,", "(element [0])")
def nan_forward(w, x):
    return w, mg.square(mg.log(w - 5.0)).sum()


@cause("Inf", "the slope of sqrt at 0 is infinite")
def infinite_slope(w, x):
    return w, mg.sqrt(w - w.data).sum()


@cause("NaN", "0 · inf: the unchosen branch of where")
def nan_through_where(w, x):
    u = w - w.data
    return w, mg.where(u > 0, mg.sqrt(u), 0.0).sum()


@cause("NaN", "data of leaf 'w' are not finite")
def nan_in_the_data(w, x):
    w.data[1] = np.nan
    return w, (w * w).sum()


@pytest.mark.parametrize("name", CAUSES)
def test_planted_causes_are_named(name):
    build, words = CAUSES[name]
    w = mg.tensor([1.0, -2.0, 0.5], requires_grad=True, name="w")
    tensor, loss = build(w, mg.tensor([1.0, 1.0, 2.0], requires_grad=True, name="x"))
    answer = mg.why(tensor, loss)
    for word in words:
        assert word in answer, answer
    _, *rest = answer.splitlines()
    assert all(line.startswith("suspicion: ") for line in rest)


def test_there_are_enough_of_them():
    assert len(CAUSES) >= 12


def healthy():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(6, 4))
    W, V = (mg.tensor(rng.normal(size=s), requires_grad=True) for s in ((4, 3), (3, 4)))
    b = mg.tensor(rng.normal(size=3), requires_grad=True)
    h = mg.tanh(x @ W + b)
    yield ((h @ V - x) ** 2).sum(), (W, V, b, h)
    h = mg.relu(x @ W + b) * mg.sigmoid(x @ W)
    yield mg.softmax(h @ V)[:, 0].mean(), (W, V, b)
    yield (mg.layer_norm(x @ W, np.ones(3), b) * np.arange(3.0)).sum(), (W, b)
    model = mg.models.LinearAutoencoder(4, 2, rng=rng)
    yield model.loss(x), tuple(model.parameters())


@pytest.mark.parametrize("backward", [False, True])
def test_a_healthy_gradient_gets_no_answer(backward):
    for loss, tensors in healthy():
        if backward:
            for t in tensors:
                if t.op is not None:
                    t.retain_grad()
            loss.backward()
        for t in tensors:
            assert mg.why(t, loss) == ""
        assert mg.why(loss, loss) == "" or backward


def test_asking_changes_nothing():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    loss = mg.relu(w - 5).sum()
    assert mg.why(w, loss) and w.grad is None


def test_wrong_use_in_three_lines():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    for error, call in (
        (DtypeError, lambda: mg.why(w, 3.0)),
        (DtypeError, lambda: mg.why(w.data, w.sum())),
        (GradientError, lambda: mg.why(w, w * 2)),
    ):
        with pytest.raises(error) as caught:
            call()
        assert len(str(caught.value).split("\n")) == 3
