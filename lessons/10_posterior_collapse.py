# %% [markdown]
# # Lesson 10: posterior collapse, and what beta does
#
# **Goal.** Predict which latent units of a VAE collapse before training it, and see the prediction
# come true: a unit can live only on a component whose eigenvalue exceeds $\beta \sigma^2$.  Then
# see what beta and KL warm-up can do about it.  (Bishop & Bishop, section 19.2; Lucas, Tucker,
# Grosse & Norouzi 2019; Burda et al. 2016; Hoffman & Johnson 2016.)
#
# The slide names two problems: *posterior collapse*, $q(z \mid x)$ is the prior for every x; and
# *the code is not compressed*, $q(z \mid x)$ is so narrow that z names the datum.  They are the two
# ends of one curve.
#
# The next cell holds all that you may want to change.  `X` is for the linear VAE, where everything
# is exact (`cloud`, of `experiments.elbo`, is the data of lesson 8); `pictures` is for the deep
# ones.

# %% Settings
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.experiments.collapse import information_bounds, mnist_codes, mnist_spectrum
from minigrad_ae.experiments.elbo import cloud
from minigrad_ae.models import VariationalAutoencoder, diagnose
from minigrad_ae.models.diagnostics import log_aggregate_posterior, mutual_information
from minigrad_ae.teaching.lesson import BLACK, BLUE, ORANGE, RED, Lesson

lesson = Lesson("10_posterior_collapse", "about 30 s; --fast 9 s; --full 3 minutes, with MNIST")
X = cloud()[0]  # (80, 5); yours: X = mg.data.load_matrix("table.csv")
M = 4  # latent units of the linear VAE, at most as many as X has columns
pictures = mg.data.digits("train")[0]  # (1437, 64), for the deep VAEs
sigma2, beta = 0.15, 2.5  # noise of the decoder, weight of the KL; the mean variance of X is 1
epochs = 6 if lesson.fast else 10
seed = lesson.seed

# %% Data
lesson.cell("Data")
X = np.asarray(X, dtype=float)
N, D = X.shape
M = min(M, D)
lesson.settings(X=X, M=M, pictures=pictures, sigma2=sigma2, beta=beta, epochs=epochs, seed=seed)


def one_unit(X):
    """X without its mean, in a unit in which the mean variance of a column is 1; and that unit."""
    unit = np.sqrt(X.var(axis=0).mean())
    return (X - X.mean(axis=0)) / unit, unit


x, unit = one_unit(X)
r = np.linalg.qr(x, mode="r") / np.sqrt(N)  # r^T r = x^T x / N: sums over r are means over x
eigenvalues = np.linalg.eigvalsh(r.T @ r)[::-1].clip(0)
print(f"divided by {unit:.4g}; eigenvalues of the covariance: {np.round(eigenvalues[:8], 3)}")

# %% Predict
lesson.cell("Predict")
lesson.predict("mean-over-pixels")  # mean squared error + KL: how many of 10 units live?
lesson.predict("wake")  # what wakes a collapsed unit?
lesson.predict("holes")  # beta is tiny: what is wrong with samples?

# %% Words
lesson.cell("Words")
lesson.words("nats", "KL", "ELBO", "posterior collapse", "active unit")
lesson.words("aggregate posterior", "rate", "distortion")

# %% [markdown]
# ## Build
#
# The slide weighs the KL by $\beta$: $L = E_q \ln p(x \mid z) - \beta\, \mathrm{KL}(q \| p(z))$.
# With the linear VAE of lesson 8 and fixed noise, $-L$ is, per datum and up to a constant,
#
# $$\frac{1}{2 \sigma^2} E_q \lVert x - W z \rVert^2 + \beta\, \mathrm{KL} ,$$
#
# so only $\tau = \beta \sigma^2$ counts: it is the loss of beta = 1 with noise $\tau$.  Let a unit
# hold component i with eigenvalue $l_i$.  The best it can do costs $\frac12 \ln (l_i / \tau)$ nats
# of KL, if $l_i > \tau$.  If not, the best is q = p(z): it says nothing, and costs nothing.
#
# `r` has few rows and the same second moments as all the data (lesson 2), and nothing else counts.

