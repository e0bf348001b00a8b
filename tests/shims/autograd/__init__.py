"""The names of HIPS autograd, with minigrad_ae underneath: its own tests run on them unchanged.

What differentiates is ours (`core`), and so are the functions (`through`).  What is written in
terms of these (`grad`, `jacobian`, `hessian`, and `check_grads`, which judges) is theirs, from the
source that tests/suites.py fetched and put on this ``__path__``.  All else is absent: a test that
uses it is skipped, with the name.
"""

import sys
from importlib import import_module
from typing import Any

from absent import Absent

from .through import SCIPY, scipy

sys.modules["autograd.misc.tracers"] = Absent("misc.tracers")
sys.modules["autograd.scipy"] = scipy
sys.modules |= {f"autograd.{_name}": _found for _name, _found in SCIPY.items()}


def __getattr__(name: str) -> Any:
    """``autograd.grad`` and its like are looked up when they are used: they import this package."""
    if name in ("tuple", "list", "dict", "isinstance"):
        return getattr(import_module("builtins"), name)
    if name == "primitive":
        return Absent(name)
    return getattr(import_module("autograd.differential_operators"), name)
