"""What an argument may be, and what is said where it is not: of a function, and on the command
line.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .errors import DataError, DtypeError, MinigradError, ShapeError


def spell_out() -> None:
    """Let stdout and stderr write what their encoding has no character for (x-bar, on some screens)
    as an escape.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end_with_the_reader(script: str) -> None:
    """Let a script whose output nobody reads any more (``| head -1``) end at once and in silence,
    as Unix programs do.

    Only where this process was started to run `script`, a file's stem: in any other one it would
    end whoever writes into a connection that was closed.
    """
    ours = any(Path(word).stem == script for word in sys.orig_argv[1:])
    first = threading.current_thread() is threading.main_thread()
    if ours and first and hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def seed(text: str) -> int:
    """The type of ``--seed``: a whole number, at least 0, as NumPy's generators take it."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"a seed is a whole number, at least 0, not {text!r}")
    return number


class Parser(argparse.ArgumentParser):
    """`argparse.ArgumentParser`, whose errors say what was wrong, the usage, and where to read on;
    exit code 2.
    """

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split())
        self.exit(2, f"{self.prog}: {message}\n  {usage}\n  fix: see {self.prog} --help\n")


def counted(n: int, one: str, several: str = "") -> str:
    """'1 column', '3 columns', '1,797 columns'."""
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def span(low: int, high: int) -> str:
    """'from 1 to 5'; '1 and nothing else' where there is no choice."""
    return f"{low} and nothing else" if low == high else f"from {low} to {high}"


def extent(low: float, high: float) -> str:
    """'run from 0 to 255'; 'are all 1'."""
    return f"are all {low:.6g}" if low == high else f"run from {low:.6g} to {high:.6g}"


# --- numbers, names, dtypes, generators ---
#
# A wrong type (True for a number, "2", 2.0 for a whole number) is a DtypeError; a value that is not
# allowed is a DataError.  `name` begins the sentence, such as "SGD: momentum"; `what` and `where`
# replace the usual first two lines of a DataError.


def whole_number(
    value: Any,
    name: str,
    fix: str = "",
    low: int = 1,
    high: int | None = None,
    *,
    what: str = "",
    where: str = "",
) -> int:
    """`value` as an int with low <= value, and value <= high where there is a `high`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if high is None and whole and value > sys.maxsize:  # more than anything here can count
        high = sys.maxsize
    if whole and low <= value and (high is None or value <= high):
        return int(value)
    limits = f"at least {low}" if high is None else span(low, high)
    usual, fix = f"{name} must be a whole number, {limits}", fix or f"pass an int, {limits}"
    if not whole:
        raise DtypeError(usual, _got(value), fix)
    raise DataError(what or usual, where or _got(value), fix)


def real_number(
    value: Any, name: str, interval: str, fix: str, *, what: str = "", where: str = ""
) -> float:
    """`value` as a float inside `interval`, written as in mathematics: "[0, inf)", "(0, 1)"."""
    scalar = type(value) is np.ndarray and value.ndim == 0 and value.dtype.kind in "fiu"
    if isinstance(value, bool) or not (scalar or isinstance(value, Real)):
        raise DtypeError(f"{name} must be a real number", _got(value), fix)
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond float64
        number = math.inf
    if not inside(number, interval):
        raise DataError(what or f"{name} must {_bounds(interval)}", where or _got(value), fix)
    return number


def real_numbers(value: Any, name: str, interval: str, fix: str) -> np.ndarray:
    """`value`, one number or an array of them, as a float64 array inside `interval`."""
    array = plain(value, name)
    if array.dtype.kind not in "fiu":
        raise DtypeError(f"{name} must be made of real numbers", _got(value), fix)
    if not inside(array, interval).all():
        raise DataError(f"{name} must {_bounds(interval)}", _got(value), fix)
    return array.astype(np.float64)


def real_pair(value: Any, name: str, interval: str, fix: str) -> tuple[float, float]:
    """`value`, two numbers inside `interval`, as floats."""
    what = f"{name} must be two numbers"
    scalar = isinstance(value, np.ndarray) and value.ndim == 0
    if scalar or not isinstance(value, tuple | list | np.ndarray):
        raise DtypeError(what, _got(value), fix)
    if len(value) != 2:
        raise DataError(what, _got(value), fix)
    first, second = (
        real_number(each, f"{name}[{k}]", interval, fix) for k, each in enumerate(value)
    )
    return first, second


def inside(value: Any, interval: str) -> Any:
    """Whether a number, or each number of an array, lies in `interval`; NaN never does."""
    low, high = _ends(interval)
    above = value >= low if interval[0] == "[" else value > low
    below = value <= high if interval[-1] == "]" else value < high
    return above & below


@lru_cache(maxsize=64)
def _ends(interval: str) -> tuple[float, float]:
    low, high = interval[1:-1].split(",")
    return float(low), float(high)


def kind_of(value: Any) -> str:
    """'a list', 'None': what was passed where its text would say less."""
    return "None" if value is None else f"a {type(value).__name__}"


