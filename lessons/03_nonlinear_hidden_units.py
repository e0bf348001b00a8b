# %% [markdown]
# # Lesson 3: non-linear hidden units are no advantage over PCA
#
# **Goal.** Put tanh, sigmoid and ReLU units between two layers of weights, and see every training
# press on PCA's loss from above, without ever crossing it.  (Bishop & Bishop, section 19.1.1;
# Bourlard & Kamp 1988.)

# %% Goal
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.experiments.two_layer import (
    LIFT,
    M,
    descend,
    gap,
    images,
    on_parabola,
    pressed,
    principal,
)
from minigrad_ae.models import TwoLayerAutoencoder
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, Lesson, draw_network

lesson = Lesson("03_nonlinear_hidden_units", "about 7 s; --fast 4 s")
X = lesson.run.shared(images)  # the digits (1797, 64); 500 of them with --fast
D = X.shape[1]
COLOR = {"tanh": BLUE, "sigmoid": ORANGE, "relu": GREEN}
NAME = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "ReLU"}

# %% Predict
lesson.cell("Predict")
lesson.predict("curve")
lesson.predict("infimum")
lesson.predict("relu")

# %% [markdown]
# ## Build
#
# | slide | code |
# |---|---|
# | z = h(W1 x + b1) | `z = mg.linear(x, W1, b1, activation="tanh")` (rows are data, so weights are transposed) |
# | y = W2 z + b2 | `y = z @ W2 + b2`: linear outputs, and all depends on that |
# | E(w) = 1/2 sum_n ‖y(x_n; w) − x_n‖² | `mg.ops.half_squared_error(y, x)` |

# %% Build
lesson.cell("Build: the slide's network, with units that bend")
print(TwoLayerAutoencoder(D, M, activation="tanh", rng=lesson.rng))
fig, ax = plt.subplots(figsize=(5.6, 3.8))
columns = ["inputs $x_1 \\ldots x_D$", "$z = h(W_1 x + b_1)$", "outputs $y_1 \\ldots y_D$"]
draw_network(ax, [5, 2, 5], columns, ["$W_1$", "$W_2$"])
ax.set_title("Only the middle bends: the outputs are linear in M numbers")
lesson.figure("network", fig, {"units": [D, M, D]})

# %% Run: three activations press on the line
lesson.cell("Run: trained by L-BFGS from random weights")
best = lesson.run.shared(principal).optimal_loss(M)
print(
    f"{len(X)} digits, M = {M}: PCA's loss is {best:.6g}.  The excess of the network's loss over "
    "it, relative:"
)
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.9))
excess, starts = {}, range(lesson.run.starts)
for activation, color in COLOR.items():
    for k in starts:
        # TwoLayerAutoencoder(64, 2, ...), then L-BFGS
        descent = lesson.run.shared(pressed, activation, k)
        e = excess[f"{activation} {k}"] = descent.losses / best - 1
        print(
            f"  {activation:<8} start {k}: {e[0]:8.4f} at the start, {e[-1]:.6f} after {len(e)} "
            "evaluations"
        )
        shown = np.minimum.accumulate(e)
        left.loglog(
            np.arange(1, len(e) + 1),
            shown,
            color=color,
            lw=1.2,
            label=None if k else NAME[activation],
        )
left.set(
    xlabel="evaluations of E and its gradient",
    ylabel="loss above PCA's, relative",
    title=f"Digits, M = {M}",
)
alive = [
    int((lesson.run.shared(pressed, "relu", k).model.encode(X).numpy() > 0).any(axis=0).sum())
    for k in starts
]
one = lesson.run.shared(principal).optimal_loss(1) / best - 1
print(
    f"  ReLU units that fire on any image at the end: {alive} of {M}.  A net with one unit left "
    "can be PCA's line at best,"
)
print(
    f"  which is {one:.6f} above the plane: a dead unit has no gradient, and training cannot wake "
    "it."
)
left.axhline(one, color=BLACK, lw=0.8, ls=":", label="PCA with M = 1: one unit dead")
left.legend()

# %% Run: and on a curve that one number describes
residual = analytic.parabola_residual(201)
for activation, lift, color, label in [
    ("tanh", 0.0, BLUE, "tanh"),
    ("sigmoid", 0.0, ORANGE, "sigmoid"),
    ("relu", LIFT, GREEN, f"ReLU, bias starts at {LIFT:g}"),
]:
    for k in starts:
        losses = lesson.run.shared(on_parabola, activation, k, lift).losses
        e = excess[f"parabola {activation} {k}"] = 2 * losses / 201 / residual - 1
        shown = np.maximum(np.minimum.accumulate(e), 1e-16)
        right.loglog(
            np.arange(1, len(e) + 1), shown, color=color, lw=1.2, label=label if not k else None
        )
