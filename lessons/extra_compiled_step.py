# %% [markdown]
# # Extra: from the tape to a program
#
# **Goal.** A training step runs thousands of times, and each time it does the same: the same ops on
# arrays of the same shapes.  The tape finds that out anew at every step.  Here you climb, one idea
# a rung, from the tape to a program that has nothing left to find out; at each rung you check that
# the loss and the gradients are still the same bits.
#
# Run it as a script (`python lessons/extra_compiled_step.py [--fast]`, under 10 s) or cell by cell
# as a notebook.  All times are of this run on this machine: another one has other ratios.

# %% Settings
import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

if "numpy" not in sys.modules:
    # NumPy's product on one core too; it looks only once, when it is loaded
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
import matplotlib
import numpy as np
from matplotlib.figure import Figure

import minigrad_ae as mg
from minigrad_ae.command_line import Parser
from minigrad_ae.files import write_png, write_text
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, STYLE, plain

notebook = "ipykernel" in sys.modules
parser: argparse.ArgumentParser = Parser(prog="extra_compiled_step")
parser.add_argument("--fast", action="store_true", help="fewer repetitions, a few seconds")
parser.add_argument(
    "--out", type=Path, help="folder for the figure (default ./minigrad_ae_figures)"
)
options = parser.parse_args([] if notebook else None)
out = options.out or Path("minigrad_ae_figures")
mg.kernels.set_num_threads(1)

X = mg.data.digits()[0][:100].astype(np.float32)  # one batch; yours: any (N, D) of floats
M = 16  # hidden units

# %% [markdown]
# ## Predict
#
# The network below has two products, a tanh and a squared error: about twenty calls of NumPy or of
# a kernel, forward and backward.
#
# 1. Which part of a step on the tape is arithmetic: a quarter, a half, or nine tenths?
# 2. What is worth more: to leave the tape out, or to make all arrays once instead of at each step?
# 3. How many blocks of memory does the program need for its arrays?
#
# The answers are in the tables below.
#
# ## Rung 0: the tape
#
# Bishop & Bishop's two-layer autoencoder (section 19.1.2) without biases,
#
# $$E = \frac1N \sum_n \lVert V^T \tanh(W^T x_n) - x_n \rVert^2 .$$
#
# Every op looks up its kernel, checks shapes and dtypes, makes an array for its result, and writes
# down what it did: that is the tape.  `backward` walks it from the end.  All of it serves *you*:
# an error names your line, and the network may be another one at the next step.

# %% Rung 0: the tape
N, D = X.shape
rng = np.random.default_rng(0)
W = mg.tensor(0.1 * rng.standard_normal((D, M)), requires_grad=True, dtype=X.dtype, name="W")
V = mg.tensor(0.1 * rng.standard_normal((M, D)), requires_grad=True, dtype=X.dtype, name="V")


def loss_of(x):
    z = mg.tanh(x @ W)
    e = z @ V - x
    return (e * e).sum() / len(x)


def by_tape(x):
    W.grad = V.grad = None
    loss = loss_of(x)
    loss.backward()
    return loss.data, W.grad, V.grad


expected = [a.copy() for a in by_tape(X)]
print(mg.trace(loss_of(X)).text())

# %% [markdown]
# ## Rung 1: the same kernels, by hand
#
# The trace above says what the step consists of.  So write it down: each line of the trace is one
# call here, in the same order, of the same kernel.  Nothing is looked up or written down any more.
# What is lost: change the network, and every line of the backward pass has to be thought through
# again.
#
# Read the backward pass from right to left through the formula: $e$ appears twice in $e^2$, so its
# gradient is a sum of two; a product sends $g V^T$ to its left factor and $z^T g$ to its right one;
# tanh multiplies by $1 - z^2$.

# %% Rung 1: by hand
k = mg.kernels


def by_hand(x):
    # forward
    a = k.matmul(x, W.data)
    z = k.tanh(a)
    e = k.matmul(z, V.data) - x
    loss = np.sum(e * e) / len(x)
    # backward
    g = np.broadcast_to(np.ones_like(loss) / len(x), e.shape)
    grad_e = g * e
    grad_e = grad_e + g * e
    grad_z = k.matmul(grad_e, V.data.T)
    grad_V = k.matmul(z.T, grad_e)
    grad_a = k.tanh_backward(grad_z, z)
    grad_W = k.matmul(x.T, grad_a)
    return loss, grad_W, grad_V


