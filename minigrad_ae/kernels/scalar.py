"""exp, expm1, log1p, tanh, sigmoid, erf of one number, written so that LLVM vectorises a loop over
them.

The C library's functions are calls, and a loop with a call in it stays scalar (2.7 to 16 ns an
element against 0.4). Each function here is a range reduction, a polynomial, and no branch that a
vector lane could not take:

    exp x      = 2^n e^r,  n = round(x / ln 2),  |r| <= ln 2 / 2,  e^r - 1 = r + r^2 p(r)
    tanh x     = m / (m + 2),  m = e^(2 |x|) - 1 built without cancellation, so accurate near 0
    log1p u    = 2 s (1 + s^2 p(s^2)),  s = u / (2 + u),  for u in [0, 1]
    erfc z     = e^(-z^2) p((z - k) / (z + k)) / (1 + 2 z),  z >= 0   (Shepherd and Laframboise
               1981)
    erf x      = x p(x^2)  for |x| < 1, else 1 - erfc

Coefficients, highest power first: interpolation in Chebyshev nodes with 60 digits.
tests/test_kernel_errors.py measures the errors in ulp.  NaN stays NaN, +-Inf give the limits,
subnormal arguments and results are kept (no flush to zero).
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from minigrad_ae.kernels.jit import ELEMENTWISE, jit, known_when_compiling, overload

_HALF_ROOT, _INVERSE_LN2 = np.sqrt(0.5), 1 / np.log(2.0)
# name of a constant: its value for float32, and for float64
_CONSTANTS: dict[str, tuple[Any, Any]] = {
    "zero": (0.0, 0.0),
    "half": (0.5, 0.5),
    "one": (1.0, 1.0),
    "two": (2.0, 2.0),
    "inverse_sqrt2": (_HALF_ROOT, _HALF_ROOT),
    "saturated": (20.0, 40.0),  # tanh is 1 to the last bit from half of this on
    "erfc_centre": (3.75, 3.75),
    "erfc_end": (11.0, 28.0),  # erfc and e^(-x^2) are 0 from here on
    "bell_end": (15.0, 39.0),  # e^(-x^2 / 2) is 0 from here on
    # 2^8, 2^20: multiples of 1 / grid up to bell_end have squares without rounding
    "grid": (256.0, 1048576.0),
    "lowest": (-105.0, -746.0),  # exp is 0 below ...
    "highest": (89.0, 710.0),  # ... and Inf above
    "far": (40.0, 70.0),  # beside 2^far, 1 and x are less than half an ulp
    "inverse_ln2": (_INVERSE_LN2, _INVERSE_LN2),
    # ln 2 = high + low; n * high is exact
    "ln2_high": (0.693359375, 0.693145751953125),
    "ln2_low": (-0.00021219444005469057, 1.4286068203094287e-06),
    "exp": (
        (
            0.00139269268,
            0.00836377405,
            0.0416665487,
            0.166665733,
            0.5,
        ),
        (
            2.0915442297780116e-09,
            2.5106274733573296e-08,
            2.75572718102198e-07,
            2.755725283351691e-06,
            2.4801587327007187e-05,
            0.00019841269876864356,
            0.0013888888888883327,
            0.008333333333325544,
            0.04166666666666667,
            0.1666666666666667,
            0.5,
        ),
    ),
    "log1p": (
        (
            0.116151281,
            0.108527139,
            0.142962128,
            0.199998528,
            0.333333343,
        ),
        (
            0.07820074944803705,
            0.03743548293126407,
            0.05423153071310009,
            0.05867070005446695,
            0.06667594476950635,
            0.07692271746289105,
            0.09090909955527261,
            0.11111111099014737,
            0.14285714285800877,
            0.1999999999999976,
            0.3333333333333333,
        ),
    ),
    "erf": (
        (
            7.87587487e-05,
            -0.00080168643,
            0.00518908724,
            -0.0268542115,
            0.112835944,
            -0.37612626,
            1.12837911,
        ),
        (
            5.957176147748911e-11,
            -1.1372848856791674e-09,
            1.4659775274047436e-08,
            -1.6350312701054695e-07,
            1.6461000484121368e-06,
            -1.4925595266831182e-05,
            0.0001205533111164271,
            -0.000854832698083379,
            0.0052239776248180145,
            -0.026866170645076792,
            0.11283791670954879,
            -0.3761263890318375,
            1.1283791670955126,
        ),
    ),
    "erfc": (
        (
            -0.000228747231,
            0.00039670465,
            0.00168866222,
            -0.0098454915,
            0.0283964816,
            -0.0586459823,
            0.0922963694,
            -0.108814582,
            0.0822774172,
            0.00358631019,
            -0.14024061,
            1.23751259,
        ),
        (
            3.2052623379289157e-10,
            -2.618520156503145e-09,
            -3.798189797736207e-09,
            3.195398612057818e-08,
            2.3398534313040898e-08,
            -2.4851108650210706e-07,
            -5.741076073013916e-08,
            1.7419011945194367e-06,
            -9.733875167494142e-07,
            -1.1437980374495534e-05,
            2.2384138525656757e-05,
            5.164649341002877e-05,
            -0.00029015404203352704,
            0.000293714390578856,
            0.001755625843431864,
            -0.00974657968596217,
            0.028362277420377335,
            -0.05869339857631061,
            0.09230432116025894,
            -0.10880393014246645,
            0.08227673849014977,
            0.003585415485479575,
            -0.14024059858554702,
            1.2375126308378275,
        ),
    ),
}
Tables: Any = namedtuple("Tables", _CONSTANTS)  # type: ignore[misc]


def _tables(kind: Any, column: int) -> Any:
    """One column of _CONSTANTS in the dtype ``kind``: numbers, and tuples of coefficients."""
    values = [pair[column] for pair in _CONSTANTS.values()]
    return Tables(*(tuple(map(kind, v)) if isinstance(v, tuple) else kind(v) for v in values))


_SINGLE, _DOUBLE = _tables(np.float32, 0), _tables(np.float64, 1)


@known_when_compiling
def tables(x: Any) -> Any:
    """The constants for the dtype of the number ``x``."""
    return _SINGLE if x.itemsize == 4 else _DOUBLE


def power_of_two(n: Any, like: Any) -> Any:
    """2^n in the dtype of ``like``, for whole n (a float) in the range of normal numbers: the
    exponent bits.
    """
    return np.ldexp(type(like)(1), int(n))


@overload(power_of_two)
def _power_of_two(n, like):  # type: ignore[no-untyped-def]
    if like.bitwidth == 32:
        return lambda n, like: np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(
            np.float32
        )
    return lambda n, like: np.int64((np.int64(np.int32(n)) + 1023) << 52).view(np.float64)


@jit(ELEMENTWISE, always_inline=True)
def horner_from(p: Any, coefficients: Any, x: Any) -> Any:
    """p x^n + the polynomial with these n coefficients; n <= 8, so that the compiler unrolls the
    loop.
    """
    for i in range(len(coefficients)):
        p = p * x + coefficients[i]
    return p


@jit(ELEMENTWISE, always_inline=True)
def horner(coefficients: Any, x: Any) -> Any:
    """The polynomial with these coefficients, highest power first; up to 25 of them."""
    p = horner_from(coefficients[0], coefficients[1:9], x)
    if len(coefficients) > 9:
        p = horner_from(p, coefficients[9:17], x)
    if len(coefficients) > 17:
        p = horner_from(p, coefficients[17:25], x)
    return p


@jit(ELEMENTWISE, always_inline=True)
def limited(x: Any) -> Any:
    """x, at least where exp becomes 0 and at most where it becomes Inf."""
    t = tables(x)
    y = x  # comparisons, not min and max: NaN stays NaN
    if x < t.lowest:
        y = t.lowest
    if x > t.highest:
        y = t.highest
    return y


@jit(ELEMENTWISE, always_inline=True)
def reduced(x: Any, part: Any) -> Any:
    """n = round(x / ln 2), or 1 for NaN, and r = part - n ln 2; part is x, or what x was rounded
    from.
    """
    t = tables(x)
    n = np.floor(x * t.inverse_ln2 + t.half)
    r = (part - n * t.ln2_high) - n * t.ln2_low
    return t.one if n != n else n, r


@jit(ELEMENTWISE, always_inline=True)
def curve(r: Any) -> Any:
    """e^r - 1 - r for a reduced r."""
    return r * r * horner(tables(r).exp, r)


@jit(ELEMENTWISE, always_inline=True)
def scaled(p: Any, n: Any) -> Any:
    """p 2^n, in two steps, so that both factors are normal numbers even where the result is not."""
    half = np.floor(n * tables(n).half)
    return p * power_of_two(half, n) * power_of_two(n - half, n)


@jit(ELEMENTWISE, always_inline=True)
def exp(x: Any) -> Any:
    """e^x, at most 1 ulp off."""
    y = limited(x)
    n, r = reduced(y, y)
    return scaled(tables(x).one + (r + curve(r)), n)


@jit(ELEMENTWISE, always_inline=True)
def expm1_and_remainder(x: Any) -> Any:
    """e^x - 1 and e^x - 1 - x, neither by cancellation: at most 2 and 4 ulp off, and the second is
    never negative.

    With x = n ln 2 + r:   e^x - 1     = 2^n (e^r - 1) + (2^n - 1)
                           e^x - 1 - x = 2^n (e^r - 1 - r) + (2^n - 1) r + (2^n - 1 - n ln 2)
    For n = 0 only e^r - 1 - r = r^2 p(r) is left of the second.  Where 2^n is very large or very
    small, nothing cancels.
    """
    t = tables(x)
    y = limited(x)
    n, r = reduced(y, y)
    scale, above = scaled(t.one, n), curve(r)
    step = scale - t.one
    minus_one = scale * (r + above) + step
    remainder = scale * above + (step * r + ((step - n * t.ln2_high) - n * t.ln2_low))
    # where 2^n alone may be Inf; worked out in any case: a loop with a branch is not vectorised
    whole = scaled(t.one + (r + above), n) - t.one
    beyond = whole - (t.zero if x > t.zero else x)  # beside so large an e^x no x is seen
    far = abs(n) > t.far
    return whole if far else minus_one, beyond if far else remainder


@jit(ELEMENTWISE, always_inline=True)
def tanh(x: Any) -> Any:
    """tanh x = m / (m + 2) with m = e^(2 |x|) - 1 = 2^n (e^r - 1) + (2^n - 1); odd, keeps -0; at
    most 3 ulp off.
    """
    t = tables(x)
    y = t.two * abs(x)
    if y > t.saturated:
        y = t.saturated
    n, r = reduced(y, y)
    scale = power_of_two(n, x)
    m = scale * (r + curve(r)) + (scale - t.one)
    return np.copysign(m / (m + t.two), x)


@jit(ELEMENTWISE, always_inline=True)
def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x), from e^-abs(x) <= 1: nothing overflows, and the left tail keeps its relative
    accuracy.
    """
    t = tables(x)
    e = exp(-abs(x))
    return (t.one if x >= t.zero else e) / (t.one + e)


