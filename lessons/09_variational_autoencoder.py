# %% [markdown]
# # Lesson 9: the variational autoencoder
#
# **Goal.** Build an encoder and a decoder that are trained together on a lower bound of the
# likelihood, with the one trick that lets a gradient pass through a random number; follow
# Algorithm 1 line by line; and measure how far the bound is from ln p(x).  (Bishop & Bishop,
# section 19.2; Kingma & Welling 2013.)
#
# The next cell holds all that you may want to change.  Whatever you put there, the rest follows:
# what is trained, drawn and said.

# %% Settings
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.errors import DataError, GradientError
from minigrad_ae.experiments.amortisation import hermite
from minigrad_ae.models import VariationalAutoencoder, diagnose
from minigrad_ae.teaching.figures import (
    is_picture,
    show_autoencoder,
    show_codes,
    show_gradient_flow,
    show_manifold,
    show_rows,
    show_sheet,
)
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, RED, Lesson

lesson = Lesson("09_variational_autoencoder", "about 27 s; --fast 9 s")
X, y = mg.data.digits()  # (1797, 64); yours: X = mg.data.load_matrix("table.csv"), rows are data
M = 2  # latent units
H = 64  # hidden units of the encoder, and of the decoder
likelihood = "from the data"  # "bernoulli" if X holds only zeros and ones, otherwise "gaussian"
steps = 400 if lesson.fast else 3100  # of Adam, on `batch` rows each
batch, lr = 100, 0.01
seed = lesson.seed

