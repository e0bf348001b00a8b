"""What users see of the package, as plain JSON: public names with signatures, help texts, shapes of
files.

Everything is reached by the names that users have, never by the place of a file, so that files may
move.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import json
import os
import re
import runpy
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

import minigrad_ae as mg

PACKAGE = mg.__name__
MODULES = (
    "nn",
    "optim",
    "models",
    "analytic",
    "data",
    "train",
    "checkpoint",
    "inspect",
    "kernels",
    "claims",
    "ops",
)
COMMANDS = ("", "lesson", "exercise", "verify", "inspect", "train", "data", "bench", "doctor")
OPS_TABLES = {"REGISTRY", "COMPOSITIONS", "ACTIVATIONS", "Op", "op"}


# --- names ----------------------------------------------------------------------------------------


def names(known: dict[str, str]) -> dict[str, str]:
    """{dotted name: signature}; of a module without ``__all__`` `known` names count wherever they
    are defined now.
    """
    found: dict[str, str] = {}
    for name in mg.__all__:
        if not isinstance(getattr(mg, name), ModuleType):
            found |= described(f"mg.{name}", getattr(mg, name))
    for part in MODULES:
        module = getattr(mg, part)
        found_here = public(module, part)
        if not hasattr(module, "__all__"):
            before = {name.split(".")[2] for name in known if name.startswith(f"mg.{part}.")}
            found_here |= {name for name in before if hasattr(module, name)}
        for name in sorted(found_here):
            found |= described(f"mg.{part}.{name}", getattr(module, name))
    return dict(sorted(found.items()))


def public(module: ModuleType, part: str) -> set[str]:
    """The names that a module offers: its ``__all__``, or what it defines itself; for the ops, the
    ops.
    """
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return {name for name in listed if not isinstance(getattr(module, name), ModuleType)}
    if part == "ops":
        return OPS_TABLES | (set(mg.ops.REGISTRY) | set(mg.ops.COMPOSITIONS)) & set(dir(module))
    own = {
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
    }
    return {name for name in own if not name.startswith("_")}


def described(name: str, value: Any) -> dict[str, str]:
    """The signature of a function or op; of a class also its public methods and properties,
    inherited ones included.
    """
    if not callable(value):
        return {name: type(value).__name__}
    found = {name: signature(value)}
    if not inspect.isclass(value):
        return found
    for member in dir(value):
        if not member.startswith("_") and _ours(value, member):
            raw = inspect.getattr_static(value, member)
            found[f"{name}.{member}"] = _kind(raw) + (
                signature(getattr(value, member)) if _is_method(raw) else ""
            )
    return found


def _ours(owner: type, member: str) -> bool:
    """Whether a class of this package, not one of Python's, defines the member."""
    return any(
        member in vars(base) and base.__module__.startswith(PACKAGE) for base in owner.__mro__
    )


def _is_method(raw: Any) -> bool:
    return callable(raw) or isinstance(raw, classmethod | staticmethod)


def _kind(raw: Any) -> str:
    """'property ', 'classmethod ', 'attribute ', or nothing for a method."""
    if isinstance(raw, property | classmethod | staticmethod):
        return type(raw).__name__
    if _is_method(raw):
        return ""
    return "slot" if inspect.ismemberdescriptor(raw) else "attribute"


def signature(value: Any) -> str:
    """Parameters and their defaults, without annotations, which are words."""
    try:
        found = inspect.signature(value)
    except ValueError:  # a class of Python's own, such as an exception
        return "(...)"
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values()]
    text = str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return re.sub(rf"( at 0x[0-9a-f]+|{PACKAGE}\.[\w.]*\.)", "", text)


# --- what editors know ----------------------------------------------------------------------------

STUB = Path(mg.ops.public.__file__).with_suffix(".pyi")
STUB_HEAD = '''"""Written from the ops by ``python tests/freeze.py stub``."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike

from ..autodiff.graph import Value
from ..tensors import Tensor

Operand: TypeAlias = Value | ArrayLike
PUBLIC: dict[str, Callable[..., Any]]
METHODS: dict[str, Callable[..., Any]]
'''
SEVERAL = {"split"}  # functions that return a list


def stub() -> str:
    """The text of `STUB`: public functions and methods with their parameters and results."""
    public = mg.ops.public
    functions = [_stub_function(name, each) for name, each in public.PUBLIC.items()]
    methods = [
        f"    def {name}{_stub_signature(each, 'self')} -> {_result(name, 'Tensor')}: ..."
        for name, each in public.METHODS.items()
    ]
    names = ["__all__ = [", *(f'    "{name}",' for name in public.__all__), "]"]
    parts = [STUB_HEAD, "\n".join(names), "", "\n".join(functions), "", "class Methods:"]
    return "\n".join([*parts, *methods, ""])


def _result(name: str, kind: str) -> str:
    return f"list[{kind}]" if name in SEVERAL else kind


def _stub_function(name: str, function: Any) -> str:
    """What a tensor comes first to is a tensor; of other inputs an array, if there is only one."""
    if not function.method:
        return f"def {name}{_stub_signature(function)} -> Any: ..."
    inputs = _stub_signature(function).count("Operand")
    array = _result(name, "np.ndarray") if inputs == 1 else "Any"
    of_tensor = _stub_signature(function).replace("Operand", "Value", 1)
    of_array = _stub_signature(function).replace("Operand", "ArrayLike", 1)
    return (
        f"@overload\ndef {name}{of_tensor} -> {_result(name, 'Tensor')}: ...\n"
        f"@overload\ndef {name}{of_array} -> {array}: ..."
    )


