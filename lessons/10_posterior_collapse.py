# %% [markdown]
# # Lesson 10: posterior collapse, and what beta does
#
# **Goal.** Predict which latent units of a VAE collapse before training it, and see the prediction
# come true: a unit can live only on a component whose eigenvalue exceeds beta sigma^2.  Then see
# what beta and KL warm-up
# can fix. (Bishop & Bishop, section 19.2; Lucas, Tucker, Grosse & Norouzi 2019; Burda et al. 2016;
# Hoffman &
# Johnson 2016.)
#
# The slide's two problems: *posterior collapse*, q(z given x) is the prior for every x; and *the
# code is not compressed*, q(z given x) is so narrow that z names the datum.  They are the two ends
# of one curve.

# %% Goal
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.claims.bugs import edit
from minigrad_ae.experiments import collapse
from minigrad_ae.experiments.elbo import cloud
from minigrad_ae.models import LinearVAE, diagnose
from minigrad_ae.teaching.lesson import BLACK, BLUE, ORANGE, RED, Lesson

lesson = Lesson("10_posterior_collapse", "about 25 s; --fast 4 s")
run = lesson.run
X, l = cloud()  # 80 points in 5 dimensions, as in lesson 8; the eigenvalues of their covariance
digits = collapse.pixels()
l_digits = analytic.pca(digits).eigenvalues / len(digits)

# %% Predict
lesson.cell("Predict")
lesson.predict("mean-over-pixels")
lesson.predict("wake")
lesson.predict("holes")

# %% [markdown]
# ## Build
#
# | slide | code |
# |---|---|
# | L = E log p(x given z) − beta KL(q ‖ p(z)) | `model.elbo(X, beta=...)`; `model.beta` in training |
# | −E log p(x given z) = E‖x − y‖^2 / 2 sigma^2 + const | so the loss is that of beta = 1 with noise tau = beta sigma^2 |
# | a unit is active | its posterior mean varies over the data: variance above 0.01 (Burda et al.) |

# %% Build
lesson.cell("Build: one linear VAE, unit by unit")
sigma2, beta = 0.5, 2.5
# LinearVAE(5, 4, sigma2=0.5, beta=2.5, rng=rng), then .fit(X)
model = run.shared(collapse.linear, sigma2, beta)
report = collapse.report(model, X)
print(report, "(the last line: estimates from one z a datum)")
print(
    f"eigenvalues {np.round(l, 3)}; tau = beta sigma^2 = {sigma2 * beta}: "
    f"{np.sum(l[:4] > sigma2 * beta)} units can live"
)
print("unit   KL predicted 1/2 ln(l/tau)   measured     variance of the mean 1 - tau/l   measured")
best = analytic.linear_vae_optimum(l, 4, sigma2, beta)
order = np.argsort(-report.kl)
for k, m in enumerate(order):
    print(
        f"{m:>4} {best.kl[k]:>28.9f} {report.kl[m]:>12.9f} {best.mean_variances[k]:>29.9f} "
        f"{report.mean_variance[m]:>14.9f}"
    )

# %% Run: a grid of noises and betas
lesson.cell("Run: active units for every sigma^2 and beta")
noises, weights = (
    (collapse.NOISES[1:3], collapse.WEIGHTS[1:])
    if lesson.fast
    else (collapse.NOISES, collapse.WEIGHTS)
)
counts = np.array([[collapse.active(run, s, b) for s in noises] for b in weights])
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.9))
left.imshow(counts, cmap="Blues", vmin=0, vmax=8, origin="lower", aspect="auto")
wrong = 0
for i, b in enumerate(weights):
    for j, s in enumerate(noises):
        expected = analytic.active_units(l, 4, s, b)
        wrong += int(expected != counts[i, j])
        left.text(
            j, i, f"{counts[i, j]}\n(predicted {expected})", ha="center", va="center", fontsize=9
        )
left.set_xticks(range(len(noises)), [f"{s:g}" for s in noises])
left.set_yticks(range(len(weights)), [f"{b:g}" for b in weights])
left.grid(False)
left.set(xlabel="$\\sigma^2$", ylabel="$\\beta$")
left.set_title(f"Active units of 4: {counts.size - wrong} of {counts.size} counts as predicted")
print(f"{counts.size} linear VAEs trained; wrong counts: {wrong}")

# %% Run: the deep VAE, with the linear prediction as a guide
epochs = 10 if lesson.fast else 60
betas = (1.0, 8.0) if lesson.fast else (0.25, 1.0, 2.0, 4.0, 8.0, 16.0)
deep_kl = {}
for b in betas:  # 64-64-8 VAE with tanh layers, Gaussian likelihood, sigma = 0.2
    deep_kl[b] = collapse.unit_kl(run.shared(collapse.deep, 8, b, epochs), digits)
