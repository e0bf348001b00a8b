# %% [markdown]
# # Lesson 1: backpropagation, and how to believe it
#
# **Goal.** A gradient is computed by one walk back through a graph, with one small rule per op, and
# it can prove that it is right.  (Bishop & Bishop, *Deep Learning*, chapter 8; everything in
# chapter 19 is trained
# this way.)
#
# Run it as a script (`python lessons/01_backpropagation.py`) or cell by cell as a notebook.

# %% Goal
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae.claims.bugs import wrong_rule
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, RED, Lesson

lesson = Lesson("01_backpropagation", "about 3 s; --fast 2 s")

# %% Predict: answer before you run on (the answers come at the end)
lesson.cell("Predict")
lesson.predict("fan-out")
lesson.predict("bias")
lesson.predict("difference")

# %% [markdown]
# ## Build: a graph with a rule at each op
#
# For y = f(x) a rule answers: *given g = dL/dy, what is dL/dx?*  For tanh it is `g * (1 - y * y)`,
# and that text is its definition: the engine runs it, and everything below prints it.  (On arrays
# of more than a few hundred numbers a compiled kernel runs in its place, which the tests hold to
# the same text; with `mg.kernels.use("numpy")`, and whenever a pass is traced or checked, the text
# itself runs.)

# %% Build
lesson.cell("Build: one neuron, one graph")
rng = lesson.rng
x = rng.standard_normal((6, 4))  # six data points of four features
W = mg.tensor(rng.standard_normal((4, 3)), requires_grad=True, name="W")
b = mg.tensor(np.zeros(3), requires_grad=True, name="b")

h = mg.tanh(x @ W + b)  # (6, 4) @ (4, 3) -> (6, 3); b is stretched over the six rows
loss = (h * h).sum() / 2  # h is used twice: a fan-out

loss.backward()
print(h)
print(f"loss {loss:.6f};  dL/dW has shape {W.grad.shape}, dL/db has shape {b.grad.shape}")
print(
    f"the rule of tanh: dL/dx = {mg.ops.REGISTRY['tanh'].rules['x']}   because "
    f"{mg.ops.REGISTRY['tanh'].why}"
)

# %% Run: why the order matters
lesson.cell("Run: fan-out, and why the order of the walk matters")
a = mg.tensor(1.0, requires_grad=True, name="a")
doubled = a + a
quadrupled = doubled + doubled
quadrupled.backward()
print(f"b = a + a; c = b + b: dc/da = {a.grad:g}")
print(
    "b must hear from both of its uses before it speaks to a: the walk goes back in reverse order "
    "of creation."
)


def paths(n: int) -> int:
    """How many paths lead from the end of n doublings to the start: what a walk path by path would
    have to follow.
    """
    return 2**n


def rules_run(n: int) -> int:
    """How many rules the engine really runs for n doublings (counted)."""
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
counted = [rules_run(n) for n in lengths]
fig, ax = plt.subplots(figsize=(6.4, 3.6))
ax.semilogy(lengths, [paths(n) for n in lengths], color=RED, label="paths from end to start")
ax.semilogy(lengths, counted, color=BLUE, marker=".", label="rules that the engine runs (counted)")
ax.set(
    xlabel="doublings y = y + y in a row",
    ylabel="number",
    title="One visit per edge: linear work, where paths double",
)
ax.legend()
lesson.figure(
    "order", fig, {"doublings": lengths, "rules": counted, "paths": [paths(n) for n in lengths]}
)