right.set(
    xlabel="evaluations of E and its gradient",
    ylabel="loss above PCA's, relative",
    title="Parabola $(t, t^2)$, M = 1",
)
right.legend()
fig.suptitle(
    "Every loss stays above PCA's: tanh and sigmoid press on the line, ReLU may reach it",
    weight="bold",
)
lesson.figure(
    "pressing",
    fig,
    {"pca": best, "excess": {name: e[:: max(1, len(e) // 50)] for name, e in excess.items()}},
)

# %% Run: how close they can come
lesson.cell("Run: W1 = eps U^T, W2 = U / eps makes the units almost linear")
print(
    "The gap is E - E_PCA; predicted: eps^4/18 sum a^6 for tanh, eps^4/288 sum a^6 for sigmoid; a "
    "= U^T (x - mean)."
)
print("      eps    tanh: gap   predicted   sigmoid: gap   predicted")
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.9))
sizes, gaps = 0.4 * 0.5 ** np.arange(7), {"tanh": [], "sigmoid": []}
predicted = {
    name: [analytic.almost_linear(X, M, eps, name).predicted_gap for eps in sizes] for name in gaps
}
for k, eps in enumerate(sizes):
    for name in gaps:
        gaps[name].append(gap(lesson.run, name, eps))
    print(
        f"{eps:>9.5f} {gaps['tanh'][k]:>12.5g} {predicted['tanh'][k]:>11.5g} "
        f"{gaps['sigmoid'][k]:>14.5g} "
        f"{predicted['sigmoid'][k]:>11.5g}"
    )
for name in gaps:
    left.loglog(
        sizes,
        predicted[name],
        color=BLACK,
        lw=1,
        ls="--",
        label="predicted" if name == "tanh" else None,
    )
    left.loglog(sizes, gaps[name], "o", color=COLOR[name], ms=5, label=name)
left.set(
    xlabel="$\\epsilon$", ylabel="E above PCA's", title="Half the $\\epsilon$, a 16th of the gap"
)
left.legend()

# %% Run: the price is weights without bound
for name in gaps:
    for k in starts:
        loss, norm = lesson.run.shared(pressed, name, k).places.T
        right.loglog(
            norm,
            loss - best,
            ".-",
            color=COLOR[name],
            lw=1,
            label=f"{name}, training" if not k else None,
        )
# of W2 = U / eps and 4 U / eps
norms = {"tanh": np.sqrt(M) / sizes, "sigmoid": 4 * np.sqrt(M) / sizes}
for name in gaps:
    right.loglog(
        norms[name], predicted[name], color=COLOR[name], lw=1, ls="--", label=f"{name}, made from U"
    )
right.set(
    xlabel="length of the decoder, $\\Vert W_2 \\Vert$",
    ylabel="E above PCA's",
    xlim=(1, 60),
    ylim=(1e-2, 2 * best),
)
right.set_title("Training runs away, with the same slope")
right.legend()
fig.suptitle(
    "PCA's loss is an infimum: the gap closes with the fourth power, and the weights diverge",
    weight="bold",
)
lesson.figure(
    "infimum", fig, {"epsilon": sizes, "gap": gaps, "predicted": predicted, "norm_of_W2": norms}
)

# %% Inspect: the rule of a layer that bends
lesson.cell("Inspect: where the bend enters the gradient")
tiny = TwoLayerAutoencoder(3, 1, activation="tanh", rng=np.random.default_rng(lesson.seed))
trace = mg.trace(tiny.loss(mg.tensor(np.array([[1.0, 0.5, -1.0], [0.0, 1.0, 2.0]]), name="x")))
print(trace.text())
lesson.page("backward_pass", trace)

# %% Verify: every rule of the graph of E
lesson.cell("Verify: the gradient of E proves itself")
print(mg.check_graph(lesson.run.shared(pressed, "tanh", 0).model.loss(X[:50])))


# %% Break it: a colleague "helps" the outputs
class Helped(TwoLayerAutoencoder):
    """What did the colleague change, and which word of the theorem does it break?"""

    def forward(self, x):
        return self.decode(self.encode(x)) + 0.1 * mg.tensor(x)


lesson.cell("Break it: a loss below PCA's")
losses = descend(
    Helped(D, M, activation="tanh", rng=np.random.default_rng(lesson.seed)), X, 100
).losses
print(
    f"E / E_PCA = {losses[-1] / best:.4f} after {len(losses)} evaluations: below 1.  Is Bourlard & "
    "Kamp's theorem wrong?"
)
print(
    "No: x is let past the bottleneck, so the outputs leave the plane.  (Non-linear *outputs* "
    "leave it too, and a test set"
)
print("is another matter altogether: the bound is about the data that were trained on.)")

# %% [markdown]
# ## Exercises
#
# 1. `two_layer_bound` needs no bias at the output.  Why does the bound hold for data that are not
#    centred?
# 2. Use `ops.sigmoid` at the output, "because pixels lie in [0, 1]".  Train for 1,000 evaluations:
#    what is E / E_PCA?
# 3. Most ReLU nets stay 19 % above PCA on the digits.  What are their hidden units doing?  (Plot
#    z.)
# 4. Add `weight_decay` (AdamW): where does ‖W2‖ settle, and how far above PCA is E there?

# %% Recap
lesson.finish()
