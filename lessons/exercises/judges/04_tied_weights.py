"""The judge of exercise 4: complex steps of E, one entry of W after the other."""

import numpy as np

FUNCTION = "gradient"
HINTS = (
    "Pretend that encoder and decoder were two matrices, and find both gradients.  How do you get "
    "that of W from them?",
    "The way to the encoder: delta goes back through the decoder, then through tanh, and meets X.",
    "Shapes: delta (N, D), W (D, M), h (N, M), X (N, D); the result is (D, M), and N is summed.",
)


def cases(rng):
    for N, D, M in ((5, 3, 3), (4, 4, 2), (1, 3, 2)):
        yield rng.standard_normal((N, D)), 0.7 * rng.standard_normal((D, M))


def right(X, W):
    result, step = np.empty(W.shape), 1e-30
    for entry in np.ndindex(W.shape):
        moved = W.astype(complex)
        moved[entry] += 1j * step
        y = np.tanh(X @ moved) @ moved.T
        result[entry] = (0.5 * np.sum((y - X) ** 2)).imag / step
    return result


def _parts(X, W, slope=lambda h: 1 - h * h):
    h = np.tanh(X @ W)
    delta = h @ W.T - X
    return delta.T @ h, X.T @ (delta @ W * slope(h))


def decoder_only(X, W):
    """This is the gradient of the decoder alone. W also acts on E through h: one of its two uses
    is missing."""
    return _parts(X, W)[0]


def encoder_only(X, W):
    """This is the gradient of the encoder alone.  W is the decoder, too: one of its two uses is
    missing."""
    return _parts(X, W)[1]


def without_slope(X, W):
    """Both uses are there.  On the way back to the encoder the gradient passes tanh, whose slope is
    missing."""
    return sum(_parts(X, W, lambda h: 1))


def slope_not_squared(X, W):
    """Both uses are there, but the slope of tanh is wrong: h enters it without its square."""
    return sum(_parts(X, W, lambda h: 1 - h))


def averaged(X, W):
    """You divide by the number of rows: that is the gradient of a mean over data.  E is a sum."""
    return sum(_parts(X, W)) / len(X)


def half(X, W):
    """You average the two uses of W.  Both act on E, and the gradient of what is used twice is the
    sum of both."""
    return sum(_parts(X, W)) / 2


def sign(X, W):
    """Your gradient points the wrong way: the error is y - x, not x - y."""
    return -sum(_parts(X, W))


MISTAKES = (decoder_only, encoder_only, without_slope, slope_not_squared, averaged, half, sign)
