# %% [markdown]
# # Lesson 9: the variational autoencoder
#
# **Goal.** Train an encoder and a decoder together on a lower bound of the likelihood, with the one
# trick that lets a gradient pass through a random number; follow Algorithm 1 line by line; and
# measure how far the
# bound is from log p(x). (Bishop & Bishop, section 19.2; Kingma & Welling 2013.)

# %% Goal
import json

import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.errors import GradientError
from minigrad_ae.experiments import variational
from minigrad_ae.models import VariationalAutoencoder, diagnose
from minigrad_ae.teaching.figures import show_codes, show_gradient_flow, show_manifold, show_sheet
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, Lesson

lesson = Lesson("09_variational_autoencoder", "about 15 s; --fast 4 s")
X, _ = mg.data.digits("train")  # (1437, 64), pixels in [0, 1]
X_test, y_test = mg.data.digits("test")

# %% Predict
lesson.cell("Predict")
lesson.predict("scatter")
lesson.predict("samples")
lesson.predict("two-updates")

# %% [markdown]
# ## Build: Algorithm 1, line by line
#
# The slide's loop has no "for n": it takes one data point after the other.  Here all M units are
# handled at once.  Its two updates share one L, so both gradients are taken before either parameter
# moves.  It climbs L
# (+ eta); the library descends -L.  It draws one sample, the text L of them: the mean over L is of
# log p(x | z) alone,
# the KL stands outside.

# %% Build
lesson.cell("Build: Algorithm 1")
model, data = variational.small()  # a Bernoulli VAE 6-8-2-8-6, and 20 data in [0, 1]
w, phi = model.decoder.parameters(), model.encoder.parameters()
eta, noise = variational.ETA, variational.generator(lesson.run, 98)
for x in data:  # repeat
    #     for m <- 1 to M do   eps_nm ~ N(0, 1)
    eps = noise.standard_normal((1, model.n_latent))
    mu, log_var = model.encode(x[None, :])
    #         z_nm <- mu_nm + sigma_nm eps_nm
    z = mg.ops.reparameterise(mu, log_var, eps)
    #         L <- L + 1/2 (1 + ln sigma^2 - mu^2 - sigma^2)
    L = -mg.ops.gaussian_kl(mu, log_var)
    L = L - mg.ops.bernoulli_loss(model.decoder(z), x[None, :])  #     L <- L + log p(x_n | z_n; w)
    gradients = mg.grad(L, [*w, *phi])  #     (both at the old w and phi)
    for p, g in zip([*w, *phi], gradients, strict=True):  #     w <- w + eta grad_w L
        p.data = p.data + eta * g  #     phi <- phi + eta grad_phi L
library = variational.by_mini_batches(lesson.run)  # model.loss(x), backward, SGD: batches of one
difference = max(
    float(np.abs(p.data - q).max()) for p, q in zip(model.parameters(), library, strict=True)
)
print(
    "after 20 data, these lines and the library's mini-batch step in batches of one differ by "
    f"{difference:g}"
)

# %% Run: why z = mu + sigma eps
lesson.cell("Run: a gradient reaches phi only if z is a function of it")
fig, axes = plt.subplots(1, 2, figsize=(11, 3.1))
flows = {
    name: variational.gradient_flow(name == "reparameterised")
    for name in ("sampled", "reparameterised")
}
for ax, (name, norms) in zip(axes, flows.items(), strict=True):
    show_gradient_flow(ax, norms, reparameterised=name == "reparameterised")
axes[0].set_title("z drawn from q: nothing reaches $\\phi$")
axes[1].set_title("z a function of $\\mu$, $\\sigma$ and given noise: gradients flow to $\\phi$")
fig.suptitle(
    "orange: size of the gradient of ln p(x|z) at one datum; yellow: random", fontsize=9, y=0.04
)
lesson.figure("graph", fig, flows)

# %% Run: two estimators of one gradient
lesson.cell("Run: reparameterised against score function")
kinds = {"reparameterised": BLUE, "baseline": GREEN, "score": ORANGE}
reparameterised, score = analytic.square_gradient_variances(variational.MU, variational.SIGMA)
curve = analytic.Quadratic(np.array([[2.0]]), np.zeros(1))  # f(z) = z^2
baseline = curve.score_function_variance(
    [variational.MU], [variational.SIGMA], variational.MU**2 + variational.SIGMA**2
)
derived = {"reparameterised": reparameterised, "baseline": float(baseline[0]), "score": score}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
found = {}
print("d/dmu E z^2 = 3, one draw           mean    variance    derived")
for kind, color in kinds.items():
    draws = lesson.run.shared(variational.gradient_draws, kind)
    found[kind] = {"mean": draws.mean(), "variance": draws.var(), "derived": derived[kind]}
    print(f"  {kind:<26} {draws.mean():>10.4f} {draws.var():>11.3f} {derived[kind]:>10.3f}")
    left.hist(
        draws,
        bins=100,
        range=(-5, 25),
        density=True,
        histtype="step",
        color=color,
        lw=1.5,
        label=kind,
    )