# %% Data
lesson.cell("Data")
X = np.asarray(X, dtype=float)
N, D = X.shape
lesson.settings(X=X, M=M, H=H, steps=steps, seed=seed)
rng = np.random.default_rng(seed)
rows = rng.permutation(N)
test, train = rows[: max(2, N // 5)], rows[max(2, N // 5) :]
X_test, X_train = X[test], X[train]
batch = min(batch, len(X_train))
print(f"{len(X_train)} rows to train on, {len(X_test)} to test on, drawn at random")
if likelihood == "from the data":
    likelihood = "bernoulli" if np.all((X == 0) | (X == 1)) else "gaussian"
    print(f"{np.mean((X == 0) | (X == 1)):.0%} of the entries are 0 or 1: {likelihood} likelihood")
labels, classes = np.unique(y, return_inverse=True) if len(y) == N else ([], None)
coloured = 1 < len(labels) <= 10
print("labels: " + (f"{len(labels)} classes, for colours" if coloured else "none that fit X"))

# %% Predict
lesson.cell("Predict")
lesson.predict("two-updates")  # may phi be updated after w has moved?
lesson.predict("units")  # what is the KL of a unit that says nothing?
lesson.predict("samples")  # do more samples tighten the bound?
lesson.predict("scatter")  # which estimator of a gradient scatters more?

# %% Words
lesson.cell("Words")
lesson.words("latent unit", "nats", "ELBO", "KL", "rate", "active unit")
lesson.words("importance weight", "score function", "standard error")

# %% [markdown]
# ## Build
#
# The generative model, with M latent variables for each row x, and the encoder that approximates
# all posteriors p(z | x; w) at once:
#
# | slide | code |
# |---|---|
# | $q(z \mid x; \phi) = \prod_m N(z_m; \mu_m(x; \phi), \sigma_m^2(x; \phi))$ | `mu, log_var = encode(x)`; `log_var` is $\ln \sigma^2$, so that it may be any number |
# | $z = \mu + \sigma \epsilon,\quad \epsilon \sim N(0, I)$ | `z = mu + mg.exp(log_var / 2) * eps` |
# | $g(z; w)$ | `decoder(z)` |
# | $p(x \mid z; w)$, Bernoulli: $\prod_d p_d^{x_d} (1 - p_d)^{1 - x_d},\ p_d = 1 / (1 + e^{-g_d})$ | `(x * g - mg.softplus(g)).sum(axis=-1)` is its logarithm |
# | $p(x \mid z; w)$, Gaussian: $N(x; g, s^2 I)$ | `log_s2` is $\ln s^2$, one number that is trained with w |
# | $\mathrm{KL}(q \Vert p(z)) = \frac12 \sum_m (-1 - \ln \sigma_m^2 + \mu_m^2 + \sigma_m^2)$ | `0.5 * (-1 - log_var + mu**2 + mg.exp(log_var)).sum(axis=-1)` |
# | $\mathcal{L}(w, \phi)$ = expected $\ln p(x \mid z; w)$ - KL | `log_p(x, decoder(z)) - kl(mu, log_var)`, one number for each row |
#
# For the Bernoulli case use $\ln p_d = g_d - \ln(1 + e^{g_d})$ and
# $\ln(1 - p_d) = -\ln(1 + e^{g_d})$; `softplus` is $\ln(1 + e^g)$.  The decoder's last bias starts
# at the constant output that is best for the training rows; what a trained bound gains over that
# constant is due to z.
#
# Below, the same weights go into the library's class `VariationalAutoencoder`; look whether its
# loss is minus this bound.

# %% Build
lesson.cell("Build: encoder, decoder and bound")
encoder = mg.nn.Linear(D, H, activation="tanh", rng=rng)
to_mu, to_log_var = mg.nn.Linear(H, M, rng=rng), mg.nn.Linear(H, M, rng=rng)
decoder = mg.nn.Sequential(
    mg.nn.Linear(M, H, activation="tanh", rng=rng), mg.nn.Linear(H, D, rng=rng)
)
mean = X_train.mean(axis=0)
constant = mean  # the best g where z is ignored
if likelihood == "bernoulli":
    half = 0.5 / len(X_train)
    p = np.clip(mean, half, 1 - half)
    constant = np.log(p / (1 - p))
decoder[1].bias.data = constant.copy()
s = float(np.sqrt(np.mean((X_train - mean) ** 2)))
log_s2 = mg.tensor(2 * np.log(s), requires_grad=True, name="log_s2")
phi = [*encoder.parameters(), *to_mu.parameters(), *to_log_var.parameters()]
w = [*decoder.parameters(), *([log_s2] if likelihood == "gaussian" else [])]


def encode(x):
    h = encoder(x)
    return to_mu(h), to_log_var(h)


def log_p(x, g):
    """ln p(x | z; w) of each row, for the decoder's output g."""
    if likelihood == "bernoulli":
        return (x * g - mg.softplus(g)).sum(axis=-1)
    return -0.5 * (np.log(2 * np.pi) + log_s2 + (x - g) ** 2 * mg.exp(-log_s2)).sum(axis=-1)


def kl(mu, log_var):
    """KL(q(z | x) || p(z)) of each row."""
    return 0.5 * (-1 - log_var + mu**2 + mg.exp(log_var)).sum(axis=-1)


def elbo(x, eps):
    """The bound L of each row, with one sample z."""
    mu, log_var = encode(x)
    z = mu + mg.exp(log_var / 2) * eps
    return log_p(x, decoder(z)) - kl(mu, log_var)


def as_library():
    """The library's class with the weights that these layers have now."""
    gaussian = {"sigma": s, "learn_sigma": True} if likelihood == "gaussian" else {}
    model = VariationalAutoencoder(D, M, hidden=(H,), likelihood=likelihood, rng=rng, **gaussian)
    heads = [np.hstack([to_mu.weight.data, to_log_var.weight.data])]
    heads += [np.hstack([to_mu.bias.data, to_log_var.bias.data])]
    values = [encoder.weight.data, encoder.bias.data, *heads, *(p.data for p in w)]
    for p, value in zip(model.parameters(), values, strict=True):
        p.data = value.copy()
    return model


model = as_library()
print(model)
ignored = log_p(X_test, mg.tensor(np.tile(constant, (len(X_test), 1)))).mean().item()
eps = np.random.default_rng(seed).standard_normal((len(X_test), M))
ours = elbo(X_test, eps).sum().item()
theirs = -model.loss(X_test, np.random.default_rng(seed)).item()
print(f"L of these lines, summed over the test rows  {ours:.12g}")
print(f"minus the loss of the library's class        {theirs:.12g}")
lesson.result("L, these lines and the library: rel.", ours / theirs - 1, exact=0, tolerance=1e-10)
if likelihood == "bernoulli" and np.any((X > 0) & (X < 1)):
    print(
        f"{np.mean((X > 0) & (X < 1)):.0%} of the entries are grey, between 0 and 1: for these "
        "ln p(x | z) is minus a\ncross-entropy and no likelihood; ln p(x) is then short for ln of "
        "the integral of\nexp(ln p(x | z)) p(z), and all inequalities between bounds hold as they "
        "are"
    )

# %% [markdown]
# ## Why $z = \mu + \sigma \epsilon$
#
# The first term of the bound is an expectation over q, estimated by a sample of z.  Its gradient
# by w is no trouble.  But a z drawn from $N(\mu, \sigma^2)$ is a number: no derivative leads back
# to $\phi$ (left in the figure).  If $\epsilon$ is drawn instead, z is a function of $\mu$ and
# $\sigma$, with $\partial z / \partial \mu = 1$ and $\partial z / \partial \sigma = \epsilon$
# (right).  Orange numbers are sizes of the gradient of ln p(x | z) of one test row with the weights
# as they start; yellow is what is random.

# %% Build: the gradient through the sample
lesson.cell("Build: a gradient reaches phi only if z is a function of it")
fig, axes = plt.subplots(1, 2, figsize=(11, 3.1))
flows = {}
for ax, name in zip(axes, ("sampled", "reparameterised"), strict=True):
    mu, log_var = encode(X_test[:1])
    z = mu + mg.exp(log_var / 2) * eps[:1]
    if name == "sampled":
        z = mg.tensor(z.numpy(), requires_grad=True)  # the same number, drawn: it has no history
    found = mg.grad(log_p(X_test[:1], decoder(z)).sum(), [z, mu, log_var, *phi, *w])
    size = [float(np.sum(g**2)) for g in found]
    squares = [*size[:3], sum(size[3 : 3 + len(phi)]), sum(size[3 + len(phi) :])]
    places = ("z", "mu", "log_var", "encoder", "decoder")
    flows[name] = dict(zip(places, np.sqrt(squares), strict=True))
    show_gradient_flow(ax, flows[name], reparameterised=name == "reparameterised")
    print(f"  z {name:<16}", ", ".join(f"{k} {v:.3g}" for k, v in flows[name].items()))
axes[0].set_title("z drawn from q: nothing reaches $\\phi$")
axes[1].set_title("z a function of $\\mu$, $\\sigma$ and given noise")
lesson.figure("graph", fig, flows)

# %% [markdown]
# ## Algorithm 1, line by line
#
# The slide's loop has no "for n": it takes one row after the other.  Here its inner loop over m is
# done for all M units at once.  It draws one sample where the error function has a mean over L of
# them.  It climbs, $w \leftarrow w + \eta \nabla_w \mathcal{L}$, where the library descends
# $-\mathcal{L}$.  And it computes $\mathcal{L}$ once for two updates: these lines take both
# gradients first (the first question above asks whether they have to).

# %% Build: Algorithm 1
lesson.cell("Build: Algorithm 1, on the first rows")
data, eta = X_train[:20], 1e-3
noise, twin = np.random.default_rng([seed, 1]), as_library()
for x in data[:, None, :]:  # repeat; x is one row, (1, D)
    #     for m <- 1 to M do   eps_nm ~ N(0, 1)
    eps = noise.standard_normal((1, M))
    mu, log_var = encode(x)
    #         z_nm <- mu_nm + sigma_nm eps_nm
    z = mu + mg.exp(log_var / 2) * eps
    #         L <- L + 1/2 (1 + ln sigma_nm^2 - mu_nm^2 - sigma_nm^2)
    L = 0.5 * (1 + log_var - mu**2 - mg.exp(log_var)).sum()
    L = L + log_p(x, decoder(z)).sum()  #     L <- L + ln p(x_n | z_n; w)
    gradients = mg.grad(L, [*w, *phi])
    for p, g in zip([*w, *phi], gradients, strict=True):  #     w <- w + eta grad_w L
        p.data = p.data + eta * g  #     phi <- phi + eta grad_phi L

noise, optimizer = np.random.default_rng([seed, 1]), mg.optim.SGD(twin.parameters(), lr=eta)
for x in data[:, None, :]:  # the library's step, in batches of one
    optimizer.zero_grad()
    twin.loss(x, noise).backward()
    optimizer.step()
pairs = zip(as_library().parameters(), twin.parameters(), strict=True)
difference = max(float(np.abs(p.data - q.data).max()) for p, q in pairs)
print(f"after {len(data)} rows the parameters of these lines and of the library's class differ by")
print(f"{difference:.1e} at most: Algorithm 1 is its mini-batch step with batches of one")
lesson.result("Algorithm 1 and the library: parameters", difference, exact=0, tolerance=1e-9)

# %% [markdown]
# ## Train
#
# The same with batches and Adam: the loss is $-\mathcal{L}$, a mean over the rows of a batch, each
# row with its own $\epsilon$ and one sample.  The rate falls to 0 along a cosine.  On the way the
# bound is measured on the test rows, and on as many training rows, always with the same noise, so
# that the curves show the weights and not the dice; and the KL of each unit on the test rows.
#
# One run is one draw: the library's class is trained twice more, from other weights, with other
# batches and other noise.  Their ELBO on the test rows and the KL of their units are drawn thin.

# %% Train
lesson.cell("Train: minus the ELBO, by Adam")
optimizer = mg.optim.Adam([*w, *phi], lr=lr)
schedule = mg.optim.cosine_schedule(optimizer, steps)
fixed = rng.standard_normal((len(X_test), M))
some = X_train[: len(X_test)]
at, curves, kl_curves = [], [], []


def kl_of_units(mu, log_var):
    """KL of each unit, a mean over rows."""
    return 0.5 * (-1 - log_var + mu**2 + np.exp(log_var)).mean(axis=0)


def watch(step):
    """Note where training is."""
    with mg.no_grad():
        curves.append([elbo(x, fixed[: len(x)]).mean().item() for x in (some, X_test)])
        kl_curves.append(kl_of_units(*(v.numpy() for v in encode(X_test))))
    at.append(step)
    if len(at) % 5 == 1:
        print(
            f"  step {step:>5}: ELBO {curves[-1][0]:10.3f} (training) {curves[-1][1]:10.3f} (test),"
            f" KL {kl_curves[-1].sum():.3f} nats a row"
        )


for step in range(steps):
    if step % max(1, steps // 40) == 0:
        watch(step)
    x = X_train[rng.choice(len(X_train), batch, replace=False)]
    eps = rng.standard_normal((batch, M))
    optimizer.zero_grad()
    loss = -elbo(x, eps).mean()
    loss.backward()
    schedule(step)  # sets the rate of this step
    optimizer.step()
watch(steps)
model = as_library()  # for what the class offers: samples, and a report on the code


def again(key):
    """ELBO and KL of each unit, test rows, in a run of its own: same sizes, other draws."""
    rng = np.random.default_rng([seed, key])
    gaussian = {"sigma": s, "learn_sigma": True} if likelihood == "gaussian" else {}
    other = VariationalAutoencoder(D, M, hidden=(H,), likelihood=likelihood, rng=rng, **gaussian)
    other.decoder.parameters()[-1].data = constant.copy()
    optimizer, elbos, kls = mg.optim.Adam(other.parameters(), lr=lr), [], []
    schedule = mg.optim.cosine_schedule(optimizer, steps)
    for step in range(steps + 1):
        if step in at:
            distortion, rate = other.terms(X_test, fixed)
            elbos.append(-(distortion.item() + rate.item()) / len(X_test))
            kls.append(kl_of_units(*(v.numpy() for v in other.encode(X_test))))
        x = X_train[rng.choice(len(X_train), batch, replace=False)]
        optimizer.zero_grad()
        (other.loss(x, rng) / batch).backward()
        schedule(min(step, steps - 1))
        optimizer.step()
    return elbos, kls


more = zip(*(again(key) for key in (1, 2)), strict=True)
others, kl_others = (np.array(values) for values in more)
last = [curves[-1][1], *others[:, -1]]
rates = [kl_curves[-1].sum(), *kl_others[:, -1].sum(axis=1)]
print(f"ELBO of the test rows in three runs: {', '.join(f'{value:.3f}' for value in last)}")
print(f"KL of all units in three runs: {', '.join(f'{value:.3f}' for value in rates)}")
if likelihood == "gaussian":
    print(f"one entry of x scatters about g(z) with the learnt s = {np.exp(log_s2.item() / 2):.4g}")

# %% [markdown]
# Lines to compare with, all for the test rows.  *z ignored*: ln p for the constant output from
# above, where the bound would be if the code carried nothing.  For a Gaussian likelihood,
# probabilistic PCA (lesson 8) with as many units, fitted to the training rows: the exact ln p of
# their best *linear* decoder with isotropic noise (if M leaves it some variance).  For a Bernoulli
# likelihood, minus the entropy of the entries: no decoder comes above (0 for black and white data).
# In the right panel each line is one unit, thick in the first run. Which of a run's units says most
# is chance: the first colour is the unit whose KL is largest at the end, and so on.

# %% Look: the bound while training
lesson.cell("Look: the bound, and the units, while training")
curves, kl_curves = np.array(curves), np.array(kl_curves)
lines = {f"z ignored: {ignored:.4g}": (ignored, "--")}
principal = analytic.pca(X_train)
if likelihood == "bernoulli":
    ceiling = -analytic.pixel_entropy(X_test)
    lines[f"no decoder above: {ceiling:.4g}"] = (ceiling, ":")
elif principal.rank > M:
    variances = principal.eigenvalues / len(X_train)
    noise2 = float(variances[M:].mean())  # W = U (L - noise2 I)^(1/2)
    W = principal.components[:, :M] * np.sqrt(variances[:M] - noise2)
    linear = float(analytic.PPCA(W, mean, noise2).log_prob(X_test).mean())
    lines[f"best linear decoder with\nisotropic noise: {linear:.4g}"] = (linear, ":")
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.5))
for k, (name, color) in enumerate((("training rows", BLUE), ("test rows", ORANGE))):
    left.plot(at, curves[:, k], color=color, label=f"ELBO of {name}")
left.plot(at, others.T, color=ORANGE, lw=0.7, label=["... of two more runs", None])
for label, (value, style) in lines.items():
    left.axhline(value, color=BLACK, lw=1, ls=style, label=label)
    print(f"  ln p(x) of the test rows, {' '.join(label.split())}")
low, high = min(curves.min(), ignored), max(curves.max(), *last)
left.set(xlabel="steps", ylabel="nats per row", ylim=(low - 0.6 * (high - low), None))
left.set_title(f"ELBO of test rows: {min(last):.3g} to {max(last):.3g} nats", fontsize=10)
left.legend(fontsize=8, frameon=True, framealpha=0.9, loc="lower right")
for kls, width in zip([kl_curves, *kl_others], (2, 0.7, 0.7), strict=True):
    for k, unit in enumerate(np.argsort(-kls[-1])):
        right.plot(at, kls[:, unit], color=f"C{k}", lw=width)
right.plot([], color=BLACK, lw=0.7, label="units of two more runs")
right.legend(fontsize=8, loc="lower right")
right.set(xlabel="steps", ylabel="KL of a unit, nats")
right.set_title(
    f"KL of all units (M = {M}): {min(rates):.3g} to {max(rates):.3g} nats", fontsize=10
)
found = {"elbo": curves, "kl": kl_curves, "more_elbos": others, "more_kl": kl_others}
lesson.figure("training", fig, {"steps": at, **found, "lines": lines})
bound = {"at_most": ceiling} if likelihood == "bernoulli" else {}
lesson.result("ELBO of training rows, nats", curves[-1, 0])
lesson.result("ELBO of test rows, nats", curves[-1, 1], **bound)
lesson.result("... its range over three runs, nats", max(last) - min(last))
lesson.result("... where z is ignored, nats", ignored)
report = diagnose(model, X_test, rng)
print(report)
lesson.result("KL, summed over units, nats", report.rate, at_least=-1e-12)

# %% [markdown]
# The table: a unit's KL is what it costs to say more about x than the prior does; the unit counts
# as active if its mean moves with x.  Their sum, the *rate*, is what z tells about x plus the
# distance of all codes together from the prior; the *distortion* is the mean of $-\ln p(x \mid z)$.
# The table counts units from 0, as arrays do; everything else on this page from 1, as the slide.
#
# Here is the whole machine in one picture, at work on the first test row: left to right what
# Algorithm 1 computes, below it the two terms of the bound at the place where each arises.  The
# rate knows only $\mu$ and $\sigma$ and pulls them towards the prior; $\ln p(x \mid z)$ compares
# x with the output, and reaches the encoder through z.  Their difference is the bound, and training
# climbs it.  The two terms are means over the test rows, as in the table.

# %% Look: the machine
lesson.cell("Look: the whole machine, with the two terms of its loss")
one = X_test[:1]
mu, log_var = (v.numpy() for v in model.encode(one))
eps = np.random.default_rng([seed, 2]).standard_normal((1, M))
z = mu + np.exp(log_var / 2) * eps


def short(values):
    """The first two of them."""
    return ", ".join(f"{value:.2f}" for value in values[0, :2]) + (", …" if M > 2 else "")


words = {
    "mu": f"$\\mu$ = {short(mu)}",
    "sigma": f"$\\sigma$ = {short(np.exp(log_var / 2))}",
    "eps": f"$\\epsilon \\sim N(0, I)$\n{short(eps)}",
    "z": f"$z = \\mu + \\sigma\\epsilon$\n{short(z)}",
    "kl": "KL(q(z | x) || p(z))\n"
    "$= \\frac{1}{2} \\sum_m (\\mu_m^2 + \\sigma_m^2 - 1 - \\ln \\sigma_m^2)$\n"
    f"{report.rate:.4g} nats",
    "log_p": f"E ln p(x | z; w)\n{-report.distortion:.4g} nats",
    "bound": f"ELBO: {-report.distortion:.4g} - {report.rate:.4g} = {report.elbo:.4g} nats per row"
    "     loss = -ELBO",
}
fig, ax = plt.subplots(figsize=(7.4, 3.9))
show_autoencoder(ax, words, {"x": one[0], "y": model.decode(z).numpy()[0]})
terms = {"mu": mu, "sigma": np.exp(log_var / 2), "eps": eps, "z": z}
terms |= {"distortion": report.distortion, "rate": report.rate, "elbo": report.elbo}
lesson.figure("machine", fig, terms)

# %% [markdown]
# Next, what the model makes of rows.  A reconstruction is the decoder's mean at $z = \mu(x)$, a
# sample its mean at $z \sim p(z)$: no row goes in.  The last two lines go from one row to another
# in ten equal steps, in the code and in the data: look which of them stays among data.

# %% Look: reconstructions and samples
lesson.cell("Look: reconstructions, samples, the way from one row to another")
ends = [0, 1]
if coloured:  # from one class to another
    ends[1] = int(np.argmax(classes[test] != classes[test[0]]))
path = np.linspace(0, 1, 10)[:, None]
mu, log_var = (v.numpy() for v in model.encode(X_test))
again = model.decode(mu).numpy()
pictures = {
    "test rows": X_test[:10],
    "reconstructed": again[:10],
    "samples": model.sample(10, rng),
    "between codes": model.decode((1 - path) * mu[ends[0]] + path * mu[ends[1]]).numpy(),
    "between rows": (1 - path) * X_test[ends[0]] + path * X_test[ends[1]],
}
low, high = np.percentile(X_test, [1, 99])  # white and black
limits = (low, high) if high > low else (float(X_test.min()), float(X_test.max()))
height = 1.1 if is_picture(D) else 1.5
fig, axes = plt.subplots(5, 1, figsize=(7.4, 5 * height + 0.4))
for ax, (label, values) in zip(axes, pictures.items(), strict=True):
    show_rows(ax, values, label, limits)
variance = np.sum((X_test - mean) ** 2)
left_over = float(np.sum((again - X_test) ** 2) / variance)
by_pca = float(np.sum((principal.reconstruct(X_test, M) - X_test) ** 2) / variance)
fig.suptitle(
    f"{D} numbers through {M}: {left_over:.1%} of the test rows' variance is lost", weight="bold"
)
lesson.figure("reconstructions", fig, {"lost": left_over, "lost_by_pca": by_pca})
print(f"lost of the test rows' variance: {left_over:.2%}, by PCA with {M} components {by_pca:.2%}")
lesson.result("variance of test rows lost, share", left_over)

# %% [markdown]
# Below left, the decoder alone.  With two units and pictures: the whole plane, in equal steps of
# probability under p(z).  Otherwise: up to six units, those with the largest KL first, each from -2
# to 2 with the others at 0.  Right, the encoder: where the test rows lie.

# %% Look: the code
lesson.cell("Look: the code")
order = np.argsort(report.kl)[::-1]
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 4.3))
if M == 2 and is_picture(D):
    show_manifold(left, lambda codes: model.decode(codes).numpy(), 13, limits)
    left.set_title("Decoder: the plane of codes")
