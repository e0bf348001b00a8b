# %% [markdown]
# # Lesson 6: a denoising autoencoder learns where the data are
#
# **Goal.** Corrupt the input, keep the target clean, and see what is learned: with a linear network
# a closed form that is not PCA; with any network an arrow from each noisy point to the data, which
# is the score, grad log
# p.  And see two ways to get the training wrong that look like success.  (Bishop & Bishop, section
# 19.1.5; Vincent et
# al. 2008, 2011.)

# %% Goal
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.claims import Run
from minigrad_ae.claims.bugs import edit
from minigrad_ae.experiments import denoising
from minigrad_ae.models import DeepAutoencoder, DenoisingAutoencoder, LinearAutoencoder
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, RED, Lesson

lesson = Lesson("06_denoising_autoencoder", "about 25 s; --fast 4 s")
shared = lesson.run.shared

# %% Predict
lesson.cell("Predict")
lesson.predict("noise-once")
lesson.predict("projection")
lesson.predict("arrow")

# %% [markdown]
# ## Build
#
# | slide | code |
# |---|---|
# | zero a random subset | `zero_random_subset(x, drop, rng)`; `drop` is the probability of zeroing, not of keeping |
# | add Gaussian noise | `additive_gaussian(x, sigma, rng)`; `sigma` is a standard deviation, the slide's variance is sigma² |
# | E(w) = Σ_n ‖y(x̃_n; w) − x_n‖² | `2 * ops.half_squared_error(forward(noisy), x)`: no factor ½ on this slide |

# %% Build
lesson.cell("Build: any autoencoder, trained to undo noise")
print(
    DenoisingAutoencoder(DeepAutoencoder(64, 16, 256, activation="relu", rng=lesson.rng), sigma=0.3)
)

# %% Run: linear denoisers and their closed forms
lesson.cell("Run: linear denoisers, M = 2, against reduced-rank regression")
print(
    "80 points in 5 features; noise redrawn at each of 300 steps; losses per datum, with the noise "
    "averaged exactly:"
)
names = {
    "gaussian": "Gaussian, sigma = 1.5",
    "anisotropic": "Gaussian, sigma = (3, 5, .2, 5, .2)",
    "drop": "zeroed with probability 0.4",
}
for kind, name in names.items():
    moments = denoising.moments(kind)
    best, A = analytic.best_denoiser(moments, 2), denoising.product(shared(denoising.linear, kind))
    U = denoising.five_features()[1].components[:, :2]
    loss, projected = analytic.denoising_loss(A, moments), analytic.denoising_loss(U @ U.T, moments)
    turn = np.degrees(analytic.principal_angles(best.basis, U)[-1])
    print(
        f"  {name:<36} trained {loss:.5f}   exact {best.loss:.5f}   PCA's projection "
        f"{projected:.5f}, at {turn:.0f} degrees"
    )

# %% Run: digits
lesson.cell("Run: digits, both corruptions")
M, epochs = 16, 6 if lesson.fast else 40
titles = {"gaussian": r"Gaussian noise, $\sigma$ = 0.3", "drop": "half of the pixels zeroed"}
fig, axes = plt.subplots(2, 1, figsize=(8.6, 4.8))
numbers = {}
for ax, (noise, title) in zip(axes, titles.items(), strict=True):
    # DenoisingAutoencoder(DeepAutoencoder(64, M, 256), ...)
    model = shared(denoising.on_digits, "deep", noise, M, epochs)
    clean, noisy = (part[:14] for part in denoising.noisy_test(lesson.run, noise))
    rows = [noisy, model(noisy).numpy(), clean]
    ax.imshow(
        np.vstack([np.hstack([np.pad(x.reshape(8, 8), 1) for x in row]) for row in rows]),
        cmap="gray_r",
        vmin=0,
        vmax=1,
    )
    before, after = (float(np.mean(np.sum((row - clean) ** 2, axis=1))) for row in rows[:2])
    ax.set(title=f"{title}: error {before:.1f} to {after:.1f}", xticks=[], yticks=[5, 15, 25])
    ax.set_yticklabels(["noisy", "denoised", "clean"])
    ax.grid(visible=False)
    numbers[noise] = {"noisy": before, "denoised": after}
fig.suptitle(
    "Digits it has never seen lose their noise (squared error per image, these 14)", weight="bold"
)
lesson.figure("digits", fig, numbers)

