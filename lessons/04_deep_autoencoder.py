# %% [markdown]
# # Lesson 4: a deep autoencoder is a non-linear PCA
#
# **Goal.** Put two more layers around the code, so that the network can lay a curved surface
# through data where PCA has only planes; then see what it costs: a non-linear optimisation, ends
# that depend on the start, and an M that must be chosen beforehand.  (Bishop & Bishop, section
# 19.1.2.)
#
# The next cell holds all that you may want to change.  Whatever you put there, the rest follows:
# what is trained, drawn and said.

# %% Settings
import json

import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.experiments.deep import (
    BASIN,
    DEEPER,
    TWENTY,
    curvatures,
    gradient,
    newton,
)
from minigrad_ae.experiments.run import with_weights
from minigrad_ae.models import DeepAutoencoder
from minigrad_ae.nn import Linear
from minigrad_ae.teaching.figures import CLASSES, show_rows
from minigrad_ae.teaching.lesson import BLACK, BLUE, ORANGE, RED, SKY, Lesson, draw_network

lesson = Lesson("04_deep_autoencoder", "about 27 s; --fast 9 s")
X, y = mg.data.digits()  # (1797, 64); yours: X = mg.data.load_matrix("table.csv"), rows are data
M = 2  # units of the code, at most as many as X has columns: chosen before training
H = 128  # hidden units in layers 1 and 3
activation = "sigmoid"  # of layers 1 and 3, as on the slide; or "tanh", "relu"
steps = 300 if lesson.fast else 600  # of Adam, 64 rows each
starts = 2 if lesson.fast else 3  # random starts
seed = lesson.seed
curve = mg.data.helix()[0]  # (301, 3): made up, for the side show; three columns, rows in order

