# %% [markdown]
# # Lesson 8: the evidence lower bound, and EM
#
# **Goal.** See that log p(x) = L + KL holds to rounding for *any* q, watch the bound touch the
# likelihood, and compare the EM algorithm with what a variational autoencoder does: both climb the
# same bound, but only EM
# makes it touch. (Bishop & Bishop, section 19.2 and its figures of the ELBO; Tipping & Bishop 1999;
# Cremer, Li &
# Duvenaud 2018.)
#
# The linear VAE is the one case in which everything has a closed form: the bound, the posterior,
# and log p itself.

# %% Goal
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.claims.bugs import edit
from minigrad_ae.experiments import elbo
from minigrad_ae.models import LinearVAE, densities
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, SKY, Lesson

lesson = Lesson("08_elbo_and_em", "about 7 s; --fast 4 s")
X, eigenvalues = elbo.cloud()  # 80 points in 5 dimensions; the eigenvalues of their covariance
N, D = X.shape

# %% Predict
lesson.cell("Predict")
lesson.predict("encoder-alone")
lesson.predict("one-step")
lesson.predict("diagonal")

# %% [markdown]
# ## Build
#
# | slide | code |
# |---|---|
# | p(z) = N(0, I), p(x given z) = N(Wz + mu, sigma^2 I) | `model.decode(z)`, `model.sigma2` |
# | q(z given x) = N(V(x − mu), diag d) | `mu, log_var = model.encode(x)` |
# | L = ∫ q log p(x given z) dz − KL(q ‖ p(z)) | `model.bound(x)`, one number for each datum; no sampling |
# | sum_n L_n | `model.elbo(X)`; training minimises `model.loss(X) = -model.elbo(X)` |

# %% Build
lesson.cell("Build: the linear VAE, its bound exact and sampled")
model = elbo.anywhere()  # LinearVAE(5, 2, ...) with random weights
print(model)
exact = float(model.elbo(X)) / N
draws = np.array(
    [float(model.elbo(X, lesson.rng)) / N for _ in range(100 if lesson.fast else 1000)]
)
error = draws.std(ddof=1) / np.sqrt(len(draws))
print(
    f"L per datum, exact: {exact:.4f} nats;  sampled, one z a datum, {len(draws)} times: "
    f"{draws.mean():.4f} +- {error:.4f}"
)

# %% Run: any q
lesson.cell("Run: log p = L + KL, whatever q is")
# a non-linear decoder with M = 1: log p(x) has no formula, but a grid over z does it
hairpin, x = elbo.hairpin()
z = np.linspace(-10, 10, 4001)
log_joint, log_posterior = elbo.posterior_on_grid(hairpin, x, z)
qs = {"the posterior p(z|x)": np.exp(log_posterior), **elbo.shapes(z)}
table = {name: elbo.on_grid(hairpin, x, z, q) for name, q in qs.items()}
print("q(z)                           L        KL    L + KL   (nats)")
for name, (L, KL) in table.items():
    print(f"{name:<24} {L:>9.4f} {KL:>9.4f} {L + KL:>9.4f}")
fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), width_ratios=[1, 1.1])
left.fill_between(
    z, np.exp(log_posterior), color=BLACK, alpha=0.2, lw=0, label="posterior p(z | x)"
)
for (name, q), color in zip(list(qs.items())[2:5], (BLUE, ORANGE, GREEN), strict=True):
    left.plot(z, q / (q.sum() * (z[1] - z[0])), color=color, lw=1.5, label=f"q: {name}")
left.set(
    xlim=(-3, 3),
    ylim=(0, 2.9),
    xlabel="latent z",
    ylabel="density",
    title="One posterior, and several q",
)
left.legend(fontsize=8, loc="upper left")
names, L, KL = list(table), *np.array(list(table.values())).T
right.barh(names[::-1], KL[::-1], left=L[::-1], color=SKY, label="KL(q ‖ posterior)")
right.plot(L[::-1], names[::-1], "o", color=BLUE, label="bound L")
right.axvline(L[0] + KL[0], color=BLACK, lw=1.2, label="log p(x)")
right.set(xlabel="nats", xlim=(-3.0, -1.5), title="Whatever q is: L + KL = log p(x)")
right.legend(fontsize=8, loc="lower left")
lesson.figure("any_q", fig, {"q": names, "bound": L, "kl": KL, "log_p": L[0] + KL[0]})

