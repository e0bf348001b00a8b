"""The trace: one backward pass, run by the engine's own functions and written down step by step.

A step is an op that passes its gradient on; it makes one contribution per input, each by one rule.
Everything a trace keeps of the graph is a copy, taken at the time of the step: nothing that happens
later can rewrite the story.
"""

from __future__ import annotations

import json
import linecache
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import flag, instance, whole_number
from ..autodiff import engine
from ..autodiff.graph import Value
from ..autodiff.origin import source_line
from ..display import summary
from ..errors import DataError, FileError
from ..files import write_text
from .diagnose.reasons import backward_trouble, forward_trouble, made_here
from .record.applications import Application, demand_loss, walk
from .record.asked import Asked, asking
from .record.leaf_checks import LeafCheck, check_leaves
from .record.names import caller_scopes, name_values, seed_in
from .record.notation import bar_notation, bytes_saved, computes, rule_of
from .record.steps import EXACT, Contribution, Node, Recording, Step, reaches_parameter, sound
from .record.tape import BackwardSteps
from .record.witness import NOT_ASKED, local_check
from .render.html_page import Framed, page
from .render.picture import draw
from .render.text import Screen
from .suspicions.suspecting import asked_of

log = logging.getLogger(__name__)
LONG = 10.0  # seconds; who waits longer for a trace is told for how long
LIMIT = 50_000  # steps; a longer backward pass is traced only on request, with max_steps
# elements; what a rule returned before it was summed is kept up to this size, for the questions of
# the page
RAW = 100_000


listeners: list[list[Trace]] = []  # each receives every trace that is made


class Trace(Recording):
    """A recorded backward pass, made by `trace`.

    Parameters
    ----------
    loss : str
        The name of the loss.
    value : float
        Its value.
    dtype : str
        Its dtype.
    script : str or None
        The file of the script that asked, or else of the code that made it.
    nodes : list of Node
        The values and constants of the graph, inputs before outputs.
    steps : list of Step
        The steps that were kept, in the order they ran: from the loss back.
    total : int
        The number of all steps.
    arrays : int
        How many elements of an array `text` and `json` show.
    leaves : list of LeafCheck, optional
        The gradient of each leaf, checked against the loss as a whole.
    truncated : dict or None, optional
        ``{"kept": int, "total": int, "reason": str}`` where steps were left out.
    seed : int or None, optional
        The variable `seed` of the code that asked.
    asked : Asked, optional
        The script that asked, and how to have it ask again.
    suspicions : sequence of str, optional
        What `suspect` says of this loss, a line for each.

    Examples
    --------
    >>> x = mg.tensor([3.0, 4.0], requires_grad=True, name="x")
    >>> t = mg.trace((x * x).sum())
    >>> [(step.k, step.op) for step in t.steps]
    [(1, 'sum'), (2, 'mul')]
    >>> t.steps[1].rule
    'dL/da = g * b; dL/db = g * a'
    >>> t.value, t.total, t.ok
    (25.0, 2, True)
    """

    def text(
        self,
        step: int | None = None,
        param: str | None = None,
        ascii: bool = False,
        width: int = 88,
    ) -> str:
        """The table of steps, or one step in full, or all that flowed into one value.

        Parameters
        ----------
        step : int, optional
            The step to show in full: 1, 2, ...
        param : str, optional
            The name of the value whose contributions are shown.
        ascii : bool, optional
            Nothing but ASCII.
        width : int, optional
            At most so many columns, 60 or more.

        Returns
        -------
        str
            Lines without control codes.

        Raises
        ------
        DataError
            If the screen is too narrow, there is no such step, or nothing flowed into `param`.
        DtypeError
            If `step` is not a whole number.

        Examples
        --------
        >>> x = mg.tensor([3.0, 4.0], requires_grad=True, name="x")
        >>> t = mg.trace((x * x).sum(), numeric=False)
        >>> print(t.text(param="x"))
        dloss/dx (2,): 2 contributions
        step 2, mul: dL/da = g * b   skipped
          + [3. 4.]
        step 2, mul: dL/db = g * a   skipped
          + [3. 4.]
          = [6. 8.]
        """
        return Screen(self, ascii, width).render(step, param)

    def __str__(self) -> str:
        return self.text()

    def html(self, path: str | Path | None = None, program: Any = None) -> Framed | None:
        """Write the page: one file that needs no network, to walk the pass with the keyboard.

        Parameters
        ----------
        path : str or Path, optional
            The file; left out, the page is returned for a notebook to show.
        program : compiled step, its program, or its profile, optional
            What `mg.compile` made of the same step: its lines stand beside the graph, each with its
            operations, its bytes and the memory that it writes to; of a profile,
            ``step.program.profile(...)``, also with its time and how far that is from the roof.

        Returns
        -------
        Framed or None
            Where no file is given: what a notebook shows in a frame of its own, which may run the
            page's script and nothing else.

        Raises
        ------
        FileError
            If it cannot be written.
        DataError
            If the program is of another step, or there is none.
        DtypeError
            If `program` is something else.

        Examples
        --------
        >>> W = mg.tensor(np.ones((3, 2)), requires_grad=True, name="W")
        >>> X = np.ones((4, 3))
        >>> step = mg.compile(lambda x: ((x @ W) ** 2).sum())
        >>> loss = step(X)
        >>> mg.trace(((X @ W) ** 2).sum()).html("step.html", program=step)
        """
        if path is None:
            return Framed(self, program)
        _write(path, page(self, program=program))
        return None

    def png(self, path: str | Path, max_nodes: int = 60) -> None:
        """Write a picture of the graph.

        Parameters
        ----------
        path : str or Path
            The file; its ending says in which format: ``.png``, ``.svg`` or ``.pdf``.
        max_nodes : int, optional
            Above so many nodes, layers (or lines of code) are folded into one box each.

        Raises
        ------
        DataError
            If the format is another.
        FileError
            If the file cannot be written.

        Notes
        -----
        It needs matplotlib.  The same trace gives the same bytes.
        """
        draw(self.record(), path, max_nodes)

    def _repr_html_(self) -> str:
        return Framed(self)._repr_html_()

    def json(self, path: str | Path | None = None) -> str:
        """The record as JSON text.

        Parameters
        ----------
        path : str or Path, optional
            A file to which it is also written.

        Returns
        -------
        str
            `record` as JSON; NaN and infinities are the words "nan", "inf" and "-inf".

        Raises
        ------
        FileError
            If the file cannot be written.
        """
        text = json.dumps(self.record(), indent=1, allow_nan=False)
        if path is not None:
            _write(path, text)
        return text


