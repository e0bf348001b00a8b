# %% [markdown]
# # Lesson 8: the evidence lower bound, and EM
#
# **Goal.** See that ln p(x) = L + KL for *any* q, watch the bound L touch the likelihood, and
# compare the EM algorithm with what a variational autoencoder does: both climb the same bound, but
# only EM makes it touch at every round.  (Bishop & Bishop, section 19.2; Tipping & Bishop 1999;
# Cremer, Li & Duvenaud 2018.)
#
# The linear VAE is the one case in which everything has a closed form: the bound, the posterior,
# and ln p itself.  So each number below can stand beside the exact one.  The next cell holds all
# that you may want to change; the rest follows.  (`cloud`, of `experiments.elbo`, draws 80 points
# from a Gaussian whose axes have standard deviations 3, 2.2, 1.5, 1 and .6.)

# %% Settings
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.experiments.elbo import cloud, hairpin, shapes
from minigrad_ae.models import LinearVAE
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, SKY, Lesson

lesson = Lesson("08_elbo_and_em", "about 13 s; --fast 6 s")
X = cloud()[0]  # (80, 5), drawn from a Gaussian; yours: X = mg.data.load_matrix("table.csv")
M = 2  # latent units, fewer than X has columns
rounds = 8  # of EM
steps = 150 if lesson.fast else 400  # of gradient ascent
seed = lesson.seed

# %% Data
lesson.cell("Data")
X = np.asarray(X, dtype=float)
N, D = X.shape
M = min(M, D - 1)
lesson.settings(X=X, M=M, rounds=rounds, steps=steps, seed=seed)
unit = np.sqrt(X.var(axis=0).mean())  # one unit for all columns: their root mean variance
x = (X - X.mean(axis=0)) / unit
S = x.T @ x / N
print(f"x is X without its mean, divided by {unit:.4g}: the mean variance of a column is 1")

# %% Predict
lesson.cell("Predict")
lesson.predict("encoder-alone")  # does ln p change if only the encoder improves?
lesson.predict("one-step")  # the bound rises in a joint step: can ln p fall?
lesson.predict("diagonal")  # can a diagonal q be the posterior?

# %% Words
lesson.cell("Words")
lesson.words("nats", "ELBO", "KL", "standard error", "amortisation gap", "approximation gap")

# %% [markdown]
# ## Build: the linear VAE and its bound
#
# The generative model has a latent vector z of M numbers and a linear decoder,
#
# $$p(z) = N(0, I), \qquad p(x \mid z) = N(W z, \sigma^2 I),$$
#
# and the encoder answers each x with a distribution over z,
# $q(z \mid x) = N(V x, \mathrm{diag}\, d)$ (x has mean 0 here).  The evidence lower bound of one x
# is
#
# $$L = \int q \ln p(x \mid z)\, dz - \mathrm{KL}(q \,\|\, p(z)) .$$
#
# With m = V x, both terms can be integrated:
# $E_q \lVert x - W z \rVert^2 = \lVert x - W m \rVert^2 + \sum_j d_j \lVert w_j \rVert^2$, and the
# KL of two Gaussians is a line of its own.  A row of `x` is one datum, so $V x$ for all of them is
# `x @ V.T`.

# %% Build
lesson.cell("Build: the bound, exact and sampled")


def bound(x, W, V, log_d, log_s2):
    """L, a sum over data, in nats.  W (D, M), V (M, D), log_d (M,), log_s2 ()."""
    m, d, s2 = x @ V.T, mg.exp(log_d), mg.exp(log_s2)
    square = ((x - m @ W.T) ** 2).sum() + len(x) * (d * (W**2).sum(axis=0)).sum()
    ln_p_x_given_z = -0.5 * (D * len(x) * (np.log(2 * np.pi) + log_s2) + square / s2)
    kl = 0.5 * (len(x) * (d - 1 - log_d).sum() + (m**2).sum())
    return ln_p_x_given_z - kl


def start(seed, M=M):
    """Random weights, as tensors that want gradients."""
    rng = np.random.default_rng(seed)
    W, V = rng.standard_normal((D, M)) / M**0.5, 0.4 * rng.standard_normal((M, D)) / D**0.5
    values = {"W": W, "V": V, "log_d": rng.uniform(-2, -1, M), "log_s2": np.log(0.6)}
    return [mg.tensor(value, requires_grad=True, name=name) for name, value in values.items()]


weights = start(seed)
W, V, log_d, log_s2 = weights
exact = bound(x, *weights).item() / N

model = LinearVAE(D, M, sigma2=0.6, rng=np.random.default_rng(seed))  # the library's class
model.decoder_weight.data, model.encoder_weight.data = W.data.T.copy(), V.data.T.copy()
model.log_var.data, model.mean.data = log_d.data.copy(), np.zeros(D)
print(f"L per datum: these lines {exact:.10f} nats, LinearVAE {model.elbo(x).item() / N:.10f}")

