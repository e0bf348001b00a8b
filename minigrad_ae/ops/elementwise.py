"""Element-wise ops: a table of calculus.

Each block reads: y = f(x), how to compute it, and its rule: g stands for dL/dy, and the expression
is dL/dx. Everything runs on float32, float64 and complex128 and branches on the real part, so that
a complex step can check it.
"""

import numpy as np

from ..autodiff.operation import Notes, op
from ..kernels import reference
from . import notes
from .calculus import real, size

add = op(
    "add",
    "y = a + b",
    forward="a + b",
    a="g",
    b="g",
    why="a sum passes its gradient to both terms",
    notes=Notes(symbol="+", overflows=True),
    public=False,
)
sub = op(
    "sub",
    "y = a - b",
    forward="a - b",
    a="g",
    b="-g",
    why="dy = da - db",
    notes=Notes(symbol="−", overflows=True),
    public=False,
)
mul = op(
    "mul",
    "y = a b",
    forward="a * b",
    a="g * b",
    b="g * a",
    why="dy = da b + a db",
    notes=Notes(
        symbol="×",
        overflows=True,
        lost=notes.zero_factor,
        withholds=notes.factor_of_zero,
    ),
    public=False,
)
div = op(
    "div",
    "y = a / b",
    forward="a / b",
    a="g / b",
    b="-g * y / b",
    why="d(1/b) = -db / b^2, and y = a / b",
    notes=Notes(
        symbol="÷",
        not_finite=notes.quotient,
        steep=notes.divides,
        lost=notes.divided,
        enlarges=notes.small_denominator,
        remedy="keep the denominator away from 0: add a small number, or choose it by mg.where before "
        "dividing",
    ),
    public=False,
)
neg = op(
    "neg",
    "y = -x",
    forward="-x",
    x="-g",
    why="dy = -dx",
    notes=Notes(symbol="−"),
    public=False,
)
power = op(
    "power", "y = x^p", forward="np.power(x, p)",
    x="g * p * power(x, where((real(p) == 0) & (real(x) == 0), 1, p - 1))",
    p="where((real(x) == 0) & (real(y) > 1), -g * y, g * y * log(where(real(x) == 0, 1, x)))",
    kink="((real(x) == 0) & (real(p) < 1) & (real(p) != 0),) * 2",
    why="x^p = exp(p log x); x^0 is 1 also at x = 0; 0^p does not change with p > 0, and is infinite, "
        "with slope -inf, for p < 0",
    notes=Notes(
        symbol="^", overflows=True, not_finite=notes.raised, steep=notes.steep_power,
        lost=notes.flat_power, enlarges=notes.unbounded,
        remedy="keep the base above 0 where the exponent is not a whole number, or is negative",
    ),
    public=False,
)  # fmt: skip

