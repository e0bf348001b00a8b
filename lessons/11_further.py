# %% [markdown]
# # Lesson 11: further
#
# **Goal.** Four steps beyond the chapter, each with an exact answer beside it: a variational
# autoencoder with a condition, a posterior with a whole covariance matrix, training with a bound of
# many samples, and drawing new data with nothing but a denoiser.  (They go on from Bishop & Bishop,
# sections 19.1.4 and 19.2; Sohn, Lee & Yan 2015; Burda, Grosse & Salakhutdinov 2016; Vincent 2011.)
#
# As in lesson 8 the models are linear, since then ln p is known.  The next cell holds all that you
# may want to change; the rest follows.  (`cloud`, of `experiments.elbo`, draws 80 points from a
# Gaussian whose axes have standard deviations 3, 2.2, 1.5, 1 and .6.)

# %% Settings
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.experiments.elbo import cloud
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, RED, SKY, Lesson

lesson = Lesson("11_further", "about 11 s; --fast 6 s")
X = cloud()[0]  # (80, 5); yours: X = mg.data.load_matrix("table.csv"), at least 3 columns
M = 2  # latent units
given = 0  # the column that is the condition c; the others are x
d = 0.5  # the variance of q(z | x) that is held in the part on many samples
sigma = 0.6  # noise of the denoiser, in standard deviations of the data
seed = lesson.seed

# %% Data
lesson.cell("Data")
X = np.asarray(X, dtype=float)
N, D = len(X), X.shape[1] - 1
M = min(M, D - 1)
lesson.settings(X=X, M=M, given=given, d=d, sigma=sigma, seed=seed)
c, x = X[:, [given]], np.delete(X, given, axis=1)
c = (c - c.mean()) / (c.std() or 1.0)
x = x / np.sqrt(x.var(axis=0).mean())  # one unit for all columns: their root mean variance
print(f"c is column {given}, standardised; x are the other {D}, in one unit")

# %% Predict
lesson.cell("Predict")
lesson.predict("condition")  # what can the latent units of a conditional VAE no longer say?
lesson.predict("rotate")  # rotate the latent space: what happens to ln p, and to L?
lesson.predict("more-samples")  # which decoder does a bound of more samples find?
lesson.predict("steps")  # are Langevin samples too wide or too narrow?

# %% Words
lesson.cell("Words")
lesson.words("nats", "ELBO", "approximation gap", "importance weight", "posterior mean", "score")

# %% [markdown]
# ## Build: a bound with a condition and a Cholesky factor
#
# A conditional VAE models x *given* c: both decoder and encoder see c.  In the linear case
#
# $$p(x \mid z, c) = N(A c + b + W z, \sigma^2 I), \qquad p(x \mid c) = N(A c + b, C),$$
#
# with $C = W W^T + \sigma^2 I$.  With $r = x - A c - b$ it is lesson 8's model of r, and so is its
# bound.  New is $q = N(V r, \Lambda \Lambda^T)$: $\Lambda$ is lower triangular with a diagonal that
# is positive (a Cholesky factor), so every covariance matrix can be written so, and
# $\ln \det \Lambda \Lambda^T = 2 \sum \ln \Lambda_{jj}$.  The two expectations of the bound are
#
# $$E_q \lVert r - W z \rVert^2 = \lVert r - W m \rVert^2 + \lVert W \Lambda \rVert^2, \qquad
#   \mathrm{KL} = \frac12 (\lVert m \rVert^2 + \lVert \Lambda \rVert^2 - M)
#   - \sum_j \ln \Lambda_{jj} .$$
#
# With the entries below the diagonal held at 0 it is the diagonal q of the chapter.

# %% Build
lesson.cell("Build: the bound")


def factor(raw, full=True):
    """Lambda (M, M) of numbers without a constraint; without `full` its diagonal alone."""
    below = np.tril(np.ones((M, M)), -1) * full
    return np.eye(M) * mg.exp(np.eye(M) * raw) + below * raw


def bound(r, W, V, factor, log_s2):
    """L per datum, in nats.  r (n, D), W (D, M), V (M, D), factor (M, M)."""
    m = r @ V.T
    square = ((r - m @ W.T) ** 2).sum() / len(r) + ((W @ factor) ** 2).sum()
    ln_p = -0.5 * (D * (np.log(2 * np.pi) + log_s2) + square * mg.exp(-log_s2))
    ln_det = mg.log(mg.diag(factor)).sum()
    return ln_p - 0.5 * ((m**2).sum() / len(r) + (factor**2).sum() - M) + ln_det


