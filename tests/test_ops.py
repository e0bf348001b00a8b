"""Laws that hold for every registered op, at every input set of `cases.py`."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, Case, as_dtype, every_case

import minigrad_ae as mg
from minigrad_ae import ops
from minigrad_ae.autodiff.check import gradcheck, rule_error
from minigrad_ae.autodiff.engine import apply_rule
from minigrad_ae.autodiff.rules import NAMES, free_names
from minigrad_ae.ops.compositions import COMPOSITIONS
from minigrad_ae.ops.public import METHODS, PUBLIC

STEP = 1e-20
EVERY = pytest.mark.parametrize(
    "name, case", every_case(), ids=lambda v: v if isinstance(v, str) else str(v)
)


def recorded(name, case):
    """(tensors, y): the op applied to tensors, those with a rule requiring a gradient."""
    op = ops.REGISTRY[name]
    on = [op.variadic or rule is not None for rule in op.vjps] * (
        len(case.inputs) if op.variadic else 1
    )
    tensors = [
        mg.Tensor.new(x, requires_grad=True) if a else x
        for x, a in zip(case.inputs, on, strict=True)
    ]
    return [t for t in tensors if isinstance(t, mg.Tensor)], op(*tensors, **case.params)


def upstream(y, seed=3):
    return np.asarray(np.random.default_rng(seed).standard_normal(y.shape)).astype(y.dtype)


def complex_gradient(op, case, k, u):
    """d<u, y>/dx_k, one element at a time, from the forward alone."""
    gradient = np.empty(case.inputs[k].shape)
    for index in np.ndindex(gradient.shape):
        x = case.inputs[k].astype(complex)
        x[index] += 1j * STEP
        y = op.forward(*case.inputs[:k], x, *case.inputs[k + 1 :], **case.params)
        gradient[index] = np.sum(u * np.imag(y)) / STEP
    return gradient


def size_of(*arrays):
    return max([1e-300, *(np.max(np.abs(a), initial=0) for a in arrays)])


def test_every_op_has_cases_and_every_rule_one_where_it_matters():
    assert set(CASES) - set(ops.REGISTRY) == set(), "cases of an op that there is not"
    for name, op in ops.REGISTRY.items():
        for slot in (k for k, rule in enumerate(op.vjps) if rule is not None):
            gradients = [
                mg.grad(y, xs, gradient=upstream(y))
                for xs, y in (recorded(name, case) for case in CASES[name])
            ]
            assert any(np.any(g[slot - len(op.vjps)]) for g in gradients), (name, slot)


@EVERY
def test_gradient_equals_complex_step_to_ten_digits(name, case):
    xs, y = recorded(name, case)
    u = upstream(y)
    got = mg.grad(y, xs, gradient=u)
    assert type(y.data) is np.ndarray and all(type(g) is np.ndarray for g in got)
    assert np.array_equal(y.data, ops.REGISTRY[name](*case.inputs, **case.params)), (
        "on arrays an op is its forward"
    )
    numbers = [k for k, x in enumerate(case.inputs) if any(x is t.data for t in xs)]
    for k, g in zip(numbers, got, strict=True):
        expected = complex_gradient(ops.REGISTRY[name], case, k, u)
        assert g.shape == expected.shape and g.dtype == np.float64
        assert np.max(np.abs(g - expected), initial=0) <= 1e-10 * size_of(expected), (name, k)
        assert (
            rule_error(ops.REGISTRY[name], k, case.inputs, case.params, np.random.default_rng(0))[1]
            == ""
        )


@EVERY
def test_second_order_equals_complex_step_to_ten_digits(name, case):
    op = ops.REGISTRY[name]
    on = [k for k in range(len(case.inputs)) if op.variadic or op.vjps[k] is not None]

    def function(*xs):
        arguments = list(case.inputs)
        for k, x in zip(on, xs, strict=True):
            arguments[k] = x
        # linear ops have second order too
        return op(*arguments, **case.params) * mg.sin(op(*arguments, **case.params))

    report = gradcheck(function, *(case.inputs[k] for k in on), order=2)
    assert report and report.method == "complex step", str(report)


@EVERY
def test_float32_stays_float32_and_agrees_with_float64(name, case):
    single = as_dtype(name, case, np.float32)
    if name == "cast":
        single = Case(single.inputs, {"dtype": np.float32})
    (xs, y), (xs64, y64) = (
        recorded(name, single),
        recorded(name, as_dtype(name, single, np.float64)),
    )
    u = upstream(y64)
    assert y.dtype == np.float32
    for g, g64 in zip(mg.grad(y, xs, gradient=u), mg.grad(y64, xs64, gradient=u), strict=True):
        assert g.dtype == np.float32 and g.shape == g64.shape
        assert np.max(np.abs(g - g64), initial=0) <= 2e-6 * size_of(g64, u)
    for g in mg.grad(y, xs, gradient=u, create_graph=True):
        assert g.dtype == np.float32


@EVERY
def test_rules_are_linear_in_g_and_change_nothing(name, case):
    before = [np.array(x) for x in case.inputs]
    _, y = recorded(name, case)
    value, u, v = y.data.copy(), upstream(y, 1), upstream(y, 2)
    u.flags.writeable = v.flags.writeable = False
    for i, _ in y.edges:
        both, one, other = (np.asarray(apply_rule(y, i, g)) for g in (2 * u - 3 * v, u, v))
        assert (
            np.max(np.abs(both - (2 * one - 3 * other)), initial=0)
            <= 1e-13 * size_of(one, other, u, v) * 10
        )
        assert not np.any(apply_rule(y, i, np.zeros_like(u))), "no gradient in, none out"
    assert all(np.array_equal(a, b) for a, b in zip(before, case.inputs, strict=True)), (
        "inputs are never changed"
    )
    assert np.array_equal(value, y.data)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_is_a_primitive_or_a_composition(name):
    function = getattr(mg, name)
    assert function is ops.REGISTRY.get(name) or function is COMPOSITIONS.get(name)
    assert name in mg.__all__ and function is getattr(ops, name) and function.__doc__


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_the_tensor_first(name):
    bound = getattr(mg.tensor([[0.5, 0.25]]), name)
    assert bound.__self__.shape == (1, 2) and getattr(mg.Tensor, name).__doc__


def test_what_a_block_says_decides_what_is_public():
    """A private op, a public one that is no method for its condition comes first, a composition."""
    assert not {"add", "cast", "gaussian_kl"} & (PUBLIC.keys() | METHODS.keys())
    assert "where" in PUBLIC and "where" not in METHODS
    assert "trace" in METHODS and "trace" not in PUBLIC
    assert PUBLIC["matmul"] is COMPOSITIONS["matmul"] is mg.matmul


@pytest.mark.parametrize("name", ops.REGISTRY)
def test_rules_are_written_in_registered_names(name):
    op = ops.REGISTRY[name]
    assert op.law and op.why and "g" in "".join(rule or "g" for rule in op.rules.values())
    own = {"g", "y", *op.rules, *op.defaults, *(["i"] if op.variadic else [])}
    numbers = {k for k, v in NAMES.items() if isinstance(v, float)}
    helpers = {
        k for k, v in NAMES.items() if getattr(v, "__module__", "") == "minigrad_ae.ops.calculus"
    }
    allowed = own | set(ops.REGISTRY) | set(COMPOSITIONS) | helpers | numbers
    for text in filter(None, op.rules.values()):
        assert free_names(text) <= allowed, f"{name}: {text}"
    if op.forward_text:
        assert free_names(op.forward_text) <= allowed | {"np"}


def test_definitions_use_nothing_that_a_complex_step_cannot_follow():
    forbidden = {"abs", "absolute", "var", "std", "sign", "conj", "conjugate", "fabs", "angle"}
    for path in sorted(Path(ops.__file__).parent.glob("*.py")):
        if path.name not in ("calculus.py", "notes.py"):  # which define no op
            source = path.read_text(encoding="utf-8")
            constants = (
                n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant)
            )
            for text in [source, *(c for c in constants if isinstance(c, str))]:
                assert not _numpy_names(text) & forbidden, f"{path.name}: {text[:80]}"


def _numpy_names(text):
    try:
        tree = ast.parse(text)
    except SyntaxError:  # prose
        return set()
    attributes = (
        n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
    )
    return {n.attr for n in attributes if n.value.id == "np"}
