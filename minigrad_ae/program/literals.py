"""Exact arrays and settings as Python source: what is printed reads back as the same bits, in the
same layout.
"""

from __future__ import annotations

import ast
import base64
import math
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

LITERAL = 4096  # elements; larger arrays are packed
WIDTH = 100
ABSTRACT = (np.integer, np.floating, np.number, np.generic)  # of many dtypes

UNPACK = """
SIX = np.zeros(123, np.uint8)
SIX[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")] = range(64)


def unpack(text, dtype, shape):  # base64, decoded by NumPy alone: six bits a character
    six = np.unpackbits(SIX[np.frombuffer(text.encode(), np.uint8)][:, None], axis=1)[:, 2:]
    raw = np.packbits(six)
    return raw[: np.prod(shape, dtype=int) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
""".strip()

STRIDED = """
def strided(a, strides):  # a copy with these strides in bytes: they move the last bit of a sum
    room = np.zeros(1 + sum((n - 1) * s for n, s in zip(a.shape, strides)) // a.itemsize, a.dtype)
    copy = np.lib.stride_tricks.as_strided(room, a.shape, strides)
    copy[...] = a
    return copy
""".strip()


def number(x: Any) -> str:
    """A number that reads back exactly: '0.1', 'np.nan', '-np.inf'."""
    if isinstance(x, bool | np.bool_ | int | np.integer):
        return str(x.item() if isinstance(x, np.generic) else x)
    if math.isnan(x):
        return "np.nan"
    if math.isinf(x):
        return "np.inf" if x > 0 else "-np.inf"
    # the shortest for its own type: good if it also survives the way through a Python float
    short = str(x)
    return short if isinstance(x, np.float32) and np.float32(float(short)) == x else repr(float(x))


def _dtype(dtype: np.dtype) -> str:
    return "bool" if dtype.kind == "b" else f"np.{dtype}"


def array_text(a: np.ndarray) -> str:
    """The source of `a`: same shape, dtype, bits and strides.  It may call `unpack` and
    `strided`.
    """
    if a.ndim == 0:
        return f"{_dtype(a.dtype)}({number(a[()])})"
    flips = tuple(
        slice(None, None, -1 if s < 0 < n - 1 else 1)
        for n, s in zip(a.shape, a.strides, strict=True)
    )
    if a.size and any(f.step == -1 for f in flips):
        back = ", ".join("::-1" if f.step == -1 else ":" for f in flips)
        return f"{array_text(a[flips])}[{back}]"
    text = _contiguous(np.ascontiguousarray(a))
    if a.flags.c_contiguous or a.size <= 1:
        return text
    return f"np.asfortranarray({text})" if a.flags.f_contiguous else f"strided({text}, {a.strides})"


def _contiguous(a: np.ndarray) -> str:
    dtype = "" if a.dtype in (np.float64, bool, int) else f", {_dtype(a.dtype)}"
    shape = str(a.shape) if a.ndim > 1 else str(a.shape[0])
    if a.size == 0:
        return f"np.zeros({shape}, {_dtype(a.dtype)})"
    raw = a.tobytes()
    first = raw[: a.itemsize]
    if first * a.size == raw and (a.size > 8 or (a.dtype.kind == "f" and a.flat[0] == 1)):
        of = ", " + _dtype(a.dtype) if a.dtype != np.float64 else ""
        if a.flat[0] in (0, 1) and first != np.array(-0.0, a.dtype).tobytes():
            return f"np.{'ones' if a.flat[0] else 'zeros'}({shape}{of})"
        if _plain(a[:1]):
            return f"np.full({shape}, {number(a.flat[0])}{of})"
    if a.ndim == 2 and raw == np.eye(len(a), dtype=a.dtype).tobytes():
        return f"np.eye({len(a)}{dtype.replace('np.', 'dtype=np.')})"
    if a.size <= LITERAL and _plain(a):
        return f"np.array({_nested(a, ' ' * 4)}{dtype})"
    return _packed(a)


def _plain(a: np.ndarray) -> bool:
    """Every NaN is the usual one: another cannot be written as a number."""
    return (
        a.dtype.kind != "f"
        or a[np.isnan(a)].tobytes() == np.full(int(np.isnan(a).sum()), np.nan, a.dtype).tobytes()
    )


def _nested(a: np.ndarray, indent: str) -> str:
    if a.ndim > 1:
        rows = [_nested(row, indent + " ") for row in a]
        return "[" + (",\n" + indent).join(rows) + "]" if len(rows) > 1 else f"[{rows[0]}]"
    text = "[" + ", ".join(number(v) for v in a) + "]"
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent + " ", break_long_words=False, break_on_hyphens=False
    )


def _packed(a: np.ndarray) -> str:
    """Bytes as text.  An array of few different numbers is a short list of them and one byte an
    element.
    """
    bits = a.view(f"u{a.itemsize}") if a.dtype.kind in "fiu" else a
    different, codes = np.unique(bits, return_inverse=True)
    if a.itemsize > 1 and different.size <= 256 and _plain(values := different.view(a.dtype)):
        return f"{_contiguous(values)}[{_packed(codes.reshape(a.shape).astype(np.uint8))}]"
    raw = a.tobytes()
    code = base64.b64encode(raw + bytes(-len(raw) % 3)).decode()
    lines = "\n".join(f'    "{code[k : k + WIDTH]}"' for k in range(0, len(code), WIDTH))
    return f"unpack(\n{lines},\n    {_dtype(a.dtype)}, {a.shape})"


def type_text(kind: type) -> str:
    """``int``, ``np.integer``, ``type(None)``."""
    if kind in (type(None), type(Ellipsis)):
        return "type(None)" if kind is type(None) else "type(Ellipsis)"
    return f"np.{kind.__name__}" if kind in ABSTRACT else kind.__name__


def setting(value: Any, constant: Callable[[np.ndarray], ast.expr]) -> ast.expr:
    """A setting (axis, shape, index, dtype, number) as a syntax tree; an array becomes what
    `constant` makes of it.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, np.ndarray):
        return constant(value)
    if isinstance(value, np.bool_ | np.integer):
        value = value.item()
    if isinstance(value, tuple | list):
        kind = ast.Tuple if isinstance(value, tuple) else ast.List
        return kind([setting(v, constant) for v in value], ast.Load())
    if isinstance(value, slice):
        ends = [value.start, value.stop] + ([value.step] if value.step is not None else [])
        return ast.Call(ast.Name("slice"), [setting(v, constant) for v in ends], [])
    if isinstance(value, type) and (value in ABSTRACT or not issubclass(value, np.generic)):
        return ast.Name(type_text(value))
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return ast.Name(_dtype(np.dtype(value)))
    if isinstance(value, int | float | np.floating) and not isinstance(value, bool):
        negative = math.copysign(1.0, value) < 0 and not math.isnan(value)
        text = ast.Name(number(-value if negative else value))
        return ast.UnaryOp(ast.USub(), text) if negative else text
    return ast.Constant(value)