def _write(path: str | Path, text: str) -> None:
    """Write a file; FileError where that cannot be."""
    try:
        write_text(path, text)
    except OSError as error:
        raise FileError(
            "the file cannot be written",
            f"{path}: {error.strerror}",
            "name a file in an existing folder",
        ) from None


def trace(
    loss: Value,
    arrays: int = 64,
    numeric: bool = True,
    max_steps: int = 2000,
    scope: Mapping[str, Any] | None = None,
    script: str | None = None,
) -> Trace:
    """Run ``loss.backward()`` by the per-argument rules, and write down each step.

    Leaves receive their ``.grad`` as from `backward`, bit for bit.

    Parameters
    ----------
    loss : Tensor, one element
        What the pass starts from.
    arrays : int, optional
        How many elements of an array `Trace.text` and `Trace.json` show; the trace itself keeps
        whole gradients.
    numeric : bool, optional
        Check each rule against its forward, at these numbers, by complex steps.
    max_steps : int, optional
        Of a longer pass the first and the last quarter of this are kept, and in between those
        steps that failed, met NaN or Inf, or reached a parameter; ``truncated`` says so.
    scope : mapping of str to object, optional
        The variables to take names from; by default the caller's, and `seed`, if there is one.
    script : str, optional
        The file to name; by default the script that asks, or else (at a prompt, in a notebook)
        that of the code that made the loss.

    Returns
    -------
    Trace
        The steps, with a table, a page, a picture and a record of them.

    Raises
    ------
    DtypeError
        If `loss` is not a tensor.
    GradientError
        If `loss` has more than one element, or nothing in its graph requires a gradient.
    DataError
        If `max_steps` is below 1 or `arrays` below 0; or if the pass has more than 50,000 steps
        and `max_steps` does not allow for them.

    See Also
    --------
    backward_steps : The same pass, one rule application at a time.

    Examples
    --------
    >>> x = mg.tensor([3.0, 4.0], requires_grad=True, name="x")
    >>> t = mg.trace((x * x).sum())
    >>> t.steps[1]
    <step 2: mul_1 = x * x, sends to x, x; ok>
    >>> x.grad
    array([6., 8.])
    """
    demand_loss(loss, "trace")
    max_steps = whole_number(max_steps, "trace: max_steps", "leave it out for 2000")
    arrays = whole_number(arrays, "trace: arrays", "leave it out for 64", low=0)
    scopes = [scope] if scope is not None else caller_scopes(1)
    recorder = _Recorder(loss, scopes, numeric, arrays)
    total = recorder.total
    if total > max(LIMIT, max_steps):
        raise DataError(
            "this backward pass is too long for a trace",
            f"{total:,} steps, more than {LIMIT:,}",
            "trace a smaller graph (fewer layers, one time step), or allow it with "
            f"max_steps={total}",
        )

    steps = _kept(recorder, max_steps)
    cut = None
    if len(steps) < total:
        rest = "first and last steps, failures, NaN/Inf and parameters are kept"
        reason = f"max_steps={max_steps}: {rest}"
        cut = {"kept": len(steps), "total": total, "reason": reason}
    asked = asking() if script is None else Asked(script)
    if script is None:
        made = (n.file for n in reversed(recorder.nodes) if n.file)
        script = asked.script if asked else next(made, None)
    value = float(loss._data.reshape(()))
    t = Trace(
        recorder.names[id(loss)],
        value,
        str(loss._data.dtype),
        script,
        recorder.nodes,
        steps,
        total,
        arrays,
        leaves=recorder.leaves(),
        truncated=cut,
        seed=seed_in(scopes),
        asked=asked,
    )
    t.suspicions = [str(s) for s in asked_of(loss, scopes, gradients=recorder.gradients())]
    for listener in listeners:
        listener.append(t)
    return t


