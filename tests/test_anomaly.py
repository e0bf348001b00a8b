"""The NaN time machine: every planted NaN is found where it was made, neither early nor late."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import zoo
from helpers import leaf, leaf_of_shape

import minigrad_ae as mg
from minigrad_ae.autodiff.graph import watchers
from minigrad_ae.errors import GradientError
from minigrad_ae.inspect import AnomalyError
from minigrad_ae.inspect.diagnose.reasons import BRANCH, remedy

INF = np.inf


def before(x):
    """Healthy work around the fault, so that it is neither the first nor the last op."""
    return mg.tanh(x * 0.0 + 1.0).sum()


# name: (build(x) -> loss, data, op, phase, index, an operand, words of the reason); the faulty line
# has the word PLANTED
PLANTED = {}


def planted(data, op, phase, index, words, dtype=None, **operands):
    def register(build):
        PLANTED[build.__name__] = (build, data, op, phase, index, operands, words, dtype)
        return build

    return register


@planted([1.0, 0.0, 2.0], "log", "forward", (1,), "log of 0", x=0.0)
def log_of_zero(x):
    return before(x) + mg.log(x).sum()  # PLANTED


@planted([1.0, 2.0, -3.0], "log", "forward", (2,), "log of -3", x=-3.0)
def log_of_a_negative(x):
    return before(x) + mg.exp(mg.log(x)).sum()  # PLANTED


@planted([4.0, -1.0], "sqrt", "forward", (1,), "square root of -1", x=-1.0)
def sqrt_of_a_negative(x):
    return before(x) + mg.sqrt(x).sum()  # PLANTED


@planted([1.0, 0.0], "div", "forward", (1,), "1 / 0: division by zero", a=1.0, b=0.0)
def division_by_zero(x):
    return before(x) + (1.0 / x).sum()  # PLANTED


@planted([1.0, 0.0], "div", "forward", (1,), "0 / 0", a=0.0, b=0.0)
def zero_by_zero(x):
    y = x * 2
    return before(x) + (y / x).sum()  # PLANTED


@planted([1.0, 800.0], "exp", "forward", (1,), "overflow: exp of 800", x=800.0)
def exp_overflows(x):
    return mg.log(1 + mg.exp(x)).sum()  # PLANTED


@planted([1.0, 100.0], "exp", "forward", (1,), "largest float32", dtype=np.float32, x=100.0)
def exp_overflows_in_single_precision(x):
    return before(x) + mg.exp(x).sum()  # PLANTED


@planted(
    [-2.0, 4.0], "power", "forward", (0,), "a negative number (-2) to the power 0.5", x=-2.0, p=0.5
)
def root_of_a_negative(x):
    return before(x) + (x**0.5).sum()  # PLANTED


@planted([0.0, 4.0], "power", "forward", (0,), "0 to the power -1", x=0.0, p=-1.0)
def negative_power_of_zero(x):
    return before(x) + (x**-1).sum()  # PLANTED


@planted([1e200, 1.0], "mul", "forward", (0,), "overflow: 1e+200 · 1e+200", a=1e200)
def square_overflows(x):
    return (x * x).sum() * 0.0 + before(x)  # PLANTED


@planted([0.0, 1.0], "mul", "forward", (0,), "0 · inf", a=0.0, b=INF)
def zero_times_an_infinite_constant(x):
    return before(x) + (x * np.array([INF, 1.0])).sum()  # PLANTED


@planted([1.0, 2.0], "sub", "forward", (1,), "inf - inf")
def infinity_less_infinity(x):
    a = x + np.array([0.0, INF])
    return (a - a).sum()  # PLANTED


@planted([-1.0, 3.0], "log1p", "forward", (0,), "log1p of -1", x=-1.0)
def log1p_at_its_end(x):
    return before(x) + mg.log1p(x).sum()  # PLANTED


@planted([1e300, 1e300], "matmul", "forward", (0, 0), "overflow: matmul")
def product_overflows(x):
    return mg.tanh((x @ np.array([1e200, 1.0])) + before(x))  # PLANTED


@planted([0.0, 4.0], "sqrt", "backward", (0,), "the slope of sqrt at 0 is infinite", x=0.0, g=1.0)
def slope_of_sqrt_at_zero(x):
    return before(x) + mg.sqrt(x).sum()  # PLANTED


@planted([0.0, 0.0], "sqrt", "backward", (), "0 is infinite")
def norm_at_zero(x):
    return before(x) + mg.sqrt((x * x).sum())  # PLANTED


@planted(
    [4.0, 0.0], "sqrt", "backward", (1,), "0 · inf: the unchosen branch of where", g=0.0, x=0.0
)
def unchosen_branch_of_where(x):
    root = mg.sqrt(x)  # PLANTED
    return mg.where(x > 0, root, 0.0).sum() + before(x)


@planted([4.0, 0.0], "sqrt", "backward", (1,), "0 · inf: a factor that is 0", g=0.0)
def masked_by_multiplication(x):
    root = mg.sqrt(x)  # PLANTED
    return (np.array([1.0, 0.0]) * root).sum() + before(x)


@planted([4.0, 0.0], "sqrt", "backward", (1,), "0 · inf: this element was not picked", g=0.0)
def not_picked(x):
    root = mg.sqrt(x)  # PLANTED
    return root[:1].sum() + before(x)


@planted([0.0, 2.0], "power", "backward", (0,), "the slope of x ** 0.5 at 0", x=0.0)
def slope_of_a_power_at_zero(x):
    return before(x) + (x**0.5).sum()  # PLANTED


@planted(
    [1e-170, 2.0], "div", "backward", (0,), "overflow: the rule divides by 1e-170 twice", b=1e-170
)
def slope_of_a_quotient(x):
    return before(x) + (1.0 / x).sum()  # PLANTED


@planted([[1.0, 2.0], [1e200, 4.0]], "attention", "forward", (1, 0), "q k^T are too large")
def scores_overflow(x):
    return mg.attention(x, x, x).sum() + before(x)  # PLANTED


@planted(
    [[1.0, 2.0], [3.0, 3.0]], "layer_norm", "forward", (1, 0), "variance is 0, and eps is 0", x=3.0
)
def no_variance(x):
    return mg.layer_norm(x, np.ones(2), np.zeros(2), eps=0.0).sum() + before(x)  # PLANTED


@planted(
    [[1.0, 2.0], [0.0, 0.0]],
    "unit_rows",
    "forward",
    (1, 0),
    "a row has length 0: division by zero",
    x=0.0,
)
def row_of_zeros(x):
    return mg.ops.unit_rows(x).sum() + before(x)  # PLANTED


@planted([0.0, 1500.0], "gaussian_kl", "forward", (), "log_var, which goes up to 1500")
def log_variance_overflows(x):
    return mg.ops.gaussian_kl(x * 0.0, x) * 0.0 + before(x)  # PLANTED


@pytest.mark.parametrize("name", PLANTED)
def test_planted_nan_are_located(name):
    build, data, op, phase, index, operands, words, dtype = PLANTED[name]
    with pytest.raises(AnomalyError) as caught, mg.detect_anomaly():
        build(leaf(*data, dtype=dtype or float, name="x")).backward()
    found = caught.value
    assert (found.op, found.phase, found.index) == (op, phase, index), str(found)
    assert words in found.reason, found.reason
    assert (
        found.location is not None
        and "PLANTED" in found.location[2]
        and found.location[0] == __file__
    )
    for key, number in operands.items():
        assert np.isclose(found.operands[key], number, equal_nan=True), (key, found.operands)
    assert len(str(found).split("\n")) == 3 and "test_anomaly.py" in str(found)
    assert not watchers, "the block is over"


def test_there_are_enough_of_them():
    assert len(PLANTED) >= 12 and {"forward", "backward"} == {p[3] for p in PLANTED.values()}


WITH_A_REMEDY = sorted(name for name, op in mg.ops.REGISTRY.items() if op.notes.remedy)


@pytest.mark.parametrize("name", WITH_A_REMEDY)
def test_remedies_name_functions_that_are_there(name):
    """What an error tells one to call exists, and does not do the same again."""
    op = mg.ops.REGISTRY[name]
    for function in re.findall(r"mg\.(\w+)", f"{op.notes.remedy} {BRANCH}"):
        assert callable(getattr(mg, function)), function
    assert remedy(op, "0 · inf: the unchosen branch of where (...)") == BRANCH


def test_what_can_go_wrong_has_a_remedy():
    """An op that says where its result or slope is not finite says what to do about it, too; of an
    overflow there is a general word.
    """
    ops = mg.ops.REGISTRY.values()
    bounded = [op.name for op in ops if op.notes.edges or op.notes.steep or op.notes.not_finite]
    assert set(bounded) - set(WITH_A_REMEDY) == {"softmax", "log_softmax"}


def test_the_remedies_help():
    x = leaf(0.0, 4.0, name="x")
    c = x.data > 0
    with mg.detect_anomaly():
        mg.where(c, mg.sqrt(mg.where(c, x, 1.0)), 0.0).sum().backward()
        mg.log(mg.maximum(x, 1e-12)).sum().backward()
        mg.sqrt((x * x).sum() * 0.0 + 1e-12).backward()
    assert np.isfinite(x.grad).all()


def test_nan_in_the_data_are_found_at_their_first_use():
    w = leaf(1.0, 2.0, name="w")
    for x in (
        np.array([[1.0, 2.0], [3.0, np.nan]]),
        mg.tensor([[1.0, 2.0], [3.0, np.nan]], name="x"),
    ):
        said = r"NaN came in with the data: .* has 1\n.*\[1, 1\], used by matmul"
        with pytest.raises(AnomalyError, match=said) as caught, mg.detect_anomaly():
            mg.tanh(x @ w).sum()
        assert caught.value.phase == "data"


@pytest.mark.parametrize("name", sorted(set(zoo.ZOO) - {"infinite"}))
def test_no_false_alarm_in_a_healthy_graph(name):
    with mg.detect_anomaly():
        zoo.make(name).backward()


def test_constants_may_be_infinite():
    q, k, v = (leaf(*np.linspace(-1, 1, 12)).reshape(3, 4) for _ in range(3))
    with mg.detect_anomaly():
        mg.attention(q, k, v, np.tri(3) > 0).sum().backward()
        mg.attention(q, k, v, np.where(np.tri(3) > 0, 0.0, -INF)).sum().backward()
        assert mg.logsumexp(np.array([-INF, -INF]) + leaf(0.0, 0.0)).item() == -INF


def test_infinities_may_be_let_through():
    x = leaf(0.0, 2.0, name="x")
    with pytest.raises(AnomalyError) as caught, mg.detect_anomaly(inf=False):
        mg.where(x > 0, mg.log(x), 0.0).sum().backward()
    assert (
        caught.value.phase == "backward"
        and "0 · inf: the unchosen branch of where" in caught.value.reason
    )
    with mg.detect_anomaly(inf=False):
        assert mg.exp(leaf(1000.0)).item() == INF


def test_ops_without_gradient_are_watched_too():
    with pytest.raises(AnomalyError, match="log of 0"), mg.detect_anomaly(), mg.no_grad():
        mg.log(leaf(0.0))


def test_writing_into_elements_is_caught_by_a_checksum():
    w, c = leaf(1.0, 2.0, name="w"), np.array([3.0, 4.0])
    said = r"was written into after mul had used it\n.*y = w \* w \* c"
    for array in (lambda: w.data, lambda: c, lambda: w.detach().data):
        with pytest.raises(AnomalyError, match=said), mg.detect_anomaly():
            y = w * w * c
            array()[1] += 5.0
            y.sum().backward()
    with mg.detect_anomaly():  # nobody reads it: a sum needs shapes only
        y = w.sum() + c.sum()
        w.data[0] = 5.0
        y.backward()
        for _ in range(3):  # and a training loop is no false alarm
            w.zero_grad()
            (w * w * c).sum().backward()
            w.data -= 0.1 * w.grad


@pytest.mark.parametrize(
    "view",
    [
        lambda w: w.T,
        lambda w: w[0],
        lambda w: w.reshape(3, 2)[:, 0],
        lambda w: mg.broadcast_to(w[0], (4, 3)),
    ],
    ids=["transposed", "a row", "reshaped", "broadcast"],
)
def test_writing_into_a_leaf_whose_view_was_used_is_caught(view):
    w, x = leaf_of_shape(2, 3, name="w"), leaf(2.0)
    said = "was written into after mul had used it"
    with pytest.raises(AnomalyError, match=said), mg.detect_anomaly():
        y = (view(w) * x).sum()
        w.data[0, 0] += 1.0
        y.backward()


def test_writing_before_the_second_backward_pass_is_caught():
    b = leaf(1.0, 2.0, name="b")
    said = "leaf 'b' was written into after mul had used it"
    with pytest.raises(AnomalyError, match=said), mg.detect_anomaly():
        (g,) = mg.grad((b * b * b).sum(), [b], create_graph=True)
        b.data[0] += 1.0
        g.sum().backward()


def test_it_is_quiet_and_leaves_no_trace():
    x = leaf(-1.0, name="x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AnomalyError), mg.detect_anomaly():
            mg.log(x)
    with pytest.raises(ZeroDivisionError), mg.detect_anomaly(), mg.detect_anomaly():
        1 / 0  # noqa: B018
    assert not watchers and np.geterr()["divide"] == "warn"
    assert issubclass(AnomalyError, GradientError) and issubclass(AnomalyError, ArithmeticError)


def test_where_a_slope_is_infinite_no_rule_is_called_wrong():
    x = leaf(4.0, 0.0, name="x")
    with np.errstate(all="ignore"):
        assert mg.check_graph(mg.where(x > 0, mg.sqrt(x), 0.0).sum()) and mg.check_graph(
            (x**0.5).sum()
        )


BEYOND = {  # name of a unary op: (an argument at which it has no finite value, what is said)
    "log": (0.0, "log of 0: the logarithm goes to -inf at 0"),
    "log2": (0.0, "log2 of 0: the logarithm goes to -inf at 0"),
    "log10": (-1.0, "log10 of -1, a number it is not defined for"),
    "log1p": (-1.0, "log1p of -1: the logarithm goes to -inf at -1"),
    "sqrt": (-2.0, "the square root of -2, a negative number"),
    "arcsin": (2.0, "arcsin of 2, a number it is not defined for"),
    "arccos": (-2.0, "arccos of -2, a number it is not defined for"),
    "exp2": (2000.0, "overflow: exp2 of 2000"),
    "sinh": (1000.0, "overflow: sinh of 1000"),
    "cosh": (1000.0, "overflow: cosh of 1000"),
}


@pytest.mark.parametrize("name", BEYOND)
def test_an_op_says_where_it_is_not_defined(name):
    x, said = BEYOND[name]
    with mg.detect_anomaly(), pytest.raises(mg.inspect.AnomalyError) as caught:
        getattr(mg, name)(mg.tensor([0.5, x], requires_grad=True))
    assert said in str(caught.value) and "element [1]" in str(caught.value)
    fix = mg.ops.REGISTRY[name].notes.remedy or "make the numbers smaller"
    assert f"fix: {fix}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "x"),
    [("log2", 0.0), ("log10", 0.0), ("arcsin", 1.0), ("arccos", -1.0), ("cbrt", 0.0)],
)
def test_an_infinite_slope_is_named(name, x):
    t = mg.tensor([0.5, x], requires_grad=True, name="t")
    with np.errstate(all="ignore"):
        loss = mg.where(np.array([True, False]), getattr(mg, name)(t), 0.0).sum()
        told = mg.why(t, loss)
        assert f"the slope of {name} at {x:g} is infinite" in told, told
