"""Arrays that a backward pass needs do not change behind its back; those that it does not need
may.
"""

from __future__ import annotations

import numpy as np
import pytest
import zoo
from cases import CASES, draw
from helpers import leaf_of_shape

import minigrad_ae as mg
from minigrad_ae.autodiff import engine
from minigrad_ae.errors import GradientError
from minigrad_ae.ops import REGISTRY


def inputs_of(op, case):
    """Tensors of every input; a condition stays what it is."""
    rules = [op.vjps[0]] * len(case.inputs) if op.variadic else op.vjps
    return [
        mg.tensor(a, requires_grad=True) if rule else mg.tensor(a)
        for a, rule in zip(case.inputs, rules, strict=True)
    ]


def changed(a):
    """Other data of the same shape, by which every rule that reads `a` gives another result."""
    a = np.asarray(a)
    return ~a if a.dtype == bool else draw("positive", a.shape, salt="other") - (a > 0) * 5


RULES = [(op, k) for op in REGISTRY.values() for k, rule in enumerate(op.vjps) if rule is not None]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("op", "slot"), RULES, ids=[f"{op.name}-{list(op.rules)[k]}" for op, k in RULES]
)
def test_a_change_is_refused_if_and_only_if_the_rule_reads_what_was_changed(op, slot):
    seen = {}
    for case in CASES[op.name]:
        for i in range(len(case.inputs)) if op.variadic else [slot]:
            y = np.asarray(op.forward(*case.inputs, **case.params))
            g = np.random.default_rng(1).normal(size=y.shape)
            extra = {"i": i} if op.variadic else {}
            rule = op.vjps[slot]
            before = np.asarray(rule(g, y, *case.inputs, **case.params, **extra))
            for k in range(len(case.inputs)):
                arrays = [changed(a) if j == k else a for j, a in enumerate(case.inputs)]
                after = np.asarray(rule(g, y, *arrays, **case.params, **extra))
                reads = before.tobytes() != after.tobytes()
                xs = inputs_of(op, case)
                out = op(*xs, **case.params)
                xs[k].data = arrays[k]
                try:
                    mg.grad(out, xs[i], gradient=g)
                    refused = False
                except GradientError as error:
                    refused = True
                    assert (
                        op.name in str(error)
                        and "too late" in str(error)
                        and __file__.rpartition("/")[2] in str(error)
                    )
                assert refused or not reads, (
                    f"{case}: input {k} was changed and the rule for {i} reads it"
                )
                key = (i - k if op.variadic else i, k if not op.variadic else 0)
                seen.setdefault(key, [False, False])
                seen[key] = [seen[key][0] or reads, seen[key][1] or refused]
    assert all(reads == refused for reads, refused in seen.values()), (
        "what no rule reads may change"
    )


def test_the_step_of_gradient_descent_works_while_the_loss_is_alive():
    w, x = leaf_of_shape(3, 2, name="w"), np.ones((4, 3))
    for _ in range(3):
        w.zero_grad()
        loss = mg.tanh(x @ w).sum()
        loss.backward()
        before = w.data.copy()
        w.data -= 0.1 * w.grad
        assert np.array_equal(w.data, before - 0.1 * w.grad)
    (loss.detach() * w.sum()).backward()  # new graphs are free to use the new data
    y = mg.square(w).sum()
    w.data -= 1
    with pytest.raises(GradientError) as error:
        y.backward()
    what, where, fix = str(error.value).split("\n")
    assert what == "backward() comes too late: 'w' was changed after mul had used it"
    assert (
        "y = mg.square(w).sum()" in where
        and "test_staleness.py" in where
        and "w.data -= 1" in where
        and "fix:" in fix
    )


@pytest.mark.parametrize(
    "view",
    [lambda w: w.T, lambda w: w[1:], lambda w: w.reshape(-1), lambda w: w.T.reshape(3, 2)[:, 0]],
)
def test_a_view_of_a_leaf_is_no_way_around(view):
    w = leaf_of_shape(3, 2, name="w")
    v = view(w)
    copied = not np.shares_memory(v.data, w.data)
    y = mg.square(v).sum()
    w.data -= 1
    if copied:
        return y.backward()
    with pytest.raises(GradientError, match=r"a view of leaf 'w'"):
        y.backward()


