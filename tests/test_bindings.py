"""Each op that has a Numba twin: the kernels give what the definition gives, forward and backward,
to stated rounding.

The bound for an op is `ULPS` units in the last place of the largest number that its sums and
products go through: a few for the polynomials of the kernels (tests/test_kernels.py has the table),
one for each term of a sum.
"""

import math

import numpy as np
import pytest
from cases import CASES, active, as_dtype

import minigrad_ae as mg
from minigrad_ae import kernels
from minigrad_ae.ops import REGISTRY
from minigrad_ae.ops.bindings import FLOATS

TWINS = [name for name, op in REGISTRY.items() if op.twin is not None]
ULPS = 16
BIG = {
    "matmul": [((70, 90), (90, 50)), ((8, 20, 30), (8, 30, 10)), ((4, 20, 30), (30, 40))],
    "linear": [((64, 50), (50, 30), (30,)), ((4, 20, 30), (30, 40), (40,))],
    "layer_norm": [((40, 33), (33,), (33,))],
    "attention": [(*[(20, 17, 8)] * 3, ()), (*[(20, 17, 8)] * 3, (17, 17))],
    "reparameterise": [((40, 7),) * 3],
}
PAIRED = ("half_squared_error", "bernoulli_loss", "gaussian_kl")


def inputs_of(name):
    """Inputs that are large enough for the kernels to be chosen."""
    rng = np.random.default_rng(3)
    for shapes in BIG.get(
        name, [((40, 33), (40, 33))] if name in PAIRED else [((40, 33),), ((7, 5, 60),)]
    ):
        yield [rng.standard_normal(s) for s in shapes]
        if len(shapes[0]) == 2:
            yield [np.asfortranarray(rng.standard_normal(s)) for s in shapes]


def both(name, inputs, params, dtype):
    """(values and gradients with kernels, the same with definitions), of which side the kernels ran
    is checked.
    """
    results = []
    for backend in ("numba", "numpy"):
        with kernels.use(backend):
            tensors = [mg.tensor(x, dtype=dtype, requires_grad=True) for x in inputs]
            y = REGISTRY[name](*tensors, **params)
            assert (y.saved is not None) == (backend == "numba"), (
                f"{name}: the kernels were not chosen as expected"
            )
            upstream = np.random.default_rng(5).standard_normal(y.shape)
            results.append([y.data, *mg.grad(y, tensors, gradient=upstream)])
    return results


def settings_of(name):
    if name == "linear":
        return [{"activation": a} for a in (None, "tanh", "sigmoid", "relu")]
    if name == "attention":
        return [{}, {"heads": 4}]
    return [{"index": np.array([[3, 1], [1, -2], [0, 1]])}] if name == "getitem" else [{}]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TWINS)
def test_the_kernels_agree_with_the_definition(name, dtype):
    eps = float(np.finfo(dtype).eps)
    for inputs in inputs_of(name):
        for params in settings_of(name):
            ours, definition = both(name, inputs, params, dtype)
            terms = max(math.prod(inputs[0].shape), *(x.shape[-1] for x in inputs if x.ndim), 1)
            for a, b in zip(ours, definition, strict=True):
                assert a.dtype == b.dtype == dtype
                assert a.shape == b.shape
                size = max(float(np.max(np.abs(b), initial=0)), 1.0)
                assert float(np.max(np.abs(a - b), initial=0)) <= eps * size * (
                    ULPS + math.sqrt(terms)
                ), (name, params)


@pytest.mark.parametrize("name", TWINS)
def test_every_input_set_of_the_op_gives_the_same_either_way(name):
    for case in CASES[name]:
        for dtype in (np.float32, np.float64):
            c = as_dtype(name, case, dtype)
            results = []
            for backend in ("numba", "numpy"):
                with kernels.use(backend):
                    on = active(name, c)
                    tensors = [
                        mg.tensor(x, requires_grad=True) if k in on else x
                        for k, x in enumerate(c.inputs)
                    ]
                    y = REGISTRY[name](*tensors, **c.params)
                    upstream = np.random.default_rng(1).standard_normal(y.shape)
                    results.append(
                        [y.data, *mg.grad(y, [tensors[k] for k in on], gradient=upstream)]
                    )
            for a, b in zip(*results, strict=True):
                np.testing.assert_allclose(
                    a, b, rtol=64 * np.finfo(dtype).eps, atol=64 * np.finfo(dtype).eps
                )