# %% Run: PCA, linear, deep
lesson.cell("Run: PCA, linear and deep denoisers")
sizes = (M,) if lesson.fast else (2, 4, 8, 16, 32)
principal = analytic.pca(mg.data.digits("train")[0])
fig, axes = plt.subplots(1, 2, figsize=(9.8, 4.0), sharey=True)
numbers = {}
print("360 test digits, each corrupted 10 times; squared error, sum over pixels, mean over images")
print("noise      M     PCA   linear, exact  linear, trained    deep")
for ax, (noise, title) in zip(axes, titles.items(), strict=True):
    clean, noisy = denoising.noisy_test(lesson.run, noise)

    def error(y, clean=clean):
        return float(np.mean(np.sum((y - clean) ** 2, axis=1)))

    every = np.arange(1, 41, 13 if lesson.fast else 1)
    exact = [
        error(noisy @ A.T + b)
        for A, b in (denoising.best_linear(lesson.run, noise, m) for m in every)
    ]
    projected = [error(principal.reconstruct(noisy, m)) for m in every]
    ax.plot(every, projected, color=BLACK, label="PCA: projects what it is given")
    ax.plot(every, exact, color=ORANGE, label="linear, exact: reduced-rank regression")
    found = {}
    for m in sizes:
        A, b = denoising.best_linear(lesson.run, noise, m)
        linear, deep = (
            error(shared(denoising.on_digits, kind, noise, m, epochs)(noisy).numpy())
            for kind in ("linear", "deep")
        )
        found[m] = error(principal.reconstruct(noisy, m)), error(noisy @ A.T + b), linear, deep
        print(
            f"{noise:<8} {m:>3} {found[m][0]:>7.3f} {found[m][1]:>15.3f} {linear:>16.3f} "
            f"{deep:>7.3f}"
        )
    ax.plot(sizes, [f[2] for f in found.values()], "s", color=ORANGE, label="linear, trained")
    ax.plot(sizes, [f[3] for f in found.values()], "o-", color=BLUE, label="deep, 64-256-M-256-64")
    if noise == "gaussian" and not lesson.fast:
        kernel = error(
            analytic.kernel_denoiser(
                mg.data.digits("train")[0], noisy, denoising.DIGIT_NOISE[noise]["sigma"]
            )
        )
        ax.axhline(kernel, color=GREEN, ls=":", label="kernel average of the training digits")
        numbers["kernel"] = kernel
        print(
            "(the kernel average, which no function beats on the training digits, has "
            f"{kernel:.3f} on the test digits)"
        )
    ax.set(title=title, xlabel="latent units $M$", ylim=(0, 7))
    numbers[noise] = {
        str(m): dict(zip(("pca", "linear_exact", "linear", "deep"), f, strict=True))
        for m, f in found.items()
    }
axes[0].set_ylabel("squared error per test image")
axes[0].legend(fontsize=8, loc="upper right")
fig.suptitle(
    "With M, PCA passes on ever more noise; linear denoisers shrink it; deep ones do best",
    weight="bold",
)
lesson.figure("errors", fig, numbers)

# %% Run: the score
lesson.cell("Run: the arrow from noise to data is the score")
mixture, sigma = denoising.mixture(), denoising.FIELD_SIGMA
model = shared(denoising.on_mixture, 2000 if lesson.fast else 8000, 20 if lesson.fast else 60)
axis = np.linspace(-2.8, 2.8, 15)
points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
fine = np.stack(np.meshgrid(*[np.linspace(-3, 3, 120)] * 2), axis=-1)
density = np.exp(mixture.log_density(fine.reshape(-1, 2), sigma)).reshape(120, 120)
learned = analytic.score_of_denoiser(model(points).numpy(), points, sigma)
exact = mixture.score(points, sigma)
drawn = mixture.sample(20_000, np.random.default_rng(1)) + sigma * np.random.default_rng(
    2
).standard_normal((20_000, 2))
off = analytic.score_of_denoiser(model(drawn).numpy(), drawn, sigma) - mixture.score(drawn, sigma)
share = float(np.sum(off**2) / np.sum(mixture.score(drawn, sigma) ** 2))
print(
    f"mean square of (y - x~)/sigma^2 - grad log p(x~), where noisy data are: {share:.2%} of that "
    "of grad log p"
)
twins, half = shared(denoising.twins), float(np.linalg.norm(denoising.TWIN))
fig, (left, right) = plt.subplots(1, 2, figsize=(9.8, 4.6), width_ratios=(1.15, 1))
left.contour(fine[..., 0], fine[..., 1], density, levels=6, colors="#bbbbbb", linewidths=0.8)
left.quiver(
    *points.T,
    *exact.T,
    color=ORANGE,
    width=0.008,
    scale=75,
    label=r"exact: $\nabla \log p(\tilde x)$",
)
left.quiver(
    *points.T,
    *learned.T,
    color=BLUE,
    width=0.0035,
    scale=75,
    label=r"learned: $(y-\tilde x)/\sigma^2$",
)
left.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xlabel=r"$\tilde x_1$", ylabel=r"$\tilde x_2$")
left.set_title("A deep denoiser's arrows lie on the score")
left.legend(loc="lower left", fontsize=8, framealpha=0.9, frameon=True)
t = np.linspace(-4, 4, 200)
on_line = t[:, None] * denoising.TWIN / half
right.plot(t, t, color="#999999", lw=1, ls=":", label="no denoising")
right.plot(
    t,
    half * np.tanh(half * t),
    color=ORANGE,
    lw=4,
    alpha=0.7,
    label=r"exact $m\,\tanh(m \tilde x)$",
)
right.plot(
    t,
    twins(on_line).numpy() @ denoising.TWIN / half,
    color=BLUE,
    lw=1.2,
    label="one tanh unit, trained",
)
right.set(
    xlabel=r"noisy $\tilde x$, along the line through both points",
    ylabel="answer $y$",
    ylim=(-2.2, 2.2),
)
right.set_title("Two points: $y$ is the posterior mean")
right.legend(fontsize=8)
lesson.figure(
    "score", fig, {"share_off": share, "points": points, "learned": learned, "exact": exact}
)

