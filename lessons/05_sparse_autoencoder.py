# %% [markdown]
# # Lesson 5: a sparse autoencoder
#
# **Goal.** Constrain the code by a penalty $\lambda \sum_k |z_k|$ in place of a bottleneck.  Train
# the slide's objective as it is written, see where it goes, and hold fixed what has to be held;
# find the best code by hand where that is possible; and look at the dictionary that a network
# learns.  (Bishop & Bishop, section 19.1.3; Olshausen & Field 1996.)
#
# The next cell holds all that you may want to change.  Whatever you put there, the rest follows.
# The data as shipped are patches of a photograph (Rear Admiral Grace Hopper, public domain; it
# comes with matplotlib).  `mg.data.patches` makes it grey and *whitens* it by the filter of
# Olshausen & Field, $f \exp(-(f / 0.4)^4)$ at f cycles per pixel: coarse structure, which holds
# nearly all the variance of a picture, is turned down until every scale counts.  Then squares are
# cut out at random places, and each loses its mean.

# %% Settings
import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.experiments.sparse import localised, oriented
from minigrad_ae.models import SparseAutoencoder
from minigrad_ae.teaching.figures import is_picture, show_rows, show_sheet
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, ORANGE, RED, SKY, Lesson

lesson = Lesson("05_sparse_autoencoder", "about 28 s; --fast 10 s")
seed = lesson.seed
# whitened patches, one a row; yours: X = mg.data.load_matrix("table.csv")
X = mg.data.patches(
    3000 if lesson.fast else 20_000, 8 if lesson.fast else 12, rng=np.random.default_rng(seed)
)
M = 64 if lesson.fast else 144  # units; may be more than X has columns
lam = 0.1  # lambda, if the rows of X have the length 1 (root mean square)
steps = 250 if lesson.fast else 600  # of training the dictionary

