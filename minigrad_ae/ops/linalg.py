"""Linear algebra: two contractions."""

import numpy as np

from ..autodiff.operation import op

matmul = op("matmul", "y = A B (the last two axes; leading axes broadcast)", forward="A @ B",
            A="g @ swapaxes(B, -1, -2)", B="swapaxes(A, -1, -2) @ g",
            why="dL = <g, dA B + A dB> = <g B^T, dA> + <A^T g, dB>")  # fmt: skip


def _einsum(*xs, subscripts=""):
    return np.einsum(subscripts, *xs)


einsum = op("einsum", "y = sum of products by index letters", forward=_einsum,

            xs="einsum(g, *xs[:i], *xs[i + 1 :], *einsum_constants(subscripts, xs, i), "
               "subscripts=einsum_subscripts(subscripts, xs, i))",
            why="linear in each operand: contract g with all the others")  # fmt: skip