rng, draws = np.random.default_rng(seed), []
for _ in range(100 if lesson.fast else 1000):  # one z for each datum, each time
    m, d, s2 = x @ V.data.T, np.exp(log_d.data), np.exp(log_s2.data)
    z = m + np.sqrt(d) * rng.standard_normal((N, M))
    ln_p = -0.5 * (D * np.log(2 * np.pi * s2) + ((x - z @ W.data.T) ** 2).sum(axis=1) / s2)
    kl = 0.5 * (d - 1 - np.log(d) + m**2).sum(axis=1)
    draws.append(np.mean(ln_p - kl))
error = np.std(draws, ddof=1) / np.sqrt(len(draws))
print(f"sampled, one z a datum, {len(draws)} times: {np.mean(draws):.4f} +- {error:.4f}")
lesson.result("L by sampling, nats", np.mean(draws), exact=exact, tolerance=5 * error)

# %% [markdown]
# ## ln p = L + KL, whatever q is
#
# Since $p(x, z) = p(z \mid x)\, p(x)$,
#
# $$L = \int q \ln \frac{p(x, z)}{q} = \ln p(x) - \int q \ln \frac{q}{p(z \mid x)}
#     = \ln p(x) - \mathrm{KL}(q \,\|\, p(z \mid x)).$$
#
# Nothing was said about q or about the decoder.  So here is a decoder that is not linear: `hairpin`
# (of `experiments.elbo`) folds the line of z like a hairpin, and x lies between its legs, so the
# posterior has two peaks.  ln p(x) has no formula then, but z is one number, and a sum over a fine
# grid is as good as the integral.  `shapes` are ln q for densities that have nothing to do with
# each other, each with its own constant: none is normalised by a sum.  L and KL are two sums over
# two grids, and L has no posterior in it: so the sum in the last column could be anything, if q or
# a sign were wrong.

# %% Look: any q
lesson.cell("Look: ln p = L + KL, whatever q is (a toy with one latent number)")
pin, x_pin = hairpin()


def ln_joint(z):
    """ln p(x | z) + ln p(z) at the points z (G,)."""
    f = pin.decoder(z[:, None]).numpy()  # (G, 2): where each z is decoded to
    square = ((x_pin - f) ** 2).sum(axis=1) / 0.4**2
    return -0.5 * (2 * np.log(2 * np.pi * 0.4**2) + square + np.log(2 * np.pi) + z**2)


z, dz = np.linspace(-10, 10, 4001, retstep=True)  # the grid of L
u, du = np.linspace(-10, 10, 3001, retstep=True)  # the grid of KL and of p(x)
ln_p = np.log(np.exp(ln_joint(u)).sum() * du)
posterior = np.exp(ln_joint(z) - ln_p)
table = {}
ln_qs = {"posterior p(z | x)": [ln_joint(z) - ln_p, ln_joint(u) - ln_p]}
ln_qs |= {name: [on_z, shapes(u)[name]] for name, on_z in shapes(z).items()}
print("q(z)                           L        KL    L + KL   (nats)")
for name, (on_z, on_u) in ln_qs.items():
    L = (np.exp(on_z) * (ln_joint(z) - on_z)).sum() * dz
    KL = (np.exp(on_u) * (on_u - (ln_joint(u) - ln_p))).sum() * du
    table[name] = L, KL
    print(f"{name:<24} {L:>9.4f} {KL:>9.4f} {L + KL:>9.4f}")
names, L, KL = list(table), *np.array(list(table.values())).T
off = np.abs(L + KL - ln_p).max()
print(f"ln p(x) = {ln_p:.4f}; L + KL is off by {off:.0e} at most")
lesson.result("any q: |L + KL - ln p|, nats", off, exact=0, tolerance=1e-12)
fig, (ax, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), width_ratios=[1, 1.1])
ax.fill_between(z, posterior, color=BLACK, alpha=0.2, lw=0, label="posterior p(z | x)")
for (name, (ln_q, _)), color in zip(list(ln_qs.items())[3:6], (BLUE, ORANGE, GREEN), strict=True):
    ax.plot(z, np.exp(ln_q), color=color, lw=1.5, label=f"q: {name}")
ax.set(xlim=(-3, 3), ylim=(0, 2.1), xlabel="latent z", ylabel="density")
ax.set_title("One posterior, and three of the q")
ax.legend(fontsize=8, loc="upper left")
right.barh(names[::-1], KL[::-1], left=L[::-1], color=SKY, label="KL(q ‖ posterior)")
right.plot(L[::-1], names[::-1], "o", color=BLUE, label="bound L")
right.axvline(ln_p, color=BLACK, lw=1.2, label="ln p(x)")
right.set(xlabel="nats", xlim=(-4.1, -1.4), title=f"L + KL = ln p(x), to {off:.0e}")
right.legend(fontsize=8, loc="upper left")
lesson.figure("any_q", fig, {"q": names, "bound": L, "kl": KL, "log_p": ln_p})