def _got(value: Any) -> str:
    """What was passed, in one line."""
    return f"got {' '.join(repr(value).split()):.60}"


def _bounds(interval: str) -> str:
    """What `interval` asks: 'be >= 0 and finite', 'lie in [0, 1)'."""
    low, high = interval[1:-1].split(", ")
    if high != "inf":
        return f"lie in {interval}"
    if low == "-inf":
        return "be finite"
    return f"be {'>=' if interval[0] == '[' else '>'} {low} and finite"


def sizes(value: Any, name: str, fix: str, low: int = 1) -> tuple[int, ...]:
    """`value`, a sequence of whole numbers that are at least `low`, as a tuple."""
    several = isinstance(value, Sequence) or np.ndim(value) > 0
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or not several:
        raise DtypeError(f"{name} must be a sequence of whole numbers", _got(value), fix)
    return tuple(whole_number(n, f"each number in {name}", fix, low) for n in value)


def choice(
    value: Any,
    allowed: Iterable[str | None],
    who: str,
    kind: str,
    fix: str = "use one of these",
    *,
    what: str = "",
    where: str = "",
) -> Any:
    """`value` if it is one of the names `allowed` (None may be one), or an error that lists them;
    `kind` says what is chosen.
    """
    names = list(allowed)
    named = value is None or isinstance(value, str)
    if named and value in names:
        return value
    error: type[MinigradError] = DataError if named else DtypeError
    where = where or f"there are {', '.join(map(str, names))}"
    raise error(what or f"{who}: unknown {kind} {value!r:.60}", where, fix)


def flag(value: Any, name: str) -> bool:
    """`value` if it is True or False; a DtypeError for what would only count as one of them."""
    if not isinstance(value, bool | np.bool_):
        raise DtypeError(f"{name} must be True or False", _got(value), "pass True or False")
    return bool(value)


def real_dtype(dtype: Any, who: str = "dtype=", holds: str = "parameters") -> np.dtype:
    """`dtype` as float32 or float64; anything else is a DtypeError."""
    try:
        wanted = None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError):
        wanted = None
    if wanted not in (np.float32, np.float64) or wanted is None:
        raise DtypeError(
            f"{who}: {holds} must be float32 or float64",
            f"got dtype={dtype if wanted is None else wanted}",
            "pass dtype=np.float64 or dtype=np.float32",
        )
    return wanted


def any_dtype(dtype: Any, who: str) -> np.dtype:
    """`dtype` as one of NumPy's, or a DtypeError."""
    try:
        return np.dtype(dtype)
    except (TypeError, ValueError) as error:
        fix = "pass np.float64, np.float32, or another dtype of NumPy"
        raise DtypeError(f"{who}: unknown dtype", str(error), fix) from None


def instance(value: Any, kinds: Any, name: str, fix: str) -> Any:
    """`value` if it is one of the `kinds` (a class, or several), or a DtypeError."""
    if not isinstance(value, kinds):
        wanted = " or ".join(k.__name__ for k in (kinds if isinstance(kinds, tuple) else (kinds,)))
        raise DtypeError(f"{name} must be a {wanted}", _got(value), fix)
    return value


def offering(value: Any, attributes: str, name: str, fix: str) -> Any:
    """`value` if it has all these attributes ("encode decode"), or a DtypeError."""
    missing = [each for each in attributes.split() if not hasattr(value, each)]
    if missing:
        raise DtypeError(f"{name} has no {missing[0]}", _got(value), fix)
    return value


def members(value: Any, kinds: Any, name: str, fix: str) -> list[Any]:
    """`value`, something that can be walked through, as a list whose members are all of the
    `kinds`.
    """
    scalar = isinstance(value, np.ndarray) and value.ndim == 0
    if scalar or not isinstance(value, Iterable):
        raise DtypeError(f"{name} must be a list", _got(value), fix)
    return [instance(one, kinds, f"each of {name}", fix) for one in value]


def function(value: Any, name: str, fix: str) -> Any:
    """`value` if it can be called, or a DtypeError."""
    if not callable(value):
        raise DtypeError(f"{name} must be a function", _got(value), fix)
    return value


def file_path(value: Any, name: str) -> Path:
    """`value`, a str or a path, as a Path."""
    return Path(instance(value, (str, os.PathLike), name, 'pass a path, such as "X.npy"'))


def generator(rng: Any, who: str, purpose: str) -> np.random.Generator:
    """`rng` itself; a DtypeError unless it is a Generator, since nothing here has hidden
    randomness.
    """
    if not isinstance(rng, np.random.Generator):
        raise DtypeError(
            f"{who}: a random generator is needed to draw {purpose}",
            f"got rng={rng!r:.60}",
            "pass rng=np.random.default_rng(seed); the same seed gives the same numbers",
        )
    return rng


# --- arrays under a mask ---


