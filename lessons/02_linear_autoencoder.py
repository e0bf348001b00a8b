# %% [markdown]
# # Lesson 2: a linear autoencoder is PCA
#
# **Goal.** Train a network with two layers of weights to reproduce its input through M < D linear
# units, and see it find the principal components: the same loss to ten digits, the same subspace,
# from every random
# start. (Bishop & Bishop, section 19.1.1; Baldi & Hornik 1989.)

# %% Goal
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.experiments.linear import (
    descend,
    escape,
    five_features,
    mode_strengths,
    penalised,
    trained,
    uncentred,
)
from minigrad_ae.models import LinearAutoencoder
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, RED, SKY, Lesson, draw_network

lesson = Lesson("02_linear_autoencoder", "about 12 s; --fast 4 s")
X, _ = mg.data.digits()  # (1797, 64): real handwritten digits, 8 x 8 pixels in [0, 1]
N, D = X.shape

# %% Predict
lesson.cell("Predict")
lesson.predict("minima")
lesson.predict("components")
lesson.predict("step")

# %% [markdown]
# ## Build
#
# | slide | code |
# |---|---|
# | z = W1 x,  y = W2 z | `z = x @ encoder_weight`, `y = z @ decoder_weight` (rows are data, so weights are transposed) |
# | E(w) = 1/2 sum_n ‖y(x_n; w) − x_n‖² | `0.5 * ((y - x) ** 2).sum()` |

# %% Build
lesson.cell("Build: the slide's network")
model = LinearAutoencoder(D, 2, rng=lesson.rng)
print(model)
fig, ax = plt.subplots(figsize=(5.6, 3.8))
draw_network(
    ax,
    [5, 2, 5],
    ["inputs $x_1 \\ldots x_D$", "$z_1 \\ldots z_M$", "outputs $y_1 \\ldots y_D$"],
    ["$W_1$: encoder", "$W_2$: decoder"],
)
ax.set_title("Two layers of weights and a bottleneck: M < D")
lesson.figure("network", fig, {"units": [D, 2, D]})

# %% Run: three random starts for each M
lesson.cell("Run: random starts, and the line that PCA predicts")
print(
    "E depends on X only through X^T X = R^T R, so R of a QR decomposition (64 x 64) stands in for "
    "the 1797 rows."
)
print(
    "Here both layers are trained at once by L-BFGS, fit(X, method='lbfgs'): gradients alone, and "
    "a penalty that is taken back in stages (the plateaus of the figure).  fit(X) alone takes "
    "method='subspace': least squares for one layer at a time (EM for PCA, Roweis 1998), then "
    "L-BFGS over the subspace; it ends at the same minimum, and does so for columns of any size, "
    "which gradients of both layers do not."
)
print("  M start  loss at start         final loss        PCA optimum  difference  evaluations")
sizes = (2, 8) if lesson.fast else (1, 2, 4, 8, 16, 32)
principal = analytic.pca(X)
fig, ax = plt.subplots(figsize=(6.8, 4.2))
models, numbers = {}, {}
for M, color in zip(sizes, (BLUE, ORANGE, GREEN, RED, SKY, BLACK), strict=False):
    for start in range(2 if lesson.fast else 3):
        # LinearAutoencoder(D, M, rng=rng), then .fit(X, method="lbfgs")
        model = lesson.run.shared(trained, M, start)
        record = model.record
        best = principal.optimal_loss(M)
        final = float(model.loss(X))
        print(
            f"{M:>3} {start:>5} {record.start_loss:>14.6g} {final:>18.12g} {best:>18.12g} "
            f"{final - best:>11.1e} "
            f"{record.evaluations:>11}"
        )
        excess = np.minimum.accumulate(np.array(record.losses)) / best - 1
        ax.loglog(
            np.arange(1, len(excess) + 1),
            np.maximum(excess, 1e-16),
            color=color,
            lw=1.2,
            label=f"M = {M}" if not start else None,
        )
        numbers[f"M={M} start={start}"] = {
            "final": final,
            "optimum": best,
            "evaluations": record.evaluations,
        }
    models[M] = model
ax.axhline(1e-10, color=BLACK, ls=":", lw=0.8)
ax.text(1, 1.3e-10, "ten digits", fontsize=8, va="bottom")
ax.set(
    xlabel="evaluations of E and its gradient",
    ylabel="loss above the PCA optimum, relative",
    title="From every random start the loss falls onto the PCA line",
)
ax.legend(ncols=3)
lesson.figure("loss", fig, numbers)

# %% Run: the certificate
lesson.cell("Run: the certificate")
certificate = mg.certify_pca(models[8], X)
print(certificate)
lesson.figure("certificate", certificate.figure(), certificate.as_dict())