# %% Data
lesson.cell("Data")
X = np.asarray(X, dtype=float)  # float64: the tolerances below are those of its rounding
N, D = X.shape
lesson.settings(X=X, M=M, H=H, activation=activation, steps=steps, starts=starts, seed=seed)
rng = np.random.default_rng(seed)
order = rng.permutation(N)
count = max(1, N // 5)
test_rows, train_rows = order[:count], order[count:]  # a fifth is kept for the test
mean = X[train_rows].mean(axis=0)
scale = np.sqrt(np.mean((X[train_rows] - mean) ** 2))  # one number for all columns
train, test = (X[train_rows] - mean) / scale, (X[test_rows] - mean) / scale
labels = np.asarray(y)[test_rows] if np.size(y) == N else None
if labels is not None and len(np.unique(labels)) > 20:
    labels = None
print(f"{len(train)} rows to train on, {len(test)} to test")
print(f"labels: {'none that fit' if labels is None else f'{len(np.unique(labels))} classes'}")

# %% Predict
lesson.cell("Predict")
lesson.predict("deep-or-pca")  # with the same M: which of the two leaves less of your test rows?
lesson.predict("curve")  # one curved dimension, or two flat ones?
lesson.predict("starts")  # does every start end in the same place?

# %% Words
lesson.cell("Words")
lesson.words("latent unit", "closure", "minibatch", "share of variance left", "rel.")

# %% [markdown]
# ## Build
#
# The slide's network is two maps, one after the other:
#
# | slide | code |
# |---|---|
# | layer 1, sigmoidal: $h_1 = s(W_1 x + b_1)$ | `layer1 = Linear(D, H, activation=activation)` |
# | layer 2, linear: $z = W_2 h_1 + b_2$, so $z = F_1(x)$ | `z = layer2(layer1(x))` |
# | layer 3, sigmoidal: $h_2 = s(W_3 z + b_3)$ | `layer3 = Linear(M, H, activation=activation)` |
# | layer 4, linear: $y = W_4 h_2 + b_4$, so $y = F_2(z)$ | `y = layer4(layer3(z))` |
# | $E(w) = \frac12 \sum_n \lVert y(x_n; w) - x_n \rVert^2$ | `0.5 * ((y - x) ** 2).sum()` |
#
# $F_1$ turns D numbers into M.  $F_2$ turns M numbers into a point of the data space; as z moves,
# this point runs over a surface of M dimensions, and $s$ may bend it.  With linear layers 1 and 3
# it would be a plane, and the best plane is PCA's (lesson 2).  With layer 3 alone left out, or with
# two layers only, the outputs still lie on a plane (lesson 3).
#
# The mean was subtracted from the rows, and they were divided by one number.  That makes no
# difference to PCA, but it does to Adam, whose steps have a fixed size.  After that
# $\sum_n \lVert x_n \rVert^2$ measures the variance, and the errors below are shares of it: 0 is
# perfect, and 1 is what answering with the mean of the training rows leaves.

# %% Build
lesson.cell("Build: the slide's network")
start = np.random.default_rng([seed, 0])
layer1 = Linear(D, H, activation=activation, rng=start)
layer2 = Linear(H, M, rng=start)
layer3 = Linear(M, H, activation=activation, rng=start)
layer4 = Linear(H, D, rng=start)
layers = [layer1, layer2, layer3, layer4]
weights = [p for layer in layers for p in layer.parameters()]


def F1(x):
    return layer2(layer1(x))


def F2(z):
    return layer4(layer3(z))


def E(x):
    """1/2 sum over data and features of (y - x)^2."""
    return 0.5 * ((F2(F1(x)) - x) ** 2).sum()


model = DeepAutoencoder(D, M, H, activation=activation, rng=np.random.default_rng([seed, 0]))
print(model)
values = [E(train).item(), model.loss(train).item()]  # the same generator: the same weights
print(f"E of these lines          {values[0]:.12g}")
print(f"E of the library's class  {values[1]:.12g}")
lesson.result(
    "E here and in the class: difference, rel.",
    values[1] / values[0] - 1,
    exact=0,
    tolerance=1e-12,
)
fig, ax = plt.subplots(figsize=(7.6, 4.2))
columns = [
    "inputs",
    f"layer 1:\n{activation}",
    "layer 2, the code:\nlinear",
    f"layer 3:\n{activation}",
    "outputs:\nlinear",
]
draw_network(ax, [5, 6, 2, 6, 5], columns, ["", "", "", ""])
for x0, label in ((0.15, "$F_1$: D features to M numbers"), (2.15, "$F_2$: and back")):
    arrow = {"arrowstyle": "->", "color": RED, "lw": 1.5}
    ax.annotate("", (x0 + 1.7, 3.3), (x0, 3.3), arrowprops=arrow)
    ax.text(x0 + 0.85, 3.42, label, ha="center", color=RED)
ax.set_ylim(-4.0, 3.8)
for text in ax.texts:
    text.set_fontsize(9)
ax.set_title("Four layers of weights: the slide's network")
lesson.figure("network", fig, {"units": [D, H, M, H, D]})

# %% [markdown]
# ## Train
#
# No formula gives the best weights, and E is not convex: "computationally intensive nonlinear
# optimization techniques must be used", says the slide.  Here it is Adam, on a minibatch of 64 rows
# at each step.  E of a minibatch is divided by its number of rows, so that the step does not depend
# on that number, and the step size falls to 0 along a cosine, which lets the weights settle.  Look
# at the last two columns: as long as train and test fall together, the network learns what the rows
# have in common; where only train goes on falling, it learns the rows themselves.

# %% Train: Adam
lesson.cell("Train: Adam on minibatches")


def left(y, x):
    """Of the variance of these rows (around the training mean), the share that y leaves."""
    return float(((np.asarray(y) - x) ** 2).sum() / (x**2).sum())


batches = np.random.default_rng([seed, 1])
optimizer = mg.optim.Adam(weights, lr=0.01)
rate = mg.optim.cosine_schedule(optimizer, steps)
print("   step    minibatch     train      test   (shares of variance left)")
for step in range(steps):
    x = train[batches.choice(len(train), min(64, len(train)), replace=False)]
    rate(step)  # sets optimizer.lr
    optimizer.zero_grad()
    loss = E(x) / len(x)
    loss.backward()
    optimizer.step()
    if (step + 1) % max(1, steps // 6) == 0:
        now = left(F2(F1(train)).numpy(), train), left(F2(F1(test)).numpy(), test)
        print(f"{step + 1:>7} {2 * loss.item() / np.mean((x**2).sum(1)):>12.4f}", end="")
        print(f" {now[0]:>9.4f} {now[1]:>9.4f}")
principal = analytic.pca(train)
deep = {"train": left(F2(F1(train)).numpy(), train), "test": left(F2(F1(test)).numpy(), test)}
pca = {"train": left(principal.reconstruct(train, M), train)}
pca["test"] = left(principal.reconstruct(test, M), test)
for name, found in (("deep", deep), ("PCA", pca)):
    print(f"{name:<5} M = {M}: train {found['train']:.4f}, test {found['test']:.4f}")
    lesson.result(f"{name}: share of variance left, train", found["train"])
    lesson.result(f"{name}: share of variance left, test", found["test"])

# %% [markdown]
# The comparison is fair in one way only: both pass on the same number M of values.  The deep
# network has many more weights.  With $H \ge M$ it *can* come as close as you like to what PCA does
# (small weights in layers 1 and 3 use the nearly straight part of $s$), so the infimum of its E on
# the training rows is not above PCA's.  But training need not find such weights, and nothing is
# promised about the test rows.
#
# Rows that were not used for training, in the units of X:

# %% Look: reconstructions
lesson.cell("Look: test rows, and what is left of them")
few = test[:10]
pictures = {"x": few, "deep": F2(F1(few)).numpy(), "PCA": principal.reconstruct(few, M)}
pictures = {name: mean + scale * rows for name, rows in pictures.items()}
limits = float(pictures["x"].min()), float(pictures["x"].max())
fig, axes = plt.subplots(3, 1, figsize=(7.6, 3.6))
for ax, (name, rows) in zip(axes, pictures.items(), strict=True):
    show_rows(ax, rows, name, limits)
fig.suptitle(
    f"{len(few)} test rows through M = {M}; of all: deep leaves {deep['test']:.3f}, "
    f"PCA {pca['test']:.3f}",
    weight="bold",
)
lesson.figure("reconstructions", fig, {"deep": deep, "pca": pca})

# %% [markdown]
# **What do M numbers say about a row?**  The figure shows the codes of the test rows, PCA's on the
# left and $z = F_1(x)$ on the right (the first two of them; if M = 1, the height is random and only
# separates the points).  No label was used in training.  Where there are labels, the titles say how
# often the nearest neighbour, by all M numbers, has the same label.

# %% Look: codes
lesson.cell("Look: the codes")
codes = {"PCA": test @ principal.components[:, :M], "deep": F1(test).numpy()}


def neighbours_agree(z, labels):
    """The share of rows whose nearest neighbour among the others has their label."""
    distance = ((z[:, None] - z) ** 2).sum(axis=-1)
    np.fill_diagonal(distance, np.inf)
    return float(np.mean(labels[distance.argmin(axis=1)] == labels))


fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.2))
agree = {}
for ax, (name, z) in zip(axes, codes.items(), strict=True):
    places = z[:, :2] if M > 1 else np.stack([z[:, 0], rng.random(len(z))], axis=1)
    ax.set(xlabel="$z_1$", ylabel="$z_2$" if M > 1 else "random", title=f"{name}: codes")
    if labels is None:
        ax.scatter(*places.T, color=BLUE, s=10)
        continue
    for k, label in enumerate(np.unique(labels)):
        marker = f"${label}$" if len(str(label)) < 3 else "o"
        look = {"color": CLASSES[k % len(CLASSES)], "marker": marker, "s": 28, "lw": 0.2}
        ax.scatter(*places[labels == label].T, **look, label=str(label))
    agree[name] = neighbours_agree(z, labels) if len(labels) > 1 else np.nan
    ax.set_title(f"{name}: nearest neighbour alike for {agree[name]:.0%}")
    print(f"{name}: nearest neighbour of the same label {agree[name]:.1%}")
    lesson.result(f"{name}: nearest neighbours of the same label, share", agree[name])
