# %% [markdown]
# # Lesson 1: backpropagation, and how to believe it
#
# **Goal.** Compute a gradient by one walk back through a graph, with one small rule per op, train a
# first network with it, and make the gradient prove that it is right.  (Bishop & Bishop, *Deep
# Learning*, chapter 8; everything in chapter 19 is trained this way.)
#
# Run it as a script (`minigrad-ae lesson 1`) or cell by cell as a notebook (`minigrad-ae notebook
# 1`).  The next cell holds all that you may want to change; the rest follows.

# %% Settings
import textwrap

import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, RED, Lesson

lesson = Lesson("01_backpropagation", "about 3 s; --fast 2 s")
X = mg.data.digits()[0][:6, 18:22]  # six digits, four pixels of each; yours: (n, D) numbers
M = 3  # hidden units
steps = 200  # of descent
seed = lesson.seed

# %% Data
lesson.cell("Data")
X = np.asarray(X, dtype=float)  # float64: what is called rounding below is its rounding
N, D = X.shape
lesson.settings(X=X, M=M, steps=steps, seed=seed)
rng = np.random.default_rng(seed)
EPS = np.finfo(float).eps  # the rounding of a number, relative: 2.2e-16

# %% Predict
lesson.cell("Predict: say what you expect before you run on (the answers come at the end)")
lesson.predict("fan-out")  # dc/da of c = b + b, b = a + a
lesson.predict("bias")  # the shape of a bias's gradient
lesson.predict("difference")  # how many digits a difference gives

# %% Words
lesson.cell("Words")
lesson.words("fan-out", "rule", "complex step", "rel.")

# %% [markdown]
# ## Build
#
# A first autoencoder: M units $h = \tanh(W^T x + b)$ of the D inputs, and outputs by the *same*
# weights, $y = W h$.  It is trained to return its input,
#
# $$E = \tfrac12 \sum_n \lVert y(x_n) - x_n \rVert^2 .$$
#
# Data are rows, so $W^T x$ for all data at once is `x @ W`, with `x` (N, D) and `W` (D, M), and
# $W h$ is `h @ W.T`.  Each operation notes what it was made of; that is the graph.
#
# `backward()` of E walks it backwards.  At each operation y = f(x), where x and y now stand for
# that operation's own input and output, a *rule* answers: given $g = \partial E / \partial y$, what
# is $\partial E / \partial x$?  For tanh it is `g * (1 - y * y)`, since $\tanh' = 1 - \tanh^2$.
# That text is its definition: the engine runs it, and what is printed below is the same text.  (On
# arrays of more than a few hundred numbers a compiled kernel runs in its place, which the tests
# hold to the same text; whenever a pass is traced or checked, the text itself runs.)

# %% Build
lesson.cell("Build: one layer, used in both directions, and its graph")
x = mg.tensor(X, name="x")
W = mg.tensor(rng.standard_normal((D, M)) / D**0.5, requires_grad=True, name="W")
b = mg.tensor(np.zeros(M), requires_grad=True, name="b")


def network(x):
    h = mg.tanh(x @ W + b)  # b is broadcast to the N rows
    # W is used a second time: a fan-out
    return h @ W.T


def E(x):
    return 0.5 * ((network(x) - x) ** 2).sum()


loss = E(x)
loss.backward()
tanh = mg.ops.REGISTRY["tanh"]
print(network(x))
print(f"E = {loss:.6f};  dE/dW has shape {W.grad.shape}, dE/db has shape {b.grad.shape}")
print(f"the rule of tanh: dE/dx = {tanh.rules['x']}   because {tanh.why}")

# %% [markdown]
# By hand, with rows as in the code, $\delta = y - x$ (N, D) and the chain rule: W receives
# $\delta^T h$ where it is the decoder, and $x^T (\delta W \odot (1 - h^2))$, through h, where it is
# the encoder ($\odot$: entry by entry).  The two are added.

# %% Build: the same by hand
lesson.cell("Build: the same gradient by hand")
h = np.tanh(X @ W.data + b.data)
delta = h @ W.data.T - X
from_decoder = delta.T @ h
from_encoder = X.T @ (delta @ W.data * (1 - h**2))
# what rounding can do is in proportion to the sizes that are added, before they cancel
sizes = np.abs(h) @ np.abs(W.data.T) + np.abs(X)  # of the terms of delta
largest = (sizes.T @ np.abs(h) + np.abs(X.T) @ (sizes @ np.abs(W.data))).max()
difference = np.abs(W.grad - from_decoder - from_encoder).max() / largest
print(f"largest difference from the engine's dE/dW, rel. to the terms: {difference:.1e}")
rounding = (N + D + M + 8) * EPS  # one for each operation in a row
lesson.result("dE/dW by hand, rel. difference", difference, exact=0, tolerance=rounding)

