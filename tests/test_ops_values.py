"""What is particular to single ops: values at a tie, extremes, erf to the last digits, scalars of
NumPy 2.
"""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae import kernels, nn
from minigrad_ae.autodiff.check import gradcheck
from minigrad_ae.autodiff.rules import NAMES
from minigrad_ae.errors import DtypeError, MinigradError

INF = math.inf


def gradient(fn, *data, upstream=None):
    xs = [mg.tensor(np.array(x, float), requires_grad=True) for x in data]
    y = fn(*xs)
    out = mg.grad(
        y, xs, gradient=np.ones(y.shape) if upstream is None else np.array(upstream, float)
    )
    return [g.tolist() for g in out]


# --- ties -----------------------------------------------------------------------------------------


def test_slopes_at_a_tie_are_exactly_what_is_documented():
    g = [3.0, 5.0, 7.0]
    assert gradient(mg.relu, [-1, 0, 1], upstream=g) == [[0, 0, 7]]
    assert gradient(mg.abs, [-1, 0, 1], upstream=g) == [[-3, 0, 7]]
    assert gradient(mg.maximum, [1, 2, 3], [2, 2, 2], upstream=g) == [[0, 2.5, 7], [3, 2.5, 0]]
    assert gradient(mg.minimum, [1, 2, 3], [2, 2, 2], upstream=g) == [[3, 2.5, 0], [0, 2.5, 7]]
    assert gradient(lambda x: mg.clip(x, -1, 1), [-1, 0, 1], upstream=g) == [[3, 5, 7]]
    assert gradient(lambda x: mg.clip(x, -1, 1), [-2, 0, 2], upstream=g) == [[0, 5, 0]]
    assert gradient(lambda x: mg.max(x), [2, 1, 2], upstream=6.0) == [[3, 0, 3]]
    assert gradient(lambda x: mg.max(x, axis=1), [[1, 1, 1], [0, 3, 3]], upstream=[6, 8]) == [
        [[2, 2, 2], [0, 4, 4]]
    ]
    assert gradient(lambda x: mg.min(x, axis=0), [[1, 4], [1, 2]], upstream=[6, 8]) == [
        [[3, 0], [3, 8]]
    ]