lesson.figure("codes", fig, {"nearest_neighbours_of_the_same_label": agree})

# %% [markdown]
# ## What it costs
#
# "Computationally intensive", counted in products of two numbers.  A layer of I inputs and J
# outputs takes I J of them for each row, once on the way forward, once for the gradient of its
# weights, and once for that of its inputs, which layer 1 does not need.  The layers have $H D$,
# $H M$, $M H$ and $H D$ weights, so one evaluation of E and its gradient on N rows takes
# $N H (5 D + 6 M)$ products.  A singular value decomposition, which gives PCA for every M at once,
# takes about $N D^2 + 6 D^3$ (Golub & Van Loan, 8.6).

# %% Look: what it costs
lesson.cell("Look: what it costs")
once = len(train) * H * (5 * D + 6 * M)
training = steps * min(64, len(train)) * H * (5 * D + 6 * M)
svd = len(train) * D**2 + 6 * D**3
print(f"one evaluation of E and its gradient, all rows  {once:>16,} products")
print(f"the training above, {steps} steps                 {training:>16,}")
print(f"PCA by SVD, about                               {svd:>16,}")
print(f"training / SVD: {training / svd:.3g}")
lesson.result("products: the training / PCA by SVD", training / svd)

# %% [markdown]
# ## M has to be chosen beforehand
#
# PCA with M components contains PCA with M - 1: compute once, cut anywhere.  A deep network has to
# be trained anew for each M, and its units have no order.  The loop from above, repeated as a
# function (with the library's class, which has the same E, as shown above):

# %% Train: other M
lesson.cell("Train: the same loop for other M")


def trained(m, start):
    """A network with m units in the code, trained as above from another start."""
    model = DeepAutoencoder(
        D, m, H, activation=activation, rng=np.random.default_rng([seed, start])
    )
    batches = np.random.default_rng([seed, start, 1])
    optimizer = mg.optim.Adam(model.parameters(), lr=0.01)
    rate = mg.optim.cosine_schedule(optimizer, steps)
    for step in range(steps):
        x = train[batches.choice(len(train), min(64, len(train)), replace=False)]
        rate(step)
        optimizer.zero_grad()
        loss = model.loss(x) / len(x)
        loss.backward()
        optimizer.step()
    return left(model(train).numpy(), train), left(model(test).numpy(), test), model


sizes = sorted({m for m in ((4,) if lesson.fast else (1, 2, 4, 8, 16, 32)) if m <= D} | {M})
table = {}
print("  m   PCA, train   PCA, test   deep, train   deep, test   (shares of variance left)")
for m in sizes:
    flat = [left(principal.reconstruct(rows, m), rows) for rows in (train, test)]
    found = (deep["train"], deep["test"]) if m == M else trained(m, 0)[:2]
    table[m] = [*flat, *found]
    print(f"{m:>3} {flat[0]:>12.4f} {flat[1]:>11.4f} {found[0]:>13.4f} {found[1]:>12.4f}")