@jit(ELEMENTWISE, always_inline=True)
def log1p(u: Any) -> Any:
    """log(1 + u) for u in [0, 1]."""
    t = tables(u)
    s = u / (t.two + u)
    w = s * s
    return t.two * (s + s * w * horner(t.log1p, w))


@jit(ELEMENTWISE, always_inline=True)
def softplus(x: Any) -> Any:
    """log(1 + e^x) = max(x, 0) + log1p(e^-abs(x))."""
    zero = tables(x).zero
    return (zero if x < zero else x) + log1p(exp(-abs(x)))


@jit(ELEMENTWISE, always_inline=True)
def bell(x: Any, factor: Any) -> Any:
    """e^(-factor x^2), for factor 1 or 1/2, at most 2 ulp off: the rounding of x^2 alone would cost
    x^2 of them.

    x^2 = h^2 + (x - h) (x + h), h = x cut to so few bits that h^2 is exact.
    """
    t = tables(x)
    end = t.erfc_end if factor == t.one else t.bell_end
    y = abs(x)
    if y > end:
        y = end
    h = np.floor(y * t.grid) / t.grid
    first, rest = -factor * (h * h), -factor * ((y - h) * (y + h))
    n, r = reduced(first + rest, first)
    r += rest
    return scaled(t.one + (r + curve(r)), n)


