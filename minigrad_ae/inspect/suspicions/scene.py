"""What the questions look at: a graph, and as far as they are known its model, its optimiser, its
data, and what was seen of its training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ...autodiff import engine
from ...autodiff.graph import Value
from ...autodiff.origin import source_line
from ...errors import MinigradError
from ..record.applications import walk
from ..record.names import name_values, of_this_package
from .source import PACKAGE, Line, lines_calling
from .watching import History, batch_of, is_constant

Scopes = Sequence[Mapping[str, Any]]


class Scene:
    """The graph of `loss`, and what is known of its surroundings.

    ``order`` has its values, inputs before outputs; ``made`` those that ops computed; ``leaves``
    those that are trained; ``names`` what each is called; ``history`` is None where no run was
    watched that trained a leaf of this graph.
    """

    def __init__(
        self,
        loss: Value,
        scopes: Scopes,
        model: Any = None,
        optimizer: Any = None,
        data: Any = None,
        gradients: Mapping[int, np.ndarray] | None = None,
    ) -> None:
        self.loss, self.scopes, self.data = loss, scopes, data
        self.order = engine.topological(loss)
        self.made = [v for v in self.order if v.op is not None]
        self.leaves = [v for v in self.order if v.op is None and v.requires_grad]
        self.optimizer = optimizer or _only(scopes, self.leaves, _trained_by)
        self.model = model or _only(scopes, self.leaves, _held_by)
        self.history = self._history()
        self._gradients = gradients

    def _history(self) -> History | None:
        known = [*self.leaves, *_held_by(self.model), *_trained_by(self.optimizer)]
        return next((h for h in History.kept[::-1] if any(h.life(x) for x in known)), None)

    @cached_property
    def names(self) -> dict[int, str]:
        """{id: name} of all values and constants."""
        return name_values(self.order, self.scopes)

    def name(self, x: Any) -> str:
        """What a value or array of the graph is called; of another one its own name."""
        return self.names.get(id(x)) or getattr(x, "name", None) or "a tensor"

    def named(self, x: Any) -> str:
        """'W (64, 16)'."""
        return f"{self.name(x)} {np.shape(x._data if isinstance(x, Value) else x)}"

    @cached_property
    def users(self) -> dict[int, list[Value]]:
        """{id: the values that were computed from it}."""
        found: dict[int, list[Value]] = {}
        for value in self.made:
            for x in value.inputs:
                found.setdefault(id(x), []).append(value)
        return found

    @cached_property
    def gradients(self) -> Mapping[int, np.ndarray]:
        """{id: gradient} of the leaves: of this loss, or, where they have moved on, `.grad`."""
        if self._gradients is not None:
            return self._gradients
        found: dict[int, np.ndarray] = {}
        try:
            for a in walk(self.loss):
                if a.x.op is None:
                    found[id(a.x)] = np.asarray(a.after)
        except MinigradError:
            return {id(x): x._grad for x in self.leaves if x._grad is not None}
        return found

    # --- the batch ---
    @cached_property
    def batch(self) -> np.ndarray | None:
        """The data that the first product of the graph reads, or None."""
        return batch_of(self.made)

    @cached_property
    def by_rows(self) -> set[int]:
        """The ids of the values whose first axis counts the rows of the batch."""
        found: set[int] = set()
        if self.batch is None or self.batch.ndim < 2:
            return found
        n = len(self.batch)
        for v in self.made:
            if v._data.shape[:1] != (n,) or v.op.name in ("transpose", "reshape"):
                continue
            inputs = v.inputs[:1] if v.op.name in ("matmul", "linear") else v.inputs
            if any(id(x) in found or self.is_batch(x) for x in inputs):
                found.add(id(v))
        return found

    def is_batch(self, x: Any) -> bool:
        """Whether `x` is the batch itself."""
        return is_constant(x) and array_of(x) is self.batch

    def constants(self) -> Iterator[tuple[np.ndarray, Value]]:
        """(array, the value computed from it) of each array that came in from outside."""
        seen: set[int] = set()
        for v in self.made:
            for x, array in zip(v.inputs, v.arrays, strict=False):
                if is_constant(x) and isinstance(array, np.ndarray) and id(array) not in seen:
                    seen.add(id(array))
                    yield array, v

    # --- what is trained ---
    @cached_property
    def trainable(self) -> list[Any]:
        """The parameters that model and optimiser hold, each once."""
        held = [*_held_by(self.model), *_trained_by(self.optimizer)]
        return list({id(p): p for p in held if p.requires_grad}.values())

    def unreached(self) -> list[Any]:
        """Those of them that neither this loss nor another one that was watched has reached."""
        known, history = {id(x) for x in self.leaves}, self.history
        lost = [p for p in self.trainable if id(p) not in known]
        return [p for p in lost if history is None or history.life(p) is None]

    # --- lines ---
    def at(self, value: Value) -> Line | None:
        """The line that computed a value; of a leaf the first that used it."""
        if value.op is None and self.users.get(id(value)):
            value = self.users[id(value)][0]
        return source_line(value)

    @cached_property
    def files(self) -> list[str]:
        """The user's files: of the lines of the graph, and of whoever asks."""
        made = [v.origin[0].co_filename for v in self.made if v.origin is not None]
        asking = [str(scope["__file__"]) for scope in self.scopes if "__file__" in scope]
        backward = [self.history.file] if self.history and self.history.file else []
        files = dict.fromkeys([*made, *backward, *asking])
        return [file for file in files if not file.startswith(PACKAGE)]

    def calling(self, *names: str) -> Line | None:
        """The first line of the user's files that calls one of these, by the order of names."""
        found = (lines_calling(self.files, name) for name in names)
        first = next((lines for lines in found if lines), [])
        return first[0] if first else None


def array_of(x: Any) -> Any:
    """The numbers of a value; anything else itself."""
    return x._data if isinstance(x, Value) else x


def ancestors(value: Value) -> list[Value]:
    """A value and all it was computed from, through which a gradient flows."""
    return engine.topological(value)


def scalar_chain(value: Value) -> Iterator[tuple[Value, Value]]:
    """(value, its only differentiable input) from `value` on, as long as there is one."""
    chain = [value]
    while chain[-1].op is not None and len(chain[-1].edges) == 1:
        chain.append(chain[-1].edges[0][1])
    return iter(pairwise(chain))


def _trained_by(optimizer: Any) -> list[Any]:
    """The parameters of an optimiser; none of anything else."""
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "step", None)):
        return []
    params = getattr(optimizer, "params", ())
    return [p for p in params if isinstance(p, Value)] if isinstance(params, list) else []


def _held_by(model: Any) -> list[Any]:
    """The parameters of a model; none of anything else."""
    if isinstance(model, type) or not callable(getattr(model, "named_parameters", None)):
        return []
    return [p for _, p in model.named_parameters() if isinstance(p, Value)]


def _only(scopes: Scopes, leaves: Sequence[Value], parameters: Any) -> Any:
    """The one variable that holds all the same leaves as any other that holds some."""
    ids = {id(x) for x in leaves}
    found: dict[int, tuple[int, Any]] = {}
    for scope in scopes:
        for name, thing in list(scope.items()):
            asked = of_this_package(thing) and not isinstance(thing, Value)
            if asked and not name.startswith("_"):
                shared = sum(id(p) in ids for p in parameters(thing))
                if shared:
                    found[id(thing)] = shared, thing
    most = max((shared for shared, _ in found.values()), default=0)
    best = [thing for shared, thing in found.values() if shared == most]
    return best[0] if len(best) == 1 else None