# %% Build
lesson.cell("Build: a linear VAE as a function of its weights")


def terms(W, V, log_d):
    """(E ||x - y||^2, KL of each unit (M,)) per datum.  W (D, M), V (M, D), log_d (M,)."""
    m, d = r @ V.T, mg.exp(log_d)
    error = ((r - m @ W.T) ** 2).sum() + (d * (W**2).sum(axis=0)).sum()
    return error, 0.5 * (d - 1 - log_d + (m**2).sum(axis=0))


def start(M, key=0):
    rng = np.random.default_rng([seed, key])
    W, V = rng.standard_normal((D, M)) / D**0.5, 0.3 * rng.standard_normal((M, D)) / D**0.5
    return [mg.tensor(value, requires_grad=True) for value in (W, V, np.zeros(M))]


# %% [markdown]
# ## Train
#
# L-BFGS from random weights; no eigenvalue is used.  In the table look at KL, unit by unit, beside
# the prediction; then at the last two columns, how much the mean of q moves over the data.

# %% Train: one linear VAE
lesson.cell("Train: one linear VAE, unit by unit")


def train(error_weight, kl_weight, M, key=0):
    """Weights that minimise error_weight * error + kl_weight * sum of KL, per datum."""
    weights = start(M, key)

    def closure():
        error, kl = terms(*weights)
        loss = error_weight * error + kl_weight * kl.sum()
        loss.backward()
        return loss

    optimizer = mg.optim.LBFGS(weights, history=50, max_iter=1500, gradient_tolerance=1e-9)
    optimizer.step(closure)
    return [p.data for p in weights], optimizer


tau = beta * sigma2
(W, V, log_d), optimizer = train(1 / (2 * sigma2), beta, M)
error, kl = terms(W, V, log_d)
kl = kl.round(12) + 0.0  # no -0
moves = ((r @ V.T) ** 2).sum(axis=0)  # variance of the mean of q over the data
best = analytic.linear_vae_optimum(eigenvalues, M, sigma2, beta)
print(
    f"tau = beta sigma^2 = {tau:.4g}: {analytic.active_units(eigenvalues, M, tau)} units can live"
)
print(f"{optimizer.evaluations} evaluations ({optimizer.reason})")
print("unit    KL predicted     measured   variance of the mean of q, predicted    measured")
for k, m in enumerate(np.argsort(-kl)):
    print(
        f"{m:>4} {best.kl[k]:>15.9f} {kl[m]:>12.9f} {best.mean_variances[k]:>39.9f} "
        f"{moves[m]:>11.9f}"
    )
least = -best.value - 0.5 * D * np.log(2 * np.pi * sigma2)
lesson.result("-L at the end, nats", optimizer.loss, at_least=least - 1e-9 * abs(least))
lesson.result("  the same minus the closed form's", optimizer.loss - least)
lesson.result("sum of KL, nats", kl.sum())

# %% [markdown]
# Now for several noises and betas.  A unit counts as *active* if the mean of its q has a variance
# above .01 over the data.  One start for each pair will do: a linear VAE has no maxima but the
# highest (Lucas et al. 2019), so the start cannot matter.  The right panel does the same to deep
# VAEs on the pictures, where no formula is known and the start may matter: each is trained from
# several, and the linear one is drawn as a guide.  (`VariationalAutoencoder` was built by hand in
# lesson 9; its training loop is here.)

# %% Train: a grid, and deep VAEs
lesson.cell("Train: active units for several sigma^2 and beta; deep VAEs")
noises = (0.05, 0.4) if lesson.fast else (0.03, 0.15, 0.4, 1.2)
weights = (1.0, 4.0) if lesson.fast else (0.25, 1.0, 4.0)


def active(V):
    """Units whose mean moves."""
    return int(np.sum(((r @ V.T) ** 2).sum(axis=0) > 0.01))


