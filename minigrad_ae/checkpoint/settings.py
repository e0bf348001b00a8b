"""The arguments that made a model, as a file keeps them, and the model that they make again."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import models
from ..arguments import instance
from ..errors import CheckpointError, MinigradError
from ..nn import Module
from ..room import at_most

MODEL = "pass one of mg.models, or another mg.nn.Module"
DRAWN = ("rng", "dtype")  # arguments of a model's constructor that are no settings


def settings_of(model: Module) -> dict[str, Any] | None:
    """The arguments that made `model`, read from its attributes of the same names.

    Those that only serve to draw its first weights, ``rng`` and ``dtype``, are not among them.

    Parameters
    ----------
    model : Module
        A model that keeps its arguments as attributes, as those of `mg.models` do.

    Returns
    -------
    dict or None
        {argument: value} as JSON holds it: an array becomes a list, and a model inside (of a
        denoising autoencoder) its own class and settings.  None where the model does not keep its
        arguments.

    Raises
    ------
    DtypeError
        For anything but a Module.

    Examples
    --------
    >>> model = mg.models.LinearAutoencoder(4, 2, tied=True, rng=np.random.default_rng(0))
    >>> mg.checkpoint.settings_of(model)
    {'n_features': 4, 'n_latent': 2, 'bias': True, 'tied': True, 'l2': 0.0}
    """
    instance(model, Module, "settings_of: the model", MODEL)
    settings = {
        name: getattr(model, name, inspect.Parameter.empty)
        for name in inspect.signature(type(model)).parameters
        if name not in DRAWN
    }
    try:
        return dict(json.loads(json.dumps(settings, default=_setting)))
    except TypeError:
        return None


def _setting(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Module) and (config := settings_of(value)) is not None:
        return {"class": type(value).__name__, "config": config}
    raise TypeError


def rebuilt(
    header: Mapping[str, Any], weights: Mapping[str, np.ndarray], path: str | os.PathLike[str]
) -> Module:
    """A model of the class and with the settings that were saved; its first weights are replaced
    afterwards.
    """
    dtype = next(iter(weights.values())).dtype if weights else np.dtype(np.float64)
    try:
        # no more than the file has; twice, for a model that draws and then replaces
        with at_most(2 * sum(value.size for value in weights.values())):
            return _built(header, dtype)
    except Exception as error:  # settings that anyone may have written raise whatever they like
        reason = error.what if isinstance(error, MinigradError) else str(error)
        name = " ".join(header["class"].split())
        raise CheckpointError(
            f"a {name:.60} cannot be rebuilt from the file alone",
            f"{path}: {' '.join(reason.split()) or type(error).__name__:.200}",
            "make the model as you did before and pass it: load(path, model)",
        ) from None


def _built(described: Mapping[str, Any], dtype: np.dtype) -> Module:
    """The model of {"class": name, "config": settings}, and the models inside it, with other first
    weights.
    """
    kind = getattr(models, str(described["class"]), None)
    if not (isinstance(kind, type) and issubclass(kind, Module)):
        raise LookupError("it is none of mg.models")
    if described["config"] is None:
        raise LookupError("it does not keep the arguments that made it")
    settings = {
        name: _built(value, dtype) if isinstance(value, dict) and "class" in value else value
        for name, value in described["config"].items()
    }
    drawn = {"rng": np.random.default_rng(0), "dtype": dtype}
    return kind(
        **settings,
        **{name: drawn[name] for name in DRAWN if name in inspect.signature(kind).parameters},
    )