taus = 0.04 * np.array(betas)
fine = np.geomspace(taus.min() / 1.3, taus.max() * 1.3, 200)
for k in range(8):
    first = [None, None] if k else ["deep VAE, each unit", "linear VAE, closed form"]
    right.semilogx(taus, [kl[k] for kl in deep_kl.values()], "o", color=BLUE, ms=4, label=first[0])
    right.semilogx(
        fine, 0.5 * np.log(np.maximum(l_digits[k] / fine, 1)), color=ORANGE, lw=1, label=first[1]
    )
right.set(xlabel="$\\tau = \\beta\\sigma^2$", ylabel="KL of a unit (nats)")
right.set_title("Digits: a deep VAE stays near the linear prediction")
right.legend(fontsize=8)
numbers = {
    "sigma2": noises,
    "beta": weights,
    "active": counts,
    "deep_beta": betas,
    "deep_kl": deep_kl,
}
lesson.figure("active_units", fig, numbers)
print(
    "deep VAE on the digits, units with more than 0.05 nats, beside the linear prediction (a "
    "guide, not a law):"
)
for b, tau in zip(betas, taus, strict=True):
    print(
        f"  beta {b:>5g}: {int((deep_kl[b] > 0.05).sum())} of 8, linear "
        f"{analytic.active_units(l_digits, 8, tau)}"
    )

# %% Run: the table of loss conventions
lesson.cell("Run: sum or mean, over pixels or latents: what each does to active units")
print(
    "e: squared errors (n, D), KL: terms (n, M), D = 16 (digits at 4 x 4 pixels), M = 10.  "
    "Measured (predicted):"
)
shown = list(collapse.PIXELS)[1:2] if lesson.fast else list(collapse.PIXELS)
print(
    f"{'loss per datum':<22} {'tau':>5}   " + "".join(f"{'pixels ' + name:>22}" for name in shown)
)
table = {}
for name in collapse.CONVENTIONS:
    cells = []
    for unit in shown:
        fitted = run.shared(collapse.written_as, name, collapse.PIXELS[unit])
        active = collapse.active_units(fitted, collapse.small_digits(collapse.PIXELS[unit]))
        cells.append((active, collapse.predicted(name, collapse.PIXELS[unit])[1]))
    table[name] = dict(zip(shown, cells, strict=True))
    print(
        f"{name:<22} {collapse.predicted(name, 1.0)[0]:>5g}   "
        + "".join(f"{f'{a} ({p})':>22}" for a, p in cells)
    )
spectrum = collapse.mnist_spectrum(run)
print(
    "MNIST, 784 pixels from 0 to 1, M = 20: units that could live, in closed form (eigenvalues "
    "above tau)"
)
for name, convention in collapse.CONVENTIONS.items():
    tau = analytic.effective_noise(convention.error_weight(784), convention.kl_weight(20))
    print(f"{name:<22} {tau:>5.3g}   {min(20, int(np.sum(spectrum > tau))):>22}")
print(
    "The same words, 'MSE + KL', mean tau = 1/2 or D/2; and pixels 16 times larger have "
    "eigenvalues 256 times larger."
)

# %% Run: rate and distortion
lesson.cell("Run: rate against distortion, one linear VAE per beta")
fig, ax = plt.subplots(figsize=(6.6, 4.2))
sweep = (0.5, 3.0) if lesson.fast else (0.2, 0.5, 1.0, 1.5, 3.0, 6.0)
fine, numbers = np.geomspace(0.05, 9, 300), {}
for M, color in ((5, BLUE), (2, RED)):
    rate, distortion = analytic.rate_distortion(l, M, fine)
    ax.plot(
        distortion, rate, color=color, lw=1.2, label=f"M = {M}: reverse water-filling, closed form"
    )
    points = np.array([collapse.rate_and_distortion(run, tau, M) for tau in sweep])
    ax.plot(points[:, 1], points[:, 0], "o", color=color, label=f"M = {M}: trained")
    numbers[f"M={M}"] = {"tau": sweep, "rate_distortion": points}
    exact = np.stack(analytic.rate_distortion(l, M, sweep), axis=1)
    print(
        f"M = {M}: largest distance of a trained model from the curve "
        f"{np.abs(points - exact).max():.1e}"
    )
ax.axvline(l.sum(), color=BLACK, lw=0.8, ls=":")
ax.annotate(
    "total collapse: rate 0",
    (l.sum(), 0.1),
    (9.4, 1.2),
    fontsize=8,
    arrowprops={"arrowstyle": "->"},
)
ax.annotate(
    "code not compressed", (0.3, 8.4), (2.2, 8.2), fontsize=8, arrowprops={"arrowstyle": "->"}
)
ax.set(
    xlabel="distortion E‖x − y‖² (units of x, squared)",
    ylabel="rate = KL (nats per datum)",
    title="$\\beta$ chooses a point on the rate-distortion curve",
)
ax.legend(fontsize=8)
lesson.figure("rate_distortion", fig, numbers)

