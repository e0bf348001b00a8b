"""Numba kernels: NumPy arrays in, NumPy arrays out; they know nothing of tensors.

Each public kernel is the compiled form of a NumPy definition and gives the same numbers to
rounding, on one thread or on several.  ``use("numpy")`` runs the definitions instead.  Numba is
imported when the first kernel is called for.

jit.py width.py (how a kernel is compiled), backend.py (which runs, on how many threads, what is
checked), then the kernels: vectors.py micro.py layout.py subnormal.py gemm.py, small_products.py
batched.py multi_head.py (products and attention), scalar.py loops.py activations.py, row_vectors.py
rows.py norm.py row_scatter.py, optim.py; fused.py (whole layers and losses, for ops/bindings.py);
tile.py ladder.py (a lesson's rungs); reference.py (NumPy definitions); calls.py native.py
handlers.py elementwise.py (calls that are made again and again, for compiled steps).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "backend": ("get_num_threads", "set_num_threads", "use"),
    "report": ("info",),
    "gemm": ("accumulate", "matmul"),
    "batched": ("batched_matmul",),
    "multi_head": ("attention", "attention_backward"),
    "activations": (
        "erf",
        "erf_backward",
        "exp",
        "exp_backward",
        "exp_remainder",
        "exp_remainder_backward",
        "gelu",
        "gelu_backward",
        "relu",
        "relu_backward",
        "sigmoid",
        "sigmoid_backward",
        "softplus",
        "softplus_backward",
        "tanh",
        "tanh_backward",
    ),
    "rows": (
        "log_softmax",
        "log_softmax_backward",
        "softmax",
        "softmax_backward",
    ),
    "norm": ("layer_norm", "layer_norm_backward"),
    "row_scatter": ("add_rows",),
    "optim": ("adam_step",),
    "fused": (),  # for ops/bindings.py only
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}
__all__ = sorted(_MODULE)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return import_module(f"{__name__}.{name}")
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # asked for once only
    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)
    return found


def __dir__() -> list[str]:
    return list(__all__)