# %% [markdown]
# ## Rung 2: memory, planned once
#
# Rung 1 asks for a dozen arrays at every step and drops them again.  But their shapes never change,
# so make them once and let every call fill its own (`out=`).  Better still, look who needs what and
# until when: once $e$ has been used for its gradient, its memory is free.  A plan of this kind is
# called *register allocation* in a compiler; here the registers are blocks of memory.

# %% Rung 2: memory once
make = {"dtype": X.dtype}
a, z, grad_z, grad_a = (np.empty((N, M), **make) for _ in range(4))
e, square, grad_e = (np.empty((N, D), **make) for _ in range(3))
grad_W, grad_V = np.empty((D, M), **make), np.empty((M, D), **make)
loss, g = np.empty((), **make), np.empty((), **make)


def with_plan(x):
    # forward
    k.matmul(x, W.data, out=a)
    k.tanh(a, out=z)
    k.matmul(z, V.data, out=e)
    np.subtract(e, x, out=e)
    np.multiply(e, e, out=square)
    np.sum(square, out=loss)
    np.divide(loss, len(x), out=loss)
    # backward
    np.divide(np.ones((), **make), len(x), out=g)
    np.multiply(g, e, out=grad_e)
    np.multiply(g, e, out=square)  # nobody needs the squares any more
    np.add(grad_e, square, out=grad_e)
    k.matmul(grad_e, V.data.T, out=grad_z)
    k.matmul(z.T, grad_e, out=grad_V)
    k.tanh_backward(grad_z, z, out=grad_a)
    k.matmul(x.T, grad_a, out=grad_W)
    return loss, grad_W, grad_V


# %% [markdown]
# ## Rung 3: let it be written for you
#
# `mg.compile` does what you just did.  The first call runs on the tape and is watched; from what it
# saw comes a straight-line program, forward and backward, whose arrays have their places.  The
# second call runs both and compares them bit for bit; from then on the program runs alone.
#
# It goes two steps further than rung 2.  What a kernel asks before it starts (which loop, which
# layout) depends on shapes only, so it has been asked once and for all.  And the calls themselves
# are no longer made by Python where machine code can make them.

# %% Rung 3: mg.compile
step = mg.compile(loss_of)


def compiled(x):
    W.grad = V.grad = None
    loss = step(x)
    return loss.data, W.grad, V.grad


for _ in range(2):
    compiled(X)
assert step.program is not None, step.reason
print(step.program)

# %% [markdown]
# Each line says how it is done: *kernel* and *numpy* with the number of calls, *a view* where there
# is nothing to do but to look at the same memory in another way, *by the kernel above* where one
# call has filled both arrays.  Compare with your own lines of rung 2: the order is the same.
#
# ## The same program, as NumPy
#
# `step.program.source` is a module that needs NumPy only.  Look at its memory first: arrays below
# one block are never needed at the same time.  Then read `step`: it is rung 1, written by the
# machine from the rules of the ops.

# %% The same program, as NumPy
source = step.program.source
print(source)
module = {}
exec(source, module)
blocks = sum(name.startswith("block_") for name in module)
print(f"{blocks} blocks, {step.program.nbytes:,} bytes with what the kernels need for themselves")

# %% [markdown]
# ## Do the rungs agree?
#
# A faster step that computes something else is worth nothing.  The first three rungs have to give
# the tape's bits.  The NumPy text may differ by rounding: NumPy's own product adds up in another
# order.  A sum of n products in float32 differs by no more than about n roundings, relative to the
# sum of the absolute values; in the products here n is at most N, D or M.

# %% Do the rungs agree?


def as_numpy(x):
    loss, gradients = module["step"](x, **step.program.arrays)
    return loss, gradients["W"], gradients["V"]


rungs = {
    "the tape": by_tape,
    "kernels by hand": by_hand,
    "memory once": with_plan,
    "mg.compile": compiled,
}
for name, run in rungs.items():
    same = [np.array_equal(ours, theirs) for ours, theirs in zip(run(X), expected, strict=True)]
    print(f"{name:<16} loss, grad W, grad V: {'the same bits' if all(same) else same}")
    assert all(same), f"{name} computes something else"
rounding = 4 * max(N, D, M) * np.finfo(X.dtype).eps
for what, ours, theirs in zip(("loss", "grad W", "grad V"), as_numpy(X), expected, strict=True):
    apart = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"the NumPy text, {what}: {apart:.1e} of the largest number apart, as rounding allows")
    assert apart <= rounding, "the NumPy text computes something else"