def climb(value, weights):
    """The largest value() that L-BFGS finds in these weights, and each value on the way."""
    path = []

    def closure():
        loss = -value()
        path.append(-loss.item())
        loss.backward()
        return loss

    optimizer = mg.optim.LBFGS(weights, history=50, max_iter=2000, max_evaluations=4000)
    optimizer.step(closure)
    return -optimizer.loss, path


def start(seed, **shapes):
    """Small random weights."""
    rng = np.random.default_rng(seed)
    values = {name: 0.4 * rng.standard_normal(shape) for name, shape in shapes.items()}
    return [mg.tensor(value, requires_grad=True, name=name) for name, value in values.items()]


# %% [markdown]
# ## Train: the conditional VAE
#
# Its exact optimum: whatever W and $\sigma^2$ are, the best A and b are those of least squares
# (C is then probabilistic PCA's of what is left, and the normal equations do not depend on it).  So
# the largest $\ln p(x \mid c)$ is *regression on c, then probabilistic PCA of the residuals*.
# L-BFGS knows none of this.

# %% Train: the conditional VAE
lesson.cell("Train: all weights at once, from random ones")
shapes = {"A": (D, 1), "b": (D,), "W": (D, M), "V": (M, D), "raw": (M, M), "log_s2": ()}
weights = start(seed, **shapes)
A, b, W, V, raw, log_s2 = weights
L, path = climb(lambda: bound(x - c @ A.T - b, W, V, factor(raw), log_s2), weights)
design = np.hstack([c, np.ones((N, 1))])
line = np.linalg.lstsq(design, x, rcond=None)[0]
left = x - design @ line
truth = analytic.ppca(left, M)
best = truth.log_prob(left).mean()
alone = analytic.ppca(x, M).log_prob(x).mean()
print(f"L {L:.10f}   largest ln p(x | c) {best:.10f} nats per datum, {len(path)} evaluations")
print(f"sigma^2 {np.exp(log_s2.item()):.10f}   PPCA of the residuals {truth.sigma2:.10f}")
print(f"without c the largest ln p(x) is {alone:.4f}: c is worth {best - alone:.4f} nats")
lesson.result("conditional: largest ln p(x | c) - L, nats", best - L, at_least=-1e-9 * abs(best))
lesson.result("conditional: L at the end, nats", L)
# with A = 0 the conditional model is the other one
lesson.result("what c is worth, nats", best - alone, at_least=-1e-9 * abs(best))

# %% [markdown]
# Left: the column of x that c tells most about, with the mean and two standard deviations of
# $p(x \mid c)$ as trained, and of the best model without c.  Right: what L lacks of the exact
# optimum during training (drawn at 1e-16 where rounding leaves less).

# %% Look: the condition
lesson.cell("Look: what the condition explains")
j = int(np.argmax(np.abs(line[0])))
at = np.linspace(c.min(), c.max(), 50)
center = A.data[j, 0] * at + b.data[j]
wide = 2 * np.sqrt((W.data[j] ** 2).sum() + np.exp(log_s2.item()))
without = analytic.ppca(x, M)
free = 2 * np.sqrt((without.W[j] ** 2).sum() + without.sigma2)
fig, (ax, right) = plt.subplots(1, 2, figsize=(9.6, 3.7), width_ratios=[1.2, 1])
ax.fill_between(at, center - wide, center + wide, color=SKY, alpha=0.4, lw=0, label="p(x | c)")
ax.plot(at, center, color=BLUE, lw=1.8, label="A c + b, as trained")
for side in (-1, 1):
    label = "p(x), without c" if side == 1 else None
    ax.axhline(without.mean[j] + side * free, color=ORANGE, ls="--", lw=1.4, label=label)
ax.plot(c[:, 0], x[:, j], "o", ms=3, color=BLACK, alpha=0.6)
ax.set(xlabel="condition c", ylabel=f"column {j} of x", title="Mean and two deviations")
ax.legend(fontsize=8)
lacks = np.maximum(best - np.array(path), 1e-16)
right.semilogy(lacks, color=BLUE)
right.set(xlabel="evaluations of L-BFGS", ylabel="nats per datum")
right.set_title("Largest ln p(x | c) - L")
numbers = {"slope": A.data[:, 0], "regression": line[0], "lacks": lacks[::5]}
lesson.figure("conditional", fig, {**numbers, "worth": best - alone})