def _kept(recorder: _Recorder, most: int) -> list[Step]:
    """Runs the backward pass; its steps, or of more than `most` those that tell most."""
    total, edge = recorder.total, most // 4
    steps: list[Step] = []
    begin, said = time.monotonic(), False
    for step in recorder.steps():
        if not said and (seconds := time.monotonic() - begin) > LONG:
            said = True
            left = seconds / step.k * (total - step.k)
            log.warning("trace: %d of %d steps; about %.0f s are left", step.k, total, left)
        near = not edge < step.k <= total - edge
        telling = not sound(step) or reaches_parameter(step, recorder.nodes)
        if total <= most or near or (telling and len(steps) < most - edge):
            steps.append(step)
    return steps


def backward_steps(
    loss: Value, numeric: bool = True, scope: Mapping[str, Any] | None = None
) -> BackwardSteps:
    """``loss.backward()``, one rule application at a time.

    After the last one the leaves have their ``.grad``, as from `backward`; a stepper that is
    dropped half-way leaves them as they were.

    Parameters
    ----------
    loss : Tensor, one element
        What the pass starts from.
    numeric : bool, optional
        Check each rule against its forward, at these numbers, by complex steps.
    scope : mapping of str to object, optional
        The variables to take names from; by default the caller's.

    Returns
    -------
    BackwardSteps
        A generator of `Contribution` that can be rewound: ``rewind(n)``, ``jump(k)`` and
        ``gradients``, what each value has received so far.

    Raises
    ------
    DtypeError
        If `loss` is not a tensor.
    GradientError
        If `loss` has more than one element; at the first step if nothing in its graph requires a
        gradient.

    Examples
    --------
    >>> x = mg.tensor([3.0, 4.0], requires_grad=True, name="x")
    >>> steps = mg.backward_steps((x * x).sum())
    >>> for c in steps:
    ...     print(c.op, "to", c.to, c.added, "which has now", c.after)
    sum to mul_1 [1. 1.] which has now [1. 1.]
    mul to x [3. 4.] which has now [3. 4.]
    mul to x [3. 4.] which has now [6. 8.]
    >>> steps.rewind(1).gradients["x"], x.grad
    (array([3., 4.]), array([6., 8.]))
    """
    demand_loss(loss, "backward_steps")
    recorder = _Recorder(loss, [scope] if scope is not None else caller_scopes(1), numeric, 64)
    return BackwardSteps(recorder.run(), recorder.names[id(loss)], recorder.total)