fig, ax = plt.subplots(figsize=(6.4, 3.9))
curves = np.array(list(table.values())).T
looks = {
    "PCA, train": (BLACK, "--"),
    "PCA, test": (BLACK, "-"),
    "deep, train": (BLUE, "--"),
    "deep, test": (BLUE, "-"),
}
for values, (name, (color, line)) in zip(curves, looks.items(), strict=True):
    ax.plot(sizes, values, marker="o", ms=4, color=color, ls=line, label=name)
ax.set_xscale("log", base=2)
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.set(xlabel="M, units of the code", ylabel="share of variance left", ylim=(0, None))
below = int(np.sum(curves[3] < curves[1]))
ax.set_title(f"On test rows deep is below PCA for {below} of {len(sizes)} M ({steps} steps)")
ax.legend()
lesson.figure("error_against_m", fig, {"M": sizes, **dict(zip(looks, curves, strict=True))})

# %% [markdown]
# Look for the M at which the deep network's advantage is largest, and whether it lasts: with a wide
# code little is left to gain by bending, and training has to find what PCA gives at once.  (On the
# digits as shipped, 600 steps: at M = 32 PCA wins.)
#
# Larger pictures need minutes.  The next lines are shipped measurements on MNIST, not of this run.

# %% Look: MNIST, as shipped
lesson.cell("Look: shipped measurements on MNIST")
mnist = json.loads(mg.data.shipped("04_mnist.json").read_text(encoding="utf-8"))
print(f"made by {mnist['command']}")
print("squared error, a sum over 784 pixels, mean of 10,000 test images, median of seeds:")
for row in mnist["rows"]:
    ours, theirs = row["ours"], row["torch"]
    print(
        f"  {row['name']:<26} {ours['median']:6.3f} (PCA {row['pca']:.2f}, torch "
        f"{theirs['median']:.3f}); CPU {np.mean(ours['cpu']):.0f} s "
        f"(torch {np.mean(theirs['cpu']):.0f} s)"
    )

# %% [markdown]
# ## What F1 and F2 do, in three dimensions
#
# To *see* the surface, data with three columns: `surface` is made up, a grid of 21 x 21 points on a
# saddle $x_3 = u^2 - v^2 / 2$; M = 2.  For so few data L-BFGS is the better method.  It calls a
# closure for E and its gradient on *all* rows, and learns the curvature from the gradients it sees.
# Errors of the made-up data are mean squared errors (a sum over features, a mean over rows).
#
# In the figure each point keeps its shade.  Left the data, in the middle the codes, and right the
# wires: what $F_2$ makes of these codes.

# %% Train: L-BFGS on a surface
lesson.cell("Train: L-BFGS on a made-up surface, and what F1 and F2 do there")
evaluations = 150 if lesson.fast else 600


def fall(model, x):
    """Train by L-BFGS; the mean squared error at each evaluation of E, and at the end."""
    errors = []

    def closure():
        loss = model.loss(x)
        loss.backward()
        errors.append(2 * loss.item() / len(x))
        return loss

    limit = {"max_iter": evaluations, "max_evaluations": evaluations}
    mg.optim.LBFGS(model.parameters(), history=20, **limit).step(closure)
    return np.array([*errors, 2 * model.loss(x).item() / len(x)])


surface = mg.data.arch()[0]
bent = DeepAutoencoder(3, 2, 16, rng=np.random.default_rng([seed, 2]))
bent_error = fall(bent, surface)[-1]
plane = 2 * analytic.pca(surface).optimal_loss(2) / len(surface)
print(f"surface, M = 2: mean squared error {bent_error:.2e}; PCA's plane {plane:.4f}")
z = bent.encode(surface)
wires = bent.decode(z).numpy().reshape(21, 21, 3)  # the points are an even grid
z, shade = z.numpy(), surface[:, 0]
fig = plt.figure(figsize=(9.5, 3.6))
places = fig.add_gridspec(1, 5, width_ratios=[1, 0.2, 0.8, 0.12, 1])
first = fig.add_subplot(places[0], projection="3d")
middle = fig.add_subplot(places[2])
last = fig.add_subplot(places[4], projection="3d")
first.scatter(*surface.T, c=shade, cmap="cividis", s=6)
first.set_title("data space: the points $x$")
middle.scatter(*z.T, c=shade, cmap="cividis", s=6)
middle.set(xlabel="$z_1$", ylabel="$z_2$", title="code: $z = F_1(x)$")
last.plot_wireframe(*np.moveaxis(wires, -1, 0), color=BLUE, lw=0.5)
last.scatter(*surface.T, c=shade, cmap="cividis", s=3)
last.set_title("the surface $y = F_2(z)$")
for ax in (first, last):
    ax.set(xlabel="$x_1$", ylabel="$x_2$", zlim=(-0.6, 1.1))
    ax.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zticks=[0, 1])
    ax.set_zlabel("$x_3$", labelpad=-10)
