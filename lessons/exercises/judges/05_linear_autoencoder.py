"""The judge of exercise 5: the engine differentiates the slide's network."""

import minigrad_ae as mg

FUNCTION = "gradients"
HINTS = (
    "One row at a time: dE/dy = y - x = delta.  y = W2 z, so an entry of W2 in row i and column k "
    "receives delta_i z_k.  Which product has that entry, summed over data?",
    "z receives W2^T delta.  And z = W1 x, so the same thought again gives dE/dW1.",
    "Shapes: delta (N, D), Z (N, M), delta W2 is (N, M), X is (N, D).",
)


def cases(rng):
    for N, D, M in ((5, 3, 3), (4, 4, 2), (1, 3, 2)):
        shapes = (N, D), (M, D), (D, M)
        yield tuple(rng.standard_normal(shape) for shape in shapes)


def right(X, W1, W2):
    W1, W2 = mg.tensor(W1, requires_grad=True), mg.tensor(W2, requires_grad=True)
    E = 0.5 * ((X @ W1.T @ W2.T - X) ** 2).sum()
    return mg.grad(E, (W1, W2))


def _parts(X, W1, W2):
    Z = X @ W1.T
    delta = Z @ W2.T - X
    return (delta @ W2).T @ X, delta.T @ Z, Z, delta


def as_given(X, W1, W2):
    """Both are still wrong.  dE/dW2 is transposed: compare its shape with that of W2.  And W1
    receives what the code z receives: the error, sent back through the decoder."""
    _, dW2, Z, _ = _parts(X, W1, W2)
    return Z.T @ X, dW2.T


def not_through_the_decoder(X, W1, W2):
    """dE/dW2 is right.  In dE/dW1 there is no error: if y were equal to x, it had to be 0.  The
    error must come back through the decoder."""
    _, dW2, Z, _ = _parts(X, W1, W2)
    return Z.T @ X, dW2


def second_transposed(X, W1, W2):
    """dE/dW1 is right.  dE/dW2 is transposed: compare its shape with that of W2."""
    dW1, dW2, *_ = _parts(X, W1, W2)
    return dW1, dW2.T


def first_transposed(X, W1, W2):
    """dE/dW2 is right.  dE/dW1 is transposed: compare its shape with that of W1."""
    dW1, dW2, *_ = _parts(X, W1, W2)
    return dW1.T, dW2


def sign(X, W1, W2):
    """Both point the wrong way: the error is y - x, not x - y."""
    dW1, dW2, *_ = _parts(X, W1, W2)
    return -dW1, -dW2


def averaged(X, W1, W2):
    """You divide by the number of rows: that is the gradient of a mean over data.  E is a sum."""
    dW1, dW2, *_ = _parts(X, W1, W2)
    return dW1 / len(X), dW2 / len(X)


def twice(X, W1, W2):
    """Both are twice too large: the 1/2 in E cancels the 2 of the square."""
    dW1, dW2, *_ = _parts(X, W1, W2)
    return 2 * dW1, 2 * dW2


def swapped(X, W1, W2):
    """The order is (dE/dW1, dE/dW2); you return them the other way round."""
    dW1, dW2, *_ = _parts(X, W1, W2)
    return dW2, dW1


MISTAKES = (
    as_given,
    not_through_the_decoder,
    second_transposed,
    first_transposed,
    sign,
    averaged,
    twice,
    swapped,
)
