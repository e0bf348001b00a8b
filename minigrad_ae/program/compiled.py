"""`mg.compile`: a training step as a program that runs without the tape."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arguments import whole_number
from ..autodiff import engine
from ..autodiff.graph import Value, watchers
from ..errors import DtypeError, GradientError
from ..inspect.record.applications import demand_loss
from ..inspect.record.names import caller_scopes
from ..kernels.backend import backend, state
from ..kernels.calls import NotFinite
from .again import Again, again
from .closure import Same, Surroundings
from .follow import Changed
from .memory import Impossible
from .observed import data_of, observe
from .plan import planned
from .program import Program

MOST = 16  # programs of a step that are kept
IN_VAIN = 8  # programs made before one runs: then the step stays on the tape
PLANNING = threading.Lock()  # calls are written down by one thread at a time
STATIC = (int, float, bool, str, type(None), np.generic)


class CompiledStep:
    """A function of arrays, which returns a loss and leaves gradients: what `mg.compile` makes.

    Attributes
    ----------
    program : Program or None
        What runs for arguments like the last ones.  Printed it is a list of its lines; its
        ``source`` is a NumPy module that runs, and ``profile(*arguments)`` says where the time
        goes.  None where the step stays on the tape.
    reason : str
        Why it stays on the tape, '' where it does not.
    """

    def __init__(
        self,
        function: Any,
        optimizer: Any = None,
        check: int = 0,
        scopes: Any = (),
        quiet: bool = False,
    ) -> None:
        self.function, self.optimizer, self.check = function, optimizer, check
        self.scopes, self.quiet = scopes, quiet
        self.surroundings = Surroundings(function)
        self.programs: dict[Any, Program | None] = {}
        self.reason = ""
        self.program: Program | None = None
        self.again: Again | None = None  # the short way to the step of last time
        self.calls = 0
        self.made = 0  # programs, since one ran
        self.given_up = False
        self.moving: set[Value] = set()  # leaves whose data are another array at each call
        self.busy = threading.Lock()

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", repr(self.function))
        how = f"on the tape: {self.reason}" if self.reason else f"{len(self.programs)} programs"
        return f"<compiled step {name}, {how}>"

    def __call__(self, *arguments: Any) -> Any:
        if not self.busy.acquire(False):  # called by itself, or by another thread
            return self.by_tape(arguments)
        try:
            found = self.again(arguments) if self.again else None
            return self.step(arguments) if found is None else found
        finally:
            self.busy.release()

    def step(self, arguments: tuple[Any, ...]) -> Any:
        """One step, by a program where there is one that fits."""
        tried, self.again = self.again, None
        if watchers or self.given_up:  # a watcher, such as anomaly mode, wants to see the ops
            return self.by_tape(arguments)
        key = self.key(arguments)
        self.program = program = self.programs.get(key)
        if program is None:
            return self.by_tape(arguments) if key in self.programs else self.first(key, arguments)
        if not program.fits():
            self.moving |= program.moved()
            return self.first(key, arguments)
        self.calls += 1
        if not program.proved or (self.check and self.calls % self.check == 0):
            return self.compared(key, program, arguments)
        if program.short not in (None, tried):  # as when batches of two sizes take turns
            found = program.short(arguments)
            if found is not None:
                self.again, self.made = program.short, 0
                return found
        states = states_of(arguments) if program.draws else None
        update = program.update is not None and program.update.ready()
        try:
            program.run(data_of(arguments), update)
        except NotFinite:  # and nothing is updated yet: the optimiser says which gradient it is
            update = False
        except Changed:
            restore(arguments, states)
            return self.first(key, arguments)
        except Exception:  # the tape says what is wrong, with the user's line
            restore(arguments, states)
            return self.by_tape(arguments)
        result = self.deliver(program, update)
        if not self.check:
            program.runs += 1
            if program.runs & (program.runs - 1) == 0:  # 1, 2, 4, ...: it takes as long as 50 steps
                program.short = again(program, arguments, self.surroundings)
            self.again = program.short
        return result

    def key(self, arguments: tuple[Any, ...]) -> Any:
        """What a program depends on: kinds of arguments, kernels, and what the function closes
        over.
        """
        kinds = tuple([kind_of(a, k) for k, a in enumerate(arguments)])
        return kinds, backend(), state.threads, self.surroundings.state()

    # --- on the tape ---
    def by_tape(self, arguments: Sequence[Any]) -> Any:
        """The step as if it had never been compiled."""
        loss, others = split(self.function(*arguments))
        if self.optimizer is not None:
            self.optimizer.zero_grad()
        loss.backward()
        if self.optimizer is not None:
            self.optimizer.step()
        return joined(data_of([loss, *others]))

    # --- making a program ---
    def first(self, key: Any, arguments: Sequence[Any]) -> Any:
        """One step on the tape, observed; the program that it becomes, if it can."""
        self.made += 1
        before = self.surroundings.whole()
        seen, returned = observe(self.function, arguments)
        loss, others = split(returned)
        gradients = gradients_of(loss)
        numbers = data_of([loss, *others])
        try:
            if self.made > IN_VAIN:
                self.given_up = True
                raise Impossible(
                    "each call needs another program: shapes, settings, or numbers "
                    "that Python asks for are other ones all the time"
                )
            if self.surroundings.whole() != before:
                self.given_up = True
                raise Impossible(
                    "it changes what it closes over, or draws from a generator that is no argument"
                )
            if seen.lines.lost:
                raise Impossible(seen.lines.lost)
            with PLANNING:
                program = planned(seen, loss, others, self.scopes, self.moving)
            differs = difference(program, numbers, gradients)
            if differs:
                raise Impossible(f"it does not give the same numbers: {differs}")
            self.keep(key, program)
        except (Impossible, NotImplementedError, GradientError) as error:
            self.stay(key, str(error).splitlines()[0])
        self.leave(gradients)
        return joined(numbers)

    def keep(self, key: Any, program: Program) -> None:
        """A program more; the oldest goes where there are many."""
        self.programs.pop(key, None)
        self.programs[key] = self.program = program
        if len(self.programs) > MOST:
            del self.programs[next(iter(self.programs))]

    def stay(self, key: Any, reason: str) -> None:
        """From now on the tape; said once."""
        if not (self.reason or self.quiet):
            warnings.warn(f"mg.compile: this step stays on the tape: {reason}", stacklevel=5)
        self.programs[key], self.program, self.reason = None, None, reason

    def compared(self, key: Any, program: Program, arguments: Sequence[Any]) -> Any:
        """A step by the program, and beside it one on the tape: the same numbers, or the tape."""
        states = states_of(arguments)
        loss, others = split(self.function(*arguments))
        numbers, gradients = data_of([loss, *others]), gradients_of(loss)
        after = states_of(arguments)
        restore(arguments, states)
        differs = ""
        try:
            program.run(data_of(arguments))
            differs = difference(program, numbers, gradients)
        except Changed:
            restore(arguments, states)
            return self.first(key, arguments)
        except Exception as error:
            differs = f"{type(error).__name__}: {error}"
        restore(arguments, after)
        if differs and program.proved:
            raise GradientError(
                "compile: the program and the tape give different numbers",
                differs,
                "what the step depends on has changed unseen: pass it as an argument",
            )
        if differs:
            self.stay(key, f"at its second call {differs}; does it use what is no argument?")
        else:
            program.proved = True
        self.leave(gradients)
        return joined(numbers)

    # --- results ---
    def leave(self, gradients: dict[Value, np.ndarray]) -> None:
        """What `backward` leaves, and the optimiser's step."""
        if self.optimizer is not None:
            self.optimizer.zero_grad()
        engine.deposit(gradients)
        if self.optimizer is not None:
            self.optimizer.step()

    @staticmethod
    def give(gradients: dict[Value, np.ndarray], own: set[Value]) -> None:
        """Gradients in the program's arrays: to an optimiser's `own` leaves, which have none left,
        and added to what others have.
        """
        for leaf, g in gradients.items():
            if leaf in own:
                leaf._grad = g
            else:
                known = leaf._grad
                leaf._grad = g.copy() if known is None else engine.add(known, g)

    def deliver(self, program: Program, updated: bool) -> Any:
        """Numbers and gradients of a run, in which the update was made or not."""
        self.made = 0
        if updated:
            program.update.done()
        elif self.optimizer is not None:
            self.optimizer.zero_grad()
            self.give(program.gradients, set(self.optimizer.params))
            program.update = None
            self.optimizer.step()
            prepare = getattr(self.optimizer, "_prepared", None)
            update = prepare(program.gradients) if prepare else None
            if update is not None:
                program.take(update)
        else:
            self.give(program.gradients, set())
        return joined(program.outputs)


