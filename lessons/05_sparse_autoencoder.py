# %% [markdown]
# # Lesson 5: a sparse autoencoder finds the parts that data are made of
#
# **Goal.** Constrain the code by a penalty lambda sum |z| instead of a bottleneck.  See the slide's
# objective fail, see one line fix it, check what the encoder learns against the exact sparse
# codes, and watch it
# turn patches of a photograph into a dictionary of oriented edges.  (Bishop & Bishop, section
# 19.1.4; Olshausen &
# Field 1996.)

# %% Goal
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.claims.bugs import edit
from minigrad_ae.experiments import sparse
from minigrad_ae.models import SparseAutoencoder
from minigrad_ae.teaching.figures import sheet
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, RED, SKY, Lesson

lesson = Lesson("05_sparse_autoencoder", "about 25 s; --fast 4 s")
shared = lesson.run.shared

# %% Predict
lesson.cell("Predict")
lesson.predict("degenerate")
lesson.predict("threshold")
lesson.predict("atoms")

# %% [markdown]
# ## Build
#
# | slide | code |
# |---|---|
# | E(w) | `ops.half_squared_error(decode(z), x)` |
# | + lambda sum_k abs(z_k) | `lam * ops.l1_norm(z)`: also a sum over n, which the slide leaves out, as E has one |
# | (what the slide lacks) | `ops.unit_rows(W)`: row k of the decoder is W[k] / ‖W[k]‖ |

# %% Build
lesson.cell("Build: a penalty instead of a bottleneck")
# more units than features are allowed now
model = SparseAutoencoder(64, 100, lam=0.5, rng=lesson.rng)
print(model)

# %% Run: the slide's objective has no minimum
lesson.cell("Run: the slide's objective, and two ways to fix it")
X = shared(sparse.few_digits)
fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.9))
colors = {"none": RED, "decay": ORANGE, "unit": BLUE}
names = {
    "none": "the slide: nothing holds the decoder",
    "decay": "weight decay on the decoder",
    "unit": "rows of length 1",
}
factors, numbers = np.geomspace(0.05, 4, 60), {}
print("300 digits, 8 linear units, lambda = 0.5, L-BFGS from the same random weights:")
for constraint, color in colors.items():
    model, seen = shared(sparse.held, constraint)
    error, size = np.array(seen).T
    left.loglog(np.arange(1, len(size) + 1), model.lam * size, color=color, label=names[constraint])
    losses = [sparse.rescaled(model, c).loss(X).item() for c in factors]
    right.semilogx(factors, np.array(losses) / model.loss(X).item(), color=color)
    length = np.linalg.norm(model.decoding_weight().numpy(), axis=1).mean()
    penalty = model.lam * size[-1]
    print(
        f"  {constraint:<6} E = {error[-1]:8.3f}   lambda sum |z| = {penalty:10.5f}   mean ||w_k|| "
        f"= {length:.4g}"
    )
    numbers[constraint] = {
        "E": error[-1],
        "penalty": penalty,
        "row_length": length,
        "rescaled": losses,
    }
print(
    f"  PCA with 8 components: E = {analytic.pca(X).optimal_loss(8):.3f}, the infimum of the "
    "slide's objective"
)
left.set(
    xlabel="evaluations",
    ylabel=r"$\lambda \sum |z|$",
    title="The slide's penalty trains itself away",
)
right.set(
    xlabel="$c$: codes times $c$, decoder divided by $c$",
    ylabel=r"$\tilde E(c)\ /\ \tilde E(1)$",
    ylim=(0.6, 2.2),
    title="Unless $W_2$ is held, smaller codes always pay",
)
left.legend(loc="lower left", fontsize=8)
lesson.figure("degeneracy", fig, {"c": factors, **numbers})

# %% Run: what an encoder learns when the decoder is given
lesson.cell("Run: a ReLU layer learns the soft threshold")
X, U = shared(sparse.laplace)
a = X @ U  # u_k^T x for each of 200 points and 4 directions
best = analytic.sparse_loss(X, U, analytic.soft_threshold(a, sparse.LAM), sparse.LAM).sum()
print(
    "decoder (U, -U) given, encoder trained from random weights; least E + lambda sum |z| of any "
    f"codes: {best:.12g}"
)
fig, ax = plt.subplots(figsize=(6.4, 4.2))
for name, model, color in (
    ("before", sparse.untrained_encoder(lesson.run), SKY),
    ("after", shared(sparse.trained_encoder), BLUE),
):
    ax.plot(
        a.ravel(),
        sparse.signed_codes(model, X).ravel(),
        ".",
        ms=4,
        color=color,
        label=f"the encoder {name} training",
    )
    bias = model.encoder_bias.numpy()
    print(
        f"  {name:<7} {model.loss(X).item():.12g}   biases from {bias.min():.9f} to "
        f"{bias.max():.9f} (-lambda = {-sparse.LAM})"
    )
