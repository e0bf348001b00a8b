"""Where in the user's source a value was computed."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_PACKAGE = Path(__file__).parent.parent


# a line in these is not the user's
_OURS = ("autodiff", "kernels", "nn", "ops", "optim", "program", "tensors.py")


_CORE = ("<rule.", "<forward.", "<written.", *(str(_PACKAGE / part) for part in _OURS))


_is_core: dict[str, bool] = {}


def caller(skip: int = 3) -> tuple[CodeType, int] | None:
    """The innermost line of code outside the engine, ops, layers, optimisers and programs, as (code
    object, instruction): cheap to keep.

    The first three frames need no look: this function, `Op.record`, and the operator or op that
    called it.
    """
    frame: FrameType | None = sys._getframe(skip)
    while frame is not None:
        code = frame.f_code
        core = _is_core.get(code.co_filename)
        if core is None:
            core = _is_core[code.co_filename] = code.co_filename.startswith(_CORE)
        if not core:
            return code, frame.f_lasti
        frame = frame.f_back
    return None


def source_line(value: Any) -> tuple[str, int, str] | None:
    """(file, line number, text) of the code that made `value`, or changed this leaf; None where
    there is no source.
    """
    if value.origin is None:
        return None
    code, instruction = value.origin
    lines = (n for start, end, n in code.co_lines() if start <= instruction < end and n)
    line = next(lines, code.co_firstlineno)
    return code.co_filename, line, linecache.getline(code.co_filename, line).strip()


def where(value: Any) -> str:
    """'matmul at lesson.py:12: h = x @ W', or the name of a leaf: for messages."""
    if value.op is None:
        return f"leaf {value.name!r}" if value.name else "an unnamed leaf"
    found = source_line(value)
    if found is None:
        return str(value.op.name)
    place = f"{value.op.name} at {Path(found[0]).name}:{found[1]}"
    if not found[2]:  # typed at a prompt, or gone since
        return place
    return f"{place}: {found[2] if len(found[2]) <= 60 else found[2][:57] + '...'}"
