"""What makes an .npz archive a checkpoint.

    model/NAME        the values of parameter NAME                       (arrays, as in
                      `Module.state_dict`)
    optimizer/KEY     the arrays of the optimiser's state, if it was saved
    seen/KEY          of a linear autoencoder: the mean of its data, the covariance of their codes
    scaling/NAME      mean and factor of the `Scaling` of the data, if it was saved
    __meta__          JSON in a 0-d text array: format, package version, class and settings of the
                      model, class, settings and numbers of the optimiser, states of the
                      generators, and the caller's own `meta`
    __sha256__        a 0-d text array: `digest` of all of the above

In format 1, of earlier versions, the sum stands in the JSON, and is of the other arrays alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arguments import instance
from ..errors import CheckpointError, DataError, DtypeError
from ..files import previous_of
from ..version import __version__
from .archives import read_arrays

FORMAT = 2
META, SUM = "__meta__", "__sha256__"
FILE = "checkpoint.npz"  # in the folder of a run
NAME_ONE = "name a file that checkpoint.save wrote"
# what every header has, and of what type
FORM: dict[str, Any] = {
    "format": int,
    "version": str,
    "class": str,
    "config": (dict, type(None)),
    "meta": dict,
    "generators": dict,
}
FORM_OF_AN_OPTIMIZER: dict[str, Any] = {"class": str, "numbers": dict}


def opened(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(header, the other arrays) of a whole file."""
    demand_path(path, "a checkpoint is loaded from a file")
    arrays = read_arrays(path, older(path), NAME_ONE)
    if META not in arrays:
        raise CheckpointError("this is no checkpoint", f"{path}: an .npz without {META}", NAME_ONE)
    header = _header(arrays[META], path)
    if header["format"] == 1:
        del arrays[META]
        kept = header.get("sha256")
    else:
        kept = _text(arrays.pop(SUM, None))
    if kept != digest(arrays):
        raise CheckpointError(
            "the checkpoint is damaged", f"{path}: its SHA-256 is another one", older(path)
        )
    arrays.pop(META, None)
    return header, arrays


def demand_path(path: Any, what: str) -> None:
    """DtypeError, which says `what`, for anything that names no file."""
    named = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(named, str) or "\0" in named:
        raise DtypeError(what, f"got {path!r:.60}", "pass its path")


# --- the header ---


def as_json(header: Mapping[str, Any]) -> str:
    """The header as it is kept; DataError where the caller's `meta` is nothing for JSON."""
    try:
        return json.dumps(header, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            "meta does not go into JSON", str(error), "use numbers, text, lists and dicts only"
        ) from None


def _header(kept: np.ndarray, path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON part, of the form that is known."""
    try:
        header = json.loads(_text(kept) or "")
        known = header["format"] in (1, FORMAT)
    except (ValueError, LookupError, TypeError, RecursionError):
        header, known = None, True
    if not known:
        raise CheckpointError(
            f"the checkpoint has format {header['format']!r:.40}, this version reads 1 to {FORMAT}",
            f"{path}: written by minigrad_ae {header.get('version')!s:.40}, here is {__version__}",
            "install the version that wrote it",
        )
    if not _has_form(header, FORM) or not (
        "optimizer" not in header or _has_form(header["optimizer"], FORM_OF_AN_OPTIMIZER)
    ):
        raise CheckpointError(
            "this is no checkpoint", f"{path}: {META} cannot be understood", NAME_ONE
        )
    return dict(header)


def _has_form(given: Any, form: Mapping[str, Any]) -> bool:
    return isinstance(given, dict) and all(
        isinstance(given.get(key, ...), kind) and not isinstance(given[key], bool)
        for key, kind in form.items()
    )


def _text(array: np.ndarray | None) -> str | None:
    """The text in a 0-d array; None where it is no such array."""
    if array is None or array.ndim or array.dtype.kind != "U":
        return None
    try:
        return str(array[()])
    except ValueError:  # no characters
        return None


# --- the arrays and their sum ---


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of all arrays, in the order of their names.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The arrays under their names; their order does not matter.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    DtypeError
        For anything but a mapping, and for arrays of Python objects, whose bytes are addresses.

    Examples
    --------
    >>> w, b = np.ones((2, 3)), np.zeros(2)
    >>> one = mg.checkpoint.digest({"w": w, "b": b})
    >>> one == mg.checkpoint.digest({"b": b, "w": w})
    True
    >>> one == mg.checkpoint.digest({"w": w.T, "b": b})  # the same bytes in another shape
    False
    """
    instance(arrays, Mapping, "digest: arrays", "pass a dict of arrays under their names")
    sha = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        if value.dtype.hasobject:
            where = f"{name!r:.40} is of dtype {value.dtype}"
            raise DtypeError("digest: Python objects have no bytes", where, "pass numbers or text")
        sha.update(f"{name} {value.dtype.str} {value.shape}\n".encode(errors="backslashreplace"))
        sha.update(value.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def part_of(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, under the rest of their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def not_finite(arrays: Mapping[str, np.ndarray]) -> str:
    """Where arrays of floats are NaN or infinite; '' where they are not."""
    counts = {
        name.removeprefix("model/"): value.size - np.count_nonzero(np.isfinite(value))
        for name, value in arrays.items()
        if value.dtype.kind in "fc"
    }
    return "; ".join(f"{count:,} in {name}" for name, count in counts.items() if count)


def older(path: str | os.PathLike[str]) -> str:
    """What to do about a damaged file, in a few words.

    Parameters
    ----------
    path : path-like
        The damaged file.

    Returns
    -------
    str
        The name of the checkpoint before it, where `save` has left one.

    Raises
    ------
    DtypeError
        For what is no path.

    Examples
    --------
    >>> mg.checkpoint.older("absent.npz")
    'use an older copy'
    """
    demand_path(path, "a checkpoint is a file")
    previous = previous_of(path)
    # (`Path.is_file` raises what a folder that is closed, or a long name, makes of the question)
    found = os.path.isfile(previous)
    return f"the one before it is {previous}: load that" if found else "use an older copy"
