"""How a kernel is compiled: one decorator, three settings, and the reasons for them.

* ``error_model="numpy"``: Python's model puts a zero-division test into every ``/``, and a loop
  with a test inside is not vectorised (10 to 14 times slower, measured).
* ``REDUCTION`` flags let sums be re-ordered into vector lanes; ``ELEMENTWISE`` flags only fuse a
  multiply and an add. Both keep NaN, Inf and (element-wise) the sign of zero.  ``fastmath=True``
  would delete ``x != x``: never used.
* LLVM's SLP vectoriser turns eight equal scalar operations into one vector operation.  Numba leaves
  it off; the register tile of the matrix product lives on it, so it is on while this package's
  kernels compile, and only then.

Compiled code is cached on disk beside the source (or where ``NUMBA_CACHE_DIR`` says).  Where no
place is writable the kernel is compiled in each process again.  Without Numba the decorator returns
the Python function as it is.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from minigrad_ae.kernels.width import Wide, wide

numba: Any
try:
    numba = import_module("numba")
    event: Any = import_module("numba.core.event")
except ImportError:  # the NumPy definitions take over, see backend.py
    numba = None

ELEMENTWISE = frozenset({"contract"})
REDUCTION = frozenset({"contract", "reassoc", "nsz"})

# What we use of Numba's own cache file, which has no public interface (numba issue 1833).  Where a
# version of Numba lacks any of it, kernels are not cached on disk: slower to start, never stale.
CACHE_FILE = (
    "_source_stamp",
    "_cache_path",
    "_index_name",
    "_load_index",
    "_load_data",
    "_index_path",
    "_data_path",
    "save",
)

F = TypeVar("F", bound=Callable[..., Any])


def jit(
    flags: frozenset[str] = ELEMENTWISE,
    always_inline: bool = False,
    allocates: bool = False,
    inline: bool = False,
) -> Callable[[Callable[..., Any]], Any]:
    """Compile lazily, once per dtype and memory layout, with ``flags``; release the GIL while
    running.

    ``always_inline``: LLVM copies the function into its callers, which it must for their loops to
    be vectorised.  The copy keeps its own flags; Numba's ``inline="always"`` would give it the
    caller's, and ``reassoc`` there would cancel the two-step reduction in exp.

    ``allocates``: it makes arrays.  Only then does Numba count who refers to an array, twice an
    argument, which each time takes as long as 20 multiplications of vectors.

    ``inline``: Numba writes the function into its callers, which must have the same flags, and does
    not compile it by itself: each time it would compile all tiles that it calls.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        if numba is None:
            return function
        # plain Python, and as silent about overflow and 0 / 0 as compiled code is
        if numba.config.DISABLE_JIT:
            return np.errstate(all="ignore")(function)
        settings: dict[str, Any] = {"error_model": "numpy", "fastmath": set(flags), "nogil": True}
        settings["_nrt"] = allocates
        if inline:
            settings["inline"] = "always"
        if always_inline:
            settings["forceinline"] = True
        if Wide is not None:
            settings["pipeline_class"] = Wide
        try:
            kernel = numba.njit(cache=True, **settings)(function)
        # "no locator available": read-only source and no usable home directory
        except RuntimeError:
            return numba.njit(**settings)(function)
        cache_file: Any = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
        if not all(hasattr(cache_file, name) for name in CACHE_FILE):
            return numba.njit(**settings)(function)
        if wide(cache_file._cache_path):
            _name_by_width(cache_file)
        _date_by_folder(cache_file)
        _forgive_damage(cache_file)
        return kernel

    return decorate


def overload(function: Callable[..., Any]) -> Callable[[F], F]:
    """``numba.extending.overload``, or nothing at all where Numba is missing or switched off."""
    if numba is None or numba.config.DISABLE_JIT:
        return lambda implementation: implementation
    from numba.extending import overload as register

    return register(function)


def known_when_compiling(function: F) -> F:
    """Decorator for what depends only on the dtype of its one argument, an array or a number: where
    it is compiled it is a constant, and branches that do not fit are dropped.
    """

    @overload(function)
    def compiled(a):  # type: ignore[no-untyped-def]  # Numba compares signatures, annotations included
        constant = function(np.dtype(str(getattr(a, "dtype", a))).type(0))
        return lambda a: constant

    return function


