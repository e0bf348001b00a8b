# %% [markdown]
# # Lesson 3: non-linear hidden units have no advantage over PCA
#
# **Goal.** Put tanh, sigmoid and ReLU units between two layers of weights, train, and see that no
# loss falls below PCA's, however long you train.  (Bishop & Bishop, section 19.1.1; Bourlard & Kamp
# 1988.)
#
# The next cell holds all that you may want to change; the rest follows.

# %% Settings
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.models import TwoLayerAutoencoder
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, Lesson, draw_network

lesson = Lesson("03_nonlinear_hidden_units", "about 8 s; --fast 5 s")
X = mg.data.digits()[0][: 500 if lesson.fast else None]  # yours: X = mg.data.load_matrix("t.csv")
M = 2  # hidden units, fewer than X has columns
curve = mg.data.parabola()[0]  # (201, 2): points (t, t^2), for one hidden unit
evaluations = 80 if lesson.fast else 240  # of E and its gradient, in each training
starts = 2 if lesson.fast else 3
seed = lesson.seed

# %% Data
lesson.cell("Data")
X = np.asarray(X, dtype=float)  # float64: the tolerances below are those of its rounding
N, D = X.shape
M = min(M, D - 1)  # with M = D units PCA loses nothing, and there is nothing to compare
lesson.settings(X=X, M=M, curve=curve, evaluations=evaluations, starts=starts, seed=seed)
variance = 0.5 * np.sum((X - X.mean(axis=0)) ** 2)  # E of the best constant output
best = analytic.pca(X).optimal_loss(M)
fewer = analytic.pca(X).optimal_loss(M - 1) if M > 1 else variance
print(f"PCA's loss with M = {M}: {best:.6g}, {best / variance:.2%} of the variance")

# %% Predict
lesson.cell("Predict")
lesson.predict("curve")  # can the network follow data that lie on a curve?
lesson.predict("infimum")  # which tanh network has exactly PCA's loss?
lesson.predict("relu")  # and ReLU?

# %% Words
lesson.cell("Words")
lesson.words("PCA's loss", "infimum", "closure", "rel.")

# %% [markdown]
# ## Build
#
# | slide | code |
# |---|---|
# | $z = h(W_1 x + b_1)$, M hidden units | `Z = h(X @ W1.T + b1)` (data are rows) |
# | $y = W_2 z + b_2$, linear outputs | `Y = Z @ W2.T + b2` |
# | $E(w) = \frac12 \sum_n \lVert y(x_n; w) - x_n \rVert^2$ | `0.5 * ((Y - X) ** 2).sum()` |
#
# Look at the second line.  Whatever h is, each output is $b_2$ plus a combination of the M columns
# of $W_2$: all outputs lie in one flat M-dimensional plane.  Among all ways to put points of such a
# plane beside the data, the projection onto the plane through the mean along the first M principal
# components is the best (that is PCA).  So E is at least PCA's loss, for all weights.

# %% Build
lesson.cell("Build: the slide's network")
UNITS = {"tanh": mg.tanh, "sigmoid": mg.sigmoid, "relu": mg.relu}
COLOR = {"tanh": BLUE, "sigmoid": ORANGE, "relu": GREEN}


def new_weights(D, M, seed, bias=0.0):
    """W1 (M, D), b1 (M,), W2 (D, M), b2 (D,)."""
    rng = np.random.default_rng(seed)
    size = np.sqrt(2 / (D + M))
    W1, W2 = size * rng.standard_normal((M, D)), size * rng.standard_normal((D, M))
    return [mg.tensor(v, requires_grad=True) for v in (W1, np.full(M, bias), W2, np.zeros(D))]


def network(X, h, W1, b1, W2, b2):
    Z = h(X @ W1.T + b1)
    return Z @ W2.T + b2


def E(X, h, *weights):
    return 0.5 * ((network(X, h, *weights) - X) ** 2).sum()


weights = new_weights(D, M, seed)
model = TwoLayerAutoencoder(D, M, activation="tanh", rng=np.random.default_rng(seed))
for p, w in zip(model.parameters(), weights, strict=True):
    p.data = w.data.T.copy()  # the library's weights are transposed: x @ weight