# %% [markdown]
# ## Train: a whole covariance closes the gap
#
# Let R be a rotation of the latent space.  $W R$ has the same $W W^T$, so the same p(x).  But its
# columns are not orthogonal, and the posterior's precision $P = R^T W^T W R / \sigma^2 + I$ is not
# diagonal: by lesson 8 the best diagonal q leaves $\frac12 (\sum_j \ln P_{jj} - \ln \det P)$.  A
# Cholesky factor can be the posterior's.  Hold the decoder (PPCA's, turned by 45 degrees) and train
# only the encoder, with both kinds of q.  In the figure look which curve lies on the posterior's,
# and where the two gaps end.

# %% Train: the encoder alone
lesson.cell("Train: two encoders of one rotated decoder")
turn = np.eye(M)
turn[:2, :2] = np.array([[1, -1], [1, 1]])[:M, :M] / (2**0.5 if M > 1 else 1)
slanted, log_noise = truth.W @ turn, np.log(truth.sigma2)
ends = {}


def encoder(full):
    """Train V and Lambda: L per datum at the end and on the way, and Lambda."""
    V, raw = start(seed + 1, V=(M, D), raw=(M, M))
    value, path = climb(lambda: bound(left, slanted, V, factor(raw, full), log_noise), [V, raw])
    return value, path, factor(raw.data, full)


for name, full in (("diagonal q", False), ("Cholesky factor", True)):
    value, path, triangle = encoder(full)
    ends[name] = best - value, best - np.array(path), triangle
    print(f"{name:<16} ln p - L = {best - value:.3e} nats per datum after {len(path)} evaluations")
hadamard = analytic.hadamard_gap(slanted, truth.sigma2)
print(f"exact gap of the best diagonal q: {hadamard:.3e}")
P = slanted.T @ slanted / truth.sigma2 + np.eye(M)
covariances = {name: end[2] @ end[2].T for name, end in ends.items()}
off = np.abs(covariances["Cholesky factor"] - np.linalg.inv(P)).max()
print(f"Lambda Lambda^T beside the posterior's covariance: largest difference {off:.1e}")
rounding = 1e-9 * (1 + abs(best))
gaps = {name: end[0] for name, end in ends.items()}
lesson.result("diagonal q: gap, nats", gaps["diagonal q"], exact=hadamard, tolerance=rounding)
lesson.result("Cholesky: gap, nats", gaps["Cholesky factor"], exact=0, tolerance=rounding)

# %% Look: two posteriors
lesson.cell("Look: the posterior, and the two q")
fig, (ax, right) = plt.subplots(1, 2, figsize=(9.6, 3.9))
angle = np.linspace(0, 2 * np.pi, 200)
circle = np.stack([np.cos(angle), np.sin(angle)])
looks = {
    "posterior": (BLACK, "-", 5),
    "diagonal q": (ORANGE, "-", 2),
    "Cholesky factor": (SKY, "--", 2),
}
for name, covariance in {"posterior": np.linalg.inv(P), **covariances}.items():
    plane = np.eye(2)  # where there is one unit, the second direction is the prior's
    plane[: min(M, 2), : min(M, 2)] = covariance[:2, :2]
    color, style, width = looks[name]
    ax.plot(*(np.linalg.cholesky(plane) @ circle), color=color, ls=style, lw=width, label=name)
ax.set(xlabel="$z_1$ - mean", ylabel="$z_2$ - mean", aspect="equal", title="One standard deviation")
low, high = ax.get_ylim()
ax.set_ylim(low, high + 0.35 * (high - low))  # room for the legend
ax.legend(fontsize=8, loc="upper left")
for name, (_, path, _) in ends.items():
    color = looks[name][0]
    right.semilogy(np.maximum(path, 1e-16), color=color, lw=1.8, label=name)
right.axhline(max(hadamard, 1e-16), color=BLACK, ls=":", lw=1.2, label="exact gap, diagonal q")
right.set(xlabel="evaluations of L-BFGS", ylabel="nats per datum", title="ln p - L")
right.legend(fontsize=8)
numbers = {name: {"gap": end[0], "factor": end[2]} for name, end in ends.items()}
lesson.figure("posterior", fig, {**numbers, "hadamard": hadamard, "precision": P})