# %% Run: subspace and reconstructions, seen
lesson.cell("Run: what the decoder has learned")
model = models[2]
decoder = model.decoder_weight.numpy()
U = principal.components[:, :2]
mixing = decoder @ U  # (2, 2): the decoder's rows, written in principal components
fig, axes = plt.subplots(1, 5, figsize=(9.5, 2.5))
pictures = [
    ("component 1", U[:, 0]),
    ("component 2", U[:, 1]),
    ("decoder row 1", decoder[0]),
    ("decoder row 2", decoder[1]),
    ("row 1 from 1, 2", mixing[0] @ U.T),
]
for ax, (title, picture) in zip(axes, pictures, strict=True):
    size = np.abs(picture).max()
    ax.imshow(picture.reshape(8, 8), cmap="PuOr", vmin=-size, vmax=size)
    ax.set(title=title, xticks=[], yticks=[])
fig.suptitle(
    "The decoder's rows are not the components, but mixtures of them: the subspace is the same",
    weight="bold",
)
lesson.figure(
    "subspace", fig, {"mixing": mixing, "outside": float(np.linalg.norm(decoder - mixing @ U.T))}
)

shown = X[[0, 1, 2, 3, 4, 5, 6, 7]]
M = max(models)
rows = [
    ("original", shown),
    (f"network, M = {M}", models[M](shown).numpy()),
    (f"PCA, M = {M}", principal.reconstruct(shown, M)),
]
fig, axes = plt.subplots(3, 1, figsize=(7.4, 3.6))
for ax, (label, images) in zip(axes, rows, strict=True):
    ax.imshow(
        np.hstack([np.pad(image.reshape(8, 8), 1) for image in images]),
        cmap="gray_r",
        vmin=0,
        vmax=1,
    )
    ax.set(xticks=[], yticks=[])
    ax.set_ylabel(label, fontsize=8)
difference = float(np.abs(rows[1][1] - rows[2][1]).max())
fig.suptitle(
    f"Network and PCA reconstruct the same pictures (largest difference {difference:.0e})",
    weight="bold",
)
lesson.figure("reconstructions", fig, {"M": M, "largest_difference": difference})

# %% Run: the saddles
lesson.cell("Run: every other critical point is a saddle")
small, found = five_features()
print(
    "Five features, M = 2: at each of these points the gradient vanishes, and W2 W1 projects onto "
    "the components in I."
)
print(
    "Negative curvatures count the directions in which E falls; along the flat ones the code is "
    "only mixed differently."
)
print(f"{'I':<10} {'loss':>10} {'negative curvatures':>20} {'flat directions':>16}")
for point in analytic.critical_points(found.eigenvalues, 2):
    name = "{" + ", ".join(map(str, point.components)) + "}"
    print(f"{name:<10} {point.loss:>10.4f} {point.index:>20} {point.nullity:>16}")
losses = lesson.run.shared(escape)
saddle_loss = next(
    p.loss for p in analytic.critical_points(found.eigenvalues, 2) if set(p.components) == {1, 3}
)
fig, ax = plt.subplots(figsize=(6.8, 3.8))
ax.plot(losses, color=BLUE)
ax.axhline(saddle_loss, color=RED, ls="--", lw=1, label="saddle {1, 3}, one negative curvature")
ax.axhline(found.optimal_loss(2), color=BLACK, ls=":", lw=1, label="minimum {1, 2}")
ax.set(
    xlabel="steps of gradient descent",
    ylabel="loss E",
    title="A plateau is a saddle: started 1e-6 beside it, descent escapes",
)
ax.legend()
lesson.figure(
    "saddle",
    fig,
    {
        "loss": losses[:: max(1, len(losses) // 200)],
        "saddle": saddle_loss,
        "minimum": found.optimal_loss(2),
    },
)

# %% Run: how fast may it go, and how does it get there?
lesson.cell("Run: the largest step, and the order in which modes are learned")
s1 = found.eigenvalues[0]
fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8))
limits = {}
for factor, color in ((0.5, GREEN), (0.9, BLUE), (1.1, RED)):
    excess = descend(small, eta=factor / s1, steps=60)
    left.semilogy(np.maximum(excess, 1e-17), color=color, label=f"$\\eta$ = {factor} / $s_1$")
    limits[str(factor)] = excess
