"""Numba twins: which kernel may stand in for which op.

A twin is three functions on arrays, of which the last two fill what they are handed:

    shapes(*inputs, **params)     of the result and of what the backward pass needs beside it; None
                                  where the kernels do not take these inputs: the definition runs
    forward(filled, *inputs, **params)
    backward(gradients, g, y, saved, *inputs, **params)
                                  gradients: one array per input, None where nobody needs it

Eager mode allocates and calls (`Twin.compute`, the engine's `contributions`).  A twin computes what
the op's forward and rules say, for contiguous float32 or float64 arrays, to the rounding that
tests/test_bindings.py states; the definitions remain what the op *is*, and run under
``kernels.use("numpy")``, for complex numbers, for gradients of gradients, and as soon as a rule has
been replaced.  Where a twin runs, the text of a rule is what it must agree with, not what runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import kernels
from ..autodiff.operation import REGISTRY
from ..kernels.backend import backend, state
from ..kernels.calls import call, room
from . import elementwise, functional, losses, reduce  # noqa: F401  (they make the ops that are bound here)

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
Array = np.ndarray
Shapes = tuple[tuple[int, ...], ...] | None
Filled = Sequence[Array]
Gradients = Sequence[Any]


class Twin:
    """The kernels of one op; `smallest` is the number of elements below which NumPy is as fast.

    strided : it copies what is not contiguous, which pays where the arrays are small.
    """

    def __init__(self, op: Any, calls: Any, smallest: int, strided: bool) -> None:
        self.smallest, self.strided = smallest, strided
        self.shapes, self.forward, self.backward = calls.shapes, calls.forward, calls.backward
        self.rules = list(op.vjps)

    def compute(self, arrays: Sequence[Array], params: dict[str, Any]) -> tuple[Any, Any] | None:
        """The result, and what `backward` needs beside it; None where the kernels do not take
        these inputs, and the definition has to run.
        """
        first = arrays[0]
        dtype, strided = first.dtype, self.strided
        if first.size < self.smallest or dtype not in FLOATS:
            return None
        if (state.backend if state.checked else backend()) != "numba":
            return None
        # a loop: all() over a generator takes twice as long, and this is asked at every op
        for x in arrays:
            # an unpickled array has a dtype object of its own
            if x.dtype is not dtype and x.dtype != dtype:
                return None
            if not (strided or x.flags.forc):
                return None
        shapes = self.shapes(*arrays, **params)
        if shapes is None:
            return None
        filled = []
        for shape in shapes:
            filled.append(np.empty(shape, dtype))
        self.forward(filled, *arrays, **params)
        return filled[0], filled[1:]


def twin(name: str, smallest: int = 0, strided: bool = False) -> Callable[[type], type]:
    """Class decorator: the three functions in the class are the twin of the op `name`."""

    def register(calls: Any) -> Any:
        op = REGISTRY[name]
        op.twin = Twin(op, calls, smallest, strided)
        return calls

    return register


def _all_of(gradients: Gradients, inputs: Sequence[Array]) -> list[Array]:
    """A place for every gradient, for kernels that compute them all at once."""
    pairs = zip(gradients, inputs, strict=False)
    return [room(x.shape, x.dtype) if d is None else d for d, x in pairs]


# --- element-wise: y or x is what the backward pass needs -----------------------------------------


def _elementwise(
    name: str, kernel: str, of: str, smallest: int = 512, strided: bool = False
) -> None:
    @twin(name, smallest, strided)
    class _:
        @staticmethod
        def shapes(x: Array) -> Shapes:
            return (x.shape,)

        @staticmethod
        def forward(filled: Filled, x: Array) -> None:
            kernels.activations.fill(kernel, (x,), filled[0])

        @staticmethod
        def backward(gradients: Gradients, g: Array, y: Array, saved: Filled, x: Array) -> None:
            kept = y if of == "y" else x
            kernels.activations.fill(f"{kernel}_backward", (g, kept), gradients[0])


for _name in ("exp", "tanh", "sigmoid", "relu"):
    _elementwise(_name, _name, of="y")
for _name in ("softplus", "erf", "gelu_tanh"):
    _elementwise(_name, _name, of="x")
_elementwise("gelu_erf", "gelu", of="x")
# its definition is a series: twenty passes
_elementwise("exp_remainder", "exp_remainder", of="x", smallest=64, strided=True)


# --- products -------------------------------------------------------------------------------------


@twin("matmul", smallest=512)
class _Matmul:
    """Matrices; stacks of matrices; and a stack times one matrix, a product of all its rows."""

    @staticmethod
    def shapes(A: Array, B: Array) -> Shapes:
        fits = A.shape[-1] == B.shape[-2]
        if fits and (B.ndim == 2 or A.shape[:-2] == B.shape[:-2]):
            return ((*A.shape[:-1], B.shape[-1]),)
        return None

    @staticmethod
    def forward(filled: Filled, A: Array, B: Array) -> None:
        (y,) = filled
        if B.ndim == 2:
            kernels.accumulate(_lines(A), B, _lines(y), fresh=True)
        else:
            kernels.batched_matmul(A, B, out=y)

    @staticmethod
    def backward(
        gradients: Gradients, g: Array, y: Array, saved: Filled, A: Array, B: Array
    ) -> None:
        dA, dB = gradients
        if B.ndim == 2:
            g = _lines(g)
            if dA is not None:
                kernels.accumulate(g, B.T, _lines(dA), fresh=True)
            if dB is not None:
                kernels.accumulate(_lines(A).T, g, dB, fresh=True)
            return
        if dA is not None:
            kernels.batched_matmul(g, B.swapaxes(-1, -2), out=dA)
        if dB is not None:
            kernels.batched_matmul(A.swapaxes(-1, -2), g, out=dB)


def _lines(x: Array) -> Array:
    """(..., columns) as a matrix: all leading axes are rows."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


