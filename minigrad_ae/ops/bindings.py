"""Numba twins: which kernel may stand in for which op.

A twin is a pair of functions on arrays:

    forward(*inputs, **params) -> (y, saved)       saved: what backward needs
    backward(g, y, saved, *inputs, need, **params) -> gradients
                                                   one per input, None where need[i] is False

It computes what the op's forward and rules say, for contiguous float32 or float64 arrays, to the
rounding that tests/test_bindings.py states; the definitions remain what the op *is*, and run under
``kernels.use("numpy")``, for complex numbers, for gradients of gradients, and as soon as a rule has
been replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import kernels
from ..autodiff.operation import REGISTRY
from ..kernels.backend import backend
from . import elementwise, functional, losses, reduce  # noqa: F401  (they make the ops that are bound here)

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
Array = np.ndarray


class Twin:
    """The kernels of one op; `smallest` is the number of elements below which NumPy is as fast.

    strided : it copies what is not contiguous, which pays where the arrays are small.
    """

    def __init__(
        self,
        op: Any,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        smallest: int,
        strided: bool = False,
    ) -> None:
        self.forward, self.backward, self.smallest, self.strided = (
            forward,
            backward,
            smallest,
            strided,
        )
        self.rules = list(op.vjps)

    def ready(self, arrays: Sequence[Array]) -> bool:
        """May the kernels take these arrays?"""
        first = arrays[0]
        dtype, strided = first.dtype, self.strided
        if first.size < self.smallest or dtype not in FLOATS or backend() != "numba":
            return False
        # a loop: all() over a generator takes twice as long, and this is asked at every op
        for x in arrays:
            # an unpickled array has a dtype object of its own
            if x.dtype is not dtype and x.dtype != dtype:
                return False
            if not (strided or x.flags.forc):
                return False
        return True


def twin(name: str, smallest: int = 0, strided: bool = False) -> Callable[[type], type]:
    """Class decorator: the two functions in the class are the twin of the op `name`."""

    def register(pair: Any) -> Any:
        op = REGISTRY[name]
        op.twin = Twin(op, pair.forward, pair.backward, smallest, strided)
        return pair

    return register


# --- element-wise: y or x is what backward needs --------------------------------------------------


def _elementwise(
    name: str, keep: str, smallest: int = 512, strided: bool = False, **options: Any
) -> None:
    class Pair:
        @staticmethod
        def forward(x: Array) -> tuple[Array, Any]:
            y = getattr(kernels, name)(x, **options)
            return y, (y if keep == "y" else x)

        @staticmethod
        def backward(
            g: Array, y: Array, saved: Any, x: Array, need: Sequence[bool]
        ) -> tuple[Array]:
            return (
                getattr(kernels, f"{name}_backward")(np.ascontiguousarray(g), saved, **options),
            )

    twin({"gelu": "gelu_erf"}.get(name, name) if not options else "gelu_tanh", smallest, strided)(
        Pair
    )


for _name in ("exp", "tanh", "sigmoid", "relu"):
    _elementwise(_name, keep="y")
for _name in ("softplus", "erf", "gelu"):
    _elementwise(_name, keep="x")
_elementwise("gelu", keep="x", approximate="tanh")
# its definition is a series: twenty passes
_elementwise("exp_remainder", keep="x", smallest=64, strided=True)


# --- products -------------------------------------------------------------------------------------


@twin("matmul", smallest=512)
class _Matmul:
    """Matrices, and stacks of matrices; a stack times one matrix is one product of all rows."""

    @staticmethod
    def forward(A: Array, B: Array) -> tuple[Array, Any]:
        return _product(A, B), True

    @staticmethod
    def backward(
        g: Array, y: Array, saved: Any, A: Array, B: Array, need: Sequence[bool]
    ) -> tuple[Any, Any]:
        # (..., m, k) @ (k, n): the leading axes are rows, so both gradients are matrix products
        if B.ndim == 2 < A.ndim:
            flat = np.ascontiguousarray(g).reshape(-1, g.shape[-1])
            dB = kernels.matmul(A.reshape(-1, A.shape[-1]).T, flat) if need[1] else None
            return (kernels.matmul(flat, B.T).reshape(A.shape) if need[0] else None), dB
        g = np.ascontiguousarray(g)
        return (
            _product(g, B.swapaxes(-1, -2)) if need[0] else None,
            _product(A.swapaxes(-1, -2), g) if need[1] else None,
        )


def _product(A: Array, B: Array) -> Array:
    if A.ndim == B.ndim == 2:
        return kernels.matmul(A, B)
    if B.ndim == 2 and A.flags.c_contiguous:
        return kernels.matmul(A.reshape(-1, A.shape[-1]), B).reshape(*A.shape[:-1], B.shape[-1])
    if A.shape[:-2] == B.shape[:-2]:
        stacked = kernels.batched_matmul(A.reshape(-1, *A.shape[-2:]), B.reshape(-1, *B.shape[-2:]))
        return stacked.reshape(*A.shape[:-2], A.shape[-2], B.shape[-1])
    return A @ B


@twin("linear", smallest=64)
class _Linear:
    @staticmethod
    def forward(x: Array, weight: Array, bias: Array, activation: Any = None) -> tuple[Array, Any]:
        if bias.ndim > 1:
            return REGISTRY["linear"].forward(x, weight, bias, activation=activation), None
        if x.ndim == 2:
            return kernels.fused.linear(x, weight, bias, activation), True
        y = kernels.fused.linear(x.reshape(-1, x.shape[-1]), weight, bias, activation)
        return y.reshape(*x.shape[:-1], -1), True

    @staticmethod
    def backward(
        g: Array,
        y: Array,
        saved: Any,
        x: Array,
        weight: Array,
        bias: Array,
        need: Sequence[bool],
        activation: Any = None,
    ) -> tuple[Any, Any, Any]:
        g = np.ascontiguousarray(g)
        if x.ndim == 2:
            dx, dw, db = kernels.fused.linear_backward(g, y, x, weight, activation, need)
        else:
            g, y, rows = (a.reshape(-1, a.shape[-1]) for a in (g, y, x))
            dx, dw, db = kernels.fused.linear_backward(g, y, rows, weight, activation, need)
            dx = dx.reshape(x.shape) if need[0] else None
        return dx, dw, db if bias.ndim else db.sum()


# --- rows -----------------------------------------------------------------------------------------


def _rows(name: str) -> None:
    definition = REGISTRY[name]

    class Pair:
        @staticmethod
        def forward(x: Array, axis: Any = -1) -> tuple[Array, Any]:
            if axis not in (-1, x.ndim - 1):
                return definition.forward(x, axis=axis), None
            return getattr(kernels, name)(x), True

        @staticmethod
        def backward(
            g: Array, y: Array, saved: Any, x: Array, need: Sequence[bool], axis: Any = -1
        ) -> tuple[Array]:
            return (getattr(kernels, f"{name}_backward")(np.ascontiguousarray(g), y),)

    twin(name, smallest=256)(Pair)


_rows("softmax")
_rows("log_softmax")


@twin("layer_norm", smallest=256)
class _LayerNorm:
    @staticmethod
    def forward(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> tuple[Array, Any]:
        if weight.ndim != 1 or bias.ndim != 1:
            return REGISTRY["layer_norm"].forward(x, weight, bias, eps=eps), None
        y, normed, scale = kernels.layer_norm(x, weight, bias, eps)
        return y, (normed, scale)

    @staticmethod
    def backward(
        g: Array,
        y: Array,
        saved: Any,
        x: Array,
        weight: Array,
        bias: Array,
        need: Sequence[bool],
        eps: float = 1e-5,
    ) -> tuple[Array, Array, Array]:
        return kernels.layer_norm_backward(np.ascontiguousarray(g), *saved, weight)


@twin("unit_rows", smallest=64, strided=True)
class _UnitRows:
    @staticmethod
    def forward(x: Array) -> tuple[Array, Any]:
        return kernels.fused.unit_rows(np.ascontiguousarray(x))

    @staticmethod
    def backward(
        g: Array, y: Array, lengths: Array, x: Array, need: Sequence[bool]
    ) -> tuple[Array]:
        return (kernels.fused.unit_rows_backward(np.ascontiguousarray(g), y, lengths),)


@twin("attention", smallest=2048, strided=True)  # below, compiling takes longer than a lesson
class _Attention:
    @staticmethod
    def forward(q: Array, k: Array, v: Array, mask: Array, heads: int = 1) -> tuple[Array, Any]:
        if not q.shape == k.shape == v.shape or mask.ndim not in (0, 2):
            return REGISTRY["attention"].forward(q, k, v, mask, heads=heads), None
        return kernels.attention(q, k, v, mask if mask.ndim else None, heads)

    @staticmethod
    def backward(
        g: Array,
        y: Array,
        weights: Any,
        q: Array,
        k: Array,
        v: Array,
        mask: Array,
        need: Sequence[bool],
        heads: int = 1,
    ) -> tuple[Any, ...]:
        dmask = REGISTRY["attention"].vjps[3](g, y, q, k, v, mask, heads=heads) if need[3] else None
        return *kernels.attention_backward(g, q, k, v, weights, heads), dmask


# --- rows picked by number: backward adds each row into its place ---------------------------------


@twin("getitem", smallest=256)
class _Pick:
    """Whole numbers in one array pick rows, which may come up again; all else goes by the
    definition.
    """

    @staticmethod
    def forward(x: Array, index: Any) -> tuple[Array, Any]:
        rows = index[0] if type(index) is tuple and len(index) == 1 else index
        if type(rows) is not np.ndarray or rows.dtype.kind != "i":
            return REGISTRY["getitem"].forward(x, index), None
        return x[rows], rows

    @staticmethod
    def backward(
        g: Array, y: Array, rows: Array, x: Array, need: Sequence[bool], index: Any
    ) -> tuple[Array]:
        added = np.ascontiguousarray(g).reshape(rows.size, x.size // max(len(x), 1))
        return (kernels.add_rows(added, rows, x.shape),)


# --- losses and sampling: what backward needs is computed on the way forward ----------------------


def _loss(name: str, kernel: str, gradients: Callable[..., tuple[Any, ...]]) -> None:
    definition = REGISTRY[name]

    class Pair:
        @staticmethod
        def forward(a: Array, b: Array) -> tuple[Any, Any]:
            if a.shape != b.shape:
                return definition.forward(a, b), None
            value, slope = getattr(kernels.fused, kernel)(
                np.ascontiguousarray(a), np.ascontiguousarray(b)
            )
            return value, slope

        @staticmethod
        def backward(
            g: Array, y: Array, slope: Array, a: Array, b: Array, need: Sequence[bool]
        ) -> tuple[Any, ...]:
            return gradients(g, slope, a, need)

    twin(name, smallest=64, strided=True)(Pair)


def _of_squares(g: Array, slope: Array, output: Array, need: Sequence[bool]) -> tuple[Any, Any]:
    d = g * slope
    return d, -d if need[1] else None


def _of_bernoulli(g: Array, slope: Array, logits: Array, need: Sequence[bool]) -> tuple[Any, Any]:
    return g * slope if need[0] else None, -g * logits if need[1] else None


def _of_divergence(g: Array, slope: Array, mu: Array, need: Sequence[bool]) -> tuple[Any, Any]:
    return g * mu, g * slope


_loss("half_squared_error", "half_squares", _of_squares)
_loss("bernoulli_loss", "bernoulli", _of_bernoulli)
_loss("gaussian_kl", "gaussian_kl", _of_divergence)


@twin("l1_norm", smallest=64, strided=True)
class _L1Norm:
    @staticmethod
    def forward(x: Array) -> tuple[Array, Any]:
        return kernels.fused.l1_norm(np.ascontiguousarray(x))

    @staticmethod
    def backward(g: Array, y: Array, slope: Array, x: Array, need: Sequence[bool]) -> tuple[Array]:
        return (g * slope,)


@twin("reparameterise", smallest=64, strided=True)
class _Reparameterise:
    @staticmethod
    def forward(mu: Array, log_var: Array, noise: Array) -> tuple[Array, Any]:
        if not mu.shape == log_var.shape == noise.shape:
            return REGISTRY["reparameterise"].forward(mu, log_var, noise), None
        return kernels.fused.reparameterise(
            *(np.ascontiguousarray(a) for a in (mu, log_var, noise))
        )

    @staticmethod
    def backward(
        g: Array,
        y: Array,
        slope: Array,
        mu: Array,
        log_var: Array,
        noise: Array,
        need: Sequence[bool],
    ) -> tuple[Any, Any, Any]:
        return g, g * slope, (g * np.exp(0.5 * log_var) if need[2] else None)