left.axvline(2 * variational.MU, color=BLACK, lw=0.8, ls=":")
left.set(
    xlabel="one draw of the gradient (exact mean 3, dotted)",
    ylabel="density",
    title="Same mean, very different spread",
)
left.legend()
means = np.linspace(0, 3, 60)
for kind, color in (("reparameterised", BLUE), ("score", ORANGE)):
    lines = [
        analytic.square_gradient_variances(m, variational.SIGMA)[kind == "score"] for m in means
    ]
    right.semilogy(means, lines, color=color, label=f"{kind}, derived")
    right.semilogy(
        variational.MU, found[kind]["variance"], "o", color=color, label="measured, 400,000 draws"
    )
right.set(
    xlabel="$\\mu$", ylabel="variance of one draw", title="The score function scatters as f grows"
)
right.legend(fontsize=8)
lesson.figure("estimators", fig, found)

# %% Run: two latent units for the digits
lesson.cell("Run: the digits through two latent units")
epochs = variational.SHORT if lesson.fast else variational.LONG
# VariationalAutoencoder(64, 2, likelihood="gaussian", ...), fit
vae, history = lesson.run.shared(variational.trained, epochs)
linear, _ = analytic.ppca_optimum(analytic.pca(X).eigenvalues / len(X), 2)
print(vae)
floor = analytic.pixel_entropy(X_test)
print(
    f"a Gaussian decoder: a Bernoulli one would be judged by a cross-entropy, at least {floor:.2f} "
    "nats on grey pixels,"
)
print("which is minus a log likelihood for black and white only")
print(f"pixels have the learnt standard deviation {vae.sigma:.3f}; code of the test digits:")
report = diagnose(vae, X_test, lesson.rng)
print(report)
log_p = float(vae.log_likelihood(X_test, lesson.rng, 200).mean())
print(
    f"log p(x) of the test digits, by importance weighting (k = 200): {log_p:.2f} nats; above the "
    "ELBO, as it must be"
)
fig, ax = plt.subplots(figsize=(6.8, 3.6))
ax.plot(
    np.arange(1, history.epochs + 1),
    -np.array(history.loss),
    color=BLUE,
    label="ELBO of the VAE, while training",
)
ax.axhline(
    linear,
    color=BLACK,
    ls=":",
    label=f"log p of probabilistic PCA, M = 2: {linear:.2f}, the best linear decoder",
)
ax.set(
    xlabel="epochs",
    ylabel="nats per image",
    ylim=(linear - 25, -history.loss[-1] + 3),
    title="A lower bound, yet above log p of any linear decoder with 2 units",
)
ax.legend()
numbers = {
    "elbo": -np.array(history.loss),
    "ppca": linear,
    "test_elbo": report.elbo,
    "test_log_p": log_p,
}
lesson.figure("training", fig, numbers)

# %% Run: what the model has learned
lesson.cell("Run: reconstructions, samples, the way from one digit to another")
first, second = (int(np.flatnonzero(y_test == label)[0]) for label in (0, 6))
steps = np.linspace(0, 1, 10)[:, None]
ends = vae.encode(X_test[[first, second]])[0].numpy()
rows = {
    "test digits": X_test[:10],
    "reconstructed": vae.reconstruct(X_test[:10]),
    "samples, z ~ p(z)": vae.sample(10, lesson.rng),
    "between codes": vae.decode((1 - steps) * ends[0] + steps * ends[1]).numpy(),
    "between pixels": (1 - steps) * X_test[first] + steps * X_test[second],
}
fig, axes = plt.subplots(5, 1, figsize=(7.2, 4.6))
for ax, (label, images) in zip(axes, rows.items(), strict=True):
    show_sheet(ax, images.clip(0, 1), 10)
    ax.set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center")
fig.suptitle(
    "Two numbers carry a digit; the way between two codes leads through digits", weight="bold"
)
error = float(((vae.reconstruct(X_test) - X_test) ** 2).sum(axis=1).mean())
lesson.figure("digits", fig, {"codes_of_the_ends": ends, "squared_error": error})

fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 5.7))
show_manifold(left, lambda codes: vae.decode(codes).numpy(), 15)
left.set_title("Decoder: digits all over the plane")
codes = vae.encode(X_test)[0].numpy()
show_codes(right, codes, y_test)
right.set_title("Encoder: test digits of one class lie together")
lesson.figure(
    "manifold", fig, {"codes": codes[:100], "labels": y_test[:100], "covariance": report.covariance}
)