@jit(ELEMENTWISE, always_inline=True)
def half_erfc(z: Any, bell_of_z: Any) -> Any:
    """erfc(z) / 2 for z >= 0, from e^(-z^2)."""
    t = tables(z)
    y = z
    if z > t.erfc_end:
        y = t.erfc_end
    curve = horner(t.erfc, (y - t.erfc_centre) / (y + t.erfc_centre))
    return t.half * bell_of_z * curve / (t.one + t.two * y)


@jit(ELEMENTWISE, always_inline=True)
def erf(x: Any) -> Any:
    """erf x; odd, keeps -0."""
    t = tables(x)
    z = abs(x)
    y = z if z < t.one else t.one
    inner = y * horner(t.erf, y * y)
    outer = t.one - t.two * half_erfc(z, bell(z, t.one))
    return np.copysign(outer if not z < t.one else inner, x)


@jit(ELEMENTWISE, always_inline=True)
def normal_cdf(x: Any) -> Any:
    """Phi(x) = (1 + erf(x / sqrt 2)) / 2, and e^(-x^2 / 2) on the way; the left tail does not
    cancel.
    """
    t = tables(x)
    density = bell(x, t.half)
    tail = half_erfc(abs(x) * t.inverse_sqrt2, density)
    return (tail if x < t.zero else t.one - tail), density
