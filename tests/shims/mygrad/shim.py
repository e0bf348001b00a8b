"""What tests/suites.py asks of a shim."""

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np

import mygrad

from .tensor_base import count  # noqa: F401


def prepare(source: Path) -> None:
    """MyGrad's own helper is found; tests of 2019 meet the NumPy and hypothesis of today, which
    draws the same in each run.
    """
    mygrad.__path__.append(str(source / "mygrad"))
    sys.path.insert(0, str(source))
    np.float = float  # NumPy's name for it then
    hypothesis.settings.register_profile(
        "suites",
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    os.environ["HYPOTHESIS_PROFILE"] = "suites"
    import_module("tests.wrappers.uber").wraps = named


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    """``functools.wraps`` without ``__wrapped__``, where hypothesis looks for arguments today."""

    def rename(wrapper: Callable[..., Any]) -> Callable[..., Any]:
        wrapper.__name__ = wrapper.__qualname__ = function.__name__
        wrapper.__module__ = function.__module__
        return wrapper

    return rename