def test_a_condition_that_looks_into_a_leaf_counts_too():
    """No gradient flows to a condition, so it is not on the walk; its leaf is found all the
    same.
    """
    c, a = mg.tensor([[1.0, 0.0]], requires_grad=True, name="c"), leaf_of_shape(2, 1, name="a")
    y = mg.where(c.T, a, 0.0).sum()
    c.data = np.array([[0.0, 1.0]])
    with pytest.raises(GradientError, match="a view of leaf 'c'"):
        y.backward()


def test_changes_in_other_graphs_do_not_matter():
    """As when two models are trained in turn: loss, loss, step, step."""
    w, v = leaf_of_shape(3, name="w"), leaf_of_shape(3, name="v")
    first, second = mg.square(w).sum(), mg.square(v).sum()
    for loss, p in ((first, w), (second, v)):
        loss.backward()
        p.data -= 0.1 * p.grad
    assert w.grad is not None and v.grad is not None


def test_every_reader_of_the_graph_refuses():
    w = leaf_of_shape(3, name="w")
    y = mg.exp(w * w).sum()
    w.data *= 2
    for read in (
        lambda: y.backward(),
        lambda: mg.grad(y, w),
        lambda: mg.grad(y, w, create_graph=True),
        lambda: mg.trace(y),
        lambda: list(mg.backward_steps(y)),
        lambda: mg.emit_numpy(y),
    ):
        with pytest.raises(GradientError, match="too late"):
            read()
    assert w.grad is None


def test_only_what_is_on_the_way_counts():
    w, v = leaf_of_shape(3, name="w"), leaf_of_shape(3, name="v")
    y = (mg.exp(v) + mg.square(w)).sum()
    w.data *= 2
    assert np.array_equal(mg.grad(y, v)[0], np.exp(v.data))
    with pytest.raises(GradientError):
        mg.grad(y, w)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", sorted(zoo.ZOO))
def test_what_an_op_computed_is_read_only(name):
    for value in engine.topological(zoo.make(name)):
        assert value.data.flags.writeable == (value.op is None)
        if value.op is not None and value.size:
            with pytest.raises(ValueError, match="read-only"):
                value.data += 1


@pytest.mark.parametrize("op", REGISTRY.values(), ids=lambda op: op.name)
def test_no_op_returns_its_argument(op):
    """A result that shares its array with an input would change with it."""
    for case in CASES[op.name]:
        xs = inputs_of(op, case)
        op(*xs, **case.params)
        assert all(x.data.flags.writeable for x in xs)


def test_kernels_see_memory_that_may_be_written():
    """Numba compiles again for read-only arrays, so only what the user sees carries the flag."""
    w = leaf_of_shape(3, 4)
    for t in (w, mg.exp(w), mg.exp(w)[1:]):
        assert (
            t._data.flags.writeable
            and t.data.ctypes.data == t._data.ctypes.data
            and t.data.strides == t._data.strides
        )


@pytest.mark.parametrize("kind", [mg.optim.SGD, mg.optim.Adam])
@pytest.mark.parametrize("steps", [1, 2, 3, 6])  # observed, compared, as a program, the short way
def test_after_an_optimisers_step_the_users_line_is_named_also_of_a_compiled_step(kind, steps):
    w = leaf_of_shape(3, 3, name="w")
    optimizer, x = kind([w], 0.01), np.ones((3, 3))
    step = mg.compile(lambda x: (x * (w @ w)).sum(), optimizer=optimizer)
    for _ in range(steps):
        y = mg.square(w).sum()
        step(x)
    with pytest.raises(GradientError, match=r"step\(x\)"):
        y.backward()
    y = mg.square(w).sum()
    optimizer.step()
    with pytest.raises(GradientError, match=r"optimizer\.step\(\)"):
        y.backward()