else:
    walk = np.linspace(-2, 2, 9)
    codes = np.zeros((min(M, 6), len(walk), M))
    for k, unit in enumerate(order[:6]):
        codes[k, :, unit] = walk
    made = model.decode(codes.reshape(-1, M)).numpy()
    units = ", ".join(str(unit + 1) for unit in order[:6])
    if is_picture(D):
        show_sheet(left, made, len(walk), limits=limits)
    else:
        show_rows(left, made, "decoded", limits)
    left.set(xlabel=f"unit {units}, from -2 to 2 each", title="Decoder: one unit at a time")
if M == 1:
    right.hist(mu[:, 0], bins=30, density=True, color=BLUE, label="means of $q(z | x)$")
    line = np.linspace(-3, 3, 100)
    right.plot(line, np.exp(-(line**2) / 2) / np.sqrt(2 * np.pi), color=BLACK, label="p(z)")
    right.set_xlabel("z")
    right.legend()
else:
    pair = np.sort(order[:2])
    show_codes(right, mu[:, pair], classes[test] if coloured else None)
    names = [f"mean of $q(z_{{{unit + 1}}} | x)$" for unit in pair]
    right.set(xlabel=names[0], ylabel=names[1])
right.set_title(f"Encoder: {len(X_test)} test rows")
lesson.figure("manifold", fig, {"codes": mu[:100], "covariance": report.covariance})

