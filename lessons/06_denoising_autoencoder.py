# %% [markdown]
# # Lesson 6: a denoising autoencoder learns where the data are
#
# **Goal.** Corrupt the input, keep the target clean, and see what a network learns from that: a
# linear one learns a map with a closed form, which is not PCA's; a flexible one learns an arrow
# from each noisy point to the mean of what it may have been.  And see two ways to get the training
# wrong that look like success.
# (Bishop & Bishop, section 19.1.4; Vincent et al. 2008, 2011.)
#
# The next cell holds all that you may want to change.  Whatever you put there, the rest follows:
# what is trained, drawn and said.

# %% Settings
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.experiments import denoising
from minigrad_ae.models import DenoisingAutoencoder
from minigrad_ae.nn import Linear, Module, Sequential
from minigrad_ae.teaching.figures import show_rows
from minigrad_ae.teaching.lesson import BLACK, BLUE, ORANGE, RED, Lesson

lesson = Lesson("06_denoising_autoencoder", "about 27 s; --fast 8 s")
X, _ = mg.data.digits()  # (1797, 64); yours: X = mg.data.load_matrix("table.csv"), rows are data
M = 16  # latent units, at most as many as X has columns
H = 128  # hidden units of the deep networks
noise = 1.0  # standard deviation of Gaussian noise, > 0; 1 is that of a typical column of X
drop = 0.5  # probability that an entry is set to zero
steps = 150 if lesson.fast else 600  # of training, 64 rows each
seed = lesson.seed
toy = denoising.mixture()  # three Gaussians in the plane, whose density is known, for the score