line = np.linspace(-5, 5, 201)
ax.plot(
    line,
    analytic.soft_threshold(line, sparse.LAM),
    color=BLACK,
    lw=1,
    label=r"soft$(a, \lambda)$, the exact answer",
)
ax.set(
    xlabel="$a = u_k^T x$",
    ylabel="code $z_k$ ($u_k$ minus $-u_k$)",
    xlim=(-5, 5),
    ylim=(-5, 5),
    title="Training turns a ReLU layer into the soft threshold",
)
ax.legend()
lesson.figure(
    "soft_threshold",
    fig,
    {"a": a[:50], "code": sparse.signed_codes(model, X)[:50], "loss": model.loss(X).item()},
)

# %% [markdown]
# ## Run: patches of a photograph
#
# The photograph comes with matplotlib (Rear Admiral Grace Hopper, public domain).  It is made grey
# and *whitened* by the filter of Olshausen & Field, f exp(−(f / 0.4)⁴) in cycles per pixel: coarse
# structure, which holds
# nearly all the variance of a picture, is turned down until every scale counts.  Then patches are
# cut out at
# random places, and each loses its mean.  `mg.data.patches` does this.

# %% Run: patches of a photograph
lesson.cell("Run: a dictionary for patches of a photograph")
size, units, n, epochs = (8, 64, 6000, 9) if lesson.fast else (12, 144, 30_000, 22)
lams = (0.5, 1.0, 2.0) if lesson.fast else (0.5, 1.0, 2.0, 4.0)
# SparseAutoencoder(size**2, units, ...)
models = {lam: shared(sparse.on_patches, lam, size, units, n, epochs) for lam in lams}
patches, fresh = shared(sparse.photo, n, size), shared(sparse.photo, 2000, size, 1)
principal = analytic.pca(patches)
W = models[1.0].decoding_weight().numpy()
used = np.argsort(-np.mean(models[1.0].encode(fresh).numpy() > 0, axis=0))
columns = int(np.sqrt(units))
fig, axes = plt.subplots(1, 2, figsize=(9.8, 5.4))
numbers = {"lambda": 1.0}
for ax, name, title, pictures in (
    (axes[0], "pca", "PCA: waves all over the patch", principal.components.T),
    (axes[1], "sparse", r"sparse code, $\lambda = 1$: edges", W[used]),
):
    tiles = sheet(pictures / np.abs(pictures).max(axis=1, keepdims=True), columns)
    ax.imshow(tiles, cmap="gray", vmin=-1, vmax=1)
    ax.set_title(title)
    ax.axis("off")
    where, direction = sparse.localised(pictures), sparse.oriented(pictures)
    numbers[name] = {"localised": where, "oriented": direction}
    print(
        f"  {name:<7} strongest quarter of pixels: {where:4.0%} of a picture's squares; direction: "
        f"{direction:.2f}"
    )
print(
    "(even pictures would have 25%; direction: 0 for waves in all directions, 1 for stripes; "
    "medians over pictures)"
)
print("(PCA's last component, white, is the constant, which every patch has lost)")
fig.suptitle(
    f"The decoder's {units} rows are edges, each with a place and a direction", weight="bold"
)
lesson.figure("dictionary", fig, numbers)

