"""Models on disk: one .npz file, written whole or not at all, and read without ever running code
from it.

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
import inspect
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import models
from .archives import read_arrays
from .arguments import at_most
from .autodiff.graph import no_grad
from .data import Scaling
from .errors import CheckpointError, DataError, DtypeError, MinigradError
from .files import previous_of, write_whole
from .generators import generator_in, state_of
from .models.components import PrincipalAxes
from .models.scaled import in_units_of_the_table
from .nn import Module
from .optim import Optimizer
from .version import __version__

log = logging.getLogger(__name__)
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
DRAWN = ("rng", "dtype")  # arguments of a model's constructor that are no settings


@dataclass
class Checkpoint:
    """What `load` found in a file, under the names below.

    Parameters
    ----------
    path : Path
        The file that was read.
    model : Module
        The model, with the values that were saved.
    meta : dict
        What the caller gave to `save`.
    optimizer : dict or None
        For ``optimizer.load_state_dict``; None if no optimiser was saved.
    generators : dict of str to numpy.random.Generator
        The generators under their names, in the state they were in.
    scaling : Scaling or None, optional
        What was done to the data before the model saw them; None if nothing was, or it was not
        saved.  `model` itself sees scaled rows; `encode`, `decode` and `reconstruct` do both steps.

    Examples
    --------
    >>> model = mg.models.LinearAutoencoder(4, 2, rng=np.random.default_rng(0))
    >>> rng = np.random.default_rng(1)
    >>> path = mg.checkpoint.save("model.npz", model, meta={"epoch": 3}, generators={"data": rng})
    >>> found = mg.checkpoint.load(path)
    >>> found.meta, found.optimizer
    ({'epoch': 3}, None)
    >>> bool(found.generators["data"].random() == rng.random())
    True
    """

    path: Path
    model: Module
    meta: dict[str, Any]
    optimizer: dict[str, Any] | None
    generators: dict[str, np.random.Generator]
    scaling: Scaling | None = None

    def encode(self, X: Any) -> np.ndarray:
        """The codes of rows of the table.

        Parameters
        ----------
        X : array_like, (n, D)
            Rows in the units of the table: as they were before any scaling.

        Returns
        -------
        ndarray, (n, M)
            What ``model.encode`` says; of a variational model the mean of q(z | x).

        Raises
        ------
        ShapeError, DataError, DtypeError
            For rows that do not fit the scaling or the model.
        """
        model: Any = self.model
        with no_grad():
            codes = model.encode(X if self.scaling is None else self.scaling.apply(X))
        mean = codes[0] if isinstance(codes, tuple) else codes
        return np.array(mean.numpy())

    def decode(self, Z: Any) -> np.ndarray:
        """Rows of the table from codes.

        Parameters
        ----------
        Z : array_like, (n, M)
            Codes, as `encode` gives them.

        Returns
        -------
        ndarray, (n, D)
            In the units of the table.
        """
        model: Any = self.model
        with no_grad():
            Y = np.array(model.decode(Z).numpy())
        return Y if self.scaling is None else self.scaling.undo(Y)

    def reconstruct(self, X: Any) -> np.ndarray:
        """What the model makes of rows of the table.

        Parameters
        ----------
        X : array_like, (n, D)
            Rows in the units of the table.

        Returns
        -------
        ndarray, (n, D)
            In the units of the table.

        Raises
        ------
        ShapeError, DataError, DtypeError
            For rows that do not fit the scaling or the model.

        Examples
        --------
        >>> X = np.array([[10.0, 400.0], [30.0, 200.0], [50.0, 0.0]])
        >>> scaling = mg.data.Scaling.learn(X)
        >>> model = mg.models.LinearAutoencoder(2, 1, rng=np.random.default_rng(0))
        >>> _ = model.fit(scaling.apply(X))
        >>> path = mg.checkpoint.save("model.npz", model, scaling=scaling)
        >>> bool(np.allclose(mg.checkpoint.load(path).reconstruct(X), X, atol=1e-3))
        True
        """
        with no_grad():
            Y = self.model(X if self.scaling is None else self.scaling.apply(X))
        return np.array(Y.numpy()) if self.scaling is None else self.scaling.undo(Y.numpy())


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
        For a `meta` that JSON cannot hold, and for weights that are not finite.

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
        Under the names that stand at the top of this file.

    Raises
    ------
    DataError
        For a `meta` that JSON cannot hold, and for weights that are not finite.
    """
    arrays = {f"model/{name}": value for name, value in model.state_dict().items()}
    if faults := _not_finite(arrays):
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
    arrays[META] = np.array(_as_json(header))
    return {**arrays, SUM: np.array(digest(arrays))}


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

    Examples
    --------
    >>> model = mg.models.LinearAutoencoder(4, 2, rng=np.random.default_rng(0))
    >>> found = mg.checkpoint.load(mg.checkpoint.save("model.npz", model))
    >>> X = np.arange(12.0).reshape(3, 4)
    >>> bool(np.array_equal(found.model(X).numpy(), model(X).numpy()))  # to the last bit
    True
    """
    header, arrays = _opened(path)
    weights = _part("model/", arrays)
    if faults := _not_finite(weights):
        log.warning("the weights in %s are not finite: %s", path, faults)
    model = _rebuilt(header, weights, path) if model is None else model
    try:
        model.load_state_dict(weights)
    except DataError as error:
        raise CheckpointError(
            "the checkpoint does not fit the model", f"{path}: {error.where}", error.fix
        ) from None
    optimizer = None
    if "optimizer" in header:
        optimizer = header["optimizer"]["numbers"] | _part("optimizer/", arrays)
    try:
        if isinstance(model, PrincipalAxes):
            model.load_seen_state(_part("seen/", arrays))
        generators = {name: generator_in(state) for name, state in header["generators"].items()}
        scaling = _scaling(_part("scaling/", arrays))
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

    Examples
    --------
    >>> model = mg.models.LinearAutoencoder(4, 2, rng=np.random.default_rng(0))
    >>> path = mg.checkpoint.save("model.npz", model, meta={"epoch": 3})
    >>> found = mg.checkpoint.described(path)
    >>> found["class"], found["config"]["n_latent"], found["meta"]
    ('LinearAutoencoder', 2, {'epoch': 3})
    """
    return _opened(path)[0]


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
    found = load(Path(path) / FILE if os.path.isdir(path) else path)
    return in_units_of_the_table(found.model, found.scaling).eval()


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

    Examples
    --------
    >>> model = mg.models.LinearAutoencoder(4, 2, tied=True, rng=np.random.default_rng(0))
    >>> mg.checkpoint.settings_of(model)
    {'n_features': 4, 'n_latent': 2, 'bias': True, 'tied': True, 'l2': 0.0}
    """
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

    Examples
    --------
    >>> w, b = np.ones((2, 3)), np.zeros(2)
    >>> one = mg.checkpoint.digest({"w": w, "b": b})
    >>> one == mg.checkpoint.digest({"b": b, "w": w})
    True
    >>> one == mg.checkpoint.digest({"w": w.T, "b": b})  # the same bytes in another shape
    False
    """
    sha = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {value.dtype.str} {value.shape}\n".encode(errors="backslashreplace"))
        sha.update(value.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


# --- writing ---
def _write(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    np.savez(file, **arrays)  # type: ignore[arg-type]


def _as_json(header: Mapping[str, Any]) -> str:
    try:
        return json.dumps(header, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise DataError(
            "meta does not go into JSON", str(error), "use numbers, text, lists and dicts only"
        ) from None


def _free(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free:,} are free"
    except OSError:
        return "and there is no such folder"


# --- reading ---
def _opened(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(header, the other arrays) of a whole file."""
    if not isinstance(path, str | os.PathLike) or "\0" in str(path):
        raise DtypeError("a checkpoint is loaded from a file", f"got {path!r:.60}", "pass its path")
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


def _text(array: np.ndarray | None) -> str | None:
    """The text in a 0-d array; None where it is no such array."""
    if array is None or array.ndim or array.dtype.kind != "U":
        return None
    try:
        return str(array[()])
    except ValueError:  # no characters
        return None


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


def _not_finite(arrays: Mapping[str, np.ndarray]) -> str:
    """Where arrays of floats are NaN or infinite; '' where they are not."""
    counts = {
        name.removeprefix("model/"): value.size - np.count_nonzero(np.isfinite(value))
        for name, value in arrays.items()
        if value.dtype.kind in "fc"
    }
    return "; ".join(f"{count:,} in {name}" for name, count in counts.items() if count)


def _part(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, under the rest of their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


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

    Examples
    --------
    >>> mg.checkpoint.older("absent.npz")
    'use an older copy'
    """
    previous = previous_of(path)
    return (
        f"the one before it is {previous}: load that" if previous.is_file() else "use an older copy"
    )


def _rebuilt(
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


def _scaling(kept: Mapping[str, np.ndarray]) -> Scaling | None:
    """What was done to the data; None in a file without it, as older versions wrote them."""
    if not kept:
        return None
    if kept.keys() == {"mean", "factor"} and not _not_finite(kept):
        mean, factor = kept["mean"], kept["factor"]
        floats = mean.dtype.kind == factor.dtype.kind == "f"
        fitting = mean.ndim == 1 and factor.shape in ((), mean.shape)
        if floats and fitting and (factor > 0).all():
            return Scaling(mean, factor)
    found = {name: (value.dtype.str, value.shape) for name, value in kept.items()}
    raise DataError("the scaling of its data cannot be understood", f"{found}", "")