# %% [markdown]
# ## Train: the bound of k samples
#
# Another way to close a gap: keep the poor q, and draw more.  With $r_i = p(x, z_i) / q(z_i)$
#
# $$L_k = E \ln \frac1k \sum_{i \le k} r_i, \qquad L_1 \le L_2 \le \dots \le \ln p(x),$$
#
# by Jensen's inequality.  In code it is a logsumexp, whose rule weighs each sample's gradient by
# its share $r_i / \sum r$.  One weight shows what training with it changes: $x \mid z$ is
# $N(w z, 1)$, z and x are numbers (x: the first principal component of the residuals, scaled to
# variance S = 5), and q(z) = N(v x, d) with its variance d held.
#
# For given w the best v is $w / (w^2 + 1)$, and then
# $L_1 = -\frac12 (S / (w^2 + 1) + w^2 d)$ plus a constant.  Its maximum is at
# $w^2 = \sqrt{S / d} - 1$, not at the likelihood's $w^2 = S - 1$: *a poor q spoils the decoder*.
# For k of 1 and 2 the expectation is a sum over Gauss and Hermite's nodes, otherwise a mean over
# draws that are held.  Look where $w^2$ goes.

# %% Train: many samples
lesson.cell("Train: one weight, by L_k")
toward = left[:100] @ np.linalg.eigh(left.T @ left)[1][:, -1]
S = 5.0
x1 = np.sqrt(S / np.mean(toward**2)) * toward[:, None, None]  # (n, draws, k)
rng = np.random.default_rng(seed)


def draws(k):
    """eps (n or 1, draws, k) and the weights of the draws."""
    if k > 2:
        eps = rng.standard_normal((len(x1), 40 if lesson.fast else 100, k))
        return eps, np.full(eps.shape[1], 1 / eps.shape[1])
    at, p = np.polynomial.hermite_e.hermegauss(24)
    p = p / p.sum()
    if k == 1:
        return at[None, :, None], p
    return np.stack(np.meshgrid(at, at), axis=-1).reshape(1, -1, 2), np.outer(p, p).ravel()


def many(w, v, eps, p):
    """L_k, a mean over data."""
    z = v * x1 + np.sqrt(d) * eps
    ln_joint = -np.log(2 * np.pi) - 0.5 * ((x1 - w * z) ** 2 + z**2)
    ln_q = -0.5 * (np.log(2 * np.pi * d) + eps**2)
    ln_mean = mg.logsumexp(ln_joint - ln_q, axis=-1) - np.log(eps.shape[-1])
    return (p * ln_mean).sum() / len(x1)


def ln_p_of(w):
    return -0.5 * (np.log(2 * np.pi * (w**2 + 1)) + S / (w**2 + 1))


def trained(eps, p):
    """(w, v) at the maximum of L_k, and the maximum."""
    w, v = (mg.tensor(at, requires_grad=True) for at in (1.0, 0.3))
    value, _ = climb(lambda: many(w, v, eps, p), [w, v])
    return (w.item(), v.item()), value


ks, found = (1, 2, 5, 10) if lesson.fast else (1, 2, 5, 10, 50), []
first = trained(*draws(1))[0]  # the maximum of L_1
here = []  # L_k there
for k in ks:
    eps, p = draws(k)
    (w, v), value = trained(eps, p)
    found.append((w**2, value, ln_p_of(w)))
    here.append(float(many(*first, eps, p)))
    print(f"k = {k:>2}: w^2 = {w**2:.4f}, max L_k {value:.4f}, ln p there {ln_p_of(w):.4f}")
squares, values, likelihoods = np.array(found).T
predicted = max(np.sqrt(S / d) - 1, 0)
top = ln_p_of(np.sqrt(S - 1))
print(f"exact: the ELBO's w^2 = {predicted:.4f}; the likelihood's {S - 1:.4f}, ln p {top:.4f}")
lesson.result("w^2 by the ELBO, d held", squares[0], exact=predicted, tolerance=1e-5)
lesson.result("L_2 - L_1 at one place, nats", here[1] - here[0], at_least=0)
lesson.result("ln p - L_2 there, nats", ln_p_of(first[0]) - here[1], at_least=0)
lesson.result(f"w^2 by L_{ks[-1]}", squares[-1])