def _stub_signature(function: Any, first: str = "") -> str:
    """The parameters; of a method with `first` in place of the tensor."""
    settings = getattr(function, "defaults", {})  # of an op: what is no input
    parameters = inspect.signature(function).parameters.values()
    own = [_stub_parameter(each, each.name not in settings) for each in parameters]
    if first:
        own[0] = own[0].replace(annotation=inspect.Parameter.empty, name=first)
    return str(inspect.Signature(own)).replace("'", "").replace("Ellipsis", "...")


def _stub_parameter(each: inspect.Parameter, is_input: bool) -> inspect.Parameter:
    """A default is there, whatever it is; what has no type and no default is an input."""
    default = each.empty if each.default is each.empty else ...
    bare = each.annotation in (each.empty, "Any")
    kind = "Operand" if bare and is_input and default is each.empty else "Any"
    return each.replace(default=default, annotation=kind if bare else each.annotation)


# --- help -----------------------------------------------------------------------------------------


def helps() -> dict[str, list[str]]:
    """{command: its help}, spread over lines anew: Python's versions break lines, and name
    headings, in their own ways.
    """
    return {
        command or "minigrad-ae": spread(told([*command.split(), "--help"])) for command in COMMANDS
    }


def told(argv: list[str]) -> str:
    """What ``python -m minigrad_ae ARGV`` prints."""
    out = io.StringIO()
    environment = {"COLUMNS": "100", "NO_COLOR": "1"}
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", ["minigrad-ae", *argv]),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        runpy.run_module(PACKAGE, run_name="__main__")
    return out.getvalue()


def spread(text: str) -> list[str]:
    """Words in lines of 96; "-s S, --long S" (before Python 3.13) becomes "-s, --long S"."""
    words = " ".join(text.replace("optional arguments:", "options:").split())
    words = re.sub(r"(?<= )(-\w) ([A-Z]\w*), (--[\w-]+ \2)\b", r"\1, \3", words)
    return textwrap.wrap(words, 96, break_on_hyphens=False, break_long_words=False)


# --- schemas --------------------------------------------------------------------------------------


def schemas(folder: Path) -> dict[str, Any]:
    """Keys and types of every file that the package writes for others to read; `folder` is for
    scratch.
    """
    np.save(folder / "X.npy", np.random.default_rng(0).standard_normal((30, 4)))
    told(
        [
            "verify",
            "--data",
            str(folder / "X.npy"),
            "--latent",
            "2",
            "--json",
            str(folder / "claims.json"),
        ]
    )
    row = dataclasses.asdict(
        mg.claims.claims("01_backpropagation")[0].check(mg.claims.Run(fast=True))
    )
    mg.trace(small_loss()).json(folder / "trace.json")
    return {
        "verify --json": shape_of(_read(folder / "claims.json")),
        "a row of the ledger": shape_of(row),
        "trace.json": shape_of(_read(folder / "trace.json")),
        "checkpoint": _checkpoint(folder / "model.npz"),
    }


def small_loss() -> Any:
    """A fan-out, an un-broadcast row, a constant."""
    x = mg.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], name="x")
    W = mg.tensor([[0.1, 0.4], [0.2, -0.3], [0.5, 0.6]], requires_grad=True, name="W")
    b = mg.tensor([0.3, -0.2], requires_grad=True, name="b")
    h = mg.tanh(x @ W + b)
    return (h * h + 2 * h).sum()


def _checkpoint(path: Path) -> dict[str, Any]:
    model = mg.models.VariationalAutoencoder(
        6, 2, hidden=(5,), rng=np.random.default_rng(0), dtype=np.float32
    )
    adam = mg.optim.Adam(model.parameters(), lr=1e-2)
    model.loss(np.full((3, 6), 0.5, np.float32), rng=np.random.default_rng(1)).backward()
    adam.step()
    mg.checkpoint.save(
        path,
        model,
        optimizer=adam,
        meta={"epoch": 1},
        generators={"noise": np.random.default_rng(2)},
    )
    with np.load(path, allow_pickle=False) as file:
        arrays = {
            name: f"{file[name].dtype} {file[name].shape}"
            for name in file.files
            if name != "__meta__"
        }
        header = json.loads(str(file["__meta__"][()]))
    return {"arrays": arrays, "__meta__": shape_of(header), "format": header["format"]}


def shape_of(value: Any) -> Any:
    """A JSON value with types in place of its numbers and texts; the elements of a list are put
    together.
    """
    if isinstance(value, dict):
        return {key: shape_of(each) for key, each in value.items()}
    if isinstance(value, list):
        return [together([shape_of(each) for each in value])] if value else []
    return "number" if type(value) in (int, float) else type(value).__name__


def together(shapes: list[Any]) -> Any:
    """One shape for all elements of a list: "NoneType or str"; dicts key by key, lists of lists in
    one.
    """
    dicts = [each for each in shapes if isinstance(each, dict)]
    lists = [each for each in shapes if isinstance(each, list)]
    words = sorted({each for each in shapes if isinstance(each, str)})
    found: list[Any] = [" or ".join(words)] if words else []
    if dicts:
        keys = dict.fromkeys(key for each in dicts for key in each)
        found.append({key: together([each.get(key, "absent") for each in dicts]) for key in keys})
    if lists:
        elements = [element for each in lists for element in each]
        found.append([together(elements)] if elements else [])
    return found[0] if len(found) == 1 else {"one of": found}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