counts = np.array([[active(train(0.5 / s, b, M)[0][1]) for s in noises] for b in weights])
expected = np.array(
    [[analytic.active_units(eigenvalues, M, s, b) for s in noises] for b in weights]
)
right_ones = int(np.sum(counts == expected))
print(f"{counts.size} linear VAEs trained; active units as predicted in {right_ones} of them")
lesson.result("grid of linear VAEs: mean number of active units", counts.mean())
lesson.result("grid of linear VAEs: counts not as predicted", counts.size - right_ones)

p, p_unit = one_unit(pictures)
p = p.astype(np.float32)
p_eigenvalues = np.linalg.eigvalsh(np.cov(p.astype(float), rowvar=False, ddof=0))[::-1].clip(0)


def train_deep(model, data, epochs, warm_up=0, key=0):
    """Adam in batches of 64; with a warm-up beta rises to the model's own, epoch by epoch.  Another
    key, other batches and other draws of z.
    """
    beta, rng = model.beta, np.random.default_rng([seed, 1, key])
    optimizer = mg.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(epochs):
        model.beta = beta * min(1, (epoch + 1) / warm_up) if warm_up else beta
        order = rng.permutation(len(data))
        for first in range(0, len(data), 64):
            batch = data[order[first : first + 64]]
            optimizer.zero_grad()
            loss = model.loss(batch, rng) / len(batch)  # a mean over data of sums over features
            loss.backward()
            optimizer.step()
    return model


def unit_kl(model, data):
    """KL of each unit, mean over data, largest first."""
    mu, log_var = (value.numpy().astype(float) for value in model.encode(data))
    return np.sort(0.5 * (np.exp(log_var) - 1 - log_var + mu**2).mean(axis=0))[::-1]


betas = (1.0, 8.0) if lesson.fast else (0.25, 2.0, 8.0, 16.0)
noise = 0.74  # standard deviation; the mean variance of a pixel is 1
units = min(8, p.shape[1])
gaussian = {"hidden": (64,), "likelihood": "gaussian", "sigma": noise, "dtype": np.float32}
n_starts = 2 if lesson.fast else 3


def deep_vae(units, beta, k):
    """A deep VAE trained on the pictures; another k, another start and other batches."""
    rng = np.random.default_rng([seed, 4, k])
    model = VariationalAutoencoder(p.shape[1], units, beta=beta, rng=rng, **gaussian)
    return train_deep(model, p, epochs, key=k)


deep_kl = {}  # beta: (starts, units)
print(f"deep VAEs on the pictures: units above .05 nats, from {n_starts} starts; linear prediction")
for b in betas:
    deep_kl[b] = np.array([unit_kl(deep_vae(units, b, k), p) for k in range(n_starts)])
    guide = analytic.active_units(p_eigenvalues, units, noise**2, b)
    live = ", ".join(str(count) for count in (deep_kl[b] > 0.05).sum(axis=1))
    print(f"  beta {b:>5g}: {live} of {units}, linear {guide}")
for size, b in (("smallest", betas[0]), ("largest", betas[-1])):
    lesson.result(f"deep VAEs: mean KL with the {size} beta, nats", deep_kl[b].sum(axis=1).mean())

# %% Look: active units
lesson.cell("Look: active units")
fig, (ax, right) = plt.subplots(1, 2, figsize=(10, 3.9))
ax.imshow(counts, cmap="Blues", vmin=0, vmax=2 * M, origin="lower", aspect="auto")
for (i, j), count in np.ndenumerate(counts):
    text = f"{count}\n(predicted {expected[i, j]})"
    ax.text(j, i, text, ha="center", va="center", fontsize=9)
ax.set_xticks(range(len(noises)), [f"{s:g}" for s in noises])
ax.set_yticks(range(len(weights)), [f"{b:g}" for b in weights])
ax.grid(False)
ax.set(xlabel="$\\sigma^2$", ylabel="$\\beta$")
ax.set_title(f"Active units of {M}: {right_ones} of {counts.size} as predicted")
taus = noise**2 * np.array(betas)
fine = np.geomspace(taus.min() / 1.3, taus.max() * 1.3, 200)
for k in range(units):
    guide = 0.5 * np.log(np.maximum(p_eigenvalues[k] / fine, 1))
    right.semilogx(fine, guide, color=ORANGE, lw=1, label=None if k else "linear VAE, closed form")
