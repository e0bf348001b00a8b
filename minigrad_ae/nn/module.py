"""Module: a part of a network.  Its parameters are the `Parameter`s that its attributes hold,
however deep.

Nothing is registered: a module is asked for its parameters and walks through its own attributes,
through other modules, lists, tuples and dicts.  So ``super().__init__()`` may be forgotten, and a
plain list of layers is a list of layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, TypeVar

import numpy as np

from ..arguments import flag, unmasked
from ..autodiff.graph import Value, settings
from ..display import module_html
from ..errors import DataError, DtypeError, GradientError
from ..tensors import Tensor, tensor

M = TypeVar("M", bound="Module")


class Parameter(Tensor):
    """A tensor that is trained: a leaf with requires_grad.

    What ops make of it is a plain Tensor.  Set ``requires_grad = False`` to freeze it; it stays
    part of its module and of the state.

    Parameters
    ----------
    data : array_like
        The first values, which are copied.
    dtype : dtype, optional
        Of the values; by default that of `data`.
    name : str, optional
        Its name; by default that of the attribute to which it is assigned first.

    Examples
    --------
    >>> w = mg.nn.Parameter(np.ones(3))
    >>> (w**2).sum().backward()
    >>> w.grad.tolist()
    [2.0, 2.0, 2.0]
    >>> type(w**2).__name__
    'Tensor'
    """

    __slots__ = ()

    def __init__(self, data: Any, dtype: Any = None, name: str | None = None) -> None:
        self.__setstate__((tensor(data, dtype=dtype).data, True, name, None))


class Renamed:
    """An attribute under the name it had before: ``module.old`` is ``module.PATH``, to read and to
    assign.

    `Module.load_state_dict` reads the same declaration, so that an older state still loads.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __get__(self, module: Module | None, owner: type | None = None) -> Any:
        return self if module is None else reduce(_part, self.path.split("."), module)

    def __set__(self, module: Module, value: Any) -> None:
        *above, name = self.path.split(".")
        setattr(reduce(_part, above, module), name, value)


class Module:
    """A part of a network: attributes that hold parameters and other modules, and a `forward`.

    Write ``__init__`` and ``forward(x)``; call the module to run it.  An unnamed parameter takes
    the name of the attribute it is assigned to.  A parameter reachable on two ways (tied weights)
    counts once, under its first name.  Modules can be deep-copied and pickled; ties inside them
    stay.

    Attributes
    ----------
    training : bool
        True in training mode, the mode at the start: see `train` and `eval`.

    Notes
    -----
    Nothing is registered: a module walks through its own attributes, and lists, tuples and dicts in
    them, whenever it is asked.

    Examples
    --------
    >>> class Line(mg.nn.Module):
    ...     def __init__(self):
    ...         self.slope = mg.nn.Parameter(2.0)
    ...         self.offset = mg.nn.Parameter(1.0)
    ...     def forward(self, x):
    ...         return self.slope * x + self.offset
    >>> line = Line()
    >>> line(np.array([0.0, 3.0])).sum().backward()
    >>> [(name, float(p.grad)) for name, p in line.named_parameters()]
    [('slope', 3.0), ('offset', 2.0)]
    """

    training = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes, written by each class of its own.

        Parameters
        ----------
        *args, **kwargs : object
            Whatever the class takes, usually a tensor x.

        Returns
        -------
        object
            Usually a tensor.

        Raises
        ------
        GradientError
            Here, where a class has not written it.
        """
        raise GradientError(
            f"{type(self).__name__} does not say what it computes",
            "it has no forward",
            "define forward(self, x) in the class",
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            value.name = value.name or name
        elif value is not None and isinstance(vars(self).get(name), Parameter):
            raise GradientError(
                f"{type(self).__name__}.{name} is a parameter and cannot become a "
                f"{type(value).__name__}",
                "it would leave parameters() and state_dict(), and not be trained; it has shape "
                f"{vars(self)[name].shape}",
                f"module.{name}.data = new values; or assign an nn.Parameter, or None to take it "
                "out",
            )
        settings.changes += 1
        super().__setattr__(name, value)

    # --- the tree ---
    def members(self) -> Iterator[tuple[str, Any]]:
        """What is held directly, in the order of the attributes.

        Yields
        ------
        name : str
            Of the attribute; item k of a list ``layers`` is 'layers.k', and likewise for tuples
            and dicts.
        member : Parameter or Module
            What it holds.
        """
        for name, value in vars(self).items():
            yield from _flatten(name, value)

    def walk(self) -> Iterator[tuple[str, Any]]:
        """This module and everything below it, each once, under its first path.

        Returns
        -------
        iterator of (str, Parameter or Module)
            ('', self), ('encoder', ...), ('encoder.weight', ...) and so on.
        """
        return _walk("", self, set())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter, once, with its path.

        Returns
        -------
        iterator of (str, Parameter)
            ('encoder.weight', parameter) and so on.
        """
        return ((path, member) for path, member in self.walk() if isinstance(member, Parameter))

    def parameters(self) -> list[Parameter]:
        """Every parameter, once: what an optimiser is given.

        Returns
        -------
        list of Parameter
            In the order of the attributes, from the top.
        """
        return [p for _, p in self.named_parameters()]

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module and every module below it, once, with its path.

        Returns
        -------
        iterator of (str, Module)
            ('', self), ('encoder', ...) and so on.
        """
        return ((path, member) for path, member in self.walk() if isinstance(member, Module))

    def modules(self) -> list[Module]:
        """This module and every module below it, once.

        Returns
        -------
        list of Module
            In the order of the attributes, from the top.
        """
        return [m for _, m in self.named_modules()]

    # --- modes and gradients ---
    def train(self: M, mode: bool = True) -> M:
        """Set training mode, here and below: dropout drops.

        Parameters
        ----------
        mode : bool, optional
            False for evaluation mode.

        Returns
        -------
        Module
            The module itself.

        Raises
        ------
        DtypeError
            If `mode` is not True or False.
        """
        mode = flag(mode, "train: mode")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Set evaluation mode, here and below: nothing is random.

        Returns
        -------
        Module
            The module itself.
        """
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients: every ``.grad`` is None again."""
        for p in self.parameters():
            p.zero_grad()

    # --- state ---
    def state_dict(self) -> dict[str, np.ndarray]:
        """The values of every parameter.

        Returns
        -------
        dict of str to ndarray
            Copies, under the names of `named_parameters`.
        """
        return {name: p.data.copy() for name, p in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Set every parameter from `state`; where something does not fit, none.

        Names from before a part was renamed (`Renamed`) are understood.

        Parameters
        ----------
        state : mapping of str to array_like
            What `state_dict` returned.
        strict : bool, optional
            False to ignore missing and unexpected names.

        Raises
        ------
        DataError
            For missing and unexpected names (unless `strict` is False), wrong shapes and wrong
            dtypes; all of them are named.
        DtypeError
            If `state` is not a mapping.
        """
        strict = flag(strict, "load_state_dict: strict")
        if not isinstance(state, Mapping):
            raise DtypeError(
                "load_state_dict needs a dict of names and arrays",
                f"got {type(state).__name__}",
                "pass what state_dict() returned",
            )
        known, renamed = dict(self.named_parameters()), dict(_renamed(self))
        new = {
            _name_of_today(name, renamed): np.array(
                value._data if isinstance(value, Value) else unmasked(value, repr(name))
            )
            for name, value in state.items()
        }
        missing = [f"missing {name!r} {p.shape}" for name, p in known.items() if name not in new]
        unexpected = [f"unexpected {name!r} {new[name].shape}" for name in new if name not in known]
        faults = [*missing, *unexpected] if strict else []
        for name, p in known.items():
            value = new.get(name, p.data)
            pairs = {"shape": (value.shape, p.shape), "dtype": (value.dtype, p.dtype)}
            faults += [
                f"wrong {what} of {name!r}: got {got}, expected {expected}"
                for what, (got, expected) in pairs.items()
                if got != expected
            ]
        if faults:
            raise DataError(
                f"{type(self).__name__}: the state does not fit, nothing was loaded",
                "; ".join(faults),
                "build the module with the settings it was saved with"
                + (" (strict=False ignores missing and unexpected names)" if strict else ""),
            )
        for name in known.keys() & new.keys():
            known[name].data = new[name]

    # --- how it looks ---
    def describe(self) -> str:
        """The module's own line in the tree, such as 'Linear(64 -> 32)'.

        Returns
        -------
        str
            Here the name of the class.
        """
        return type(self).__name__

    def __repr__(self) -> str:
        """The tree: a line for each module, with its own parameters' shapes and the number of
        parameters below it.
        """
        first = {id(member): path for path, member in self.walk()}
        return "\n".join(_tree(self, "", "", first))

    def _repr_html_(self) -> str:
        return module_html(self)


