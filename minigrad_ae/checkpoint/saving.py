"""A model becomes a file, whole or not at all."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..arguments import generator, instance
from ..data import Scaling
from ..errors import CheckpointError, DataError
from ..files import write_whole
from ..generators import state_of
from ..models.components import PrincipalAxes
from ..nn import Module
from ..optim import Optimizer
from ..version import __version__
from .archives import MEMBER
from .format import FORMAT, META, SUM, as_json, demand_path, digest, not_finite
from .settings import MODEL, settings_of

LONGEST_NAME = 2**16 - 1 - len(MEMBER)  # bytes, by the format of archives


def save(
    path: str | os.PathLike[str],
    model: Module,
    *,
    optimizer: Optimizer | None = None,
    meta: Mapping[str, Any] | None = None,
    generators: Mapping[str, np.random.Generator] | None = None,
    scaling: Scaling | None = None,
) -> Path:
    """Write `model`, and what its training needs to go on, to `path`.

    Parameters
    ----------
    path : path-like
        The file, an .npz archive.
    model : Module
        Its ``state_dict()`` is saved, with its class and `settings_of` it.
    optimizer : Optimizer, optional
        Its ``state_dict()`` is saved too.
    meta : mapping, optional
        Anything that JSON can hold.
    generators : mapping of str to numpy.random.Generator, optional
        Under a name for their purpose, such as ``{"shuffle": rng, "noise": noise}``.
    scaling : Scaling, optional
        What was done to the data before the model saw them.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    CheckpointError
        Where it cannot be written: no folder, no permission, a full disk.
    DataError
        For a `meta` that JSON cannot hold, for weights that are not finite, and for names of
        parameters that no archive can hold.
    DtypeError
        For an argument of another type.

    Notes
    -----
    An older file stays untouched until the new one is complete and on the disk, and also if that
    never happens.  Then it stays beside the new one, as NAME.prev, which `load` reads like any
    other; at every moment `path` is a whole file.

    Examples
    --------
    >>> model = mg.models.LinearAutoencoder(4, 2, rng=np.random.default_rng(0))
    >>> path = mg.checkpoint.save("model.npz", model)
    >>> with np.load(path) as file:
    ...     sorted(file.files)
    ['__meta__', '__sha256__', 'model/decoder.bias', 'model/decoder.weight', 'model/encoder.bias',
    'model/encoder.weight']
    """
    demand_path(path, "a checkpoint is saved in a file")
    whole = packed(model, optimizer=optimizer, meta=meta, generators=generators, scaling=scaling)
    # an older file that was cut short must not take the place of the last good one
    keep = os.path.isfile(path) and zipfile.is_zipfile(path)
    try:
        return write_whole(path, lambda file: _write(file, whole), keep_previous=keep)
    except OSError as error:
        needed = sum(value.nbytes for value in whole.values())
        raise CheckpointError(
            f"the checkpoint cannot be written: {error.strerror or error}",
            f"{path}: about {needed:,} bytes are needed, {_free(Path(path))}; an older file of "
            "that name is untouched",
            "make room, or name a file in a folder that exists and may be written to",
        ) from None


def packed(
    model: Module,
    *,
    optimizer: Optimizer | None = None,
    meta: Mapping[str, Any] | None = None,
    generators: Mapping[str, np.random.Generator] | None = None,
    scaling: Scaling | None = None,
) -> dict[str, np.ndarray]:
    """The arrays that `save` writes, header included: what ``np.savez`` makes a checkpoint of.

    Parameters
    ----------
    model, optimizer, meta, generators, scaling : object
        As for `save`.

    Returns
    -------
    dict of str to ndarray
        Under the names that stand at the top of ``checkpoint/format.py``.

    Raises
    ------
    DataError
        For a `meta` that JSON cannot hold, for weights that are not finite, and for names of
        parameters that no archive can hold.
    DtypeError
        For an argument of another type.
    """
    _demand_parts(model, optimizer, meta, generators, scaling)
    arrays = {f"model/{name}": value for name, value in model.state_dict().items()}
    _demand_names(arrays)
    if faults := not_finite(arrays):
        raise DataError(
            f"the weights of the {type(model).__name__} are not finite: nothing is saved",
            faults,
            "go back to the last checkpoint, and lower the learning rate",
        )
    if isinstance(model, PrincipalAxes):
        arrays |= {f"seen/{key}": value for key, value in model.seen_state().items()}
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "class": type(model).__name__,
        "config": settings_of(model),
        "meta": dict(meta or {}),
        "generators": {purpose: state_of(rng) for purpose, rng in (generators or {}).items()},
    }
    if optimizer is not None:
        state = optimizer.state_dict()
        arrays |= {
            f"optimizer/{key}": value
            for key, value in state.items()
            if isinstance(value, np.ndarray)
        }
        numbers = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
        header["optimizer"] = {
            "class": type(optimizer).__name__,
            "settings": optimizer.settings(),
            "numbers": numbers,
        }
    if scaling is not None:
        arrays |= {"scaling/mean": scaling.mean, "scaling/factor": scaling.factor}
    arrays[META] = np.array(as_json(header))
    return {**arrays, SUM: np.array(digest(arrays))}


def _demand_parts(model: Any, optimizer: Any, meta: Any, generators: Any, scaling: Any) -> None:
    """DtypeError for what is of another type than `save` says."""
    instance(model, Module, "save: the model", MODEL)
    if optimizer is not None:
        instance(optimizer, Optimizer, "save: the optimizer", "pass one of mg.optim, or None")
    if meta is not None:
        instance(meta, Mapping, "save: meta", 'pass a dict, such as {"epoch": 3}')
    if scaling is not None:
        instance(scaling, Scaling, "save: the scaling", "pass mg.data.Scaling.learn(X), or None")
    if generators is not None:
        fix = 'pass a dict of generators, such as {"noise": np.random.default_rng(0)}'
        instance(generators, Mapping, "save: generators", fix)
        for name, rng in generators.items():
            instance(name, str, "save: the name of a generator", fix)
            generator(rng, "save", f"numbers again, {name!r:.40}")


def _demand_names(names: Iterable[str]) -> None:
    """DataError for a name that an archive would cut short, or cannot hold."""
    for name in names:
        held = name.encode(errors="replace").decode()
        if held != name or "\0" in name or len(name.encode()) > LONGEST_NAME:
            raise DataError(
                "an archive cannot hold the name of a parameter: nothing is saved",
                f"{name.removeprefix('model/')!r:.60}",
                "give it a name of letters, by which it is an attribute of its module",
            )


def _write(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    np.savez(file, **arrays)  # type: ignore[arg-type]


def _free(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free:,} are free"
    except OSError:
        return "and there is no such folder"
