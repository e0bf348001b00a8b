"""Random orders of what a user does to a graph: build it, with and without recording, write to its
leaves, hook, retain, pass backward, clear.  Beside it runs a model in forward mode, which keeps
copies of all numbers and says what each gradient is, and which pass must be refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

import minigrad_ae as mg
from minigrad_ae.errors import GradientError

# kind: (ours, the tangent of the result by values and tangents, which inputs rule i reads)
KINDS: dict[str, tuple[Any, Any, Any]] = {
    "add": (lambda a, b: a + b, lambda v, t: t[0] + t[1], ((), ())),
    "mul": (lambda a, b: a * b, lambda v, t: v[1] * t[0] + v[0] * t[1], ((1,), (0,))),
    "sin": (mg.sin, lambda v, t: np.cos(v[0]) * t[0], ((0,),)),
    "tanh": (mg.tanh, lambda v, t: (1 - np.tanh(v[0]) ** 2) * t[0], ((),)),
    "mean": (lambda a: a.mean(), lambda v, t: np.mean(t[0]), ((),)),
}


@dataclass(eq=False)
class Node:
    """A tensor, and what the model knows of it."""

    tensor: mg.Tensor
    made: int
    kind: str = ""
    parents: list[Node] = field(default_factory=list)
    inputs: list[np.ndarray] = field(default_factory=list)  # as they were when it was made
    requires: bool = True
    factor: float = 1.0  # what its hooks make of its gradient
    retained: bool = False
    changed: int = -1  # when it was last written to
    grad: Any = None

    @property
    def leaf(self) -> bool:
        return not self.kind


def above(node: Node) -> list[Node]:
    """The node and all that its gradient flows to, inputs first."""
    order: list[Node] = []

    def visit(n: Node) -> None:
        if n.requires and n not in order:
            for parent in n.parents:
                visit(parent)
            order.append(n)

    visit(node)
    return order


def tangent(root: Node, seed: Node, direction: np.ndarray) -> np.ndarray:
    """How the root moves where the seed moves along `direction`."""
    found: dict[Node, Any] = {}
    for n in above(root):
        if n is seed:
            t: Any = direction
        elif n.leaf:
            t = np.zeros(n.tensor.shape)
        else:
            ts = [found.get(p, np.zeros(p.tensor.shape)) for p in n.parents]
            t = KINDS[n.kind][1](n.inputs, ts)
        found[n] = n.factor * t
    return found[root]


def gradient(root: Node, seed: Node, upstream: np.ndarray) -> np.ndarray:
    basis = np.eye(seed.tensor.size).reshape(seed.tensor.size, *seed.tensor.shape)
    slopes = [np.sum(upstream * tangent(root, seed, e)) for e in basis]
    return np.reshape(slopes, seed.tensor.shape)


def reads_old_data(root: Node) -> bool:
    """Whether a rule of the pass reads a leaf that was written to after the op used it."""
    return any(
        n.parents[k].leaf and n.parents[k].changed > n.made
        for n in above(root)
        for i, parent in enumerate(n.parents)
        if parent.requires
        for k in KINDS[n.kind][2][i]
    )


which = st.sampled_from(range(31))
kinds = st.sampled_from(sorted(KINDS))
seeds = st.sampled_from(range(1000))


class Graph(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = 0
        self.nodes: list[Node] = []
        for k, shape in enumerate([(3,), ()]):
            x = np.random.default_rng(k).standard_normal(shape)
            self.nodes.append(Node(mg.tensor(x, requires_grad=True), self.tick()))

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def node(self, number: int) -> Node:
        return self.nodes[-1 - number % len(self.nodes)]

    def leaf(self, number: int) -> Node:
        return self.nodes[number % 2]

    def apply(self, kind: str, a: Node, b: Node, requires: bool) -> None:
        parents = [a, b] if kind in ("add", "mul") else [a]
        inputs = [p.tensor.data.copy() for p in parents]
        y = KINDS[kind][0](*(p.tensor for p in parents))
        assert y.requires_grad is (requires and any(p.requires for p in parents))
        self.nodes.append(Node(y, self.tick(), kind, parents, inputs, y.requires_grad))

    @rule(steps=st.lists(st.tuples(kinds, which, which), min_size=1, max_size=5))
    def compute(self, steps: list[tuple[str, int, int]]) -> None:
        for kind, a, b in steps:
            self.apply(kind, self.node(a), self.node(b), True)

    @rule(kind=kinds, a=which, b=which)
    def compute_without_recording(self, kind: str, a: int, b: int) -> None:
        with mg.no_grad():
            self.apply(kind, self.node(a), self.node(b), False)

    @rule(a=which)
    def detach(self, a: int) -> None:
        node = self.node(a)
        if not node.leaf:  # of a leaf it is a view, which the leaf's user writes to
            y = node.tensor.detach()
            self.nodes.append(Node(y, self.tick(), "add", requires=False))

    @rule(a=which, seed=seeds)
    def give_new_data(self, a: int, seed: int) -> None:
        leaf = self.leaf(a)
        leaf.tensor.data = np.random.default_rng(seed).standard_normal(leaf.tensor.shape)
        leaf.changed = self.tick()

    @rule(a=which)
    def step_down(self, a: int) -> None:
        leaf = self.leaf(a)
        leaf.tensor.data -= 0.1
        leaf.changed = self.tick()

    @rule(a=which, factor=st.sampled_from([0.5, -2.0]))
    def hook(self, a: int, factor: float) -> None:
        node = self.node(a)
        if node.requires and abs(node.factor) < 10:
            node.tensor.register_hook(lambda g: factor * g)
            node.factor *= factor

    @rule(a=which)
    def retain(self, a: int) -> None:
        node = self.node(a)
        if node.requires:
            node.tensor.retain_grad()
            node.retained = True

    @rule(a=which)
    def clear(self, a: int) -> None:
        node = self.node(a)
        node.tensor.zero_grad()
        node.grad = None

    @rule(a=which, seed=seeds)
    def backward(self, a: int, seed: int) -> None:
        recorded = [n for n in self.nodes if n.requires and not n.leaf]
        if not recorded:
            return
        root = recorded[-1 - a % len(recorded)]
        upstream = np.random.default_rng(seed).standard_normal(root.tensor.shape)
        if reads_old_data(root):
            try:
                root.tensor.backward(upstream)
            except GradientError:
                return self.compare()
            raise AssertionError("a pass read data that were written to, and said nothing")
        root.tensor.backward(upstream)
        for n in above(root):
            if n.leaf or n.retained:
                found = gradient(root, n, upstream)
                added = n.leaf and n.grad is not None  # a retained one is set, as documented
                n.grad = n.grad + found if added else found
        return self.compare()

    def compare(self) -> None:
        for n in self.nodes:
            if n.grad is None:
                assert n.tensor.grad is None
            else:
                size = max(1.0, float(np.max(np.abs(n.grad))))
                # sums of a few dozen products
                assert np.max(np.abs(n.tensor.grad - n.grad)) <= 1e-12 * size


TestGraph = Graph.TestCase
TestGraph.settings = settings(
    max_examples=350,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
