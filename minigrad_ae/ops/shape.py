"""Ops that move elements about: the rule moves the gradient back to where its element came from."""

import numpy as np

from ..autodiff.operation import op

reshape = op("reshape", "y = x in a new shape", forward="np.reshape(x, shape)", params="shape", x="reshape(g, x.shape)",
             why="element k stays element k")  # fmt: skip
transpose = op("transpose", "y = x with axes permuted (reversed if None)", forward="np.transpose(x, axes)",
               params="axes=None", x="transpose(g, inverse(axes))", why="permute back")  # fmt: skip
broadcast_to = op("broadcast_to", "y = x repeated to a shape", forward="np.broadcast_to(x, shape)", params="shape", x="g",
                  why="each copy has slope 1, and the engine sums over copies (un-broadcasting)")  # fmt: skip
pad = op("pad", "y = x with a margin of `value`", forward="np.pad(x, pad_width, constant_values=value)",
         params="pad_width, value=0", x="getitem(g, inside(x.shape, pad_width))", why="the margin is constant")  # fmt: skip


def _concatenate(*xs, axis=0):
    return np.concatenate(xs, axis=axis)


concatenate = op("concatenate", "y = the xs one after the other along axis", forward=_concatenate,
                 xs="getitem(g, part(xs, i, axis))", why="each x receives its own part of g")  # fmt: skip
