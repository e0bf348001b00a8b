"""Autoencoders from scratch in NumPy: gradients that explain themselves, models checked against
exact answers.
"""

# ruff: noqa: F401, F403, I001  (the functions are those of ops.public)

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__
from . import ops, tensors
from .autodiff.engine import grad
from .autodiff.graph import no_grad
from .ops import one_hot
from .ops.public import *
from .tensors import Tensor, tensor

if TYPE_CHECKING:
    from . import analytic, checkpoint, claims, data, inspect, kernels, models, nn, optim, train
    from .checkpoint import load_model as load
    from .claims.certify import certify_pca
    from .autodiff.check import check_graph, gradcheck
    from .autodiff.curvature import hessian, hvp, jacobian
    from .inspect import backward_steps, detect_anomaly, suspect, trace, watch, why
    from .program import compile, emit_numpy

_PARTS = "analytic checkpoint claims data inspect kernels models nn optim train"
# What is imported when it is first asked for: a name, and where it is; half of the time that it
# took to import all at once nobody needs who multiplies two tensors.
_LATER: dict[str, tuple[str, str]] = {
    **{part: (part, "") for part in _PARTS.split()},
    "load": ("checkpoint", "load_model"),
    "certify_pca": ("claims.certify", "certify_pca"),
    **{name: ("autodiff.check", name) for name in ("check_graph", "gradcheck")},
    **{name: ("autodiff.curvature", name) for name in ("hessian", "hvp", "jacobian")},
    **{
        name: ("inspect", name)
        for name in ("backward_steps", "detect_anomaly", "suspect", "trace", "watch", "why")
    },
    **{name: ("program", name) for name in ("compile", "emit_numpy")},
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LATER[name]
    found = import_module(f".{module}", __name__)
    globals()[name] = found = getattr(found, attribute) if attribute else found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Tensor",
    "analytic",
    "backward_steps",
    "certify_pca",
    "check_graph",
    "checkpoint",
    "claims",
    "data",
    "detect_anomaly",
    "compile",
    "emit_numpy",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "inspect",
    "jacobian",
    "kernels",
    "load",
    "models",
    "nn",
    "no_grad",
    "one_hot",
    "ops",
    "optim",
    "suspect",
    "tensor",
    "trace",
    "train",
    "watch",
    "why",
    *ops.public.__all__,
]
