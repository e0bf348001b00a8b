"""Losses and sampling: a scalar, or a draw, in one step with one rule per input."""

from ..autodiff.operation import Notes, op
from . import notes

half_squared_error = op(
    "half_squared_error", "y = 1/2 sum (output - target)^2, a sum over all elements",
    forward="0.5 * np.sum((output - target) ** 2)", output="g * (output - target)", target="g * "
        "(target - output)",
    why="half of the square: the 2 cancels",
    notes=Notes(lost=notes.met),
    public=False,
)  # fmt: skip
bernoulli_loss = op(
    "bernoulli_loss", "y = -sum ln p(target), a sum over all elements; p = sigmoid(logits)",
    forward="np.sum((relu(logits) - logits * target) + softplus(np.where(real(logits) <= 0, "
        "logits, -logits)))",
    logits="g * (sigmoid(logits) - target)",
    target="-g * broadcast_to(logits, joint(logits.shape, target.shape))",
    why="-t ln s(x) - (1 - t) ln(1 - s(x)) = ln(1 + e^x) - t x = (max(x, 0) - t x) + ln(1 + "
        "e^-|x|): no logarithm of 0",
    notes=Notes(lost=notes.probability_met),
    public=False,
)  # fmt: skip
gaussian_kl = op(
    "gaussian_kl", "y = KL(N(mu, e^log_var) || N(0, 1)) = 1/2 sum(e^log_var + mu^2 - 1 - log_var), "
        "a sum over all elements",
    forward="0.5 * np.sum(exp_remainder(log_var) + mu * mu)", mu="g * broadcast_to(mu, "
        "joint(mu.shape, log_var.shape))",
    log_var="g * (0.5 * expm1(broadcast_to(log_var, joint(mu.shape, log_var.shape))))",
    why="each element adds (e^log_var + mu^2 - 1 - log_var) / 2, whose slopes are mu and "
        "(e^log_var - 1) / 2 (Bishop & Bishop, equation 19.20 with its sign turned)",
    notes=Notes(not_finite=notes.large_log_var, lost=notes.collapsed, remedy=notes.LOG_VAR),
    public=False,
)  # fmt: skip
l1_norm = op(
    "l1_norm", "y = sum |x|, a sum over all elements", forward="np.sum(x * sign(x))", x="g * sign(x)",
    kink="(real(x) == 0,)", why="the slope of each term is the sign of its x; at 0 we take 0",
    notes=Notes(lost=notes.at_the_kink),
    public=False,
)  # fmt: skip
reparameterise = op(
    "reparameterise", "z = mu + sigma noise, sigma = e^(log_var / 2)",
    forward="mu + np.exp(0.5 * log_var) * noise", mu="g", log_var="g * (0.5 * exp(0.5 * log_var) * "
        "noise)",
    noise="g * exp(0.5 * log_var)", why="d sigma = sigma / 2 d log_var; the noise is given, so z "
        "is differentiable in both",
    notes=Notes(not_finite=notes.large_log_var, lost=notes.no_noise, remedy=notes.LOG_VAR),
    public=False,
)  # fmt: skip