# %% [markdown]
# ## The bound touches the likelihood
#
# One latent number and one weight w can be drawn.  Take x along the first principal component,
# scaled to variance 5, with $\sigma^2 = 1$: $p(x) = N(0, w^2 + 1)$.
#
# *E step*: the best q for this w is the posterior, $v = w / (w^2 + 1)$, $d = 1 / (w^2 + 1)$.  Then
# KL = 0, and L touches ln p at this w.  *M step*: the best w for this q, dL/dw = 0, is
# $w = \sum x m \,/ \sum (m^2 + d)$.  A VAE moves v, d and w together, a small step each.

# %% Train: one weight
lesson.cell("Train: one weight w, by EM and by gradient steps")
toward = x @ np.linalg.eigh(S)[1][:, -1]
x1 = np.sqrt(5) * toward / toward.std()
ws = np.linspace(0.3, 3.2, 60 if lesson.fast else 150)


def ln_likelihood1(w):
    """ln p per datum."""
    return -0.5 * (np.log(2 * np.pi * (w**2 + 1)) + 5 / (w**2 + 1))


def bound1(w, v, ln_d):
    """L per datum for one weight, sigma^2 = 1: the function above, in one dimension."""
    m = v * x1
    square = mg.mean((x1 - w * m) ** 2) + mg.exp(ln_d) * w**2
    kl = 0.5 * (mg.exp(ln_d) - 1 - ln_d + mg.mean(m**2))
    return -0.5 * (np.log(2 * np.pi) + square) - kl


def snapshot(w, v, ln_d):
    """(w, v, ln d, KL there)."""
    return w, v, ln_d, ln_likelihood1(w) - bound1(w, v, ln_d)


ln_p1 = ln_likelihood1(ws)
em, w = [], 0.7
for _ in range(4):
    v, d = w / (w**2 + 1), 1 / (w**2 + 1)  # E step
    em.append(snapshot(w, v, np.log(d)))
    w = np.sum(x1 * v * x1) / np.sum((v * x1) ** 2 + d)  # M step
joint = []
own = [mg.tensor(value, requires_grad=True) for value in (0.7, 0.05, 0.0)]  # w, v, ln d
for step in range(37):
    if step % 12 == 0:
        joint.append(snapshot(*(p.item() for p in own)))
    for p, g in zip(own, mg.grad(bound1(*own), own), strict=True):
        p.data = p.data + 0.06 * g
for name, path in (("EM", em), ("joint steps", joint)):
    for k, (w, _, _, gap) in enumerate(path):
        print(f"{name:<12} {k}: w = {w:.4f}, ln p - L = {gap:8.1e} nats per datum")
print(f"ln p is largest at w = sqrt(5 - 1) = 2: EM has {em[-1][0]:.4f}, steps {joint[-1][0]:.4f}")

# %% [markdown]
# ## The two steps by themselves
#
# *(a) w fixed, phi moved*: ln p(x; w) does not depend on phi, so whatever L gains KL loses.  *(b)
# phi fixed, w moved*: now both sides of $\ln p = L + \mathrm{KL}$ move, KL too, because the
# posterior is another one.  Here phi is moved by a few gradient steps, and w to the best for this
# phi.  KL in the table is not the difference ln p − L: it is the formula for two Gaussians,
# $\frac12 \left[(w^2 + 1)(d + (v - v^*)^2 \overline{x^2}) - 1 - \ln d (w^2 + 1)\right]$,
# $v^* = w / (w^2 + 1)$.
#
# If KL is 0 before step (b), it can only grow, and then ln p rises at least as much as L.  That is
# why EM never falls; with KL > 0 nothing is promised.

# %% Look: the two steps
lesson.cell("Look: (a) phi moved at fixed w, (b) w moved at fixed phi")
phi = [mg.tensor(value, requires_grad=True) for value in (0.05, 0.0)]  # v, ln d
places = [(0.7, *(p.item() for p in phi))]
for _ in range(12):  # (a) gradient ascent in phi alone
    for p, g in zip(phi, mg.grad(bound1(0.7, *phi), phi), strict=True):
        p.data = p.data + 0.03 * g