exp = op(
    "exp",
    "y = e^x",
    forward="np.exp(x)",
    x="g * y",
    why="exp' = exp",
    notes=Notes(
        overflows=True,
        lost=notes.underflow,
        enlarges=notes.unbounded,
        remedy="clip the argument, or use what cannot overflow: mg.logsumexp, mg.softplus, mg.sigmoid",
    ),
)
expm1 = op(
    "expm1",
    "y = e^x - 1",
    forward="np.expm1(x)",
    x="g * (y + 1)",
    why="e^x = y + 1",
    notes=Notes(overflows=True, enlarges=notes.unbounded),
)
exp_remainder = op(
    "exp_remainder", "y = e^x - 1 - x", forward=reference.above_tangent, x="g * expm1(x)",
    why="y' = e^x - 1; y is what e^x has above its tangent at 0, and never negative",
    public=False,
)  # fmt: skip
log = op(
    "log",
    "y = ln x",
    forward="np.log(x)",
    x="g / x",
    why="ln' = 1 / x",
    notes=Notes(
        edges=(0,),
        not_finite=notes.logarithm,
        remedy="keep the argument above 0 (mg.maximum(x, 1e-12)), or take the loss of logits: "
        "mg.log_softmax, mg.softplus",
    ),
)
log1p = op(
    "log1p",
    "y = ln(1 + x)",
    forward="np.log1p(x)",
    x="g / (1 + x)",
    why="ln' = 1 / x",
    notes=Notes(
        edges=(-1,),
        not_finite=notes.logarithm,
        remedy="keep the argument above -1",
    ),
)
log2 = op(
    "log2",
    "y = log2 x",
    forward="np.log2(x)",
    x="g / (x * ln_2)",
    why="log2 x = ln x / ln 2",
    notes=Notes(
        edges=(0,),
        not_finite=notes.logarithm,
        remedy="keep the argument above 0 (mg.maximum(x, 1e-12))",
    ),
)
log10 = op(
    "log10",
    "y = log10 x",
    forward="np.log10(x)",
    x="g / (x * ln_10)",
    why="log10 x = ln x / ln 10",
    notes=Notes(
        edges=(0,),
        not_finite=notes.logarithm,
        remedy="keep the argument above 0 (mg.maximum(x, 1e-12))",
    ),
)
exp2 = op(
    "exp2",
    "y = 2^x",
    forward="np.exp2(x)",
    x="g * y * ln_2",
    why="2^x = e^(x ln 2)",
    notes=Notes(overflows=True, lost=notes.underflow, enlarges=notes.unbounded),
)
sqrt = op("sqrt", "y = x^(1/2)", forward="np.sqrt(x)", x="g / (2 * y)", kink="(real(x) == 0,)",
          why="y^2 = x, so 2 y dy = dx",
    notes=Notes(
        edges=(0,), not_finite=notes.root,
        remedy="add a small number under the root: mg.sqrt(x + 1e-12)",
    ),
)  # fmt: skip


def _cbrt(x):  # of complex x near the real axis, on which np.cbrt is
    s = np.where(real(x) < 0, -1, 1)
    return s * np.power(s * x, 1 / 3) if np.iscomplexobj(x) else np.cbrt(x)


cbrt = op(
    "cbrt",
    "y = x^(1/3), also of negative x",
    forward=_cbrt,
    x="g / (3 * y * y)",
    kink="(real(x) == 0,)",
    why="y^3 = x, so 3 y^2 dy = dx",
    notes=Notes(edges=(0,), remedy="keep the argument away from 0: mg.cbrt(x + 1e-12)"),
)
sin = op(
    "sin",
    "y = sin x",
    forward="np.sin(x)",
    x="g * cos(x)",
    why="sin' = cos",
    notes=Notes(lost=notes.turning_point),
)
cos = op(
    "cos",
    "y = cos x",
    forward="np.cos(x)",
    x="-g * sin(x)",
    why="cos' = -sin",
    notes=Notes(lost=notes.turning_point),
)
tan = op("tan", "y = tan x", forward="np.tan(x)", x="g * (1 + y * y)", why="tan' = 1 + tan^2")
arcsin = op(
    "arcsin",
    "y = arcsin x",
    forward="np.arcsin(x)",
    x="g / sqrt(1 - x * x)",
    why="cos y dy = dx",
    notes=Notes(
        edges=(-1, 1),
        not_finite=notes.undefined,
        remedy="keep the argument inside (-1, 1): mg.clip(x, -0.999999, 0.999999)",
    ),
)
arccos = op(
    "arccos",
    "y = arccos x",
    forward="np.arccos(x)",
    x="-g / sqrt(1 - x * x)",
    why="-sin y dy = dx",
    notes=Notes(
        edges=(-1, 1),
        not_finite=notes.undefined,
        remedy="keep the argument inside (-1, 1): mg.clip(x, -0.999999, 0.999999)",
    ),
)
arctan = op(
    "arctan",
    "y = arctan x",
    forward="np.arctan(x)",
    x="g / (1 + x * x)",
    why="(1 + tan^2 y) dy = dx",
)
sinh = op(
    "sinh",
    "y = sinh x",
    forward="np.sinh(x)",
    x="g * cosh(x)",
    why="sinh' = cosh",
    notes=Notes(overflows=True, enlarges=notes.unbounded),
)
cosh = op(
    "cosh",
    "y = cosh x",
    forward="np.cosh(x)",
    x="g * sinh(x)",
    why="cosh' = sinh",
    notes=Notes(overflows=True, enlarges=notes.unbounded),
)
tanh = op(
    "tanh",
    "y = tanh x",
    forward="np.tanh(x)",
    x="g * (1 - y * y)",
    why="tanh' = 1 / cosh^2 = 1 - tanh^2",
    notes=Notes(lost=notes.saturated),
)


