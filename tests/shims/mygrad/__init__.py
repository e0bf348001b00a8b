"""The names of MyGrad, with minigrad_ae underneath: its own tests run on them unchanged.

What minigrad_ae has not may be imported, and is absent when it is used.
"""

import sys
from typing import Any

from absent import Absent

from . import functions
from .tensor_base import Tensor  # noqa: F401


def __getattr__(name: str) -> Any:
    return getattr(functions, name)


for _name in ("linalg.funcs", "nnet.activations", "nnet.losses"):
    sys.modules[f"mygrad.{_name}"] = functions
sys.modules["mygrad.math._special"] = functions.of_arrays
for _name in ("operation_base", "tensor_creation.funcs", "tensor_core_ops.indexing"):
    sys.modules[f"mygrad.{_name}"] = Absent(_name)
for _name in ("nnet.layers", "nnet.layers.utils", "nnet.layers.batchnorm"):
    sys.modules[f"mygrad.{_name}"] = Absent(_name)
