"""Element-wise kernels: their error in ulp (a table, printed with -s), their special values, their
gradients.
"""

import math
from functools import partial

import numpy as np
import pytest

import minigrad_ae as mg
import minigrad_ae.kernels as kernels

DTYPES = (np.float32, np.float64)
# Largest error of a kernel in units in the last place, over the arguments below; gradients for g =
# 1, see `measured`.
ALLOWED = {
    "exp": 1.1,
    "tanh": 3,
    "sigmoid": 2.5,
    "relu": 0,
    "softplus": 3.5,
    "erf": 2.5,
    "gelu": 6,
    "exp_remainder": 4.5,
    "gelu tanh": 2.5,
    "tanh_backward": 2,
    "sigmoid_backward": 2,
    "softplus_backward": 2.5,
    "erf_backward": 3,
    "gelu_backward": 7,
    "gelu_backward tanh": 5,
    "exp_remainder_backward": 2.5,
    "gaussian_kl": 4.5,
    "gaussian_kl_backward": 2.5,
    "reparameterise": 1.5,
    "reparameterise_backward": 2,
    "half_squares": 2.5,
    "half_squares_backward": 0.6,
    "bernoulli 0": 3.5,
    "bernoulli 0.5": 3.5,
    "bernoulli 1": 3.5,
    "bernoulli_backward 0": 2.5,
    "bernoulli_backward 0.5": 2.5,
    "bernoulli_backward 1": 2.5,
}
# of ops/bindings.py alone: each gives its value, and the slope that its backward pass needs
FUSED = ("gaussian_kl", "reparameterise", "half_squares", "bernoulli")
UNARY = ("exp", "tanh", "sigmoid", "relu", "softplus", "erf", "gelu")
SPECIAL = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    1e38,
    -1e38,
    1e-40,
    -1e-40,
    88.7,
    -88.7,
    104.0,
    -104.0,
    1.0,
    -1.0,
    20.0,
]


PI = np.longdouble("3.14159265358979323846264338327950288")


# --- the functions in long double (64-bit mantissa on x86; where it is a double, only float32 is me


def sigmoid(v):
    return np.where(v < 0, np.exp(-np.abs(v)), 1) / (1 + np.exp(-np.abs(v)))


def softplus(v):
    return np.where(v < 0, 0, v) + np.log1p(np.exp(-np.abs(v)))


def erf_series(z):  # |z| <= 2: e^{-z^2} sum 2^n z^(2n+1) / (1 3 5 ... (2n+1))
    term = total = z
    for n in range(1, 80):
        term = term * (2 * z * z) / (2 * n + 1)
        total = total + term
    return total * 2 / np.sqrt(PI) * np.exp(-z * z)


def erfc(v):
    z = np.abs(v)
    large = np.clip(z, 2, 200)
    fraction = large
    for n in range(200, 0, -1):  # Abramowitz & Stegun 7.1.14
        fraction = large + np.longdouble(n) / 2 / fraction
    right = np.where(
        z < 2, 1 - erf_series(np.minimum(z, 2)), np.exp(-large * large) / (np.sqrt(PI) * fraction)
    )
    return np.where(v < 0, 2 - right, right)


def erf(v):
    return np.where(
        np.abs(v) < 2, erf_series(np.clip(v, -2, 2)), np.sign(v) * (1 - erfc(np.abs(v)))
    )


def exp_remainder(v):
    small, series = np.where(np.abs(v) < 1, v, 0), np.ones_like(v)
    for n in range(26, 2, -1):
        series = 1 + small / n * series
    return np.where(np.abs(v) < 1, small * small / 2 * series, np.expm1(v) - v)


def normal(v):
    """Phi(v), and the density phi(v)."""
    return erfc(-v * np.sqrt(np.longdouble(0.5))) / 2, np.exp(-v * v / 2) / np.sqrt(2 * PI)


# --- each kernel's numbers, the true ones, and what counts as one ulp -----------------------------


def fused(name, *inputs):
    """(result, what it keeps for the backward pass) of a fused kernel on arrays of one shape."""
    kept = np.empty_like(inputs[0])
    if name == "reparameterise":
        result = np.empty_like(inputs[0])
        kernels.fused.reparameterise(*inputs, result, kept)
    else:
        result = np.empty((), inputs[0].dtype)
        kernels.fused.loss(name, *inputs, result, kept)
    return result, kept