# %% [markdown]
# ## How fast is each rung?
#
# In turns, so that what else the machine does hits all of them alike; the median counts.

# %% How fast is each rung?
contenders = {**rungs, "the NumPy text": as_numpy}
rounds, calls = (15, 20) if options.fast else (60, 40)
times = {name: [] for name in contenders}
for _ in range(rounds):
    for name, run in contenders.items():
        start = time.perf_counter()
        for _ in range(calls):
            run(X)
        times[name].append((time.perf_counter() - start) / calls)
medians = {name: float(np.median(t)) for name, t in times.items()}
print(f"{'rung':<16} {'us a step':>10} {'tape / rung':>12}")
for name, seconds in medians.items():
    print(f"{name:<16} {1e6 * seconds:10.1f} {medians['the tape'] / seconds:12.2f}")

# %% [markdown]
# What falls from the first to the second row is the tape itself; from the second to the third,
# memory; to the fourth, the questions before the kernels and Python's calls.  What stays is the
# arithmetic.  How far is *that* from what the machine can do?
#
# ## Where the rest of the time goes
#
# `profile` times each line by itself and compares it with its roof (Williams, Waterman & Patterson
# 2009): a line with F operations on B bytes takes at least F / peak, and at least B / bandwidth.
# The last column is the larger of the two as a part of the time that was measured.  Above 100 % the
# arrays came from a cache, which is faster than the memory that the roof was measured with; far
# below, the line is so short that the call itself is what takes the time.

# %% Where the rest of the time goes
profile = step.program.profile(X, rounds=20 if options.fast else 100)
print(profile)
products = sum(row.share for row in profile.rows if " @ " in row.label)
print(f"products take {products:.0%} of the time of the lines")

# %% The figure
matplotlib.rcParams.update(STYLE)
figure = Figure(figsize=(9.6, 4.2))
left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
for y, (name, seconds) in enumerate(medians.items()):
    left.barh(y, 1e6 * seconds, color=BLUE if name in rungs else GREEN)
    ratio = f"{medians['the tape'] / seconds:.1f} x"
    left.text(1e6 * seconds, y, f" {1e6 * seconds:.0f}, {ratio}", va="center", fontsize=8)
left.set(yticks=range(len(medians)), yticklabels=list(medians))
left.set(xlabel="microseconds a step", title="One step, rung by rung")
left.set_xlim(0, 1.3e6 * max(medians.values()))
rows = sorted(profile.rows, key=lambda row: row.seconds)[-10:]
labels = [row.label if len(row.label) < 40 else row.label[:37] + "..." for row in rows]
right.barh(range(len(rows)), [1e6 * row.seconds for row in rows], color=BLUE)
for y, row in enumerate(rows):
    told = f" {row.of_roof:.0%} of the roof" if row.cost.nbytes else ""
    right.text(1e6 * row.seconds, y, told, va="center", fontsize=8, color=BLACK)
right.set(yticks=range(len(rows)), xlabel="microseconds", title="The longest lines of the program")
right.set_yticklabels(labels, fontsize=7)
right.set_xlim(0, 1.5e6 * max(row.seconds for row in rows))
left.invert_yaxis()
out.mkdir(parents=True, exist_ok=True)
write_png(out / "compiled_step.png", figure, dpi=75 if options.fast else 150)
numbers = {
    "shape": [N, D, M],
    "machine": platform.machine(),
    "seconds": medians,
    "lines": {row.label: [row.seconds, row.of_roof] for row in profile.rows},
}
write_text(out / "compiled_step.json", json.dumps(plain(numbers), indent=1) + "\n")
print(f"\nfigure: {out / 'compiled_step.png'}")
if notebook:
    from IPython.display import display

    display(figure)

# %% [markdown]
# ## Exercises
#
# 1. Make M and the batch ten times as large.  Which rung loses its lead, and why that one?
# 2. In rung 2 let `grad_z` and `a` share one array.  May they?  Which check above would notice if
#    they may not?
# 3. Give the step a branch, `if x.max() > 1`, and call it with data on either side of it.  How many
#    programs does `repr(step)` tell of?  Print one: where is the branch?
# 4. Write e * e as `e ** 2`.  Which lines of the program go, and what is that worth?
#
# ## What you can do now
#
# - Write the backward pass of a small network by hand, and say what the tape does for you.
# - Read a compiled step: `print(step.program)`, `print(step.program.source)`.
# - Say where its time goes and what the machine would allow: `print(step.program.profile(X))`.
