"""What autograd has and minigrad_ae has not."""

from types import ModuleType
from typing import Any, NoReturn

import pytest


def absent(name: str) -> NoReturn:
    """The running test cannot be judged: it uses `name`.  No ``except Exception`` of a test takes
    this for the error that it waits for.
    """
    pytest.skip(f"absent: {name}", allow_module_level=True)


class Absent(ModuleType):
    """A module, function or class that may be imported, but not used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        absent(self.__name__)