# %% Run: KL warm-up
lesson.cell("Run: KL warm-up, where collapse is a failure of training")
print("16 latent units, three ReLU layers, Bernoulli likelihood, beta = 1 at the end:")
print("start  warm-up epochs      ELBO   KL (nats)   units above 0.05 nats")
epochs, results = (10, 5) if lesson.fast else (40, 20), []
for start in (0,) if lesson.fast else (0, 1, 2):
    for warm_up in (0, epochs[1]):
        trained = run.shared(collapse.very_deep, start, epochs[0], warm_up)
        elbo, kl = (
            float(trained.elbo(digits, np.random.default_rng(0))) / len(digits),
            collapse.unit_kl(trained, digits),
        )
        results.append([start, warm_up, elbo, kl.sum(), int((kl > 0.05).sum())])
        print("{:>5} {:>15} {:>9.2f} {:>11.2f} {:>23}".format(*results[-1]))
gains = [b[2] - a[2] for a, b in zip(results[::2], results[1::2], strict=True)]
print(
    f"Warm-up changes the ELBO by {', '.join(f'{gain:+.2f}' for gain in gains)} nats.  Where it "
    "rises, collapse was not the"
)
print(
    "maximum of the ELBO: training was stuck.  (The linear model cannot get stuck; there the "
    "maximum stays the same.)"
)

# %% Run: the aggregate posterior and its holes
lesson.cell("Run: the aggregate posterior, and its holes")
betas = (0.02, 4.0) if lesson.fast else (0.02, 1.0, 12.0)
fig, axes = plt.subplots(1, len(betas), figsize=(3.6 * len(betas), 3.7), sharey=True)
grid = np.linspace(-3.5, 3.5, 60 if lesson.fast else 140)
z = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
print(" beta    rate = I(x; z) + KL(q(z) ‖ p(z))   share of prior draws in a hole")
for ax, b in zip(axes, betas, strict=True):
    two = run.shared(collapse.deep, 2, b, 12 if lesson.fast else 60)
    found, share = diagnose(two, digits, np.random.default_rng(0)), collapse.holes(two, digits)
    print(
        f"{b:>5g} {found.rate:>7.3f}   {found.mutual_information:>7.3f}   "
        f"{found.marginal_kl:>14.3f} {share:>26.3f}"
    )
    mu, log_var = collapse.posteriors(two, digits[:500])
    density = np.exp(mg.models.diagnostics.log_aggregate_posterior(z, mu, log_var)).reshape(
        len(grid), -1
    )
    ax.pcolormesh(grid, grid, density, cmap="Blues", vmax=0.3, rasterized=True)
    for radius in (1, 2, 3):
        ax.add_patch(plt.Circle((0, 0), radius, fill=False, color=RED, lw=0.8, ls="--"))
    ax.set(xlabel="$z_1$", title=f"$\\beta$ = {b:g}: {share:.0%} of prior in holes", aspect="equal")
    results.append([b, found.rate, found.mutual_information, found.marginal_kl, share])
axes[0].set_ylabel("$z_2$")
fig.suptitle(
    "A small $\\beta$ leaves holes: q(z) (blue) against the prior (red: 1, 2, 3 deviations)",
    weight="bold",
)
columns = ["beta", "rate", "mutual_information", "marginal_kl", "holes"]
lesson.figure("holes", fig, {"columns": columns, "rows": results[-len(betas) :]})

# %% Inspect
lesson.cell("Inspect: what pulls a unit towards the prior")
tiny = LinearVAE(2, 1, beta=3.0, rng=np.random.default_rng(lesson.seed))
trace = mg.trace(tiny.loss(mg.tensor(np.array([[1.0, 0.5], [-1.0, 2.0]]), name="x")))
print(trace.text(param="log_var"))
lesson.page("pull", trace)

# %% Verify
lesson.cell("Verify: the curvature at W = 0 decides")
print(
    "curvature of the loss at W = 0, by the engine's own Hessian: a negative one lets a unit "
    "escape from collapse"
)
exact = np.sort(analytic.collapse_curvature(l, 1.5, 1.0))
for i, measured in enumerate(collapse.curvatures(1.5, 1.0)):
    print(
        f"  along u_{i + 1} (l = {l[i]:.3f}): {measured:>10.6f}, closed form (tau - l)/tau^2 = "
        f"{exact[i]:>10.6f}"
    )

# %% Break it
lesson.cell("Break it: a beta that is never used")
with edit(LinearVAE._maximise, "beta=self.beta", "beta=1.0")():
    deaf = collapse.linear(run, sigma2, beta)
print(
    f"beta = {beta}, but the fit forgets it: "
    f"{collapse.active_units(deaf, X)} active units in place of "
    f"{report.active.sum()}."
)
print("The loss still falls and looks healthy.  Which printed number would have told you?")

# %% [markdown]
# ## Exercises
#
# 1. Set sigma2=0.3 in `collapse.linear`.  From which beta on is only one unit left?  Check by
#    training.
# 2. Divide your own data by 10.  Which sigma2 keeps the number of active units?
# 3. Learn sigma^2 under beta = 4 with M = 2 (`learn_sigma2=True`).  Why does it collapse, and what
#    does `learnt_noise` say?
# 4. Warm up for 1, 5 and 20 epochs in `collapse.very_deep`.  How short a warm-up is enough?

# %% Recap
lesson.finish()