# %% Run: the slide's figure, computed
lesson.cell("Run: the bound touches the likelihood (one weight w, x = w z + noise)")
scalar, x1 = elbo.scalar()
ws = np.linspace(0.3, 3.2, 60 if lesson.fast else 150)
log_p = [analytic.ppca_log_likelihood(x1.T @ x1 / len(x1), [[w]], 1.0) for w in ws]
best = np.sqrt(x1.var() - 1)  # probabilistic PCA: w^2 = l_1 - sigma^2
print(
    f"log p is largest at w = sqrt(l_1 - sigma^2) = {best:.4f}; at a fixed encoder the bound is a "
    "parabola in w"
)
paths = {
    "EM: each E step makes the bound touch": elbo.bounds_of_em(ws, 4),
    "VAE: joint gradient steps leave a gap": elbo.bounds_of_joint_steps(ws, 36, 12, 0.06),
}
fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
for ax, (title, bounds) in zip(axes, paths.items(), strict=True):
    ax.plot(ws, log_p, color=BLACK, lw=2.2, label="log p(x; w)")
    for k, (bound, color) in enumerate(zip(bounds, (BLUE, ORANGE, GREEN, RED), strict=True)):
        ax.plot(ws, bound.curve, color=color, lw=1.4, label=f"L(w, $\\phi_{k}$)")
        ax.plot([bound.w] * 2, [bound.log_p, bound.log_p - bound.gap], color=color, lw=4, alpha=0.5)
        ax.plot(bound.w, bound.log_p - bound.gap, "o", color=color)
        if bound.after > bound.w:
            ax.plot(bound.after, np.interp(bound.after, ws, bound.curve), "^", color=color)
        print(
            f"{title[:3]} {k}: w = {bound.w:.4f}, log p = {bound.log_p:.4f}, log p - L = "
            f"{bound.gap:8.1e} nats per datum"
        )
    ax.axvline(best, color=BLACK, lw=0.8, ls=":")
    ax.set(xlabel="decoder weight w", title=title, ylim=(-4.6, -2.1))
axes[0].set_ylabel("nats per datum")
for marker, label in (("o", "where the encoder was fitted"), ("^", "top of the bound: next w")):
    axes[0].plot([], [], marker, color="grey", label=label)
axes[0].legend(fontsize=8, loc="lower left", ncols=2)
axes[1].text(0.35, -4.5, "curves as on the left;\nbars: log p − L = KL", fontsize=8)
numbers = {title[:3]: [vars(bound) for bound in bounds] for title, bounds in paths.items()}
lesson.figure("touching", fig, {"w": ws, "log_p": log_p, **numbers})

# %% Run: EM against ELBO optimisation, the slide's comparison
lesson.cell("Run: EM against joint gradient steps, on probabilistic PCA (M = 2)")
fitted, em = lesson.run.shared(elbo.alternate, 2, 8)
# The third run starts with the decoder that EM found and a random encoder, as if an encoder were
# fitted to an old decoder.
steps = 150 if lesson.fast else 400
runs = {
    "E steps and M steps": em,
    "joint steps, same start": lesson.run.shared(elbo.joint, 2, steps, 0.01),
    "joint steps, new encoder": elbo.joint(lesson.run, 2, steps, 0.01, fitted),
}
top = analytic.ppca_optimum(eigenvalues, 2)[0]
fig, axes = plt.subplots(1, 3, figsize=(11, 3.9), sharey=True)
for ax, (title, path) in zip(axes, runs.items(), strict=True):
    at = np.arange(len(path)) / 2 if path is em else np.arange(len(path))
    log_p, bound = np.array([(t.log_p, t.elbo) for t in path]).T
    ax.fill_between(at, bound, log_p, color=SKY, alpha=0.5, lw=0, label="KL")
    ax.plot(at, log_p, color=BLACK, lw=1.8, label="log p")
    ax.plot(
        at, bound, color=BLUE, lw=1.5, marker="o" if path is em else None, ms=3, label="bound L"
    )
    ax.axhline(top, color=RED, lw=1, ls="--", label="largest log p (closed form)")
    falls = [int(np.sum(np.diff(values) < -1e-12)) for values in (log_p, bound)]
    ax.set(
        xlabel="rounds of E and M" if path is em else "gradient steps",
        title=title,
        ylim=(-10.4, -9.0),
    )
    print(
        f"{title:<25} log p falls in {falls[0]:>2} of {len(path) - 1} steps, L in {falls[1]}; "
        f"L ends {top - bound[-1]:.4f} below the largest log p"
    )
axes[0].set_ylabel("nats per datum")
axes[0].legend(fontsize=8, loc="lower right")
fig.suptitle(
    "Both climb the bound L; where the encoder lags behind, log p can fall meanwhile", weight="bold"
)
numbers = {
    name: {"log_p": [t.log_p for t in path], "bound": [t.elbo for t in path]}
    for name, path in runs.items()
}
lesson.figure("em", fig, {**numbers, "optimum": top})
print(
    "An exact E step makes KL = 0, and then log p cannot fall.  A diagonal q stops at its "
    "approximation gap: next cell."
)