def _sigmoid(x):  # only e^-|x| is ever computed, so nothing overflows
    e = np.exp(np.where(real(x) < 0, x, -x))
    return np.where(real(x) < 0, e, 1) / (1 + e)


sigmoid = op(
    "sigmoid",
    "y = 1 / (1 + e^-x)",
    forward=_sigmoid,
    x="g * y * (1 - y)",
    why="y' = e^-x / (1 + e^-x)^2 = y (1 - y)",
    notes=Notes(lost=notes.saturated),
)
softplus = op(
    "softplus", "y = ln(1 + e^x)", forward="np.where(real(x) <= 0, 0, x) + "
        "np.log1p(np.exp(np.where(real(x) <= 0, x, -x)))",
    x="g * sigmoid(x)", why="y' = e^x / (1 + e^x), the sigmoid",
    notes=Notes(lost=notes.saturated),
)  # fmt: skip
relu = op(
    "relu", "y = max(x, 0)", forward="np.where(real(x) <= 0, 0, x)", x="where(real(x) > 0, g, 0)",
    kink="(real(x) == 0,)", why="slope 1 on the right, 0 on the left; at 0 we take 0; of NaN y is NaN and the slope 0",
    notes=Notes(lost=notes.dead_or_off),
)  # fmt: skip
abs = op(
    "abs", "y = |x|", forward="x * sign(x) + 0", x="g * sign(x)", kink="(real(x) == 0,)",
    why="slope = sign of x; at 0 we take 0; the + 0 makes |-0| = 0",
    notes=Notes(lost=notes.at_the_kink),
)  # fmt: skip


def _maximum(a, b):
    # by real part, the mean at a tie: np.maximum would look at imaginary parts
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        return np.where(real(a) == real(b), 0.5 * a + 0.5 * b, np.where(real(a) > real(b), a, b))
    return np.maximum(a, b)


maximum = op(
    "maximum", "y = max(a, b)", forward=_maximum,
    a="g * beats(a, b)", b="g * beats(b, a)", kink="(real(a) == real(b),) * 2",
    why="the larger one receives everything; at a tie each receives half; beside a NaN y is NaN and "
        "neither receives anything",
    notes=Notes(lost=notes.limited, withholds=notes.did_not_choose),
)  # fmt: skip


def _logaddexp(a, b):
    larger, smaller = np.where(real(a) >= real(b), a, b), np.where(real(a) >= real(b), b, a)
    one = np.isinf(real(a)) & (real(a) == real(b))  # inf - inf is not a number
    apart = np.where(one, 0, smaller) - np.where(one, 0, larger)
    return larger + np.log1p(np.exp(apart))


logaddexp = op(
    "logaddexp", "y = ln(e^a + e^b)", forward=_logaddexp, a="g * weight_in_sum(a, y)", b="g * "
        "weight_in_sum(b, y)",
    why="e^a / (e^a + e^b) = e^(a - y); where a = y, also an infinity, the slope is 1",
)  # fmt: skip


def _remainder(a, b):
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        return a - b * np.floor(real(a) / real(b))
    return np.remainder(a, b)