def compile(function: Callable[..., Any], *, optimizer: Any = None, check: int = 0) -> CompiledStep:
    """A training step that runs without the tape, from the second call on.

    The first call for given shapes and dtypes runs as always and is observed: it becomes a
    straight-line program, forward and backward, whose arrays are made once. The second call runs
    both and compares them, bit for bit. From then on the program runs alone.

    Parameters
    ----------
    function : callable
        ``function(*arguments)`` returns a loss, a tensor of one element, or a tuple of the loss and
        of other tensors that one wants to see. Arguments are arrays and tensors (their shapes and
        dtypes may change, at the cost of a program for each), `numpy.random.Generator` (its draws
        are drawn anew at each call), and numbers, strings or None (another value is another
        program). Parameters are the leaves that it closes over.
    optimizer : SGD, Adam or another `Optimizer`, optional
        Makes its step at the end of each call, after ``zero_grad``.
    check : int, optional
        Run the tape beside the program at every so manieth call, and compare; 0 for never.

    Returns
    -------
    CompiledStep
        ``step(*arguments)`` returns the same as tensors without history, adds the gradients to
        ``.grad`` of the leaves as ``loss.backward()`` does, and has the program as
        ``step.program``. That of an optimizer's parameters holds the gradients of this call until
        the next one.

    Raises
    ------
    DtypeError
        If `function` is not callable, or `optimizer` has no ``step`` of no arguments (L-BFGS).
    GradientError
        At a call: where the loss is not one number or requires no gradient; and where `check`
        finds a difference.

    Notes
    -----
    Followed is what NumPy makes of the arguments and of numbers that are read from tensors; where
    Python asks (``if x.max() > 1``), the answer is a condition, and where it comes out otherwise
    the call runs on the tape and makes another program.  Numbers, strings and modules that the
    function closes over are looked at when it is called.  Not seen are: other objects that change,
    and what the function does beside computing its loss (printing, appending), which happens while
    it is observed and not afterwards.  What cannot be followed (a change in place, a backward pass
    inside, hooks) stays on the tape, with one warning, as does a step whose second call differs;
    ``.reason`` says why.

    Examples
    --------
    >>> model = mg.models.LinearAutoencoder(3, 1, rng=np.random.default_rng(0))
    >>> sgd = mg.optim.SGD(model.parameters(), lr=0.01)
    >>> step = mg.compile(lambda x: model.loss(x) / len(x), optimizer=sgd)
    >>> X = np.random.default_rng(1).standard_normal((20, 3))
    >>> losses = [step(X).item() for _ in range(10)]
    >>> losses[-1] < losses[0], len(step.program.lines) > 5
    (True, True)
    """
    if not callable(function):
        raise DtypeError(
            "compile: the step is not a function",
            f"got a {type(function).__name__}",
            "pass a function that returns a loss: mg.compile(lambda x: model.loss(x))",
        )
    if optimizer is not None:
        step = getattr(optimizer, "step", None)
        if step is None or any(
            p.default is p.empty for p in inspect.signature(step).parameters.values()
        ):
            raise DtypeError(
                "compile: this optimiser cannot make a step of its own accord",
                f"got a {type(optimizer).__name__}",
                "pass SGD, Adam or AdamW; L-BFGS calls its loss itself: "
                "optimizer.step(closure) with closure = a compiled step without optimizer",
            )
    check = whole_number(check, "compile: check", "0 for never", low=0)
    return CompiledStep(function, optimizer, check, caller_scopes(1))