@twin("linear", smallest=64)
class _Linear:
    @staticmethod
    def shapes(x: Array, weight: Array, bias: Array, activation: Any = None) -> Shapes:
        inputs, outputs = weight.shape
        if x.ndim < 2 or x.shape[-1] != inputs or (bias.ndim and bias.shape != (outputs,)):
            return None
        return ((*x.shape[:-1], outputs),)

    @staticmethod
    def forward(
        filled: Filled, x: Array, weight: Array, bias: Array, activation: Any = None
    ) -> None:
        (y,) = filled
        if x.ndim > 2:
            x, y = _lines(x), _lines(y)
        kernels.fused.linear(x, weight, bias, activation, y)

    @staticmethod
    def backward(
        gradients: Gradients,
        g: Array,
        y: Array,
        saved: Filled,
        x: Array,
        weight: Array,
        bias: Array,
        activation: Any = None,
    ) -> None:
        dx, dweight, dbias = gradients
        if x.ndim > 2:
            g, y, x, dx = _lines(g), _lines(y), _lines(x), None if dx is None else _lines(dx)
        sums = dbias if bias.ndim or dbias is None else room(weight.shape[1:], y.dtype)
        kernels.fused.linear_backward(g, y, x, weight, activation, dx, dweight, sums)
        if sums is not dbias:
            call(np.add.reduce, sums, 0, None, dbias)


# --- rows -----------------------------------------------------------------------------------------


def _rows(name: str) -> None:
    @twin(name, smallest=256)
    class _:
        @staticmethod
        def shapes(x: Array, axis: Any = -1) -> Shapes:
            return (x.shape,) if axis in (-1, x.ndim - 1) else None

        @staticmethod
        def forward(filled: Filled, x: Array, axis: Any = -1) -> None:
            kernels.rows.fill(name, (x,), filled[0])

        @staticmethod
        def backward(
            gradients: Gradients, g: Array, y: Array, saved: Filled, x: Array, axis: Any = -1
        ) -> None:
            kernels.rows.fill(f"{name}_backward", (g, y), gradients[0])