for place, name in ((1, "$F_1$"), (3, "$F_2$")):
    ax = fig.add_subplot(places[place])
    arrow = {"arrowstyle": "->", "color": RED, "lw": 2}
    ax.annotate("", (1, 0.5), (0, 0.5), xycoords="axes fraction", arrowprops=arrow)
    ax.text(0.5, 0.55, name, ha="center", color=RED, transform=ax.transAxes)
    ax.axis("off")
fig.suptitle(
    f"M = 2: the deep network's error is {bent_error:.0e}, that of PCA's plane {plane:.2f}",
    weight="bold",
)
lesson.figure("maps", fig, {"error": bent_error, "pca_plane": plane, "code": z[::20]})

# %% [markdown]
# **One curved dimension.**  The same function on `curve` of the first cell, with M = 1: the better
# of two starts.  PCA may use a line (M = 1), and a whole plane (M = 2).  The right panel shows the
# code along the curve: if it only rises or only falls, z is a coordinate on the curve; where it
# turns back, two places share a code, and $F_2$ can give only one answer to both.

# %% Train: a curve
lesson.cell("Train: one curved dimension, on the made-up curve")
found = analytic.pca(curve)
flat = [2 * found.optimal_loss(m) / len(curve) for m in (1, 2)]
runs = []
for k in range(2):
    net = DeepAutoencoder(3, 1, 16, rng=np.random.default_rng([seed, 3, k]))
    runs.append((fall(net, curve)[-1], k, net))
curved, _, net = min(runs)
print("mean squared error, M = 1:", ", ".join(f"start {k} {e:.1e}" for e, k, _ in runs))
print(f"PCA: line (M = 1) {flat[0]:.4f}, plane (M = 2) {flat[1]:.4f}")
z = net.encode(curve).numpy()[:, 0]
turns = int(np.sum(np.diff(np.sign(np.diff(z))) != 0))
print(f"along the curve the code changes its direction {turns} times")
fig = plt.figure(figsize=(9.5, 4.0))
ax, right = fig.add_subplot(121, projection="3d"), fig.add_subplot(122)
ax.plot(*curve.T, ".", color=SKY, ms=5, label="curve")
ax.plot(*net(curve).numpy().T, color=BLUE, lw=1.5, label=f"deep, M = 1: error {curved:.0e}")
reach = 1.2 * np.abs((curve - found.mean) @ found.components[:, :2]).max(axis=0)
corners = reach * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
edge = found.mean + corners @ found.components[:, :2].T
ax.plot(*edge.T, color=ORANGE, lw=1.2, label=f"PCA's plane, M = 2: error {flat[1]:.2g}")
ax.plot(*found.reconstruct(curve, 2).T, color=ORANGE, ls=":", lw=1.2)
ax.legend(loc="upper left", fontsize=8, bbox_to_anchor=(-0.1, 1.02))
ax.set(xlabel="$x_1$", ylabel="$x_2$", zlabel="$x_3$")
ax.locator_params(nbins=4)
ax.view_init(elev=24, azim=-35)
right.plot(z, color=BLUE)
right.set(xlabel="row number, along the curve", ylabel="code z")
right.set_title(f"The code changes its direction {turns} times")
fig.suptitle(
    f"Errors: one curved dimension {curved:.0e}, two flat ones {flat[1]:.2g}", weight="bold"
)
lesson.figure(
    "curve", fig, {"deep": curved, "pca_line": flat[0], "pca_plane": flat[1], "code": z[::10]}
)

# %% [markdown]
# ## Where it ends depends on where it starts
#
# "There is the risk of finding a sub-optimal local minimum."  The linear autoencoder of lesson 2
# had only saddles beside its minimum.  Here `trained` runs again, with the same data, M and steps,
# and nothing but the random numbers changed: the start and the minibatches.  Such a spread has two
# possible causes: different minima, and training that has not reached any.  A loss alone does not
# tell them apart.  The next cell therefore goes on where training usually stops, on `P`, lesson 3's
# parabola $(t, t^2)$ with 201 points, by L-BFGS from as many starts: look whether the curves in the
# middle panel are still falling where they end: such a network is in no minimum yet, whatever its
# loss.

# %% Train: other starts
lesson.cell("Train: other starts, on your data and on a parabola")
P = mg.data.parabola()[0]
again = [trained(M, k) for k in range(1, starts)]
ends = [(deep["train"], deep["test"]), *(run[:2] for run in again)]
for k, (one, other) in enumerate(ends):
    print(f"  your X, start {k}: train {one:.4f}, test {other:.4f} (share of variance left)")