# %% Data
lesson.cell("Data")
X = np.asarray(X, dtype=float)
N, D = X.shape
M = min(M, D)
lesson.settings(X=X, M=M, H=H, noise=noise, drop=drop, steps=steps, seed=seed)
rng = np.random.default_rng(seed)
order = rng.permutation(N)
held_out = max(1, N // 5)
test, train = X[order[:held_out]], X[order[held_out:]]
mean = train.mean(axis=0)
S = (train - mean).T @ (train - mean) / len(train)  # the covariance of the training rows
variance = np.trace(S)  # the squared error per row of who always answers the mean
sigma = noise * np.sqrt(variance / D)
print(f"{len(train)} rows to train, {len(test)} held out; sigma = {sigma:.4g}")

# %% Predict
lesson.cell("Predict")
lesson.predict("beats-pca")  # a linear denoiser, or PCA's projection?
lesson.predict("loud")  # what is the best answer to very much noise?
lesson.predict("arrow")  # where has the arrow from x~ to y the length 0?
lesson.predict("noise-once")  # may the noise be drawn once?

# %% Words
lesson.cell("Words")
lesson.words("held-out rows", "posterior mean", "reduced-rank regression", "score", "floor")
lesson.words("standard error", "exact")

# %% [markdown]
# ## Build
#
# | slide | code |
# |---|---|
# | set a random subset of the inputs to zero | `x * (rng.random(x.shape) >= drop)` |
# | add zero-mean Gaussian noise | `x + sigma * rng.standard_normal(x.shape)`; the slide's variance is `sigma**2` |
# | $y(\tilde x; w)$, an autoencoder | `net(noisy)` |
# | $E(w) = \sum_n \lVert y(\tilde x_n; w) - x_n \rVert^2$ | `((net(noisy) - x) ** 2).sum()`: no factor 1/2 on this slide |
#
# The autoencoder is that of lesson 4, D-H-M-H-D, or without its hidden layers that of lesson 2,
# D-M-D.  Both get $\tilde x$ minus the mean of the data, divided by one unit for all columns, so
# that the same learning rate suits data of any size; the answer is put back into the units of x.
# Nothing else is new: the noise is an array of numbers, through which no gradient has to flow.

# %% Build
lesson.cell("Build: two kinds of noise, and a network")


def gaussian(x):
    return x + sigma * rng.standard_normal(x.shape)


def zeroed(x):
    return x * (rng.random(x.shape) >= drop)


class Network(Module):
    """y = mean + unit * decoder(z), z = encoder((x~ - mean) / unit)."""

    def __init__(self, rows, encoder, decoder):
        self.n_features, self.mean = rows.shape[1], rows.mean(axis=0)
        self.unit = np.sqrt(rows.var(axis=0).mean())
        self.encoder, self.decoder = encoder, decoder

    def encode(self, noisy):
        return self.encoder((noisy - self.mean) / self.unit)

    def decode(self, z):
        return self.mean + self.unit * self.decoder(z)

    def forward(self, noisy):
        return self.decode(self.encode(noisy))


def deep(rows, M, H):
    D = rows.shape[1]
    F1 = Sequential(Linear(D, H, activation="relu", rng=rng), Linear(H, M, rng=rng))
    F2 = Sequential(Linear(M, H, activation="relu", rng=rng), Linear(H, D, rng=rng))
    return Network(rows, F1, F2)


def linear(rows, M):
    D = rows.shape[1]
    return Network(rows, Linear(D, M, rng=rng), Linear(M, D, rng=rng))


def E(net, noisy, x):
    """sum over data and features of (y(x~) - x)^2."""
    return ((net(noisy) - x) ** 2).sum()


net = deep(train, M, H)
print(net)
x = train[:50]
noisy = x + sigma * np.random.default_rng(seed).standard_normal(x.shape)
ours = E(net, noisy, x).item()
library = DenoisingAutoencoder(net, sigma=sigma).loss(x, np.random.default_rng(seed)).item()
print(f"E of these lines on {len(x)} rows {ours:.12g}, of the library's class {library:.12g}")
lesson.result("E of these lines / the library's", ours / library, exact=1, tolerance=1e-12)

# %% [markdown]
# ## Train
#
# One thing is new in the loop: each time a row is visited it gets *other* noise, and the target is
# the row without it.  `fresh` draws such a batch.  No noisy row is seen twice, so the loss printed
# below is also an estimate of what new noise costs.  (The learning rate falls to 0, so that the
# noise of single steps averages out.)  `trained` is used for every network on this page.  Each
# network is trained from several starts, other weights and other noise, to see what the start does;
# the table is of the first.

# %% Train: deep and linear denoisers
lesson.cell("Train: deep and linear denoisers, for both kinds of noise")


def fresh(rows, corrupt):
    """A function that draws a batch: rows with new noise, and the same rows without it."""

    def draw(batch):
        x = rows[rng.integers(len(rows), size=batch)]
        return corrupt(x), x

    return draw


def trained(net, draw, steps, rate=0.01, batch=64):
    """(net, E per row at each step)."""
    optimizer, losses = mg.optim.Adam(net.parameters(), lr=rate), []
    for step in range(steps):
        optimizer.lr = rate * (1 - step / steps)
        noisy, target = draw(batch)
        optimizer.zero_grad()
        loss = E(net, noisy, target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item() / batch)
    return net, np.array(losses)


kinds = {"gaussian": gaussian, "zeroed": zeroed}
fifth = max(1, steps // 5)
n_starts = 2 if lesson.fast else 3
nets, curves = {}, {}  # of each network all starts
print(f"E per row, means of {fifth} steps, from the first to the last")
for kind, corrupt in kinds.items():
    draw = fresh(train, corrupt)
    for name, rate in (("deep", 0.01), ("linear", 0.02)):
        starts = [
            deep(train, M, H) if name == "deep" else linear(train, M) for _ in range(n_starts)
        ]
        pairs = [trained(start, draw, steps, rate) for start in starts]
        nets[kind, name, M] = [net for net, _ in pairs]
        curves[kind, name] = np.array([losses for _, losses in pairs])
        fall = curves[kind, name][0]
        means = [fall[k : k + fifth].mean() for k in range(0, fifth * (steps // fifth), fifth)]
        print(f"  {kind:<9} {name:<7}" + "".join(f"{value:>9.4g}" for value in means))
print(f"the rows' variance {variance:.4g}; the Gaussian noise's, D sigma^2: {D * sigma**2:.4g}")

# %% [markdown]
# Now rows that training has not seen.  Each picture (or column of shades, if your rows are not
# pictures) is one row: corrupted, after the deep network, and as it was.

# %% Look: held-out rows
lesson.cell("Look: held-out rows lose their noise?")
clean = np.tile(test, (max(1, 2000 // len(test)), 1))  # each row several times, with other noise
corrupted = {kind: corrupt(clean) for kind, corrupt in kinds.items()}


def error(y):
    """Squared error, sum over features, mean over held-out rows."""
    return float(np.mean(np.sum((y - clean) ** 2, axis=1)))


names = {
    "gaussian": f"Gaussian noise, $\\sigma$ = {sigma:.3g}",
    "zeroed": f"entries zeroed with probability {drop:g}",
}
shown = min(len(test), 14)
limits = float(test[:shown].min()), float(test[:shown].max())
heights = [1, 1, 1, 0.3, 1, 1, 1]
fig, axes = plt.subplots(7, 1, figsize=(8.6, 5.2), height_ratios=heights)
axes[3].axis("off")  # a gap
numbers = {}
for k, (kind, name) in enumerate(names.items()):
    noisy = corrupted[kind]
    denoised = nets[kind, "deep", M][0](noisy).numpy()
    before, after = numbers[kind] = error(noisy), error(denoised)
    rows = {"noisy": noisy, "denoised": denoised, "clean": clean}
    for ax, (label, part) in zip(axes[4 * k : 4 * k + 3], rows.items(), strict=True):
        show_rows(ax, part[:shown], label, limits)
    axes[4 * k].set_title(f"{name}: squared error {before:.3g} before, {after:.3g} after")
    print(f"  {kind:<9} squared error per held-out row {before:.4g} before, {after:.4g} after")
    lesson.result(f"{kind}: squared error per held-out row, noisy", before)
    lesson.result(f"{kind}: ... after the deep network", after)
lesson.figure("denoised", fig, numbers)

# %% [markdown]
# ## Linear networks: a closed form
#
# Let $y = A \tilde x + b$ with $A = W_2 W_1$ of rank M at most, and average E over the noise.  With
# $\tilde x = x + \sigma \epsilon$ the cross term vanishes, and per row
#
# $$E\,\lVert y - x \rVert^2 = \mathrm{tr}\,(I - A) S (I - A)^T + \sigma^2 \lVert A \rVert^2
#   + \lVert y(\bar x) - \bar x \rVert^2 :$$
#
# the error without noise, weight decay on the product A, and what a wrong offset adds.  Along the
# principal component $u_i$, where the data have the variance $l_i$, a strength $a_i$ costs
# $l_i (1 - a_i)^2 + \sigma^2 a_i^2$.  The derivative is 0 at
#
# $$a_i = \frac{l_i}{l_i + \sigma^2},$$
#
# the line `exact = l / (l + sigma**2)` below.  PCA's projection has $a_i = 1$.
#
# For other noise, such as zeroed entries, the best A of rank M is that of *reduced-rank
# regression*: with $P = \mathrm{cov}(x, \tilde x)$ and $Q = \mathrm{cov}(\tilde x)$ first regress,
# $P Q^{-1}$, then keep the M strongest directions V of its answers, $A = V V^T P Q^{-1}$.  In
# `analytic.gaussian_moments` and `dropout_moments` the noise is averaged exactly.  V need not be
# PCA's subspace: the last column of the table is the largest angle between them.

# %% Look: linear denoisers
lesson.cell("Look: linear denoisers and their closed forms")
principal = analytic.pca(train)
K = min(M, principal.rank)
U, l = principal.components[:, :K], principal.eigenvalues[:K] / len(train)
moments = {
    "gaussian": analytic.gaussian_moments(S, sigma),
    "zeroed": analytic.dropout_moments(S, 1 - drop, mean),
}


def product(net):
    """A = W2 W1 (D, D)."""
    return (net.encoder.weight.numpy() @ net.decoder.weight.numpy()).T


best = {kind: analytic.best_denoiser(moments[kind], M) for kind in kinds}
full = {kind: analytic.best_denoiser(moments[kind]) for kind in kinds}  # of any rank
print("E per training row, best b, noise averaged exactly:")
print(f"{'noise':<9} {'trained A':>12} {'exact A':>12}   angle between V and PCA's subspace")
for kind in kinds:
    loss_of_A = analytic.denoising_loss(product(nets[kind, "linear", M][0]), moments[kind])
    angle = np.degrees(analytic.principal_angles(best[kind].basis[:, :K], U)[-1])
    print(f"{kind:<9} {loss_of_A:>12.4g} {best[kind].loss:>12.4g} {angle:>12.1f} degrees")
    above = (loss_of_A - best[kind].loss) / variance
    lesson.result(f"{kind}: (E of trained A - least E) / variance", above, at_least=-1e-9)

net = nets["gaussian", "linear", M][0]
A, offset = product(net), net(mean[None]).numpy()[0] - mean
formula = sum(analytic.ridge_gaussian(A, S, sigma)) + offset @ offset
draws = [E(net, gaussian(train), train).item() / len(train) for _ in range(25)]
lesson.result(
    "gaussian: linear, E with 25 draws of the noise",
    np.mean(draws),
    exact=formula,
    tolerance=5 * np.std(draws, ddof=1) / 25**0.5,
)
exact = l / (l + sigma**2)
strengths = np.array([np.diag(U.T @ product(net) @ U) for net in nets["gaussian", "linear", M]])
off = float(np.abs(strengths - exact).max())
fig, (ax, right) = plt.subplots(1, 2, figsize=(9.8, 4.0))
index = np.arange(1, K + 1)
look = {"color": ORANGE, "ms": 9, "lw": 4, "alpha": 0.7}
ax.plot(index, exact, "s-", **look, label=r"exact: $l_i / (l_i + \sigma^2)$")
label = f"trained, {n_starts} starts: $u_i^T W_2 W_1 u_i$"
ax.plot(np.tile(index, n_starts), strengths.ravel(), "o", ms=4, color=BLUE, label=label)
ax.axhline(1, color=BLACK, ls="--", lw=1, label="PCA's projection")
ax.set(xlabel="component i", ylabel="strength", ylim=(-0.05, 1.1))
ax.set_title(f"Gaussian noise: strengths at most {off:.2g} off")
ax.legend(fontsize=8)
every = max(1, steps // 50)


def draw_falls(ax, falls, color, label):
    """Losses (starts, steps): the mean of all starts, a few steps at a time, and their range."""
    whole = falls[:, : falls.shape[1] // every * every]
    means = whole.reshape(len(falls), -1, every).mean(axis=2)
    at = every * (np.arange(means.shape[1]) + 0.5)
    ax.fill_between(at, means.min(axis=0), means.max(axis=0), color=color, alpha=0.3, lw=0)
    ax.plot(at, means.mean(axis=0), color=color, lw=1.2, label=label)
    return means


for name, color in (("deep", BLUE), ("linear", ORANGE)):
    draw_falls(
        right, curves["gaussian", name], color, f"{name}: mean and range of {n_starts} starts"
    )
right.axhline(best["gaussian"].loss, color=BLACK, ls="--", lw=1, label="linear, exact")
right.set(xlabel="steps", ylabel=f"E per row, means of {every} steps")
right.set_title("Gaussian noise: E in training")
right.set_ylim(bottom=0)
right.legend(fontsize=8)
lesson.figure("linear", fig, {"l": l, "strength": strengths, "exact": exact})

# %% [markdown]
# ## Four denoisers on held-out rows
#
# PCA's projection of the noisy row; the exact linear denoiser of the training rows; a trained
# linear network; a trained deep one.  All linear ones first take off the mean of what arrives, for
# zeroed entries (1 - drop) times the mean of x, and answer around the mean of x.  Look at how the
# curves go on as M grows: which of them gain from more units, and which lose?  (Other M: new
# networks, the function `trained` again.  At the M of the first cell the deep ones from above.)

# %% Look: PCA, linear, deep
lesson.cell("Look: PCA, linear and deep denoisers on held-out rows")
sizes = sorted(m for m in {M} | (set() if lesson.fast else {2, 8, 32}) if m <= D)
grid = sorted({*range(1, min(D, 40) + 1, max(1, D // 12) if lesson.fast else 1), *sizes})
arrives = {"gaussian": mean, "zeroed": (1 - drop) * mean}  # the mean of x~


def by_formula(kind, m):
    """Held-out error of the exact linear denoiser with m units: V V^T P Q^-1."""
    V = full[kind].basis[:, :m]
    return error(mean + (corrupted[kind] - arrives[kind]) @ (V @ V.T @ full[kind].matrix).T)


def by_pca(kind, m):
    """Held-out error of PCA's projection onto m components."""
    U = principal.components[:, :m]
    return error(mean + (corrupted[kind] - arrives[kind]) @ U @ U.T)


print(f"{len(clean)} noisy rows; squared error, sum over features, mean over rows")
print("noise        M       PCA   linear, exact   linear, trained      deep")
fig, axes = plt.subplots(1, 2, figsize=(9.8, 4.0), sharey=True)
numbers, found = {}, {}
for ax, kind in zip(axes, kinds, strict=True):
    noisy = corrupted[kind]
    projected = {m: by_pca(kind, m) for m in grid}
    formulas = {m: by_formula(kind, m) for m in grid}
    for m in sizes:
        if m != M:
            draw = fresh(train, kinds[kind])
            nets[kind, "deep", m] = [trained(deep(train, m, H), draw, steps)[0]]
            nets[kind, "linear", m] = [trained(linear(train, m), draw, steps, 0.02)[0]]
        after = {name: error(nets[kind, name, m][0](noisy).numpy()) for name in ("linear", "deep")}
        found[kind, m] = projected[m], formulas[m], after["linear"], after["deep"]
        row = "{:>9.4g} {:>15.4g} {:>17.4g} {:>9.4g}".format(*found[kind, m])
        print(f"{kind:<9} {m:>4} {row}")
    ax.plot(grid, projected.values(), color=BLACK, label="PCA: projects what it is given")
    ax.plot(grid, formulas.values(), color=ORANGE, label="linear, exact")
    ax.plot(sizes, [found[kind, m][2] for m in sizes], "s", color=ORANGE, label="linear, trained")
    ax.plot(sizes, [found[kind, m][3] for m in sizes], "o-", color=BLUE, label="deep, trained")
    starts = [error(net(noisy).numpy()) for net in nets[kind, "deep", M]]
    label = f"deep, each of {n_starts} starts at M = {M}"
    ax.plot([M] * n_starts, starts, "_", color=BLUE, ms=12, label=label)
    print(f"{kind:<9} {M:>4} deep, from {n_starts} starts: {min(starts):.4g} to {max(starts):.4g}")
    ax.set(title=names[kind], xlabel="latent units M")
    numbers[kind] = {m: found[kind, m] for m in sizes} | {"starts": starts}
axes[0].set_ylabel("squared error per held-out row")
axes[0].legend(fontsize=8)
pca_error, exact_error, linear_error, deep_error = found["gaussian", M]
fig.suptitle(
    f"M = {M}, Gaussian noise: PCA {pca_error:.3g}, trained linear {linear_error:.3g}, "
    f"deep {deep_error:.3g}",
    weight="bold",
)
lesson.figure("errors", fig, numbers)
lesson.result("gaussian: PCA, squared error per held-out row", pca_error)
lesson.result("gaussian: linear, squared error per held-out row", linear_error)

# %% [markdown]
# ## Any network: the score
#
# Of all functions, $y(\tilde x) = E[x | \tilde x]$ has the least E: the *posterior mean*.  With
# $p(\tilde x) = \int p(x)\, N(\tilde x | x, \sigma^2 I)\, dx$ and the gradient of a Gaussian,
# $\nabla N = N\, (x - \tilde x) / \sigma^2$,
#
# $$\nabla p(\tilde x) = \int p(x)\, N\, \frac{x - \tilde x}{\sigma^2}\, dx
#   = p(\tilde x)\, \frac{E[x | \tilde x] - \tilde x}{\sigma^2},
#   \qquad \frac{y(\tilde x) - \tilde x}{\sigma^2} = \nabla \log p(\tilde x),$$
#
# exactly and for every $\sigma$ (Tweedie's formula).  So a denoiser learns the score without ever
# being given a density.  To compare, a density must be known: here not your data but `toy`, the
# mixture of the first cell (`experiments.denoising.mixture`), and the function `trained` on 8,000
# draws of it.  Orange arrows are the exact score, blue ones the network's; contours, the density
# of the noisy points.
#
# The right panel has just two points, m and -m, and $\sigma = 1$, where the posterior mean is
# $m \tanh(m^T \tilde x)$: one tanh unit is enough (`experiments.denoising.twins` trains it with the
# same loop).

# %% Look: the score
lesson.cell("Look: arrows from noise to data (the toy mixture)")
toy_sigma = denoising.FIELD_SIGMA


def toy_noise(x):
    return x + toy_sigma * rng.standard_normal(x.shape)


draws = toy.sample(8000, rng)
toy_net, _ = trained(
    deep(draws, 2, 64), fresh(draws, toy_noise), 150 if lesson.fast else 1000, 0.02, batch=250
)
axis = np.linspace(-2.8, 2.8, 15)
points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
learned = (toy_net(points).numpy() - points) / toy_sigma**2
score = toy.score(points, toy_sigma)
others = toy_noise(toy.sample(5000, rng))
true = toy.score(others, toy_sigma)
off = (toy_net(others).numpy() - others) / toy_sigma**2 - true
share = float(np.sum(off**2) / np.sum(true**2))
print("on new noisy points of the toy: the mean square of (y - x~) / sigma^2 - score is")
print(f"{share:.2%} of the mean square of the score")
twins, half = lesson.run.shared(denoising.twins), float(np.linalg.norm(denoising.TWIN))
fig, (left, right) = plt.subplots(1, 2, figsize=(9.8, 4.6), width_ratios=(1.15, 1))
fine = np.stack(np.meshgrid(*[np.linspace(-3, 3, 80)] * 2), axis=-1)
density = np.exp(toy.log_density(fine.reshape(-1, 2), toy_sigma)).reshape(80, 80)
left.contour(fine[..., 0], fine[..., 1], density, levels=6, colors="#bbbbbb", linewidths=0.8)
arrows = {"scale": 75, "color": ORANGE, "width": 0.008, "label": r"exact: $\nabla\log p(\tilde x)$"}
left.quiver(*points.T, *score.T, **arrows)
arrows |= {"color": BLUE, "width": 0.0035, "label": r"learned: $(y-\tilde x)/\sigma^2$"}
left.quiver(*points.T, *learned.T, **arrows)
left.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xlabel=r"$\tilde x_1$", ylabel=r"$\tilde x_2$")
left.set_title(f"Toy: arrows off the score by {share:.1%} of its square")
left.legend(loc="lower left", fontsize=8, framealpha=0.9, frameon=True)
t = np.linspace(-4, 4, 200)
answers = twins(t[:, None] * denoising.TWIN / half).numpy() @ denoising.TWIN / half
posterior = half * np.tanh(half * t)
right.plot(t, t, color="#999999", lw=1, ls=":", label="no denoising")
right.plot(t, posterior, color=ORANGE, lw=4, alpha=0.7, label=r"exact: $m\,\tanh(m \tilde x)$")
right.plot(t, answers, color=BLUE, lw=1.2, label="one tanh unit, trained")
right.set(xlabel=r"noisy $\tilde x$, along the line through both points", ylabel="answer $y$")
right.set(ylim=(-2.2, 2.2))
right.set_title(f"Toy of two points: at most {np.abs(answers - posterior).max():.2g} off")
right.legend(fontsize=8)
lesson.figure("score", fig, {"share_off": share, "points": points, "learned": learned})

# %% [markdown]
# ## Arrows onto a curve
#
# Data often lie near a curved surface of few dimensions.  The simplest one: x uniform on the unit
# circle.  There $p(x | \tilde x) \propto e^{\kappa \cos \theta}$, $\theta$ the angle between x
# and $\tilde x$ and $\kappa = \lVert \tilde x \rVert / \sigma^2$, and so the posterior mean is
#
# $$E[x | \tilde x] = \frac{I_1(\kappa)}{I_0(\kappa)} \frac{\tilde x}{\lVert \tilde x \rVert},$$
#
# a ratio of Bessel functions below 1: every arrow ends *inside* the circle.  Even a noisy point
# that lies on the circle is moved, by $\sigma^2 / 2 + O(\sigma^4)$, since the mean of the arc that
# it may have come from lies on the hollow side.  A denoiser does not project onto its manifold; it
# does so as $\sigma \to 0$.  The function `trained`, from three starts, on 4,000 points; beside it
# the posterior mean by quadrature (`analytic.kernel_denoiser` over 256 points of the circle).  The
# arrows over $\sigma^2$ are again the score: the engine takes the gradient of $\log p(\tilde x)$.

# %% Look: arrows onto a circle
lesson.cell("Look: arrows onto a curve (the toy circle)")
bow = denoising.CIRCLE_SIGMA  # its sigma
around = denoising.circle(256)


def bow_noise(x):
    return x + bow * rng.standard_normal(x.shape)


circle = denoising.circle(4000)
bow_steps = 100 if lesson.fast else 500
bow_nets = [
    trained(deep(circle, 2, 32), fresh(circle, bow_noise), bow_steps, 0.02, batch=250)[0]
    for _ in range(3)
]
spokes = np.array([0.3, 0.65, 1.0, 1.35, 1.7])
starts = np.concatenate([denoising.circle(36)[k::3] for k in (0, 1, 2, 0, 1)])  # 12 directions
points = np.repeat(spokes, 12)[:, None] * starts
exact_ends = analytic.kernel_denoiser(around, points, bow)
answers = [net(points).numpy() for net in bow_nets]
noisy = bow_noise(circle)
best_answer = analytic.kernel_denoiser(around, noisy, bow)
arrow = np.mean(np.sum((best_answer - noisy) ** 2, axis=1))
off = [np.mean(np.sum((net(noisy).numpy() - best_answer) ** 2, axis=1)) for net in bow_nets]
shares = np.array(off) / arrow
outwards = np.sum((circle - best_answer) * noisy, axis=1) / np.linalg.norm(noisy, axis=1)
x_noisy = mg.tensor(points[:, None], requires_grad=True)
exponents = ((x_noisy - around) ** 2).sum(axis=2) / (-2 * bow**2)
(gradient,) = mg.grad(mg.logsumexp(exponents, axis=1).sum(), [x_noisy])  # of log p + constant
tweedie = np.abs(gradient[:, 0] - (exact_ends - points) / bow**2).max()
formula = denoising.circle_shrinkage(np.linalg.norm(points, axis=1), bow)
bessel = np.abs(np.linalg.norm(exact_ends, axis=1) - formula).max()
at_one = float(denoising.circle_shrinkage(1.0, bow))
print(
    f"three networks: arrows off by {shares.min():.2%} to {shares.max():.2%} of their mean square"
)
print(
    f"a noisy point on the circle is taken to the radius {at_one:.4f}; 1 - sigma^2 / 2 = ", end=""
)
print(f"{1 - bow**2 / 2:.4f}")
fig, (left, right) = plt.subplots(1, 2, figsize=(9.8, 4.6), width_ratios=(1.05, 1))
left.plot(*np.vstack([around, around[:1]]).T, color="#999999", lw=1, label="where x lies")
scale = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.006}
label = "exact arrows, to scale"
left.quiver(*points.T, *(exact_ends - points).T, color=ORANGE, label=label, **scale)
left.plot(*answers[0].T, ".", color=BLUE, ms=6, label="where a network's end")
left.set(xlim=(-1.9, 1.9), ylim=(-2.8, 1.9), aspect="equal")
left.set(xlabel=r"$\tilde x_1$", ylabel=r"$\tilde x_2$", title=r"Arrows from $\tilde x$ to $y$")
left.legend(loc="lower left", fontsize=8)
r = np.linspace(0.02, 2, 100)
right.plot(r, denoising.circle_shrinkage(r, bow), color=ORANGE, lw=4, alpha=0.7, label="exact")
for k, answer in enumerate(answers):
    along = np.sum(answer * points, axis=1) / np.linalg.norm(points, axis=1)
    radii = along.reshape(len(spokes), -1)
    label = "three networks, 12 directions" if k == 0 else None
    right.errorbar(
        spokes + 0.04 * (k - 1),
        radii.mean(axis=1),
        np.abs(np.array([radii.min(axis=1), radii.max(axis=1)]) - radii.mean(axis=1)),
        fmt="o",
        ms=4,
        color=BLUE,
        label=label,
    )
right.axhline(1, color="#999999", lw=1, label="the circle")
right.plot(r, r, color="#999999", lw=1, ls=":", label="no denoising")
right.set(xlabel=r"$\Vert \tilde x \Vert$", ylabel=r"$y$ along $\tilde x$: mean and range")
right.set(ylim=(0, 1.25))
right.set_title(f"At $\\Vert \\tilde x \\Vert$ = 1 the best answer lies at {at_one:.3f}")
right.legend(fontsize=8, loc="lower right")
lesson.figure("circle", fig, {"radii": spokes, "share_off": shares, "at_one": at_one})
lesson.result("circle: quadrature - I1/I0, largest", bessel, exact=0, tolerance=1e-13)
lesson.result("circle: arrow / sigma^2 - grad log p, largest", tweedie, exact=0, tolerance=1e-12)
lesson.result(
    "circle: mean of (x - E[x | x~]) outwards",
    outwards.mean(),
    exact=0,
    tolerance=5 * outwards.std(ddof=1) / len(outwards) ** 0.5,
)

# %% [markdown]
# ## Inspect
#
# A step of a linear denoiser, small enough to follow by hand.  Before you look: which of x, noisy,
# W1 and W2 get a gradient, and what would change in the backward pass without the noise?

# %% Inspect
lesson.cell("Inspect: the noisy input is a constant, the clean one the target")
x = mg.tensor([[1.0, 0.5, -1.0], [0.0, 1.0, 2.0]], name="x")
noisy = mg.tensor([[1.4, 0.2, -0.9], [-0.2, 1.1, 2.3]], name="noisy")  # x + noise
W1 = mg.tensor([[0.1, -0.1, 0.5]], requires_grad=True, name="W1")
W2 = mg.tensor([[0.1], [-0.4], [0.3]], requires_grad=True, name="W2")
z = noisy @ W1.T
y = z @ W2.T
loss = ((y - x) ** 2).sum()
trace = mg.trace(loss)
print(trace.text())
lesson.page("backward_pass", trace)

# %% Verify
lesson.cell("Verify: each rule in the graph of E, on held-out rows")
rows = test[:50]
print(mg.check_graph(E(nets["gaussian", "deep", M][0], gaussian(rows), rows)))

# %% [markdown]
# ## Break it
#
# **A corrupted copy, made once.**  One line that draws the batch is changed: the noise of each row
# was drawn before training, not at each visit.  To make a difference visible soon: few rows (50 at
# most), and three times the noise.  The dashed line is a floor that theory gives: E of the
# posterior mean, computed with the few rows as the only possible x (`analytic.kernel_floor`).  On
# fresh noise no function at all is below it (a mean of a few steps scatters, so a curve may dip
# below; the dots are means of 50 draws, one for each of several starts, which have other weights
# and other noise).  Compare the end of each curve with its dots, and with that line.

# %% Break it: the noise is drawn once
lesson.cell("Break it: the noise is drawn once")
few, loud = train[:50], 3 * sigma


def louder(x):
    return x + loud * rng.standard_normal(x.shape)


def once(batch):
    n = rng.integers(len(few), size=batch)
    return kept[n], few[n]  # it was louder(few[n]), few[n]


each_visit, only_once = [], []
for _ in range(n_starts):
    each_visit.append(trained(deep(few, M, H), fresh(few, louder), steps))
    kept = louder(few)
    only_once.append(trained(deep(few, M, H), once, steps))
floor, floor_error = analytic.kernel_floor(few, loud, rng, sweeps=50)
fig, ax = plt.subplots(figsize=(7.2, 4.4))
ends = {}
pairs = {"at each visit": (each_visit, BLUE), "once": (only_once, RED)}
print(f"the mean of {n_starts} starts (least to largest)")
for name, (starts, color) in pairs.items():
    falls = np.array([fall for _, fall in starts])
    means = draw_falls(ax, falls, color, f"noise drawn {name}: training")[:, -1]
    costs = np.array([[E(net, louder(few), few).item() for _ in range(50)] for net, _ in starts])
    costs /= len(few)
    on_fresh, spread = costs.mean(axis=1), costs.std(axis=1, ddof=1) / 50**0.5
    label = f"... each start on fresh noise: mean {on_fresh.mean():.3g}"
    ax.plot([steps] * n_starts, on_fresh, "o", ms=4, color=color, label=label)
    ends[name] = means, on_fresh
    print(f"  noise drawn {name}:")
    for what, values in (("training", means), ("fresh noise", on_fresh)):
        print(f"    {what:<12} {values.mean():>9.4g} ({values.min():.4g} to {values.max():.4g})")
    k = np.argmin(on_fresh)
    least = -5 * float(np.hypot(spread[k], floor_error))
    what = f"noise drawn {name}: E on fresh noise - floor"
    lesson.result(what, on_fresh[k] - floor, at_least=least)
print(f"  no function is below {floor:.4g} on fresh noise, +- {floor_error:.2g}")
ax.axhline(floor, color=BLACK, ls="--", lw=1, label=f"floor of all functions, {floor:.3g}")
ax.set(xlabel="steps", ylabel=f"E per row, means of {every} steps")
ax.set_ylim(bottom=0)
train_end, fresh_end = (float(values.mean()) for values in ends["once"])
ax.set_title(
    f"Noise drawn once: {train_end:.3g} in training, {fresh_end:.3g} on fresh noise\n"
    f"(lines: means of {n_starts} starts; bands: their ranges)",
    fontsize=10,
)
ax.legend(fontsize=8)
lesson.figure("frozen", fig, {"floor": floor, "ends": ends})

# %% [markdown]
# **The noisy input as the target.**  A slip of one word where the batch of a linear network is
# drawn.  Its loss falls as a loss should; think about which other number to look at.

# %% Break it: the target is noisy
lesson.cell("Break it: the target is noisy")
lesson.predict("target")


def slip(batch):
    x = train[rng.integers(len(train), size=batch)]
    noisy = gaussian(x)
    return noisy, noisy  # it was noisy, x


wrong_net, wrong_fall = trained(linear(train, M), slip, steps, 0.02)
print(f"  its own loss per row: {wrong_fall[0]:.4g} at first, {wrong_fall[-1]:.4g} at the end")
wrong_error = error(wrong_net(corrupted["gaussian"]).numpy())
print(f"  squared error per held-out row {wrong_error:.4g}; target clean {linear_error:.4g}")
wrong_strengths = np.diag(U.T @ product(wrong_net) @ U)
print("  strengths:   component   target noisy   target clean   exact")
for k in sorted({0, K // 2, K - 1}):
    row = f"{wrong_strengths[k]:>14.3f} {strengths[0, k]:>14.3f} {exact[k]:>7.3f}"
    print(f"               {k + 1:>9} {row}")
lesson.result("target noisy: squared error per held-out row", wrong_error)

# %% [markdown]
# ## Exercises
#
# The corruption, which is easy to get wrong.  `minigrad-ae exercise start N` copies a blank into
# your folder, and `minigrad-ae exercise check N` judges it: it names the misconception, not the
# answer.
#
# 1. `minigrad-ae exercise start 23`: a corruption that also reaches the target, and strikes every
#    row alike.

# %% Answers
lesson.cell("Answers to what you predicted")
lesson.answers(
    pca=pca_error,
    exact=exact_error,
    linear=linear_error,
    sigma=sigma,
    strongest=exact[0],
    weakest=exact[-1],
    rows=len(few),
    kept=train_end,
    fresh=fresh_end,
    floor=floor,
    wrong=wrong_error,
)

# %% Recap
lesson.finish()

# %% [markdown]
# ## What you can do now
#
# - Turn any autoencoder into a denoiser: one line of noise, and the clean row as the target; or
#   `mg.models.DenoisingAutoencoder(net, sigma=0.3)`.
# - Compare a linear denoiser with the best there is: `analytic.best_denoiser`.
# - Read a score off a trained denoiser, `(y - x~) / sigma**2`: where diffusion models start.
# - Tell a low loss from a good one: fresh noise, clean rows, a floor.
# - Walk through a backward pass: `minigrad-ae inspect lessons/06_denoising_autoencoder.py`.
