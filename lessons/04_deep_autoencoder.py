# %% [markdown]
# # Lesson 4: a deep autoencoder is a non-linear PCA
#
# **Goal.** Put two more layers around the code, and see the network lay a curved surface through
# data where PCA has only planes; then pay the price: non-linear optimisation, local minima, and an
# M that must be
# chosen beforehand. (Bishop & Bishop, section 19.1.2.)

# %% Goal
import json
import os

import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.data import shipped_results
from minigrad_ae.experiments import deep
from minigrad_ae.files import write_json
from minigrad_ae.models import DeepAutoencoder
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, RED, SKY, Lesson, draw_network

lesson = Lesson("04_deep_autoencoder", "about 12 s; --fast 4 s")
run = lesson.run
COLOR = {"sigmoid": ORANGE, "tanh": GREEN, "relu": BLUE}

# %% Predict
lesson.cell("Predict")
lesson.predict("four-layers")
lesson.predict("helix")
lesson.predict("starts")

# %% [markdown]
# ## Build
#
# | slide | code |
# |---|---|
# | F1: layer 1 sigmoidal, layer 2 linear | `z = layer2(layer1(x))`, `layer1 = Linear(D, H, activation="sigmoid")` |
# | F2: layer 3 sigmoidal, layer 4 linear | `y = layer4(layer3(z))` |
# | E(w) = 1/2 sum_n ‖y(x_n; w) − x_n‖² | `mg.ops.half_squared_error(y, x)` |

# %% Build
lesson.cell("Build: the slide's network")
print(DeepAutoencoder(64, 2, 128, rng=lesson.rng))
fig, ax = plt.subplots(figsize=(7.6, 4.2))
columns = [
    "inputs",
    "layer 1: sigmoidal",
    "layer 2, the code: linear",
    "layer 3: sigmoidal",
    "outputs: linear",
]
draw_network(ax, [5, 6, 2, 6, 5], columns, ["", "", "", ""])
for x0, label in ((0.15, "$F_1$: D features to M numbers"), (2.15, "$F_2$: and back")):
    ax.annotate(
        "", (x0 + 1.7, 3.3), (x0, 3.3), arrowprops={"arrowstyle": "->", "color": RED, "lw": 1.5}
    )
    ax.text(x0 + 0.85, 3.42, label, ha="center", color=RED)
ax.set_ylim(-4.0, 3.8)
for text in ax.texts:
    text.set_fontsize(9)
ax.set_title("Four layers of weights: a curve on the way in, and a curve on the way out")
lesson.figure("network", fig, {"units": ["D", "H", "M", "H", "D"]})

# %% Run: what F1 and F2 do (the book's figure 19.3)
lesson.cell("Run: F1 and F2 as maps, on a surface in three dimensions")
X, _ = mg.data.arch()
model, errors = run.shared(deep.on_arch, 0)
plane = 2 * analytic.pca(X).optimal_loss(2) / len(X)
print(f"saddle surface, M = 2: mean squared error {errors[-1]:.2e}; PCA's plane has {plane:.4f}")
z = model.encode(X).numpy()
# the points are an even grid on the surface
surface = model.decode(mg.tensor(z)).numpy().reshape(21, 21, 3)
shade = X[:, 0]
fig = plt.figure(figsize=(9.5, 3.6))
places = fig.add_gridspec(1, 5, width_ratios=[1, 0.2, 0.8, 0.12, 1])
left, middle, right = (
    fig.add_subplot(places[k], projection=kind) for k, kind in ((0, "3d"), (2, None), (4, "3d"))
)
left.scatter(*X.T, c=shade, cmap="cividis", s=6)
left.set_title("data space: the points $x$")
middle.scatter(*z.T, c=shade, cmap="cividis", s=6)
middle.set(xlabel="$z_1$", ylabel="$z_2$", title="code: $z = F_1(x)$")
right.plot_wireframe(*np.moveaxis(surface, -1, 0), color=BLUE, lw=0.5)
right.scatter(*X.T, c=shade, cmap="cividis", s=3)
right.set_title("the surface $y = F_2(z)$")
for ax in (left, right):
    ax.set(
        xlabel="$x_1$",
        ylabel="$x_2$",
        xticks=[-1, 0, 1],
        yticks=[-1, 0, 1],
        zticks=[0, 1],
        zlim=(-0.6, 1.1),
    )
    ax.set_zlabel("$x_3$", labelpad=-10)
