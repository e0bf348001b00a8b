# %% [markdown]
# # Lesson 2: a linear autoencoder is PCA
#
# **Goal.** Build a network with two layers of weights, train it to reproduce its input through
# M < D linear units, and see what it has found: the subspace of the first M principal components,
# from every random start.  (Bishop & Bishop, section 19.1.1; Baldi & Hornik 1989.)
#
# The next cell holds all that you may want to change.  Whatever you put there, the rest follows:
# what is trained, drawn, certified and said.

# %% Settings
import textwrap
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.experiments.linear import five_features
from minigrad_ae.models import LinearAutoencoder
from minigrad_ae.teaching.figures import show_rows, show_vector
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, RED, Lesson, draw_network

lesson = Lesson("02_linear_autoencoder", "about 16 s; --fast 8 s")
X, _ = mg.data.digits()  # (1797, 64); yours: X = mg.data.load_matrix("table.csv"), rows are data
M = 8  # latent units, at most as many as X has columns
starts = 2 if lesson.fast else 3  # random starts
seed = lesson.seed
toy = five_features()[0]  # (80, 5): made up, with five well separated variances, for the saddles

# %% Data
lesson.cell("Data")
X = np.asarray(X, dtype=float)  # float64: the tolerances below are those of its rounding
N, D = X.shape
lesson.settings(X=X, M=M, starts=starts, seed=seed)
mean = X.mean(axis=0)
centred = X - mean
R = np.linalg.qr(centred, mode="r")  # centred = Q R, Q^T Q = I: the next text says why
variance = 0.5 * np.sum(centred**2)  # what M = 0 units leave; E is given as a share of it

# %% Predict
lesson.cell("Predict")
lesson.predict("minima")  # does every start end in the same place?
lesson.predict("components")  # are the decoder's columns the principal components?
lesson.predict("step")  # how large may a step of descent be?

# %% Words
lesson.cell("Words")
lesson.words("PCA's loss", "principal angle", "projector distance", "closure", "rel.")
lesson.words("negative curvature", "balancedness", "certificate")

# %% [markdown]
# ## Build
#
# The slide's network maps each input vector onto itself:
#
# | slide | code |
# |---|---|
# | $z = W_1 x$, $W_1$ is $M \times D$ | `Z = X @ W1.T` (data are rows: a row of `Z` for each) |
# | $y = W_2 z$, $W_2$ is $D \times M$ | `Y = Z @ W2.T` |
# | $E(w) = \frac12 \sum_n \lVert y(x_n; w) - x_n \rVert^2$ | `0.5 * ((Y - X) ** 2).sum()` |
#
# **Offsets.**  With $y = W_2 (W_1 x + b_1) + b_2$ the best offset for any weights is known:
# $\partial E / \partial b_2 = 0$ says that the mean error is 0, so
# $y - \bar x = W_2 W_1 (x - \bar x)$.  Subtracting the mean from the data and leaving out the
# offsets comes to the same; that is done here, and from now on x and X are centred.
#
# **Fewer rows.**  Write all rows at once, with $P = W_1^T W_2^T$:
# $E = \frac12 \lVert X P - X \rVert_F^2 = \frac12 \mathrm{tr}\,(P - I)^T X^T X (P - I)$.
# Only $X^T X$ occurs.  If $X = QR$ with $Q^T Q = I$ (a QR decomposition), then
# $X^T X = R^T Q^T Q R = R^T R$, so the small matrix R has the same E, for all weights.

# %% Build
lesson.cell("Build: the slide's network")


def new_weights(rng, size):
    """W1 (M, D) and W2 (D, M), normal, with standard deviation size / sqrt(D)."""
    W1 = mg.tensor(size * rng.standard_normal((M, D)) / D**0.5, requires_grad=True, name="W1")
    W2 = mg.tensor(size * rng.standard_normal((D, M)) / D**0.5, requires_grad=True, name="W2")
    return W1, W2