def measured(name, x):
    """(found, exact, whose last place): the last is `exact`, except where the argument of the
    formula is itself rounded or its terms cancel at a zero of the result, and then it is the size
    of the terms."""
    v, one = x.astype(np.longdouble), np.ones_like(x)
    each = x.reshape(-1, 1)  # a loss of one number at a time
    name, _, form = name.partition(" ")
    plain = name.removesuffix("_backward")
    kernel = partial(fused, plain) if plain in FUSED else getattr(kernels, name)
    if name in ("tanh_backward", "sigmoid_backward"):  # functions of y
        y = getattr(kernels, plain)(x)
        w = y.astype(np.longdouble)
        exact = (1 - w) * (1 + w) if name == "tanh_backward" else w * (1 - w)
        return kernel(one, y), exact, exact
    if name.startswith("gelu"):
        cdf, density = normal(v)
        tiny = np.finfo(x.dtype).tiny  # below, a number has fewer digits
        found = kernel(one, x, form or None) if "backward" in name else kernel(x, form or None)
        if not form:
            if "backward" in name:
                return (
                    found,
                    cdf + v * density,
                    np.maximum(cdf, np.abs(v) * np.maximum(density, tiny)),
                )
            return found, v * cdf, v * np.maximum(cdf, tiny)
        twice_u = 2 * np.sqrt(2 / PI) * (v + np.longdouble("0.044715") * v**3)
        s, steep = sigmoid(twice_u), 1 + np.abs(twice_u)
        if "backward" not in name:
            return found, v * s, v * np.maximum(s * steep, tiny)
        slope = 2 * np.sqrt(2 / PI) * (1 + 3 * np.longdouble("0.044715") * v * v)
        gradient, terms = (s * (1 + w * slope * sigmoid(-twice_u)) for w in (v, np.abs(v)))
        return found, gradient, np.maximum(terms, tiny * (1 + np.abs(v) * slope)) * steep
    if plain == "bernoulli":
        t = float(form)
        large = np.where(v > 0, v * (1 - t), -v * t)
        exact = large + np.log1p(np.exp(-np.abs(v)))
        if name == "bernoulli":
            return np.array([kernel(a, np.full_like(a, t))[0] for a in each]), exact, exact
        gradient = np.where(v > 0, (1 - t) - sigmoid(-np.abs(v)), sigmoid(-np.abs(v)) - t)
        return (
            kernel(x, np.full_like(x, t))[1],
            gradient,
            np.maximum(np.abs(gradient), t * (1 - t)),
        )
    if name == "gaussian_kl":
        return (
            np.array([kernel(0 * a, a)[0] for a in each]),
            exp_remainder(v) / 2,
            exp_remainder(v) / 2,
        )
    if name == "half_squares":
        return (
            np.array([kernel(a, np.ones_like(a))[0] for a in each]),
            (v - 1) ** 2 / 2,
            (v - 1) ** 2 / 2,
        )
    found, exact = {
        "exp": lambda: (kernel(x), np.exp(v)),
        "tanh": lambda: (kernel(x), np.tanh(v)),
        "sigmoid": lambda: (kernel(x), sigmoid(v)),
        "relu": lambda: (kernel(x), np.where(v <= 0, 0, v)),
        "softplus": lambda: (kernel(x), softplus(v)),
        "erf": lambda: (kernel(x), erf(v)),
        "exp_remainder": lambda: (kernel(x), exp_remainder(v)),
        "softplus_backward": lambda: (kernel(one, x), sigmoid(v)),
        "erf_backward": lambda: (kernel(one, x), 2 / np.sqrt(PI) * np.exp(-v * v)),
        "exp_remainder_backward": lambda: (kernel(one, x), np.expm1(v)),
        "gaussian_kl_backward": lambda: (kernel(one, x)[1], np.expm1(v) / 2),
        "reparameterise": lambda: (kernel(0 * x, x, one)[0], np.exp(v / 2)),
        "reparameterise_backward": lambda: (kernel(one, x, one)[1], np.exp(v / 2) / 2),
        "half_squares_backward": lambda: (kernel(x, one)[1], v - 1),
    }[name]()
    return found, exact, exact


def arguments(dtype):
    """Around 0 and around 1 at every scale from 1e-8 to 1e8, of both signs; and what networks meet
    most.
    """
    rng = np.random.default_rng(0)
    scales = 10.0 ** rng.uniform(-8, 8, 4000)
    near = 10.0 ** rng.uniform(-8, 0, 1000) * rng.choice([-1, 1], 1000)
    usual = np.concatenate([rng.uniform(-80, 80, 4000), rng.standard_normal(4000) * 2])
    return np.concatenate([scales, -scales, 1 + near, -1 + near, usual]).astype(dtype)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", DTYPES)