def unmasked(value: Any, name: str) -> Any:
    """`value` as it is, a masked array as the plain array below its mask; lists and tuples are
    looked into.

    Raises DataError where a mask hides something: what lies below a mask may not be computed with,
    and np.asarray would take it for a number.
    """
    # NumPy loads this module when it is asked for; before that there is no masked array
    ma = sys.modules.get("numpy.ma")
    if ma is not None and isinstance(value, ma.MaskedArray):
        hidden = ma.getmaskarray(value)
        if hidden.any():
            by_row = ", or drop their rows, np.ma.compress_rows(X)" if value.ndim == 2 else ""
            raise DataError(
                f"{name} has masked entries",
                f"{int(hidden.sum())} of {value.size} entries, shape {value.shape}",
                f"fill them, X.filled(value){by_row}",
            )
        return np.asarray(value)
    if isinstance(value, list | tuple):
        for each in value:
            if isinstance(each, list | tuple | np.ndarray):
                unmasked(each, name)
    return value


EQUAL_ROWS = "give rows of equal length"
# kinds of arrays that `plain` leaves as they are: those that `mg.compile` follows
LEFT: set[type] = set()


def plain(value: Any, name: str, dtype: Any = None) -> np.ndarray:
    """`np.asarray`, but DataError where a mask hides something or rows differ in length, and
    DtypeError where `dtype` is asked for and these are no numbers, or a real one would drop
    imaginary parts.
    """
    value = unmasked(value, name)
    try:
        array = value if type(value) in LEFT else np.asarray(value)
    except ValueError:  # nested lists of different lengths
        where = "its rows differ in length"
        raise ShapeError(f"{name} is not a regular array", where, EQUAL_ROWS) from None
    if dtype is None:
        return array
    array = _numeric(array, value, name)
    if array.dtype.kind == "c" and np.dtype(dtype).kind != "c":
        raise DtypeError(
            f"{name} cannot be complex: its imaginary part would be dropped",
            f"got shape {array.shape}, dtype {array.dtype}, where {np.dtype(dtype)} is needed",
            "pass real numbers, such as X.real",
        )
    return array.astype(dtype, copy=False)


def numbers(value: Any, name: str) -> np.ndarray:
    """`plain`, of numbers of any kind, in their own dtype."""
    return _numeric(plain(value, name), value, name)


def _numeric(array: np.ndarray, value: Any, name: str) -> np.ndarray:
    if array.dtype.kind not in "biufc":
        raise DtypeError(
            f"{name} must consist of real numbers",
            f"{_got(value)}, of dtype {array.dtype}",
            "pass an array of numbers; if these are numbers as text, np.asarray(X, dtype=float)",
        )
    return array


def rows(value: Any, name: str, dtype: Any = None) -> np.ndarray:
    """`plain`, of at least one axis: a row is one datum."""
    array = plain(value, name, dtype)
    if array.ndim == 0:
        raise ShapeError(
            f"{name} must have rows", f"got {kind_of(value)} without axes", "pass an array"
        )
    return array


# --- sizes that no memory holds ---


SMALL = 1 << 26  # bytes; below this nobody asks


def demand_room(needed: int, what: str, fix: str) -> None:
    """DataError if about `needed` bytes are more than this process can still have."""
    if needed < SMALL:
        return
    free = available()
    if free is not None and needed > free:
        raise DataError(
            f"{what} would not fit into the memory of this machine",
            f"about {spelt(needed)} are needed, {spelt(free)} are free",
            fix,
        )


_left: ContextVar[int | None] = ContextVar("numbers that may still be drawn", default=None)


@contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """In here `demand_room_for` refuses arrays that together have more than so many numbers."""
    token = _left.set(numbers)
    try:
        yield
    finally:
        _left.reset(token)


def demand_room_for(shape: Sequence[int]) -> None:
    """DataError if an array of this shape cannot be drawn: in float64, and then once more in its
    own dtype.
    """
    count = math.prod(int(n) for n in shape)
    what = f"an array of {' x '.join(f'{n:,}' for n in shape)} numbers"
    fix = "choose smaller sizes (units, features, patches)"
    demand_room(count * 2 * 8, what, fix)
    left = _left.get()
    if left is None:
        return
    if count > left:
        raise DataError(f"{what} is more than there are", f"{left:,} are left", fix)
    _left.set(left - count)


def available() -> int | None:
    """Bytes that can still be had, by the system's own account and the container's limit; None
    where neither says.
    """
    found = [n for n in (_free_in_the_machine(), _free_in_the_container()) if n is not None]
    return min(found, default=None)


def spelt(n: int) -> str:
    """'3.2 GB': a number of bytes for people."""
    for power, unit in ((15, "PB"), (12, "TB"), (9, "GB"), (6, "MB")):
        if n >= 10**power:
            return f"{n / 10**power:.3g} {unit}" if n < 10**24 else f"10^{len(str(n)) - 1} bytes"
    return f"{n:,} bytes"


def _free_in_the_machine() -> int | None:
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(
            int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")
        )
    with suppress(AttributeError, OSError, ValueError):
        # all of it, where the system does not say what is free
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _free_in_the_container() -> int | None:
    for names in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # no such limit ("max"), or no container
            limit, used = (
                int(Path("/sys/fs/cgroup", name).read_text(encoding="utf-8")) for name in names
            )
            return max(0, limit - used)
    return None