def E(X, W1, W2):
    """1/2 sum over data and features of (y - x)^2."""
    Z = X @ W1.T
    Y = Z @ W2.T
    return 0.5 * ((Y - X) ** 2).sum()


W1, W2 = new_weights(np.random.default_rng(seed), 1.0)
model = LinearAutoencoder(D, M, rng=np.random.default_rng(seed))


def copy_into(model, W1, W2):
    """Give the library's class these weights, with the offsets that do what centring did."""
    model.encoder.weight.data, model.decoder.weight.data = W1.data.T.copy(), W2.data.T.copy()
    model.encoder.bias.data, model.decoder.bias.data = -W1.data @ mean, mean.copy()


copy_into(model, W1, W2)
print(model)
values = [E(centred, W1, W2).item(), E(R, W1, W2).item(), model.loss(X).item()]
print(f"E of these lines on the {N} centred rows  {values[0]:.12g}")
print(f"E of these lines on the {len(R)} rows of R        {values[1]:.12g}")
print(f"E of the library's class on X itself   {values[2]:.12g}")
lesson.result(
    "E of R, and of all rows: difference, rel.",
    values[1] / values[0] - 1,
    exact=0,
    tolerance=N * D * 2.2e-16,
)
fig, ax = plt.subplots(figsize=(5.6, 3.8))
columns = ["inputs $x_1 \\ldots x_D$", "$z_1 \\ldots z_M$", "outputs $y_1 \\ldots y_D$"]
draw_network(ax, [5, 2, 5], columns, ["$W_1$: encoder", "$W_2$: decoder"])
ax.set_title("Two layers of weights and a bottleneck: M < D")
lesson.figure("network", fig, {"units": [D, M, D]})

# %% [markdown]
# ## Train
#
# **Descent** goes against the gradient, $W \leftarrow W - \eta\, \partial E / \partial W$, here
# with all data at each step, and from tiny weights.  At W = 0 the gradient vanishes; it also
# vanishes where $W_2 W_1$ projects onto *some* of the principal components.  Descent that comes
# near such a saddle slows down until it has found one more component: look at where E stays almost
# constant, and for how long.  The dashed lines of the figure below are what PCA leaves with 0, 1,
# 2, ... components.

# %% Train: descent
lesson.cell("Train: descent, from tiny weights")
principal = analytic.pca(X)
eta = 0.25 / principal.eigenvalues[0]
falls = []
for start in range(starts):
    W1, W2 = new_weights(np.random.default_rng([seed, start]), 1e-4)
    optimizer = mg.optim.SGD([W1, W2], lr=eta)
    falls.append([])
    for step in range(400):
        optimizer.zero_grad()
        loss = E(R, W1, W2)
        loss.backward()
        optimizer.step()
        falls[-1].append(loss.item() / variance)
        if step % 50 == 0 and start == 0:
            print(f"  step {step:>3}: E is {falls[0][-1]:.4f} of the variance")
fall = falls[0]
left = [principal.optimal_loss(m) / variance for m in range(M + 1)]
ends = ", ".join(f"{run[-1]:.4f}" for run in falls)
print(f"  PCA with M = {M} leaves {left[M]:.4f}, descent after 400 steps {ends} ({starts} starts)")
lesson.result("E after 400 steps of descent / variance", fall[-1])
lesson.result("PCA's loss / variance", left[M])

# %% [markdown]
# **Faster.**  Adam gives each weight a step of its own; L-BFGS estimates the curvature from the
# gradients that it has seen, and calls the *closure* for E and its gradient as often as it needs.
# Both train the same E from the same random starts, with 300 evaluations each.  In the figure below
# look for a slow stretch after the steep fall.  Two things can cause it.  $(C W_1, W_2 C^{-1})$ has
# the same E for every invertible C, so there are whole valleys of equal loss; and exchanging
# component M for component M + 1 costs only $\frac12 (s_M - s_{M+1})$, where $s_i$ is the i-th
# eigenvalue of $X^T X$: often little beside the largest curvature, $2 s_1$.