# %% [markdown]
# ## How far is the bound from ln p(x)?
#
# Two ways to use more samples.  The slide's error function takes the mean of L values of
# $\ln p(x \mid z^{(l)})$.  The other way takes the logarithm of a mean of *importance weights*,
#
# $$\mathcal{L}_k = \mathrm{E} \ln \frac1k \sum_{j=1}^k w_j, \qquad
#   w_j = \frac{p(x \mid z_j)\, p(z_j)}{q(z_j \mid x)}, \qquad z_j \sim q(z \mid x),$$
#
# where with $z = \mu + \sigma\epsilon$:
# $\ln p(z) - \ln q(z \mid x) = \frac12 \sum_m (\epsilon_m^2 + \ln \sigma_m^2 - z_m^2)$.
# The mean of w is p(x), and $\mathcal{L}_1$ is the ELBO.  $\mathcal{L}_k$ never falls with k,
# since ln is concave.  Every point below comes from draws of its own; on the left the bars are the
# scatter of one estimate, on the right five standard errors of a mean.
#
# With one or two units there is a third way: integrate $p(x \mid z)\, p(z)$ over a grid of z with
# two points to the deviation of the narrowest q.  How far may a sampled $\mathcal{L}_k$ be above
# ln p(x)?  The mean of
# $e^{\hat{\mathcal{L}}_k - \ln p(x)}$ is 1, so the sum of these differences over independent
# estimates is above t with a probability of at most $e^{-t}$ (Markov): t = 14 is one in a million.

