"""What a recording consists of: nodes, steps and their contributions.  Plain data;
`inspect.tracing` records it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...display import is_finite, number, numbers, summary
from .asked import Asked, again
from .leaf_checks import LeafCheck
from .names import short_path
from .witness import Check

# numbers in all arrays of a graph; up to so many are kept whole, for the page to compute with
EXACT = 20_000


@dataclass(frozen=True, kw_only=True)
class Node:
    """A value or constant of the graph.  kind: param, input, const, op, or output (the loss)."""

    id: int
    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    parents: tuple[int, ...]
    value: dict[str, Any]
    fanout: int
    # of what an op made
    op: str | None = None
    computes: str | None = None
    file: str | None = None
    line: int | None = None
    code: str | None = None
    bytes_saved: int = 0
    trouble: str = ""  # how the op made NaN or Inf of finite numbers
    # in a graph of at most EXACT numbers: all of the value's, and the op's settings
    exact: np.ndarray | None = None
    settings: Mapping[str, Any] | None = None

    @property
    def src(self) -> str | None:
        """file:line where the op was called; None of a leaf, or where there is no source."""
        return f"{short_path(self.file)}:{self.line}" if self.file else None


@dataclass(frozen=True, repr=False)
class Contribution:
    """What one rule sent to one input.

    Parameters
    ----------
    k : int
        The number of the step.
    op : str
        The name of the op whose rule it was.
    value : str
        The name of the value that the op had made.
    argument : str
        The argument of the op that the rule is for.
    to : str
        The name of the value that received it.
    node : int
        The number of that value among the nodes.
    rule : str
        The rule as code: ``"g * b"``.
    notation : str
        The rule as on paper, with bars for gradients.
    incoming : ndarray, shape of the op's result
        The gradient that the rule was given.
    raw_shape : tuple of int
        The shape of what it returned.
    axes : tuple of int
        The axes over which that was summed, where the input had been broadcast.
    shape : tuple of int
        The input's own shape.
    added : ndarray, `shape`
        What was sent: the contribution itself.
    before, after : ndarray or None, `shape`
        The gradient of the input without it (None: nothing yet), and with it.
    nth, of : int
        It is number `nth` of the `of` contributions to this input.
    check : Check
        How the rule compares with its forward.
    raw : ndarray or None, `raw_shape`, optional
        What the rule returned, if it was summed over `axes`.
    trouble : str, optional
        How the rule made NaN or Inf of finite numbers; '' if it did not.

    Examples
    --------
    >>> b = mg.tensor([0.0, 0.0], requires_grad=True, name="b")
    >>> c = mg.trace((np.ones((3, 2)) + b).sum()).steps[1].contributions[0]
    >>> c.to, c.raw_shape, c.axes, c.added
    ('b', (3, 2), (0,), array([3., 3.]))
    """

    k: int
    op: str
    value: str
    argument: str
    to: str
    node: int
    rule: str
    notation: str
    incoming: np.ndarray
    raw_shape: tuple[int, ...]
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    added: np.ndarray
    before: np.ndarray | None
    after: np.ndarray
    nth: int
    of: int
    check: Check
    raw: np.ndarray | None = None  # what the rule returned, if it was summed over `axes`
    trouble: str = ""  # how the rule made NaN or Inf of finite numbers

    def __repr__(self) -> str:
        where = f"{self.nth} of {self.of}, " if self.of > 1 else ""
        return (
            f"<step {self.k}, {self.op}: {self.notation} to {self.to} {self.shape}, "
            f"{where}check {self.check.status}>"
        )


@dataclass(repr=False)
class Step:
    """A step of a backward pass: an op passes its complete gradient on to its inputs.

    Parameters
    ----------
    k : int
        Its number, from 1: the op that made the loss.
    node : Node
        The value that the op made, with ``name``, ``op``, ``computes``, ``file`` and ``line``.
    law : str
        What the op computes.
    why : str
        Why its rules hold.
    incoming : ndarray, shape of that value
        The gradient of the loss with respect to it.
    contributions : list of Contribution, optional
        What the rules sent, one for each input that takes a gradient.
    hooked : bool, optional
        Whether a hook has changed what came in.

    Attributes
    ----------
    op : str
        The op's name in the registry.
    name : str
        The name of the value that the op made.
    rule : str
        The rules that were applied, as code.
    ok : bool
        No rule of this step is wrong.

    Examples
    --------
    >>> x = mg.tensor([3.0, 4.0], requires_grad=True, name="x")
    >>> step = mg.trace((2.0 * x).sum()).steps[1]
    >>> step.op, step.law, step.rule, step.incoming
    ('mul', 'y = a b', 'dL/db = g * a', array([1., 1.]))
    """

    k: int
    node: Node
    law: str
    why: str
    incoming: np.ndarray
    contributions: list[Contribution] = field(default_factory=list)
    hooked: bool = False  # a hook has changed what came in

    op = property(lambda self: self.node.op, doc="the op's name in the registry")
    name = property(lambda self: self.node.name, doc="the name of the value that the op made")
    rule = property(
        lambda self: "; ".join(f"dL/d{c.argument} = {c.rule}" for c in self.contributions)
    )
    ok = property(
        lambda self: all(c.check.ok for c in self.contributions),
        doc="no rule of this step is wrong",
    )

    def __repr__(self) -> str:
        to = ", ".join(c.to for c in self.contributions)
        return (
            f"<step {self.k}: {self.name} = {self.node.computes}, sends to {to}; "
            f"{'ok' if self.ok else 'WRONG'}>"
        )

    @property
    def trouble(self) -> str:
        """How NaN or Inf was made here of finite numbers, forward or backward; '' if it was not."""
        return self.node.trouble or next((c.trouble for c in self.contributions if c.trouble), "")

    @property
    def finite(self) -> bool:
        """No NaN or Inf comes in or goes out."""
        return is_finite(self.incoming) and all(
            is_finite(c.added) and is_finite(c.after) for c in self.contributions
        )


def sound(step: Step) -> bool:
    """No rule of a step is wrong, and its numbers are finite."""
    return step.ok and step.finite


def reaches_parameter(step: Step, nodes: Sequence[Node]) -> bool:
    """Whether a step sends something to a leaf with a gradient."""
    return any(nodes[c.node].kind == "param" for c in step.contributions)


@dataclass(repr=False)
class Recording:
    """A recorded backward pass, as data: what a `Trace` is without its faces."""

    loss: str
    value: float
    dtype: str
    script: str | None
    nodes: list[Node]
    steps: list[Step]
    total: int
    arrays: int
    leaves: list[LeafCheck] = field(default_factory=list)
    truncated: dict[str, Any] | None = None
    seed: int | None = None
    asked: Asked | None = None
    suspicions: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """No check failed, neither of a rule nor of a leaf."""
        return all(step.ok for step in self.steps) and all(leaf.ok for leaf in self.leaves)

    @property
    def origin(self) -> Step | None:
        """The step where the first NaN or Inf was made, forward or else backward; None if none."""
        forward = [s for s in self.steps if s.node.trouble]
        return forward[-1] if forward else next((s for s in self.steps if s.trouble), None)

    def __repr__(self) -> str:
        return (
            f"<trace of {self.loss} = {self.value:.6g}: {self.total} steps, "
            f"{'ok' if self.ok else 'WRONG'}; see text()>"
        )

    def command(self, step: int) -> str:
        """What shows a step again.

        Parameters
        ----------
        step : int
            Its number.

        Returns
        -------
        str
            A command for the terminal, which runs as it is in the current folder; a line of Python
            where no script made the trace: at a prompt, or in a notebook.

        Examples
        --------
        >>> x = mg.tensor([3.0, 4.0], requires_grad=True, name="x")
        >>> mg.trace((x * x).sum()).command(2)
        'print(mg.trace(loss).text(step=2))'
        """
        return again(self.asked, self.loss, step)

    def record(self) -> dict[str, Any]:
        """The trace as plain data, schema 1: what `json` writes.

        Returns
        -------
        dict
            ``nodes``: values and constants, inputs before outputs: name, kind, op, shape, parents
            (ids), src, code, value.
            ``steps``: in the order they ran: k, node (id), rule, gin (incoming gradient), hooked,
            and for each input that got something ``out``: to, raw_shape, unbroadcast (axes), grad,
            accum (before, added, after, nth, of), check.
            ``leaves``: for each parameter the derivative along one direction, by its gradient and
            by the loss itself.
            ``truncated``: None, or {kept, total, reason}.

        Notes
        -----
        An array is {shape, dtype, min, max, mean, nan, inf, head, head_shape}: `head` has its first
        `arrays` elements, 'nan', 'inf' and '-inf' are words.

        Examples
        --------
        >>> x = mg.tensor([3.0, 4.0], requires_grad=True, name="x")
        >>> record = mg.trace((x * x).sum()).record()
        >>> record["loss"], record["value"], record["steps"][1]["out"][1]["accum"]["after"]["head"]
        ('loss', 25.0, [6.0, 8.0])
        """
        told = {"schema": 1, "loss": self.loss, "value": number(self.value), "dtype": self.dtype}
        told |= {"numpy": np.__version__, "seed": self.seed, "script": short_path(self.script)}
        return {
            **told,
            "truncated": self.truncated,
            "nodes": [_node_record(n) for n in self.nodes],
            "steps": [_step_record(s, self.arrays) for s in self.steps],
            "leaves": [_leaf_record(leaf) for leaf in self.leaves],
        }


def _node_record(n: Node) -> dict[str, Any]:
    keys = "id name kind op computes shape dtype parents src code value fanout bytes_saved"
    lists = {"shape": list(n.shape), "parents": list(n.parents)}
    return {key: getattr(n, key) for key in keys.split()} | lists | {"trouble": n.trouble or None}


def _leaf_record(leaf: LeafCheck) -> dict[str, Any]:
    told = {"node": leaf.node, "status": leaf.status, "ok": leaf.ok, "reason": leaf.reason}
    compared = {"analytic": leaf.analytic, "numeric": leaf.numeric, "rel": leaf.error}
    return told | numbers({**compared, "tol": leaf.tolerance})


def _step_record(s: Step, limit: int) -> dict[str, Any]:
    told = {"k": s.k, "node": s.node.id, "op": s.op, "rule": s.rule, "law": s.law, "why": s.why}
    told |= {"gin": summary(s.incoming, limit), "hooked": s.hooked}
    return told | {"out": [_contribution_record(c, limit) for c in s.contributions]}


def _contribution_record(c: Contribution, limit: int) -> dict[str, Any]:
    lead = len(c.raw_shape) - len(c.shape)
    unbroadcast = {"axes": list(c.axes), "keepdims": [k for k in c.axes if k >= lead]}
    before = None if c.before is None else summary(c.before, limit)
    added, after = summary(c.added, limit), summary(c.after, limit)
    told = {"to": c.node, "argument": c.argument, "rule": c.rule, "notation": c.notation}
    made = {"raw_shape": list(c.raw_shape), "unbroadcast": unbroadcast if c.axes else None}
    sums = {"before": before, "added": added, "after": after, "nth": c.nth, "of": c.of}
    check, trouble = _check_record(c.check), c.trouble or None
    return {**told, **made, "grad": added, "accum": sums, "check": check, "trouble": trouble}


def _check_record(k: Check) -> dict[str, Any]:
    compared = {"analytic": k.analytic, "numeric": k.numeric, "rel": k.error, "digits": k.digits}
    told = {"kind": "complex-step" if k.judged else k.status, "status": k.status, "n": k.n}
    told["worst_index"] = None if k.index is None else list(k.index)
    return {**told, **numbers(compared), "tol": k.tolerance, "ok": k.ok, "reason": k.reason}