print(model)
print(f"E of these lines {E(X, mg.tanh, *weights).item():.12g}, of the class {model.loss(X):.12g}")
fig, ax = plt.subplots(figsize=(5.6, 3.8))
columns = ["inputs", "hidden: $h(\\cdot)$", "outputs: linear"]
draw_network(ax, [5, 2, 5], columns, ["$W_1, b_1$", "$W_2, b_2$"])
ax.set_title("The bend is in the middle: the outputs lie in a plane")
lesson.figure("network", fig, {"units": [D, M, D]})

# %% [markdown]
# ## Train
#
# L-BFGS, as in lesson 2.  After every four of its iterations E is noted, and the length (Frobenius
# norm) of $W_2$, which will matter below.  Each line is a random start.

# %% Train
lesson.cell("Train: three kinds of units, by L-BFGS")


def train(X, h, weights, evaluations):
    """(evaluations so far, E, ||W2||) on the way, and the lowest E of all evaluations."""
    seen = []

    def closure():
        loss = E(X, h, *weights)
        loss.backward()
        seen.append(loss.item())
        return loss

    path = [(1, E(X, h, *weights).item(), np.linalg.norm(weights[2].data))]
    optimizer = mg.optim.LBFGS(weights, history=20, max_iter=4)
    while len(seen) < evaluations:
        loss = optimizer.step(closure)
        path.append((len(seen), loss, np.linalg.norm(weights[2].data)))
        if optimizer.converged:
            break
    return np.array(path).T, min(seen)


runs, trained, lowest = {}, {}, np.inf
print("E - PCA's loss, as a share of the variance:")
for name, h in UNITS.items():
    for start in range(starts):
        weights = new_weights(D, M, [seed, start])
        runs[name, start], least = train(X, h, weights, evaluations)
        trained[name, start] = weights
        lowest = min(lowest, least)
        count, losses, _ = runs[name, start]
        above = (losses - best) / variance
        print(
            f"  {name:<8} start {start}: {above[0]:8.4f} at the start, {above[-1]:.2e} after "
            f"{count[-1]:.0f} evaluations"
        )
lesson.result("lowest E of all evaluations", lowest, at_least=best - 1e-12 * variance)
for name in UNITS:
    ends = [(runs[name, k][1, -1] - best) / variance for k in range(starts)]
    lesson.result(f"{name}: E above PCA's / variance, best start", min(ends))
alive = []
for start in range(starts):
    W1, b1, _, _ = trained["relu", start]
    alive.append(int((X @ W1.data.T + b1.data > 0).any(axis=0).sum()))
print(f"ReLU units that fire (are above 0) on any row at the end of each start, of {M}: {alive}")
print("(One that never fires has no gradient, so training cannot wake it; the others can do no")
print("better than PCA with as many units as are left.)")

# %% [markdown]
# The same with one hidden unit on `curve`, as shipped the points $(t, t^2)$, which one number t
# describes.  The bias of its ReLU unit starts at 3, so that the unit begins in its linear half on a
# curve as small as this one.

# %% Train: a curve
lesson.cell("Train: one hidden unit on a curve")
line, spread = analytic.pca(curve).optimal_loss(1), 0.5 * np.sum((curve - curve.mean(axis=0)) ** 2)
kinds = {"tanh": (mg.tanh, 0.0), "sigmoid": (mg.sigmoid, 0.0), "relu": (mg.relu, 3.0)}
on_curve, curve_lowest = {}, np.inf
for name, (h, bias) in kinds.items():
    for start in range(starts):
        weights = new_weights(curve.shape[1], 1, [seed, start], bias)
        on_curve[name, start], least = train(curve, h, weights, 2 * evaluations)
        curve_lowest = min(curve_lowest, least)
    ends = [(on_curve[name, k][1, -1] - line) / spread for k in range(starts)]
    print(f"  {name:<8} E above PCA's line / variance: {', '.join(f'{end:.1e}' for end in ends)}")
lesson.result("curve: lowest E of all", curve_lowest, at_least=line - 1e-12 * spread)

# %% Look: how far they come
lesson.cell("Look: the losses, above PCA's")
fig, (ax, right) = plt.subplots(1, 2, figsize=(9.5, 3.9))
for (name, start), (at, losses, _) in runs.items():
    above = np.maximum((losses - best) / variance, 1e-16)
    ax.loglog(at, above, color=COLOR[name], lw=1.2, label=None if start else name)
