"""Input sets for every registered op: shapes (no axes, one element, none, broadcast, strided) and
settings.

`CASES[name]` is a list of `Case`s.  The tests of ops, mutations and checks run over REGISTRY and
look here, so an op that is registered without cases makes the suite fail.  All data are float64 and
away from kinks; `as_dtype` converts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad_ae.ops import REGISTRY


@dataclass(frozen=True)
class Case:
    """``op(*inputs, **params)``; inputs without a rule (conditions) keep their dtype."""

    inputs: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        settings = ",".join(f"{k}={v}" for k, v in self.params.items())
        return "x".join(str(np.shape(x)) for x in self.inputs).replace(" ", "") + settings.replace(
            " ", ""
        )


def _seed(*parts: object) -> np.random.Generator:
    return np.random.default_rng(list("|".join(map(str, parts)).encode()))


DOMAINS = {
    "real": lambda rng, shape: rng.standard_normal(shape),
    "positive": lambda rng, shape: rng.uniform(0.3, 3, shape),
    "nonzero": lambda rng, shape: rng.uniform(0.3, 3, shape) * rng.choice([-1.0, 1.0], shape),
    "wide": lambda rng, shape: rng.uniform(-4, 4, shape),
    "unit": lambda rng, shape: rng.uniform(-0.9, 0.9, shape),
}


def draw(
    domain: str, shape: tuple[int, ...], strided: bool = False, salt: object = 0
) -> np.ndarray:
    """Numbers of a domain; `strided` takes them out of a larger, transposed array: not contiguous
    in either order.
    """
    rng = _seed(domain, shape, salt)
    if not strided:
        return np.asarray(DOMAINS[domain](rng, shape))
    larger = np.asarray(DOMAINS[domain](rng, tuple(2 * n for n in reversed(shape))))
    return larger.T[tuple(slice(None, None, 2) for _ in shape)]


UNARY_SHAPES = [(), (1,), (0, 3), (5,), (2, 3, 4)]
BINARY_SHAPES = [
    ((), ()),
    ((2, 3), (2, 3)),
    ((3,), (4, 3)),
    ((4, 3), (3,)),
    ((2, 1), (1, 3)),
    ((0, 3), (3,)),
    ((1,), (4,)),
    ((), (2, 3)),
    ((2, 3), ()),
    ((1, 1), (3,)),
    ((3, 1, 2), (4, 1)),
]


def unary(*domains: str) -> list[Case]:
    cases = [Case((draw(d, shape),)) for d in domains for shape in UNARY_SHAPES]
    return [*cases, Case((draw(domains[0], (3, 4), strided=True),))]


def binary(first: str, second: str) -> list[Case]:
    cases = [Case((draw(first, a), draw(second, b, salt=1))) for a, b in BINARY_SHAPES]
    return [*cases, Case((draw(first, (3, 4), strided=True), draw(second, (4,), salt=1)))]


def settings(
    shape: tuple[int, ...], *options: dict[str, Any], domain: str = "real", strided: bool = False
) -> list[Case]:
    return [Case((draw(domain, shape, strided),), params) for params in options]


def reductions(keepdims: bool = True) -> list[Case]:
    axes = [
        {"axis": 0},
        {"axis": -1},
        {"axis": 1},
        {"axis": (0, 2)},
        {"axis": (-1, 0)},
        {"axis": None},
    ]
    kept = [{**a, "keepdims": True} for a in axes] if keepdims else []
    return [
        *settings((2, 3, 4), *axes, *kept),
        *settings((3, 4), {"axis": 0}, {"axis": 1}, {"axis": None}, strided=True),
        *settings((), {"axis": None}),
        *settings((1,), {"axis": 0}),
        *settings((0, 3), {"axis": 1}),
        *settings((1, 5), {"axis": 0}),
    ]


def softmaxes() -> list[Case]:
    return [
        *settings(
            (2, 3, 4), {"axis": -1}, {"axis": 0}, {"axis": 1}, {"axis": None}, {"axis": (0, 2)}, {}
        ),
        *settings((3, 4), {"axis": 0}, strided=True),
        *settings((), {"axis": None}),
        *settings((1,), {"axis": 0}),
        *settings((0, 3), {"axis": 1}),
        *settings((5,), {}, domain="wide"),
    ]


def conditions() -> list[Case]:
    cases = [
        Case((_seed("c", c).random(c) < 0.5, draw("real", a), draw("real", b, salt=1)))
        for c, a, b in [
            ((), (), ()),
            ((4, 3), (4, 3), (4, 3)),
            ((4, 3), (3,), ()),
            ((3,), (4, 3), (4, 1)),
            ((0, 3), (3,), (0, 3)),
            ((1,), (1,), (1,)),
            ((6, 1), (5,), (6, 5)),
        ]
    ]
    return [
        *cases,
        Case(
            (
                np.array([[1.0], [0.0], [2.0]]),
                draw("real", (3, 4), strided=True),
                draw("real", (4,), salt=1),
            )
        ),
    ]


GRID = np.array([[0, 2, 2], [1, 0, 2]])
MASK = np.array(
    [[True, False, True, True], [False, False, True, False], [True, True, False, False]]
)
INDICES: list[tuple[tuple[int, ...], Any]] = [
    ((5,), 2),
    ((5,), slice(1, 4)),
    ((5,), slice(None, None, -2)),
    ((5,), [0, 0, 3]),
    ((5,), np.array([4, -1, 4])),
    ((1,), 0),
    ((3, 4), (slice(None), 1)),
    ((3, 4), (..., np.newaxis, 0)),
    ((3, 4), GRID),
    ((3, 4), (GRID, GRID)),
    ((3, 4), MASK),
    ((3, 4), (np.array([0, 0, 2]), slice(1, 3))),
    ((3, 4), (slice(None), [3, 3])),
    ((0, 3), slice(0, 2)),
    ((3, 4), slice(0, 0)),
    ((), ()),
    ((), None),
    ((3, 4), MASK[:, 0]),
]


def getitems() -> list[Case]:
    cases = [Case((draw("real", shape),), {"index": index}) for shape, index in INDICES]
    return [
        *cases,
        Case((draw("real", (3, 4), strided=True),), {"index": (slice(None), [1, 1, 0])}),
    ]


def index_adds() -> list[Case]:
    parts = [(np.zeros(shape)[index].shape, shape, index) for shape, index in INDICES]
    return [
        Case((draw("real", part),), {"index": index, "shape": shape})
        for part, shape, index in parts
    ]


def matmuls() -> list[Case]:
    shapes = [
        ((2, 3), (3, 4)),
        ((3, 3), (3, 3)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (4, 3, 2)),
        ((1, 1), (1, 1)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((2, 3, 3), (2, 3, 3)),
    ]
    cases = [Case((draw("real", a), draw("real", b, salt=1))) for a, b in shapes]
    return [*cases, Case((draw("real", (3, 4), strided=True), draw("real", (4, 2), strided=True)))]


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ij->j", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->ij", (3, 3, 2)),
    ("i,j->ij", (2,), (3,)),
    ("i,i", (3,), (3,)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    ("...ij,...jk->...ik", (1, 2, 3), (5, 3, 4)),
    ("...i->...", (2, 3, 4)),
    ("bij,bjk,bk->bi", (2, 3, 4), (2, 4, 2), (2, 2)),
    ("ij,ij->ij", (3, 4), (3, 1)),
    ("ij,ij->i", (3, 4), (3, 1)),
    ("ij,ij->i", (3, 1), (3, 4)),
    (",i->i", (), (3,)),
    ("ij,jk->ik", (0, 3), (3, 2)),
    ("i->i", (1,)),
    ("...,...", (2, 3), (3,)),
]


def einsums() -> list[Case]:
    cases = [
        Case(tuple(draw("real", s, salt=k) for k, s in enumerate(shapes)), {"subscripts": text})
        for text, *shapes in EINSUMS
    ]
    return [
        *cases,
        Case((draw("real", (3, 4), strided=True), draw("real", (4,))), {"subscripts": "ij,j->i"}),
    ]


def concatenations() -> list[Case]:
    lists = [
        ([(2, 3), (4, 3)], 0),
        ([(2, 3), (2, 1), (2, 2)], 1),
        ([(2, 3), (2, 2)], -1),
        ([(0, 3), (2, 3)], 0),
        ([(1,)], 0),
        ([(3,), (3,)], 0),
    ]
    cases = [
        Case(tuple(draw("real", s, salt=k) for k, s in enumerate(shapes)), {"axis": axis})
        for shapes, axis in lists
    ]
    return [*cases, Case((draw("real", (3, 4), strided=True), draw("real", (2, 4))), {"axis": 0})]


def triples(
    kinds: tuple[str, str, str], shapes: list[tuple[Any, Any, Any]], *options: dict[str, Any]
) -> list[Case]:
    """Cases of three inputs; every shape meets every setting."""
    return [
        Case(
            tuple(draw(k, s, salt=j) for j, (k, s) in enumerate(zip(kinds, shape, strict=True))),
            option,
        )
        for shape in shapes
        for option in (options or ({},))
    ]


def linears() -> list[Case]:
    shapes = [
        ((4, 3), (3, 2), (2,)),
        ((2, 4, 3), (3, 2), (2,)),
        ((3,), (3, 2), (2,)),
        ((0, 3), (3, 2), (2,)),
        ((1, 1), (1, 1), (1,)),
        ((4, 3), (3, 2), ()),
    ]
    names = [{"activation": a} for a in (None, "tanh", "sigmoid", "relu")]
    strided = Case(
        (
            draw("real", (4, 3), strided=True),
            draw("real", (3, 2), strided=True),
            draw("real", (2,)),
        ),
        names[1],
    )
    return [*triples(("real", "real", "real"), shapes, *names), strided]


def attentions() -> list[Case]:
    shapes = [
        ((3, 4), (3, 4), (3, 4)),
        ((2, 3, 4), (2, 5, 4), (2, 5, 2)),
        ((2, 2, 3, 2), (2, 2, 3, 2), (2, 2, 3, 2)),
        ((0, 3, 2), (0, 3, 2), (0, 3, 2)),
        ((1, 1), (1, 1), (1, 1)),
    ]
    cases = [
        Case((*c.inputs, draw("real", (c.inputs[0].shape[-2], c.inputs[1].shape[-2]), salt=9)))
        for c in triples(("real", "real", "real"), shapes)
    ]
    mask = np.where(np.tri(3, dtype=bool), 0.3, -np.inf)
    strided = [draw("real", (3, 4), strided=True, salt=k) for k in range(3)]
    heads = [
        Case((*(draw("real", (2, 3, 4), salt=k) for k in range(3)), mask), {"heads": n})
        for n in (2, 4)
    ]
    return [
        *cases,
        *heads,
        Case((*strided, mask)),
        Case((*(draw("real", (2, 3, 4), salt=k) for k in range(3)), mask)),
    ]


PAIRS = [((), ()), ((2, 3), (2, 3)), ((0, 3), (0, 3)), ((1,), (1,)), ((4, 3), (3,))]


def pairs(first: str, second: str) -> list[Case]:
    cases = [Case((draw(first, a), draw(second, b, salt=1))) for a, b in PAIRS]
    return [
        *cases,
        Case((draw(first, (3, 4), strided=True), draw(second, (3, 4), strided=True, salt=1))),
    ]


ZERO = Case((np.zeros(2),))  # where formulas for x < 0 and x > 0 meet


class InputSets(dict[str, list[Case]]):
    """{name of an op: its cases}; says what to write where there are none."""

    def __missing__(self, name: str) -> list[Case]:
        op = REGISTRY[name]
        kinds = {1: 'unary("real")', 2: 'binary("real", "real")'}
        entry = kinds.get(op.arity, "[Case((x, y, ...), {settings}), ...]")
        raise AssertionError(
            f"{op!r} has no input sets: add\n    {name!r}: {entry},\nto CASES in tests/cases.py "
            f"(domains: {', '.join(DOMAINS)})"
        )


CASES = InputSets(
    {
        "cbrt": unary("nonzero"),
        "hypot": binary("nonzero", "real"),
        **{name: binary("real", "real") for name in ("add", "sub", "mul", "maximum")},
        **{name: unary("real") for name in ("relu", "abs")},
        **{
            name: [*unary("real"), ZERO]
            for name in ("neg", "expm1", "sin", "cos", "tanh", "sigmoid", "softplus", "exp")
        },
        **{name: [*unary("real"), ZERO] for name in ("exp2", "sinh", "cosh", "arctan")},
        "tan": [*unary("unit"), ZERO],
        **{name: [*unary("unit"), ZERO] for name in ("arcsin", "arccos")},
        **{name: unary("positive") for name in ("log2", "log10")},
        "logaddexp": binary("wide", "wide"),
        "remainder": binary("real", "nonzero"),
        "cumsum": [
            *settings((2, 3, 4), {"axis": None}, {"axis": 0}, {"axis": -1}),
            *settings((), {"axis": None}),
            *settings((1,), {"axis": 0}),
            *settings((0, 3), {"axis": 1}),
            *settings((3, 4), {"axis": 1}, strided=True),
        ],
        "exp_remainder": [*unary("real"), *unary("wide")],
        **{name: [*unary("wide"), ZERO] for name in ("erf", "gelu_erf", "gelu_tanh")},
        **{name: unary("positive") for name in ("log", "log1p", "sqrt")},
        "div": binary("real", "nonzero"),
        "power": [
            *binary("positive", "real"),
            Case((draw("positive", (3,)), np.array([0.0, 1.0, 2.0]))),
        ],
        "where": conditions(),
        "cast": [
            Case((x,), {"dtype": np.float64}) for x in (draw("real", s) for s in UNARY_SHAPES)
        ],
        "getitem": getitems(),
        "index_add": index_adds(),
        "matmul": matmuls(),
        "einsum": einsums(),
        "concatenate": concatenations(),
        "sum": reductions(),
        "max": reductions(),
        "logsumexp": reductions(),
        "softmax": softmaxes(),
        "log_softmax": softmaxes(),
        "linear": linears(),
        "attention": attentions(),
        "layer_norm": [
            *triples(
                ("real", "real", "real"),
                [
                    ((4, 5), (5,), (5,)),
                    ((2, 3, 4), (4,), (4,)),
                    ((0, 3), (3,), (3,)),
                    ((5,), (5,), ()),
                    ((4, 5), (), ()),
                    ((1,), (1,), (1,)),
                ],
            ),
            *triples(("real", "real", "real"), [((4, 5), (5,), (5,))], {"eps": 0.5}),
            Case(
                (draw("real", (4, 5), strided=True), draw("real", (5,)), draw("real", (5,), salt=1))
            ),
        ],
        "half_squared_error": pairs("real", "real"),
        "bernoulli_loss": pairs("real", "positive"),
        "gaussian_kl": pairs("real", "real"),
        "l1_norm": unary("real"),
        "unit_rows": [
            *settings((5,), {}),
            *settings((2, 3, 4), {}),
            *settings((0, 3), {}),
            *settings((3, 4), {}, strided=True),
            *settings((4, 3), {}, domain="positive"),
        ],
        "reparameterise": triples(
            ("real", "real", "real"),
            [((2, 3),) * 3, ((),) * 3, ((0, 3),) * 3, ((1,),) * 3, ((4, 3), (3,), (4, 3))],
        ),
        "reshape": [
            *settings((2, 6), {"shape": (3, 4)}, {"shape": -1}, {"shape": (2, -1, 2)}),
            *settings((), {"shape": (1, 1)}),
            *settings((0, 3), {"shape": (3, 0)}),
            *settings((3, 4), {"shape": (4, 3)}, strided=True),
            *settings((1,), {"shape": ()}),
        ],
        "transpose": [
            *settings((2, 3, 4), {"axes": None}, {"axes": (2, 0, 1)}, {"axes": (0, -1, 1)}),
            *settings((), {"axes": None}),
            *settings((0, 3), {}),
            *settings((3, 3), {}, strided=True),
        ],
        "broadcast_to": [
            *settings((3,), {"shape": (4, 3)}),
            *settings((2, 1), {"shape": (2, 3)}),
            *settings((), {"shape": (2, 2)}),
            *settings((1, 3), {"shape": (0, 2, 3)}),
            *settings((3, 1), {"shape": (2, 3, 4)}, strided=True),
        ],
        "pad": [
            *settings(
                (2, 3),
                {"pad_width": 1},
                {"pad_width": ((1, 0), (2, 3))},
                {"pad_width": ((0, 2),), "value": 7.0},
            ),
            *settings((4,), {"pad_width": (1, 2)}),
            *settings((), {"pad_width": 0}),
            *settings((0, 2), {"pad_width": 1}),
        ],
    }
)


def active(name: str, case: Case) -> list[int]:
    """The numbers of the inputs that have a rule."""
    op = REGISTRY[name]
    return [k for k in range(len(case.inputs)) if op.variadic or op.vjps[k] is not None]


def as_dtype(name: str, case: Case, dtype: Any) -> Case:
    """The same case in another dtype, its strides kept."""
    on = active(name, case)
    return Case(
        tuple(x.astype(dtype, order="K") if k in on else x for k, x in enumerate(case.inputs)),
        case.params,
    )


def every_case() -> list[tuple[str, Case]]:
    return [(name, case) for name in REGISTRY for case in CASES.get(name, [])]