class _Recorder:
    """Names and numbers the graph, then turns rule applications into contributions: plain data,
    arrays copied.
    """

    def __init__(
        self, loss: Value, scopes: Sequence[Mapping[str, Any]], numeric: bool, limit: int
    ) -> None:
        flag(numeric, "numeric")
        for scope in scopes:
            instance(scope, Mapping, "scope", "pass names and values, such as locals()")
        linecache.checkcache()  # a file may have been edited since its lines were read
        self.loss, self.numeric = loss, numeric
        self.order = engine.topological(loss)
        self.total = sum(value.op is not None for value in self.order)
        self.names = name_values(self.order, scopes)
        self.ids: dict[int, int] = {}
        self.nodes: list[Node] = []
        self.rng = np.random.default_rng(0)
        # copies of the gradients so far, to be shared with what comes later
        self.after: dict[int, np.ndarray] = {}
        self.users: dict[Value, list[tuple[Value, int]]] = defaultdict(list)
        fanout = Counter(id(a) for value in self.order for a in value.inputs)
        everything = {id(a): np.size(_data(a)) for v in self.order for a in (v, *v.inputs)}
        self.whole = sum(everything.values()) <= EXACT
        for value in self.order:
            for i, x in value.edges:
                self.users[x].append((value, i))
            parents = [self.add(a, (), fanout, limit) for a in value.inputs]
            self.add(value, parents, fanout, limit)

    def label(self, x: Any) -> str:
        """The name of a value or array; of a number, the number."""
        return self.names.get(id(x)) or (
            str(x) if np.ndim(x) == 0 else f"{type(x).__name__}{np.shape(x)}"
        )

    def kind(self, x: Any) -> str:
        """output (the loss), op, param (a leaf with a gradient), input or const."""
        if x is self.loss:
            return "output"
        if not isinstance(x, Value):
            return "const"
        leaf = "param" if x.requires_grad else "input"
        return leaf if x.op is None else "op"

    def add(self, x: Any, parents: Sequence[int], fanout: Counter[int], limit: int) -> int:
        """The number of `x` among the nodes; it becomes one if it is not."""
        if id(x) in self.ids:
            return self.ids[id(x)]
        data = _data(x)
        op = x.op if isinstance(x, Value) else None
        made: dict[str, Any] = {}
        if op is not None:
            file, line, code = source_line(x) or (None, None, None)
            made = {"op": op.name, "file": file, "line": line, "code": code}
            made["computes"] = computes(x, [self.label(a) for a in x.inputs])
            made["bytes_saved"] = bytes_saved(x)
            made["trouble"] = forward_trouble(x)
        made |= {"shape": data.shape, "dtype": str(data.dtype), "value": summary(data, limit)}
        made |= {"parents": tuple(parents), "fanout": fanout[id(x)]}
        if self.whole:
            made["exact"] = np.array(data, dtype=np.float64)
            made["settings"] = x.params if op is not None else None
        node = Node(id=len(self.nodes), name=self.label(x), kind=self.kind(x), **made)
        self.nodes.append(node)
        self.ids[id(x)] = node.id
        return node.id

    def run(self) -> Generator[Contribution, None, None]:
        """The backward pass; at its end the gradients go to the leaves."""
        kept: dict[Value, Any] = {}
        k, value = 0, None
        for a in walk(self.loss, kept):
            if a.value is not value:
                k, value, incoming = k + 1, a.value, np.array(a.g)
            yield self.contribution(k, a, incoming)
        engine.deposit(kept)

    def steps(self) -> Iterator[Step]:
        """The backward pass, with the contributions of one op together."""
        made = {self.names[id(value)]: value for value in self.order}
        for k, group in groupby(self.run(), attrgetter("k")):
            contributions = list(group)
            value, incoming = made[contributions[0].value], contributions[0].incoming
            op: Any = value.op
            node = self.nodes[self.ids[id(value)]]
            # the loss starts from 1
            received = self.after.get(id(value), np.ones_like(incoming))
            hooked = bool(value.hooks) and not np.array_equal(received, incoming, equal_nan=True)
            yield Step(k, node, op.law, op.why, incoming, contributions, hooked)

    def contribution(self, k: int, a: Application, incoming: np.ndarray) -> Contribution:
        """A rule application as plain data."""
        op: Any = a.value.op
        argument, rule = op.argument(a.i), rule_of(op, a.i)
        check = local_check(a.value, a.i, a.g, self.rng) if self.numeric else NOT_ASKED
        trouble = backward_trouble(a, self.users) if made_here(a) else ""
        raw = np.array(a.raw) if a.axes and a.raw.size <= RAW else None
        added, before = np.array(a.added), self.after.get(id(a.x))
        after = self.after[id(a.x)] = added if before is None else np.array(a.after)
        value, to, node = self.names[id(a.value)], self.names[id(a.x)], self.ids[id(a.x)]
        notation, shape = bar_notation(argument, rule), a.x._data.shape
        told = (k, op.name, value, argument, to, node, rule, notation, incoming)
        sent = (a.raw_shape, a.axes, shape, added, before, after, a.nth, a.of)
        return Contribution(*told, *sent, check, raw, trouble)

    def gradients(self) -> dict[int, np.ndarray]:
        """After the last step: the gradient of each leaf, by its id."""
        leaves = (id(value) for value in self.order if value.op is None)
        return {leaf: self.after[leaf] for leaf in leaves if leaf in self.after}

    def leaves(self) -> list[LeafCheck]:
        """After the last step: the gradient of each leaf against the loss as a whole."""
        if not self.numeric:
            return []
        return check_leaves(self.order, self.after, self.names, self.ids, self.rng)


def _data(x: Any) -> np.ndarray:
    """The array of a value, or of a constant."""
    return x._data if isinstance(x, Value) else np.asarray(x)