label = f"PCA with M = {M - 1}: one unit dead"
ax.axhline((fewer - best) / variance, color=BLACK, lw=0.8, ls=":", label=label)
ax.set(xlabel="evaluations of E", ylabel="E above PCA's / variance", title=f"X, M = {M}")
ax.legend(fontsize=8)
for (name, start), (at, losses, _) in on_curve.items():
    above = np.maximum((losses - line) / spread, 1e-16)
    label = f"ReLU, bias starts at {kinds[name][1]:g}" if name == "relu" else name
    right.loglog(at, above, color=COLOR[name], lw=1.2, label=None if start else label)
right.set(xlabel="evaluations of E", title="curve, M = 1")
right.legend(fontsize=8)
least = (lowest - best) / variance
fig.suptitle(f"Lowest E of all evaluations: {least:+.0e} of the variance from PCA's", weight="bold")
numbers = {f"{name} {k}": losses / variance for (name, k), (_, losses, _) in runs.items()}
lesson.figure("pressing", fig, {"pca": best / variance, **numbers})

# %% [markdown]
# ## How close can they come?
#
# Near 0, tanh a is a.  So make the input of the units small and the decoder large:
# $W_1 = \epsilon U^T$, $W_2 = U / \epsilon$, with U the first M components, and the offsets that
# centring would need.  With $a = U^T (x - \bar x)$ each unit gives back
# $\tanh(\epsilon a) / \epsilon = a - \epsilon^2 a^3 / 3 + \ldots$, an error that lies in the plane,
# while PCA's error is orthogonal to it.  So
#
# $$E - E_\mathrm{PCA} = \frac{\epsilon^4}{18} \sum a^6 + \ldots, \qquad
#   \text{and } \frac{\epsilon^4}{288} \sum a^6 \text{ for sigmoids } (W_2 = 4 U / \epsilon).$$
#
# PCA's loss is an infimum: halve $\epsilon$ and the gap falls to a sixteenth, without end, while
# $\lVert W_2 \rVert = \sqrt M / \epsilon$ grows without bound.  (N <= D + 1 points in general
# position are an exception: the input of a unit can then be chosen freely for each row, so tanh can
# give PCA's answers exactly, and there is a minimum.)

# %% Look: how close they can come
lesson.cell("Look: weights made from principal components, and what training does")
U = analytic.pca(X).components[:, :M]
mean = X.mean(axis=0)
a = (X - mean) @ U
sizes = 0.8 * 0.5 ** np.arange(7) / np.abs(a).max()
gaps, predicted = {"tanh": [], "sigmoid": []}, {}
for eps in sizes:
    W1, b1 = eps * U.T, -eps * U.T @ mean
    tanh = E(X, mg.tanh, W1, b1, U / eps, mean)
    sigmoid = E(X, mg.sigmoid, W1, b1, 4 * U / eps, mean - 2 / eps * U.sum(axis=1))
    gaps["tanh"].append(float(tanh) - best)
    gaps["sigmoid"].append(float(sigmoid) - best)
predicted["tanh"] = sizes**4 / 18 * np.sum(a**6)
predicted["sigmoid"] = sizes**4 / 288 * np.sum(a**6)
print("      eps    tanh: gap   predicted   sigmoid: gap   predicted")
for k, eps in enumerate(sizes):
    row = f"{eps:>9.3g} {gaps['tanh'][k]:>12.5g} {predicted['tanh'][k]:>11.5g}"
    print(f"{row} {gaps['sigmoid'][k]:>14.5g} {predicted['sigmoid'][k]:>11.5g}")
k = 3  # small enough for the first term, and large beside rounding
next_term = 0.8 * sizes[k] ** 2 * np.sum(a**8) / np.sum(a**6)
rounding = 1e-12 * variance / predicted["tanh"][k]
ratio = gaps["tanh"][k] / predicted["tanh"][k]
what = f"tanh, eps = {sizes[k]:.3g}: gap / predicted"
lesson.result(what, ratio, exact=1, tolerance=2 * next_term + rounding)