beside = 1.12 ** (np.arange(n_starts) - (n_starts - 1) / 2)  # starts, side by side
for j, (t, kl) in enumerate(zip(taus, deep_kl.values(), strict=True)):
    where = np.repeat(t * beside, units)
    label = None if j else f"deep VAE, each unit ({n_starts} starts side by side)"
    right.semilogx(where, kl.ravel(), "o", color=BLUE, ms=3, label=label)
right.set(xlabel="$\\tau = \\beta\\sigma^2$", ylabel="KL of a unit (nats)")
right.set_title("Pictures: deep VAEs, and the linear one")
right.legend(fontsize=8)
numbers = {"sigma2": noises, "beta": weights, "active": counts, "expected": expected}
lesson.figure("active_units", fig, {**numbers, "deep_beta": betas, "deep_kl": deep_kl})

# %% [markdown]
# ## Sum or mean?
#
# A common reason for collapse is a word.  Per datum let e be the squared errors (D of them)
# and KL the terms of the units (M).  A loss $a \sum e + b \sum \mathrm{KL}$ has $\tau = b / 2a$.
# "MSE + KL" with a mean over D pixels is a = 1/D: $\tau = D/2$, whatever beta somebody believes to
# have.  And $\tau$ is in squared units of x: pixels from 0 to 255 in place of 0 to 1 multiply every
# eigenvalue by 65,025.  Here X in other units, trained and predicted; and for MNIST, whose
# eigenvalues are shipped (`mnist_spectrum`, of `experiments.collapse`), the prediction.

# %% Train: loss conventions
lesson.cell("Train: sum or mean, over features or units: what each does to active units")
conventions = {  # name: (weight of the sum of e, weight of the sum of KL), from D and M
    "sum e + sum KL": lambda D, M: (1, 1),
    "1/2 sum e + sum KL": lambda D, M: (0.5, 1),
    "sum e + 4 sum KL": lambda D, M: (1, 4),
    "mean e + mean KL": lambda D, M: (1 / D, 1 / M),
    "mean e + sum KL": lambda D, M: (1 / D, 1),
}
scales = (1.0,) if lesson.fast else (1.0, 10.0)
print(f"columns of X with mean variance 1 in these units, D = {D}, M = {M}: measured (predicted)")
print(f"{'loss per datum':<22} {'tau':>7}   " + "".join(f"{f'X times {s:g}':>16}" for s in scales))
agree = []
for name, factors in conventions.items():
    a, b = factors(D, M)
    row = []
    for s in scales:  # errors of s x are s^2 times those of x
        found = active(train(a * s**2, b, M)[0][1])
        predicted = analytic.active_units(eigenvalues * s**2, M, b / (2 * a))
        agree.append(found == predicted)
        row.append(f"{found} ({predicted})")
    print(f"{name:<22} {b / (2 * a):>7.3g}   " + "".join(f"{cell:>16}" for cell in row))
print(f"as predicted: {sum(agree)} of {len(agree)}")
spectrum = mnist_spectrum(lesson.run)
print(
    "\nMNIST, 784 pixels from 0 to 1, M = 20: units that could live (closed form; the eigenvalues"
)
print("are shipped: `mnist_spectrum`, of `experiments.collapse`, computes them with --full)")
for name, factors in conventions.items():
    a, b = factors(784, 20)
    live = min(20, int(np.sum(spectrum > b / (2 * a))))
    print(f"{name:<22} {b / (2 * a):>7.3g}   {live:>16}")

# %% [markdown]
# ## Rate and distortion
#
# The *rate* is the KL, in nats per datum: what the code costs.  The *distortion* is
# $E \lVert x - y \rVert^2$.  Each $\tau$ is a point on a curve that is known for Gaussian data,
# reverse water-filling: every component with $l_i > \tau$ is coded down to an error of $\tau$, the
# others not at all.  Both problems of the slide are on it: the right end is collapse, the upper
# left a code that is not compressed.

