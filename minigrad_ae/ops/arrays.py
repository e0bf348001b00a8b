"""Whole arrays: elements moved about, picked and added into places; contractions."""

import numpy as np

from ..arguments import plain
from ..autodiff.graph import Value, copied
from ..autodiff.operation import Notes, op
from ..errors import DtypeError
from . import notes
from .calculus import BASIC, repeats

# --- moved: the rule moves the gradient back to where its element came from ---

reshape = op("reshape", "y = x in a new shape", forward="np.reshape(x, shape)", params="shape", x="reshape(g, "
    "x.shape)",
             why="element k stays element k",
    notes=Notes(hint="the new shape must have as many elements as the old one"),
)  # fmt: skip
transpose = op("transpose", "y = x with axes permuted (reversed if None)", forward="np.transpose(x, "
    "axes)",
               params="axes=None", x="transpose(g, inverse(axes))", why="permute back",
    notes=Notes(symbol="T"),
)  # fmt: skip
broadcast_to = op("broadcast_to", "y = x repeated to a shape", forward="np.broadcast_to(x, shape)", params="shape", x="g",
                  why="each copy has slope 1, and the engine sums over copies (un-broadcasting)")  # fmt: skip
pad = op("pad", "y = x with a margin of `value`", forward="np.pad(x, pad_width, "
    "constant_values=value)",
         params="pad_width, value=0", x="getitem(g, inside(x.shape, pad_width))", why="the margin is constant")  # fmt: skip


def _concatenate(*xs, axis=0):
    return np.concatenate(xs, axis=axis)


concatenate = op("concatenate", "y = the xs one after the other along axis", forward=_concatenate,
                 xs="getitem(g, part(xs, i, axis))", why="each x receives its own part of g",
    notes=Notes(hint="all shapes must agree except along axis"),
)  # fmt: skip


cumsum = op("cumsum", "y_k = x_1 + ... + x_k along axis (of the flattened x if None)", forward="np.cumsum(x, axis=axis)",
            params="axis=None", x="reshape(getitem(cumsum(getitem(g, backwards(g, axis)), axis=axis), backwards(g, axis)), x.shape)",
            why="x_k is in every sum from the k-th on",
    notes=Notes(symbol="Σ", overflows=True),
)  # fmt: skip


# --- picked, and the opposite: added into places ---

getitem = op("getitem", "y = x[index]", forward="x[index]", params="index", x="index_add(g, index, "
    "x.shape)",
             why="an element that was picked k times receives k contributions; one that was not, zero",
    notes=Notes(
        written="{x}[{index}]", lost=notes.not_picked, withholds=notes.did_not_pick,
        hint="the index must be made of whole numbers, booleans or slices, and lie inside the shape",
    ),
    public=False,
)  # fmt: skip


def settled(index):
    """The index as the graph keeps it: sequences become arrays and arrays are copied, so that
    nobody changes it later.
    """
    return tuple(_part(p) for p in index) if isinstance(index, tuple) else _part(index)


def _part(p):
    if isinstance(p, BASIC) or np.isscalar(p):
        return p
    if isinstance(p, Value) and not p.requires_grad and (p._data == np.floor(p._data)).all():
        numbers = p._data.astype(np.intp)  # whole numbers, stored as floats
        copied(p, numbers)
        return numbers
    if isinstance(p, Value):
        raise DtypeError(
            "a tensor cannot be an index", f"got a tensor of shape {p._data.shape}, dtype "
                f"{p._data.dtype}",
            "use an array of whole numbers or booleans: x[t.data.astype(int)], or x[t.data > 0]",
        )  # fmt: skip
    array = np.array(plain(p, "the index"))
    # [] is an index without elements
    array = array if array.size or isinstance(p, np.ndarray) else array.astype(np.intp)
    copied(p, array)
    return array


def _index_add(x, index, shape):
    y = np.zeros(shape, x.dtype)
    if repeats(index):
        np.add.at(y, index, x)  # unlike y[index] += x, this adds repeated indices up
    else:
        y[index] = x
    return y


index_add = op("index_add", "y = 0; y[index] += x", forward=_index_add, x="getitem(g, index)",
               why="each x is added into one place, with slope 1",
    notes=Notes(overflows=True),
    public=False,
)  # fmt: skip


# --- contracted ---

matmul = op("matmul", "y = A B (the last two axes; leading axes broadcast)", forward="A @ B",
            A="g @ swapaxes(B, -1, -2)", B="swapaxes(A, -1, -2) @ g",
            why="dL = <g, dA B + A dB> = <g B^T, dA> + <A^T g, dB>",
    notes=Notes(
        symbol="@", overflows=True, lost=notes.orthogonal,
        hint="the last axis of A must be as long as the last but one of B (for vectors: the only one)",
    ),
)  # fmt: skip


def _einsum(*xs, subscripts=""):
    return np.einsum(subscripts, *xs)


einsum = op("einsum", "y = sum of products by index letters", forward=_einsum,

            xs="einsum(g, *xs[:i], *xs[i + 1 :], *einsum_constants(subscripts, xs, i), "
               "subscripts=einsum_subscripts(subscripts, xs, i))",
            why="linear in each operand: contract g with all the others",
    notes=Notes(overflows=True),
)  # fmt: skip