# %% Look: bounds
lesson.cell("Look: more samples, and more weights")
few = X_test[:20]
mu, log_var = (v.numpy() for v in encode(few))


def drawn(estimates, k):
    """k fresh samples z for each of so many estimates: (first term, ln w), (k, estimates, rows)."""
    found = []
    with mg.no_grad():
        for _ in range(estimates):
            eps = rng.standard_normal((k, len(few), M))
            z = mu + np.exp(log_var / 2) * eps
            term = log_p(few, decoder(z)).numpy()
            found.append((term, term + 0.5 * (eps**2 + log_var - z**2).sum(axis=-1)))
    return np.stack([np.stack(parts, axis=1) for parts in zip(*found, strict=True)])


spread, bounds, errors = {}, {}, {}
for L in (1, 2, 5, 10, 50):
    firsts = drawn(100 if lesson.fast else 400, L)[0]
    single = (firsts.mean(axis=0) - kl(mu, log_var)).mean(axis=1)  # one estimate each
    spread[L] = float(single.mean()), float(single.std())
    print(
        f"  L = {L:<3} samples: bound {spread[L][0]:.3f}, one estimate scatters by "
        f"{spread[L][1]:.3f}"
    )
most = 256 if lesson.fast else 1024
for k in (1, 4, 16, 64, 256, 1024)[: 5 if lesson.fast else 6]:
    log_w = drawn(max(8, (1000 if lesson.fast else 4000) // k), k)[1]
    estimates = np.logaddexp.reduce(log_w, axis=0) - np.log(k)  # (estimates, rows)
    bounds[k] = float(estimates.mean())
    scatter = estimates.var(axis=0, ddof=1).mean()  # of one estimate of one row
    errors[k] = float(np.sqrt(scatter / estimates.size))
    print(f"  L_{k:<5} (ln of the mean of k weights): {bounds[k]:.3f} +- {errors[k]:.2g}")
sizes = np.array(list(errors.values()))
doubt = np.hypot(sizes[1:], sizes[:-1])
rises = np.diff(list(bounds.values())) / np.maximum(doubt, 1e-12)
lesson.result("L_k: smallest rise, in standard errors", rises.min(), at_least=-5)
lesson.result("L_1, nats", bounds[1])
lesson.result("L_k with the most weights, nats", bounds[most])


def on_a_grid(Z):
    """ln p(x | z) for each z and each of the few rows, some z at a time."""
    parts = np.array_split(Z, 1 + len(Z) * D * len(few) // 2**20)
    return np.concatenate([log_p(few, decoder(part[:, None, :])).numpy() for part in parts])


limit = max(6.0, float(np.abs(mu).max() + 6 * np.exp(log_var / 2).max()))
points = 1 + int(np.ceil(4 * limit / np.exp(log_var / 2).min()))
log_p_x = None
if M <= 2 and points**M * D <= 16_000_000:  # what takes a few seconds
    try:
        with mg.no_grad():
            coarse, on_rows = (
                analytic.grid_log_prob(on_a_grid, M, limit=limit, points=n)
                for n in (points - points // 8, points)
            )
        coarse, fine = coarse.mean(), on_rows.mean()
        log_p_x = float(fine)
    except DataError as error:  # p(z | x) of some row is narrower than all q
        print(error)
if log_p_x is not None:
    print(
        f"  ln p(x) on a grid of {points} points a side: {fine:.6f} "
        f"({points - points // 8} points: {coarse:.6f})"
    )
    allowed = 14 / estimates.size + abs(fine - coarse)
    gap = bounds[most] - log_p_x
    lesson.result("... minus ln p(x) on a grid, nats", gap, at_most=allowed)
else:
    weights = np.exp(log_w - log_w.max(axis=0))
    count = weights.sum(axis=0) ** 2 / (weights**2).sum(axis=0)
    print(
        f"  no grid (M = {M}, {points} points a side); effective number of {most} weights,\n"
        f"  (sum w)^2 / sum w^2: {count.min():.0f} to {count.max():.0f}"
    )
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.4), sharey=True)
centres, deviations = zip(*spread.values(), strict=True)
bars = {"fmt": "o", "color": BLUE, "capsize": 4}
left.errorbar(list(spread), centres, deviations, **bars, label="one estimate, and its scatter")
bars |= {"fmt": "o-", "color": GREEN}
label = "$L_k$, and 5 standard errors"
right.errorbar(list(bounds), list(bounds.values()), 5 * sizes, **bars)
right.lines[0].set_label(label)
for ax, ticks in ((left, list(spread)), (right, list(bounds))):
    if log_p_x is not None:
        ax.axhline(log_p_x, color=BLACK, ls=":", label="ln p(x), by a grid over z")
    ax.set_xscale("log")
    ax.set_xticks(ticks, ticks)
    ax.set_xticks([], minor=True)
    ax.legend(fontsize=8, loc="lower right")
low, high = left.get_ylim()
left.set_ylim(low - 0.3 * (high - low), high)  # room for the legends
change = f"scatter {deviations[0]:.2g} to {deviations[-1]:.2g}"
left.set(xlabel="L, samples in the first term", ylabel="nats per row")
left.set_title(f"L samples: {change}", fontsize=10)
right.set_xlabel("k, weights")
right.set_title(f"k weights: {bounds[1]:.4g} to {bounds[most]:.4g} nats", fontsize=10)
lesson.figure("bounds", fig, {"ln_p": log_p_x, "L": spread, "L_k": bounds, "errors": errors})

# %% [markdown]
# ## What one encoder for all costs
#
# The gap ln p(x) - $\mathcal{L}$ is KL(q || p(z | x)), and it has two causes.  A Gaussian with
# independent units may be the wrong family (the *approximation gap*).  And $\mu(x; \phi)$ and
# $\sigma(x; \phi)$ come from one network for all x, which need not give each x its best Gaussian
# (the *amortisation gap*; Cremer, Li & Duvenaud 2018).  To tell them apart, free each row's own
# $(\mu, \ln \sigma^2)$, w as it is, and climb from where the encoder put them.  The mean over q is
# then no sampling but a quadrature where M is 1 or 2 (`hermite`, of `experiments.amortisation`:
# nodes and weights for N(0, I)), otherwise 200 fixed draws.  In the figure look which of the two
# bars is longer; on the right, at one row's exact posterior with both of its Gaussians.

# %% Look: the amortisation gap
lesson.cell("Look: the encoder's q, each row's own q, and ln p(x)")
nodes, shares = hermite(M, 12) if M <= 2 else (rng.standard_normal((200, M)), np.full(200, 1 / 200))
finer = hermite(M, 24) if M <= 2 else (nodes, shares)


def bound_of(q, nodes, shares):
    """L of each of the few rows for q = (mu, log_var), one row of both for each row of data."""
    z = q[0] + mg.exp(q[1] / 2) * nodes[:, None, :]
    return (log_p(few, decoder(z)) * shares[:, None]).sum(axis=0) - kl(*q)


own = [mg.tensor(start, requires_grad=True) for start in (mu, log_var)]
climb = mg.optim.LBFGS(own, max_iter=150)


def downhill():
    loss = -bound_of(own, nodes, shares).sum()
    loss.backward()
    return loss


climb.step(downhill)
with mg.no_grad():
    by_encoder, by_own = (bound_of(q, nodes, shares).numpy() for q in ((mu, log_var), own))
    surer = bound_of(own, *finer).numpy()
amortisation = by_own - by_encoder
print(
    f"amortisation gap {amortisation.mean():.4f} nats, rows {amortisation.min():.3f} to "
    f"{amortisation.max():.3f}"
)
lesson.result("amortisation gap, nats", amortisation.mean(), at_least=-1e-9)
levels = {"encoder's q": by_encoder, "own q": by_own}
if log_p_x is not None:
    levels["ln p(x)"] = on_rows
    approximation = (on_rows - by_own).mean()
    allowed = np.abs(by_own - surer).mean() + np.abs(fine - coarse) + 1e-9
    print(f"approximation gap {approximation:.4f} nats")
    lesson.result("approximation gap, nats", approximation, at_least=-allowed)
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.6), width_ratios=(1.25, 1))
rank, top = np.argsort(amortisation), list(levels.values())[-1]
left.barh(range(len(few)), amortisation[rank], color=ORANGE, label="amortisation")
if log_p_x is not None:
    more = (top - by_own)[rank]
    left.barh(range(len(few)), more, left=amortisation[rank], color=BLUE, label="approximation")
