"""What all optimisers share: the parameters, the learning rate, the gradients and the state."""

from __future__ import annotations

import inspect
import math
import operator
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .. import kernels
from ..arguments import instance, plain, real_number
from ..autodiff.graph import Value
from ..autodiff.origin import where
from ..errors import DataError, DtypeError, GradientError, MinigradError
from ..kernels.memory import keep_freed_memory
from ..tensors import Tensor


class Optimizer:
    """What all optimisers share: the parameters they move, each once, and the learning rate.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves with requires_grad, such as ``model.parameters()``.
    lr : float
        The learning rate, at least 0.

    Attributes
    ----------
    params : list of Tensor
        Those of the parameters that require a gradient.
    lr : float
        The learning rate, which may be set at any time.
    initial_lr : float
        The learning rate it was made with; schedules start from it, also after `load_state_dict`.
    state : list of dict
        What is kept for each parameter, such as a velocity; empty before its first step.

    Raises
    ------
    DataError
        Without parameters, or for a learning rate that is negative, NaN or infinite.
    DtypeError
        For something that is not a tensor.
    GradientError
        For a tensor that cannot be trained.

    Examples
    --------
    An optimiser of one's own says what a step is:

    >>> class SignDescent(mg.optim.Optimizer):
    ...     def step(self):
    ...         for p, g, _ in self.gradients():
    ...             p.data -= self.lr * np.sign(g)
    >>> x = mg.nn.Parameter([3.0, -4.0])
    >>> (x**2).sum().backward()
    >>> SignDescent([x], lr=0.5).step()
    >>> x.tolist()
    [2.5, -3.5]
    """

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        self.params = checked_parameters(params, type(self).__name__)
        self.lr = self.initial_lr = lr
        self.state: list[dict[str, Any]] = [{} for _ in self.params]
        keep_freed_memory()  # steps will follow

    @property
    def lr(self) -> float:
        """The learning rate, a float; at least 0."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = real_number(
            lr, f"{type(self).__name__}: lr", "[0, inf)", "pass a learning rate such as 1e-3"
        )

    def zero_grad(self) -> None:
        """Forget the gradients: every ``.grad`` is None again."""
        for p in self.params:
            p.grad = None

    def gradients(self) -> Iterator[tuple[Tensor, np.ndarray, dict[str, Any]]]:
        """The parameters that have a gradient, after a check of all gradients.

        Returns
        -------
        iterator of (Tensor, ndarray, dict)
            A parameter, its gradient and its state.

        Raises
        ------
        GradientError
            Where no parameter has a gradient, or one is not finite.
        """
        found = checked_gradients(self.params, type(self).__name__)
        return (
            (p, g, state)
            for p, g, state in zip(self.params, found, self.state, strict=True)
            if g is not None
        )

    # --- state ---
    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` continues from, bit for bit.

        Returns
        -------
        dict of str to str, float, int or ndarray
            ``'class'`` and ``'lr'``, and for parameter number k ``'k.name'``, such as '0.velocity';
            arrays are copies.

        Notes
        -----
        Parameters are known by their order; `settings` other than ``lr`` belong to the program.
        """
        return {"class": type(self).__name__, "lr": self.lr} | {
            f"{k}.{name}": np.array(value) if name in self.arrays else value
            for k, own in enumerate(self.state)
            for name, value in own.items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; where it does not fit these parameters, nothing changes.

        Parameters
        ----------
        state : mapping of str to str, float, int or ndarray
            What `state_dict` returned; without ``'class'``, as older versions kept it, it is
            believed to be of this one.

        Raises
        ------
        DataError
            For the state of another class of optimiser, and for what is missing, unexpected, of
            another shape or no number; all of it is named.
        DtypeError
            For complex arrays.
        """
        instance(state, Mapping, "load_state_dict: state", "pass what state_dict() returned")
        known = {f"{k}.{name}": (k, name) for k in range(len(self.params)) for name in self.slots}
        begun = {key.partition(".")[0] for key in state}
        faults = self._faults_of(state)
        faults += [f"unexpected {key!r}" for key in state if key not in {"class", "lr", *known}]
        new: list[dict[str, Any]] = [{} for _ in self.params]
        for key, (k, name) in known.items():
            if key in state:
                new[k][name] = self._entry(key, name, state[key], self.params[k], faults)
            elif str(k) in begun:
                faults.append(f"missing {key!r}")
        self._refuse(faults)
        self.lr, self.state = float(state["lr"]), new

    def _faults_of(self, state: Mapping[str, Any]) -> list[str]:
        """What is wrong with the class and the learning rate in a state."""
        faults, own = [], type(self).__name__
        given = state.get("class", own)
        if not isinstance(given, str) or given != own:
            faults.append(f"it is the state of {given!r:.40}, not of {own}")
        if "lr" not in state:
            return [*faults, "missing 'lr'"]
        try:
            real_number(state["lr"], "lr", "[0, inf)", "")
        except MinigradError as error:
            faults.append(f"{error.what}, {error.where}")
        return faults

    def _entry(self, key: str, name: str, given: Any, p: Tensor, faults: list[str]) -> Any:
        """What is given for a parameter's `name`; what is wrong with it is added to `faults`."""
        if name in self.counts:
            try:
                count = operator.index(given)
            except TypeError:
                faults.append(f"{key!r} is not a whole number: {given!r:.40}")
                return None
            if not 0 <= count <= sys.maxsize:
                faults.append(f"{key!r} is no number of steps: {given!r:.40}")
            return count
        array = numbers(key, given, faults)
        if array is not None and array.shape != p.shape:
            faults.append(f"wrong shape of {key!r}: got {array.shape}, expected {p.shape}")
        elif array is not None:
            return np.array(plain(array, repr(key), p.dtype))
        return None

    def settings(self) -> dict[str, Any]:
        """The arguments that made it, but for the parameters and the learning rate.

        Returns
        -------
        dict
            {argument: value} as JSON holds it; a factor for each parameter by its number.

        Examples
        --------
        >>> mg.optim.SGD([mg.nn.Parameter([1.0])], lr=0.1, momentum=0.9).settings()
        {'momentum': 0.9, 'weight_decay': 0.0, 'nesterov': False}
        """
        names = [n for n in inspect.signature(type(self)).parameters if n not in ("params", "lr")]
        found = {name: getattr(self, name, None) for name in names}
        return {name: self._as_json(value) for name, value in found.items()}

    def _as_json(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(k): float(value[p]) for k, p in enumerate(self.params) if p in value}
        if isinstance(value, tuple):
            return [self._as_json(part) for part in value]
        return value if isinstance(value, bool | int | float | str | None) else repr(value)

    arrays: tuple[str, ...] = ()  # what a parameter's state holds: arrays in its shape,
    counts: tuple[str, ...] = ()  # and whole numbers

    @property
    def slots(self) -> tuple[str, ...]:
        """The names in a parameter's state, a tuple of str."""
        return (*self.arrays, *self.counts)

    def _refuse(self, faults: list[str]) -> None:
        if faults:
            raise DataError(
                f"{type(self).__name__}: the state does not fit, nothing was loaded",
                "; ".join(faults),
                "load the state of the same optimiser, made with the same parameters in the same "
                "order",
            )


def numbers(key: str, given: Any, faults: list[str]) -> np.ndarray | None:
    """What is given under `key` as an array of numbers; None, and one fault more, where it is
    none.
    """
    try:
        array = plain(given, repr(key))
    except MinigradError as error:  # masked entries, nested lists of different lengths
        faults.append(f"{error.what}: {error.where}")
        return None
    if array.dtype.kind in "fiubc":
        return array
    faults.append(f"{key!r} holds no numbers, but {array.dtype}")
    return None


def checked_parameters(params: Iterable[Tensor], who: str) -> list[Tensor]:
    """The parameters, each once, or the error that `Optimizer` documents."""
    scalar = isinstance(params, np.ndarray) and params.ndim == 0
    if isinstance(params, Value) or scalar or not isinstance(params, Iterable):
        raise DtypeError(
            f"{who} takes a list of parameters",
            f"got one {type(params).__name__}",
            "pass model.parameters(), or [tensor]",
        )
    given = list(params)
    if not given:
        raise DataError(
            f"{who}: no parameters to train", "got an empty list", "pass model.parameters()"
        )
    for k, p in enumerate(given):
        if not isinstance(p, Tensor):
            raise DtypeError(
                f"{who} takes tensors",
                f"number {k} is a {type(p).__name__}",
                "pass model.parameters()",
            )
        if p.op is not None:
            raise GradientError(
                f"{who}: a computed tensor cannot be trained",
                f"number {k}, {p.shape}, is {where(p)}",
                "pass the leaves it was computed from",
            )
    unique = list(dict.fromkeys(given))
    trainable = [p for p in unique if p.requires_grad]
    if not trainable:
        raise GradientError(
            f"{who}: no parameter requires a gradient",
            f"{len(unique)} parameter(s), the first is {name_of(unique[0], 0)}",
            "make them with nn.Parameter, or with requires_grad=True",
        )
    return trainable


def checked_gradients(params: list[Tensor], who: str) -> list[np.ndarray | None]:
    """Every ``p.grad``, None where there is none; errors as in `Optimizer.gradients`."""
    found = [p.grad for p in params]
    if all(g is None for g in found):
        raise GradientError(
            f"{who}: no parameter has a gradient",
            f"{len(params)} parameter(s), every .grad is None",
            "call loss.backward() first",
        )
    bad = []
    compiled = kernels.backend.backend() == "numba"
    for k, (p, g) in enumerate(zip(params, found, strict=True)):
        if g is None:
            continue
        fast = compiled and g.flags.c_contiguous and g.dtype == p._data.dtype
        length = kernels.optim.square(g) if fast else float(np.vdot(g, g))
        # the square may overflow where g does not
        if not math.isfinite(length) and not np.isfinite(g).all():
            bad.append(f"{name_of(p, k)}: {g.size - np.count_nonzero(np.isfinite(g))} of {g.size}")
    if bad:
        raise GradientError(
            f"{who}: gradients are NaN or infinite, no parameter was changed",
            "; ".join(bad),
            "look for a log or a division near 0, or lower the learning rate",
        )
    return found


def name_of(p: Tensor, k: int) -> str:
    """'parameter 0 'weight' (64, 32)', for messages."""
    return f"parameter {k}{f' {p.name!r}' if p.name else ''} {p.shape}"
