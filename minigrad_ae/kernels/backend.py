"""Which kernels run (``use``), on how many threads, and what a public kernel checks before it
touches memory.
"""

from __future__ import annotations

import inspect
import os
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from minigrad_ae.arguments import choice, unmasked
from minigrad_ae.errors import DataError, DtypeError, ShapeError
from minigrad_ae.kernels.calls import call

F = TypeVar("F", bound=Callable[..., Any])
NAMES = ("numba", "numpy")


class _State:
    """Process-wide: the backend in use, the number of threads, and the pool (made on first
    need).
    """

    def __init__(self) -> None:
        self.backend = os.environ.get("MINIGRAD_AE_KERNELS", "numba")
        self.checked = False
        self.threads = min(2, os.cpu_count() or 1)
        self.lock = threading.Lock()
        self.forget_pool()

    def forget_pool(self) -> None:
        """After a fork the child has no worker threads: run serially there until asked for threads
        again.
        """
        self.pool: ThreadPoolExecutor | None = None
        self.lock = threading.Lock()


state = _State()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=state.forget_pool)


class use:
    """Choose which kernels run: compiled by Numba, or their NumPy definitions.

    It acts at once; as a context manager it is undone at the end.

    Parameters
    ----------
    name : {"numba", "numpy"}
        The backend.

    Attributes
    ----------
    before : str
        The backend that was in use, and comes back at the end of a ``with`` block.

    Raises
    ------
    DataError
        Where there is no backend of this name.

    Notes
    -----
    The environment variable ``MINIGRAD_AE_KERNELS`` chooses for a whole process.  Both give the
    same numbers to rounding.

    Examples
    --------
    >>> x = np.linspace(-3, 3, 7)
    >>> with mg.kernels.use("numpy"):
    ...     expected = mg.kernels.tanh(x)
    >>> bool(np.allclose(mg.kernels.tanh(x), expected, rtol=1e-14))
    True
    """

    def __init__(self, name: str) -> None:
        fix, what = 'choose "numba" or "numpy"', f"kernels.use: no backend {name!r:.60}"
        choice(name, NAMES, "kernels.use", "backend", fix, what=what, where=f"name={name!r:.60}")
        self.before = state.backend
        state.backend, state.checked = name, False

    def __enter__(self) -> use:
        return self

    def __exit__(self, *exc: object) -> None:
        state.backend, state.checked = self.before, False


def backend() -> str:
    """The backend in use, "numba" or "numpy"; it falls back to NumPy, and says so once, where Numba
    cannot be imported.
    """
    if not state.checked:
        from minigrad_ae.kernels.jit import numba

        state.checked = True
        if numba is None and state.backend == "numba":
            state.backend = "numpy"
            warnings.warn(
                "Numba cannot be imported: the NumPy definitions are used instead", stacklevel=3
            )
    if state.backend not in NAMES:
        name, state.backend = state.backend, "numba"
        raise DataError(
            f"no kernels named {name!r}",
            f"MINIGRAD_AE_KERNELS={name}",
            'set it to "numba" or "numpy"',
        )
    return state.backend