left.set(xlabel="nats", ylabel=f"{len(few)} test rows, by amortisation gap", yticks=[])
parts = [f"{amortisation.mean():.2g}"] + ([f"{approximation:.2g}"] if log_p_x is not None else [])
left.set_title(f"Mean gap: {' + '.join(parts)} nats", fontsize=10)
left.legend(fontsize=8, loc="lower right")
row = int(rank[-1])
ellipse = {"encoder's q": (mu[row], log_var[row], ORANGE)}
ellipse |= {"its own q": (own[0].numpy()[row], own[1].numpy()[row], RED)}
centres = np.array([[m - 4 * np.exp(v / 2), m + 4 * np.exp(v / 2)] for m, v, _ in ellipse.values()])
low, high = centres.min(axis=(0, 1)), centres.max(axis=(0, 1))
sides = [np.linspace(a, b, 60) for a, b in zip(low[:2], high[:2], strict=True)]
if M <= 2:
    Z = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, M)
    with mg.no_grad():
        joint = log_p(few[row], decoder(Z)).numpy() - 0.5 * (Z**2).sum(axis=1)
    exact = np.exp(joint - joint.max())
    if M == 2:
        right.contourf(*sides, exact.reshape(60, 60), levels=8, cmap="Greys")
    else:
        right.fill_between(sides[0], exact, color=BLACK, alpha=0.2, label="p(z | x), height 1")