spread = [max(column) - min(column) for column in zip(*ends, strict=True)]
lesson.result("spread of starts: largest - smallest share, train", spread[0])
falling = []
for k in range(starts):
    net = DeepAutoencoder(2, 1, 8, rng=np.random.default_rng([seed, 5, k]))
    falling.append(np.concatenate([fall(net, P), fall(net, P)]))
    half, end = falling[-1][len(falling[-1]) // 2], falling[-1][-1]
    print(f"  parabola, start {k}: error {half:.1e} halfway, {end:.1e} at the end")

# %% [markdown]
# **A minimum that is one.**  To show a local minimum, three things are needed: a gradient of 0,
# no direction in which E falls, and another place where E is lower.  `TWENTY` (of
# `experiments.deep`) are 20 points in three dimensions, three of them far out; the network is the
# slide's, 3-2-1-2-3. The weights `BASIN` were found by a search over random starts and rounded.
# From there (`with_weights` puts them in) L-BFGS and then Newton's method (`newton`) train on.
# `gradient` is all of $\partial E / \partial w$ in one vector, and `curvatures` are the
# eigenvalues of `mg.hessian` in all
# 24 weights.  Two of them have to be 0 at every stationary point: $z \to c z + d$, undone in
# layer 3, leaves E as it is.  If the other 22 are positive, every way out leads uphill.  The
# weights `DEEPER` are where another start had come to.

# %% Look: a local minimum
lesson.cell("Look: a local minimum (20 made-up points)")
points = np.array(TWENTY)


def small(weights):
    return with_weights(DeepAutoencoder(3, 1, 2, rng=np.random.default_rng(0)), *weights)


evaluations, before = 200, evaluations
stuck = small(BASIN)
fall(stuck, points)
newton(stuck, points, flat=2)
here, lower = stuck.loss(points).item(), small(DEEPER).loss(points).item()
slope, (bends, _) = float(np.linalg.norm(gradient(stuck, points))), curvatures(stuck, points)
uphill = int(np.sum(bends > 64 * 2.2e-16 * bends.max()))
print(f"E = {here:.9f}, norm of the gradient {slope:.0e}")
print(
    f"curvatures: two of {abs(bends[0]):.0e} and {abs(bends[1]):.0e}, then {bends[2]:.1e} ", end=""
)
print(f"to {bends.max():.1e}; {uphill} of {len(bends)} are positive")
print(f"another start has E = {lower:.4f}; PCA's line {analytic.pca(points).optimal_loss(1):.4f}")
lesson.result("local minimum: norm of the gradient", slope, exact=0, tolerance=1e-8)
lesson.result("local minimum: positive curvatures of 24", uphill, exact=22)
evaluations = before
fig, (ax, middle, right) = plt.subplots(1, 3, figsize=(10.5, 3.9))
for k, name in enumerate(("train", "test")):
    across = k + np.linspace(-0.2, 0.2, len(ends))
    ax.plot(across, [end[k] for end in ends], "o", color=BLUE, ms=5, label=None if k else "deep")
    ax.plot([k - 0.35, k + 0.35], 2 * [pca[name]], color=BLACK, ls="--", label=None if k else "PCA")
ax.set_xticks([0, 1], ["train", "test"])
ax.set(ylabel="share of variance left", title=f"X, M = {M}: {starts} starts", ylim=(0, None))
ax.legend(loc="lower left")
for errors in falling:
    middle.loglog(np.arange(1, len(errors) + 1), errors, color=ORANGE, lw=1.2)
level = analytic.parabola_residual()
middle.axhline(level, color=BLACK, ls="--", lw=1, label=f"PCA's line, {level:.3g}")
middle.set(xlabel="evaluations of E", ylabel="mean squared error")
middle.set_title(f"Parabola: {starts} starts")
middle.legend(loc="lower left")
noise = 64 * 2.2e-16 * bends.max()
count = np.arange(1, len(bends) + 1)
right.semilogy(count[:2], np.abs(bends[:2]), "x", color=RED, label="the two flat directions")
right.semilogy(count[2:], np.maximum(bends[2:], 1e-17), "o", color=BLUE, label="the others")
right.axhline(noise, color=BLACK, ls=":", lw=1, label="rounding of the largest")
right.set(xlabel="number of the direction", ylabel="curvature of E", ylim=(1e-17, 1e7))
right.set_title(f"E = {here:.2f}, elsewhere {lower:.2f}")
right.legend(loc="lower right")
numbers = {"this_run": ends, "pca": pca, "parabola": [errors[::20] for errors in falling]}
numbers |= {"local_minimum": here, "elsewhere": lower, "curvatures": bends, "gradient": slope}
lesson.figure("starts", fig, numbers)

# %% [markdown]
# So the risk is real, for this network and these points: nothing that goes downhill leaves the
# minimum, though E is lower elsewhere.  (Peaks in the middle panel are points that L-BFGS tries
# and rejects; the right panel shows the 24 curvatures.)  ReLU units have a risk of their own: one
# that is 0 for every row gets no gradient, and never comes back.
#
# **Are the codes nested?**  The first M units of PCA's code with M + 1 units *are* its code with M.
# For the deep network, regress the code of M units on that of M + 1, trained alike; $R^2$ is the
# share of its variance that a linear map explains, a mean over directions scaled to equal variance,
# so that the free choice of $z C + c$ does not matter.  It is 1 where one code contains the other.

# %% Look: is one code inside the next?
lesson.cell("Look: is the code of M units contained in that of M + 1?")
wider = min(M + 1, D)


def explained(z, other):
    """R^2 of the regression of z on the other code."""
    Q, P = (np.linalg.qr(code - code.mean(axis=0))[0] for code in (z, other))
    return float(np.sum((P.T @ Q) ** 2) / Q.shape[1])


ours = [F1(train).numpy(), *(run[2].encode(train).numpy() for run in again)]
wide = [trained(wider, k)[2].encode(train).numpy() for k in range(starts)]
shares = [explained(z, other) for z, other in zip(ours, wide, strict=True)]
flat_codes = train @ principal.components
inside = explained(flat_codes[:, :M], flat_codes[:, :wider])
print(f"PCA: R^2 = {inside:.15f}")
print("deep:", ", ".join(f"{share:.3f}" for share in shares), f"({starts} starts)")
lesson.result("PCA: R^2 of M units by M + 1", inside, exact=1, tolerance=1e-12)
lesson.result("deep: R^2 of M units by M + 1, mean of starts", np.mean(shares))

# %% [markdown]
# ## Which optimiser
#
# On a small problem all three can be compared at equal cost, in evaluations of E and its gradient
# on all rows of `P`, by a 2-8-1-8-2 network.  The step sizes did best of .1, .3 and 1 for SGD and
# .01 and .03 for Adam, on two other starts; they are not the best there are (SGD at .6, or with
# momentum, goes further).  PCA's line leaves .0907, and no two-layer network with one hidden unit
# can leave less (lesson 3).  Look for levels where a curve lingers: at .43 the outputs are
# constant, at .0907 they are PCA's line.  Peaks are points that L-BFGS tries and rejects.  Thin
# lines are the other starts.

# %% Look: three optimisers
lesson.cell("Look: three optimisers on the parabola of lesson 3")


def trace_of(name, start):
    """The network, and the errors of its training."""
    net = DeepAutoencoder(2, 1, 8, rng=np.random.default_rng([seed, 4, start]))
    if name == "L-BFGS":
        return net, fall(net, P)
    make = mg.optim.SGD if name.startswith("SGD") else mg.optim.Adam
    optimizer, errors = make(net.parameters(), lr=float(name.split()[-1])), []
    for _ in range(evaluations):
        optimizer.zero_grad()
        loss = net.loss(P) / len(P)
        loss.backward()
        errors.append(2 * loss.item())
        optimizer.step()
    return net, np.array(errors)


names = ("SGD, step 0.3", "Adam, step 0.03", "L-BFGS")
found = {name: [trace_of(name, k) for k in range(starts)] for name in names}
traces = {name: [errors for _, errors in several] for name, several in found.items()}
net = found["L-BFGS"][0][0]
fig, (ax, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), width_ratios=[3, 2])
for (name, several), color in zip(traces.items(), (RED, ORANGE, BLUE), strict=True):
    last = [errors[-1] for errors in several]
    print(f"  {name:<16} errors", ", ".join(f"{error:.1e}" for error in last))
    for k, errors in enumerate(several):
        label = None if k else f"{name}: {min(last):.0e} to {max(last):.0e}"
        look = {"color": color, "lw": 0.6 if k else 1.4, "label": label}
        ax.loglog(np.arange(1, len(errors) + 1), errors, **look)
