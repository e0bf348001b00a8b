"""`why` in the fused ops of layers and losses, in copies and constants; and its silence over
healthy networks.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
from helpers import leaf_of_shape, nonfinite_numbers

import minigrad_ae as mg
from minigrad_ae.autodiff import engine

pytestmark = nonfinite_numbers
RNG = np.random.default_rng(3)
leaf = partial(leaf_of_shape, seed=RNG)


def dense(activation, weight, x=1.0):
    w = leaf(3, 2, value=weight)
    return w, mg.linear(np.full((4, 3), x), w, activation=activation).sum()


def attending(q=1.0, k=1.0, keys=3, mask=None, v=None, heads=1):
    key, value = leaf(1, keys, 4), leaf(1, keys, 4, value=v)
    return key, (mg.attention(leaf(1, 2, 4) * q, key * k, value, mask, heads=heads) ** 2).sum()


def sampled(log_var, noise):
    s = leaf(3, value=log_var)
    return s, (mg.ops.reparameterise(leaf(3), s, np.full(3, noise)) ** 2).sum()


def copied():
    w = leaf(3)
    return w, (mg.tensor(w.data) * leaf(3)).sum()


def exploding():
    w = h = leaf(3)
    for _ in range(60):
        h = h * 3.0
    return w, h.sum()


def normalised_and_summed():
    x = leaf(2, 4)
    return x, mg.layer_norm(x, np.ones(4), np.zeros(4)).sum()


def weighted_by_nothing():
    x = leaf(2, 4)
    return x, (mg.layer_norm(x, np.zeros(4), np.ones(4)) ** 2).sum()


def of_length_1(length, power, less=0.0):
    x = leaf(2, 4, value=length / 2)
    x.data = x.data * [[0.3, 0.5, 0.7, 1.7804494], [0.2, 0.4, 0.4, 1.9078784]]
    return x, (mg.ops.unit_rows(x) ** power).sum() - less


def at_rest(loss_of, *leaves, of=0):
    return leaves[of], loss_of(*leaves)


def masked_where():
    w = leaf(3)
    return w, (mg.where([True, False, False], w, 1.0) * np.array([0.0, 1.0, 1.0])).sum()


def times(constant):
    w = leaf(3)
    return w, (w * np.array(constant)).sum()


def clipped():
    w = leaf(3)
    return w, mg.clip(w + 100, 0, 1).sum()


ops, zero, one_key, far = (
    mg.ops,
    leaf(3, value=0.0),
    np.array([[True, False, False]]),
    np.array([[0, -1e9, -1e9]]),
)
CAUSES = {  # how to make it, and a pattern of what must be said
    "dead relu in linear": (
        lambda: dense("relu", -1.0),
        "dead relu inside linear: all 8 outputs are 0",
    ),
    "saturated sigmoid in linear": (
        lambda: dense("sigmoid", 300.0),
        "saturated sigmoid inside linear",
    ),
    "saturated tanh in linear": (lambda: dense("tanh", 9.0), "saturated tanh inside linear"),
    "inputs of 0 in linear": (
        lambda: dense(None, 1.0, x=0.0),
        "the other factor of the matrix product",
    ),
    "one key": (lambda: attending(keys=1), "there is only one key"),
    "one key, two heads": (lambda: attending(keys=1, heads=2), "there is only one key"),
    "all keys but one masked": (
        lambda: attending(mask=one_key),
        "each query looks at one key only",
    ),
    "a penalty on all keys but one": (
        lambda: attending(mask=far),
        "each query looks at one key only",
    ),
    "scores far apart": (lambda: attending(q=1e3, k=1e3), "each query looks at one key only"),
    "equal values": (lambda: attending(v=2.0), "all values v are the same"),
    "noise of 0": (lambda: sampled(0.0, 0.0), "the noise is 0"),
    "sigma of 0": (lambda: sampled(-60.0, 1.0), "sigma is at most 9.4e-14"),
    "collapsed mean": (
        lambda: at_rest(ops.gaussian_kl, zero, leaf(3)),
        "the KL term is at rest: the posterior's mean",
    ),
    "collapsed variance": (
        lambda: at_rest(ops.gaussian_kl, leaf(3), zero, of=1),
        "the posterior's log variance",
    ),
    "squared error": (
        lambda: at_rest(lambda y: ops.half_squared_error(y, y.data.copy()), leaf(3)),
        "output is the target",
    ),
    "Bernoulli loss": (
        lambda: at_rest(lambda y: ops.bernoulli_loss(y, np.ones(3)), leaf(3, value=800.0)),
        "is the target",
    ),
    "sum of a layer_norm": (normalised_and_summed, "layer_norm feels neither shift nor stretch"),
    "layer_norm of weight 0": (weighted_by_nothing, "the weight of layer_norm is 0"),
    "a penalty on the length of unit rows": (
        lambda: of_length_1(1.0, 2),
        "unit_rows does not feel the length of a row",
    ),
    "... and a loss of 0": (
        lambda: of_length_1(1.1, 2, less=2 + 1e-15),
        "unit_rows does not feel the length of a row",
    ),
    "long rows": (
        lambda: of_length_1(1e20, 3),
        r"tiny .*unit_rows is 1 / length, and the shortest row has length 1.0e\+20",
    ),
    "short rows": (
        lambda: of_length_1(1e-20, 3),
        "huge .*unit_rows is 1 / length, and the shortest row has length 1.0e-20",
    ),
    "l1_norm of nothing": (
        lambda: at_rest(ops.l1_norm, zero),
        "l1_norm has a kink at 0, where its slope is taken as 0",
    ),
    "clip at its limit": (clipped, "in clip: the limit was reached"),
    "chosen where nothing comes": (
        masked_where,
        "where chose a only in places whose gradient is 0",
    ),
    "a copy of its numbers": (copied, "a copy of its numbers was used instead of the tensor"),
    "NaN in a constant": (
        lambda: times([1.0, np.nan, 2.0]),
        r"a constant in mul at .*, has NaN at \[1\]",
    ),
    "an exploding loss": (exploding, "huge .*it explodes: 60 of 61 rules"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_planted_causes_are_named(name):
    build, pattern = CAUSES[name]
    answer = mg.why(*build())
    assert re.search(pattern, answer), answer


def networks():
    x, w = RNG.normal(size=(2, 5, 4)), leaf(4, 4)
    h = mg.layer_norm(mg.linear(x, w, leaf(4), activation="tanh"), leaf(4), leaf(4))
    yield (mg.attention(h, h, h, np.tri(5, dtype=bool)) ** 2).sum()
    picked = mg.concatenate([h[:, [0, 2]], mg.broadcast_to(leaf(1, 1, 4), (2, 3, 4))], axis=1)[
        :, [4, 0, 1, 3, 2]
    ]
    yield mg.ops.half_squared_error(mg.linear(picked, leaf(4, 4)), x)
    mu, log_var = mg.linear(x[:, 0], leaf(4, 2)), mg.linear(x[:, 0], leaf(4, 2))
    z = mg.ops.reparameterise(mu, log_var, RNG.normal(size=(2, 2)))
    yield mg.ops.bernoulli_loss(
        mg.linear(z, leaf(2, 4)), RNG.random((2, 4))
    ) + 0.5 * mg.ops.gaussian_kl(mu, log_var)
    z = mg.linear(x[:, 0], leaf(4, 6), leaf(6), activation="relu")
    yield mg.ops.half_squared_error(
        mg.linear(z, mg.ops.unit_rows(leaf(6, 4))), x[:, 0]
    ) + 0.1 * mg.ops.l1_norm(z)


@pytest.mark.parametrize("number", range(4))
def test_healthy_networks_get_no_answer(number):
    loss = list(networks())[number]
    answers = {v: mg.why(v, loss) for v in engine.topological(loss)}
    assert not any(answers.values()), [a for a in answers.values() if a]


@pytest.mark.parametrize("add", [lambda x, W, b: x @ W + b, lambda x, W, b: mg.linear(x, W, b)])
def test_a_bias_whose_rows_cancel_is_told_of_the_sum_over_rows(add):
    rng = np.random.default_rng(0)
    W, b = (mg.tensor(rng.standard_normal(s), requires_grad=True) for s in ((3, 2), (2,)))
    loss = (add(rng.standard_normal((6, 3)), W, b) * np.array([[1.0], [-1.0]] * 3)).sum()
    text = mg.why(b, loss)
    assert (
        "the sum over the rows of its gradient (6, 2) cancels: terms up to 1 in size add up to 0"
        in text
    )


@pytest.mark.parametrize(
    "factors", [[1e155], [1e308], [1e100, 1e100, 1e100], [1e155, 1e-155, 1e300]]
)
def test_a_gradient_whose_square_overflows(factors):
    q = mg.tensor(np.ones(3), requires_grad=True)
    y = q
    for f in factors:
        y = y * f
    assert "the gradient is huge" in mg.why(q, y.sum())


# --- what an op's block says of it ----------------------------------------------------------------


def vector(*numbers):
    return mg.tensor(np.array(numbers), requires_grad=True, name="x")


ONES = np.ones((2, 2))
EYE = np.eye(2)
LOST = {  # name: (loss of x, x, what is said of the gradient)
    "relu, in part": (lambda x: (mg.relu(x) * np.array([0.0, 1.0])).sum(), [1.0, -1.0],
                      "relu is off (input <= 0) wherever a gradient comes in (1 of 2 elements)"),
    "a mask of zeros": (lambda x: (x * np.zeros(3)).sum(), [1.0, 2.0, 3.0],
                        "which is 0 everywhere"),
    "orthogonal": (lambda x: (mg.reshape(x, (1, 2)) @ ONES * np.array([1.0, -1.0])).sum(),
                   [1.0, 2.0], "it is orthogonal to it"),
    "softmax": (lambda x: (mg.softmax(x) * np.array([1.0, 2.0])).sum(), [1000.0, 0.0],
                "saturated softmax: one output is 1 and the others next to 0"),
    "power": (lambda x: (x ** mg.tensor(3.0)).sum(), [1e-200],
              "x ** p is flat there: x is as small as 1e-200"),
    "sin": (lambda x: mg.sin(x).sum(), [np.pi / 2],
            "sin has slope next to 0 at every input: it is at a maximum or minimum there"),
    "numerator": (lambda x: (0.0 / x).sum(), [2.0],
                  "the numerator is 0, so the denominator does not matter"),
    "linear": (lambda x: (mg.linear(mg.reshape(x, (1, 2)), EYE, activation="relu")
                          * np.array([0.0, 1.0])).sum(), [1.0, -1.0],
               "the relu inside linear is off wherever a gradient comes in"),
    "values": (lambda x: mg.attention(ONES[:1], ONES, mg.reshape(x, (2, 2)),
                                      mask=np.zeros((1, 2), bool)).sum(), [1.0, 2.0, 3.0, 4.0],
               "no query looks at it: its attention weights are at most 0.0e+00 (masked?)"),
    "maximum": (lambda x: mg.maximum(mg.sqrt(x), 1.0).sum(), [0.0, 4.0],
                "0 · inf: maximum did not choose this element"),
    "an index": (lambda x: mg.sqrt(x)[1:].sum(), [0.0, 4.0],
                 "0 · inf: this element was not picked"),
    "short rows": (lambda x: (mg.ops.unit_rows(mg.reshape(x, (1, 2))) * np.array([1.0, 2.0])).sum(),
                   [1e-12, 1e-12], "the shortest row has length 1.4e-12"),
    "close to 0": (lambda x: mg.sqrt(x).sum(), [1e-20],
                   "the slope of sqrt close to its end (argument 1e-20)"),
}  # fmt: skip
NOT_FINITE = {  # a call, and what is said of its result
    "a large quotient": (lambda: vector(1e308) / 1e-10, "overflow: 1e+308 / 1e-10"),
    "1 / 0": (lambda: vector(1.0) / 0.0, "1 / 0: division by zero"),
    "0 / 0": (lambda: vector(0.0) / 0.0, "0 / 0"),
    "an infinite row": (
        lambda: mg.ops.unit_rows(mg.reshape(vector(np.inf, 1.0), (1, 2))),
        "inf / inf: a row has an infinite element",
    ),
    "far apart": (
        lambda: mg.log_softmax(vector(1e308, -1e308)),
        "overflow: the inputs of a row are too far apart",
    ),
    "an infinite score": (lambda: mg.softmax(vector(np.inf, 0.0)), "inf - inf: an input is +inf"),
    "equal inputs": (
        lambda: mg.layer_norm(vector(1.0, 1.0), eps=0.0),
        "all inputs of a row are the same",
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_what_became_of_a_gradient(name):
    loss_of, numbers, said = LOST[name]
    x = vector(*numbers)
    with np.errstate(all="ignore"):
        told = mg.why(x, loss_of(x))
    assert said in told, told


@pytest.mark.parametrize("name", NOT_FINITE)
def test_why_a_result_is_not_finite(name):
    call, said = NOT_FINITE[name]
    with mg.detect_anomaly(), pytest.raises(mg.inspect.AnomalyError) as caught:
        call()
    assert said in str(caught.value)