# %% Look: rate and distortion
lesson.cell("Look: rate against distortion, one linear VAE for each tau")
fig, ax = plt.subplots(figsize=(6.6, 4.2))
sweep = np.array((0.1, 0.6) if lesson.fast else (0.06, 0.15, 0.3, 0.5, 0.9, 1.8))
fine, numbers = np.geomspace(0.02, 1.2 * eigenvalues[0], 300), {}
few = min(2, M)
for units_, color in ((M, BLUE), (few, RED))[: 1 + (few < M)]:
    rate, distortion = analytic.rate_distortion(eigenvalues, units_, fine)
    ax.plot(distortion, rate, color=color, lw=1.2, label=f"M = {units_}, closed form")
    points = []
    for t in sweep:
        error, kl = terms(*train(0.5, t, units_)[0])
        points.append((kl.sum(), error))
    points = np.array(points)
    ax.plot(points[:, 1], points[:, 0], "o", color=color, label=f"M = {units_}, trained")
    exact = np.stack(analytic.rate_distortion(eigenvalues, units_, sweep), axis=1)
    off = np.abs(points - exact).max()
    print(f"M = {units_}: largest distance of a trained model from the curve {off:.1e}")
    numbers[f"M={units_}"] = {"tau": sweep, "rate_distortion": points}
    lesson.result(f"rate, M = {units_}, tau = {sweep[0]:g}, nats", points[0, 0])
ax.axvline(eigenvalues.sum(), color=BLACK, lw=0.8, ls=":", label="rate 0: total collapse")
ax.set_xlabel("distortion E‖x − y‖² (mean variance of a column: 1)")
ax.set_ylabel("rate (nats per datum)")
ax.set_title("$\\beta$ chooses a point on the curve")
ax.legend(fontsize=8)
lesson.figure("rate_distortion", fig, numbers)

# %% [markdown]
# ## Is the code compressed?
#
# The slide's second problem: with $q(z \mid x)$ narrow enough, z names the datum.  How much z tells
# about which of N rows x is, is the mutual information I(x; z) of $q(z \mid x_n)$ and the mixture
# q(z) of all N of them.  It cannot exceed ln N, and a code that reaches it tells all rows apart:
# *not compressed*.  Neither can it exceed the rate.  I is estimated by draws, since no integral of
# ln q(z) is known; but it lies between two closed forms (Kolchinsky & Tracey 2017),
#
# $$\ln N - \frac1N \sum_i \ln \sum_j e^{-d_{ij}} ,$$
#
# with Bhattacharyya's distance of $q(z \mid x_i)$ and $q(z \mid x_j)$ for $d_{ij}$ below, their KL
# above (`information_bounds`, of `experiments.collapse`).  Deep VAEs on the pictures, from several
# starts, with noise of deviation .4; beside them 784-400-20 on MNIST (`mnist_codes`), trained with
# `--full`, else shipped.  Compare I with ln N: by how much does beta = 4 lower it?

# %% Train: is the code compressed?
lesson.cell("Train: is the code compressed, with beta = 1 and 4?")
some = p[:700]
codes = {"pictures": [], "MNIST": []}  # rows: beta, rate, I(x; z), closed forms below and above
most = {"pictures": float(np.log(len(some))), "MNIST": float(np.log(10_000))}
for b in (1.0, 4.0):
    for key in (0, 1) if lesson.fast else (0, 1, 2):
        rng = np.random.default_rng([seed, 3, key])
        deep = VariationalAutoencoder(
            p.shape[1], units, beta=b, rng=rng, **{**gaussian, "sigma": 0.4}
        )
        code = [v.numpy().astype(float) for v in train_deep(deep, p, epochs, key=key).encode(some)]
        told = mutual_information(*code, rng)
        codes["pictures"].append([b, unit_kl(deep, some).sum(), told, *information_bounds(*code)])
