"""The judge of exercise 17: first steps by a gradient in NumPy, and the certificate at the end."""

import numpy as np

import minigrad_ae as mg

FUNCTION = "fit"
NEEDS = ("16_tensor_engine",)
HINTS = (
    "Make new Tensors of both matrices in every step: then no gradient is left from the step "
    "before.",
    "Your engine has no minus.  y - x is y + x * -1.",
    "The square is a product with itself, and E has a factor 1/2, which the step size feels.",
)


def data(rng):
    """Four features whose variances are far apart, and centred."""
    X = rng.standard_normal((12, 4))
    U = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[0]
    V = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    return U * [3.0, 2.0, 0.7, 0.3] @ V


def cases(rng):
    X = data(rng)
    W1, W2 = 0.3 * rng.standard_normal((4, 2)), 0.3 * rng.standard_normal((2, 4))
    for steps in (1, 3, 600):
        yield X, W1, W2, 0.02, steps


def observe(fit, X, W1, W2, eta, steps):
    """A few steps as numbers; after many of them the certificate's answer."""
    one, two = (np.asarray(W, dtype=float) for W in fit(X, W1, W2, eta, steps))
    if (one.shape, two.shape) != ((4, 2), (2, 4)):
        return {"the shapes are those of W1 and W2": False}
    if steps < 100:
        return {"W1": one, "W2": two}
    if not np.isfinite([*one.flat, *two.flat]).all():
        return {"descent does not run away": False}
    return {"the certificate says PCA": certified(X, one, two)}


def certified(X, W1, W2):
    model = mg.models.LinearAutoencoder(4, 2, bias=False, rng=np.random.default_rng(0))
    model.encoder.weight.data, model.decoder.weight.data = W1, W2
    return mg.certify_pca(model, X).passed


def _fit(X, W1, W2, eta, steps, one=1.0, two=1.0, memory=0.0, in_turn=False):
    """Descent with a factor for each gradient, and a share of the old ones."""
    W1, W2, old = W1.copy(), W2.copy(), (0.0, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            dW1 = X.T @ (X @ W1 @ W2 - X) @ W2.T + memory * old[0]
            W1 = W1 - one * eta * dW1
            code = X @ (W1 if in_turn else W1 + one * eta * dW1)
            dW2 = code.T @ (code @ W2 - X) + memory * old[1]
            W2, old = W2 - two * eta * dW2, (dW1, dW2)
    return W1, W2


def right(X, W1, W2, eta, steps):
    return _fit(X, W1, W2, eta, steps)


def without_half(X, W1, W2, eta, steps):
    """Your steps are too long by one factor for both matrices: is E half of the sum of squares?"""
    return _fit(X, W1, W2, eta, steps, 2, 2)


def mean_over_data(X, W1, W2, eta, steps):
    """Your steps are too short by the number of rows: E is a sum over data."""
    return _fit(X, W1, W2, eta, steps, 1 / len(X), 1 / len(X))


def mean_over_all(X, W1, W2, eta, steps):
    """Your steps are too short by the number of entries of X: E is a sum over data and features."""
    return _fit(X, W1, W2, eta, steps, 1 / X.size, 1 / X.size)


def decoder_stays(X, W1, W2, eta, steps):
    """The decoder stays as it was: its gradient is used nowhere."""
    return _fit(X, W1, W2, eta, steps, two=0)


def encoder_stays(X, W1, W2, eta, steps):
    """The encoder stays as it was: its gradient is used nowhere."""
    return _fit(X, W1, W2, eta, steps, one=0)


def stale(X, W1, W2, eta, steps):
    """The first step is right. The next ones go along a sum of gradients: does your engine still
    have those of the step before?"""
    return _fit(X, W1, W2, eta, steps, memory=1.0)


def in_turn(X, W1, W2, eta, steps):
    """You move W1 first, and compute the gradient of W2 with the new one: both are to move at
    once."""
    return _fit(X, W1, W2, eta, steps, in_turn=True)


def uphill(X, W1, W2, eta, steps):
    """E rises: the gradient shows where E grows fastest."""
    return _fit(X, W1, W2, eta, min(steps, 10), -1, -1)


MISTAKES = (
    without_half,
    mean_over_data,
    mean_over_all,
    decoder_stays,
    encoder_stays,
    stale,
    in_turn,
    uphill,
)