# %% Run: the two parts of the gap
lesson.cell("Run: approximation gap and amortisation gap")
path = runs["joint steps, same start"]
approximation = np.array([t.approximation for t in path])
amortisation = np.array([t.log_p - t.elbo for t in path]) - approximation
own = elbo.free_posteriors(model, X)  # a q of its own for every datum, fitted by L-BFGS: no encoder
t = elbo.terms(model, X)
print(
    f"random weights: log p - L = {t.log_p - t.elbo:.4f} = {own - t.elbo:.4f} (encoder) + "
    f"{t.log_p - own:.4f} (diagonal q)"
)
print(
    f"predicted: Hadamard's gap 1/2 [sum ln P_mm - ln det P] = {t.approximation:.4f}, P = "
    "W'W/sigma^2 + I"
)
fig, (left, right) = plt.subplots(1, 2, figsize=(9.8, 3.7))
left.semilogy(amortisation, color=ORANGE, label="amortisation gap: the encoder is not the best q")
left.semilogy(
    approximation, color=PURPLE, label="approximation gap: no diagonal q is the posterior"
)
left.set(
    xlabel="gradient steps", ylabel="nats per datum", title="The two parts of KL during training"
)
left.legend(fontsize=8)

# %% Run: many samples close the gap
ks = (1, 2, 5, 10, 20, 50)
found = elbo.importance(lesson.run, ks, 1500 if lesson.fast else 20_000)
limit = elbo.imperfect()[3] / 2
right.errorbar(
    ks,
    found.gap,
    4 * found.error,
    fmt="o",
    color=BLUE,
    ms=4,
    label="log p − $L_k$, 4 standard errors",
)
right.loglog(
    ks, limit / np.array(ks), color=BLACK, lw=1, ls="--", label="$\\chi^2$(posterior ‖ q) / 2k"
)
right.set(xlabel="k samples", ylabel="nats", title="Importance weighting: the gap falls as 1/k")
right.set_xticks(ks, [str(k) for k in ks])
right.legend(fontsize=8)
lesson.figure(
    "gaps",
    fig,
    {
        "approximation": approximation[::5],
        "amortisation": amortisation[::5],
        "k": ks,
        "gap": found.gap,
        "standard_error": found.error,
        "half_chi2": limit,
    },
)

# %% Run: at its maximum the linear VAE is probabilistic PCA
lesson.cell("Run: trained to its maximum, the linear VAE is probabilistic PCA")
print(
    "learnt by L-BFGS from random weights, M = 2; no eigenvalue is used in training.  Beside each "
    "number the closed form"
)
print("(log densities, in nats: above 0 where x has little room):")
for name, data in (
    [("cloud", X)] if lesson.fast else [("cloud", X), ("digits", mg.data.digits()[0])]
):
    if name == "cloud":
        # LinearVAE(5, 2, learn_sigma2=True, rng=rng), then .fit(X)
        trained = lesson.run.shared(elbo.trained, 2)
    else:
        trained = LinearVAE(64, 2, learn_sigma2=True, rng=lesson.rng)
        trained.fit(data)
    truth, W = analytic.ppca(data, 2), elbo.matrices(trained)[0]
    print(f"{name}: {trained.record.evaluations} evaluations of the bound")
    print(
        f"  L per datum  {elbo.mean_bound(trained, data):.10f}   largest log p "
        f"{truth.log_prob(data).mean():.10f}"
    )
    print(
        f"  sigma^2      {trained.sigma2:.10f}   mean of the eigenvalues left out "
        f"{truth.sigma2:.10f}"
    )
    difference = np.abs(W @ W.T - truth.W @ truth.W.T).max()
    print(
        f"  largest difference of an entry of W W^T {difference:.1e}; W^T W off its diagonal "
        f"{(W.T @ W)[0, 1]:.1e}"
    )
print(
    "pPCA leaves a rotation of W free; the diagonal q fixes it: W^T W is diagonal, the columns are "
    "components."
)

# %% Inspect
lesson.cell("Inspect: the backward pass of the exact bound")
tiny = LinearVAE(2, 1, rng=np.random.default_rng(lesson.seed))
loss = tiny.loss(mg.tensor(np.array([[1.0, 0.5], [-1.0, 2.0]]), name="x"))
trace = mg.trace(loss)
print(trace.text())
lesson.page("bound", trace)

# %% Verify
lesson.cell("Verify: every rule of the graph of the bound")
print(mg.check_graph(model.loss(X)))

# %% Break it
lesson.cell("Break it: which identity notices?")
# the mean over latent units, not the sum
with edit(densities.kl_to_prior, "0.5 * ops.sum(", "0.5 * ops.mean(")():
    L = elbo.mean_bound(model, X)
print(
    f"with one word changed in `kl_to_prior`, log p - L - KL = {t.log_p - L - t.kl:.4f} nats in "
    "place of 0: which word?"
)
print(
    "  (the KL term was averaged over latent units: the most common mistake with VAEs, see lesson "
    "10)"
)

# %% [markdown]
# ## Exercises
#
# 1. Give `scalar()` a noise of sigma2=0.2.  How many rounds does EM now need, and why does less
#    noise make it slower?
# 2. Set `model.beta = 0.5`.  Is `model.elbo(X, beta=0.5)` still below log p? When is it not?
# 3. Make the columns of W orthogonal by hand.  What happens to the approximation gap?
# 4. Halve d in `imperfect()` until chi^2 is infinite.  What do the bounds L_k do then?

# %% Recap
lesson.finish()