codes["MNIST"] = mnist_codes(lesson.run)[:, [0, 2, 3]].tolist()
for name, found in codes.items():
    print(f"{name}, ln N = {most[name]:.3f} nats")
    print("  beta      rate   I(x; z)   of ln N" + "   closed forms" * (name == "pictures"))
    for b, rate, told, *forms in found:
        row = f"{b:>6g} {rate:>9.3f} {told:>9.3f} {told / most[name]:>9.1%}"
        print(row + "".join(f"{form:>9.3f}" for form in forms))
for b in (1.0, 4.0):
    told = np.mean([row[2] for row in codes["pictures"] if row[0] == b])
    lesson.result(f"pictures, beta = {b:g}: I(x; z), nats", told, at_most=most["pictures"] + 1e-9)
fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.4))
for ax, (name, found) in zip(axes, codes.items(), strict=True):
    table = np.array([row[:3] for row in found])
    n = len(table) // 2  # starts, side by side
    where = np.searchsorted([1.0, 4.0], table[:, 0]) + np.tile((np.arange(n) - (n - 1) / 2) / 10, 2)
    ax.axhline(most[name], color=BLACK, lw=1, ls=":", label=f"ln N = {most[name]:.2f}")
    ax.plot(where, table[:, 1], "s", mfc="none", color=RED, label="rate")
    ax.plot(where, table[:, 2], "o", color=BLUE, label="I(x; z)")
    if name == "pictures":
        ax.vlines(where, *np.array([row[3:] for row in found]).T, color=BLUE, lw=1)
    shares = [table[table[:, 0] == b, 2].mean() / most[name] for b in (1.0, 4.0)]
    ax.set_xticks([0, 1], ["$\\beta$ = 1", "$\\beta$ = 4"])
    ax.set(ylabel="nats", xlim=(-0.5, 1.5), ylim=(0, 1.25 * max(table[:, 1].max(), most[name])))
    what = f"{len(some):,} pictures" if name == "pictures" else "10,000 of MNIST"
    title = f"{what}, starts: {n}\nI is {shares[0]:.1%}, {shares[1]:.1%} of ln N"
    ax.set_title(title, fontsize=10)
    ax.legend(fontsize=8)
lesson.figure("compression", fig, codes)

# %% [markdown]
# ## KL warm-up
#
# A deep VAE can collapse although its maximum does not: early on the decoder ignores z, and giving
# z up costs the encoder nothing.  *Warm-up* raises beta from 0 during the first epochs.  If more
# units live at the end and the ELBO (with beta = 1) is higher, their collapse was a failure of
# training, not the optimum.