# %% Train: Adam and L-BFGS, then fit
lesson.cell("Train: Adam and L-BFGS, 300 evaluations each; then fit")
curves = {"Adam": [], "L-BFGS": [], "fit": []}
best = principal.optimal_loss(M)
print("start         at first      Adam, 300   L-BFGS, 300     fit, evaluations   PCA's loss")
for start in range(starts):
    W1, W2 = new_weights(np.random.default_rng([seed, start]), 1.0)
    first = W1.data.copy(), W2.data.copy()
    optimizer, losses = mg.optim.Adam([W1, W2], lr=0.02), []
    for _ in range(300):
        optimizer.zero_grad()
        loss = E(R, W1, W2)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    curves["Adam"].append(np.array(losses))

    W1.data, W2.data = first  # the same start again
    losses = []

    def closure(W1=W1, W2=W2, losses=losses):
        loss = E(R, W1, W2)
        loss.backward()
        losses.append(loss.item())
        return loss

    mg.optim.LBFGS([W1, W2], history=20, max_iter=300, max_evaluations=300).step(closure)
    curves["L-BFGS"].append(np.array(losses))

    model = LinearAutoencoder(D, M, rng=np.random.default_rng(seed))
    copy_into(model, W1, W2)
    record = model.fit(X)  # from where L-BFGS stopped; the text below says how
    curves["fit"].append(np.array(record.losses))
    print(
        f"{start:>5} {losses[0]:>16.6f} {curves['Adam'][-1][-1]:>14.6f} {losses[-1]:>13.6f} "
        f"{model.loss(X).item():>14.6f} {record.evaluations:>5} {best:>14.6f}"
    )

# %% [markdown]
# **How `fit` finishes.**  For a given decoder, finding the best encoder is a least squares problem,
# and vice versa:
#
# $$W_1 \leftarrow (W_2^T W_2)^{-1} W_2^T, \qquad
#   W_2^T \leftarrow (Z^T Z)^{-1} Z^T X,\quad Z = X W_1^T .$$
#
# Such a pair of half-steps (EM for PCA: Roweis 1998) shrinks what points towards component j > M by
# $s_j / s_i$, whatever the columns' sizes; between them L-BFGS moves the subspace alone, where the
# valleys of equal loss are gone.  No eigenvalue is looked at.  `fit(X, method="lbfgs")` would train
# both layers at once, with an L2 penalty that is reduced to 0 in stages, which its curve shows as
# plateaus that are not saddles.
#
# In the right panel each colour is one method, each line one start.  Every evaluation is drawn,
# including points that L-BFGS tries and rejects: where a green curve jumps upwards, `fit` goes from
# half-steps to L-BFGS, whose first trial step is long, and is taken back.  The curves end at the
# rounding of E, below which two losses cannot be told apart.

# %% Look: the fall
lesson.cell("Look: how E falls, and where it lingers")
fig, (ax, right) = plt.subplots(1, 2, figsize=(9.8, 4.2))
for k, curve in enumerate(falls):
    label = f"descent, {len(falls)} starts" if k == 0 else None
    ax.plot(curve, color=BLUE, lw=0.9, label=label)
for m, level in enumerate(left):
    label = None if m else f"PCA with m = 0 (top) to {M} (bottom)"
    ax.axhline(level, color=BLACK, ls="--", lw=0.6, label=label)
ax.set(xlabel="steps", ylabel="E / variance", ylim=(0, 1.35))
ax.legend(loc="upper right")
worst = {}
for (name, runs), color in zip(curves.items(), (ORANGE, BLUE, GREEN), strict=True):
    worst[name] = max(abs(run[-1] - best) / variance for run in runs)
    for k, run in enumerate(runs):
        began = len(curves["L-BFGS"][k]) if name == "fit" else 0
        above = np.maximum(np.abs(run - best) / variance, 1e-16)
        label = f"{name}{', from there on' if began else ''}: ends at {{:.0e}} or less"
        label = None if k else label.format(max(worst[name], 1e-16))
        right.semilogy(began + np.arange(len(run)), above, color=color, lw=1.1, label=label)