@pytest.mark.usefixtures("compiled")
def test_no_gradient_is_computed_that_nobody_asked_for(monkeypatch):
    asked = []
    twin = REGISTRY["linear"].twin
    right = twin.backward

    def backward(gradients, *inputs, **params):
        asked.append([gradient is not None for gradient in gradients])
        right(gradients, *inputs, **params)

    monkeypatch.setattr(twin, "backward", backward)
    x, W, b = (
        np.ones((20, 10)),
        mg.tensor(np.ones((10, 4)), requires_grad=True),
        mg.tensor(np.ones(4), requires_grad=True),
    )
    mg.linear(x, W, b).sum().backward()
    mg.grad(mg.linear(x, W, b).sum(), W)
    assert asked == [[False, True, True], [False, True, False]]


@pytest.mark.parametrize("name", TWINS)
def test_a_replaced_rule_disables_the_twin(name):
    op = REGISTRY[name]
    inputs = next(iter(inputs_of(name)))
    tensors = [mg.tensor(x, requires_grad=True) for x in inputs]
    y = op(*tensors, **settings_of(name)[0])
    before = op.vjps[0]
    op.vjps[0] = lambda g, y, *inputs, **params: np.full(inputs[0].shape, 7.0)
    try:
        assert np.all(mg.grad(y, tensors[0], gradient=np.ones(y.shape))[0] == 7.0)
    finally:
        op.vjps[0] = before


@pytest.mark.parametrize("name", TWINS)
def test_gradients_of_gradients_use_the_rules(name):
    inputs = next(iter(inputs_of(name)))
    tensors = [mg.tensor(x, requires_grad=True) for x in inputs]
    y = REGISTRY[name](*tensors, **settings_of(name)[0])
    first = mg.grad(y, tensors[:1], gradient=np.ones(y.shape), create_graph=True)[0]
    assert mg.check_graph((first * first).sum()).ok


def test_inputs_are_never_changed():
    for name in TWINS:
        for inputs in inputs_of(name):
            tensors = [mg.tensor(x, requires_grad=True) for x in inputs]
            before = [t.data.copy() for t in tensors]
            y = REGISTRY[name](*tensors, **settings_of(name)[0])
            g = np.ones(y.shape)
            value = y.data.copy()
            mg.grad(y, tensors, gradient=g)
            assert all(np.array_equal(a, t.data) for a, t in zip(before, tensors, strict=True)), (
                name
            )
            assert np.array_equal(value, y.data) and np.all(g == 1), name


@pytest.mark.parametrize("name", [n for n in TWINS if len(CASES[n][0].inputs) == 1])
def test_special_values_come_out_as_numpy_gives_them(name):
    values = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e38, -1e38, 1.0] * 100)
    results = []
    for backend in ("numba", "numpy"):
        with kernels.use(backend), np.errstate(all="ignore"):
            results.append(
                REGISTRY[name](mg.tensor(values, dtype=np.float32), **settings_of(name)[0]).data
            )
    assert np.array_equal(np.isnan(results[0]), np.isnan(results[1]))
    assert np.array_equal(np.isinf(results[0]), np.isinf(results[1]))


def test_one_thread_or_two_the_same_bits():
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((300, 400)), rng.standard_normal((400, 200))
    before = kernels.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            kernels.set_num_threads(threads)
            t = [mg.tensor(a, dtype=np.float32, requires_grad=True) for a in (x, W)]
            y = mg.linear(*t, activation="tanh")
            results.append([y.data, *mg.grad(mg.softmax(y).max(), t)])
    finally:
        kernels.set_num_threads(before)
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.usefixtures("compiled")
def test_twins_take_contiguous_floats_only():
    op = REGISTRY["tanh"]
    x = np.zeros((40, 40))
    assert op.twin.compute([x], {}) is not None
    assert op.twin.compute([x[::2, ::2]], {}) is None
    assert op.twin.compute([x.astype(complex)], {}) is None
    assert op.twin.compute([x[:2, :2].copy()], {}) is None
    assert {np.dtype(np.float32), np.dtype(np.float64)} == set(FLOATS)
    with kernels.use("numpy"):
        assert op.twin.compute([x], {}) is None


def test_the_step_by_step_view_uses_the_rules_and_agrees():
    t = [mg.tensor(x, requires_grad=True) for x in next(iter(inputs_of("linear")))]
    loss = (mg.linear(*t, activation="tanh") ** 2).sum()
    plain = mg.grad(loss, t)
    mg.trace(loss)
    for x, g in zip(t, plain, strict=True):
        assert np.allclose(x.grad, g, rtol=1e-12, atol=1e-12)
