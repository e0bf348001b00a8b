"""The public functions in PyTorch's words: a stand-in for `minigrad_ae` in random programs.

`instead()` makes tests/random_graphs.py and tests/random_programs.py speak PyTorch.  A `Beside`
holds a torch tensor and takes NumPy's indices, axes and operators.  Nothing here calls the package:
what a function means is written once more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import random_graphs
import random_programs
import torch
import torch.nn.attention

F = torch.nn.functional


def raw(x: Any) -> Any:
    """The torch tensor of an argument; numbers and None stay."""
    if isinstance(x, Beside):
        return x.value
    return torch.tensor(np.array(x, order="C")) if isinstance(x, np.ndarray | np.bool_) else x


def tensor(x: Any) -> torch.Tensor:
    return torch.as_tensor(raw(x), dtype=None if hasattr(x, "dtype") else torch.float64)


class Beside:
    """A torch tensor that is asked as a NumPy array is."""

    __array_ufunc__ = None  # so that NumPy leaves `array * this` to us

    def __init__(self, value: torch.Tensor) -> None:
        self.value = value

    shape = property(lambda self: tuple(self.value.shape))
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.numel())
    dtype = property(lambda self: np.dtype(str(self.value.dtype).removeprefix("torch.")))
    T = property(lambda self: Beside(self.value.permute(tuple(range(self.ndim)[::-1]))))

    def __len__(self) -> int:
        return len(self.value)

    def reshape(self, *shape: Any) -> Beside:
        shape = shape[0] if isinstance(shape[0], tuple) else shape
        return Beside(self.value.reshape(shape))

    def sum(self) -> Beside:
        return Beside(self.value.sum())

    def __getitem__(self, index: Any) -> Beside:
        """NumPy says which elements an index means: it has negative steps, PyTorch has not."""
        which = np.array(np.arange(self.size).reshape(self.shape)[index], order="C")
        return Beside(self.value.reshape(-1)[torch.tensor(which)])


def operator(name: str) -> Callable[..., Beside]:
    def apply(self: Beside, other: Any) -> Beside:
        a, b = (other, self) if name.startswith("__r") else (self, other)
        return Beside(OPERATORS[name.replace("__r", "__")](tensor(a), tensor(b)))

    return apply


OPERATORS = {
    "__add__": torch.add,
    "__sub__": torch.sub,
    "__mul__": torch.mul,
    "__truediv__": torch.div,
    "__pow__": torch.pow,
    "__matmul__": torch.matmul,
}
for _name in OPERATORS:
    setattr(Beside, _name, operator(_name))
    setattr(Beside, _name.replace("__", "__r", 1), operator(_name.replace("__", "__r", 1)))


# --- functions ------------------------------------------------------------------------------------


def over(reduce: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction: axis None is all axes."""
    return lambda x, axis=None: reduce(x, dim=tuple(range(x.ndim)) if axis is None else axis)


def product(x: torch.Tensor, axis: int | None) -> torch.Tensor:
    return torch.prod(x) if axis is None else torch.prod(x, dim=axis)


def along(function: Callable[..., Any]) -> Callable[..., Any]:
    """softmax and log_softmax of all elements are those of the vector."""

    def apply(x: torch.Tensor, axis: int | None = -1) -> torch.Tensor:
        flat = axis is None or x.ndim == 0
        return function(x.reshape(-1), dim=0).reshape(x.shape) if flat else function(x, dim=axis)

    return apply


def linear(x: Any, weight: Any, bias: Any = None, activation: str | None = None) -> Any:
    y = F.linear(x, weight.T, bias)
    return getattr(torch, activation)(y) if activation else y


def attention(q: Any, k: Any, v: Any, mask: Any, heads: int) -> Any:
    """Each head has its part of the columns; PyTorch wants heads before tokens.  Its fused forms
    have no second derivatives.
    """
    parts = [x.reshape(*x.shape[:-1], heads, -1).transpose(-3, -2) for x in (q, k, v)]
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        y = F.scaled_dot_product_attention(*parts, attn_mask=mask)
    return y.transpose(-3, -2).reshape(v.shape)