_rows("softmax")
_rows("log_softmax")


@twin("layer_norm", smallest=256)
class _LayerNorm:
    @staticmethod
    def shapes(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> Shapes:
        if weight.shape == bias.shape == x.shape[-1:]:
            return x.shape, x.shape, x.shape[:-1]  # y, rows of mean 0 and variance 1, scales
        return None

    @staticmethod
    def forward(filled: Filled, x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> None:
        kernels.norm.fill(x, weight, bias, eps, *filled)

    @staticmethod
    def backward(
        gradients: Gradients,
        g: Array,
        y: Array,
        saved: Filled,
        x: Array,
        weight: Array,
        bias: Array,
        eps: float = 1e-5,
    ) -> None:
        kernels.norm.fill_backward(g, *saved, weight, *_all_of(gradients, (x, weight, bias)))


@twin("unit_rows", smallest=64, strided=True)
class _UnitRows:
    @staticmethod
    def shapes(x: Array) -> Shapes:
        return x.shape, (x.size // x.shape[-1],)  # y, lengths

    @staticmethod
    def forward(filled: Filled, x: Array) -> None:
        kernels.fused.unit_rows(x, *filled)

    @staticmethod
    def backward(gradients: Gradients, g: Array, y: Array, saved: Filled, x: Array) -> None:
        kernels.fused.unit_rows_backward(g, y, saved[0], gradients[0])


@twin("attention", smallest=2048, strided=True)  # below, compiling takes longer than a lesson
class _Attention:
    @staticmethod
    def shapes(q: Array, k: Array, v: Array, mask: Array, heads: int = 1) -> Shapes:
        tokens = q.shape[-2]
        if q.shape == k.shape == v.shape and mask.shape in ((), (tokens, tokens)):
            return q.shape, kernels.multi_head.weights_shape(q, heads)
        return None

    @staticmethod
    def forward(filled: Filled, q: Array, k: Array, v: Array, mask: Array, heads: int = 1) -> None:
        kernels.multi_head.fill(q, k, v, mask, heads, *filled)

    @staticmethod
    def backward(
        gradients: Gradients,
        g: Array,
        y: Array,
        saved: Filled,
        q: Array,
        k: Array,
        v: Array,
        mask: Array,
        heads: int = 1,
    ) -> None:
        into = _all_of(gradients, (q, k, v))
        kernels.multi_head.fill_backward(g, q, k, v, saved[0], heads, *into)
        if gradients[3] is not None:
            call(_mask_gradient, gradients[3], g, y, q, k, v, mask, heads)


def _mask_gradient(
    gradient: Array, g: Array, y: Array, q: Array, k: Array, v: Array, mask: Array, heads: int
) -> None:
    """By the definition: a mask is seldom trained."""
    pairs = REGISTRY["attention"].vjps[3](g, y, q, k, v, mask, heads=heads)
    pairs.sum(axis=tuple(range(pairs.ndim - mask.ndim)), out=gradient)


# --- rows picked by number: the backward pass adds each row into its place ------------------------


@twin("getitem", smallest=256)
class _Pick:
    """Whole numbers in one array pick rows, which may come up again; all else goes by the
    definition.
    """

    @staticmethod
    def shapes(x: Array, index: Any) -> Shapes:
        rows = _row_numbers(index)
        if rows is None or (rows.size and not -len(x) <= rows.min() <= rows.max() < len(x)):
            return None
        return ((*rows.shape, *x.shape[1:]),)

    @staticmethod
    def forward(filled: Filled, x: Array, index: Any) -> None:
        # "wrap" counts negative numbers from the back; the default would copy
        rows: Any = _row_numbers(index)
        call(np.take, x, rows, 0, filled[0], "wrap")

    @staticmethod
    def backward(
        gradients: Gradients, g: Array, y: Array, saved: Filled, x: Array, index: Any
    ) -> None:
        kernels.row_scatter.fill(g, _row_numbers(index), gradients[0])


def _row_numbers(index: Any) -> Array | None:
    """The one array of whole numbers that picks rows, None where the index is anything else."""
    rows = index[0] if type(index) is tuple and len(index) == 1 else index
    return rows if type(rows) is np.ndarray and rows.dtype.kind == "i" else None


# --- losses and sampling: what the backward pass needs is computed on the way forward -------------


def _minus_product(a: Array, b: Array, out: Array) -> None:
    np.multiply(-a, b, out=out)


def _times_deviation(g: Array, log_var: Array, out: Array) -> None:
    np.multiply(g, np.exp(0.5 * log_var), out=out)


class _Loss:
    """The loss of a pair of arrays of one shape, which keeps its slope."""

    kernel: str

    @staticmethod
    def shapes(a: Array, b: Array) -> Shapes:
        return ((), a.shape) if a.shape == b.shape else None

    @classmethod
    def forward(cls, filled: Filled, a: Array, b: Array) -> None:
        kernels.fused.loss(cls.kernel, a, b, *filled)


@twin("half_squared_error", smallest=64, strided=True)
class _HalfSquaredError(_Loss):
    kernel = "half_squares"

    @staticmethod
    def backward(
        gradients: Gradients, g: Array, y: Array, saved: Filled, output: Array, target: Array
    ) -> None:
        (slope,) = saved
        dy, dt = gradients
        if dy is not None:
            kernels.fused.loss_backward(g, slope, dy)
        if dt is not None:
            call(_minus_product, g, slope, dt)


@twin("bernoulli_loss", smallest=64, strided=True)
class _BernoulliLoss(_Loss):
    kernel = "bernoulli"

    @staticmethod
    def backward(
        gradients: Gradients, g: Array, y: Array, saved: Filled, logits: Array, target: Array
    ) -> None:
        (slope,) = saved
        dlogits, dt = gradients
        if dlogits is not None:
            kernels.fused.loss_backward(g, slope, dlogits)
        if dt is not None:
            call(_minus_product, g, logits, dt)


@twin("gaussian_kl", smallest=64, strided=True)
class _GaussianKL(_Loss):
    kernel = "gaussian_kl"

    @staticmethod
    def backward(
        gradients: Gradients, g: Array, y: Array, saved: Filled, mu: Array, log_var: Array
    ) -> None:
        (slope,) = saved
        dmu, dlog_var = gradients
        if dmu is not None:
            call(np.multiply, g, mu, dmu)
        if dlog_var is not None:
            call(np.multiply, g, slope, dlog_var)


@twin("l1_norm", smallest=64, strided=True)
class _L1Norm:
    @staticmethod
    def shapes(x: Array) -> Shapes:
        return (), x.shape  # y, signs

    @staticmethod
    def forward(filled: Filled, x: Array) -> None:
        kernels.fused.l1_norm(x, *filled)

    @staticmethod
    def backward(gradients: Gradients, g: Array, y: Array, saved: Filled, x: Array) -> None:
        call(np.multiply, g, saved[0], gradients[0])


@twin("reparameterise", smallest=64, strided=True)
class _Reparameterise:
    @staticmethod
    def shapes(mu: Array, log_var: Array, noise: Array) -> Shapes:
        if mu.shape == log_var.shape == noise.shape:
            return mu.shape, mu.shape  # z, dz/dlog_var
        return None

    @staticmethod
    def forward(filled: Filled, mu: Array, log_var: Array, noise: Array) -> None:
        kernels.fused.reparameterise(mu, log_var, noise, *filled)

    @staticmethod
    def backward(
        gradients: Gradients,
        g: Array,
        y: Array,
        saved: Filled,
        mu: Array,
        log_var: Array,
        noise: Array,
    ) -> None:
        dmu, dlog_var, dnoise = gradients
        if dmu is not None:
            call(np.copyto, dmu, g)
        if dlog_var is not None:
            call(np.multiply, g, saved[0], dlog_var)
        if dnoise is not None:
            call(_times_deviation, g, log_var, dnoise)
