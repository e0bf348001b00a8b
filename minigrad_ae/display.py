"""Arrays, tensors and modules for people to look at: in a few numbers, or as the HTML that a
notebook shows.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def number(x: Any) -> float | str:
    """A float, or 'nan', 'inf', '-inf': JSON has no word for these."""
    x = float(x)
    return x if math.isfinite(x) else str(x)


def numbers(found: dict[str, Any]) -> dict[str, float | str | None]:
    """Each as `number`; None stays None."""
    return {key: None if x is None else number(x) for key, x in found.items()}


def head_shape(shape: tuple[int, ...], limit: int) -> tuple[int, ...]:
    """The corner of an array of `shape` that has at most `limit` elements: the longest axis is
    halved until it fits.
    """
    corner = list(shape)
    while math.prod(corner) > max(limit, 0):
        k = max(range(len(corner)), key=corner.__getitem__) if corner else 0
        if not corner or corner[k] == 1:
            return (0,)
        corner[k] = (corner[k] + 1) // 2
    return tuple(corner)


def corner(array: np.ndarray, limit: int) -> np.ndarray:
    """The first elements of an array, at most `limit`, in a block of `head_shape`."""
    shape = head_shape(array.shape, limit)
    index: Any = (..., *map(slice, shape))
    return array[index] if len(shape) == array.ndim else np.zeros(0)


@np.errstate(over="ignore")
def summary(array: Any, limit: int) -> dict[str, Any]:
    """Shape, dtype, extremes and mean of the finite elements, counts of NaN and Inf, and the first
    elements.
    """
    array = np.asarray(array)
    values = array.astype(np.float64)
    finite = values[np.isfinite(values)]
    head = corner(values, limit)
    low, high, mean = (
        number(f(finite)) if finite.size else None for f in (np.min, np.max, np.mean)
    )
    nan, inf = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "min": low,
        "max": high,
        "mean": mean,
        "nan": nan,
        "inf": inf,
        "head": [number(v) for v in head.ravel()],
        "head_shape": list(head.shape),
    }


def brief(array: Any, width: int) -> str:
    """The first elements on one line of at most `width` characters: '[[0.1 2.3] [4.5 ...'."""
    array = np.asarray(array)
    few = array[tuple(slice(6) for _ in array.shape)]
    text = np.array2string(few, precision=4, threshold=40, edgeitems=3, max_line_width=10_000)
    text = " ".join(text.split())
    whole = few.size == array.size
    return cut(text, width, " ...") if whole else f"{text[: max(0, width - 4)].rstrip()} ..."


def cut(text: str, width: int, mark: str = "...") -> str:
    """At most `width` characters: of longer text the beginning, and `mark`."""
    return text if len(text) <= width else text[: max(0, width - len(mark))].rstrip() + mark


def many(n: int, what: str) -> str:
    """'1 step', '1,200 steps'."""
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def shape_text(shape: Sequence[int]) -> str:
    """'6×2', or 'scalar'."""
    return "×".join(map(str, shape)) or "scalar"


def is_finite(array: Any) -> bool:
    """Neither NaN nor Inf anywhere."""
    return bool(np.isfinite(array).all())


# --- in a notebook; all text is escaped ---
CELL = 'style="padding:2px 8px;text-align:right;font-family:monospace;border:1px solid #8884"'


HEAD = 'style="padding:2px 8px;text-align:right;font-weight:normal;opacity:.75"'


def tensor_html(t: Any) -> str:
    """Name, shape, where it came from, and the first elements as a table."""
    title, _, _ = repr(t).partition("\n")
    return f"<div><code>{html.escape(title)}</code>{_facts(t._data)}{array_html(t._data)}</div>"


def _facts(a: np.ndarray) -> str:
    s = summary(a, 0)
    parts = (
        [f"{k} {s[k]:.4g}" for k in ("min", "max", "mean") if isinstance(s[k], float)]
        if a.ndim
        else []
    )
    parts += [f"<b>{s['nan']} NaN</b>"] if s["nan"] else []
    parts += [f"<b>{s['inf']} Inf</b>"] if s["inf"] else []
    return f"<div>{', '.join(parts)}</div>" if parts else ""


def array_html(a: np.ndarray, limit: int = 64) -> str:
    """The first elements, with the numbers of rows and columns; of more than two axes the first
    matrix.
    """
    flat = a[(0,) * max(0, a.ndim - 2)] if a.size else a.reshape(0, 1)
    flat = np.atleast_2d(flat)
    rows, cols = head_shape(flat.shape, limit) if flat.size else (0, 0)
    head = "".join(f'<th scope="col" {HEAD}>{j}</th>' for j in range(cols))
    body = ""
    for i in range(rows):
        cells = "".join(f"<td {CELL}>{_short(flat[i, j])}</td>" for j in range(cols))
        body += f'<tr><th scope="row" {HEAD}>{i}</th>{cells}</tr>'
    left = a.size - rows * cols
    more = f"<div>+{left:,} more</div>" if left > 0 else ""
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _short(x: Any) -> str:
    if np.isnan(x):
        return "NaN"
    return f"{x:.4g}" if np.isfinite(x) else f"{x:+}".replace("inf", "Inf")


def module_html(module: Any) -> str:
    """The tree of modules, and each parameter with its size and that of its gradient."""
    rows = []
    for name, p in module.named_parameters():
        gradient = "none yet" if p.grad is None else _short(np.abs(p.grad).max(initial=0))
        cells = [
            str(p.shape),
            _short(np.abs(p._data).max(initial=0)),
            gradient if p.requires_grad else "frozen",
        ]
        row = "".join(f"<td {CELL}>{html.escape(c)}</td>" for c in cells)
        rows.append(
            f'<tr><th scope="row" style="text-align:left">{html.escape(name)}</th>{row}</tr>'
        )
    titles = "".join(
        f'<th scope="col" {HEAD}>{t}</th>' for t in ("shape", "max |value|", "max |gradient|")
    )
    table = (
        f"<table><thead><tr><td></td>{titles}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        if rows
        else ""
    )
    return f"<div><pre style='white-space:pre-wrap'>{html.escape(repr(module))}</pre>{table}</div>"