v, d = phi[0].item(), np.exp(phi[1].item())
best_w = np.sum(x1 * v * x1) / np.sum((v * x1) ** 2 + d)  # (b) the best w for this phi
places += [(w, *(p.item() for p in phi)) for w in (0.7, best_w)]
states = []
for name, (w, v, ln_d) in zip(("start", "after (a)", "after (b)"), places, strict=True):
    P = w**2 + 1
    kl = 0.5 * (P * (np.exp(ln_d) + (v - w / P) ** 2 * 5) - 1 - ln_d - np.log(P))
    states.append((ln_likelihood1(w), bound1(w, v, ln_d), kl))
    print(f"{name:<10} w = {w:.4f}: ln p {states[-1][0]:.4f} = L {states[-1][1]:.4f} + KL {kl:.4f}")
states = np.array(states)
off = np.abs(states @ [1, -1, -1]).max()
lesson.result("(a), (b): ln p - L - KL, nats", off, exact=0, tolerance=1e-12)
(w, v, ln_d, _), (after, *_) = em[:2]  # an M step of EM starts from KL = 0
rise = ln_likelihood1(after) - ln_likelihood1(w)
rise_of_L = bound1(after, v, ln_d) - bound1(w, v, ln_d)
print(f"from KL = 0, by an M step: L rises by {rise_of_L:.4f}, ln p by {rise:.4f}")
lesson.result("(b) from KL = 0: rise of ln p - rise of L", rise - rise_of_L, at_least=-1e-12)
fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
(dp_a, dL_a, dkl_a), (dp_b, dL_b, dkl_b) = np.diff(states, axis=0)
titles = (
    f"(a) w fixed: L {dL_a:+.3f}, KL {dkl_a:+.3f}, ln p {dp_a:+.3f}",
    f"(b) phi fixed: L {dL_b:+.3f}, KL {dkl_b:+.3f}, ln p {dp_b:+.3f}",
)
for ax, title, k in zip(axes, titles, (0, 1), strict=True):
    ax.plot(ws, ln_p1, color=BLACK, lw=2.2, label="ln p(x; w)")
    for j, (style, color) in zip((k, k + 1), (("--", ORANGE), ("-", BLUE)), strict=True):
        (w, v, ln_d), (top, low, _) = places[j], states[j]
        when = "after" if j > k else "before"
        if j > k or k == 0:
            which = f"L(w), phi {when}" if k == 0 else "L(w), phi fixed"
            ax.plot(ws, [bound1(u, v, ln_d) for u in ws], color=BLUE, ls=style, lw=1.4, label=which)
        shift = 0.12 * (j - k) - 0.06 if k == 0 else 0.0  # in (a) both are at the same w
        ax.plot([w + shift] * 2, [top, low], color=color, lw=4, alpha=0.6, label=f"KL {when}")
        ax.plot(w, low, "o", color=color)
    arrow = {"arrowstyle": "->", "color": RED, "lw": 1.6, "shrinkA": 4, "shrinkB": 4}
    before, after = ((places[j][0], states[j][1]) for j in (k, k + 1))
    ax.annotate("", after, before, arrowprops=arrow)
    ax.set(xlabel="decoder weight w", title=title, ylim=(-4.6, -1.6))
    ax.legend(fontsize=8, loc="upper left", ncols=3)
axes[0].set_ylabel("nats per datum")
lesson.figure("elbo", fig, {"w": ws, "log_p": ln_p1, "places": places, "log_p_bound_kl": states})

# %% [markdown]
# ## Both steps in turns, or together
#
# In the figure each colour is one encoder, and its curve is L as a function of w at that encoder: a
# parabola.  Dots: the w at which the encoder was made; bars: what is missing there, KL.

# %% Look: the bound touches
lesson.cell("Look: the bound and the likelihood")
fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
panels = ("EM: after each E step", em), ("VAE: after 0, 12, 24, 36 joint steps", joint)
for ax, (title, path) in zip(axes, panels, strict=True):
    ax.plot(ws, ln_p1, color=BLACK, lw=2.2, label="ln p(x; w)")
    for k, (point, color) in enumerate(zip(path, (BLUE, ORANGE, GREEN, RED), strict=True)):
        w, v, ln_d, gap = point
        ax.plot(ws, [bound1(u, v, ln_d) for u in ws], color=color, lw=1.4, label=f"L, encoder {k}")
        top = np.interp(w, ws, ln_p1)
        ax.plot([w, w], [top, top - gap], color=color, lw=4, alpha=0.5)
        ax.plot(w, top - gap, "o", color=color)
    ax.axvline(2, color=BLACK, lw=0.8, ls=":")
    ax.set(xlabel="decoder weight w", title=title, ylim=(-4.6, -2.1))
axes[0].set_ylabel("nats per datum")
axes[0].legend(fontsize=8, loc="lower left", ncols=2)
lesson.figure("touching", fig, {"w": ws, "log_p": ln_p1, "em": em, "joint": joint})