# %% Run: codes against lambda
lesson.cell("Run: how sparse, and at what price")
fig, (left, right) = plt.subplots(1, 2, figsize=(9.8, 4.0))
points, numbers = [], {}
palette = dict(zip(lams, (SKY, BLUE, GREEN, RED), strict=False))
print(
    "on patches that were not trained on; FISTA finds the best codes (of either sign) for the same "
    "decoder, and a dual"
)
print("bound says how far they can be from the minimum at most; both losses are E + lambda sum |z|")
print(
    "lambda  zeros   units used  error  |  best codes: units  error   proved to   loss: encoder / "
    "best"
)
for lam, model in models.items():
    z = model.encode(fresh).numpy()
    some, W = fresh[:100] - model.decoder_bias.numpy(), model.decoding_weight().numpy().T
    found = analytic.fista(some, W, lam, steps=50 if lesson.fast else 1000)
    count, error = sparse.activity(model, fresh)
    exact = (
        np.mean(np.sum(found.codes != 0, axis=1)),
        np.sum((some - found.codes @ W.T) ** 2) / np.sum(some**2),
    )
    least = analytic.sparse_loss(some, W, found.codes, lam).sum()
    ratio = model.loss(fresh[:100]).item() / least
    zeros = np.mean(z == 0)
    proof = found.duality_gap.sum() / least
    print(f"{lam:>6} {zeros:>6.1%} {count:>12.1f} {error:>6.1%}  |", end="")
    print(f" {exact[0]:>18.1f} {exact[1]:>6.1%} {proof:>11.0e} {ratio:>22.3f}")
    left.hist(
        z[z > 0],
        bins=np.linspace(0, 8, 60),
        weights=np.full(np.sum(z > 0), 1 / z.size),
        histtype="step",
        lw=1.5,
        color=palette[lam],
        label=rf"$\lambda$ = {lam:g}: {zeros:.0%} zeros",
    )
    points.append((count, error, *exact))
    numbers[str(lam)] = {
        "zeros": zeros,
        "encoder": [count, error],
        "best": exact,
        "loss_over_best": ratio,
        "gap": proof,
    }
left.set(yscale="log", xlabel="code $z_k > 0$", ylabel="share of all codes, per bin")
left.set_title("The larger the penalty, the more exact zeros")
left.legend(fontsize=8)
curve = np.array(points).T
M = np.arange(1, units + 1)
rest = np.array([np.sum((fresh - principal.reconstruct(fresh, m)) ** 2) for m in M]) / np.sum(
    fresh**2
)
right.plot(M, rest, color=BLACK, label="PCA: the first $M$ components, for every patch")
right.plot(curve[0], curve[1], "o-", color=BLUE, label="sparse encoder: other units for each patch")
right.plot(curve[2], curve[3], "s--", color=GREEN, label="best codes, same decoders (FISTA)")
right.set(
    xlabel="numbers that are not 0, per patch",
    ylabel="squared error / squares",
    xlim=(0, 0.6 * units),
    ylim=(0, 1),
    title="At equal count, sparse codes err less than PCA",
)
right.legend(fontsize=8)
lesson.figure("sparsity_error", fig, {**numbers, "pca": rest})
print(
    "(which units are used is information too: this counts numbers, not bits; and whitening is "
    "hard on PCA)"
)

# %% Inspect
lesson.cell("Inspect: where |z| and the length of a row meet the gradient")
tiny = SparseAutoencoder(3, 2, lam=0.5, rng=np.random.default_rng(lesson.seed))
loss = tiny.loss(mg.tensor(np.array([[1.0, 0.5, -1.0], [0.0, 1.0, 2.0]]), name="x"))
trace = mg.trace(loss)
print(trace.text())
lesson.page("backward_pass", trace)

# %% Verify
lesson.cell("Verify: the gradient of E + lambda sum |z| proves itself")
print(mg.check_graph(models[1.0].loss(fresh[:20])))

# %% Break it
lesson.cell("Break it: take the mean of |z| where the sum is meant")
X, _ = shared(sparse.laplace)
with edit(SparseAutoencoder.loss, "ops.l1_norm(z)", "ops.mean(ops.abs(z))")():
    bias = sparse.trained_encoder(lesson.run).encoder_bias.numpy()
print(
    f"the biases end at {bias.mean():.2e} instead of {-sparse.LAM}: "
    f"divided by {X.shape[0]} data and "
    f"{len(bias)} units, lambda"
)
print(
    "means something else for every size of batch and layer.  The claim 'soft-threshold-loss' "
    "catches it."
)

# %% [markdown]
# ## Exercises
#
# 1. Derive soft(a, λ) from ½ (a − z)² + λ |z|.  What does λ z² give instead, and is anything
#    exactly 0?
# 2. Under weight decay μ every unit ends with λ Σ_n |z_nk| = μ ‖w_k‖².  Derive it from z → c z, w →
#    w / c.
# 3. Train on patches with `activation=None`.  Are the codes still sparse?  Are they ever exactly 0?
# 4. Set `image=` of `mg.data.patches` to a photograph of your own.  Which directions do its edges
#    have?

# %% Recap
lesson.finish()