turn = np.linspace(0, 2 * np.pi, 100)
for label, (m, v, color) in ellipse.items():
    sd = np.exp(v / 2)
    if M == 1:
        curve = np.exp(-0.5 * ((sides[0] - m[0]) / sd[0]) ** 2)
        right.plot(sides[0], curve, color=color, label=label)
    else:
        for radius in (1, 2):
            ring = m[0] + radius * sd[0] * np.cos(turn), m[1] + radius * sd[1] * np.sin(turn)
            right.plot(*ring, color=color, label=label if radius == 1 else None)
right.set_title(
    "The row with the largest:\n" + ("p(z | x) in grey" if M <= 2 else "units 1 and 2"), fontsize=10
)
right.set(xlabel="$z_1$", ylabel="$z_2$" if M > 1 else "")
right.grid(False)
right.legend(fontsize=8)
lesson.figure("amortisation", fig, levels)

# %% [markdown]
# ## Two estimators of one gradient
#
# Reparameterising is not the only way to a gradient by $\phi$.  From
# $\partial_\mu q = q\, \partial_\mu \ln q$ follows
# $\partial_\mu \mathrm{E}_q f(z) = \mathrm{E}_q [f(z)\, \partial_\mu \ln q(z)]$, and for a Gaussian
# $\partial_\mu \ln q = (z - \mu) / \sigma^2 = \epsilon / \sigma$: the *score function* estimator,
# which needs no derivative of f.  The other one is
# $\partial_\mu f(\mu + \sigma \epsilon) = f'(z)$.
#
# For $f = z^2$ all moments are known.  Reparameterised: one draw is $2z$.  Score function:
# $z^2 \epsilon / \sigma$, or with a *baseline* $(z^2 - \mathrm{E} z^2)\, \epsilon / \sigma$, which
# has the same mean since E eps = 0.  Take $\mu$ and $\sigma$ from the encoder: the first test row,
# the unit with the largest KL.  Then the same for f = ln p(x | z) of the decoder trained above,
# where nobody knows the variance beforehand.

# %% Look: estimators
lesson.cell("Look: reparameterised against score function")
unit = int(order[0])
m, sd = float(mu[0, unit]), float(np.exp(log_var[0, unit] / 2))
count = 100_000
eps = rng.standard_normal(count)
z = m + sd * eps
toy = {
    "reparameterised": 2 * z,
    "baseline": (z**2 - m**2 - sd**2) * eps / sd,
    "score": z**2 * eps / sd,
}
along_z, by_score = analytic.square_gradient_variances(m, sd)
square = analytic.Quadratic([[2.0]], [0.0])  # f = z^2
with_baseline = float(square.score_function_variance([m], [sd], m**2 + sd**2)[0])
derived = {"reparameterised": along_z, "baseline": with_baseline, "score": by_score}
print(f"d/dmu E z^2 = {2 * m:.4f} for z ~ N({m:.4f}, {sd:.4f}^2), one draw")
print(f"  {'':<16} {'mean':>10} {'variance':>12} {'derived':>12}")
for name, values in toy.items():
    print(f"  {name:<16} {values.mean():>10.4f} {values.var():>12.5g} {derived[name]:>12.5g}")
    error = 6 * np.sqrt(derived[name] / count)  # six standard errors
    lesson.result(f"d/dmu E z^2, {name}", values.mean(), exact=2 * m, tolerance=error)