# %% Look: many samples
lesson.cell("Look: what more samples change")
fig, (ax, right) = plt.subplots(1, 2, figsize=(9.6, 3.7))
ax.semilogx(ks, here, "o-", color=BLUE, label="$L_k$ at the maximum of $L_1$")
ax.axhline(ln_p_of(first[0]), color=BLUE, ls="--", lw=1.2, label="ln p there")
ax.semilogx(ks, values, "s-", color=GREEN, label="$L_k$, trained with it")
ax.axhline(top, color=BLACK, ls="--", lw=1.2, label="largest ln p")
ax.set(xlabel="k samples", ylabel="nats per datum", title="The bound of k samples")
right.semilogx(ks, squares, "s-", color=GREEN, label="trained with $L_k$")
right.axhline(predicted, color=ORANGE, ls="--", lw=1.2, label="ELBO, exact")
right.axhline(S - 1, color=BLACK, ls="--", lw=1.2, label="likelihood, exact")
right.set(xlabel="k samples", ylabel="$w^2$", title="The decoder that is found")
for each in (ax, right):
    each.set_xticks(ks, [str(k) for k in ks])
    each.minorticks_off()
    each.legend(fontsize=8)
numbers = {"k": ks, "w_squared": squares, "trained": values, "at_one_place": here}
lesson.figure("importance", fig, {**numbers, "predicted": predicted, "largest_log_p": top})

# %% [markdown]
# ## Look: new data from a denoiser
#
# The best denoiser is the posterior mean $E[x \mid \tilde x]$ (lesson 6).  Tweedie's formula turns
# it into the score of the noisy data, and Langevin's steps turn the score into samples:
#
# $$\nabla \ln p(\tilde x) = (E[x \mid \tilde x] - \tilde x) / \sigma^2, \qquad
#   x \leftarrow x + h \, \nabla \ln p(x) + \sqrt{2 h}\, \epsilon .$$
#
# Here the clean data are the first principal component of x (standard deviation 1), so the noisy
# ones are a mixture of as many Gaussians as there are data; its variance is $1 + \sigma^2$.  With
# steps of finite size h the chain ends elsewhere: for a Gaussian of variance $s^2$ at
# $s^2 / (1 - h / 2 s^2)$, since $a = 1 - h / s^2$ and the variance is $2 h / (1 - a^2)$.
# For the mixture the law of the chain is computed on a grid, one step after the other, from the
# score p'/p of the mixture.  The chains are independent, one sample each, so that nothing has to be
# said about correlations along a chain.

# %% Look: Langevin
lesson.cell("Look: Langevin steps along a denoiser's score")
clean = (x - x.mean(axis=0))[:100]
clean = clean @ np.linalg.svd(clean, full_matrices=False)[2][0]
clean = (clean - clean.mean()) / clean.std()


def denoise(noisy):
    """E[x | x~]: the mean of the clean data, each weighed by how probable it is."""
    weights = np.exp(-0.5 * ((noisy[:, None] - clean) / sigma) ** 2)
    return weights @ clean / weights.sum(axis=1)


def langevin(samples, h, steps, noise=2.0):
    for _ in range(steps):
        score = (denoise(samples) - samples) / sigma**2
        samples = samples + h * score + np.sqrt(noise * h) * rng.standard_normal(len(samples))
    return samples


grid = np.linspace(clean.min() - 5 * sigma, clean.max() + 5 * sigma, 400)
dx = grid[1] - grid[0]
bumps = np.exp(-0.5 * ((grid[:, None] - clean) / sigma) ** 2) / np.sqrt(2 * np.pi) / sigma
density = bumps.mean(axis=1)
slope = ((clean - grid[:, None]) * bumps).mean(axis=1) / sigma**2 / density


def law(h, steps):
    """Mean, variance and fourth moment of the chain's law, and its density, from N(0, 1)."""
    to = np.exp(-((grid[:, None] - grid - h * slope) ** 2) / (4 * h))
    to = to / to.sum(axis=0)
    q = np.exp(-0.5 * grid**2)
    q = q / q.sum()
    for _ in range(steps):
        q = to @ q
    mean = grid @ q
    return mean, (grid - mean) ** 2 @ q, q / dx


chains = 1500 if lesson.fast else 5000
hs, rows = np.array([0.1, 0.2, 0.4, 0.6]) * sigma**2 / 0.36, []
for h in hs:
    steps = int(np.ceil(8 / h))
    ends = langevin(rng.standard_normal(chains), h, steps)
    mean, variance, q = law(h, steps)
    away = (ends - mean) ** 2
    error = away.std(ddof=1) / chains**0.5
    rows.append((away.mean(), error, variance))
    print(
        f"h = {h:.2f}, {steps:>3} steps: mean {ends.mean():+.4f} (law {mean:+.4f}), variance "
        f"{away.mean():.4f} +- {error:.4f} (law {variance:.4f}; mixture {1 + sigma**2:.4f})"
    )
    if h == hs[1]:
        shown, shown_law = ends, q
        tolerance = 5 * ends.std() / chains**0.5
        lesson.result("Langevin: mean", ends.mean(), exact=mean, tolerance=tolerance)
        lesson.result("Langevin: variance", away.mean(), exact=variance, tolerance=5 * error)