left.set(
    xlabel="steps",
    ylabel="loss above the optimum",
    title="Descent converges if and only if $\\eta < 1/s_1$",
    ylim=(1e-17, 1e3),
)
left.legend()
times, measured = lesson.run.shared(mode_strengths, 0.004 if lesson.fast else 0.001)
rates = found.eigenvalues[:2] / len(small)
for k, color in enumerate((BLUE, ORANGE)):
    right.plot(
        times[::20], measured[::20, k], color=color, lw=3, alpha=0.5, label=f"descent, mode {k + 1}"
    )
    right.plot(
        times,
        analytic.mode_strength(times, rates[k], 1e-3),
        color=BLACK,
        lw=1,
        ls="--",
        label="Saxe et al." if k else None,
    )
right.set(
    xlabel="time = step size x steps",
    ylabel="strength of the mode",
    title="Modes are learned one by one, along sigmoids",
)
right.legend()
print(f"s_1 = {s1:.4f}.  After 60 steps the loss above the optimum, relative to the optimum, is")
for factor, excess in limits.items():
    print(f"  {excess[-1]:.1e}  with eta = {factor} / s_1")
lesson.figure(
    "dynamics", fig, {"excess": limits, "time": times[::100], "strength": measured[::100]}
)

# %% Run: L2 recovers the single components
lesson.cell("Run: a penalty that finds the components themselves")
K = 4
lam = 0.2 * float(principal.eigenvalues[K - 1])
# LinearAutoencoder(D, K, l2=lam, rng=rng), then .fit(X)
shrunk = lesson.run.shared(penalised, K, lam)
left_vectors, singular, _ = np.linalg.svd(shrunk.decoder_weight.numpy().T, full_matrices=False)
read_out = analytic.eigenvalues_from_singular_values(singular, lam)
fig, axes = plt.subplots(2, K, figsize=(7.2, 3.9))
for k in range(K):
    u, v = principal.components[:, k], left_vectors[:, k]
    v = v * np.sign(u @ v)
    for ax, picture, title in (
        (axes[0, k], u, f"$u_{k + 1}$"),
        (axes[1, k], v, f"|cos| = {u @ v:.6f}"),
    ):
        size = np.abs(picture).max()
        ax.imshow(picture.reshape(8, 8), cmap="PuOr", vmin=-size, vmax=size)
        ax.set(title=title, xticks=[], yticks=[])
axes[0, 0].set_ylabel("PCA", fontsize=9)
axes[1, 0].set_ylabel("network", fontsize=9)
fig.suptitle("With an L2 penalty the decoder's singular vectors are the components", weight="bold")
lesson.figure(
    "l2",
    fig,
    {"singular_values": singular, "eigenvalues": principal.eigenvalues[:K], "read_out": read_out},
)
print(
    f"lambda = {lam:.1f}.  The eigenvalues of X^T X, and as read out of the decoder's singular "
    "values, lambda / (1 - sv^2):"
)
for s, r in zip(principal.eigenvalues[:K], read_out, strict=True):
    print(f"  {s:.6f}   {r:.6f}")

# %% Inspect: the backward pass of this network
lesson.cell("Inspect: the backward pass, printed as a program")
tiny = LinearAutoencoder(3, 1, bias=False, rng=np.random.default_rng(lesson.seed))
tiny.encoder_weight.name, tiny.decoder_weight.name = "W1", "W2"
loss = tiny.loss(mg.tensor(np.array([[1.0, 0.5, -1.0], [0.0, 1.0, 2.0]]), name="x"))
trace = mg.trace(loss)
print(trace.text())
lesson.page("backward_pass", trace)
print(
    "Before you look: at the step that sends to W2, press p, and say the shape and one entry of "
    "what is sent."
)
print(
    "As a program, two lines are the slide's gradient: dE/dW2 = z^T (y - x) and dE/dW1 = x^T ((y - "
    "x) W2^T).\n"
)
print(mg.emit_numpy(loss))

# %% Verify: every rule of the graph of E
lesson.cell("Verify: the gradient of E proves itself")
print(mg.check_graph(models[2].loss(X[:50])))

# %% Break it
lesson.cell("Break it: forget to centre")
# LinearAutoencoder(D, 2, bias=False, rng=rng), then .fit(X)
forgetful = lesson.run.shared(uncentred, 2)
verdict = mg.certify_pca(forgetful, X)
print(f"without bias and without centring the certificate says passed = {verdict.passed}")
print("  " + "\n  ".join(verdict.notes))

# %% [markdown]
# ## Exercises
#
# 1. `python -m minigrad_ae verify --data yours.npy --latent 2`: is a linear autoencoder PCA on your
#    data?
# 2. Start at the saddle {2, 3} instead of {1, 3}.  How many negative curvatures does the table
#    predict, and how does the plateau change?
# 3. Tie the weights (`tied=True`).  What is W^T W at the optimum, and why?
# 4. Choose `l2` between the third and the fourth eigenvalue.  How many latent units survive?

# %% Recap
lesson.finish()