for place, name in ((1, "$F_1$"), (3, "$F_2$")):
    ax = fig.add_subplot(places[place])
    ax.annotate(
        "",
        (1, 0.5),
        (0, 0.5),
        xycoords="axes fraction",
        arrowprops={"arrowstyle": "->", "color": RED, "lw": 2},
    )
    ax.text(0.5, 0.55, name, ha="center", color=RED, transform=ax.transAxes)
    ax.axis("off")
fig.suptitle(
    "$F_1$ flattens the curved surface, $F_2$ bends it back: error "
    f"{errors[-1]:.0e}, PCA's plane {plane:.2f}",
    weight="bold",
)
lesson.figure("maps", fig, {"error": errors[-1], "pca_plane": plane, "code": z[::20]})

# %% Run: one curved dimension against two flat ones
lesson.cell("Run: on a helix, and on lesson 3's parabola")
X, t = mg.data.helix()
principal = analytic.pca(X)
model, errors = deep.best(run, deep.on_helix)
flat = {M: 2 * principal.optimal_loss(M) / len(X) for M in (1, 2)}
print(
    f"helix: PCA's line (M = 1) {flat[1]:.4f}, PCA's plane (M = 2) {flat[2]:.4f}, one curved "
    f"dimension {errors[-1]:.1e}"
)
y, corners = model(X).numpy(), 1.4 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
fig = plt.figure(figsize=(9.5, 4.0))
left, right = fig.add_subplot(121, projection="3d"), fig.add_subplot(122)
left.plot(*X.T, ".", color=SKY, ms=5, label="data")
left.plot(*y.T, color=BLUE, lw=1.5, label=f"deep, M = 1: error {errors[-1]:.0e}")
edge = principal.mean + corners @ principal.components[:, :2].T
left.plot(*edge.T, color=ORANGE, lw=1.2, label=f"PCA's plane, M = 2: error {flat[2]:.2f}")
left.plot(*principal.reconstruct(X, 2).T, color=ORANGE, ls=":", lw=1.2)
left.legend(loc="upper left", fontsize=8, bbox_to_anchor=(-0.1, 1.02))
left.set(
    xlabel="$x_1$",
    ylabel="$x_2$",
    zlabel="$x_3$",
    xticks=[-1, 0, 1],
    yticks=[-1, 0, 1],
    zticks=[-1, 0, 1],
)
left.view_init(elev=24, azim=-35)
P, _ = mg.data.parabola()
net, parabola_errors = deep.best(run, deep.on_parabola, "sigmoid", least=3)
right.plot(*P.T, color=SKY, lw=5, label="data $(t, t^2)$")
right.plot(
    *net(P).numpy().T,
    color=BLUE,
    lw=1.2,
    label=f"four layers, M = 1: error {parabola_errors[-1]:.0e}",
)
right.plot(
    *analytic.pca(P).reconstruct(P, 1).T,
    color=ORANGE,
    lw=1.2,
    label="PCA, and two layers: error .0907",
)
right.set(xlabel="$x_1$", ylabel="$x_2$", ylim=(-0.1, 1.35))
right.legend(fontsize=8)
fig.suptitle("One curved dimension is closer to a curve than two flat ones", weight="bold")
lesson.figure(
    "curve", fig, {"helix": {"deep": errors[-1], **flat}, "parabola": {"deep": parabola_errors[-1]}}
)
print(f"parabola: two layers .0907 (lesson 3), four layers {parabola_errors[-1]:.1e}")