right.set(xlabel="evaluations of E", ylabel="|E - PCA's loss| / variance", ylim=(1e-17, 1e4))
right.legend(loc="upper right")
right.set_title(f"From random weights: {starts} starts each")
ax.set_title(f"Descent from tiny weights, M = {M}")
lesson.figure("loss", fig, {"descent": fall[::5], "pca": left, "worst": worst})
for name, value in worst.items():
    lesson.result(f"{name}: |E - PCA's loss| / variance, worst start", value)

# %% [markdown]
# ## The certificate
#
# The loss alone could be right by accident.  `mg.certify_pca` checks everything that theory
# promises of the model trained above: the loss, the subspace (angles, projectors), a gradient of 0,
# and no direction in which E falls.  Each tolerance is derived from the rounding of the data.

# %% Look: the certificate
lesson.cell("Look: the certificate of the model trained above")
certificate = mg.certify_pca(model, X)
print(certificate)
lesson.figure("certificate", certificate.figure(), certificate.as_dict())
C = certificate
lesson.result("E", C.loss, exact=C.optimal_loss, tolerance=C.loss_tolerance)
lesson.result("sine of the largest angle", C.largest_sine, exact=0, tolerance=C.sine_tolerance)
lesson.result("gradient norm, rel.", C.gradient_norm, exact=0, tolerance=C.gradient_tolerance)
lesson.result("lowest curvature, rel.", C.lowest_curvature, at_least=-C.curvature_tolerance)

# %% [markdown]
# Next, the weights themselves.  Each column of the decoder is a direction in the space of the data.
# If it lies in the span of the components $u_1 \ldots u_M$, it can be written in them,
# $w_k = \sum_i u_i\, (u_i^T w_k)$, and nothing is left over.

# %% Look: the decoder's columns
lesson.cell("Look: what the decoder has learned")
U = principal.components[:, :M]
decoder = model.decoder.weight.numpy().T  # (D, M): W2
mixing = U.T @ decoder  # (M, M): its columns, written in components
outside = float(np.linalg.norm(decoder - U @ mixing) / np.linalg.norm(decoder))
shown = min(M, 3)
fig, axes = plt.subplots(2, shown, figsize=(2.6 * shown + 1, 5.0), squeeze=False)
for k in range(shown):
    show_vector(axes[0, k], U[:, k], f"component {k + 1}")
    show_vector(axes[1, k], decoder[:, k], f"decoder column {k + 1}")
fig.suptitle(f"Outside the span of {M} components: {outside:.0e} of the decoder", weight="bold")
lesson.figure("subspace", fig, {"mixing": mixing, "outside": outside})
alone = np.abs(mixing).max(axis=0) / np.linalg.norm(mixing, axis=0)
print(f"part of the decoder outside the span of the first {M} components: {outside:.1e}")
print(
    f"how much of a column is one component alone (|cos|): {alone.min():.3f} to {alone.max():.3f}"
)
lesson.result("part of W2 outside the components' span, rel.", outside)

few = X[np.random.default_rng(seed).permutation(N)[: min(N, 10)]]
ours, theirs = model(few).numpy(), principal.reconstruct(few, M)
difference = float(np.abs(ours - theirs).max())
limits = float(few.min()), float(few.max())
fig, axes = plt.subplots(3, 1, figsize=(7.6, 3.9))
for ax, rows, label in zip(axes, (few, ours, theirs), ("x", "network", "PCA"), strict=True):
    show_rows(ax, rows, label, limits)
fig.suptitle(
    f"{len(few)} rows through M = {M} units: network and PCA differ by {difference:.0e} at most",
    weight="bold",
)
lesson.figure("reconstructions", fig, {"M": M, "largest_difference": difference})

