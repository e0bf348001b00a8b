"""What Jupyter shows for tensors, modules, traces and certificates.  All text is escaped."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from .html_page import page
from ...display import head_shape, summary

CELL = 'style="padding:2px 8px;text-align:right;font-family:monospace;border:1px solid #8884"'
HEAD = 'style="padding:2px 8px;text-align:right;font-weight:normal;opacity:.75"'


def tensor_html(t: Any) -> str:
    """Name, shape, where it came from, and the first elements as a table."""
    title, _, _ = repr(t).partition("\n")
    return f"<div><code>{html.escape(title)}</code>{_facts(t._data)}{array_html(t._data)}</div>"


def _facts(a: np.ndarray) -> str:
    s = summary(a, 0)
    parts = [f"{k} {s[k]:.4g}" for k in ("min", "max", "mean") if isinstance(s[k], float)] if a.ndim else []
    parts += [f"<b>{s['nan']} NaN</b>"] if s["nan"] else []
    parts += [f"<b>{s['inf']} Inf</b>"] if s["inf"] else []
    return f"<div>{', '.join(parts)}</div>" if parts else ""


def array_html(a: np.ndarray, limit: int = 64) -> str:
    """The first elements, with the numbers of rows and columns; of more than two axes the first matrix."""
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
    return f"{x:.4g}" if np.isfinite(x) else "NaN" if np.isnan(x) else f"{x:+}".replace("inf", "Inf")


def module_html(module: Any) -> str:
    """The tree of modules, and each parameter with its size and that of its gradient."""
    rows = []
    for name, p in module.named_parameters():
        gradient = "none yet" if p.grad is None else _short(np.abs(p.grad).max(initial=0))
        cells = [str(p.shape), _short(np.abs(p._data).max(initial=0)), gradient if p.requires_grad else "frozen"]
        row = "".join(f"<td {CELL}>{html.escape(c)}</td>" for c in cells)
        rows.append(f'<tr><th scope="row" style="text-align:left">{html.escape(name)}</th>{row}</tr>')
    titles = "".join(f'<th scope="col" {HEAD}>{t}</th>' for t in ("shape", "max |value|", "max |gradient|"))
    table = f"<table><thead><tr><td></td>{titles}</tr></thead><tbody>{''.join(rows)}</tbody></table>" if rows else ""
    return f"<div><pre style='white-space:pre-wrap'>{html.escape(repr(module))}</pre>{table}</div>"


def certificate_html(certificate: Any) -> str:
    """The certificate as it prints."""
    verdict = "passed" if certificate.passed else "FAILED"
    return f"<div><b>PCA certificate: {verdict}</b><pre>{html.escape(str(certificate))}</pre></div>"


def trace_html(trace: Any) -> str:
    """The page, in a frame of its own that may run its script and do nothing else."""
    inner = html.escape(page(trace), quote=True)
    name = html.escape(f"Backward pass of {trace.loss}", quote=True)
    style = "width:100%;height:720px;border:1px solid #8884"
    return f'<iframe title="{name}" sandbox="allow-scripts" style="{style}" srcdoc="{inner}"></iframe>'