# %% Run: the bound, and the likelihood itself
lesson.cell("Run: more samples, and more weights")
exact = float(lesson.run.shared(variational.grid_log_p, epochs).mean())
spread = variational.spread_over_samples(lesson.run, epochs)
sizes = (1, 5, 50) if lesson.fast else (1, 5, 20, 100, 250)
bounds = dict(zip(sizes, variational.rising_bounds(lesson.run, sizes, epochs)[:, 0], strict=True))
print(f"20 test digits, exact log p(x) by integration over a grid of z: {exact:.3f} nats")
for L, (mean, deviation) in spread.items():
    print(
        f"  L = {L:>2} samples of log p(x|z): bound {mean:.3f}, one estimate scatters by "
        f"{deviation:.3f}"
    )
for k, value in bounds.items():
    print(f"  L_{k:<3} (log of the mean of k weights): {value:.3f}")
few = variational.few_digits()
gaps = lesson.run.shared(variational.grid_log_p, epochs) - vae.log_likelihood(few, lesson.rng, 250)
print(
    f"log p(x) - L_250, digit by digit: median {np.median(gaps):.2f}, largest {gaps.max():.2f} "
    f"nats (no. {gaps.argmax()})"
)
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True)
centres, deviations = zip(*spread.values(), strict=True)
left.errorbar(
    list(spread),
    centres,
    deviations,
    fmt="o",
    color=BLUE,
    capsize=4,
    label="one estimate, and its scatter",
)
right.plot(list(bounds), list(bounds.values()), "o-", color=GREEN, label="$L_k$")
for ax, ticks in ((left, list(spread)), (right, list(bounds))):
    ax.axhline(exact, color=BLACK, ls=":", label="log p(x), exact")
    ax.set_xscale("log")
    ax.set_xticks(ticks, ticks)
    ax.set_xticks([], minor=True)
    ax.legend(loc="center right")
left.set(
    xlabel="L, samples in the first term",
    ylabel="nats per image",
    title="More samples: steadier, not tighter",
)
right.set(xlabel="k, importance weights", title="Log of a mean: it rises to log p(x)")
lesson.figure(
    "bounds",
    fig,
    {"exact": exact, "L": list(spread), "mean": centres, "deviation": deviations, "L_k": bounds},
)

# %% Run: MNIST, as it was measured
lesson.cell("Run: the same on MNIST, in black and white")
mnist = json.loads(mg.data.shipped("09_mnist.json").read_text(encoding="utf-8"))
print(f"measured by `{mnist['command']}` (picture: figures/mnist_vae.png); nats per test image")
print(f"  collapsed (independent pixels)  ELBO {mnist['baseline']:8.2f}")
for name, r in mnist["runs"].items():
    words = f"{name}, {r['setting']['epochs']} epochs"
    print(
        f"  {words:<31} ELBO {r['elbo']:8.2f}   log p {r['log_p']:8.2f}   in {r['seconds']:.0f} s"
    )

# %% Inspect: the backward pass through the noise
lesson.cell("Inspect: from the loss to phi")
tiny = VariationalAutoencoder(3, 1, hidden=(), rng=np.random.default_rng(lesson.seed))
trace = mg.trace(tiny.loss(np.array([[1.0, 0.0, 0.5]]), np.random.default_rng(1)))
print(trace.text())
lesson.page("backward_pass", trace)

# %% Verify: every rule of the graph of the loss
lesson.cell("Verify: the gradient of the bound proves itself")
print(mg.check_graph(vae.loss(X[:20], lesson.rng)))

# %% Break it: update w first
lesson.cell("Break it: take the gradient for phi after w has moved")
L = -model.loss(data[:1], np.random.default_rng(2))
for p, g in zip(w, mg.grad(L, w), strict=True):
    p.data = p.data + eta * g
try:
    mg.grad(L, phi)
except GradientError as error:
    print(error)
print(
    "A framework without this check returns a number: the old activations times the new weights, a "
    "gradient of nothing."
)
print(
    "And if L is computed again for phi?  That is another algorithm: the claim on Algorithm 1 "
    "notices (verify --sabotage)."
)

# %% [markdown]
# ## Exercises
#
# 1. Give the score function the best constant baseline instead of E f
#    (`analytic.Quadratic.best_baseline`).  How much variance is left?
# 2. Train with `sigma=1.0` and without `learn_sigma`.  How many units are active, and could you
#    have known?  (Lesson 10)
# 3. `n_samples=10`: is the trained bound better, at ten times the cost of the decoder?
# 4. Train on `model.iwae(x, rng, 5)` instead of the bound.  What happens to the ELBO, what to log
#    p(x)?
# 5. Draw p(z | x) on a grid for the test digit whose L_250 is furthest from log p(x).  How many
#    modes has it, and where between them is the mean of q(z | x)?
# 6. `python benchmarks/bench_mnist_vae.py`: the same on MNIST, and `minigrad-ae train vae --data
#    mnist --latent 2`.

# %% Recap
lesson.finish()