ax.axhline(level, color=BLACK, ls="--", lw=1, label="PCA: .0907")
ax.set(xlabel="evaluations of E and its gradient", ylabel="mean squared error")
ax.set_title(f"{len(last)} starts; every evaluation is drawn")
ax.legend(fontsize=8)
right.plot(*P.T, color=SKY, lw=5, label="the points $(t, t^2)$")
right.plot(*net(P).numpy().T, color=BLUE, lw=1.2, label="four layers, L-BFGS")
right.plot(*analytic.pca(P).reconstruct(P, 1).T, color=BLACK, ls="--", lw=1, label="PCA")
right.set(xlabel="$x_1$", ylabel="$x_2$", ylim=(-0.1, 1.5), title="What M = 1 can draw")
right.legend(fontsize=8)
lesson.figure(
    "optimisers",
    fig,
    {name: [errors[::20] for errors in several] for name, several in traces.items()},
)

# %% [markdown]
# ## Inspect
#
# The slide's four layers by hand, small enough to follow: two points of the parabola, two hidden
# units, one number z.  Before you look: how many times does the backward pass go through a sigmoid
# on its way from E to W1, and by what does each multiply?

# %% Inspect
lesson.cell("Inspect: the backward pass of four layers")
x = mg.tensor([[-1.0, 1.0], [0.5, 0.25]], name="x")
W1 = mg.tensor([[1.0, -0.5], [0.5, 1.0]], requires_grad=True, name="W1")
b1 = mg.tensor([0.0, 0.1], requires_grad=True, name="b1")
W2 = mg.tensor([[1.0], [-1.0]], requires_grad=True, name="W2")
b2 = mg.tensor([0.2], requires_grad=True, name="b2")
W3 = mg.tensor([[0.5, -1.0]], requires_grad=True, name="W3")
b3 = mg.tensor([0.0, 0.3], requires_grad=True, name="b3")
W4 = mg.tensor([[1.0, 0.5], [-0.5, 1.0]], requires_grad=True, name="W4")
b4 = mg.tensor([0.1, 0.0], requires_grad=True, name="b4")
h1 = mg.sigmoid(x @ W1 + b1)
z = h1 @ W2 + b2
h2 = mg.sigmoid(z @ W3 + b3)
y = h2 @ W4 + b4
loss = 0.5 * ((y - x) ** 2).sum()
trace = mg.trace(loss)
print(trace.text())
lesson.page("backward_pass", trace)