def test_errors_in_ulp_are_as_stated(dtype):
    if np.finfo(np.longdouble).eps >= np.finfo(dtype).eps / 100:
        pytest.skip("long double is no longer than double here: nothing to measure float64 against")
    x, largest = arguments(dtype), np.finfo(dtype).max / 8
    print(f"\n{np.dtype(dtype)}: largest error in ulp\n{'kernel':28s} measured allowed")
    for name, allowed in ALLOWED.items():
        with np.errstate(all="ignore"):
            found, exact, of = measured(name, x)
            inside = np.abs(exact) < largest  # at the edge of overflow, half of Inf is no number
            ulp = np.spacing(np.maximum(np.abs(of), np.finfo(dtype).tiny).astype(dtype))
            errors = np.where(inside, np.abs(found - exact) / ulp, 0)
        worst = int(np.argmax(errors))
        print(f"{name:28s} {errors[worst]:8.2f} {allowed:7.1f}")
        assert errors[worst] <= allowed, f"{name} at {x[worst]!r}"


@pytest.mark.parametrize("backend", kernels.backend.NAMES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_divergence_from_the_prior_keeps_its_digits_at_every_scale(dtype, backend):
    eps = np.finfo(dtype).eps
    bound = (4.5 + 64 / 8) * eps  # of a term, and of the sum of 64 in eight lanes
    for scale in 10.0 ** np.arange(-8, 2):
        for log_var in (np.full(64, scale, dtype), np.full(64, -scale, dtype)):
            v = log_var.astype(np.longdouble)
            mu, parameter = (
                mg.tensor(np.zeros_like(log_var)),
                mg.tensor(log_var, requires_grad=True),
            )
            with kernels.use(backend):
                kl = mg.ops.gaussian_kl(mu, parameter)
                kl.backward()
                per_row = mg.models.densities.kl_to_prior(mu, mg.tensor(log_var)).data
            exact = (exp_remainder(v) / 2).sum()
            assert kl.data >= 0
            assert abs(kl.data - exact) <= bound * exact and abs(per_row - exact) <= bound * exact
            assert np.all(
                np.abs(parameter.grad - np.expm1(v) / 2) <= 3 * eps * np.abs(np.expm1(v) / 2)
            )
            if dtype == np.float64:
                assert abs(mg.analytic.kl_diagonal(0.0, log_var).sum() - exact) <= bound * exact
                per_unit = mg.models.diagnostics.kl_per_unit(mu.data[:, None], log_var[:, None])
                assert abs(per_unit[0] * 64 - exact) <= bound * exact


def test_exp_remainder_is_differentiable_twice_and_right_at_the_ends():
    x = mg.tensor([-2.0, -1e-9, 0.0, 1e-9, 2.0], requires_grad=True)
    (first,) = mg.grad(mg.ops.exp_remainder(x).sum(), x, create_graph=True)
    (second,) = mg.grad((first * first).sum(), x)
    np.testing.assert_allclose(second, 2 * np.expm1(x.data) * np.exp(x.data), rtol=1e-14)
    for backend in kernels.backend.NAMES:
        with kernels.use(backend), np.errstate(all="ignore"):
            ends = kernels.exp_remainder(
                np.array([np.inf, -np.inf, np.nan, 0.0, -800.0, 800.0] * 3)
            )
        assert np.array_equal(ends[:6], [np.inf, np.inf, np.nan, 0, 799, np.inf], equal_nan=True)


@pytest.mark.parametrize("backend", kernels.backend.NAMES)
def test_a_confident_and_right_pixel_still_has_a_loss(backend):
    logits, target = np.full(100, 20.0, np.float32), np.ones(100, np.float32)
    with kernels.use(backend):
        loss = float(mg.ops.bernoulli_loss(mg.tensor(logits), mg.tensor(target)).data)
        small = float(mg.ops.bernoulli_loss(logits[:1], target[:1]))
    assert (
        abs(loss / (100 * np.log1p(np.exp(-20.0))) - 1) < 1e-5
        and abs(small / np.log1p(np.exp(-20.0)) - 1) < 1e-5
    )


def test_the_tanh_form_of_gelu_keeps_its_left_tail():
    x = np.array([-6.0, -8.0])
    exact = x / (1 + np.exp(2 * math.sqrt(2 / math.pi) * np.abs(x + 0.044715 * x**3)))
    for found in (
        mg.gelu(x, approximate="tanh"),
        kernels.gelu.definition(x, "tanh"),
        kernels.gelu(x, "tanh"),
    ):
        np.testing.assert_allclose(found, exact, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_special_values_come_out_as_numpy_gives_them(name, dtype):
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL * 3, dtype)  # 48: full vectors and a remainder both meet each value
        found, expected = getattr(kernels, name)(x), getattr(kernels, name).definition(x)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    finite = np.isfinite(expected)
    assert np.array_equal(found[np.isinf(expected)], expected[np.isinf(expected)])
    small = np.finfo(dtype).smallest_subnormal
    assert np.allclose(
        found[finite], expected[finite], rtol=16 * np.finfo(dtype).eps, atol=2 * small
    )
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