# %% Data
lesson.cell("Data")
X = np.asarray(X, dtype=float)  # float64: the tolerances below are those of its rounding
N, D = X.shape
lesson.settings(X=X, M=M, lam=lam, steps=steps, seed=seed)
rng = np.random.default_rng(seed)
order = rng.permutation(N)
train, test = X[order[: N - N // 5]], X[order[N - N // 5 :]]
mean = train.mean(axis=0)
length = np.sqrt(np.mean(np.sum((train - mean) ** 2, axis=1)))
train, test = (train - mean) / length, (test - mean) / length
few = train[:100]
print(
    f"{len(train)} rows to train on, {len(test)} to test; centred, and divided by {length:.4g}, so"
)
print("that lambda has a meaning whatever the data: rows shorter than lambda are best coded as 0")

# %% Predict
lesson.cell("Predict")
lesson.predict("degenerate")  # where does the slide's objective end?
lesson.predict("threshold")  # which function is the best code?
lesson.predict("atoms")  # what does one column of the decoder look like?
lesson.predict("price")  # what does a sparse code cost?

# %% Words
lesson.cell("Words")
lesson.words("sparse", "dictionary", "latent unit", "closure", "FISTA", "rel.")

# %% [markdown]
# ## Build
#
# The network has one hidden layer of M units, rectified, so that a unit can be exactly 0:
#
# | slide | code |
# |---|---|
# | $z = \max(W_1 x + b_1, 0)$, $W_1$ is $M \times D$ | `Z = (X @ W1.T + b1).relu()` |
# | $y = W_2 z + b_2$, $W_2$ is $D \times M$ | `Y = Z @ W2.T + b2` |
# | $E(w) = \frac12 \sum_n \lVert y(x_n; w) - x_n \rVert^2$ | `E = 0.5 * ((Y - X) ** 2).sum()` |
# | $+\ \lambda \sum_k \lvert z_k \rvert$ | `lam * Z.abs().sum()` |
#
# The penalty is summed over the rows n as well, as E is; the slide does not write that sum.  M > D
# is allowed here, although without the penalty a network with enough units could copy its input.

# %% Build
lesson.cell("Build: a penalty in place of a bottleneck")


def new_weights(rng):
    """W1, b1, W2, b2 to train: W1 normal, W2 = W1^T with columns of length 1."""
    W1 = rng.standard_normal((M, D))
    W1 /= np.linalg.norm(W1, axis=1, keepdims=True)
    values = {"W1": W1, "b1": np.zeros(M), "W2": W1.T, "b2": np.zeros(D)}
    return [mg.tensor(value, requires_grad=True, name=name) for name, value in values.items()]


def network(X, W1, b1, W2, b2):
    """The code z and the output y of each row."""
    Z = (X @ W1.T + b1).relu()
    Y = Z @ W2.T + b2
    return Z, Y


def objective(X, W1, b1, W2, b2):
    """(E, sum over n and k of |z_nk|), the two terms of the slide."""
    Z, Y = network(X, W1, b1, W2, b2)
    return 0.5 * ((Y - X) ** 2).sum(), Z.abs().sum()


W1, b1, W2, b2 = new_weights(rng)
E, size = objective(few, W1, b1, W2, b2)
print(f"{D} -> {M} -> {D}; before training, on {len(few)} rows:")
print(f"  E = {E.item():.6g}, lambda sum |z| = {lam * size.item():.6g}")

# %% [markdown]
# ## The slide's objective, trained as it is written
#
# The loop below trains all weights by Adam, on the first rows of the training data.  It runs with
# three objectives from the same start (and from two other starts, of which only the penalty is
# kept, to see what the start does).  They differ in one line:
#
# - *slide*: $\tilde E = E + \lambda \sum |z|$ and nothing else;
# - *decay*: $+\ \frac{\mu}{2} \lVert W_2 \rVert^2$, a weight decay on the decoder;
# - *unit*: $W_2$ is divided by the length of its columns before it is used.
#
# Look at the penalty and at the mean length of the decoder's columns.  Which of the three are still
# on their way at the last step?

# %% Train: the slide's objective
lesson.cell("Train: the slide's objective, and two that hold the decoder")
mu = 0.2 * lam * len(few) / min(M, D)  # a size at which columns stay about as long as now


def unit_columns(W2):
    return W2 / ((W2**2).sum(axis=0, keepdims=True) + 1e-12).sqrt()


def terms(how, X, W1, b1, W2, b2):
    """E, sum |z| and the whole loss of one of the three objectives."""
    if how == "unit":
        W2 = unit_columns(W2)
    E, size = objective(X, W1, b1, W2, b2)
    loss = E + lam * size
    if how == "decay":
        loss = loss + mu / 2 * (W2**2).sum()
    return E, size, loss


few_steps = 80 if lesson.fast else 200


def trained(how, start, say=False):
    """The weights after training from `start`, and lambda sum |z| at each step."""
    weights = [mg.tensor(value, requires_grad=True) for value in start]
    optimizer, curve = mg.optim.Adam(weights, lr=0.01), []
    for step in range(few_steps):
        optimizer.zero_grad()
        E, size, loss = terms(how, few, *weights)
        loss.backward()
        optimizer.step()
        curve.append(lam * size.item())
        if say and step in (0, few_steps // 2, few_steps - 1):
            length = column_length(how, weights)
            print(f"{how:<9} {step + 1:>4} {E.item():>10.5f} {curve[-1]:>16.5f} {length:>20.4f}")
    return weights, curve


def column_length(how, weights):
    W2 = unit_columns(weights[2]) if how == "unit" else weights[2]
    return np.linalg.norm(W2.data, axis=0).mean()


start = [w.data.copy() for w in (W1, b1, W2, b2)]
others = [[w.data for w in new_weights(np.random.default_rng([seed, 10 + k]))] for k in range(2)]
curves, again, ends, columns = {}, {}, {}, {}
print("objective step          E   lambda sum |z|   mean length of W2's columns")
for how in ("slide", "decay", "unit"):
    ends[how], curves[how] = trained(how, start, say=True)
    again[how] = [trained(how, other)[1] for other in others]
    columns[how] = column_length(how, ends[how])

# %% [markdown]
# The figure shows the penalty during the trainings (left; the bands hold all three starts).  Right:
# each network trained from the first start, with its codes multiplied by c and the weights of its
# decoder divided by c.  Where is each curve lowest?  The last line takes the slope of the slide's
# curve at c = 1, by the engine.

# %% Look: codes times c, decoder divided by c
lesson.cell("Look: codes times c, decoder divided by c")
factors = 2.0 ** np.linspace(-4, 2, 13 if lesson.fast else 37)  # 1 is one of them


def rescaled(how, c):
    """The loss with codes c times as large and the decoder's weights divided by c."""
    W1, b1, W2, b2 = ends[how]
    return terms(how, few, c * W1, c * b1, W2 / c, b2)[2].item()


fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.9))
names = {"slide": "the slide", "decay": "weight decay", "unit": "columns of length 1"}
numbers = {}
for how, color in (("slide", RED), ("decay", ORANGE), ("unit", BLUE)):
    left.loglog(np.arange(1, few_steps + 1), curves[how], color=color, label=names[how])
    band = np.array([curves[how], *again[how]])
    left.fill_between(
        np.arange(1, few_steps + 1), band.min(axis=0), band.max(axis=0), color=color, alpha=0.2
    )
    ratios = np.array([rescaled(how, c) for c in factors]) / rescaled(how, 1.0)
    right.semilogx(factors, ratios, color=color, label=names[how])
    low = factors[np.argmin(ratios)]
    print(
        f"  {how:<6} lowest loss at c = {low:.3g}, of c from {factors[0]:.3g} to {factors[-1]:.3g}"
    )
    numbers[how] = {"penalty": curves[how][::10], "rescaled": ratios}
fell = curves["slide"][few_steps // 2] / max(curves["slide"][-1], 1e-300)
left.set(xlabel="steps", ylabel=r"$\lambda \sum |z|$")
left.set_title(f"Decoder columns {columns['slide']:.1f} long (slide), {columns['unit']:.1f} (unit)")
right.set(xlabel="$c$", ylabel=r"$\tilde E(c)\ /\ \tilde E(1)$", ylim=(0.6, 2.2))
right.set_title("Codes times $c$, decoder divided by $c$")
left.legend(fontsize=8)
lesson.figure("degeneracy", fig, {"c": factors, **numbers})


def slope(how):
    """d loss / dc at c = 1, by the engine."""
    c = mg.tensor(1.0, requires_grad=True)
    W1, b1, W2, b2 = (w.data for w in ends[how])
    (g,) = mg.grad(terms(how, few, c * W1, c * b1, W2 / c, b2)[2], [c])
    return float(g)


last = objective(few, *ends["slide"])[1].item()
print(
    f"slope of the slide's loss in c, at c = 1: {slope('slide'):.6g}; "
    f"lambda sum |z|: {lam * last:.6g}"
)
lesson.result("slide: penalty at half time / at the end", fell)
lesson.result("slide: mean length of W2's columns at the end", columns["slide"])
lesson.result(
    "slide: slope in c - lambda sum |z|", slope("slide") - lam * last, exact=0, tolerance=1e-9
)
W2_end = mg.tensor(ends["unit"][2].data, requires_grad=True)
loss = terms("unit", few, *ends["unit"][:2], W2_end, ends["unit"][3])[2]
(g,) = mg.grad(loss, [W2_end])
lesson.result(
    "unit: gradient along the length of a column",
    np.abs(np.sum(g * W2_end.data, axis=0)).max(),
    exact=0,
    tolerance=1e-9,
)

# %% Answer: where the slide's objective ends
lesson.cell("Answer: where the slide's objective ends")
lesson.answers("degenerate", fell=fell, columns=columns["slide"])

# %% [markdown]
# In symbols: for any c > 0, $(c W_1, c b_1, W_2 / c)$ has the codes $c z$ and the same outputs, so
# $\tilde E(c) = E + c\, \lambda \sum |z|$.  Its slope at c = 1 is $\lambda \sum |z| > 0$: unless
# every code is 0 there is no stationary point, and the infimum is that of E alone.  A descent that
# is stopped somewhere looks like a result, and $\lambda$ only says how fast it went there.  With
# columns of length 1 the objective means something: $z_k$ is measured in the units of the data,
# and $\lambda$ is the price of one such unit.  Under a weight decay the two forces balance where
# $\lambda \sum_n |z_{nk}| = \mu \lVert w_k \rVert^2$ for each unit.  The library's
# `SparseAutoencoder` holds the columns at length 1, or by a decay with `constraint="decay"`;
# `constraint="none"` is the slide.
#
# ## What the best code is
#
# Now let the decoder be given, with orthonormal columns $u_k$.  Then
# $\lVert x - \sum_k u_k z_k \rVert^2 = \sum_k (u_k^T x - z_k)^2$ + what no code can change, so each
# unit has a problem of its own, with $a = u_k^T x$:
#
# $$\min_z\ \frac12 (a - z)^2 + \lambda |z| .$$
#
# A rectified unit cannot be negative: two of them, for $u_k$ and $-u_k$, stand for one z of either
# sign.  The next cell takes the first principal directions of the data for $u_k$ (any others would
# do), keeps $W_2 = (U, -U)$ as it is, and trains the encoder alone, from small random weights and
# biases of 0.3, which keep every unit on at first: a unit that is off for all rows gets no
# gradient, and stays off.  For the same reason Adam's small steps come before the long ones of
# L-BFGS.  Look at the biases.

# %% Train: an encoder before a given decoder
lesson.cell("Train: an encoder before a given decoder")
principal = analytic.pca(train)
K = min(4, D)
U = principal.components[:, :K]
some = train[:500]
decoder = mg.tensor(np.hstack([U, -U]))
zero = mg.tensor(np.zeros(D))


def new_encoder():
    rng = np.random.default_rng([seed, 1])
    W1 = mg.tensor(0.1 * rng.standard_normal((2 * K, D)) / D**0.5, requires_grad=True)
    return W1, mg.tensor(np.full(2 * K, 0.3), requires_grad=True)


def signed(W1, b1):
    """The code of u_k minus that of -u_k."""
    Z = network(some, W1, b1, decoder, zero)[0].data
    return Z[:, :K] - Z[:, K:]


W1, b1 = new_encoder()
before = signed(W1, b1)


def closure():
    E, size = objective(some, W1, b1, decoder, zero)
    loss = E + lam * size
    loss.backward()
    return loss


def train_encoder(weights, closure):
    """Adam's small steps first, then L-BFGS to finish; the number of evaluations."""
    optimizer = mg.optim.Adam(weights, lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        closure()
        optimizer.step()
    most = 60 if lesson.fast else 300
    optimizer = mg.optim.LBFGS(weights, max_iter=most, max_evaluations=most)
    optimizer.step(closure)
    return 200 + optimizer.evaluations


evaluations = train_encoder([W1, b1], closure)
E, size = objective(some, W1, b1, decoder, zero)
trained = (E + lam * size).item()
sum_bias, sum_zeros = b1.data.mean() / lam, np.mean(signed(W1, b1) == 0)
a = some @ U
print(f"E + lambda sum |z| after {evaluations} evaluations: {trained:.9g}")
print(f"biases / lambda: from {b1.data.min() / lam:.6f} to {b1.data.max() / lam:.6f}")

# %% Answer: the best code
lesson.cell("Answer: the best code")
lesson.answers("threshold", bias=sum_bias)
best = analytic.soft_threshold(a, lam)
least = analytic.sparse_loss(some, U, best, lam).sum()
after = signed(W1, b1)
off = np.abs(after - best).max()
fig, ax = plt.subplots(figsize=(6.4, 4.2))
ax.plot(a.ravel(), before.ravel(), ".", ms=3, color=SKY, label="the encoder before training")
ax.plot(a.ravel(), after.ravel(), ".", ms=3, color=BLUE, label="the encoder after training")
line = np.linspace(-np.abs(a).max(), np.abs(a).max(), 201)
ax.plot(line, analytic.soft_threshold(line, lam), color=BLACK, lw=1, label="the exact answer")
ax.set(xlabel="$a = u_k^T x$", ylabel="code $z_k$ ($u_k$ minus $-u_k$)")
ax.set_title(f"Codes differ from the exact answer by {off:.1e} at most")
ax.legend()
shown = slice(0, 50)
lesson.figure("soft_threshold", fig, {"a": a[shown], "code": after[shown], "loss": trained})
print(f"least E + lambda sum |z| of any codes: {least:.9g}; the encoder's: {trained:.9g}")
lesson.result("given decoder: loss / least of any codes", trained / least, at_least=1 - 1e-12)
lesson.result("given decoder: largest difference of codes", off)

# %% [markdown]
# Why: for z > 0 the derivative is $z - a + \lambda$, 0 at $z = a - \lambda$, which is positive only
# if $a > \lambda$.  For z < 0 it is the mirror image.  In between, $|a| \le \lambda$, the kink of
# |z| is the minimum: z = 0, exactly.  (A penalty $z^2$ has no kink: it shrinks every code and makes
# none 0.)  One line of NumPy: `np.sign(a) * np.maximum(np.abs(a) - lam, 0)`.
#
# ## A dictionary
#
# Now everything is trained, on all training rows, in random minibatches: the same loss, by the
# class of the library (its `decoder.weight` is $W_2^T$, and its columns are held).  First: the
# same weights give the same loss as the lines above.  Then the loop.  Adam's rate falls to 0 along
# a cosine, so that the noise of the minibatches dies out.  Look at the share of zeros.

# %% Train: a dictionary
lesson.cell("Train: a dictionary")
model = SparseAutoencoder(D, M, lam=lam, rng=np.random.default_rng(seed))
weights = ends["unit"]
model.encoder.weight.data, model.encoder.bias.data = weights[0].data.T.copy(), weights[1].data
model.decoder.weight.data, model.decoder.bias.data = weights[2].data.T.copy(), weights[3].data
values = model.loss(few).item(), terms("unit", few, *weights)[2].item()
print(f"the library's class {values[0]:.12g}, the lines above {values[1]:.12g}")
lesson.result(
    "library's loss / that of the lines above", values[0] / values[1], exact=1, tolerance=1e-9
)


def train_dictionary(lam, k=0, say=False):
    """A new network, trained for `steps` minibatches; float32, for speed.  Another k, other weights
    to start from and other minibatches.
    """
    rng = np.random.default_rng([seed, 2, k])
    model = SparseAutoencoder(D, M, lam=lam, rng=rng, dtype=np.float32)
    optimizer = mg.optim.Adam(model.parameters(), lr=6e-3)
    rate = mg.optim.cosine_schedule(optimizer, steps)
    for step in range(steps):
        rate(step)
        x = train[rng.integers(len(train), size=min(128, len(train)))]
        optimizer.zero_grad()
        loss = model.loss(x)
        loss.backward()
        optimizer.step()
        if say and (step % max(1, steps // 5) == 0 or step == steps - 1):
            zeros = np.mean(model.encode(x).numpy() == 0)
            print(f"  step {step + 1:>5}: loss a row {loss.item() / len(x):.5f}, zeros {zeros:.1%}")
    return model


model = train_dictionary(lam, say=True)
Z = model.encode(test).numpy()
zeros = np.mean(Z == 0)
print(
    f"test rows: {zeros:.1%} of the codes are 0; "
    f"{np.sum(Z != 0, axis=1).mean():.1f} of {M} units a row"
)
lesson.result("share of codes that are exactly 0, test rows", zeros)

# %% [markdown]
# Each output is a sum of columns of $W_2$: the dictionary.  Below are some rows of the data,
# principal components, and the columns, those first that are used most often, each scaled to its
# own largest value (grey is 0; the last component of the shipped patches is constant, since each
# patch has lost its mean).  Two numbers say what the eye sees.  `localised`, of
# `experiments.sparse`: the share of a column's squares that lies in its strongest quarter of
# features, 25 % if all are alike (median over columns).  `oriented`, for pictures: 0 if its waves
# run in all directions, 1 for stripes.

# %% Look: the dictionary
lesson.cell("Look: the dictionary")
atoms = model.decoding_weight().numpy()
used = np.argsort(-np.mean(Z > 0, axis=0), kind="stable")
across = int(min(12, np.sqrt(M), np.sqrt(len(test)), np.sqrt(principal.components.shape[1])))
fig, axes = plt.subplots(1, 3, figsize=(12, 4.6))
numbers = {"lambda": lam}
directions = {"PCA": principal.components.T, "dictionary": atoms[used]}
for ax, (name, rows) in zip(axes, {"data": test, **directions}.items(), strict=True):
    shown = rows[: across**2] / np.maximum(
        np.abs(rows[: across**2]).max(axis=1, keepdims=True), 1e-12
    )
    if is_picture(D):
        show_sheet(ax, shown, across, limits=(-1, 1))
    else:
        show_rows(ax, shown, name, limits=(-1, 1))
    where = localised(rows)
    numbers[name] = {"localised": where}
    ax.set_title(f"{name}: {where:.0%} in the strongest quarter", fontsize=9)
    print(f"  {name:<11} strongest quarter of features: {where:4.0%} of the squares", end="")
    if is_picture(D):
        numbers[name]["oriented"] = oriented(rows)
        print(f"; direction: {numbers[name]['oriented']:.2f}", end="")
    print()
fig.suptitle("Rows of data, principal components, columns of $W_2$", weight="bold")
lesson.figure("dictionary", fig, numbers)
lesson.result("dictionary: squares in the strongest quarter", numbers["dictionary"]["localised"])

# %% [markdown]
# ## How sparse, and at what price
#
# `train_dictionary`, the loop above, for other $\lambda$ and from other starts: other weights,
# other minibatches.  An encoder of one layer need not find the best codes of its own decoder.
# FISTA looks for them (of either sign), and its duality gap proves a lower bound for the loss of
# all codes, so the last column of the table is at least 1.  (Both errors are shares of the same
# thing, the sum of squares of the rows in question.)  PCA with m components spends the same m
# numbers on every row; a sparse code chooses different ones for each.  (Which units it uses is
# information too: this counts numbers, not bits.  And whitened data, such as the patches, are hard
# for PCA.)  Is the difference between two starts as large as that between two $\lambda$?

# %% Look: sparsity and error
lesson.cell("Look: sparsity and error, for several lambdas")
multiples, starts = (0.5, 1, 2), 2 if lesson.fast else 3
squares = np.sum(test**2)
scores = test @ principal.components
rest = 1 - np.cumsum(np.sum(scores**2, axis=0)) / squares  # with m = 1, 2, ... components


def measured(net, lam):
    """Units used and error on test rows; the same of the best codes; loss / proven bound."""
    Z = net.encode(test).numpy()
    used = np.sum(Z != 0, axis=1).mean(), np.sum((net.decode(Z).numpy() - test) ** 2) / squares
    rows, W2 = test[:100] - net.decoder.bias.numpy(), net.decoding_weight().numpy().T.astype(float)
    found = analytic.fista(rows, W2, lam, steps=50 if lesson.fast else 300)
    proven = np.sum(analytic.sparse_loss(rows, W2, found.codes, lam) - found.duality_gap)
    units = np.mean(np.sum(found.codes != 0, axis=1))
    left_over = np.sum((rows - found.codes @ W2.T) ** 2) / np.sum(test[:100] ** 2)
    return [*used, units, left_over, net.loss(test[:100]).item() / proven], Z


table, codes = [], []
print(f"{starts} starts a lambda, on test rows; FISTA on at most 100 of them; both losses are")
print("E + lambda sum |z|")
print("lambda   zeros  units used  error  |  best codes: units  error   loss: encoder / bound")
for factor in multiples:
    weight = factor * lam
    for k in range(starts):
        net = model if (factor, k) == (1, 0) else train_dictionary(weight, k)
        row, Z = measured(net, weight)
        table.append(row)
        codes.append(Z)
        count, error, units, left_over, ratio = row
        print(f"{weight:>6.3g} {np.mean(Z == 0):>7.1%} {count:>11.1f} {error:>6.1%}  |", end="")
        print(f" {units:>18.1f} {left_over:>6.1%} {ratio:>23.3f}")
    ratios = [row[4] for row in table[-starts:]]
    lesson.result(f"lambda {weight:.3g}: least loss / proven bound", min(ratios), at_least=1 - 1e-4)

# %% [markdown]
# In the figure a band spans all starts of a $\lambda$ (left; the line is their mean), and each
# start has a dot of its own (right; the line joins their means).  PCA's curve has no spread: it is
# computed, not trained.

# %% Look: sparsity and error, drawn
lesson.cell("Look: sparsity and error, drawn")
fig, (left, right) = plt.subplots(1, 2, figsize=(9.8, 4.0))
bins = np.linspace(0, max(1.0, *(float(Z.max()) for Z in codes)), 60)
for j, color in enumerate((SKY, BLUE, GREEN)):
    of_starts = codes[j * starts : (j + 1) * starts]
    shares = [np.histogram(Z[Z > 0], bins)[0] / Z.size for Z in of_starts]
    shares = np.maximum(shares, 1e-9)
    zero = np.mean([np.mean(Z == 0) for Z in of_starts])
    label = rf"$\lambda$ = {multiples[j] * lam:.3g}: {zero:.0%} zeros"
    left.stairs(shares.mean(axis=0), bins, color=color, lw=1, label=label)
    low, high = shares.min(axis=0), shares.max(axis=0)
    left.stairs(high, bins, baseline=low, fill=True, color=color, alpha=0.3)
left.set(
    yscale="log",
    ylim=(0.5 / Z.size, 1),
    xlabel="code $z_k > 0$",
    ylabel="share of all codes, per bin",
)
left.set_title(f"Codes that are not 0: mean, range of {starts} starts")
left.legend(fontsize=8)
table = np.reshape(table, (len(multiples), starts, -1))
count, error, units, left_over, _ = table.mean(axis=1).T
right.plot(np.arange(1, len(rest) + 1), rest, color=BLACK, label="PCA: the same $m$ for every row")
label = f"sparse encoder: others for each row, {starts} starts"
right.plot(count, error, color=BLUE, lw=1)
right.plot(*table[..., :2].reshape(-1, 2).T, "o", ms=4, color=BLUE, label=label)
right.plot(units, left_over, "--", color=GREEN, lw=1)
label = "best codes, same decoders (FISTA)"
right.plot(*table[..., 2:4].reshape(-1, 2).T, "s", ms=4, color=GREEN, label=label)
here = multiples.index(1)
pca_error = float(np.interp(count[here], np.arange(len(rest) + 1), [1, *rest]))
right.set(xlabel="numbers that are not 0, per row", ylabel="squared error / squares", ylim=(0, 1))
right.set_xlim(0, 3 * max(count.max(), units.max(), 1))
right.set_title(
    f"At {count[here]:.1f} numbers a row: PCA {pca_error:.0%}, sparse {error[here]:.0%}"
)
right.legend(fontsize=8)
of_lambda = [factor * lam for factor in multiples]
lesson.figure("sparsity_error", fig, {"lambda": of_lambda, "starts": table, "pca": rest})
print(
    f"with {count[here]:.1f} numbers a row PCA would leave {pca_error:.1%}, "
    f"this code {error[here]:.1%}"
)
lesson.result("error of the sparse code / PCA's, equal count", error[here] / pca_error)

# %% [markdown]
# ## How many units are left
#
# So much for three values of $\lambda$.  What happens if it goes on growing?  Let the rows have
# mean 0, and let R be the length of the longest.  For any v,
# $\frac12 \lVert x - v \rVert^2 \ge \frac12 \lVert x \rVert^2 - x^T v$; with $v = W_2 z + b_2$ and
# columns of length 1,
#
# $$\tilde E \ge \frac12 \sum_n \lVert x_n \rVert^2 - b_2^T \sum_n x_n
#   - \sum_n x_n^T W_2 z_n + \lambda \sum_{nk} z_{nk}
#   \ge \frac12 \sum_n \lVert x_n \rVert^2 + (\lambda - R) \sum_{nk} z_{nk} :$$
#
# from $\lambda = R$ on nothing beats all codes 0.  Nor can a training stop elsewhere: along
# $(c z, c\, b_2)$ the loss is convex in c, so where its slope at c = 1 is 0 it is at most the loss
# at c = 0, and for $\lambda > R$ that leaves only z = 0.  Just below R a single unit, on for the
# longest row alone, pays (the claim `first-code` knows by how much).  But a net can be caught with
# all units off long before: their gradient is 0 as well.
#
# The cell trains all weights (columns of length 1) for several $\lambda$, from several starts, by
# Adam on all of the rows at once: `train_dictionary` with fewer units and no minibatches, so that
# the argument holds for what is minimised.  It counts exact zeros (just above R the last codes take
# long to go, so a short training may leave one on), and looks whether any loss is below the bound.

# %% Look: units in use as lambda grows
lesson.cell("Look: units in use as lambda grows")
rows = train[:300] - train[:300].mean(axis=0)
R = np.linalg.norm(rows, axis=1).max()
few_units, n_starts = min(M, 32), 3
shares = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 1.01])  # lambda / R


def in_use(lam, k):
    """Codes that are not 0, per row; E; and the loss above the bound of the text."""
    model = SparseAutoencoder(D, few_units, lam=lam, rng=np.random.default_rng([seed, 20 + k]))
    optimizer = mg.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(120 if lesson.fast else 200):
        optimizer.zero_grad()
        model.loss(rows).backward()
        optimizer.step()
    Z = model.encode(rows).numpy()
    above = model.loss(rows).item() - 0.5 * np.sum(rows**2) - (lam - R) * np.sum(Z)
    return np.sum(Z != 0) / len(rows), np.sum((model.decode(Z).numpy() - rows) ** 2), above


ended = np.array([[in_use(share * R, k) for k in range(n_starts)] for share in shares])
counts, errors = ended[..., 0], ended[..., 1] / max(np.sum(rows**2), 1e-300)
print(f"{len(rows)} rows, the longest {R:.4g}; {few_units} units, {n_starts} starts: mean (range)")
print("lambda / R   codes in use per row      E / E of all codes 0")
for share, codes, left_over in zip(shares, counts, errors, strict=True):
    print(f"{share:>10.2f} {codes.mean():>9.3f} ({codes.min():.3f} to {codes.max():.3f})", end="")
    print(f" {left_over.mean():>9.3f} ({left_over.min():.3f} to {left_over.max():.3f})")
fig, panels = plt.subplots(1, 2, figsize=(9.6, 3.9))
for ax, values, color in zip(panels, (counts, errors), (BLUE, ORANGE), strict=True):
    ax.plot(shares, values.mean(axis=1), color=color, label=f"mean of {n_starts} starts")
    ax.plot(np.repeat(shares, n_starts), values.ravel(), "o", color=color, ms=4, label="each start")
    ax.axvline(1, color=BLACK, ls="--", lw=1, label=r"$\lambda = R$")
    ax.set(xscale="log", xlabel=r"$\lambda\ /$ length of the longest row", ylim=(0, None))
rises, rises_of = int(np.sum(np.diff(counts, axis=0) > 0)), counts[1:].size
panels[0].set(ylabel="codes that are not 0, per row")
panels[0].set_title(f"Codes in use: more at a larger $\\lambda$ in {rises} of {rises_of} steps")
panels[1].set(ylabel="$E\\ /\\ E$ of all codes 0")
panels[1].set_title("What is given up for it")
panels[0].legend(fontsize=8)
lesson.figure("emptied", fig, {"lambda / R": shares, "in use": counts, "error": errors})
lesson.result("codes in use per row at lambda = .05 R", counts[1].mean())
lesson.result("codes in use per row at lambda = 1.01 R, mean", counts[-1].mean())
# whatever the weights; the sums have len(rows) (D + units) terms, each with its rounding
rounding = 1e-15 * len(rows) * (D + few_units) ** 0.5 * max(1, np.sum(rows**2))
least = ended[..., 2].min()
lesson.result("loss - its bound, least of all trainings", least, at_least=-rounding)

# %% [markdown]
# ## Inspect
#
# The same lines with three features and two units, small enough to follow by hand.  Before you
# look: one of the four codes is 0.  What does its unit send back to $W_1$ for that row?  And what
# does the penalty add to the gradient at a code above 0?  ($V$ is what is trained here, and $W_2$
# is $V$ with columns of length 1.)

# %% Inspect
lesson.cell("Inspect: where |z| and the length of a column meet the gradient")
x = mg.tensor([[1.0, 0.5, -1.0], [0.0, 1.0, 2.0]], name="x")
W1 = mg.tensor([[0.6, 0.2, -0.4], [0.3, 0.5, 0.4]], requires_grad=True, name="W1")
b1 = mg.tensor([-0.1, -0.1], requires_grad=True, name="b1")
V = mg.tensor([[1.2, 0.2], [0.4, 0.9], [-0.8, 0.8]], requires_grad=True, name="V")
length = (V**2).sum(axis=0, keepdims=True).sqrt()
W2 = V / length
z = (x @ W1.T + b1).relu()
y = z @ W2.T
loss = 0.5 * ((y - x) ** 2).sum() + 0.5 * z.abs().sum()
print(f"z =\n{z.numpy()}")
trace = mg.trace(loss)
print(trace.text())
lesson.page("backward_pass", trace)

# %% Verify
lesson.cell("Verify: the gradient of E + lambda sum |z| proves itself, on 20 rows")
print(mg.check_graph(model.loss(train[:20])))

# %% [markdown]
# ## Break it
#
# A common slip: the *mean* of |z| where the sum is meant, beside an E that is a sum.  The cell
# trains the encoder of the given decoder again, with that line changed.  How many codes will be 0?

# %% Break it
lesson.cell("Break it: the mean of |z|")
lesson.predict("mean")
W1, b1 = new_encoder()


def broken():
    Z, Y = network(some, W1, b1, decoder, zero)
    loss = 0.5 * ((Y - some) ** 2).sum() + lam * Z.abs().mean()  # it was .sum()
    loss.backward()
    return loss


train_encoder([W1, b1], broken)
zeros_of_mean = np.mean(signed(W1, b1) == 0)
print(f"zeros among {len(some)} x {K} codes: {zeros_of_mean:.1%}; with the sum {sum_zeros:.1%}")

# %% [markdown]
# ## Exercises
#
# What the penalty does to a code, and how it is dodged.  `minigrad-ae exercise start N` copies a
# blank into your folder, and `minigrad-ae exercise check N` judges it: it names the misconception,
# not the answer.
#
# 1. `minigrad-ae exercise start 8`: the soft threshold, from its definition.
# 2. `minigrad-ae exercise start 22`: the objective of the slide: a mean where a sum is meant, and a
#    decoder that dodges.

# %% Answers
lesson.cell("Answers to what you predicted")
found, pca = numbers["dictionary"]["localised"], numbers["PCA"]["localised"]
lesson.answers(
    found=found,
    pca=pca,
    zeros=1 - count[here] / M,
    count=count[here],
    M=M,
    error=error[here],
    pca_error=pca_error,
    ratio=table[here, :, 4].max(),
    with_mean=zeros_of_mean,
    with_sum=sum_zeros,
    codes=len(some) * 2 * K,
)

# %% Recap
lesson.finish()

# %% [markdown]
# ## What you can do now
#
# - Say why a penalty on codes needs a decoder whose length is held, and notice where a program
#   forgets it.
# - Write down the best code for an orthonormal dictionary, and say why a rectified layer can
#   compute it.
# - Train a dictionary on a table: `minigrad-ae train sparse --data digits --latent 100 --epochs 5
#   --checkpoint sparse`.
# - Prove how good an encoder's codes are: `mg.analytic.fista(X, W2, lam).duality_gap`.
# - Walk through the backward pass: `minigrad-ae inspect lessons/05_sparse_autoencoder.py`.