# %% Inspect
lesson.cell("Inspect: the noisy input is a constant, the clean one the target")
tiny = DenoisingAutoencoder(
    LinearAutoencoder(3, 1, rng=np.random.default_rng(lesson.seed)), sigma=0.3
)
loss = tiny.loss(
    mg.tensor(np.array([[1.0, 0.5, -1.0], [0.0, 1.0, 2.0]]), name="x"), rng=np.random.default_rng(0)
)
trace = mg.trace(loss)
print(trace.text())
lesson.page("backward_pass", trace)

# %% Verify
lesson.cell("Verify: the gradient of the denoising loss proves itself")
print(mg.check_graph(model.loss(drawn[:50], rng=np.random.default_rng(0))))

# %% Break it
lesson.cell("Break it: a corrupted copy, made once")
X, (floor, floor_error) = shared(denoising.ring), shared(denoising.ring_floor)
right_model, right_history = shared(denoising.on_ring)
with denoising.frozen():  # the noise of each datum is drawn at its first visit and kept
    wrong_model, wrong_history = denoising.on_ring(lesson.run)
fig, ax = plt.subplots(figsize=(6.8, 4.0))
numbers = {"floor": floor}
for name, model, history, color in (
    ("drawn at each visit", right_model, right_history, BLUE),
    ("drawn once, kept", wrong_model, wrong_history, RED),
):
    fresh, error = denoising.mean_loss(
        model, X, np.random.default_rng(3), 200 if lesson.fast else 3000
    )
    ax.semilogy(
        np.arange(1, len(history.loss) + 1),
        history.loss,
        color=color,
        label=f"noise {name}: training",
    )
    ax.plot(
        len(history.loss),
        fresh,
        "o",
        color=color,
        label=f"... and its loss on fresh noise, {fresh:.2f}",
    )
    print(
        f"  noise {name:<20} training loss {history.loss[-1]:.4f}   on fresh noise {fresh:.4f} +- "
        f"{error:.4f}"
    )
    numbers[name] = {"training": history.loss, "fresh": fresh}
print(
    f"  no function of x~ is below {floor:.4f} +- {floor_error:.4f} (standard errors: noise is "
    "sampled, also for the floor)"
)
ax.axhline(
    floor, color=BLACK, ls="--", lw=1, label=f"no function of $\\tilde x$ is below {floor:.2f}"
)
ax.set(
    xlabel="epochs",
    ylabel="loss per datum",
    title="A loss below the floor: noise was learned by heart",
)
ax.legend(fontsize=8)
lesson.figure("frozen", fig, numbers)
lesson.cell("Break it: the noisy input as the target")
with edit(DenoisingAutoencoder.loss, "self.forward(noisy), x)", "self.forward(noisy), noisy)")():
    A = denoising.product(denoising.linear(Run(fast=True, seed=lesson.seed), "gaussian"))
U = denoising.five_features()[1].components[:, :2]
print(
    f"W2 W1 along the first two components: {np.diag(U.T @ A @ U).round(3)}: PCA of noisy data, "
    "which shrinks nothing;"
)
print("its own loss looks fine.  The claim 'gaussian-rank-m' catches it.")

# %% [markdown]
# ## Exercises
#
# 1. Show E‖x − A x̃‖² = tr (I−A) S (I−A)ᵀ + σ² ‖A‖²: for a linear network, noise *is* weight decay
#    on W2 W1.
# 2. Two points ±m: derive E[x | x̃] = m tanh(mᵀx̃ / σ²).  Which weights must the tanh unit have?
#    Read them off.
# 3. Train with `drop=0.5` and test with `drop=0.1`, and the other way round.  Which is worse, and
#    why?
# 4. Start at noise, go x ← x + ½ η score + √η ε with the learned score.  Do you get samples of the
#    mixture?

# %% Recap
lesson.finish()