# %% Train: KL warm-up
lesson.cell("Train: KL warm-up, three ReLU layers, 16 units, beta = 1 at the end")
bits = bool(pictures.min() >= 0 and pictures.max() <= 1)
q = pictures.astype(np.float32) if bits else p
likelihood = {"likelihood": "bernoulli"} if bits else {"likelihood": "gaussian", "sigma": noise}
print(
    f"likelihood: {likelihood['likelihood']} (pixels {'lie' if bits else 'do not lie'} in [0, 1])"
)
print("start  warm-up epochs      ELBO   KL (nats)   units above 0.05 nats")
layers = {"hidden": (64, 64, 64), "activation": "relu", "dtype": np.float32, **likelihood}
gains = []
for key in (0,) if lesson.fast else (0, 1):
    elbos = []
    for warm_up in (0, epochs // 2):
        rng = np.random.default_rng([seed, key])
        model = train_deep(
            VariationalAutoencoder(q.shape[1], 16, rng=rng, **layers), q, epochs, warm_up
        )
        elbos.append(float(model.elbo(q, np.random.default_rng(seed))) / len(q))
        kl = unit_kl(model, q)
        row = f"{key:>5} {warm_up:>15} {elbos[-1]:>9.2f} {kl.sum():>11.2f}"
        print(f"{row} {int((kl > 0.05).sum()):>23}")
    gains.append(elbos[1] - elbos[0])
print(f"warm-up changes the ELBO by {', '.join(f'{gain:+.2f}' for gain in gains)} nats")
lesson.result("warm-up: mean change of the ELBO, nats", np.mean(gains))

# %% [markdown]
# ## The other end: holes
#
# The average of $q(z \mid x)$ over the data is the *aggregate posterior* q(z).  Samples are drawn
# from the prior, so q(z) should look like it.  The rate splits into two: what z tells about x, I(x;
# z), and KL(q(z) || p(z)).  The smaller beta, the smaller the spot of each x, and the more draws
# from the prior can fall between the spots: a *hole* is a place where q(z) has less than a tenth of
# p(z).  `deep_vae`, from above, with two units.  Drawn is the first start of each beta; the titles
# give the least and the largest share of all.  (Both parts of the rate are estimated by draws: a
# KL a little below 0 is their noise.)

# %% Look: holes
lesson.cell("Look: the aggregate posterior of deep VAEs with two units, and its holes")
betas = (0.02, 4.0) if lesson.fast else (0.02, 1.0, 12.0)
fig, axes = plt.subplots(1, len(betas), figsize=(3.6 * len(betas), 3.7), sharey=True)
grid = np.linspace(-3.5, 3.5, 40 if lesson.fast else 140)
z = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
draws = np.random.default_rng(seed).standard_normal((1000, 2))
ln_prior = -np.log(2 * np.pi) - 0.5 * (draws**2).sum(axis=1)
print(" beta    rate = I(x; z) + KL(q(z) ‖ p(z))   share of prior draws in a hole")
rows = []
for ax, b in zip(axes, betas, strict=True):
    for k in reversed(range(n_starts)):  # the first start is the last: it is drawn
        two = deep_vae(2, b, k)
        found = diagnose(two, p, np.random.default_rng(seed), draws=1 if lesson.fast else 3)
        mu, log_var = (value.numpy().astype(float) for value in two.encode(p))
        lacking = log_aggregate_posterior(draws, mu, log_var) < ln_prior - np.log(10)
        rows.append([b, found.rate, found.mutual_information, found.marginal_kl, lacking.mean()])
        print("{:>5g} {:>7.3f}   {:>7.3f}   {:>14.3f} {:>26.3f}".format(*rows[-1]))
    shares = np.array(rows[-n_starts:])[:, -1]
    density = np.exp(log_aggregate_posterior(z, mu[:500], log_var[:500]))
    density = density.reshape(len(grid), -1)
    ax.pcolormesh(grid, grid, density, cmap="Blues", rasterized=True)
    for radius in (1, 2, 3):
        ax.add_patch(plt.Circle((0, 0), radius, fill=False, color=RED, lw=0.8, ls="--"))
    ax.set(xlabel="$z_1$", aspect="equal")
    low, high = 100 * shares.min(), 100 * shares.max()
    ax.set_title(f"$\\beta$ = {b:g}: {low:.2g} to {high:.2g}% in holes")
    lesson.result(f"beta = {b:g}: share of prior draws in holes", shares.mean())
axes[0].set_ylabel("$z_2$")
title = "q(z) (blue, each on its own scale) and the prior (red: 1, 2, 3 deviations)"
fig.suptitle(f"{title}; prior draws in holes, {n_starts} starts", weight="bold", fontsize=10)
columns = ["beta", "rate", "mutual_information", "marginal_kl", "holes"]
lesson.figure("holes", fig, {"columns": columns, "rows": rows})

# %% Inspect
lesson.cell("Inspect: what pulls a unit towards the prior")
small = mg.tensor([[1.0, 0.5], [-1.0, 2.0]], name="x")
w = mg.tensor([[0.8], [-0.3]], requires_grad=True, name="W")
v = mg.tensor([[0.5, 0.2]], requires_grad=True, name="V")
log_var = mg.tensor([-1.0], requires_grad=True, name="log_var")
mu = small @ v.T
d = mg.exp(log_var)
distortion = ((small - mu @ w.T) ** 2).sum() + 2 * (d * (w**2).sum(axis=0)).sum()
rate = 0.5 * (2 * (d - 1 - log_var).sum() + (mu**2).sum())
loss = 0.5 * distortion + 3.0 * rate  # beta = 3, sigma^2 = 1
trace = mg.trace(loss)
print(trace.text(param="log_var"))
lesson.page("pull", trace)

# %% [markdown]
# ## Verify: the curvature at W = 0 decides
#
# Can a collapsed unit escape?  At W = 0, V = 0, d = 1 the gradient vanishes.  The best q follows W,
# so the curvature that counts is the Schur complement $H_{WW} - H_{Wq} H_{qq}^{-1} H_{qW}$ of the
# Hessian. In closed form it is $\beta (\tau - l_i) / \tau^2$ along component i: negative, an
# escape, exactly where $l_i > \tau$.

# %% Verify
lesson.cell("Verify: the curvature at W = 0, by the engine's own Hessian")


def negative_bound(W, V, log_d):
    error, kl = terms(W, V, log_d)
    return error / (2 * sigma2) + beta * kl.sum()


H = mg.hessian(negative_bound, [np.zeros((D, 1)), np.zeros((1, D)), np.zeros(1)])
size = (D, D, 1)
H = np.block([[H[i][j].reshape(size[i], size[j]) for j in range(3)] for i in range(3)])
schur = H[:D, :D] - H[:D, D:] @ np.linalg.lstsq(H[D:, D:], H[D:, :D], rcond=None)[0]
measured = np.linalg.eigvalsh(schur)
exact = np.sort(analytic.collapse_curvature(eigenvalues, sigma2, beta))
for i in range(min(D, 8)):
    print(f"  l = {eigenvalues[i]:.4f}: {measured[i]:>12.6f}, closed form {exact[i]:>12.6f}")
off = np.abs(measured - exact).max() / np.abs(exact).max()
lesson.result("curvature at W = 0: largest difference, rel.", off, exact=0, tolerance=1e-11 * D)
print(mg.check_graph(negative_bound(*start(M))))

# %% [markdown]
# ## Break it
#
# Somebody's training forgets beta: it is stored, printed, and never used.  The loss falls and looks
# healthy.  Say which number should show it, before the cell prints three of them.

# %% Break it: a beta that is never used
lesson.cell("Break it: a beta that is never used")
lesson.predict("forgotten")  # which number tells?
forgets, _ = train(1 / (2 * sigma2), 1.0, M)
_, with_beta = terms(W, V, log_d)
_, without = terms(*forgets)
print(f"beta = {beta}: {active(V)} active units; if training forgets it: {active(forgets[1])}")
print("           KL, unit by unit             variance of the mean of q")
print("     law  with beta  forgotten           law  with beta  forgotten")
moved = ((r @ forgets[1].T) ** 2).sum(axis=0)
kl_columns = [np.sort(kl.round(12) + 0.0)[::-1] for kl in (best.kl, with_beta, without)]
columns = [*kl_columns, best.mean_variances, np.sort(moves)[::-1], np.sort(moved)[::-1]]
for row in zip(*columns, strict=True):
    print("{:>8.3f} {:>10.3f} {:>10.3f} {:>13.3f} {:>10.3f} {:>10.3f}".format(*row))

# %% [markdown]
# ## Exercises
#
# The weight of the KL divergence.  `minigrad-ae exercise start N` copies a blank into your folder,
# and `minigrad-ae exercise check N` judges it: it names the misconception, not the answer.
#
# 1. `minigrad-ae exercise start 30`: a loss that forgets beta, as above, and a mean where a sum is
#    meant.

# %% Answers
lesson.cell("Answers to what you predicted")
lesson.answers(hole=np.mean([row[-1] for row in rows if row[0] == betas[0]]), smallest=betas[0])

# %% Recap
lesson.finish()

# %% [markdown]
# ## What you can do now
#
# - Say how many units of a (linear) VAE will live, from eigenvalues, noise and beta, before
#   training.
# - Read a loss as people write it, and say which beta it really has.
# - Tell collapse at the optimum from collapse in training, by warm-up.
# - Look into your own model: `mg.models.diagnose(model, X, rng)`; train one:
#   `minigrad-ae train vae --data table.csv --latent 2 --beta 4 --likelihood gaussian`.
