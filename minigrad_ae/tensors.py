"""Tensor: a `Value` with arithmetic.  Mostly a table; the work is done in ops and engine."""

from __future__ import annotations

import dis
import logging
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import ops
from .arguments import flag, plain, unmasked
from .autodiff import engine
from .autodiff.graph import Value, changes, copied, grad_mode, next_serial, read, read_only
from .autodiff.messages import NO_GRAD, NUMPY_ERRORS, not_ours, refuse_mask
from .autodiff.origin import caller, where
from .display import tensor_html
from .errors import DataError, DtypeError, GradientError
from .ops.arrays import settled
from .ops.public import METHODS, PUBLIC, Methods

_STORE = dis.opmap["STORE_SUBSCR"]


def _operators(op: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The methods for ``self + other`` and ``other + self``."""

    def method(self: Any, other: Any) -> Any:
        return op.record((self, other), {})

    def reflected(self: Any, other: Any) -> Any:
        return op.record((other, self), {})

    return method, reflected


class Tensor(Methods, Value):
    """An array that remembers how it was computed.

    It is made by `mg.tensor`, or computed from tensors. Every public function whose first input
    is a tensor is a method, too: ``x.tanh()`` is ``mg.tanh(x)``.

    Attributes
    ----------
    data : ndarray
        The values, not a copy; those of a computed tensor can only be read.
    grad : ndarray or None
        dL/dx of a leaf, added up over the calls of ``backward``.
    requires_grad : bool
        Whether gradients flow to it.
    shape, dtype, ndim, size
        As of the array.
    is_leaf : bool
        True unless it was computed from something with a gradient.
    name : str or None
        What the inspector calls it.
    op : Op or None
        What computed it.
    T : Tensor
        All axes reversed.

    Examples
    --------
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad.tolist()
    [2.0, 4.0]
    """

    __slots__ = ()

    # --- the array ---
    @property
    def data(self) -> np.ndarray:
        """The values (not a copy), also where a gradient is required; those of a computed tensor
        can only be read.
        """
        array = read(self)
        if self.op is None and (
            not self.params or self.changed >= 0 or not self.params["borrowed"]
        ):
            return array
        return read_only(array)  # a rule may read it later; kernels get the array itself

    @data.setter
    def data(self, new: Any) -> None:
        if new is None:
            raise DtypeError(
                "new data cannot be None", f"for {where(self)}", f"pass an array; {NO_GRAD}"
            )
        if isinstance(new, Value):  # a copy: what is trained shares no memory with a graph
            new = new._data.copy()
        new = plain(new, "the new data", self._data.dtype)
        if self.op is not None:
            raise GradientError(
                "only a leaf can be given new data",
                f"this tensor was computed: {where(self)}",
                "change the leaves it was computed from, or detach() it first",
            )
        if new.shape != self._data.shape:
            raise DataError(
                "new data must have the shape of the old",
                f"got {new.shape}, expected {self._data.shape}, for {where(self)}",
                "make a new tensor for another shape",
            )
        self._data, self.origin = new if new.dtype is self._data.dtype else _plain(new), caller(2)
        self.changed = changes.latest = next_serial()

    shape = property(lambda self: self._data.shape, doc="tuple of int")
    dtype = property(lambda self: self._data.dtype, doc="np.dtype")
    ndim = property(lambda self: self._data.ndim, doc="number of axes")
    size = property(lambda self: self._data.size, doc="number of elements")
    is_leaf = property(
        lambda self: self.op is None,
        doc="True unless it was computed from something with a gradient",
    )
    T = property(lambda self: ops.transpose(self), doc="all axes reversed")

    def numpy(self) -> np.ndarray:
        """The values, as ``data``.

        Returns
        -------
        ndarray
            Not a copy.
        """
        return self.data

    def item(self) -> float:
        """The only element.

        Returns
        -------
        float
            A number of Python's.

        Raises
        ------
        DataError
            If there are several elements, or none.
        """
        if self.size != 1:
            raise DataError(
                "item() needs a single element", f"shape {self.shape}", "index or reduce first"
            )
        return float(read(self).reshape(()))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.requires_grad and grad_mode.enabled:
            raise GradientError(
                "NumPy cannot take this tensor: the array that it makes would have lost the "
                "gradient",
                f"shape {self.shape}, from {where(self)}",
                "mg.stack([a, b]) puts tensors together, mg.where chooses; the values alone are "
                "y.data, or y.numpy()",
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self._data)))

    def __float__(self) -> float:
        frame = sys._getframe(1)
        # array[k] = tensor: NumPy wants a number
        if self.requires_grad and frame.f_code.co_code[frame.f_lasti] == _STORE:
            return float(self.__array__())  # which says what is lost
        return self.item()

    def __int__(self) -> int:
        return int(self.item())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.item(), digits)

    def tolist(self) -> Any:
        """The values as nested lists.

        Returns
        -------
        list or float
            Of Python's floats.
        """
        return read(self).tolist()

    def argmax(self, axis: int | None = None) -> Any:
        """Where the largest element is, as ``np.argmax``.

        Parameters
        ----------
        axis : int or None
            None looks at the flattened tensor.

        Returns
        -------
        int or ndarray of int
            Without a gradient.
        """
        return self._place("argmax", axis)

    def argmin(self, axis: int | None = None) -> Any:
        """Where the smallest element is, as ``np.argmin``.

        Parameters
        ----------
        axis : int or None
            None looks at the flattened tensor.

        Returns
        -------
        int or ndarray of int
            Without a gradient.
        """
        return self._place("argmin", axis)

    def _place(self, name: str, axis: Any) -> Any:
        """What NumPy's method of this name says; its complaint in three lines."""
        try:
            return getattr(read(self), name)(axis)
        except NUMPY_ERRORS as error:
            got, fix = (
                f"axis={axis!r:.40}, shape {self.shape}",
                "the axes are 0 .. ndim - 1, or None",
            )
            raise DataError(f"{name}: {error}", got, fix) from None

    def astype(self, dtype: Any) -> Any:
        """The same values in another dtype; the gradient comes back in this tensor's.

        Parameters
        ----------
        dtype : dtype
            float32 or float64.

        Returns
        -------
        Tensor
            A new one.

        Raises
        ------
        DtypeError
            If `dtype` is something else.
        """
        wanted = _dtype(dtype)
        if wanted not in (np.float32, np.float64):
            raise DtypeError(
                f"astype: a tensor cannot hold {wanted}",
                f"this one is {self.dtype}, from {where(self)}",
                f"use np.float32 or np.float64; an array of {wanted}: t.data.astype(np.{wanted})",
            )
        return ops.cast(self, dtype=wanted)

    def copy(self) -> Any:
        """A new tensor of the same values, through which gradients flow.

        Returns
        -------
        Tensor
            See `detach` for one through which they do not.
        """
        return ops.cast(self, dtype=self.dtype)

    def __bool__(self) -> bool:
        if self.size != 1:
            raise DataError(
                "a tensor of several elements, or of none, is neither true nor false",
                f"shape {self.shape}, from {where(self)}",
                "say which elements count: (x.data > 0).all() or (x.data > 0).any()",
            )
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self) -> str:
        story = [f"shape {self.shape}", str(self.dtype)]
        if self.op is not None:
            story.append(f"from {where(self)}")
        elif self.requires_grad:
            story.append("requires_grad")
        title = f"tensor {self.name!r}" if self.name else "tensor"
        values = np.array2string(self._data, precision=4, threshold=40, edgeitems=3)
        return f"{title} ({', '.join(story)})\n{values}"

    def _repr_html_(self) -> str:
        return tensor_html(self)

    # --- gradients ---
    def backward(self, gradient: Any = None) -> None:
        """Add d<gradient, self>/dx to ``x.grad`` of each leaf x.

        Parameters
        ----------
        gradient : array_like, optional
            dL/dself, of this tensor's shape; 1 for a scalar.

        Raises
        ------
        GradientError
            If nothing here requires a gradient, or a tensor that is not a scalar is given none.

        Examples
        --------
        >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
        >>> (3 * x).backward([1.0, 10.0])
        >>> x.grad.tolist()
        [3.0, 30.0]
        """
        engine.backward(self, gradient)

    def detach(self) -> Tensor:
        """The same array, without its history.

        Returns
        -------
        Tensor
            It shares memory with this one.
        """
        twin = Tensor.new(self._data, name=self.name)
        copied(self, twin)
        if self.requires_grad:
            twin.params = {
                "by": "detach",
                "source": weakref.ref(self),
                "borrowed": self.op is not None,
            }
            twin.origin = caller(2)
        return twin

    def retain_grad(self) -> None:
        """Also set ``.grad`` of this computed tensor in the next backward passes.

        Raises
        ------
        GradientError
            If it requires no gradient.
        """
        if not self.requires_grad:
            raise GradientError(
                "retain_grad() on a tensor without gradient",
                where(self),
                "create it with requires_grad=True",
            )
        self.retains_grad = True

    def zero_grad(self) -> None:
        """Forget the gradient: ``.grad`` is None again."""
        self._grad = None

    def register_hook(self, fn: Callable[[Any], Any]) -> Callable[[], None]:
        """Call a function when this tensor's gradient is complete.

        Parameters
        ----------
        fn : callable
            ``fn(gradient)``; what it returns, unless None, replaces the gradient.

        Returns
        -------
        callable
            Takes the hook out again.

        Raises
        ------
        GradientError
            If the tensor requires no gradient.
        """
        if not self.requires_grad:
            raise GradientError(
                "a hook on a tensor without gradient",
                where(self),
                "create it with requires_grad=True",
            )
        if self.hooks is None:
            self.hooks = {}
        hooks, key = self.hooks, object()
        hooks[key] = fn

        def remove() -> None:
            hooks.pop(key, None)

        return remove

    def __getstate__(self) -> Any:
        if self.op is not None:
            raise GradientError(
                "only a leaf can be copied or pickled",
                f"this tensor was computed: {where(self)}",
                "use tensor.detach()",
            )
        return (
            self._data.copy(),
            self.requires_grad,
            self.name,
            None if self.grad is None else self.grad.copy(),
        )

    def __setstate__(self, state: Any) -> None:
        fresh = Tensor.new(_plain(state[0]), state[1], state[2])
        for slot in (s for s in Value.__slots__ if s != "__weakref__"):
            setattr(self, slot, getattr(fresh, slot))
        self.grad = None if state[3] is None else _plain(state[3])

    # --- functions as methods: those of ops.public, and these ---
    __abs__ = ops.abs

    def reshape(self, *shape: Any, **named: Any) -> Any:
        """``mg.reshape``, which also takes its numbers one by one: ``x.reshape(2, 3)``.

        Parameters
        ----------
        *shape : int, or one tuple of int
            The new shape; -1 for the length that fits.
        **named : object
            ``shape=``, instead.

        Returns
        -------
        Tensor
            The same elements.
        """
        return ops.reshape(self, *_together(shape), **named)

    def transpose(self, *axes: Any, **named: Any) -> Any:
        """``mg.transpose``, which also takes its numbers one by one: ``x.transpose(1, 0)``.

        Parameters
        ----------
        *axes : int, or one tuple of int
            The order of the axes; reversed if there are none.
        **named : object
            ``axes=``, instead.

        Returns
        -------
        Tensor
            The same elements.
        """
        return ops.transpose(self, *_together(axes), **named)

    # --- arithmetic ---
    __add__, __radd__ = _operators(ops.add)
    __sub__, __rsub__ = _operators(ops.sub)
    __mul__, __rmul__ = _operators(ops.mul)
    __truediv__, __rtruediv__ = _operators(ops.div)
    __rpow__ = _operators(ops.power)[1]
    __mod__, __rmod__ = _operators(ops.remainder)
    __neg__ = ops.neg

    def __getitem__(self, index: Any) -> Any:
        if type(index) is not int and type(index) is not slice:
            index = settled(index)
        return ops.getitem.record((self,), {"index": index})

    def __pos__(self) -> Any:
        return self

    def __pow__(self, p: Any) -> Any:
        return ops.square(self) if isinstance(p, int | float) and p == 2 else ops.power(self, p)

    def __matmul__(self, other: Any) -> Any:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return ops.matmul(other, self)

    def _in_place(self, other: Any) -> Any:
        """``w += other`` makes a new tensor and calls it w, as everywhere in Python; for what is
        trained that is a mistake.
        """
        if self.op is None and self.requires_grad:
            raise GradientError(
                "a leaf that requires a gradient cannot be changed by an in-place operator",
                f"{where(self)}: the name would stand for a new tensor, and what is trained would "
                "stay as it is",
                "w.data -= lr * w.grad changes the leaf itself; w = w - x, written out, makes a "
                "new tensor",
            )
        return NotImplemented

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = __imatmul__ = _in_place
    # `masked_array + tensor` asks for it, and loses the gradient
    _mask = property(lambda self: refuse_mask(self))

    def __setitem__(self, index: Any, value: Any) -> None:
        raise GradientError(
            "a tensor cannot be assigned to",
            f"{where(self)}, shape {self.shape}",
            "build a new one with mg.where or mg.concatenate; before a graph is built, write into "
            "x.data[...]",
        )

    # --- NumPy: np.exp(t) and array * t go to the registry ---
    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        name = UFUNCS.get(ufunc.__name__, ufunc.__name__)
        function = getattr(ops, name, None) or COMPARISONS.get(name)
        if method != "__call__" or kwargs or function is None:
            raise not_ours(
                f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}"),
                name,
                kwargs,
                PUBLIC,
            )
        return function(*args)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = {"amax": "max", "amin": "min"}.get(func.__name__, func.__name__)
        if name in QUERIES:
            return func(*(read(x) if isinstance(x, Value) else x for x in args), **kwargs)
        if name not in PUBLIC and name not in METHODS:  # trace is a method, and no function of mg
            module = func.__module__.replace("numpy", "np", 1)  # of np.linalg.norm: numpy.linalg
            raise not_ours(f"{module}.{func.__name__}", name, {}, PUBLIC)
        return getattr(ops, name)(*args, **kwargs)