@pytest.mark.parametrize(
    "fn",
    [
        mg.relu,
        mg.abs,
        mg.max,
        mg.ops.l1_norm,
        lambda x: mg.maximum(x, 0.0),
        lambda x: mg.minimum(x, 1.0),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tie_keeps_the_dtype(fn, dtype):
    x = mg.tensor([0.0, 0.0, 1.0, 1.0], dtype=dtype, requires_grad=True)
    y = fn(x)
    assert y.dtype == mg.grad(y, [x], gradient=np.ones(y.shape))[0].dtype == dtype


def test_rows_of_one_number_are_signs_and_a_sum_of_sizes_rests_at_0():
    g = [[3.0], [5.0], [7.0]]
    assert mg.ops.unit_rows(np.array([[-2.0], [1e-100], [1e100]])).tolist() == [[-1], [1], [1]]
    assert gradient(mg.ops.unit_rows, [[-2], [1e-100], [1e100]], upstream=g) == [[[0], [0], [0]]]
    assert (
        mg.ops.unit_rows(np.ones((3, 0))).shape
        == np.shape(gradient(mg.ops.unit_rows, np.ones((3, 0)))[0])
        == (3, 0)
    )
    assert mg.ops.l1_norm(np.array([[-2.0, 0.0], [3.0, -0.5]])) == 5.5
    assert gradient(mg.ops.l1_norm, [[-2, 0], [3, -0.5]], upstream=4.0) == [[[-4, 0], [4, -4]]]


# --- extremes: every warning is an error in this suite --------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stable_functions_at_plus_and_minus_1000(dtype):
    x = mg.tensor([-1000.0, 0.0, 1000.0], dtype=dtype, requires_grad=True)
    expected = {
        mg.sigmoid: ([0, 0.5, 1], [0, 0.25, 0]),
        mg.softplus: ([0, math.log(2), 1000], [0, 0.5, 1]),
        mg.softmax: ([0, 0, 1], None),
        mg.log_softmax: ([-2000, -1000, 0], None),
        mg.tanh: ([-1, 0, 1], [0, 1, 0]),
        mg.gelu: ([0, 0, 1000], [0, 0.5, 1]),
        mg.erf: ([-1, 0, 1], [0, 2 / math.sqrt(math.pi), 0]),
    }
    for fn, (values, slopes) in expected.items():
        y = fn(x)
        (g,) = mg.grad(y.sum(), x)
        assert y.dtype == g.dtype == dtype
        np.testing.assert_allclose(
            y.data, values, rtol=4e-7 if dtype == np.float32 else 1e-15, err_msg=fn.__name__
        )
        if slopes is not None:
            np.testing.assert_allclose(
                g, slopes, rtol=4e-7 if dtype == np.float32 else 1e-15, err_msg=fn.__name__
            )
    y = mg.logsumexp(x)
    assert y.item() == 1000 and mg.grad(y, x)[0].tolist() == [0, 0, 1]


def test_logsumexp_and_softmax_of_minus_infinity():
    x = mg.tensor([[-INF, -INF], [-INF, 1.0]], requires_grad=True)
    assert mg.logsumexp(x, axis=1).data.tolist() == [-INF, 1.0]
    (g,) = mg.grad(mg.softmax(x[1:], axis=1)[0, 1], x)
    assert np.array_equal(g, np.zeros((2, 2)))


# --- edges: nothing to choose from, NaN, -0 ------------------------------------------------------

BACKENDS = ("numpy", "numba")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rows", [1, 200])  # the kernels are chosen for the larger one
def test_a_row_of_minus_infinity_has_weights_0_and_sends_no_gradient(rows, backend):
    x = np.full((rows + 1, 3), -INF)
    x[-1] = [-INF, 1.0, 1.0]
    g = np.full(x.shape, 5.0)
    g[-1] = [3.0, 5.0, 7.0]
    nothing = [[0, 0, 0]] * rows
    with kernels.use(backend):
        t = mg.tensor(x)
        assert mg.softmax(t).data.tolist() == [*nothing, [0, 0.5, 0.5]]
        assert gradient(mg.softmax, x, upstream=g) == [[*nothing, [0, -0.5, 0.5]]]
        # the logarithm of these weights; it moves with x, as everywhere else
        log = mg.log_softmax(t).data
        assert np.all(log[:-1] == -INF) and log[-1, 0] == -INF
        np.testing.assert_allclose(log[-1, 1:], -math.log(2), rtol=1e-15)
        (sent,) = gradient(mg.log_softmax, x, upstream=g)
        np.testing.assert_allclose(sent, [*g[:-1].tolist(), [3, -2.5, -0.5]], rtol=4e-15)
        assert mg.logsumexp(t, axis=1).data[:-1].tolist() == [-INF] * rows
    for first in (0.0, 2.0):
        upstream = [first] * rows + [4.0]
        sent = gradient(lambda a: mg.logsumexp(a, axis=1), x, upstream=upstream)
        assert sent == [[*nothing, [0, 2, 2]]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("tokens", [3, 24])  # the kernels are chosen for the larger one
def test_a_query_whose_keys_are_all_masked_gives_zeros(tokens, heads, backend):
    rng = np.random.default_rng(7)
    q, k, v, g = rng.standard_normal((4, 5, tokens, 6 * heads))
    allowed = np.tri(tokens, dtype=bool)
    allowed[1] = False
    added = np.where(allowed, 0.0, -INF)
    others = [r for r in range(tokens) if r != 1]
    with kernels.use(backend):
        inputs = [mg.tensor(x, requires_grad=True) for x in (q, k, v)]
        for mask in (allowed, added, mg.tensor(added, requires_grad=True)):
            y = mg.attention(*inputs, mask=mask, heads=heads)
            assert np.all(y.data[:, 1] == 0) and np.all(np.isfinite(y.data))
            wanted = inputs if isinstance(mask, np.ndarray) else [*inputs, mask]
            dq, dk, dv, *dmask = mg.grad(y, wanted, gradient=g)
            assert np.all(dq[:, 1] == 0)
            assert all(np.all(np.isfinite(d)) for d in (dq, dk, dv, *dmask))
            # all else is as without this query
            short = [mg.tensor(x, requires_grad=True) for x in (q[:, others], k, v)]
            alone = _attention_of(*short, added[others], heads)
            np.testing.assert_allclose(y.data[:, others], alone.data, rtol=1e-12, atol=1e-13)
            theirs = mg.grad(alone, short, gradient=g[:, others])
            for mine, other in zip((dq[:, others], dk, dv), theirs, strict=True):
                np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-13)


def _attention_of(q, k, v, added, heads):
    """The law of attention, stripe by stripe."""
    stripes = zip(*(mg.split(x, heads, axis=-1) for x in (q, k, v)), strict=True)
    scale = (q.shape[-1] / heads) ** -0.5
    parts = [mg.softmax(a @ mg.swapaxes(b, -1, -2) * scale + added) @ c for a, b, c in stripes]
    return mg.concatenate(parts, axis=-1)


@pytest.mark.parametrize("axis", [0, -1, None, (0, 1)])
def test_softmax_and_logsumexp_of_nothing(axis):
    x = mg.tensor(np.zeros((0, 0)), dtype=np.float32, requires_grad=True)
    for fn in (mg.softmax, mg.log_softmax):
        y = fn(x, axis=axis)
        assert y.shape == mg.grad(y, x, gradient=np.zeros((0, 0)))[0].shape == (0, 0)
    y = mg.logsumexp(mg.tensor(np.zeros((2, 0))), axis=1)
    assert y.data.tolist() == [-INF, -INF]
    y = mg.logsumexp(x, axis=axis)
    assert y.dtype == np.float32 and np.all(y.data == -INF)
    assert mg.grad(y, x, gradient=np.ones(y.shape))[0].shape == (0, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_size_of_minus_0_is_0(dtype):
    x = mg.tensor([-0.0, 0.0, -3.0], dtype=dtype, requires_grad=True)
    y = mg.abs(x)
    assert not np.signbit(y.data).any() and y.data.tolist() == [0, 0, 3]
    assert y.dtype == dtype
    assert mg.grad(y, x, gradient=np.array([5.0, 6.0, 7.0]))[0].tolist() == [0, 0, -7]
    assert not np.signbit(mg.ops.l1_norm(x[:1]).data)


def test_a_bound_that_is_nan_makes_clip_nan_as_in_numpy():
    x = [-2.0, 0.5, math.nan, 2.0]
    for low, high in ((math.nan, 1.0), (-1.0, math.nan), (math.nan, None), (None, math.nan)):
        assert np.array_equal(
            mg.clip(mg.tensor(x), low, high).data, np.clip(x, low, high), equal_nan=True
        )
        assert gradient(lambda t, a=low, b=high: mg.clip(t, a, b), x, upstream=[3, 5, 7, 9]) == [
            [0, 0, 0, 0]
        ]
    low = np.array([-1.0, math.nan, -1.0, -1.0])
    assert np.array_equal(mg.clip(mg.tensor(x), low, 1.0).data, [-1, math.nan, math.nan, 1], True)
    sent = gradient(lambda t, a: mg.clip(t, a, 1.0), x, low, upstream=[3, 5, 7, 9])
    assert sent == [[0, 0, 7, 0], [3, 5, 0, 0]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_relu_of_nan_is_nan_with_slope_0(backend):
    x = np.ones((40, 40))
    x[0, :3] = [math.nan, -1.0, -0.0]
    eye = np.eye(40)
    with kernels.use(backend):
        for fn in (mg.relu, lambda t: mg.maximum(t, 0.0), mg.ops.relu):
            y = fn(mg.tensor(x)).data
            assert np.array_equal(y, np.maximum(x, 0), equal_nan=True)
            assert gradient(fn, x, upstream=np.full(x.shape, 3.0))[0][0][:2] == [0, 0]
        (fused,) = gradient(lambda b: mg.linear(eye, eye, b, activation="relu"), x[0])
        assert fused[0] == 0 and np.all(np.isfinite(fused))
    assert "of NaN y is NaN and the slope 0" in mg.ops.relu.why


def test_0_to_a_negative_power_is_infinite_with_slope_minus_infinity():
    with np.errstate(divide="ignore", invalid="ignore"):
        assert (mg.tensor([0.0, 0.0]) ** np.array([-1.0, -0.5])).data.tolist() == [INF, INF]
        sent = gradient(lambda p: 0.0**p, [-1.0, -0.5, 0.0, 2.0], upstream=[3, 5, 7, 9])
    assert sent == [[-INF, -INF, 0, 0]]


def test_large_and_small_arguments_lose_no_digits():
    tiny = mg.tensor([1e-20, -1e-20])
    assert mg.expm1(tiny).data.tolist() == mg.log1p(tiny).data.tolist() == [1e-20, -1e-20]
    assert mg.softplus(mg.tensor(-50.0)).item() == pytest.approx(
        math.log1p(math.exp(-50)), rel=1e-15
    )
    assert mg.sigmoid(mg.tensor(-700.0)).item() == pytest.approx(math.exp(-700), rel=1e-14)


def test_nan_is_passed_on_by_max_abs_relu_and_erf():
    x = mg.tensor([math.nan, 1.0])
    both = (lambda t: mg.maximum(t, 0.0), lambda t: mg.maximum(0.0, t))
    for fn in (mg.abs, mg.relu, mg.erf, mg.gelu, mg.sigmoid, mg.softplus, *both):
        y = fn(x).data
        assert np.isnan(y[0]) and np.isfinite(y[1])
    assert np.isnan(mg.max(x).item()) and np.isnan(mg.sum(x).item())


def test_power_at_zero():
    assert gradient(lambda x: x**0, [0.0, 2.0]) == [[0, 0]]
    assert gradient(lambda x: x**1.0, [0.0, 2.0]) == [[1, 1]]
    assert gradient(lambda x: x**3, [0.0, -2.0]) == [[0, 12]]
    assert gradient(lambda x, p: x**p, [0.0, 2.0], [2.0, 0.0]) == [[0, 0], [0, math.log(2)]]
    assert gradient(lambda p: 2.0**p, [3.0]) == [[8 * math.log(2)]]


def test_where_selects_and_never_multiplies():
    bad = [math.nan, INF, 1.0, 2.0]
    got = gradient(
        lambda a, b: mg.where([True, False, True, False], a, b),
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        upstream=bad,
    )
    np.testing.assert_array_equal(got[0], [math.nan, 0, 1, 0])
    np.testing.assert_array_equal(got[1], [0, INF, 0, 2])


# --- erf ------------------------------------------------------------------------------------------


def test_erf_agrees_with_the_c_library():
    x = np.concatenate(
        [np.linspace(-7, 7, 4001), [3.0, np.nextafter(3, 0), -3.0, 1e-300, 27.5, -40.0, INF, -INF]]
    )
    exact = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(mg.erf(x), exact, rtol=4e-16 * 4, atol=0)
    np.testing.assert_allclose(mg.erf(x.astype(np.float32)), exact, rtol=3e-7, atol=1e-45)
    assert mg.erf(0.5) == pytest.approx(math.erf(0.5), rel=1e-15)


def taylor_erf(re: float, im: float) -> complex:
    """2/sqrt(pi) sum (-1)^n z^(2n+1) / (n! (2n+1)) with 120 decimal digits."""
    getcontext().prec = 120  # as many as pi below has, and more
    a, b = Decimal(re), Decimal(im)
    square = (a * a - b * b, 2 * a * b)
    power, total = (a, b), (a, b)  # power = (-1)^n z^(2n+1) / n!
    for n in range(1, 400):
        (p, q), (s, t) = power, square
        power = ((q * t - p * s) / n, (-p * t - q * s) / n)
        total = (total[0] + power[0] / (2 * n + 1), total[1] + power[1] / (2 * n + 1))
    pi = Decimal(
        "3.1415926535897932384626433832795028841971693993751058209749445923078164"
        "0628620899862803482534211706798"
    )
    scale = 2 / pi.sqrt()
    return complex(float(total[0] * scale), float(total[1] * scale))


@pytest.mark.parametrize("re", [0.0, 0.3, -1.7, 2.9, 3.1, -4.5, 5.9])
def test_complex_erf_agrees_with_its_taylor_series(re):
    for im in (1e-20, 1e-3, -0.05):
        exact, got = taylor_erf(re, im), complex(mg.erf(np.array(re + 1j * im)))
        assert abs(got - exact) <= 2e-15 * abs(exact)
        assert got.imag == pytest.approx(exact.imag, rel=3e-13), (
            "the imaginary part is what a complex step reads"
        )


# --- scalars --------------------------------------------------------------------------------------


WEAK = [
    2,
    2.0,
    True,
    np.float64(2),
    np.float32(2),
    np.int64(2),
    np.array(2.0),
    np.array(2, np.float32),
    np.bool_(True),
]


@pytest.mark.parametrize("scalar", WEAK, ids=lambda s: f"{type(s).__name__}-{np.asarray(s).dtype}")
@pytest.mark.parametrize(
    "fn",
    [
        lambda t, s: t * s,
        lambda t, s: s * t,
        lambda t, s: t - s,
        lambda t, s: s / t,
        lambda t, s: t**s,
        lambda t, s: mg.maximum(t, s),
        lambda t, s: mg.where(t > 1, t, s),
    ],
)
def test_scalars_are_weak(fn, scalar):
    for dtype in (np.float32, np.float64):
        x = mg.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
        y = fn(x, scalar)
        assert y.dtype == dtype and mg.grad(y.sum(), x)[0].dtype == dtype
        np.testing.assert_allclose(y.data, fn(x.data.astype(float), np.float64(scalar)), rtol=1e-6)


def test_tensors_and_arrays_are_strong():
    single = mg.tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    double = mg.tensor(3.0, requires_grad=True)  # no axes, and strong nevertheless: it is a tensor
    y = single * double
    assert y.dtype == np.float64
    a, b = mg.grad(y.sum(), (single, double))
    assert (a.dtype, b.dtype) == (np.float32, np.float64) and a.tolist() == [3, 3] and b.item() == 3
    assert (single * np.array([1.0, 2.0])).dtype == np.float64
    assert (single * np.array([1, 2])).dtype == np.float64, "NumPy: float32 * int64 is float64"
    assert (
        (single * np.array([True, False])).dtype
        == (single + np.array([1, 2], np.float16)).dtype
        == np.float32
    )


def test_mixed_dtypes_have_second_order_too():
    x = mg.tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    w = mg.tensor([3.0, 4.0], requires_grad=True)
    (g,) = mg.grad((x * x * w).sum(), x, create_graph=True)
    assert g.dtype == np.float32
    h = mg.grad(g.sum(), (x, w))
    assert (
        [v.dtype for v in h] == [np.float32, np.float64]
        and h[0].tolist() == [6, 8]
        and h[1].tolist() == [2, 4]
    )


def test_gradcheck_at_ties_is_no_false_alarm():
    x = np.array([0.0, 1.0, 1.0, -2.0])
    bounded = (
        lambda t: mg.maximum(t, 1.0),
        lambda t: mg.minimum(t, 1.0),
        lambda t: mg.clip(t, 0, 1),
    )
    for fn in (mg.relu, mg.abs, mg.max, mg.min, *bounded):
        assert gradcheck(fn, x) and gradcheck(fn, x, order=2)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("size", [2, 40])
def test_a_product_raises_no_floating_point_warning(backend, size):
    """A BLAS raises flags at random (a float32 row of five is enough), so a warning from a product
    would mean nothing.
    """
    x = np.zeros((size, size), np.float32)
    x[0, 0] = np.inf  # inf * 0: a flag that every BLAS raises
    with kernels.use(backend), np.errstate(all="raise"):
        for y in (
            lambda a: a @ x,
            lambda a: mg.linear(a, x, np.zeros(size, np.float32)),
            lambda a: mg.attention(a, x, x, np.zeros((), np.float32)),
        ):
            a = mg.tensor(x, requires_grad=True)
            out = y(a)
            out.backward(x)
            assert np.isnan(out.numpy()).any() and np.isnan(a.grad).any()


# --- values at ties and limits --------------------------------------------------------------------


def gradient_of(function, *values):
    """(value, gradients) at these numbers."""
    xs = [mg.tensor(np.array(v, dtype=float), requires_grad=True) for v in values]
    y = function(*xs)
    return y.data, [g.tolist() for g in mg.grad(y.sum(), xs)]


def test_a_length_of_0_and_a_spread_of_0_have_slope_0():
    assert gradient_of(mg.norm, [0, 0, 0]) == (0, [[0, 0, 0]])
    assert gradient_of(lambda x: mg.norm(x, 3), [0, 0]) == (0, [[0, 0]])
    assert gradient_of(mg.std, [2, 2, 2, 2]) == (0, [[0, 0, 0, 0]])
    x = mg.tensor(np.zeros((2, 3)), requires_grad=True)
    (first,) = mg.grad(mg.norm(x, axis=1).sum(), x, create_graph=True)
    assert np.isfinite(mg.grad((first * first).sum(), x)[0]).all()


def test_a_product_with_zeros_is_exact_to_second_order():
    assert gradient_of(mg.prod, [2, 0, 5])[1] == [[0, 10, 0]]
    assert gradient_of(mg.prod, [2, 0, 0])[1] == [[0, 0, 0]]
    hessian = mg.hessian(lambda x: mg.prod(x), np.array([2.0, 0.0, 0.0, 3.0]))
    expected = np.zeros((4, 4))
    expected[1, 2] = expected[2, 1] = 6
    np.testing.assert_array_equal(hessian, expected)


def test_sorting_is_stable_and_puts_nan_last():
    x = np.array([2.0, np.nan, 1.0, 2.0, -np.inf])
    np.testing.assert_array_equal(mg.sort(x), np.sort(x))
    weights = np.array([1.0, 2, 3, 4, 5])
    t = mg.tensor(x, requires_grad=True)
    (g,) = mg.grad((mg.where(np.isnan(mg.sort(x)), 0, mg.sort(t)) * weights).sum(), t)
    assert g.tolist() == [3, 0, 2, 4, 1], "equal elements keep their order"


def test_logaddexp_of_infinities():
    for a, b, y, shares in [
        (-np.inf, -np.inf, -np.inf, (1, 1)),
        (-np.inf, 1.0, 1.0, (0, 1)),
        (np.inf, 1.0, np.inf, (1, 0)),
        (np.inf, np.inf, np.inf, (1, 1)),
        (1000.0, 1000.0, 1000 + np.log(2), (0.5, 0.5)),
    ]:
        value, gradients = gradient_of(mg.logaddexp, a, b)
        assert value == np.logaddexp(a, b) == y
        assert tuple(gradients) == pytest.approx(shares, rel=1e-12)


def test_what_is_flat_in_steps_has_slope_0_also_at_the_steps():
    x = [-1.5, -1.0, -0.0, 0.0, 2.0, 2.5]
    for function, numpys in ((mg.floor, np.floor), (mg.ceil, np.ceil), (mg.sign, np.sign)):
        value, (g,) = gradient_of(function, x)
        np.testing.assert_array_equal(value, numpys(x))
        assert g == [0] * 6
        assert np.isnan(function(np.array([np.nan]))).all()


def test_the_remainder_has_the_sign_of_the_divisor():
    value, (da, db) = gradient_of(lambda a, b: a % b, [5.5, -5.5, 5.5], [2, 2, -2])
    assert value.tolist() == [1.5, 0.5, -0.5]
    assert (da, db) == ([1, 1, 1], [-2, 3, 3])
    assert (7 % mg.tensor(4.0)).item() == 3


def test_classes():
    logits = mg.tensor([[1.0, 2, 3], [0, 0, 0]], requires_grad=True)
    loss = mg.cross_entropy(logits, np.array([2, 0]), reduction="mean")
    (g,) = mg.grad(loss, logits)
    expected = mg.softmax(logits.data)
    expected[[0, 1], [2, 0]] -= 1
    np.testing.assert_allclose(g, expected / 2, atol=1e-15)
    rows = mg.cross_entropy(logits, mg.tensor([2.0, 0.0]), reduction="none")
    assert rows.shape == (2,) and rows.sum().item() == mg.cross_entropy(logits, [2, 0]).item()
    assert mg.one_hot([1, 0], 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert mg.one_hot([[1], [2]]).shape == (2, 1, 3)
    certain = mg.tensor([[0.0, -np.inf]], requires_grad=True)
    assert mg.cross_entropy(certain, [0]).item() == 0, "a class that cannot be costs nothing"
    for labels, words in (
        ([0, 3], "a label is not the number of a class"),
        ([0.5, 1], "labels are whole numbers"),
        ([0, 1, 2], "the labels do not fit the logits"),
    ):
        with pytest.raises(MinigradError, match=words) as caught:
            mg.cross_entropy(logits, labels)
        assert len(str(caught.value).splitlines()) == 3


def test_numpys_queries_and_pythons_numbers():
    t = mg.tensor([[1.0, np.nan, 3.0], [0.5, -2.0, np.inf]], requires_grad=True)
    np.testing.assert_array_equal(np.isnan(t), np.isnan(t.data))
    np.testing.assert_array_equal(np.isfinite(t), np.isfinite(t.data))
    assert np.argmax(t[0, ::2]) == t[0, ::2].argmax() == 1
    assert np.argmin(t[1]) == t[1].argmin() == 1
    assert np.zeros_like(t).shape == np.ones_like(t).shape == (2, 3)
    assert int(t[0, 2]) == 3 and round(t[1, 0]) == 0 and round(mg.tensor(2.345), 1) == 2.3
    assert t[1].tolist() == [0.5, -2.0, np.inf]
    single = t.astype(np.float32)
    assert single.dtype == np.float32
    assert mg.grad(single[1, 0] * 3, t)[0].dtype == np.float64
    copied = t.copy()
    assert copied is not t and mg.grad(copied[0, 0] * 2, t)[0][0, 0] == 2
    with pytest.raises(DtypeError, match="a tensor cannot hold int64"):
        t.astype(int)
    np.testing.assert_array_equal(np.trace(t.data[:, :2]), np.trace(t[:, :2]).data)
    assert np.linalg.norm(mg.tensor([3.0, 4.0])).item() == 5


def test_a_tensor_of_whole_numbers_is_an_index():
    x = mg.tensor(np.arange(5.0), requires_grad=True)
    rows = mg.tensor([3, 3, -1])
    assert x[rows].data.tolist() == [3, 3, 4]
    assert mg.grad(x[rows].sum(), x)[0].tolist() == [0, 0, 0, 2, 1]
    with pytest.raises(DtypeError, match="a tensor cannot be an index"):
        x[mg.tensor([0.5])]


def test_wrong_settings_of_the_new_functions_are_refused_in_three_lines():
    x = np.ones((2, 3))
    for call, words in [
        (lambda: mg.norm(x, 2), "is the norm of an operator"),
        (lambda: mg.norm(x, -1, axis=0), "norm: ord must"),
        (lambda: mg.var(x, axis=0, ddof=2), "too few elements"),
        (lambda: mg.moveaxis(x, 0, 5), "moveaxis: "),
        (lambda: mg.flip(x, 2), "flip: "),
        (lambda: mg.tensordot(x, x, 1), "tensordot: "),
        (lambda: mg.diag(np.ones((1, 2, 3))), "diag: a vector or a matrix"),
        (lambda: mg.tril(np.ones(3)), "tril: a matrix is needed"),
        (lambda: mg.pad(x, 1, mode="mirror"), "pad"),
        (lambda: mg.roll(x, 1, axis=3), "roll: "),
        (lambda: mg.repeat(x, [1, 2, 3], axis=0), "repeat: "),
        (lambda: mg.cross_entropy(x, [0, 0], reduction="avg"), "reduction"),
    ]:
        with pytest.raises(MinigradError, match=words) as caught:
            call()
        assert len(str(caught.value).splitlines()) == 3, str(caught.value)


def test_flatten_keeps_the_data_axis():
    assert nn.Flatten()(mg.tensor(np.ones((2, 3, 4)))).shape == (2, 12)
    assert nn.Flatten()(np.ones((0, 3, 4))).shape == (0, 12)


@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (300, 7), (2, 3, 4)])
def test_the_sum_in_expressions_is_numpys(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for axis in (None, *range(len(shape)), tuple(range(len(shape)))):
        for keepdims in (False, True):
            found = NAMES["np"].sum(x, axis=axis, keepdims=keepdims)
            expected = np.sum(x, axis=axis, keepdims=keepdims)
            assert type(found) is type(expected) and found.tobytes() == expected.tobytes()
    assert NAMES["np"].sum(x) == np.sum(x) and NAMES["np"].exp is np.exp