# %% [markdown]
# ## Verify
#
# Two checks on the network trained above.  Each rule of the graph of E is compared with a numerical
# derivative.  And $y = F_2(F_1(x))$ must have a Jacobian of rank M at every x, since everything
# passes through M numbers: of its singular values, number M + 1 is 0 to rounding.

# %% Verify
lesson.cell("Verify: the gradient of E, and the rank of dy/dx, of the network trained above")
print(mg.check_graph(E(train[:20])))
slopes = mg.jacobian(lambda x: F2(F1(x)), test[:1]).reshape(D, D)
singular = np.linalg.svd(slopes, compute_uv=False)
sizes_of_weights = [float(np.linalg.norm(layer.weight.data)) for layer in layers]
rounding = 2.2e-16 * (D + H) * float(np.prod(sizes_of_weights))
print("largest singular values of dy/dx:", *(f"{s:.3g}" for s in singular[: M + 2]))
if M < D:
    lesson.result("dy/dx: singular value number M + 1", singular[M], exact=0, tolerance=rounding)

# %% [markdown]
# ## Break it
#
# One line changes: layer 3 loses its activation, so that $F_2$ is linear.  The network trains on
# `curve` as before, M = 1.  What is the least it can reach, however cleverly $F_1$ bends?

# %% Break it: one bend is missing
lesson.cell("Break it: one bend is missing")
lesson.predict("bend")  # and if layer 1 loses its activation instead?
missing = {}
for number in (3, 1):
    broken = DeepAutoencoder(3, 1, 16, rng=np.random.default_rng([seed, 3, 0]))
    straight = broken.layer3 if number == 3 else broken.layer1
    straight.activation = None  # the planted bug
    missing[number] = fall(broken, curve)[-1]
print(f"layer 3 straight: mean squared error {missing[3]:.6f} after training")
print(f"PCA's line:                          {flat[0]:.6f}")
lesson.result("curve, layer 3 straight: error", missing[3], at_least=flat[0] * (1 - 1e-9))

# %% [markdown]
# The outputs of a linear $F_2$ lie on a line, so no weights can do better than PCA's line.

# %% [markdown]
# ## Exercises
#
# Where the bends are, and how a deep network starts.  `minigrad-ae exercise start N` copies a blank
# into your folder, and `minigrad-ae exercise check N` judges it: it names the misconception, not
# the answer.
#
# 1. `minigrad-ae exercise start 21`: four layers with a bend at the wrong place.
# 2. `minigrad-ae exercise start 20`: start weights, as large as the next layer needs them.
# 3. `minigrad-ae exercise start 7`: Adam's step.
# 4. `minigrad-ae exercise start 18`: the mean over all data, batch by batch; a mean of means.

# %% Answers
lesson.cell("Answers to what you predicted")
lesson.answers(
    deep=deep["test"],
    pca=pca["test"],
    steps=steps,
    M=M,
    curved=curved,
    line=flat[0],
    plane=flat[1],
    low=min(one for one, _ in ends),
    high=max(one for one, _ in ends),
    starts=starts,
    here=here,
    lower=lower,
    third=missing[3],
    first=missing[1],
)

# %% Recap
lesson.finish()

# %% [markdown]
# ## What you can do now
#
# - Build a four-layer autoencoder from `Linear` layers, and say what $F_1$ and $F_2$ do.
# - Train it on your own table by Adam, and compare it with PCA on rows kept for the test:
#   `minigrad-ae train deep --data table.csv --latent 2 --epochs 40`.
# - Say what non-linear PCA costs: products by the hundred, starts that end differently, one
#   training for each M, and no certificate as in lesson 2.
# - Choose between L-BFGS on all rows and Adam on minibatches.
# - Walk through its backward pass: `minigrad-ae inspect lessons/04_deep_autoencoder.py`.