# --- arguments ---


def kind_of(argument: Any, k: int) -> Any:
    """What a program depends on in an argument."""
    if type(argument) is np.ndarray:
        return argument.shape, argument.dtype, argument.strides
    if isinstance(argument, Value):
        data = argument._data
        return Value, data.shape, data.dtype, Same(argument) if argument.requires_grad else None
    if isinstance(argument, np.random.Generator):
        return np.random.Generator
    if isinstance(argument, STATIC):
        return type(argument), argument
    raise DtypeError(
        f"compile: argument {k + 1} cannot be followed",
        f"got a {type(argument).__name__}",
        "pass arrays, tensors, numpy.random.Generator, numbers and strings; others belong into the "
        "function itself",
    )


def states_of(arguments: Sequence[Any]) -> list[Any]:
    """The states of the generators."""
    return [a.bit_generator.state for a in arguments if isinstance(a, np.random.Generator)]


def restore(arguments: Sequence[Any], states: list[Any] | None) -> None:
    """The generators as they were; None where nothing was drawn."""
    if states is None:
        return
    generators = (a for a in arguments if isinstance(a, np.random.Generator))
    for g, before in zip(generators, states, strict=True):
        g.bit_generator.state = before


# --- numbers ---


def gradients_of(loss: Value) -> dict[Value, np.ndarray]:
    """What `backward` would leave in the leaves."""
    if not loss.requires_grad:
        engine.backward(loss)  # which says what is wrong
    found = engine.backpropagate(loss, engine.seed_for(loss, None))
    return {x: g for x, g in found.items() if x.op is None}