# %% [markdown]
# ## Train
#
# Descent: a small step against the gradient, again and again.  `backward()` *adds* to `.grad`
# (useful when a batch does not fit into memory), so it is set back to zero before each pass.  The
# step size is a guess from the size of the data (and of the 1 that b multiplies in each row); if E
# rises, take a smaller one.

# %% Train
lesson.cell("Train: descent, written out")
eta, fall = 0.5 / (np.sum(X**2) + N), []
for step in range(steps):
    W.zero_grad()
    b.zero_grad()
    loss = E(x)
    loss.backward()
    W.data -= eta * W.grad
    b.data -= eta * b.grad
    fall.append(loss.item())
    if step % max(1, steps // 5) == 0:
        print(f"  step {step:>4}: E = {loss.item():.6f}")
loss = E(x)
print(f"  after {steps} steps E = {loss.item():.6f}, from {fall[0]:.6f}")
lesson.result("E at the start (half a sum of squares)", fall[0])
lesson.result("E at the end", loss.item())

# %% [markdown]
# ## Why the order of the walk matters
#
# If b = a + a and c = b + b, then the gradient of b must be complete, from both of its uses, before
# it is passed on to a.  So the walk goes back in reverse order of creation, and visits each edge
# once.  A walk along one path after another would reach a once for each path, and the number of
# paths doubles with each sum.  The next cell counts how often a rule really runs: it puts a counter
# in front of the rules of `add`.

# %% Look: order
lesson.cell("Look: fan-out, and how often a rule runs")
a = mg.tensor(1.0, requires_grad=True, name="a")
doubled = a + a
quadrupled = doubled + doubled
quadrupled.backward()
print(f"b = a + a; c = b + b: dc/da = {a.grad:g}")
lesson.result("dc/da of two doublings", float(a.grad), exact=2**2)


def rules_run(n):
    """How many rules the engine runs for n doublings (counted)."""
    count, rules = [0], mg.ops.REGISTRY["add"].vjps
    original = list(rules)

    def counting(rule):
        def call(*args):
            count[0] += 1
            return rule(*args)

        return call

    rules[:] = [counting(rule) for rule in original]
    y = mg.tensor(1.0, requires_grad=True)
    for _ in range(n):
        y = y + y
    y.backward()
    rules[:] = original
    return count[0]


lengths = np.arange(1, 31)
counted = np.array([rules_run(n) for n in lengths])
paths = 2.0**lengths
fig, ax = plt.subplots(figsize=(6.4, 3.6))
ax.semilogy(lengths, paths, color=RED, label="paths from end to start, $2^n$")
ax.semilogy(lengths, counted, color=BLUE, marker=".", label="rules that the engine runs (counted)")
ax.set(
    xlabel="n doublings y = y + y in a row",
    ylabel="number",
    title=f"{lengths[-1]} doublings: {counted[-1]} rules, {paths[-1]:,.0f} paths",
)
ax.legend()
lesson.figure("order", fig, {"doublings": lengths, "rules": counted, "paths": paths})
lesson.result("rules run for 30 doublings", counted[-1], exact=2 * lengths[-1])

# %% [markdown]
# ## A witness that is exact
#
# How would you check a derivative?  A central difference $(f(t + s) - f(t - s)) / 2s$ has two
# errors: $s^2 f''' / 6$ from the next term of the series, and about $\epsilon / s$ from the
# rounding of two numbers that nearly cancel.  A *complex step* $\mathrm{Im}\, f(t + i s) / s$
# subtracts nothing, so s may be tiny.  Look at both over twenty powers of ten.

# %% Look: a derivative without differences
lesson.cell("Look: a difference, and a complex step")
sizes = 10.0 ** np.arange(-20, 0)
point = 0.8
exact = 1 - np.tanh(point) ** 2
central = [abs((np.tanh(point + s) - np.tanh(point - s)) / (2 * s) / exact - 1) for s in sizes]
complex_step = [abs(np.tanh(point + 1j * s).imag / s / exact - 1) for s in sizes]
fig, ax = plt.subplots(figsize=(6.4, 3.6))
look = {"color": ORANGE, "marker": "o", "label": "central difference"}
ax.loglog(sizes, np.maximum(central, 1e-17), **look)
look = {"color": GREEN, "marker": "s", "label": "complex step  Im f(t + is) / s"}
ax.loglog(sizes, np.maximum(complex_step, 1e-17), **look)
ax.axhline(EPS, color=BLACK, lw=0.8, ls=":", label="rounding, 2.2e-16")
ax.set(
    xlabel="step s",
    ylabel=f"relative error of tanh'({point})",
    title=f"Error: best difference {min(central):.0e}, tiniest complex step {complex_step[0]:.1g}",
)
ax.legend()
lesson.figure("complex_step", fig, {"s": sizes, "central": central, "complex": complex_step})
print(f"relative error of tanh'({point}): {min(central):.1e} by the best difference,")
print(f"{complex_step[0]:.1e} by a complex step with s = {sizes[0]:g}")

# %% [markdown]
# ## Inspect
#
# `mg.trace` walks back once more and keeps what it saw.  A row is one rule: `in-grad` is the shape
# of the gradient that comes in, `sends to` says what receives a gradient and of which shape, and
# `check` compares the rule with a complex step of the operation itself.  Look for W: it is sent two
# contributions.  (Where X has more than six rows, the first six are taken.)

# %% Inspect
lesson.cell("Inspect: the backward pass, step by step")
W.zero_grad()
b.zero_grad()
x = mg.tensor(X[:6], name="x")
h = mg.tanh(x @ W + b)
y = h @ W.T
loss = 0.5 * ((y - x) ** 2).sum()
trace = mg.trace(loss)
print(trace.text())
print("\nOne step in full, that of tanh:\n")
print(trace.text(step=next(step.k for step in trace.steps if step.op == "tanh")))
lesson.page("backward_pass", trace)
program = mg.emit_numpy(loss)
print("\nThe same as a program, printed from the same rules (above this stand x, W and b):\n")
print(program[program.index("# forward") :])

# %% Verify
lesson.cell("Verify: the graph proves itself")
print("each rule of this graph against a complex step of its own forward, with random numbers:")
report = mg.check_graph(loss)
print(report)
print("and the gradient of the gradient, element by element (order=2):")
print(mg.gradcheck(lambda W, b: ((mg.tanh(x @ W + b) @ W.T - x) ** 2).sum() / 2, W, b, order=2))
lesson.result("rules of this graph that are wrong", len(report.failures), exact=0)

# %% [markdown]
# ## Break it
#
# Somebody wrote `g * (1 + y * y)` into the rule of tanh.  Nothing crashes, and training may even go
# on.  A rule is an entry of a list, so the bug can be planted, and taken out again.

# %% Break it: one wrong sign
lesson.cell("Break it: find the planted bug")
right = tanh.vjps[0]
tanh.vjps[0] = lambda g, y, x: g * (1 + y * y)
print(mg.check_graph(loss))
tanh.vjps[0] = right

# %% [markdown]
# The report names the op and the line where it was called.
#
# Another trap has no bug in it.  log u is not needed where u = 0, and `where` does not choose it;
# but its gradient is computed all the same, and 0 times 1/0 is NaN by the rules of floating point.
# `mg.why` says where a NaN came from.

# %% Break it: a NaN from a branch that was not chosen
lesson.cell("Break it: NaN through the branch that was not chosen")
u = mg.tensor([0.0, 2.0], requires_grad=True)
with np.errstate(divide="ignore", invalid="ignore"):
    trap = mg.where(u > 0, mg.log(u), 0.0).sum()
    trap.backward()
    answer = mg.why(u, trap)
print(f"where(u > 0, log u, 0) at u = 0: gradient {u.grad}")
print(textwrap.fill(f"mg.why(u, trap) says: {answer}", 88))
u.zero_grad()
safe = mg.where(u > 0, u, 1.0)
mg.where(u > 0, mg.log(safe), 0.0).sum().backward()
print(f"with a second where inside: gradient {u.grad}   (log never sees the 0)")

# %% [markdown]
# ## Exercises
#
# The rules, the order of the walk, and an engine of your own.  `minigrad-ae exercise start N`
# copies a blank into your folder, and `minigrad-ae exercise check N` judges it: it names the
# misconception, not the answer.
#
# 1. `minigrad-ae exercise start 1`: the rule of tanh.
# 2. `minigrad-ae exercise start 2`: un-broadcasting: what a bias receives that was stretched.
# 3. `minigrad-ae exercise start 3`: the order of the walk back; a walk that is to be repaired.
# 4. `minigrad-ae exercise start 4`: a matrix that is used twice; a gradient with one use missing.
# 5. `minigrad-ae exercise start 14`: a whole linear layer: what input, weights and bias receive
#    (the line that the lines by hand above leave out is that of `b`).
# 6. `minigrad-ae exercise start 15`: descent that never settles, since nobody forgets the old
#    gradients.
# 7. `minigrad-ae exercise start 6`: from nothing, 1: an engine for numbers.
# 8. `minigrad-ae exercise start 16`: from nothing, 2: tensors, on your own answers to 2 and 3.

# %% Answers
lesson.cell("Answers to what you predicted")
lesson.answers(rows=N, units=M, best=min(central))

# %% Recap
lesson.finish()

# %% [markdown]
# ## What you can do now
#
# - Write a network with `mg.tensor`, `@` and `mg.tanh`, call `backward()`, and train it by hand.
# - Read a backward pass step by step: `minigrad-ae inspect lessons/01_backpropagation.py`.
# - Let a gradient prove itself: `mg.check_graph(loss)` for a graph, `mg.gradcheck(f, x)` for a
#   function.
# - Find out where a NaN came from: `mg.why(tensor, loss)`.
