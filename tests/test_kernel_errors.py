"""Element-wise kernels: their error in ulp (a table, printed with -s), their special values, their gradients."""

import math

import numpy as np
import pytest

import minigrad_ae.kernels as kernels

DTYPES = (np.float32, np.float64)
# Largest error in units in the last place, over the arguments below.  erf, gelu: see `scale_of`.
ALLOWED = {"exp": 1.1, "tanh": 3, "sigmoid": 2.5, "relu": 0, "softplus": 3.5, "erf": 2.5, "gelu": 3.5}
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e38, -1e38, 1e-40, -1e-40, 88.7, -88.7, 104.0, -104.0, 1.0, -1.0, 20.0]


def exactly(name, x):
    """The function in long double (64-bit mantissa), from NumPy's long double exp, log1p and tanh, and math.erf."""
    v = x.astype(np.longdouble)
    if name == "exp":
        return np.exp(v)
    if name == "tanh":
        return np.tanh(v)
    if name == "sigmoid":
        return np.where(v < 0, np.exp(-np.abs(v)), 1) / (1 + np.exp(-np.abs(v)))
    if name == "relu":
        return np.where(v <= 0, 0, v)
    if name == "softplus":
        return np.where(v < 0, 0, v) + np.log1p(np.exp(-np.abs(v)))
    if name == "erf":
        return np.array([math.erf(t) for t in x.astype(float)], np.longdouble)
    return v * np.array([0.5 * math.erfc(-t * math.sqrt(0.5)) for t in x.astype(float)], np.longdouble)


def scale_of(name, exact, x):
    """One ulp of the result; for gelu of x itself, since Phi(x) carries an absolute error of about one eps."""
    return np.spacing(np.maximum(np.abs(x if name == "gelu" else exact).astype(x.dtype), np.finfo(x.dtype).tiny))


def arguments(dtype):
    rng = np.random.default_rng(0)
    wide, narrow = rng.uniform(-80, 80, 4000), rng.standard_normal(4000) * 2
    tiny = np.exp(rng.uniform(-30, 0, 2000)) * rng.choice([-1, 1], 2000)
    return np.concatenate([wide, narrow, tiny]).astype(dtype)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", DTYPES)
def test_errors_in_ulp_are_as_stated(dtype):
    x = arguments(dtype)
    print(f"\n{np.dtype(dtype)}: largest error in ulp\n{'kernel':10s} measured allowed")
    for name, allowed in ALLOWED.items():
        exact = exactly(name, x)
        worst = float(np.max(np.abs(getattr(kernels, name)(x) - exact) / scale_of(name, exact, x)))
        print(f"{name:10s} {worst:8.2f} {allowed:7.1f}")
        assert worst <= allowed, name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALLOWED)
def test_special_values_come_out_as_numpy_gives_them(name, dtype):
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL * 3, dtype)  # 48: full vectors and a remainder both meet each value
        found, expected = getattr(kernels, name)(x), getattr(kernels, name).definition(x)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    finite = np.isfinite(expected)
    assert np.array_equal(found[np.isinf(expected)], expected[np.isinf(expected)])
    small = np.finfo(dtype).smallest_subnormal
    assert np.allclose(found[finite], expected[finite], rtol=16 * np.finfo(dtype).eps, atol=2 * small)
    if name in ("tanh", "erf", "relu"):
        number = ~np.isnan(expected)
        assert np.array_equal(np.signbit(found[number]), np.signbit(expected[number]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_results_of_exp_are_kept(dtype):
    low = math.log(np.finfo(dtype).tiny)
    x = np.linspace(low - 10, low, 50).astype(dtype)
    exact = np.exp(x.astype(np.longdouble))
    assert np.all(np.abs(kernels.exp(x) - exact) <= 2 * np.spacing(exact.astype(dtype)))


PAIRS = ["exp", "tanh", "sigmoid", "relu", "softplus", "erf", "gelu"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (3, 5), (2, 3, 40)])
def test_backward_kernels_match_their_definitions_on_every_shape(shape, dtype):
    rng = np.random.default_rng(1)
    x, g = (np.asarray(rng.standard_normal(shape) * size, dtype) for size in (3, 1))
    for name in PAIRS:
        backward, saved = getattr(kernels, name + "_backward"), getattr(kernels, name)(x)
        saved = x if name in ("softplus", "erf", "gelu") else saved
        forms = [{}, {"approximate": "tanh"}] if name == "gelu" else [{}]
        for form in forms:
            found, expected = backward(g, saved, **form), backward.definition(g, saved, **form)
            assert found.shape == shape and found.dtype == dtype
            bound = 24 * np.finfo(dtype).eps * np.maximum(np.abs(g), np.abs(expected))
            assert np.all(np.abs(found - expected) <= bound)


@pytest.mark.parametrize("dtype", DTYPES)
def test_strided_views_and_in_place_give_the_same_bits(dtype):
    x = np.random.default_rng(2).standard_normal((40, 60)).astype(dtype)
    for name in PAIRS:
        kernel = getattr(kernels, name)
        assert np.array_equal(kernel(x[::2, ::-3]), kernel(x[::2, ::-3].copy()))
        assert np.array_equal(kernel(x.T), kernel(x).T)
        copy = x.copy()
        assert kernel(copy, out=copy) is copy and np.array_equal(copy, kernel(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_threads(dtype):
    before = kernels.get_num_threads()
    x = np.random.default_rng(3).standard_normal(200_003).astype(dtype)
    for name in PAIRS:
        results = set()
        for threads in (1, 2, 3):
            kernels.set_num_threads(threads)
            results.add(getattr(kernels, name)(x).tobytes())
        assert len(results) == 1, name
    kernels.set_num_threads(before)
