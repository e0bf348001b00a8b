"""What the NumPy definitions of kernels share.

A definition says in a line or two what a kernel computes, and runs under ``use("numpy")``.  ``out``
is accepted everywhere and written to, so that both backends are called alike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

erf_of_float = np.vectorize(math.erf, otypes=[np.float64])
erfc_of_float = np.vectorize(math.erfc, otypes=[np.float64])


def into(out: Any, y: Any, dtype: Any) -> np.ndarray:
    """``y`` in ``dtype``, written to ``out`` if there is one."""
    if out is None:
        return np.asarray(y, dtype)
    out[...] = y
    return out


# For functions with a matrix product.  A BLAS may compute on what lies beside its operands: never
# seen in the result, but it raises floating-point flags at random (OpenBLAS 0.3.31 for float32 rows
# of five; Accelerate for
# many shapes).
quiet = np.errstate(all="ignore")


@quiet
def matmul(a, b, out=None):  # type: ignore[no-untyped-def]
    return np.matmul(a, b, out=out)


def above_tangent(x):  # type: ignore[no-untyped-def]
    """e^x - 1 - x, by its series for |x| < 1, where the difference would cancel; x may be complex,
    near the real axis.
    """
    small = np.where(np.abs(x.real) < 1, x, 0)
    series = np.ones_like(small)
    for n in range(19, 2, -1):  # 1 + x/3 (1 + x/4 (1 + ...))
        series = 1 + small / n * series
    # beside so large an e^x no x is seen, and Inf - Inf is NaN
    direct = np.expm1(x) - np.where(x.real > 50, 0, x)
    return np.where(np.abs(x.real) < 1, 0.5 * small * small * series, direct)


def logistic(x):  # type: ignore[no-untyped-def]
    """1 / (1 + e^-x) without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def gelu(x, approximate=None, out=None):  # type: ignore[no-untyped-def]
    gate = _gate(x) if approximate else _normal_cdf(x)
    return into(out, x * gate, x.dtype)


def gelu_backward(g, x, approximate=None, out=None):  # type: ignore[no-untyped-def]
    if approximate:
        s = _gate(x)
        slope = s * (1 + 2 * x * (1 - s) * math.sqrt(2 / math.pi) * (1 + 0.134145 * x * x))
    else:
        density = np.exp(-(0.5 * x * x)) / math.sqrt(2 * math.pi)
        slope = _normal_cdf(x) + x * density
    return into(out, g * slope, g.dtype)


def _gate(x):  # type: ignore[no-untyped-def]
    # (1 + tanh u) / 2, u half of that
    return logistic(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))


def _normal_cdf(x):  # type: ignore[no-untyped-def]
    return 0.5 * erfc_of_float(-math.sqrt(0.5) * x.astype(np.float64))