# %% [markdown]
# The same for other M: the three lines that were shown (new weights, `fit`, the loss), repeated.
# "The dimensionality must be specified before training", says the slide of networks.  PCA has no
# such worry: its solutions are nested, since the first m components are the same for every M.  The
# linear network needs a training for each m, but as it finds these subspaces, each must lie in the
# next.  The last column is the largest sine of an angle between a subspace and the next larger one
# in the table: 0 where it is contained.

# %% Look: other M
lesson.cell("Look: other numbers of units, one inside the other")
sizes = sorted({m for m in ((1, M) if lesson.fast else (1, 2, 4, M, 16, 32)) if m <= D})
spans = []
print("  m      E after fit       PCA's loss   evaluations")
for m in sizes:
    other = LinearAutoencoder(D, m, rng=np.random.default_rng([seed, m]))
    record = other.fit(X)
    spans.append(np.linalg.qr(other.decoder.weight.numpy().T)[0])
    print(
        f"{m:>3} {record.loss:>16.8g} {principal.optimal_loss(m):>16.8g} {record.evaluations:>13}"
    )
outside = [np.linalg.norm(Q - P @ (P.T @ Q), 2) for Q, P in pairwise(spans)]
for (m, more), sine in zip(pairwise(sizes), outside, strict=True):
    print(f"  {m:>3} units inside {more:>3}: largest sine {sine:.1e}")
lesson.result("smaller M inside larger: largest sine", max(outside, default=0.0))

# %% [markdown]
# ## Saddles
#
# Where is the gradient of E zero?  Baldi & Hornik: exactly where $W_2 W_1$ projects onto some set I
# of principal components (at most M of them).  Only I = {1 ... M} is a minimum.  At every other
# such point E falls where a component of I is exchanged for a larger one that is missing, or where
# a unit that is not used takes up a missing one: a negative curvature for each of these.  The table
# lists them for `toy`, M = 2: 80 points which `five_features` (of `experiments.linear`) draws from
# a Gaussian with standard deviations 3, 2.2, 1.5, 1 and .6 along five rotated axes, so that the
# eigenvalues lie well apart and the table stays short.
#
# The loop below is the descent from above, on this toy; the weights start 1e-6 away from the saddle
# {1, 3}, in which component 2 is missing.

# %% Look: every other critical point is a saddle
lesson.cell("Look: every other critical point is a saddle (five features, M = 2)")
found = analytic.pca(toy)
s = found.eigenvalues
points = analytic.critical_points(s, 2)
print(f"{'I':<10} {'E':>10} {'negative curvatures':>20} {'flat directions':>16}")
for point in points:
    name = "{" + ", ".join(map(str, point.components)) + "}"
    print(f"{name:<10} {point.loss:>10.4f} {point.index:>20} {point.nullity:>16}")
(start_point,) = (point for point in points if tuple(point.components) == (1, 3))


def descend(W1, W2, eta, steps):
    """E at each step, and after the last; W1 and W2 are the weights at the end."""
    optimizer, losses = mg.optim.SGD([W1, W2], lr=eta), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = E(toy, W1, W2)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array([*losses, E(toy, W1, W2).item()])


def weights(*values):
    return [mg.tensor(value, requires_grad=True) for value in values]