ratio = derived["score"] / derived["reparameterised"]

count = 2000
eps = rng.standard_normal((count, M))
leaf = mg.tensor(np.tile(mu[0], (count, 1)), requires_grad=True)
value = log_p(few[0], decoder(leaf + np.exp(log_var[0] / 2) * eps))
(by_path,) = mg.grad(value.sum(), [leaf])
f = value.numpy()
trained = {
    "reparameterised": by_path[:, unit],
    "baseline": (f - f.mean()) * eps[:, unit] / sd,
    "score": f * eps[:, unit] / sd,
}
print(f"d/dmu_{unit + 1} E ln p(x | z) of the trained decoder, one row, one draw")
for name, values in trained.items():
    off = values.std() / np.sqrt(count)
    print(f"  {name:<16} {values.mean():>10.4f} +- {off:<8.2g} variance {values.var():.5g}")
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8))
colors = {"reparameterised": BLUE, "baseline": GREEN, "score": ORANGE}
for ax, found, what in zip(axes, (toy, trained), ("$z^2$", "ln p(x | z)"), strict=True):
    reach = np.percentile(found["score"], [0.5, 99.5])
    for name, values in found.items():
        look = {"bins": 80, "range": reach, "density": True, "histtype": "step", "lw": 1.5}
        ax.hist(values, **look, color=colors[name], label=name)
    more = found["score"].var() / found["reparameterised"].var()
    ax.set(xlabel="one draw of the gradient by $\\mu$", ylabel="density", yscale="log")
    ax.set_title(f"f = {what}: ratio of variances {more:,.1f}")
    ax.legend(fontsize=8)
summary = {name: {"mean": v.mean(), "variance": v.var()} for name, v in toy.items()}
lesson.figure("estimators", fig, summary)
lesson.result("ln p(x | z): ratio of the two variances", more)

# %% [markdown]
# ## Inspect
#
# The same bound small enough to follow by hand: three black and white pixels, one unit, linear
# networks.  Before you look: which steps send something to `log_var`, and which of them would be
# missing if z were drawn and not computed?

# %% Inspect
lesson.cell("Inspect: from the loss to phi")
x = mg.tensor([[1.0, 0.0, 1.0]], name="x")
eps = mg.tensor([[0.7]], name="eps")
A = mg.tensor([[0.2], [-0.1], [0.4]], requires_grad=True, name="A")  # of the encoder: mu
B = mg.tensor([[0.1], [0.3], [-0.5]], requires_grad=True, name="B")  # of the encoder: log_var
W = mg.tensor([[1.0, -0.6, 0.8]], requires_grad=True, name="W")  # of the decoder
mu = x @ A
log_var = x @ B
sigma = mg.exp(log_var / 2)
z = mu + sigma * eps
g = z @ W
likely = (x * g - mg.softplus(g)).sum()
divergence = 0.5 * (-1 - log_var + mu**2 + mg.exp(log_var)).sum()
loss = divergence - likely
trace = mg.trace(loss)
print(trace.text())
lesson.page("backward_pass", trace)

# %% Verify
lesson.cell("Verify: each rule in the graph of the bound, on 20 rows")
eps = rng.standard_normal((len(X_train[:20]), M))
print(mg.check_graph(-elbo(X_train[:20], eps).mean()))

# %% [markdown]
# ## Break it
#
# Update w first, and take the gradient by $\phi$ of the same $\mathcal{L}$ afterwards.  What should
# happen, and what would a framework say that does not notice who changes an array?

# %% Break it
lesson.cell("Break it: take the gradient for phi after w has moved")
kept = [p.data for p in w]
L = elbo(data[:1], rng.standard_normal((1, M))).sum()
for p, g in zip(w, mg.grad(L, w), strict=True):
    p.data = p.data + eta * g
try:
    mg.grad(L, phi)
    print("no error: a gradient of nothing went unnoticed")
except GradientError as error:
    print(error)
for p, value in zip(w, kept, strict=True):
    p.data = value

# %% [markdown]
# ## Exercises
#
# The parts of Algorithm 1, and two ways around it.  `minigrad-ae exercise start N` copies a blank
# into your folder, and `minigrad-ae exercise check N` judges it: it names the misconception, not
# the answer.
#
# 1. `minigrad-ae exercise start 10`: the KL divergence.
# 2. `minigrad-ae exercise start 11`: the reparameterisation.
# 3. `minigrad-ae exercise start 12`: Algorithm 1; three faults in one density.
# 4. `minigrad-ae exercise start 28`: the score function's estimate; a factor that is not detached.
# 5. `minigrad-ae exercise start 29`: an importance-weighted bound, exact for the linear model.

# %% Answers
lesson.cell("Answers to what you predicted")
lesson.answers(
    ratio=ratio,
    mean=m,
    sigma=sd,
    low=bounds[1],
    high=bounds[most],
    weights=most,
    active=int(report.active.sum()),
    units=M,
    least=report.kl.min(),
    most=report.kl.max(),
)

# %% Recap
lesson.finish()

# %% [markdown]
# ## What you can do now
#
# - Write a variational autoencoder from two networks and one line for z, and train it in ten lines.
# - Say which of the bound's gaps more samples, more weights or another encoder can close.
# - Choose between estimators of a gradient by their variance, measured on your own model.
# - Train one on your own table:
#   `minigrad-ae train vae --data table.csv --latent 2 --likelihood gaussian`.
# - Walk through its gradient: `minigrad-ae inspect lessons/09_variational_autoencoder.py`.