remainder = op(
    "remainder", "y = a - b floor(a / b), with the sign of b", forward=_remainder, a="g", b="-g * "
        "whole_quotient(a, b)",
    kink="(whole(real(a) / real(b)),) * 2", why="floor(a / b) does not change, but in jumps",
)  # fmt: skip
where = op(
    "where", "y = a where condition, else b", forward="np.where(condition, a, b)",
    condition=None, a="where(condition, g, 0)", b="where(condition, 0, g)",
    why="the gradient goes to the chosen one; it is selected and never multiplied, so a NaN in g "
        "cannot cross over",
    notes=Notes(lost=notes.not_chosen, withholds=notes.unchosen),
)  # fmt: skip


def _hypot(a, b):  # np.hypot cannot follow a complex step
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        return np.sqrt(a * a + b * b)
    return np.hypot(a, b)


hypot = op(
    "hypot",
    "y = sqrt(a^2 + b^2)",
    forward=_hypot,
    a="g * a / y",
    b="g * b / y",
    kink="((real(a) == 0) & (real(b) == 0),) * 2",
    why="y^2 = a^2 + b^2, so y dy = a da + b db",
)


def _erf(x):
    """Series for |x| < 3, else a continued fraction (Abramowitz & Stegun 7.1.6 and 7.1.14); x near
    the real axis.
    """
    x = np.asarray(x)
    z = x.astype(np.result_type(x.dtype, np.float64))
    small = np.where(size(z) < 3, z, 0)
    term = total = small
    # e^{-x^2} sum_n 2^n x^(2n+1) / (1 3 5 ... (2n+1)): all terms have one sign
    for n in range(1, 50):
        term = term * (2 * small * small) / (2 * n + 1)
        total = total + term
    series = total * (2 / np.sqrt(np.pi)) * np.exp(-small * small)
    s = np.where(real(z) < 0, -1.0, 1.0)
    large = np.where(size(z) < 3, 3, np.where(size(z) > 27, 27, z * s))
    fraction = large
    # sqrt(pi) e^{x^2} erfc(x) = 1 / (x + (1/2) / (x + 1 / (x + (3/2) / (x + ...))))
    for n in range(30, 0, -1):
        fraction = large + (n / 2) / fraction
    tail = s * (1 - np.exp(-large * large) / (np.sqrt(np.pi) * fraction))
    y = np.where(size(z) < 3, series, tail)
    return np.where(np.isnan(real(z)), z, y).astype(x.dtype)


erf = op(
    "erf", "y = 2/sqrt(pi) int_0^x e^(-t^2) dt", forward=_erf, x="g * two_over_sqrt_pi * exp(-(x * "
        "x))",
    why="the slope of an integral is the integrand at its upper end",
    notes=Notes(lost=notes.saturated),
)  # fmt: skip
gelu_erf = op(
    "gelu_erf", "y = x Phi(x), Phi the normal distribution function",
    forward="x * (0.5 * (1 + erf(x * sqrt_half)))",
    x="g * (0.5 * (1 + erf(x * sqrt_half)) + x * exp(-(0.5 * x * x)) * inv_sqrt_2pi)", why="Phi' "
        "is the normal density",
    notes=Notes(lost=notes.saturated),
    public=False,
)  # fmt: skip
gelu_tanh = op(
    "gelu_tanh", "y = x (1 + tanh u) / 2, u = sqrt(2/pi) (x + 0.044715 x^3)",
    forward="x * gelu_gate(x)",
    x="g * gelu_gate(x) * (1 + 2 * x * (1 - gelu_gate(x)) * sqrt_2_over_pi * (1 + 0.134145 * x * "
        "x))",
    why="with the gate s = (1 + tanh u) / 2: y = x s and ds = 2 s (1 - s) du",
    notes=Notes(lost=notes.saturated),
    public=False,
)  # fmt: skip


def _cast(x, dtype):
    return x.astype(np.result_type(dtype, x.dtype) if np.iscomplexobj(x) else dtype)


cast = op(
    "cast",
    "y = x in another dtype",
    forward=_cast,
    x="cast(g, dtype=x.dtype)",
    why="rounding apart, y is x",
    notes=Notes(overflows=True),
    public=False,
)