rng = np.random.default_rng(seed)
beside = [
    W + 1e-6 * rng.standard_normal(W.shape) for W in analytic.saddle(found.components, (1, 3), 2)
]
losses = descend(*weights(*beside), eta=0.3 / s[0], steps=700)
fig, ax = plt.subplots(figsize=(6.8, 3.8))
ax.plot(losses, color=BLUE, label="descent, started 1e-6 beside the saddle")
ax.axhline(start_point.loss, color=RED, ls="--", lw=1, label="E at the saddle {1, 3}")
ax.axhline(found.optimal_loss(2), color=BLACK, ls=":", lw=1, label="E at the minimum {1, 2}")
gone = losses < start_point.loss - 0.01 * (start_point.loss - found.optimal_loss(2))
stay = f"until step {np.argmax(gone)}" if gone.any() else "to the end"
ax.set(xlabel="steps of descent", ylabel="E", title=f"Beside a saddle {stay}")
ax.legend(loc="center right", fontsize=8)
every = max(1, len(losses) // 200)
lesson.figure("saddle", fig, {"loss": losses[::every], "saddle": start_point.loss})

# %% [markdown]
# ## How large a step, and in which order
#
# Let one unit of the code hold component i with strength a in both layers, $W_2 W_1 = a^2 u u^T$:
# $E = \frac12 s_i (1 - a^2)^2$ + what is left.  In the two strengths the curvature at a = 1 is
# $2 s_i$ along "both grow", so a step $\eta$ multiplies a small deviation by $1 - 2 \eta s_i$, and
# it shrinks if $\eta < 1 / s_1$.  That holds beside the *balanced* optimum only.  With strengths c
# and 1 / c the product is as good, but the curvature is $(c^2 + 1 / c^2)\, s_i$: the dashed line of
# the left panel starts beside such an optimum, c = .3 for mode 1.  The other lines are drawn until
# they reach the rounding of E.
#
# From small, aligned, equal weights the strength $a^2$ of mode i follows, in the limit of small
# steps on E / N, $\dot{(a^2)} = 2 \frac{s_i}{N} a^2 (1 - a^2)$: a sigmoid (Saxe et al. 2014), and
# strong modes rise first.  Both experiments start from known eigenvectors, to make theory exact.

# %% Look: steps and modes
lesson.cell("Look: the largest step, and the order in which modes are learned (five features)")
U2 = found.components[:, :2]
fig, (ax, right) = plt.subplots(1, 2, figsize=(9.6, 3.8))
limits = {}
print("E - minimum, rel. to the minimum, after 60 steps from 1e-4 beside the balanced optimum:")
unequal = np.diag([0.3, 1.0])
for factor, color in ((0.5, GREEN), (0.9, BLUE), (1.1, RED)):
    losses = descend(*weights(U2.T * (1 + 1e-4), U2 * (1 + 1e-4)), eta=factor / s[0], steps=60)
    excess = np.abs(losses / found.optimal_loss(2) - 1)
    there = np.flatnonzero(excess < 1e-15)  # the rounding of E
    drawn = excess[: there[0]] if len(there) else excess
    ax.semilogy(drawn, color=color, label=f"$\\eta$ = {factor} / $s_1$")
    limits[str(factor)] = excess
    print(f"  eta = {factor} / s_1: {excess[0]:.1e} at first, {excess[-1]:.1e} at the end")
beside = weights(np.linalg.inv(unequal) @ U2.T * (1 + 1e-4), U2 @ unequal * (1 + 1e-4))
losses = descend(*beside, eta=0.9 / s[0], steps=6)
excess = np.abs(losses / found.optimal_loss(2) - 1)
ax.semilogy(excess, color=ORANGE, ls="--", label="$\\eta$ = 0.9 / $s_1$, unequal layers")
limits["0.9, unequal"] = excess
print(
    f"  eta = 0.9 / s_1, layers of .3 and 1 / .3: {excess[0]:.1e}, after 6 steps {excess[-1]:.1e}"
)
ax.set(xlabel="steps", ylabel="E - minimum, rel. to it", ylim=(1e-16, 1e9))
ax.set_title("From 1e-4 beside an optimum")
ax.legend(fontsize=8, loc="upper right")
small, pace = np.sqrt(1e-3), 0.004 if lesson.fast else 0.001
W1, W2 = weights(small * U2.T, small * U2)
rates = s[:2] / len(toy)
count = int(1.6 * analytic.half_rise_time(rates[1], 1e-3) / pace)
optimizer, strengths = mg.optim.SGD([W1, W2], lr=pace), []
for _ in range(count):
    strengths.append(np.diag(U2.T @ W2.data @ W1.data @ U2))
    optimizer.zero_grad()
    loss = E(toy, W1, W2) / len(toy)
    loss.backward()
    optimizer.step()
times, strengths = pace * np.arange(count), np.array(strengths)
exact = np.stack([analytic.mode_strength(times, rate, 1e-3) for rate in rates], axis=1)
for k, color in enumerate((BLUE, ORANGE)):
    label = f"descent, mode {k + 1}"
    right.plot(times, strengths[:, k], color=color, lw=3, alpha=0.5, label=label)
    formula = {"color": BLACK, "lw": 1, "ls": "--", "label": None if k else "Saxe et al."}
    right.plot(times, exact[:, k], **formula)
off = float(np.abs(strengths - exact).max())
right.set(
    xlabel="time = step size x steps",
    ylabel="strength of the mode, $a^2$",
    title=f"At most {off:.0e} off the sigmoids",
)
right.legend()
lesson.figure(
    "dynamics", fig, {"excess": limits, "time": times[::100], "strength": strengths[::100]}
)

# %% [markdown]
# ## A penalty that finds the components themselves
#
# Add $\frac{\lambda}{2} (\lVert W_1 \rVert^2 + \lVert W_2 \rVert^2)$.  Now $(C W_1, W_2 C^{-1})$ is
# no longer as good for every C, only for rotations, and each mode shrinks by itself: at the minimum
# $W_2$ has the singular values $\sigma_i = \sqrt{1 - \lambda / s_i}$ along $u_i$, where
# $s_i > \lambda$ (Kunin et al. 2019).  So $s_i = \lambda / (1 - \sigma_i^2)$ can be read out of the
# weights.

# %% Train: with a penalty
lesson.cell("Train: with a penalty, by L-BFGS")
K = min(M, 4, int(np.sum(principal.eigenvalues > 1e-9 * principal.eigenvalues[0])))
lam = 0.2 * float(principal.eigenvalues[K - 1])
rng = np.random.default_rng([seed, 4])
W1 = mg.tensor(rng.standard_normal((K, D)) / D**0.5, requires_grad=True)
W2 = mg.tensor(rng.standard_normal((D, K)) / D**0.5, requires_grad=True)


def closure():
    loss = E(R, W1, W2) + lam / 2 * ((W1**2).sum() + (W2**2).sum())
    loss.backward()
    return loss


optimizer = mg.optim.LBFGS([W1, W2], history=20, max_iter=1000, max_evaluations=1000)
optimizer.step(closure)
vectors, singular, _ = np.linalg.svd(W2.data, full_matrices=False)
read_out = analytic.eigenvalues_from_singular_values(singular, lam)
print(
    f"K = {K} units, lambda = {lam:.4g}, {optimizer.evaluations} evaluations ({optimizer.reason})"
)
print("  k     s_k of X^T X   lambda/(1 - sigma^2)   |cos| of u_k and singular vector")
cosines = np.abs(np.sum(principal.components[:, :K] * vectors, axis=0))
for k in range(K):
    print(f"{k + 1:>3} {principal.eigenvalues[k]:>16.8g} {read_out[k]:>21.8g} {cosines[k]:>14.9f}")
fig, axes = plt.subplots(2, K, figsize=(1.8 * K + 1.2, 4.2), squeeze=False)
for k in range(K):
    u, v = principal.components[:, k], vectors[:, k]
    show_vector(axes[0, k], u, f"$u_{k + 1}$")
    show_vector(axes[1, k], v * np.sign(u @ v), f"|cos| = {cosines[k]:.6f}")
axes[0, 0].set_ylabel("PCA", fontsize=9)
axes[1, 0].set_ylabel("network", fontsize=9)
fig.suptitle(
    f"Singular vectors of $W_2$ with a penalty: |cos| from {cosines.min():.6f}", weight="bold"
)
lesson.figure("l2", fig, {"eigenvalues": principal.eigenvalues[:K], "read_out": read_out})
lesson.result("with a penalty: smallest |cos| to a component", cosines.min())

# %% [markdown]
# ## Inspect
#
# The same lines with three features, one unit and two rows, small enough to follow by hand.  Before
# you look: at the step that sends to W2, which shape is sent, and what is one entry of it?  As a
# program, two lines are the slide's gradient: $\partial E / \partial W_2 = (y - x)^T z$ and
# $\partial E / \partial W_1 = ((y - x) W_2)^T x$, rows of data summed.

# %% Inspect
lesson.cell("Inspect: the backward pass, step by step, and as a program")
x = mg.tensor([[1.0, 0.5, -1.0], [0.0, 1.0, 2.0]], name="x")
W1 = mg.tensor([[0.1, -0.1, 0.5]], requires_grad=True, name="W1")
W2 = mg.tensor([[0.1], [-0.4], [0.3]], requires_grad=True, name="W2")
z = x @ W1.T
y = z @ W2.T
loss = 0.5 * ((y - x) ** 2).sum()
trace = mg.trace(loss)
print(trace.text())
lesson.page("backward_pass", trace)
print(mg.emit_numpy(loss))

# %% Verify
lesson.cell("Verify: the gradient of E proves itself, rule by rule, on a few rows")
print(mg.check_graph(model.loss(X[:50])))

# %% [markdown]
# ## Break it
#
# Leave out the offsets *and* do not centre.  What does the network find now?  (The first M
# eigenvectors of $X^T X$ as it is.  Where the mean is long, the first of them points along it, more
# or less, and one unit is spent on it.)

# %% Break it
lesson.cell("Break it: no offsets, and no centring")
forgetful = LinearAutoencoder(D, M, bias=False, rng=np.random.default_rng(seed))
forgetful.fit(X)
more = (forgetful.loss(X).item() - best) / variance
towards = forgetful.decoder.weight.numpy()
inside = np.linalg.lstsq(towards.T, mean, rcond=None)[0] @ towards
share = float(inside @ inside / max(mean @ mean, 1e-300))
print(f"E - PCA's loss is {max(more, 0):.2%} of the variance")
print(f"squared length of the mean: {mean @ mean:.4g}; in the decoder's span: {share:.2%} of it")
verdict = mg.certify_pca(forgetful, X)
print(f"the certificate says passed = {verdict.passed}")
for failure in verdict.failures:
    print(textwrap.fill(failure, 88, initial_indent="  ", subsequent_indent="    "))

# %% [markdown]
# ## Exercises
#
# The network of the slide, and how it is trained.  `minigrad-ae exercise start N` copies a blank
# into your folder, and `minigrad-ae exercise check N` judges it: it names the misconception, not
# the answer.
#
# 1. `minigrad-ae exercise start 5`: both gradients of the slide's network; two broken lines.
# 2. `minigrad-ae exercise start 7`: Adam's step.
# 3. `minigrad-ae exercise start 18`: the mean over all data, batch by batch; a mean of means.
# 4. `minigrad-ae exercise start 17`: from nothing, 3: this autoencoder in your own engine (exercise
#    16 of lesson 1), with the certificate.

# %% Answers
lesson.cell("Answers to what you predicted")
lesson.answers(spread=worst["fit"], alone=alone.max())

# %% Recap
lesson.finish()

# %% [markdown]
# ## What you can do now
#
# - Say why a linear autoencoder cannot beat PCA, and check that it does not lose to PCA either:
#   `minigrad-ae verify --data table.csv --latent 2`.
# - Train a network by descent, Adam or L-BFGS in ten lines, and tell a saddle from a minimum.
# - Replace a data matrix by its R where only $X^T X$ matters.
# - Walk through a backward pass: `minigrad-ae inspect lessons/02_linear_autoencoder.py`.
