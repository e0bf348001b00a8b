"""MyGrad's functions: minigrad_ae's of the same name, or of another, or absent."""

import operator
from types import ModuleType
from typing import Any

from absent import Absent

import minigrad_ae as mg

from .tensor_base import computed

OTHER_NAMES = {
    "absolute": mg.abs,
    "add": operator.add,
    "amax": mg.max,
    "amin": mg.min,
    "divide": operator.truediv,
    "einsum": lambda *operands, optimize=False: mg.einsum(*operands),  # how, and not what
    "logsoftmax": mg.log_softmax,
    "multiply": operator.mul,
    "negative": operator.neg,
    "positive": operator.pos,
    "power": operator.pow,
    "softmax_crossentropy": lambda x, labels: mg.cross_entropy(x, labels, "mean"),
    "subtract": operator.sub,
}
_made: dict[str, Any] = {}

of_arrays = ModuleType("math._special")
of_arrays.logsumexp = lambda x, **kwargs: computed(mg.logsumexp, "logsumexp")(x, **kwargs).data


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    found = OTHER_NAMES.get(name) or getattr(mg, name, None)
    if not callable(found):
        return Absent(name)
    return _made.setdefault(found, computed(found, name))  # an alias is the same function