def set_num_threads(n: int) -> None:
    """Use at most `n` threads for one kernel.

    Parameters
    ----------
    n : int
        The number of threads, at least 1.

    Raises
    ------
    DataError
        Where `n` is not a whole number >= 1.

    Notes
    -----
    Results do not depend on it, to the last bit: the work is cut so that each number is summed in
    the same order.

    Examples
    --------
    >>> before, A = mg.kernels.get_num_threads(), np.random.default_rng(0).random((300, 300))
    >>> mg.kernels.set_num_threads(1)
    >>> alone = mg.kernels.matmul(A, A)
    >>> mg.kernels.set_num_threads(2)
    >>> bool(np.array_equal(mg.kernels.matmul(A, A), alone))
    True
    >>> mg.kernels.set_num_threads(before)
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise DataError(
            "set_num_threads: at least one thread is needed", f"n={n!r}", "give a whole number >= 1"
        )
    with state.lock:
        state.threads = int(n)
        state.pool = None


def get_num_threads() -> int:
    """The number of threads that one large kernel may use.

    Returns
    -------
    int
        2 at first, or 1 where the machine has one core; see `set_num_threads`.
    """
    return state.threads


def in_parallel(kernel: Callable[..., None], tasks: list[tuple[Any, ...]]) -> None:
    """Run ``kernel(*task)`` for every task; the tasks write to disjoint memory."""
    if len(tasks) == 1:
        call(kernel, *tasks[0])
    else:
        call(_in_threads, kernel, tasks)


def _in_threads(kernel: Callable[..., None], tasks: list[tuple[Any, ...]]) -> None:
    """Run the tasks, each in a thread.

    Compiled kernels release the GIL, so plain Python threads do.  That needs no second, parallel
    compilation of each kernel, and neither fork nor several calling threads can hang it as they do
    OpenMP.  A caller that finds the pool taken runs its tasks itself.
    """
    if len(tasks) > 1 and state.threads > 1 and state.lock.acquire(blocking=False):
        try:
            if state.pool is None:
                state.pool = ThreadPoolExecutor(state.threads - 1, "minigrad-kernels")
            waiting = [state.pool.submit(kernel, *task) for task in tasks[1:]]
            kernel(*tasks[0])
            for future in waiting:
                future.result()
        finally:
            state.lock.release()
    else:
        for task in tasks:
            kernel(*task)


def chunks(n: int, grain: int) -> list[tuple[int, int]]:
    """``range(n)`` in one piece per thread, cut at multiples of ``grain``."""
    pieces = min(state.threads, n // grain)
    if pieces < 2:
        return [(0, n)]
    step = -(-n // (pieces * grain)) * grain
    return [(start, min(start + step, n)) for start in range(0, n, step)]


def compiled_form_of(definition: Callable[..., Any]) -> Callable[[F], F]:
    """Mark a public kernel as the compiled form of a NumPy ``definition``, which runs instead
    under ``use("numpy")``.
    """

    def decorate(kernel: F) -> F:
        @wraps(kernel)
        def either(*args: Any, **kwargs: Any) -> Any:
            if (state.backend if state.checked else backend()) == "numba":
                return kernel(*args, **kwargs)
            return definition(*args, **kwargs)

        either.definition = definition  # type: ignore[attr-defined]
        return either  # type: ignore[return-value]

    return decorate


def filled_by(fill: Callable[[str, tuple[np.ndarray, ...], np.ndarray], np.ndarray]) -> Any:
    """Decorator of a NumPy definition f(x, out), f(g, y, out) or f(g, x, out) of arrays of one
    shape: its compiled form is ``fill``, called with the name, the inputs and a checked ``out``.
    """

    def decorate(definition: F) -> F:
        name = definition.__name__

        def of_input(x: np.ndarray, out: Any = None) -> np.ndarray:
            check_floats(name, x=x)
            return fill(name, (x,), check_out(name, out, x.shape, x.dtype))

        def from_result(g: np.ndarray, y: np.ndarray, out: Any = None) -> np.ndarray:
            check_same_shape(name, g=g, y=y)
            return fill(name, (g, y), check_out(name, out, g.shape, g.dtype))

        def from_input(g: np.ndarray, x: np.ndarray, out: Any = None) -> np.ndarray:
            check_same_shape(name, g=g, x=x)
            return fill(name, (g, x), check_out(name, out, g.shape, g.dtype))

        forms: dict[tuple[str, ...], Any] = {
            ("x",): of_input,
            ("g", "y"): from_result,
            ("g", "x"): from_input,
        }
        *inputs, _ = inspect.signature(definition).parameters
        kernel: Any = wraps(definition)(forms[tuple(inputs)])
        return compiled_form_of(definition)(kernel)  # type: ignore[no-any-return]

    return decorate


FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


_NO_ARRAY = object()  # not None, which NumPy takes for float64: np.dtype(float) == None


def check_floats(kernel: str, **arrays: Any) -> None:
    """Every argument is a float32 or float64 array, all of one dtype."""
    kinds = [array.dtype if type(array) is np.ndarray else _NO_ARRAY for array in arrays.values()]
    if kinds.count(kinds[0]) == len(kinds) and kinds[0] in FLOATS:
        return
    for name, array in arrays.items():
        unmasked(array, f"{kernel}: {name}")
        if (
            not isinstance(array, np.ndarray)
            or array.dtype.char not in "fd"
            or not array.dtype.isnative
        ):
            what = f"{array.dtype} array" if isinstance(array, np.ndarray) else type(array).__name__
            raise DtypeError(
                f"{kernel}: {name} must be a float32 or float64 array",
                f"{name} is a {what}",
                f"convert it: np.asarray({name}, dtype=np.float32)",
            )
    if len({array.dtype for array in arrays.values()}) > 1:
        raise DtypeError(
            f"{kernel}: arguments of different dtype",
            ", ".join(f"{n} {a.dtype}" for n, a in arrays.items()),
            "convert them to one dtype",
        )


def check_same_shape(kernel: str, **arrays: np.ndarray) -> None:
    """All arguments are float arrays of one dtype and one shape."""
    check_floats(kernel, **arrays)
    shapes_found = [array.shape for array in arrays.values()]
    if shapes_found.count(shapes_found[0]) < len(shapes_found):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ShapeError(
            f"{kernel}: arguments of different shape",
            shapes,
            "broadcast them first; kernels do not",
        )


def check_out(kernel: str, out: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """``out`` if it can be written to as it stands, a new array if it is None."""
    if out is None:
        return np.empty(shape, dtype)
    check_floats(kernel, out=out)
    flags = out.flags
    if out.shape != shape or out.dtype != dtype or not flags.c_contiguous or not flags.writeable:
        state = (
            f"{out.shape} {out.dtype}, contiguous={out.flags.c_contiguous}, "
            f"writeable={out.flags.writeable}"
        )
        raise ShapeError(
            f"{kernel}: out does not fit",
            f"out is {state}; needed: {shape} {dtype}, contiguous, writeable",
            f"np.empty({shape}, np.{np.dtype(dtype)})",
        )
    return out