# %% [markdown]
# ## EM against joint steps, on your data
#
# For M units the same two steps are six lines.  *E step*: $L$ is quadratic in V, and its best is
# the posterior's mean, $V = (W^T W + \sigma^2 I)^{-1} W^T$; the best diagonal q has
# $1 / d_j = \lVert w_j \rVert^2 / \sigma^2 + 1$.  *M step*: least squares,
# $W = \sum x m^T (\sum m m^T + N \mathrm{diag}\, d)^{-1}$, and $\sigma^2$ is the mean square that
# is left.
#
# *Joint steps* are gradient ascent on L / N in all weights at once; a step that would lower L is
# halved.  ln p itself is known: $p(x) = N(0, C)$, $C = W W^T + \sigma^2 I$ (probabilistic PCA).
#
# If the E step makes KL = 0 (one unit, or orthogonal columns of W), ln p cannot fall in the M step:
# ln p >= L, and L starts at ln p.  So EM is run with one unit, too: look whether L touches ln p
# after each E step there.  A diagonal q for more units may leave a gap; the next section measures
# it.

# %% Train: EM and joint steps
lesson.cell("Train: EM, and joint gradient steps, from the same start")


def ln_likelihood(W, s2):
    """ln p per datum."""
    C = W @ W.T + s2 * np.eye(D)
    return -0.5 * (
        D * np.log(2 * np.pi) + np.linalg.slogdet(C)[1] + np.trace(np.linalg.solve(C, S))
    )


def e_step(W, s2):
    V = np.linalg.solve(W.T @ W + s2 * np.eye(W.shape[1]), W.T)
    return V, -np.log((W**2).sum(axis=0) / s2 + 1)  # V and ln d


def m_step(V, ln_d):
    m, d = x @ V.T, np.exp(ln_d)
    W = np.linalg.solve(m.T @ m + N * np.diag(d), m.T @ x).T
    return W, (((x - m @ W.T) ** 2).sum() + N * (d * (W**2).sum(axis=0)).sum()) / (N * D)


def where(W, V, ln_d, ln_s2):
    """(ln p, L) per datum."""
    return ln_likelihood(W, np.exp(ln_s2)), float(bound(x, W, V, ln_d, ln_s2)) / N


def alternate(units):
    """EM: (ln p, L) at the start and after each half step; W and ln sigma^2 at the end."""
    W, V, ln_d, ln_s2 = (p.data for p in start(seed, units))
    path = [where(W, V, ln_d, ln_s2)]
    for _ in range(rounds):
        V, ln_d = e_step(W, np.exp(ln_s2))
        path.append(where(W, V, ln_d, ln_s2))
        W, s2 = m_step(V, ln_d)
        ln_s2 = np.log(s2)
        path.append(where(W, V, ln_d, ln_s2))
    return path, (W, ln_s2)


em_1, _ = alternate(1)  # with one unit a diagonal q is any Gaussian: an E step makes KL = 0
em, fitted = alternate(M)


def climb(weights):
    """(ln p, L, W, sigma^2) at each joint step of gradient ascent on L / N."""
    path, eta = [], 0.05
    for _ in range(steps):
        L = bound(x, *weights) / N
        W, log_s2 = weights[0].data.copy(), weights[3].data
        path.append((*where(*(p.data for p in weights)), W, np.exp(log_s2)))
        gradients = mg.grad(L, weights)
        before = [p.data for p in weights]
        while True:
            for p, old, g in zip(weights, before, gradients, strict=True):
                p.data = old + eta * g
            if float(bound(x, *(p.data for p in weights))) / N >= L.item() or eta < 1e-12:
                break
            eta /= 2
    return path


joint = climb(start(seed))
late = start(seed)  # the decoder that EM has found, and an encoder that knows nothing of it
late[0].data, late[3].data = fitted[0].copy(), np.array(fitted[1])
late = climb(late)
runs = {"EM, one unit": em_1, f"EM, M = {M}, diagonal q": em}
runs |= {f"joint steps, M = {M}": joint, "joint, EM's decoder": late}
optimum = analytic.ppca(x, M).log_prob(x).mean()  # the largest ln p, in closed form
optimum_1 = analytic.ppca(x, 1).log_prob(x).mean()
print(f"largest ln p {optimum:.4f} nats per datum, {optimum_1:.4f} with one unit;")
print("what L lacks of it at the end:")
for name, path in runs.items():
    largest = optimum_1 if path is em_1 else optimum
    falls = [int(np.sum(np.diff([t[k] for t in path]) < -1e-12)) for k in (0, 1)]
    print(
        f"{name:<24} ln p falls in {falls[0]:>3} of {len(path) - 1} steps, L in {falls[1]}; "
        f"at the end L lacks {largest - path[-1][1]:.4f}"
    )
    what = f"{name}: largest ln p - L, nats"
    lesson.result(what, largest - path[-1][1], at_least=-1e-12 * max(1, abs(largest)))