measured, errors, laws = np.array(rows).T
fig, (ax, right) = plt.subplots(1, 2, figsize=(9.6, 3.7))
ax.hist(shown, bins=40, density=True, color=SKY, alpha=0.6, label=f"{chains} chains")
ax.plot(grid, density, color=BLACK, lw=1.8, label="mixture")
ax.plot(grid, shown_law, color=RED, lw=1.4, ls="--", label="law of the chain")
ax.set(xlabel="x", ylabel="density", title=f"Langevin samples, h = {hs[1]:.2f}")
ax.legend(fontsize=8)
kind = {"fmt": "o", "color": BLUE, "label": "chains, 5 standard errors"}
right.errorbar(hs, measured, 5 * errors, **kind)
right.plot(hs, laws, color=RED, ls="--", lw=1.4, label="law of the chain, exact")
right.axhline(1 + sigma**2, color=BLACK, lw=1.2, label="mixture, exact")
right.set(xlabel="step h", ylabel="variance", title="The steps' bias")
right.legend(fontsize=8, loc="upper left")
lesson.figure("langevin", fig, {"h": hs, "variance": measured, "error": errors, "law": laws})

# %% Inspect
lesson.cell("Inspect: the bound of two samples, backwards")
w = mg.tensor(1.2, requires_grad=True, name="w")
z = mg.tensor([0.3, 0.9], requires_grad=True, name="z")
log_w = -0.5 * ((1.5 - w * z) ** 2 + z**2)
loss = -mg.logsumexp(log_w)
trace = mg.trace(loss)
print(trace.text())
lesson.page("two_samples", trace)

# %% Verify
lesson.cell("Verify: every rule of the graphs of the bounds, on 20 rows")
weights = start(seed, W=(D, M), V=(M, D), raw=(M, M), log_s2=())
W, V, raw, log_s2 = weights
print(mg.check_graph(-bound(left[:20], W, V, factor(raw), log_s2)))
w, v = (mg.tensor(at, requires_grad=True) for at in (1.0, 0.3))
print(mg.check_graph(-many(w, v, rng.standard_normal((len(x1), 4, 5)), np.full(4, 0.25))))

# %% [markdown]
# ## Break it
#
# Langevin's noise has the variance 2 h.  The next cell forgets the 2.  The chains still settle, and
# a histogram still looks like data.  Which number tells it?

# %% Break it
lesson.cell("Break it: half the noise")
lesson.predict("half")  # which density do the chains end at?
h = hs[1]
wrong = langevin(rng.standard_normal(chains), h, int(np.ceil(8 / h)), noise=1.0).var()
cold = density**2 / (density**2).sum()
cold = (grid - grid @ cold) ** 2 @ cold
print(f"variance {wrong:.4f}; with the 2 it was {measured[1]:.4f} (law {laws[1]:.4f})")
lesson.result("Langevin with half the noise: variance", wrong)

# %% [markdown]
# ## Exercises
#
# Steps of Langevin, and the importance-weighted bound.  `minigrad-ae exercise start N` copies a
# blank into your folder, and `minigrad-ae exercise check N` judges it: it names the misconception,
# not the answer.
#
# 1. `minigrad-ae exercise start 31`: Langevin's step with half of its noise.
# 2. `minigrad-ae exercise start 29`: an importance-weighted bound, exact for the linear model.

# %% Answers
lesson.cell("Answers to what you predicted")
numbers = {"worth": best - alone, "gap": hadamard, "one": squares[0], "last": squares[-1]}
numbers |= {"variance": laws[-1], "mixture": 1 + sigma**2, "wrong": wrong, "cold": cold}
lesson.answers(**numbers, k=ks[-1])

# %% Recap
lesson.finish()

# %% [markdown]
# ## What you can do now
#
# - Give a VAE a condition, and say what the condition is worth in nats.
# - Give a posterior a whole covariance by a Cholesky factor, and measure the gap that it closes.
# - Train with a bound of many samples, and say what a poor q does to the decoder.
# - Turn a denoiser into a sampler, and tell its bias from its noise.
# - Read the claims: `minigrad-ae verify --fast` lists those of this lesson last.