def split(returned: Any) -> tuple[Any, tuple[Any, ...]]:
    """(the loss, what else a function returned)."""
    loss, others = (returned[0], returned[1:]) if type(returned) is tuple else (returned, ())
    demand_loss(loss, "compile")
    for other in others:
        if not isinstance(other, Value):
            raise DtypeError(
                "compile: what a step returns beside its loss are tensors",
                f"got a {type(other).__name__}",
                "return the tensor itself, and ask for its numbers outside",
            )
    return loss, others


def joined(arrays: Sequence[np.ndarray]) -> Any:
    """Tensors without history, one or a tuple of several."""
    new = Value.result_class.new
    if len(arrays) == 1:
        return new(arrays[0].copy())
    return tuple([new(a.copy()) for a in arrays])


def difference(
    program: Program, numbers: Sequence[np.ndarray], gradients: dict[Value, np.ndarray]
) -> str:
    """Where the program's numbers are not these, '' if nowhere."""
    for found, known in zip(program.outputs, numbers, strict=True):
        if not np.array_equal(found, known, equal_nan=True):
            if known.size > 1:
                return "what it returns differs"
            return f"a result is {float(found):.9g}, on the tape {float(known):.9g}"
    if program.gradients.keys() != gradients.keys():
        return "other leaves have a gradient"
    for leaf, g in gradients.items():
        if not np.array_equal(program.gradients[leaf], g, equal_nan=True):
            apart = np.max(np.abs(program.gradients[leaf] - g))
            return f"the gradient of {leaf.name or 'a leaf'} differs by {apart:.2g}"
    return ""