# %% Run: error against M, on the digits
lesson.cell("Run: M has to be chosen beforehand")
sizes, epochs = ((2, 8), 12) if lesson.fast else ((1, 2, 4, 8, 16), 40)
curves = {"PCA": deep.pca_test_errors(run, sizes)}
for name in ("relu",) if lesson.fast else ("sigmoid", "relu"):
    curves[f"deep, {name.replace('relu', 'ReLU')}"] = deep.test_errors(run, name, sizes, epochs)
print(
    "360 test digits, squared error per image (sum over 64 pixels); deep: 64-128-M-128-64, "
    f"{epochs} epochs of Adam"
)
print("  M  " + "  ".join(f"{name:>14}" for name in curves))
fig, ax = plt.subplots(figsize=(6.4, 3.9))
for M in sizes:
    print(f"{M:>3}  " + "  ".join(f"{curve[M]:>14.4f}" for curve in curves.values()))
for (name, curve), color in zip(curves.items(), (BLACK, ORANGE, BLUE), strict=False):
    ax.loglog(curve.keys(), curve.values(), "o-", color=color, label=name)
ax.set_xticks(sizes, sizes)
ax.set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
ax.set(xlabel="M, units in the code", ylabel="squared error per test image")
ax.set_title("With the same M the deep net keeps more of a digit than PCA")
ax.minorticks_off()
ax.legend()
lesson.figure("error_against_m", fig, curves)
# %% Run: what two numbers say about a digit
digits, labels = mg.data.digits("test")
principal = analytic.pca(mg.data.digits("train")[0])
digits_net = run.shared(deep.on_digits, "relu", 2, 0, epochs)
codes = {
    "PCA": (digits - principal.mean) @ principal.components[:, :2],
    "deep": digits_net.encode(digits).numpy(),
}
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.2))
share = {name: deep.neighbour_accuracy(z, labels) for name, z in codes.items()}
for ax, (name, z) in zip(axes, codes.items(), strict=True):
    for label in range(10):
        ax.scatter(
            *z[labels == label].T,
            color=plt.get_cmap("tab10")(label),
            marker=f"${label}$",
            s=28,
            lw=0.2,
        )
    ax.set(
        xlabel="$z_1$",
        ylabel="$z_2$",
        title=f"{name}: {share[name]:.0%} are nearest to their own kind",
    )
fig.suptitle(
    "Two curved numbers tell digits apart better than two flat ones, though no label was used",
    weight="bold",
)
lesson.figure("codes", fig, {"nearest_neighbour_of_the_same_class": share})
print(
    f"nearest neighbour of the same class, by two numbers: PCA {share['PCA']:.1%}, deep "
    f"{share['deep']:.1%}"
)

mnist = json.loads(mg.data.shipped("04_mnist.json").read_text(encoding="utf-8"))
print(
    f"MNIST, squared error of the 10,000 test images (sum over 784 pixels), by {mnist['command']}:"
)
for row in mnist["rows"]:
    ours, theirs = row["ours"], row["torch"]
    print(
        f"  {row['name']:<28} {ours['median']:6.3f} (PCA {row['pca']:.2f}, torch "
        f"{theirs['median']:.3f}), median of "
        f"{len(ours['error'])}; {np.mean(ours['cpu']):.0f} s (torch {np.mean(theirs['cpu']):.0f} s)"
    )

# %% Run: many starts, many ends
lesson.cell("Run: local minima and sub-optimal starts")
many = (
    deep.many_starts(run)
    if lesson.full
    else json.loads(mg.data.shipped("04_starts.json").read_text(encoding="utf-8"))
)
if lesson.full and os.access(shipped_results.FOLDER, os.W_OK):
    write_json(shipped_results.FOLDER / "04_starts.json", many)
