"""What another library has and minigrad_ae has not."""

import re
from types import ModuleType
from typing import Any, NoReturn

import pytest

REFUSALS = ("cannot be applied to a Tensor", "is not offered")


def absent(name: str) -> NoReturn:
    """The running test cannot be judged: it uses `name`.  No ``except Exception`` of a test takes
    this for the error that it waits for.
    """
    pytest.skip(f"absent: {name}", allow_module_level=True)


def absent_if_refused(name: str, error: Exception) -> None:
    """Where the error says that there is no such function, parameter or kind of number."""
    what = str(error).splitlines()[0]
    if any(refusal in what for refusal in REFUSALS):
        absent(what.replace(f" {REFUSALS[0]}", ""))
    if match := re.search(r"unexpected keyword argument '(\w+)'", what):
        absent(f"{name} with {match[1]}=")
    if "dtype complex" in str(error):
        absent("complex numbers")


class Absent(ModuleType):
    """A module, function or class that may be imported, but not used."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":  # import *
            absent(self.__name__)
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        absent(self.__name__)

    def __mro_entries__(self, bases: Any) -> tuple[type, ...]:
        return ()  # a class may be derived from it