def _name_by_width(cache_file: Any) -> None:
    """Give kernels with wide vectors files of their own: Numba tells them apart by processor and
    source, and not by how they were compiled.
    """
    base = cache_file._index_name.removesuffix(".nbi")
    cache_file.__init__(cache_file._cache_path, f"{base}.512", cache_file._source_stamp)


def _date_by_folder(cache_file: Any) -> None:
    """Let a cached kernel go stale when *any* file of this folder changes.

    Numba looks only at the file of the kernel itself, so a helper edited in another file would keep
    its old meaning inside the caller (numba issue 1833).
    """
    stats = [path.stat() for path in sorted(Path(__file__).parent.glob("*.py"))]
    cache_file._source_stamp = (max(s.st_mtime for s in stats), sum(s.st_size for s in stats))


def _forgive_damage(cache_file: Any) -> None:
    """Compile again, and say so, where the cache of a kernel cannot be read; go on without where it
    cannot be written.

    Numba takes only a missing file for an empty cache: one that was cut short ends in an
    UnpicklingError or an EOFError. The file is replaced when the kernel has been compiled.
    """
    load_index, load_data, save = cache_file._load_index, cache_file._load_data, cache_file.save

    def index() -> Any:
        try:
            return load_index()
        except Exception as error:  # a damaged pickle can raise anything
            _say_damaged(cache_file._index_path, error)
            return {}

    def data(name: str) -> Any:
        try:
            return load_data(name)
        except FileNotFoundError:
            raise
        except Exception as error:
            _say_damaged(cache_file._data_path(name), error)
            raise OSError("damaged") from None  # which Numba takes for a file that is not there

    def keep(key: Any, compiled: Any) -> None:
        try:
            save(key, compiled)
        except OSError as error:
            _say_damaged(
                cache_file._index_path, error, "cannot be written: each process compiles again"
            )

    cache_file._load_index, cache_file._load_data, cache_file.save = index, data, keep


_said: set[str] = set()


def _say_damaged(
    path: str, error: Exception, what: str = "cannot be read: compiling again"
) -> None:
    """One line on standard error for each file."""
    if path not in _said:
        _said.add(path)
        print(
            f"minigrad_ae: the cached kernel {path} {what} ({type(error).__name__})",
            file=sys.stderr,
            flush=True,
        )


def damaged_files(folder: str | Path) -> list[Path]:
    """Cached kernels in `folder`, Numba's indices and data, that cannot be read.

    What a file that is no longer here has left behind is not looked at: nobody reads it.
    """
    found = []
    here = {path.stem for path in Path(__file__).parent.glob("*.py")}
    for path in sorted(p for p in Path(folder).glob("*.nb[ic]") if p.name.split(".")[0] in here):
        try:
            with open(path, "rb") as file:
                pickle.load(file)
                if path.suffix == ".nbi":
                    pickle.load(file)
        except Exception:  # as above
            found.append(path)
    return found


_Listener: Any = object if numba is None else event.Listener


class _Compiling(_Listener):
    """Listens to Numba's compile events: says so once, and keeps the SLP vectoriser on meanwhile.

    Numba holds its compiler lock between start and end, so no other thread compiles with our
    setting.  It hears of every compilation in the process, the user's own too, and must not raise
    there.
    """

    announced = False
    depth = 0
    before = 0

    @staticmethod
    def ours(event: Any) -> bool:
        """Whether the function is one of this package's; one made by exec has no module, or
        None.
        """
        function = getattr((event.data or {}).get("dispatcher"), "py_func", None)
        module = getattr(function, "__module__", None)
        return isinstance(module, str) and module.startswith(f"{__package__}.")

    def on_start(self, event: Any) -> None:
        if not self.ours(event):
            return
        if not self.announced:
            self.announced = True
            with suppress(OSError, ValueError):  # standard error may be closed
                print("compiling kernels (once)...", file=sys.stderr, flush=True)
        if self.depth == 0:
            self.before = numba.config.SLP_VECTORIZE
        numba.config.SLP_VECTORIZE = 1
        self.depth += 1

    def on_end(self, event: Any) -> None:
        if not self.ours(event):
            return
        self.depth -= 1
        if self.depth == 0:
            numba.config.SLP_VECTORIZE = self.before


if numba is not None:
    event.register("numba:compile", _Compiling())


def cache_place(kernel: Any) -> str | None:
    """The folder in which ``kernel`` is cached, None where it is not."""
    return getattr(getattr(kernel, "_cache", None), "cache_path", None)