print(f"20 starts each, made by {many['command']}:")
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.7))
lines = {"parabola": analytic.parabola_residual(), "digits": deep.pca_test_errors(run, (2,))[2]}
for ax, (data, line) in zip(axes, lines.items(), strict=True):
    for k, (name, values) in enumerate(many[data].items()):
        print(
            f"  {data:<9} {name:<8} best {min(values):.3g}, median {np.median(values):.3g}, worst "
            f"{max(values):.3g}"
        )
        ax.plot(
            k + np.linspace(-0.25, 0.25, len(values)),
            values,
            "o",
            color=COLOR[name],
            ms=4,
            alpha=0.8,
        )
    ax.axhline(line, color=BLACK, ls="--", lw=1, label=f"PCA, {line:.3g}")
    ax.set_xticks(range(len(many[data])), [name.replace("relu", "ReLU") for name in many[data]])
    ax.set(yscale="log" if data == "parabola" else "linear", ylabel="squared error")
    ax.legend()
axes[0].set_title("parabola, L-BFGS, 1,000 evaluations")
axes[1].set_title("digits, M = 2, Adam, 60 epochs, test error")
fig.suptitle("Where it ends depends on where it starts: 20 starts each", weight="bold")
lesson.figure("starts", fig, many)

# %% Run: three optimisers
lesson.cell("Run: computationally intensive non-linear optimisation")
fig, ax = plt.subplots(figsize=(6.6, 3.9))
traces = {
    "SGD, step 0.3": ("SGD", RED),
    "Adam, step 0.03": ("Adam", ORANGE),
    "L-BFGS": (None, BLUE),
}
for label, (name, color) in traces.items():
    for k in range(deep.starts(run)):
        e = (
            run.shared(deep.first_order, name, k)
            if name
            else run.shared(deep.on_parabola, "sigmoid", k)[1]
        )
        ax.loglog(
            np.arange(1, len(e) + 1),
            np.minimum.accumulate(e),
            color=color,
            lw=1.2,
            label=label if not k else None,
        )
        print(
            f"  {label:<16} start {k}: error {e.min():.2e} after {len(e)} gradients of all 201 "
            "points"
        )
ax.axhline(lines["parabola"], color=BLACK, ls="--", lw=1, label="PCA, and any two layers")
ax.set(xlabel="evaluations of E and its gradient", ylabel="mean squared error")
ax.set_title("Curvature pays: L-BFGS is far ahead, descent lingers at PCA's error")
ax.legend()
lesson.figure(
    "optimisers",
    fig,
    {label: run.shared(deep.first_order, n, 0)[::20] for label, (n, _) in traces.items() if n},
)

# %% Inspect: one step of the chain
lesson.cell("Inspect: the backward pass of four layers")
tiny = DeepAutoencoder(2, 1, 2, rng=np.random.default_rng(lesson.seed))
trace = mg.trace(tiny.loss(mg.tensor(P[::100], name="x")))
print(trace.text())
lesson.page("backward_pass", trace)

# %% Verify: every rule of the graph of E
lesson.cell("Verify: the gradient of E proves itself")
print(mg.check_graph(net.loss(P[:50])))


# %% Break it: which layer is it?
class Broken(DeepAutoencoder):
    """One activation is missing.  The figures say which: does the net trace a curve, or a line?"""

    def decode(self, z):
        return self.layer4(mg.linear(z, self.layer3.weight, self.layer3.bias))


lesson.cell("Break it: one bend is missing")
broken = Broken(2, 1, deep.H, rng=np.random.default_rng(lesson.seed))
stuck = deep.minimise(broken, P, 300)
print(
    f"mean squared error {stuck[-1]:.6f} after 300 evaluations: PCA's {lines['parabola']:.6f} "
    "again.  F2 is linear, so the"
)
print(
    "outputs lie on a line, however cleverly F1 bends.  Take the bend from layer 1 instead: is "
    "that as bad?  (exercise 2)"
)

# %% [markdown]
# ## Exercises
#
# 1. Train 2-8-1-8-2 with `activation="relu"` from ten starts.  How many end exactly at .0907, and
#    what do they draw?
# 2. Make layer 1 linear instead of layer 3.  What is the error on the parabola, and why is it not
#    .0907?
# 3. `mg.data.helix(turns=3)`: how many hidden units does one curved dimension need to follow it?
# 4. The code is linear: replace z by z C + c and undo it in layer 3.  Which figures above change,
#    and which do not?

# %% Recap
lesson.finish()