def _comparison(ufunc: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, b: ufunc(*(read(x) if isinstance(x, Value) else x for x in (a, b)))


def _question(ufunc: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: ufunc(read(x))


UFUNCS = {
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "negative": "neg",
    "absolute": "abs",
}
_ORDER = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
COMPARISONS: dict[str, Callable[..., Any]] = {f.__name__: _comparison(f) for f in _ORDER}
COMPARISONS |= {f.__name__: _question(f) for f in (np.isnan, np.isinf, np.isfinite)}
for _python, _numpy in zip(
    ("lt", "le", "gt", "ge", "eq", "ne"), COMPARISONS.values(), strict=False
):
    setattr(Tensor, f"__{_python}__", _numpy)
Tensor.__hash__ = object.__hash__  # type: ignore[method-assign,assignment]  # == compares elements; identity makes the hash

# need no gradient
QUERIES = (
    "shape ndim size allclose isclose array_equal array_repr array_str array2string argmax argmin "
    "argsort zeros_like ones_like"
).split()


def _together(numbers: tuple[Any, ...]) -> tuple[Any, ...]:
    """(2, 3) -> ((2, 3),): several numbers are one shape."""
    return (numbers,) if len(numbers) > 1 else numbers


Value.result_class = Tensor
_log = logging.getLogger("minigrad_ae")
_told: set[str] = set()


def _plain(array: np.ndarray) -> np.ndarray:
    """The same array with NumPy's own dtype object: an unpickled one has another, which is equal
    but found so more slowly.
    """
    kind = array.dtype.type
    return array if array.dtype is np.dtype(kind) else array.view(kind)


def tensor(
    data: Any, requires_grad: bool = False, dtype: Any = None, name: str | None = None
) -> Tensor:
    """A tensor that holds a copy of `data`.

    Parameters
    ----------
    data : array_like or Tensor
        Any shape. Integers and booleans become float64.
    requires_grad : bool
        Whether gradients are collected for it.
    dtype : dtype, optional
        float32 or float64; that of `data` if not given.
    name : str, optional
        What the inspector calls it.

    Returns
    -------
    Tensor
        A leaf.

    Raises
    ------
    DtypeError
        For objects, strings, complex numbers and float16, and for a `dtype` that is not float32 or
        float64.
    DataError
        For rows of different lengths, and masked arrays that hide something.

    Examples
    --------
    >>> w = mg.tensor([[1, 2]], requires_grad=True, name="w")
    >>> w.shape, str(w.dtype)
    ((1, 2), 'float64')
    """
    data = unmasked(data, "tensor: data")
    if requires_grad is not True and requires_grad is not False:
        requires_grad = flag(requires_grad, "tensor: requires_grad")
    try:
        array = np.asarray(data._data if isinstance(data, Value) else data)
    except ValueError as error:
        raise DataError(
            "tensor: the rows have different lengths", str(error), "pass a rectangular array"
        ) from None
    kind, real = array.dtype.kind, "fbiu"
    if dtype is not None:
        wanted = _dtype(dtype)
    else:
        wanted = array.dtype if kind == "f" else np.dtype(np.float64)
    if kind not in real or wanted not in (np.float32, np.float64):
        raise DtypeError(
            f"tensor: {array.dtype if kind not in real else wanted} data cannot be used",
            f"got shape {array.shape}, dtype {array.dtype}"
            + ("" if dtype is None else f", and dtype={wanted} was asked for"),
            "convert it to float32 or float64 first, e.g. np.asarray(data, dtype=float)",
        )
    if kind != "f" and dtype is None and array.ndim and not _told:
        _told.add(kind)
        _log.warning(
            "minigrad_ae: %s data became float64 (integers and booleans do; said once)", array.dtype
        )
    made = Tensor.new(_plain(np.array(array, wanted, order="C")), requires_grad, name)
    copied(data, made)
    return made


def _dtype(name: Any) -> np.dtype:
    try:
        return np.dtype(name)
    except TypeError as error:
        raise DtypeError(
            "tensor: unknown dtype", str(error), "use np.float32 or np.float64"
        ) from None