# %% Run: a derivative without differences
lesson.cell("Run: a witness that is exact")
steps = 10.0 ** np.arange(-20, 0)
point, exact = 0.8, 1 - np.tanh(0.8) ** 2
central = [abs((np.tanh(point + s) - np.tanh(point - s)) / (2 * s) - exact) / exact for s in steps]
complex_step = [abs(np.tanh(point + 1j * s).imag / s - exact) / exact for s in steps]
fig, ax = plt.subplots(figsize=(6.4, 3.6))
ax.loglog(steps, np.maximum(central, 1e-17), color=ORANGE, marker="o", label="central difference")
ax.loglog(
    steps,
    np.maximum(complex_step, 1e-17),
    color=GREEN,
    marker="s",
    label="complex step  Im f(x + ih) / h",
)
ax.axhline(np.finfo(float).eps, color=BLACK, lw=0.8, ls=":", label="rounding, 2.2e-16")
ax.set(
    xlabel="step h",
    ylabel="relative error of tanh'(0.8)",
    title="A complex step subtracts nothing, so it loses nothing",
)
ax.legend()
lesson.figure("complex_step", fig, {"h": steps, "central": central, "complex": complex_step})
print(
    f"relative error of tanh'(0.8): {min(central):.1e} by the best difference, "
    f"{complex_step[0]:.1e} by a complex step"
)
print(
    "A difference of two close numbers loses digits; a complex step takes no difference.  It is "
    "the witness from here on."
)

# %% Inspect: walk back step by step
lesson.cell("Inspect: the backward pass, step by step")
W.zero_grad()
b.zero_grad()
trace = mg.trace(loss)
print(trace.text())
print(
    "\n`in-grad` is the shape of what comes in; `check` compares each rule with its own forward.  "
    "Step 5 in full:\n"
)
print(trace.text(step=5))
lesson.page("backward_pass", trace)
program = mg.emit_numpy(loss)
print(
    "\nThe same as a program, printed from the same rules (above this stand x, W and b, digit for "
    "digit):\n"
)
print(program[program.index("# forward") :])

# %% Verify: every rule of this graph, against its own forward
lesson.cell("Verify: the graph proves itself")
print(
    "each rule of this graph against a complex step of its own forward, with random numbers "
    "(errors are relative):"
)
print(mg.check_graph(loss))
print("and the gradient of the gradient, element by element (order=2):")
print(mg.gradcheck(lambda W, b: (mg.tanh(x @ W + b) ** 2).sum() / 2, W, b, order=2))

# %% Break it: one wrong sign
lesson.cell("Break it: find the planted bug")
with wrong_rule("tanh", "x", "g * (1 + y * y)")():
    print(mg.check_graph(loss))
print(
    "The law is y = tanh x, and tanh' = 1 - tanh^2: the sign was wrong, and check_graph named the "
    "op and the line."
)

# %% Break it: a NaN that nobody computed
lesson.cell("Break it: NaN through the branch that was not chosen")
u = mg.tensor([0.0, 2.0], requires_grad=True)
with np.errstate(divide="ignore", invalid="ignore"):
    trap = mg.where(u > 0, mg.log(u), 0.0).sum()
    trap.backward()
    answer = mg.why(u, trap)
print(f"where(u > 0, log u, 0) at u = 0: gradient {u.grad}   (0 * 1/0 is NaN, in every engine)")
print(f"mg.why(u, trap) says: {answer}")
u.zero_grad()
safe = mg.where(u > 0, u, 1.0)
mg.where(u > 0, mg.log(safe), 0.0).sum().backward()
print(f"with a second where inside: gradient {u.grad}   (log never sees the 0)")

# %% [markdown]
# ## Exercises
#
# 1. Take the sum over axis 0 out of the gradient of `b` (use `W.grad` and `b.grad` above and
#    NumPy).  Which shape do you get, and what does `mg.check_graph` say about a rule that returns
#    it?
# 2. Write `softplus` with `mg.log(1 + mg.exp(x))` and look at its gradient at x = 1000.  What does
#    `mg.softplus` do?
# 3. `mg.gradcheck(lambda t: mg.abs(t), np.zeros(3))`: why do the two sides agree, although |t| has
#    no slope at 0?
# 4. Call `loss.backward()` twice.  Which `.grad` changes, and why is that useful for large batches?

# %% Recap
lesson.finish()
