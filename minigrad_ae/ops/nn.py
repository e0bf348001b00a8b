"""Fused ops: what networks do all the time, in one step with one rule per input.

They compute nothing that compositions of other ops could not; they exist because a kernel can do them in one pass.
Fusion is explicit: only who calls `linear(..., activation="tanh")` gets it, so a step-by-step view stays true.
"""

from ..op import op

linear = op(
    "linear", "y = f(x W + b), f known by its slope at y: none, tanh, sigmoid or relu",
    forward="activate(x @ weight + bias, activation)", params="activation=None",
    x="slope(g, y, activation) @ swapaxes(weight, -1, -2)",
    weight="swapaxes(rows(x), -1, -2) @ rows(slope(g, y, activation))", bias="slope(g, y, activation)",
    kink="linear_kinks(x, weight, bias, activation)",
    why="with dz = g f'(z), written in y: dL = <dz, dx W + x dW + db>; leading axes of x are rows",
)  # fmt: skip
layer_norm = op(
    "layer_norm", "y = n weight + bias, n = (x - mean) / sqrt(var + eps) over the last axis",
    forward="normalised(x, eps, x.shape[-1]) * weight + bias", params="eps=1e-5",
    x="inverse_deviation(x, eps, x.shape[-1]) * (g * weight - average(g * weight, x.shape[-1]) - "
      "normalised(x, eps, x.shape[-1]) * average(g * weight * normalised(x, eps, x.shape[-1]), x.shape[-1]))",
    weight="g * normalised(x, eps, x.shape[-1])", bias="g",
    why="dn = (dx - mean dx - n mean(n dx)) / sqrt(var + eps), and this map is symmetric",
)  # fmt: skip
attention = op(
    "attention", "y = w v, w = softmax(q k^T / sqrt(d) + mask) over keys; in each head, a stripe of d columns",
    forward="joined(attention_weights(q, k, mask, heads) @ headed(v, heads), heads)", params="heads=1",
    q="joined(scores_gradient(g, q, k, v, mask, heads) @ headed(k, heads), heads) * (q.shape[-1] / heads) ** -0.5",
    k="joined(swapaxes(scores_gradient(g, q, k, v, mask, heads), -1, -2) @ headed(q, heads), heads)"
      " * (q.shape[-1] / heads) ** -0.5",
    v="joined(swapaxes(attention_weights(q, k, mask, heads), -1, -2) @ headed(g, heads), heads)",
    mask="scores_gradient(g, q, k, v, mask, heads)",
    why="dy = dw v + w dv; dw by the rule of softmax, ds = w (dw - sum w dw); s = q k^T / sqrt(d)",
)  # fmt: skip
unit_rows = op(
    "unit_rows", "y = x / |x| over the last axis: each row at length 1",
    forward="x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True))",
    x="(g - y * sum(g * y, axis=-1, keepdims=True)) / sqrt(sum(x * x, axis=-1, keepdims=True))",
    why="dy = (dx - y <y, dx>) / |x|, and this map is symmetric: along x only the length changes, which y does not have",
)  # fmt: skip
half_squared_error = op(
    "half_squared_error", "y = 1/2 sum (output - target)^2, a sum over all elements",
    forward="0.5 * np.sum((output - target) ** 2)", output="g * (output - target)", target="g * (target - output)",
    why="half of the square: the 2 cancels",
)  # fmt: skip
bernoulli_loss = op(
    "bernoulli_loss", "y = -sum ln p(target), a sum over all elements; p = sigmoid(logits)",
    forward="np.sum((relu(logits) - logits * target) + softplus(np.where(real(logits) <= 0, logits, -logits)))",
    logits="g * (sigmoid(logits) - target)",
    target="-g * broadcast_to(logits, joint(logits.shape, target.shape))",
    why="-t ln s(x) - (1 - t) ln(1 - s(x)) = ln(1 + e^x) - t x = (max(x, 0) - t x) + ln(1 + e^-|x|): no logarithm of 0",
)  # fmt: skip
gaussian_kl = op(
    "gaussian_kl", "y = KL(N(mu, e^log_var) || N(0, 1)) = 1/2 sum(e^log_var + mu^2 - 1 - log_var), a sum over all elements",
    forward="0.5 * np.sum(exp_remainder(log_var) + mu * mu)", mu="g * broadcast_to(mu, joint(mu.shape, log_var.shape))",
    log_var="g * (0.5 * expm1(broadcast_to(log_var, joint(mu.shape, log_var.shape))))",
    why="term by term (Bishop & Bishop, equation 19.20 with its sign turned)",
)  # fmt: skip
l1_norm = op(
    "l1_norm", "y = sum |x|, a sum over all elements", forward="np.sum(x * sign(x))", x="g * sign(x)",
    kink="(real(x) == 0,)", why="the slope of each term is the sign of its x; at 0 we take 0",
)  # fmt: skip
reparameterise = op(
    "reparameterise", "z = mu + sigma noise, sigma = e^(log_var / 2)",
    forward="mu + np.exp(0.5 * log_var) * noise", mu="g", log_var="g * (0.5 * exp(0.5 * log_var) * noise)",
    noise="g * exp(0.5 * log_var)", why="d sigma = sigma / 2 d log_var; the noise is given, so z is differentiable in both",
)  # fmt: skip