fig, (ax, right) = plt.subplots(1, 2, figsize=(9.5, 3.9))
for name in gaps:
    guide = {"color": BLACK, "lw": 1, "ls": "--", "label": "predicted" if name == "tanh" else None}
    ax.loglog(sizes, predicted[name], **guide)
    ax.loglog(sizes, np.maximum(gaps[name], 1e-300), "o", color=COLOR[name], ms=5, label=name)
    for start in range(starts):
        _, loss, norm = runs[name, start]
        label = None if start else f"{name}, training"
        right.loglog(
            norm, np.maximum(loss - best, 1e-300), ".-", color=COLOR[name], lw=1, label=label
        )
    length = np.sqrt(M) / sizes * (4 if name == "sigmoid" else 1)
    guide = {"color": COLOR[name], "lw": 1, "ls": "--", "label": f"{name}, made from U"}
    right.loglog(length, predicted[name], **guide)
low = max(min(predicted["tanh"].min(), predicted["sigmoid"].min()), 1e-12 * variance)
ax.set(xlabel="$\\epsilon$", ylabel="E above PCA's", ylim=(low / 2, None))
ax.set_title("Weights made from U")
ax.legend(fontsize=8)
right.set(xlabel="length of the decoder, $\\Vert W_2 \\Vert$", ylabel="E above PCA's")
right.set_ylim(low / 2, 2 * variance)
right.set_title("Training, and weights made from U")
right.legend(fontsize=8)
lesson.figure("infimum", fig, {"epsilon": sizes, "gap": gaps, "predicted": predicted})

# %% [markdown]
# ## Inspect
#
# The same lines with three features, one unit and two rows, small enough to follow by hand.  Look
# at the step of tanh: what is the gradient multiplied by there, and what becomes of it where the
# unit is close to 1 or -1?

# %% Inspect
lesson.cell("Inspect: where the bend enters the gradient")
x = mg.tensor([[1.0, 0.5, -1.0], [0.0, 1.0, 2.0]], name="x")
W1 = mg.tensor([[0.4, -0.2, 0.6]], requires_grad=True, name="W1")
b1 = mg.tensor([0.1], requires_grad=True, name="b1")
W2 = mg.tensor([[0.5], [-0.3], [0.2]], requires_grad=True, name="W2")
z = mg.tanh(x @ W1.T + b1)
y = z @ W2.T
loss = 0.5 * ((y - x) ** 2).sum()
trace = mg.trace(loss)
print(trace.text())
lesson.page("backward_pass", trace)

# %% Verify
lesson.cell("Verify: the gradient of E proves itself, on a few rows")
print(mg.check_graph(E(X[:50], mg.tanh, *trained["tanh", 0])))

# %% [markdown]
# ## Break it
#
# A colleague "helps" the outputs: `Y = network(...) + 0.1 * X`.  Does the bound still hold?  Look
# at the sign of what is printed.  (A plus sign decides nothing: training may not have come far.)

# %% Break it
lesson.cell("Break it: the colleague's network")
lesson.predict("helped")  # can E lie below PCA's loss now?
weights = new_weights(D, M, seed)


def closure():
    Y = network(X, mg.tanh, *weights) + 0.1 * X
    loss = 0.5 * ((Y - X) ** 2).sum()
    loss.backward()
    return loss


optimizer = mg.optim.LBFGS(weights, history=20, max_iter=evaluations, max_evaluations=evaluations)
helped = optimizer.step(closure)
print(f"E - PCA's loss is {(helped - best) / variance:+.4f} of the variance")

# %% [markdown]
# ## Exercises
#
# Two faults of networks with one hidden layer that run without an error.  `minigrad-ae exercise
# start N` copies a blank into your folder, and `minigrad-ae exercise check N` judges it: it names
# the misconception, not the answer.
#
# 1. `minigrad-ae exercise start 19`: an output in a column, targets in a row: training ends at the
#    mean.
# 2. `minigrad-ae exercise start 20`: start weights that are all equal: many units, and one of them.

# %% Answers
lesson.cell("Answers to what you predicted")
lesson.answers(alive=alive, units=M, helped=(helped - best) / variance)

# %% Recap
lesson.finish()

# %% [markdown]
# ## What you can do now
#
# - Say why two layers cannot beat PCA, and what to look for where somebody claims that they do.
# - Recognise a loss that creeps towards an infimum by weights that grow.
# - Find dead ReLU units.
# - Train one on your table: `minigrad-ae train two-layer --data table.csv --latent 2`.