def added_at(x: torch.Tensor, index: Any, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.zeros(shape, dtype=x.dtype).index_put((index,), x, accumulate=True)


def bernoulli(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    target = target.broadcast_to(logits.shape)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="sum")


def kl(mu: torch.Tensor, log_var: torch.Tensor) -> torch.Tensor:
    """KL(N(mu, exp log_var) || N(0, 1)), the difference exp v - 1 - v to all digits."""
    v = log_var
    series = sum(v**k / math.factorial(k) for k in range(2, 12))
    remainder = torch.where(v.abs() < 0.05, series, torch.expm1(v) - v)
    return 0.5 * (remainder + mu * mu).sum()


def cross_entropy(x: torch.Tensor, labels: torch.Tensor, reduction: str) -> torch.Tensor:
    rows = x.reshape(-1, x.shape[-1])
    y = F.cross_entropy(rows, torch.as_tensor(labels).reshape(-1), reduction=reduction)
    return y if reduction == "sum" else y.reshape(x.shape[:-1])


def all_axes(x: torch.Tensor, axis: int | None) -> list[int]:
    return list(range(x.ndim)) if axis is None else [axis]


def rows_scaled(x: torch.Tensor) -> torch.Tensor:
    """Each row over its length."""
    return F.normalize(x, dim=-1, eps=0.0)


SAME = """exp expm1 log log1p log2 log10 exp2 sqrt sin cos tan arcsin arccos arctan sinh cosh tanh
sigmoid relu abs maximum minimum logaddexp remainder where erf square neg add sub mul
broadcast_to squeeze ravel flatten floor ceil sign dot inner outer trace tril triu diag roll
moveaxis swapaxes""".split()
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(torch, name) for name in SAME},
    "div": torch.div,
    "power": torch.pow,
    "hypot": lambda a, b: torch.hypot(a, tensor(b)),
    "cbrt": lambda x: torch.sign(x) * x.abs() ** (1 / 3),
    "exp_remainder": lambda x: torch.expm1(x) - x,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "gelu": lambda x, approximate: F.gelu(x, approximate=approximate or "none"),
    "gelu_erf": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "silu": F.silu,
    "clip": torch.clip,
    "reshape": torch.reshape,
    "transpose": lambda x: x.permute(tuple(range(x.ndim)[::-1])),
    "expand_dims": torch.unsqueeze,
    "pad": lambda x, width, value: F.pad(x, (width, width) * x.ndim, value=value),
    "concatenate": torch.cat,
    "stack": lambda xs, axis: torch.stack(xs, dim=axis),
    "hstack": torch.hstack,
    "vstack": torch.vstack,
    "split": lambda x, sections: torch.tensor_split(x, sections),
    "take": lambda x, indices: torch.take(x, indices % x.numel()),
    "cumsum": lambda x: torch.cumsum(x.reshape(-1), dim=0),
    "flip": lambda x, axis: torch.flip(x, all_axes(x, axis)),
    "tile": lambda x, n: torch.tile(x, (n,)),
    "repeat": lambda x, n: torch.repeat_interleave(x.reshape(-1), n),
    "sort": lambda x, axis: torch.sort(x, dim=axis, stable=True)[0],
    "sum": over(torch.sum),
    "mean": over(torch.mean),
    "var": over(lambda x, dim: torch.var(x, dim=dim, correction=0)),
    "std": lambda x: torch.std(x, correction=0),
    "max": over(torch.amax),
    "min": over(torch.amin),
    "prod": lambda x, axis: product(x, axis),
    "norm": torch.linalg.norm,
    "logsumexp": over(torch.logsumexp),
    "softmax": along(torch.softmax),
    "log_softmax": along(torch.log_softmax),
    "matmul": torch.matmul,
    "einsum": torch.einsum,
    "tensordot": lambda a, b, axes: torch.tensordot(a, b, [list(axis) for axis in axes]),
    "linear": linear,
    "layer_norm": lambda x, weight=None, bias=None, *, eps: F.layer_norm(
        x, x.shape[-1:], weight, bias, eps
    ),
    "attention": attention,
    "dropout": lambda x, mask, rate: x * mask / (1 - rate),
    "cross_entropy": cross_entropy,
    "index_add": added_at,
    "unit_rows": rows_scaled,
    "half_squared_error": lambda a, b: 0.5 * ((a - b) ** 2).sum(),
    "bernoulli_loss": bernoulli,
    "gaussian_kl": kl,
    "l1_norm": lambda x: x.abs().sum(),
    "reparameterise": lambda mu, log_var, noise: mu + torch.exp(log_var / 2) * noise,
}


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function on `Beside`s, with one for each tensor that it returns."""

    def opened(x: Any) -> Any:
        return [raw(each) for each in x] if isinstance(x, list) else raw(x)

    def closed(y: Any) -> Any:
        return Beside(y) if isinstance(y, torch.Tensor) else [Beside(each) for each in y]

    def call(*args: Any, **params: Any) -> Any:
        return closed(function(*map(opened, args), **{k: opened(v) for k, v in params.items()}))

    return call


CALLED = {name: wrapped(function) for name, function in FUNCTIONS.items()}
SPOKEN = SimpleNamespace(
    **CALLED,
    ops=SimpleNamespace(
        **CALLED,
        REGISTRY=CALLED,
        calculus=SimpleNamespace(real=lambda x: x.value.numpy(force=True)),
    ),
)


@contextmanager
def instead() -> Iterator[None]:
    """Random programs are computed by PyTorch."""
    ours = random_graphs.mg
    random_graphs.mg = random_programs.mg = SPOKEN
    try:
        yield
    finally:
        random_graphs.mg = random_programs.mg = ours


def leaves_at(arrays: list[np.ndarray]) -> list[Beside]:
    return [Beside(tensor(np.asarray(x)).requires_grad_()) for x in arrays]


def second_derivatives(
    program: random_programs.Program, directions: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """([value, *gradients], Hessian-vector products), computed by PyTorch."""
    with instead():
        leaves = leaves_at(program.arrays())
        xs = [leaf.value for leaf in leaves]
        loss = program.loss(leaves).value
    first = torch.autograd.grad(loss, xs, create_graph=True)
    inner = sum((g * torch.tensor(v)).sum() for g, v in zip(first, directions, strict=True))
    second = [None] * len(xs)
    if inner.requires_grad:
        second = torch.autograd.grad(inner, xs, allow_unused=True)
    hvps = [
        np.zeros(tuple(x.shape)) if h is None else h.numpy(force=True)
        for x, h in zip(xs, second, strict=True)
    ]
    return [loss.numpy(force=True), *(g.numpy(force=True) for g in first)], hvps