def _part(module: Any, step: str) -> Any:
    return module[int(step)] if step.isdigit() else getattr(module, step)


def _renamed(module: Module) -> Iterator[tuple[str, str]]:
    """(older path, path of today) of every part in the tree that is declared as `Renamed`."""
    for path, part in module.named_modules():
        prefix = f"{path}." if path else ""
        for kind in type(part).__mro__:
            for name, value in vars(kind).items():
                if isinstance(value, Renamed):
                    yield prefix + name, prefix + value.path


def _name_of_today(name: Any, renamed: Mapping[str, str]) -> Any:
    """'layer1.weight' -> 'encoder.0.weight'; a name that is not an older one stays as it is."""
    for old, new in renamed.items():
        if name == old or str(name).startswith(f"{old}."):
            return new + name[len(old) :]
    return name


def _flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The parameters and modules in one attribute, lists, tuples and dicts opened."""
    if isinstance(value, Parameter | Module):
        yield name, value
    elif isinstance(value, list | tuple | dict):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(item, Parameter | Module | list | tuple | dict):
                yield from _flatten(f"{name}.{key}", item)


def _walk(path: str, member: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if id(member) in seen:
        return
    seen.add(id(member))
    yield path, member
    if isinstance(member, Module):
        for name, below in member.members():
            yield from _walk(f"{path}.{name}" if path else name, below, seen)


def _tree(module: Module, path: str, label: str, first: dict[int, str]) -> list[str]:
    """The lines of `module`, found at `path`; what `first` knows under another path is a tie and is
    not opened again.
    """
    line = f"{label}: {module.describe()}" if label else module.describe()
    if first[id(module)] != path:
        return [f"{line}  (shared with {first[id(module)] or 'the top'})"]
    own, lines = [], []
    for name, member in module.members():
        below = f"{path}.{name}" if path else name
        if isinstance(member, Parameter):
            shared = "" if first[id(member)] == below else f" (shared with {first[id(member)]})"
            own.append(f"{name} {_story(member)}{shared}")
        else:
            lines += ["  " + text for text in _tree(member, below, name, first)]
    count = sum(p.size for p in module.parameters())
    shapes = "  " + ", ".join(own) if own else ""
    return [line + shapes + (f"  = {count:,} parameters" if count else ""), *lines]


def _story(p: Parameter) -> str:
    dtype = "" if p.dtype == np.float64 else f" {p.dtype}"
    return f"{p.shape}{dtype}{'' if p.requires_grad else ' frozen'}"
