"""Compositions against NumPy's own values, and their gradients against a complex step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cases import draw

import minigrad_ae as mg
from minigrad_ae.ops.compositions import COMPOSITIONS

X, Y, Z = (
    draw("real", (2, 3, 4)),
    draw("real", (3, 4), salt=1),
    draw("real", (2, 3, 4), strided=True, salt=2),
)
SQUARE = draw("real", (3, 3))
VECTOR, MATRIX, STACK = draw("real", (4,)), draw("real", (4, 3)), draw("real", (5, 4, 3))
Q, K, V = (draw("real", (2, 3, 4), salt=k) for k in range(3))
MASK = np.array([[True, False, True], [True, True, False], [False, False, True]])
KEEP = np.array([1.0, 0, 1, 1])


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(q, k, v, mask=None):
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    return softmax(scores) @ v


def layer_norm(x, weight=1.0, bias=0.0, eps=1e-5):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * weight + bias


def normal_cdf(x):
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def einsums(*operands):
    return lambda text: (f"einsum {text}", lambda m, *xs: m.einsum(text, *xs), operands)


# (title, function of (mg or np, arrays), arrays)
SAME = [
    ("square", lambda m, x: m.square(x), [X]),
    ("minimum", lambda m, x, y: m.minimum(x, y), [X, Y]),
    ("minimum with a number", lambda m, x: m.minimum(0.1, x), [X]),
    ("clip", lambda m, x: m.clip(x, -0.5, 0.7), [X]),
    ("clip one side", lambda m, x: m.clip(x, None, 0.2), [X]),
    ("clip by arrays", lambda m, x: m.clip(x, -abs(Y), abs(Y)), [X]),
    *(
        (
            f"{f} {axis} {keep}",
            lambda m, x, f=f, axis=axis, keep=keep: getattr(m, f)(x, axis=axis, keepdims=keep),
            [x],
        )
        for f in ("mean", "var", "min")
        for x in (X, Z)
        for axis, keep in [(None, False), (0, True), (-1, False), ((0, 2), True), ((-1, -2), False)]
    ),
    ("var of one", lambda m, x: m.var(x), [X[0, 0, :1]]),
    *(
        (
            f"{f} {axis} {keep} {ddof}",
            lambda m, x, f=f, axis=axis, keep=keep, ddof=ddof: getattr(m, f)(
                x, axis=axis, keepdims=keep, ddof=ddof
            ),
            [X],
        )
        for f in ("var", "std")
        for axis, keep, ddof in [(None, False, 1), (0, True, 0), ((0, -1), False, 2)]
    ),
    *(
        (f"prod {axis} {keep}", lambda m, x, a=axis, k=keep: m.prod(x, axis=a, keepdims=k), [x])
        for x in (X, Z, np.array([2.0, 0, 3, 0.5, 0, 7]), np.array([2.0, 0, 3]), np.zeros((0, 3)))
        for axis, keep in [(None, False), (0, True), (-1, False)]
    ),
    ("prod of pairs", lambda m, x: m.prod(x, axis=(0, -1)), [X]),
    ("clip in NumPy's names", lambda m, x: m.clip(x, a_min=-0.5, a_max=0.7), [X]),
    *((f"{f}", lambda m, x, f=f: getattr(m, f)(x), [X]) for f in ("floor", "ceil", "sign")),
    ("ravel", lambda m, x: m.ravel(x), [Z]),
    ("moveaxis", lambda m, x: m.moveaxis(x, 0, -1), [X]),
    ("moveaxis twice", lambda m, x: m.moveaxis(x, (0, 2), (1, 0)), [X]),
    *((f"flip {a}", lambda m, x, a=a: m.flip(x, axis=a), [X]) for a in (None, 0, -1, (0, 2))),
    *(
        (f"roll {s} {a}", lambda m, x, s=s, a=a: m.roll(x, s, axis=a), [X])
        for s, a in [(3, None), (-1, 1), ((1, 2), (0, -1)), (0, 0)]
    ),
    *(
        (f"repeat {r} {a}", lambda m, x, r=r, a=a: m.repeat(x, r, axis=a), [X])
        for r, a in [(2, None), (3, 1), ([1, 0, 2], 1), (0, 0)]
    ),
    *((f"tile {r}", lambda m, x, r=r: m.tile(x, r), [Y]) for r in (2, (2, 3), (2, 1, 3), (1,))),
    *(
        (f"diag {k}", lambda m, x, k=k: m.diag(x, k), [x])
        for x in (VECTOR, MATRIX)
        for k in (0, 1, -2)
    ),
    *(
        (f"{f} {k}", lambda m, x, f=f, k=k: getattr(m, f)(x, k), [X])
        for f in ("tril", "triu")
        for k in (0, 1, -1)
    ),
    ("hstack", lambda m, x, y: m.hstack([x, y, x]), [Y, Z[0]]),
    ("hstack of vectors", lambda m, x: m.hstack([x, x]), [VECTOR]),
    ("vstack", lambda m, x, y: m.vstack([x, y]), [Y, Z[0]]),
    ("vstack of vectors", lambda m, x, y: m.vstack([x, y]), [VECTOR, VECTOR[::-1]]),
    *((f"sort {a}", lambda m, x, a=a: m.sort(x, axis=a), [X]) for a in (-1, 0, 1, None)),
    *(
        (f"pad {mode}", lambda m, x, mode=mode: m.pad(x, ((1, 2), (2, 0)), mode=mode), [Y])
        for mode in ("edge", "reflect", "symmetric", "wrap")
    ),
    ("pad by NumPy's names", lambda m, x: m.pad(x, 1, mode="constant", constant_values=2), [Y]),
    ("pad 'edge' by position", lambda m, x: m.pad(x, 1, "edge"), [Y]),
    *(
        (f"dot {a.ndim} {b.ndim}", lambda m, x, y: m.dot(x, y), [a, b])
        for a, b in [(VECTOR, VECTOR), (X, VECTOR), (VECTOR, MATRIX), (X[0], MATRIX), (X, STACK)]
    ),
    ("dot of a number", lambda m, x: m.dot(x, 2.0), [X]),
    ("inner", lambda m, x, y: m.inner(x, y), [X, Y]),
    ("inner of vectors", lambda m, x, y: m.inner(x, y), [VECTOR, VECTOR[::-1]]),
    ("outer", lambda m, x, y: m.outer(x, y), [VECTOR, Y]),
    *(
        (f"tensordot {axes}", lambda m, x, y, axes=axes: m.tensordot(x, y, axes), [a, b])
        for axes, a, b in [
            (2, X, X[0]),
            (1, X, MATRIX),
            (0, VECTOR, VECTOR),
            (((0, 1), (0, 1)), X, X),
            ((2, -1), X, Y),
        ]
    ),
    ("einsum by numbers", lambda m, x, y: m.einsum(x, [0, 1], y, [1, 2], [2, 0]), [X[0], MATRIX]),
    ("einsum by numbers, implicit", lambda m, x, y: m.einsum(x, [..., 0], y, [0]), [X, VECTOR]),
    ("swapaxes", lambda m, x: m.swapaxes(x, 0, -1), [X]),
    ("expand_dims", lambda m, x: m.expand_dims(x, -2), [X]),
    ("squeeze", lambda m, x: m.squeeze(x), [X[:1, :, :1]]),
    ("squeeze one", lambda m, x: m.squeeze(x, 0), [X[:1, :, :1]]),
    ("squeeze two", lambda m, x: m.squeeze(x, (0, -1)), [X[:1, :, :1]]),
    (
        "split in equal parts",
        lambda m, x: m.concatenate([p * (k + 1) for k, p in enumerate(m.split(x, 2, -1))], 0),
        [X],
    ),
    ("split at places", lambda m, x: m.split(x, [1, 3], axis=2)[1], [X]),
    ("split beyond the end", lambda m, x: m.split(x, [1, 9], axis=1)[1], [X]),
    ("stack", lambda m, x, y: m.stack([x, y, x], axis=1), [Y, Z[0]]),
    ("stack at the end", lambda m, x, y: m.stack([x, y], axis=-1), [Y, Z[0]]),
    ("concatenate flattened", lambda m, x, y: m.concatenate([x, y], axis=None), [X, Y]),
    ("take", lambda m, x: m.take(x, [0, 0, 2], axis=1), [X]),
    ("take from the end", lambda m, x: m.take(x, np.array([[1, -1], [0, 1]]), axis=-1), [X]),
    ("take flattened", lambda m, x: m.take(x, [23, 0, 0]), [X]),
    ("take a number", lambda m, x: m.take(x, 1, axis=-2), [X]),
    ("pad", lambda m, x: m.pad(x, ((1, 0), (0, 2))), [Y]),
    ("pad by one number", lambda m, x: m.pad(x, 2), [X]),
    ("matmul of vectors", lambda m, x, y: m.matmul(x, y), [VECTOR, VECTOR[::-1]]),
    ("matmul vector matrix", lambda m, x, y: m.matmul(x, y), [VECTOR, MATRIX]),
    ("matmul matrix vector", lambda m, x, y: m.matmul(x, y), [MATRIX.T, VECTOR]),
    ("matmul vector stack", lambda m, x, y: m.matmul(x, y), [VECTOR, STACK]),
    ("matmul stack vector", lambda m, x, y: m.matmul(x, y), [STACK.swapaxes(1, 2), VECTOR]),
    ("matmul batched", lambda m, x, y: m.matmul(x, y), [X, STACK[:2]]),
    ("matmul broadcast", lambda m, x, y: m.matmul(x, y), [Y, STACK]),
    ("x @ y", lambda m, x, y: x @ y, [X, MATRIX]),
    *map(einsums(X), ["...i->i...", "ijk->k", "ijk->", "kij"]),
    *map(einsums(SQUARE), ["ii", "ii->i", "ij->ji"]),
    *map(einsums(X, STACK[:2]), ["...ij,...jk->...ik", "bij,bjk->bk", "bij,cjk->bc"]),
    *map(einsums(Y, Y[:, :1]), ["ij,ij->ij", "ij,ij->i", "ij,ij", "ij,ij->j"]),
    *map(einsums(VECTOR, VECTOR, MATRIX), ["i,i,ij->j", "i,k,ij->jk"]),
]

# (title, function of mg, the same in NumPy, arrays)
OWN = [
    *(
        (
            f"norm {o} {a} {k}",
            lambda x, o=o, a=a, k=k: mg.norm(x, o, axis=a, keepdims=k),
            lambda x, o=o, a=a, k=k: np.linalg.norm(x, o, axis=a, keepdims=k),
            [X],
        )
        for o, a, k in [
            (None, -1, True),
            (2, 1, False),
            (1, 0, False),
            (np.inf, -1, False),
            (-np.inf, -1, False),
            (3, -1, True),
            (0.5, -1, False),
        ]
    ),
    ("norm of all", mg.norm, np.linalg.norm, [X]),
    ("norm of a matrix", lambda x: mg.norm(x, "fro"), lambda x: np.linalg.norm(x, "fro"), [MATRIX]),
    ("flatten", mg.flatten, np.ravel, [Z]),
    *(
        (f"trace {k}", lambda x, k=k: mg.ops.trace(x, k), lambda x, k=k: np.trace(x, k), [X])
        for k in (0, 1, -1)
    ),
    (
        "trace of other axes",
        lambda x: mg.ops.trace(x, 0, 2, 0),
        lambda x: np.trace(x, 0, 2, 0),
        [X],
    ),
    ("leaky_relu", lambda x: mg.leaky_relu(x, 0.2), lambda x: np.where(x > 0, x, 0.2 * x), [X]),
    ("elu", lambda x: mg.elu(x, 0.7), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)), [X]),
    ("silu", mg.silu, lambda x: x / (1 + np.exp(-x)), [X]),
    (
        "cross_entropy",
        lambda x: mg.cross_entropy(x, [1, 0, 2, 2]),
        lambda x: -np.log(softmax(x))[np.arange(4), [1, 0, 2, 2]].sum(),
        [MATRIX],
    ),
    (
        "cross_entropy of shares",
        lambda x: mg.cross_entropy(x, softmax(MATRIX[::-1]), reduction="mean"),
        lambda x: -(softmax(MATRIX[::-1]) * np.log(softmax(x))).sum(-1).mean(),
        [MATRIX],
    ),
    (
        "linear",
        lambda x, w, b: mg.linear(x, w, b),
        lambda x, w, b: x @ w + b,
        [X, MATRIX, draw("real", (3,))],
    ),
    (
        "linear tanh",
        lambda x, w: mg.linear(x, w, activation="tanh"),
        lambda x, w: np.tanh(x @ w),
        [X, MATRIX],
    ),
    (
        "linear gelu",
        lambda x, w: mg.linear(x, w, activation="gelu"),
        lambda x, w: (x @ w) * normal_cdf(x @ w),
        [X, MATRIX],
    ),
    ("layer_norm", lambda x: mg.layer_norm(x), layer_norm, [X]),
    (
        "layer_norm affine",
        lambda x, w, b: mg.layer_norm(x, w, b),
        layer_norm,
        [X, VECTOR, MATRIX[:, 0]],
    ),
    ("layer_norm eps", lambda x: mg.layer_norm(x, eps=0.5), lambda x: layer_norm(x, eps=0.5), [X]),
    ("gelu", mg.gelu, lambda x: x * normal_cdf(x), [X]),
    ("gelu tanh", lambda x: mg.gelu(x, approximate="tanh"), gelu_tanh, [X]),
    ("gelu_gate", COMPOSITIONS["gelu_gate"], lambda x: gelu_tanh(x) / x, [X]),
    ("dropout", lambda x: mg.dropout(x, KEEP, 0.25), lambda x: x * KEEP / 0.75, [X]),
    ("attention", mg.attention, attention, [Q, K, V]),
    (
        "attention mask",
        lambda q, k, v: mg.attention(q, k, v, MASK),
        lambda q, k, v: attention(q, k, v, MASK),
        [Q, K, V],
    ),
    (
        "attention added",
        lambda q, k, v: mg.attention(q, k, v, np.where(MASK, 0.3, -np.inf)),
        lambda q, k, v: attention(q, k, v, np.where(MASK, 0.3, -np.inf)),
        [Q, K, V],
    ),
    (
        "attention heads",
        lambda q, k, v: mg.attention(q, k[:, :2], v[:, :2]),
        lambda q, k, v: attention(q, k[:, :2], v[:, :2]),
        [Q, K, V],
    ),
]

EVERY = [(t, lambda *xs, f=f: f(mg, *xs), lambda *xs, f=f: f(np, *xs), a) for t, f, a in SAME] + OWN


@pytest.mark.parametrize(
    "title, ours, numpys, arrays", EVERY, ids=lambda v: v if isinstance(v, str) else ""
)
def test_values_are_numpys_and_gradients_a_complex_steps(title, ours, numpys, arrays):
    expected = numpys(*arrays)
    got = ours(*(mg.tensor(x) for x in arrays))
    assert isinstance(got, mg.Tensor) and got.shape == np.shape(expected)
    np.testing.assert_allclose(got.data, expected, rtol=1e-13, atol=1e-14)
    plain = ours(*arrays)
    assert not isinstance(plain, mg.Tensor), "on arrays it gives an array"
    np.testing.assert_allclose(plain, expected, rtol=1e-13, atol=1e-14)
    for order in (1, 2):
        report = mg.gradcheck(lambda *xs: ours(*xs) * mg.cos(ours(*xs)), *arrays, order=order)
        assert report and report.method == "complex step", str(report)
    single = [mg.tensor(x, dtype=np.float32, requires_grad=True) for x in arrays]
    y = ours(*single)
    assert y.dtype == (np.float64 if title == "clip by arrays" else np.float32), (
        "only an array of bounds is float64 here"
    )
    for x, g in zip(arrays, mg.grad(y, single, gradient=np.ones(y.shape)), strict=True):
        assert g.dtype == np.float32 and g.shape == x.shape


IN_RULES = (  # of fused ops
    "activate slope rows average inverse_deviation normalised attention_weights scores_gradient "
    "headed joined weight_in_sum"
)


def test_every_composition_is_tried_here():
    tried = " ".join([IN_RULES, *(title for title, *_ in EVERY)])
    missing = [name for name in COMPOSITIONS if name not in tried]
    assert not missing, (
        f"{missing} are not tried: add (name, ours, its definition in NumPy, [inputs]) to EVERY in "
        "tests/test_compositions.py"
    )


def test_parts_of_a_split_are_numpys():
    for sections, axis in [(2, 2), ([1, 3], -1), ([1], 0), ([3, 1], 2), ([], 1)]:
        ours = mg.split(mg.tensor(X), sections, axis)
        assert all(
            np.array_equal(a.data, b)
            for a, b in zip(ours, np.split(X, sections, axis), strict=True)
        )


def test_lists_and_numbers_are_welcome_where_no_gradient_is_wanted():
    assert (
        mg.relu([1.0, -1.0]).tolist() == [1, 0]
        and mg.mean([1, 2, 3]) == 2
        and mg.sigmoid(0.0) == 0.5
    )
    assert mg.concatenate([[1.0], np.array([2.0])]).tolist() == [1, 2] and mg.stack(
        [1.0, 2.0]
    ).tolist() == [1, 2]
    assert mg.sum(x=mg.tensor([1.0, 2.0])).item() == 3 and mg.maximum(
        0.0, b=mg.tensor([1.0])
    ).data.tolist() == [1]


def test_a_mask_hides_what_it_hides():
    v = mg.tensor(V, requires_grad=True)
    (g,) = mg.grad(mg.attention(Q, K, v, MASK)[:, 0].sum(), v)
    assert not np.any(g[:, 1]) and np.all(g[:, [0, 2]]), "the first query sees tokens 0 and 2 only"