small = 1e-11 * max(1, *(abs(L) for _, L in em_1))
left = max(ln_p - L for ln_p, L in em_1[1::2])
rise = min(np.diff([ln_p for ln_p, _ in em_1]))
lesson.result("EM, one unit: largest KL after an E step, nats", left, exact=0, tolerance=small)
lesson.result("EM, one unit: least rise of ln p, nats", rise, at_least=-small)
print(f"EM, one unit: KL after an E step <= {left:.0e}")
fell = {name: np.sum(np.diff([t[0] for t in path]) < -1e-12) for name, path in runs.items()}

# %% Look: EM against joint steps
lesson.cell("Look: ln p and the bound on the way")
fig, axes = plt.subplots(2, 2, figsize=(10, 6.8), sharey=True)
bottom = min(path[len(path) // 4][1] for path in runs.values())
for ax, (title, path) in zip(axes.flat, runs.items(), strict=True):
    by_em, largest = path in (em, em_1), optimum_1 if path is em_1 else optimum
    at = np.arange(len(path)) / (2 if by_em else 1)
    ln_p, L = np.array([t[:2] for t in path]).T
    ax.fill_between(at, L, ln_p, color=SKY, alpha=0.5, lw=0, label="KL")
    ax.plot(at, ln_p, color=BLACK, lw=1.8, label="ln p")
    ax.plot(at, L, color=BLUE, lw=1.5, marker="o" if by_em else None, ms=3, label="bound L")
    ax.axhline(largest, color=RED, lw=1, ls="--", label="largest ln p (closed form)")
    if by_em:
        ax.plot(at[1::2], L[1::2], "o", color=ORANGE, ms=5, label="L after an E step")
    ax.set(title=f"{title}: ln p falls in {fell[title]} of {len(path) - 1} steps")
    ax.set_xlabel("rounds of E and M" if by_em else "gradient steps")
    ax.legend(fontsize=8, loc="lower right")
axes[0, 0].set_ylim(bottom, optimum + 0.1 * (optimum - bottom))
for ax in axes[:, 0]:
    ax.set_ylabel("nats per datum")
numbers = {name: {"log_p_and_bound": [t[:2] for t in path]} for name, path in runs.items()}
lesson.figure("em", fig, {**numbers, "optimum": optimum})

# %% [markdown]
# ## The two parts of the gap
#
# ln p − L = KL has two reasons.  The encoder may not be the best q of its family: the *amortisation
# gap*, closed by an E step.  And no diagonal q may be the posterior, whose precision is
# $P = W^T W / \sigma^2 + I$: the *approximation gap*, in closed form (Hadamard's)
# $\frac12 (\sum_j \ln P_{jj} - \ln \det P)$, 0 only if the columns of W are orthogonal.  So at any
# weights: put the best encoder in, and what is left must be Hadamard's gap.
#
# More samples help, too.  With k draws $z_i$ from q and $r_i = p(x, z_i) / q(z_i \mid x)$, the
# bound $L_k = E \ln \frac1k \sum r_i$ rises towards ln p, and the gap falls as $\chi^2 / 2k$ once k
# is large, $\chi^2$ the variance of $r / p(x)$, if that is finite.  Measured for one datum, with an
# encoder that is a little off.

# %% Look: the two parts of the gap
lesson.cell("Look: approximation gap and amortisation gap; many samples")
W, V, log_d, log_s2 = (p.data for p in start(seed))
s2 = np.exp(log_s2)
ln_p, L = where(W, V, log_d, log_s2)
best = float(bound(x, W, *e_step(W, s2), log_s2)) / N
hadamard = analytic.hadamard_gap(W, s2)
print(f"random weights: ln p - L = {ln_p - L:.4f} = {best - L:.4f} (encoder) + {ln_p - best:.4f}")
print(f"Hadamard's gap: {hadamard:.4f}")
lesson.result(
    "approximation gap, nats", ln_p - best, exact=hadamard, tolerance=1e-12 * max(1, abs(ln_p))
)
approximation = np.array([analytic.hadamard_gap(t[2], t[3]) for t in joint])
amortisation = np.array([t[0] - t[1] for t in joint]) - approximation
fig, (ax, right) = plt.subplots(1, 2, figsize=(9.8, 3.7))
label = "amortisation gap: the encoder is not the best q"
ax.semilogy(np.maximum(amortisation, 1e-12), color=ORANGE, label=label)
label = "approximation gap: no diagonal q is the posterior"
ax.semilogy(np.maximum(approximation, 1e-12), color=PURPLE, label=label)
ax.set(xlabel="joint steps, same start", ylabel="nats per datum", title="The two parts of KL")
ax.legend(fontsize=8)

one, (V, log_d) = x[:1], e_step(W, s2)
V, d = 0.93 * V, np.exp(log_d + 0.25)  # a little off
m = V @ one[0]
P = W.T @ W / s2 + np.eye(M)
chi2 = analytic.chi_square(np.linalg.solve(P, W.T @ one[0] / s2), P, m, d)
C = W @ W.T + s2 * np.eye(D)
ln_p_one = -0.5 * (
    D * np.log(2 * np.pi) + np.linalg.slogdet(C)[1] + one @ np.linalg.solve(C, one.T)
)
rng, ks, gaps = np.random.default_rng(seed), (1, 2, 5, 10, 20, 50), []
for k in ks:
    eps = rng.standard_normal((1500 if lesson.fast else 20_000, k, M))
    z = m + np.sqrt(d) * eps
    ln_joint = -0.5 * (D * np.log(2 * np.pi * s2) + ((one - z @ W.T) ** 2).sum(axis=2) / s2)
    ln_joint = ln_joint - 0.5 * (M * np.log(2 * np.pi) + (z**2).sum(axis=2))
    ln_q = -0.5 * (np.log(2 * np.pi * d) + eps**2).sum(axis=2)
    ln_r = ln_joint - ln_q - ln_p_one
    ln_mean = np.logaddexp.reduce(ln_r, axis=1) - np.log(k)  # ln of the mean of k weights / p(x)
    # E r = 1, so -E ln r = E (r - 1 - ln r), which scatters less
    terms = np.expm1(ln_mean) - ln_mean
    gaps.append((terms.mean(), terms.std(ddof=1) / np.sqrt(len(terms))))
gaps = np.array(gaps)
for k, (gap, error) in zip(ks, gaps, strict=True):
    print(f"  k = {k:>2}: ln p - L_k = {gap:.5f} +- {error:.5f},  chi^2 / 2k = {chi2 / 2 / k:.5f}")
kind = {"fmt": "o", "color": BLUE, "ms": 4, "label": "ln p - $L_k$, 5 standard errors"}
right.errorbar(ks, gaps[:, 0], 5 * gaps[:, 1], **kind)
if np.isfinite(chi2):
    right.plot(ks, chi2 / 2 / np.array(ks), color=BLACK, lw=1, ls="--", label="$\\chi^2 / 2k$")
right.set(xscale="log", yscale="log", xlabel="k samples", ylabel="nats")
right.set_xticks(ks, [str(k) for k in ks])
right.set_title("Importance weighting, one datum")
right.legend(fontsize=8)
numbers = {"approximation": approximation[::5], "amortisation": amortisation[::5]}
lesson.figure("gaps", fig, {**numbers, "k": ks, "gap": gaps, "half_chi2": chi2 / 2})

# %% [markdown]
# ## At its maximum the linear VAE is probabilistic PCA
#
# Now L-BFGS climbs L in all weights from random ones, no eigenvalue in sight.  If the bound is
# tight at its maximum, L must reach the largest ln p, and $\sigma^2$ the mean of the eigenvalues of
# S that are left out.  Probabilistic PCA leaves a rotation of W free; the diagonal q fixes it, so
# look whether $W^T W$ is diagonal.

# %% Train: to the maximum
lesson.cell("Train: all weights to the maximum of L, by L-BFGS")
weights = start(seed + 1)
W, V, log_d, log_s2 = weights


def closure():
    loss = -bound(x, *weights) / N
    loss.backward()
    return loss


optimizer = mg.optim.LBFGS(weights, history=50, max_iter=2000, max_evaluations=2000)
optimizer.step(closure)
truth = analytic.ppca(x, M)
L, W = -optimizer.loss, W.data
print(f"{optimizer.evaluations} evaluations ({optimizer.reason}); nats per datum, x / {unit:.4g}")
print(f"  L        {L:.10f}   largest ln p               {optimum:.10f}")
print(f"  sigma^2  {np.exp(log_s2.data):.10f}   mean eigenvalue left out   {truth.sigma2:.10f}")
difference = np.abs(W @ W.T - truth.W @ truth.W.T).max()
inner = W.T @ W
off = np.abs(inner - np.diag(np.diag(inner))).max() / np.abs(inner).max()
print(f"  W W^T: largest difference {difference:.1e};  W^T W off its diagonal, rel.: {off:.1e}")
lesson.result(
    "trained: largest ln p - L, nats", optimum - L, at_least=-1e-12 * max(1, abs(optimum))
)
lesson.result("trained: sigma^2 - mean of what is left out", np.exp(log_s2.item()) - truth.sigma2)

# %% [markdown]
# ## A generative model
#
# Nothing but $p(z) = N(0, I)$ and the decoder is needed to make new data: draw z, decode, add the
# noise, $x = W z + \sigma \epsilon$.  Then $x \sim N(0, W W^T + \sigma^2 I)$, so the covariance
# of many samples has to be that, entry by entry, within standard errors
# $\sqrt{(C_{ij}^2 + C_{ii} C_{jj}) / n}$.  At the maximum it has the variances of the data along
# the first M components, and $\sigma^2$ along all others.

# %% Look: samples
lesson.cell("Look: samples of the trained model")
n, s2, rng = (
    20_000 if lesson.fast else 100_000,
    float(np.exp(log_s2.data)),
    np.random.default_rng(seed),
)
samples = rng.standard_normal((n, M)) @ W.T + np.sqrt(s2) * rng.standard_normal((n, D))
C, found = W @ W.T + s2 * np.eye(D), samples.T @ samples / n
errors = np.sqrt((C**2 + np.outer(np.diag(C), np.diag(C))) / n)
worst = (np.abs(found - C) / errors).max()
print(f"{n} samples: an entry of their covariance is off by {worst:.2f} standard errors at most")
l, U = (part[..., ::-1] for part in np.linalg.eigh(S))
print("variance along a component:    data   samples")
for j in range(min(D, M + 2)):
    print(f"  component {j + 1:<2} {l[j]:>22.4f} {U[:, j] @ found @ U[:, j]:>9.4f}")
spread = 5 * np.sqrt(2 * (C**2).sum() / n)
lesson.result("samples: total variance", np.trace(found), exact=np.trace(C), tolerance=spread)

# %% Inspect
lesson.cell("Inspect: the backward pass of the exact bound")
small = mg.tensor([[1.0, 0.5], [-1.0, 2.0]], name="x")
W = mg.tensor([[0.8], [-0.3]], requires_grad=True, name="W")
V = mg.tensor([[0.5, 0.2]], requires_grad=True, name="V")
log_d = mg.tensor([-1.0], requires_grad=True, name="log_d")
m = small @ V.T
d = mg.exp(log_d)
square = ((small - m @ W.T) ** 2).sum() + 2 * (d * (W**2).sum(axis=0)).sum()
kl = 0.5 * (2 * (d - 1 - log_d).sum() + (m**2).sum())
loss = 0.5 * square + kl  # -L, up to a constant, for sigma^2 = 1
trace = mg.trace(loss)
print(trace.text())
lesson.page("bound", trace)

# %% Verify
lesson.cell("Verify: every rule of the graph of the bound, on 50 rows")
print(mg.check_graph(-bound(x[:50], *start(seed))))

# %% [markdown]
# ## Break it
#
# The identity ln p = L + KL is a test, too: KL has a closed form of its own here (Hadamard's gap,
# and the distance from the best encoder).  The next cell takes the mean over latent units in the KL
# to the prior, where the slide has a sum.  Training would still run, and the loss would fall.

# %% Break it
lesson.cell("Break it: a mean in place of a sum")
lesson.predict("mean")  # is the bound too high or too low then?
W, V, log_d, log_s2 = (p.data for p in start(seed))
m, d, s2 = x @ V.T, np.exp(log_d), np.exp(log_s2)
right_kl = 0.5 * (d - 1 - log_d + m**2).sum(axis=1)
wrong_kl = 0.5 * (d - 1 - log_d + m**2).mean(axis=1)
ln_p, L = where(W, V, log_d, log_s2)
kl = hadamard + analytic.amortisation_gap(S, W, V, d, s2)
wrong = L + np.mean(right_kl - wrong_kl)
print(f"ln p - L - KL: {ln_p - L - kl:.1e} nats as above, {ln_p - wrong - kl:.4f} with the change")
scale = 1e-12 * (1 + abs(ln_p) + abs(L) + kl)
lesson.result("ln p - L - KL, nats", ln_p - L - kl, exact=0, tolerance=scale)

# %% [markdown]
# ## Exercises
#
# EM, and the KL divergence in the bound.  `minigrad-ae exercise start N` copies a blank into your
# folder, and `minigrad-ae exercise check N` judges it: it names the misconception, not the answer.
#
# 1. `minigrad-ae exercise start 27`: a round of EM that takes posterior means for the truth.
# 2. `minigrad-ae exercise start 10`: KL(q || p) of a Gaussian from the standard normal.

# %% Answers
lesson.cell("Answers to what you predicted")
late_falls = fell["joint, EM's decoder"]
lesson.answers(falls=late_falls, steps=steps, gap=hadamard, units=M, high=wrong - L)

# %% Recap
lesson.finish()

# %% [markdown]
# ## What you can do now
#
# - Say what L, KL and ln p have to do with each other, and test an implementation by it.
# - Write EM for probabilistic PCA in six lines, and a linear VAE in ten.
# - Tell apart why a bound is loose: the encoder, its family, or the number of samples.
# - Train one on your table: `minigrad-ae train linear-vae --data table.csv --latent 2`.
