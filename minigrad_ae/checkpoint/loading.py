"""A file becomes a model, or an error that says why it does not."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import instance
from ..data import Scaling
from ..errors import CheckpointError, DataError
from ..generators import generator_in
from ..models.components import PrincipalAxes
from ..models.scaled import in_units_of_the_table
from ..nn import Module
from .contents import Checkpoint
from .format import FILE, demand_path, not_finite, older, opened, part_of
from .settings import MODEL, rebuilt

log = logging.getLogger(__package__)


def load(path: str | os.PathLike[str], model: Module | None = None) -> Checkpoint:
    """Read what `save` wrote, without running code from it.

    Nothing is unpickled, and sizes are judged before memory is taken, so a file from anywhere can
    be loaded.  Weights that are not finite are loaded, which is said in the log.

    Parameters
    ----------
    path : path-like
        The file.
    model : Module, optional
        A model with the parameters that were saved: its values are set.  Without it the model is
        rebuilt, if it is one of `mg.models`.

    Returns
    -------
    Checkpoint
        The model, and what was saved with it.

    Raises
    ------
    CheckpointError
        For a file that is missing, cut short, damaged, pickled, or no checkpoint; for a model that
        cannot be rebuilt; and, with everything that does not fit, for a model with other names,
        shapes or dtypes.
    DtypeError
        For what is no path, and for a `model` that is no Module.

    Examples
    --------
    >>> model = mg.models.LinearAutoencoder(4, 2, rng=np.random.default_rng(0))
    >>> found = mg.checkpoint.load(mg.checkpoint.save("model.npz", model))
    >>> X = np.arange(12.0).reshape(3, 4)
    >>> bool(np.array_equal(found.model(X).numpy(), model(X).numpy()))  # to the last bit
    True
    """
    if model is not None:
        instance(model, Module, "load: the model", MODEL)
    header, arrays = opened(path)
    weights = part_of("model/", arrays)
    if faults := not_finite(weights):
        log.warning("the weights in %s are not finite: %s", path, faults)
    model = rebuilt(header, weights, path) if model is None else model
    try:
        model.load_state_dict(weights)
    except DataError as error:
        raise CheckpointError(
            "the checkpoint does not fit the model", f"{path}: {error.where}", error.fix
        ) from None
    optimizer = None
    if "optimizer" in header:
        optimizer = header["optimizer"]["numbers"] | part_of("optimizer/", arrays)
    try:
        if isinstance(model, PrincipalAxes):
            model.load_seen_state(part_of("seen/", arrays))
        generators = {name: generator_in(state) for name, state in header["generators"].items()}
        scaling = _scaling(part_of("scaling/", arrays))
    except DataError as error:
        raise CheckpointError(error.what, f"{path}: {error.where}", older(path)) from None
    return Checkpoint(Path(path), model, header["meta"], optimizer, generators, scaling)


def described(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a checkpoint says of itself, without its arrays: to be judged before they are used.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    dict
        ``format``, ``version``, ``class`` and ``config`` of the model, ``meta``, ``generators``,
        and ``optimizer`` (its ``class``, ``settings`` and ``numbers``) if one was saved.

    Raises
    ------
    CheckpointError
        For a file that is missing, cut short, damaged, or no checkpoint.
    DtypeError
        For what is no path.

    Examples
    --------
    >>> model = mg.models.LinearAutoencoder(4, 2, rng=np.random.default_rng(0))
    >>> path = mg.checkpoint.save("model.npz", model, meta={"epoch": 3})
    >>> found = mg.checkpoint.described(path)
    >>> found["class"], found["config"]["n_latent"], found["meta"]
    ('LinearAutoencoder', 2, {'epoch': 3})
    """
    return opened(path)[0]


def load_model(path: str | os.PathLike[str]) -> Any:
    """The model that a run has kept, ready for rows in the units of its own data: `mg.load`.

    Parameters
    ----------
    path : path-like
        A checkpoint, or the folder that ``minigrad-ae train --checkpoint`` or ``minigrad-ae verify
        --out`` wrote.

    Returns
    -------
    Module
        In evaluation mode.  Where the run scaled its data, the model that does so itself: of a
        linear autoencoder one in float64 with other weights, of others a `mg.models.scaled.Scaled`.

    Raises
    ------
    CheckpointError
        What `load` raises, and for a folder without a checkpoint.
    DtypeError
        For what is no path.

    Examples
    --------
    >>> X = np.array([[10.0, 400.0], [30.0, 200.0], [50.0, 0.0]])
    >>> scaling = mg.data.Scaling.learn(X)
    >>> model = mg.models.LinearAutoencoder(2, 1, rng=np.random.default_rng(0))
    >>> _ = model.fit(scaling.apply(X))
    >>> path = mg.checkpoint.save("checkpoint.npz", model, scaling=scaling)
    >>> bool(np.allclose(mg.load(".")(X).numpy(), X, atol=1e-3))
    True
    """
    demand_path(path, "a model is loaded from a file, or the folder of a run")
    found = load(Path(path) / FILE if os.path.isdir(path) else path)
    return in_units_of_the_table(found.model, found.scaling).eval()


def _scaling(kept: Mapping[str, np.ndarray]) -> Scaling | None:
    """What was done to the data; None in a file without it, as older versions wrote them."""
    if not kept:
        return None
    if kept.keys() == {"mean", "factor"} and not not_finite(kept):
        mean, factor = kept["mean"], kept["factor"]
        floats = mean.dtype.kind == factor.dtype.kind == "f"
        fitting = mean.ndim == 1 and factor.shape in ((), mean.shape)
        if floats and fitting and (factor > 0).all():
            return Scaling(mean, factor)
    found = {name: (value.dtype.str, value.shape) for name, value in kept.items()}
    raise DataError("the scaling of its data cannot be understood", f"{found}", "")
