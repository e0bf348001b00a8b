# %% [markdown]
# # Lesson 7: a masked autoencoder fills in what it does not see
#
# **Goal.** Hide three quarters of each picture from a small vision transformer, train it to predict
# what is hidden, and see what that is worth: compared with the best that means and covariances
# allow, and afterwards where labels are few.
# (Bishop & Bishop, section 19.1.5; He et al., CVPR 2022.)
#
# The next cell holds all that you may want to change.  The network is put together and trained
# below, on that `X`.  Larger networks, trained for minutes, and two studies, of mask ratios and of
# few labels, come with the package; wherever they are shown, the text says *shipped*.

# %% Settings
import json

import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae import analytic, nn
from minigrad_ae.experiments import (
    masked_pictures,
    masked_ratio,
    masked_redundancy,
    masked_transfer,
)
from minigrad_ae.experiments.masked import conditional_errors, ready, shipped_errors
from minigrad_ae.models import MaskedAutoencoder
from minigrad_ae.models.masked import visible_patches
from minigrad_ae.models.transfer import LogisticRegression, accuracy, classifier, fine_tune
from minigrad_ae.teaching.figures import is_picture
from minigrad_ae.teaching.lesson import BLACK, BLUE, ORANGE, Lesson

lesson = Lesson("07_masked_autoencoder", "about 29 s; --fast 9 s; --full 10 minutes")
X, y = mg.data.digits()  # (1797, 64), 8 x 8 pixels, and labels; yours: rows are square pictures
patch = 2  # the side of a patch in pixels, a divisor of the picture's side
mask_ratio = 0.75  # the share of patches that is hidden
width = 32  # numbers in a token, of encoder and decoder
depth = 1  # transformer blocks of the encoder; the decoder has one more
steps = 130 if lesson.fast else 500  # of training, with 64 pictures each
seed = lesson.seed

# %% Data
lesson.cell("Data")
N, D = X.shape
rng = np.random.default_rng(seed)
sizes = {"patch": patch, "mask_ratio": mask_ratio, "width": width, "depth": depth}
lesson.settings(X=X, **sizes, steps=steps, seed=seed)
side = round(D**0.5)
H, W, p = (side, side, patch) if is_picture(D) else (D, 1, 1)
what = "picture" if is_picture(D) else "row"
if not is_picture(D):
    print(f"rows of {D} features are not square pictures (from 5 x 5 pixels): each row is taken as")
    print(f"a column of {D} pixels, and each feature is a patch of its own")
nn.patchify(X[:1], (H, W), p)  # refuses patches that do not tile the picture
L, P = (H // p) * (W // p), p * p  # patches of a picture, pixels of a patch
V = visible_patches(L, mask_ratio)  # int(L (1 - ratio)), at least 1
order = rng.permutation(N)
n_test = max(1, min(N // 5, 500))
A, T = X[order[:-n_test]].astype(np.float32), X[order[-n_test:]].astype(np.float32)
mean = A.mean(axis=0, dtype=np.float64).astype(np.float32)  # the mean training picture
scale = np.float32(np.sqrt(np.mean((A - mean) ** 2, dtype=np.float64)) or 1.0)
limits = tuple(float(v) for v in np.percentile(A, (1, 99)))  # white and black in the figures
print(f"{len(A)} {what}s to train on, {len(T)} held out; {L} patches each, {V} of them visible")

# %% Predict
lesson.cell("Predict")
lesson.predict("gaussian")  # if pixels were Gaussian, would the visible ones be enough?
lesson.predict("positions")  # one mask token for all places: how can predictions differ?
lesson.predict("visible")  # what does the decoder draw on visible patches?
lesson.predict("ratio")  # is hiding 75 % best?

# %% Words
lesson.cell("Words")
lesson.words("token", "mask ratio", "mask token", "attention weight")
lesson.words("Gaussian conditional", "standard error")

# %% [markdown]
# ## Build
#
# | slide | code |
# |---|---|
# | the picture as a sequence of L patches | `cut(x)`, (n, L, P): `reshape` and `swapaxes` |
# | part of it is masked, another part in each picture | `draw_masks(n)`: (n, L), True: hidden |
# | a vision transformer encodes the visible patches | `project`, `encoder_blocks`: (n, V, width) |
# | the decoder reconstructs the picture | `put_back`, `decoder_blocks`, `head`: (n, L, P) |
# | the error, on hidden pixels i only | `E(x, mask)` |
#
# $$E(w) = \frac12 \sum_n \sum_{i\ \mathrm{hidden}} (y_i(x_n; w) - x_{ni})^2$$
#
# **Patches.**  A pixel at row $pr + i$ and column $pc + j$ is pixel (i, j) of patch (r, c).  So an
# array of axes (r, i, c, j) holds the picture as it is, and (r, c, i, j) holds its patches: one
# exchange of axes cuts, and the same exchange puts together.
#
# **Masks.**  Sorting random numbers gives a random order of the patches; the first V stay visible.
# Each picture has an order of its own, and each step of training draws new ones.

# %% Build: patches and masks
lesson.cell("Build: patches and masks")


def cut(x):
    """Pictures (n, D) -> patches (n, L, P)."""
    return x.reshape(-1, H // p, p, W // p, p).swapaxes(2, 3).reshape(-1, L, P)


def glue(patches):
    """Patches (n, L, P) -> pictures (n, D)."""
    return patches.reshape(-1, H // p, W // p, p, p).swapaxes(2, 3).reshape(-1, D)


def draw_masks(n):
    """(n, L), True where hidden: V patches of each picture stay visible."""
    order = rng.random((n, L)).argsort(axis=1)
    mask = np.ones((n, L), bool)
    np.put_along_axis(mask, order[:, :V], False, axis=1)
    return mask


print("three masks, # is hidden:")
for row in draw_masks(3):
    print("  " + "".join("#" if hidden else "." for hidden in row))
there_and_back = float(np.abs(glue(cut(T)) - T).max())
print(f"cut and put together: {T.shape} -> {cut(T).shape} -> {glue(cut(T)).shape}")
lesson.result("cut and put together: largest difference", there_and_back, exact=0)

# %% [markdown]
# **The encoder** works on the V visible patches as if there were no others: that is what makes it
# cheap, and nothing hidden can leak into it.  Token l is
# $W\,\mathrm{patch}_l + b + \mathrm{position}_l$.  A transformer block then lets tokens look at
# each other, $t \leftarrow t + \mathrm{attention}(\mathrm{norm}\,t)$, and works on each by itself,
# $t \leftarrow t + \mathrm{mlp}(\mathrm{norm}\,t)$; `nn.TransformerBlock` is these two lines.
#
# **The decoder** gets a full sequence again.  `put_back` says which row stands in which place:
# codes are numbered picture by picture, patch by patch, and the row after the last code is *the*
# mask token, one learnt vector for all hidden places.  Positions are added once more.
#
# The network works on $(x - \bar x) / s$, with the mean picture $\bar x$ and one number s, the root
# mean square about it; $s^2$ brings E back to the data's units.  The head starts at 0, so the
# untrained network predicts the mean picture.  Positions start with standard deviation .5: with the
# usual .02 it takes long until the network leaves the mean picture.

# %% Build: the network
lesson.cell("Build: encoder, mask tokens, decoder")
heads = 2 if width % 2 == 0 else 1
new = {"rng": np.random.default_rng([seed, 1]), "dtype": np.float32}


def parameter(rows, std):
    """(rows, width) normal numbers."""
    return nn.Parameter((std * new["rng"].normal(size=(rows, width))).astype(np.float32))


project, positions = nn.Linear(P, width, **new), parameter(L, 0.5)
encoder_blocks = [nn.TransformerBlock(width, heads, **new) for _ in range(depth)]
encoder_norm, bridge = nn.LayerNorm(width, dtype=np.float32), nn.Linear(width, width, **new)
mask_token, decoder_positions = parameter(1, 0.02), parameter(L, 0.5)
decoder_blocks = [nn.TransformerBlock(width, heads, **new) for _ in range(depth + 1)]
decoder_norm, head = nn.LayerNorm(width, dtype=np.float32), nn.Linear(width, P, **new)
head.weight.data[...] = 0


def put_back(mask):
    """(n, L): the row of [all codes; mask token] that stands in each place."""
    n_codes = np.count_nonzero(~mask)
    rows = np.full(mask.shape, n_codes)
    rows[~mask] = np.arange(n_codes)
    return rows


def E(x, mask, put_back=put_back, show=False):
    """1/2 sum over pictures and hidden pixels of (y - x)^2."""
    n = len(x)
    patches = cut((x - mean) / scale)
    visible = patches[~mask].reshape(n, V, P)
    place = np.nonzero(~mask)[1].reshape(n, V)
    tokens = project(visible) + mg.take(positions, place, axis=0)
    for block in encoder_blocks:
        tokens = block(tokens)
    z = encoder_norm(tokens)
    codes = mg.reshape(bridge(z), (n * V, width))
    full = mg.take(mg.concatenate([codes, mask_token]), put_back(mask), axis=0)
    tokens = full + decoder_positions
    for block in decoder_blocks:
        tokens = block(tokens)
    y = mg.reshape(head(decoder_norm(tokens)), (n * L, P))
    hidden = mg.take(y, np.flatnonzero(mask), axis=0)
    if show:
        for name, value in {"patches": patches, "visible": visible, "z": z, "full": full}.items():
            print(f"  {name:<8} {value.shape}")
        print(f"  {'y':<8} {y.shape}, of which hidden {hidden.shape}")
    return 0.5 * scale**2 * ((hidden - patches[mask]) ** 2).sum()


few = T[:10]
few_masks = draw_masks(len(few))
print(f"E of n = {len(few)} held-out {what}s, before training: {E(few, few_masks, show=True):.6g}")

# %% [markdown]
# The library's class is the same network.  Below it is built and then *given these very layers*, so
# that both stay equal while E above is trained; it has what is needed afterwards: `reconstruct`
# draws a picture with the visible patches pasted in, `encode` and `encoder` work on whole pictures.

# %% Build: the library's class
lesson.cell("Build: the library's class, with these layers")
wide = {"width": width, "decoder_width": width, "heads": heads, "decoder_heads": heads}
model = MaskedAutoencoder(
    (H, W), p, **wide, depth=depth, decoder_depth=depth + 1, mask_ratio=mask_ratio, **new
).standardise(A)
model.encoder.embedding.project, model.encoder.embedding.positions = project, positions
model.encoder.blocks, model.encoder.norm = encoder_blocks, encoder_norm
model.decoder.bridge, model.decoder.mask_token = bridge, mask_token
model.decoder.positions, model.decoder.blocks = decoder_positions, decoder_blocks
model.decoder.norm, model.decoder.head = decoder_norm, head
weights = [w for w in model.parameters() if w.requires_grad]
print(f"{sum(w.size for w in weights):,} weights; codes of {model.encode(few, few_masks).shape}")
print(f"E of the class, with the same mask: {model.loss(few, mask=few_masks).item():.6g}")

# %% [markdown]
# ## What to compare with
#
# Two predictions need no network.  The **mean picture** ignores what is visible.  The **Gaussian
# conditional** uses it as well as means and covariances S allow: for hidden pixels h and visible
# pixels v,
#
# $$E[x_h \mid x_v] = \bar x_h + S_{hv} S_{vv}^{-1} (x_v - \bar x_v),$$
#
# with S from the training part of X, plus a small multiple of I (the variance that so few rows
# leave uncertain).  All errors below are squared errors per hidden pixel of held-out rows, on the
# same few masks, each of which hides the same patches in all of them.

# %% Build: what to compare with
lesson.cell("Build: mean picture and Gaussian conditional, on fixed masks")
fixed = draw_masks(4 if lesson.fast else 8)
hidden_pixels = glue(np.repeat(fixed[:, :, None], P, axis=2))  # (masks, D), True where hidden
A64, T64 = A.astype(np.float64), T.astype(np.float64)
average = A64.mean(axis=0)
ridge = A64.var(axis=0).sum() / len(A) or 1.0
S = np.cov(A64.T, bias=True) + ridge * np.eye(D)
mean_errors, gauss_errors = [], []
for h in hidden_pixels:
    mean_errors.append(np.mean((T64[:, h] - average[h]) ** 2))
    conditional = analytic.gaussian_conditional(S, h).predict(T64, average)
    gauss_errors.append(np.mean((conditional - T64[:, h]) ** 2))


def held_out_errors():
    """Squared error per hidden pixel of the network as it is, for each of the fixed masks."""
    count = len(T) * (L - V) * P
    with mg.no_grad():
        whole = [E(T, np.tile(mask, (len(T), 1))).item() for mask in fixed]
    return 2 * np.array(whole) / count


at_first = held_out_errors().mean()
mean_error, gauss = np.mean(mean_errors), np.mean(gauss_errors)
print(f"mean {what} {mean_error:.4g}, Gaussian conditional {gauss:.4g}, untrained {at_first:.4g}")
lesson.result(
    "untrained network - mean row, in units of s^2",
    (at_first - mean_error) / float(scale) ** 2,
    exact=0,
    tolerance=1e-3,
)
lesson.result("mean row: squared error per hidden pixel, held out", mean_error)
lesson.result("Gaussian conditional: error per hidden pixel", gauss)

# %% [markdown]
# ## Train
#
# Each step takes a batch of training pictures and **new masks**, one for each picture, so the
# network never sees the same task twice.  Adam, with a learning rate that rises along a short line
# and then falls to 0 along a half cosine.  Watch how long the held-out error stays at the mean
# picture's before it falls, and whether it passes the Gaussian conditional's.

# %% Train
lesson.cell("Train: on the training part of X, from random weights")
optimizer = mg.optim.Adam(weights, lr=5e-3, betas=(0.9, 0.95))
schedule = mg.optim.cosine_schedule(optimizer, steps, warmup=steps // 20)
batch = min(64, len(A))
curve = [(0, at_first)]
for step in range(steps):
    schedule(step)
    rows = rng.choice(len(A), batch, replace=False)
    optimizer.zero_grad()
    loss = E(A[rows], draw_masks(batch)) / (batch * scale**2)
    loss.backward()
    optimizer.step()
    if (step + 1) % -(-steps // 8) == 0 or step + 1 == steps:
        curve.append((step + 1, held_out_errors().mean()))
        print(f"  step {step + 1:>5}: {curve[-1][1]:.4g} per hidden pixel, held out")
errors = held_out_errors()
error = errors.mean()
gains = np.array(gauss_errors) - errors
print(f"mean {what} {mean_error:.4g}, Gaussian conditional {gauss:.4g}, this network {error:.4g}")
print(f"below the Gaussian conditional on {np.sum(gains > 0)} of {len(fixed)} masks")
lesson.result("this network: error per hidden pixel", error)
on_page, of_class = E(few, few_masks).item(), model.loss(few, mask=few_masks).item()
same = (on_page - of_class) / (of_class or 1.0)
lesson.result("E on this page - E of the class, rel.", same, exact=0, tolerance=1e-4)

# %% Look: training
lesson.cell("Look: how the held-out error falls")
fig, ax = plt.subplots(figsize=(6.8, 3.8))
ax.plot(*zip(*curve, strict=True), color=BLUE, marker="o", ms=4, label="network of this page")
ax.axhline(mean_error, color=BLACK, ls=":", label=f"mean {what}")
ax.axhline(gauss, color=ORANGE, ls="--", label="Gaussian conditional (means and covariances)")
ax.set(
    xlabel=f"steps of training, {batch} {what}s each",
    ylabel="squared error per hidden pixel",
    title=f"Held out: network {error:.3g}, Gaussian {gauss:.3g}, mean {what} {mean_error:.3g}",
)
ax.legend(loc="center right")
numbers = {"curve": curve, "gaussian": gauss, "mean_picture": mean_error}
lesson.figure("training", fig, numbers)

# %% [markdown]
# A network below the dashed line uses more than means and covariances: on the digits as shipped,
# the default run ends near that line or below it, and the short one between the two lines.  (On
# few rows the Gaussian, which has a closed form, is hard to beat.) The next figures are the
# slide, with this network's sizes and a held-out row in it, and the book's figure: original, what
# the encoder sees, what comes out.  The last line of pictures is the decoder's output as it is:
# no term of E asks anything of it on visible patches.

# %% Look: what the network makes of held-out rows
lesson.cell("Look: the network at work")
fig, ax = plt.subplots(figsize=(10.5, 2.8))
masked_pictures.draw_masked_autoencoder(ax, model, few[0], few_masks[0], limits)
ax.set_title(f"The encoder sees {V} of {L} patches; the decoder fills in the other {L - V}")
lesson.figure("network", fig, {"mask": few_masks[0], "parameters": sum(w.size for w in weights)})
drawn = model.forward(few, few_masks).numpy()
seen = ~glue(np.repeat(few_masks[:, :, None], P, axis=2))
on_visible = float(np.mean((drawn - few)[seen] ** 2))
on_hidden = float(np.mean((drawn - few)[~seen] ** 2))
print(f"squared error per pixel of the decoder alone, n = {len(few)}: hidden {on_hidden:.4g},")
print(f"visible {on_visible:.4g} (where E asks for nothing)")
lesson.result("decoder alone, error per visible pixel", on_visible)
fig, ax = plt.subplots(figsize=(8.4, 3.5))
rows = masked_pictures.reconstruction_rows(model, few, few_masks, limits)
masked_pictures.rows_of_pictures(ax, rows)
ax.set_aspect("equal" if is_picture(D) else "auto")
ax.set_title(f"Trained on this page, {steps} steps: {V} of {L} patches are seen")
lesson.figure("reconstructions", fig, {"hidden": on_hidden, "visible": on_visible})

# %% [markdown]
# **Who looks at whom.**  In the encoder's blocks each token takes from all others, with attention
# weights $\mathrm{softmax}(q k^T / \sqrt d)$ that sum to 1.  The map shows, for one framed patch,
# how much it takes from each patch when the whole picture is visible (mean over heads).

# %% Look: attention
lesson.cell("Look: attention of the network trained above")
query = L // 3
if depth:
    fig, maps = masked_pictures.attention_figure(model, T[:4], query, limits)
    own = [weight.reshape(-1, L)[:, query].mean() for weight in maps]
    shares = ", ".join(f"{share:.3f}" for share in own)
    print(f"patch {query} takes from itself, block by block: {shares}")
    print(f"(the same from each patch would be 1 / L = {1 / L:.3f})")
    lesson.figure("attention", fig, {"query": query, "weights": maps})
    off = max(float(np.abs(weight.sum(axis=(1, 2)) - 1).max()) for weight in maps)
    lesson.result("attention weights: sum - 1, largest", off, exact=0, tolerance=1e-5)
else:
    print("depth = 0: this encoder has no block, and no attention")

# %% [markdown]
# ## What it is worth
#
# The slide: afterwards the decoder is discarded, and the encoder is applied to the *whole* picture
# with fresh output layers that are fine-tuned.  `classifier` copies the encoder and puts a linear
# head (0 at first) on its concatenated tokens; `fine_tune` is the loop above with the cross-entropy
# of labels as loss.  Here 10 % of the training rows have a label.  Logistic regression on the
# pixels, and on the tokens of the frozen encoder, say how much of it is the network's doing.
#
# Two things can be counted.  The gradient of the outputs by the picture is not 0 in any of the L
# patches: nothing is masked any more.  And the names of the classifier's parameters are those of
# the encoder and of the new head: none of the decoder's has come along, the mask token included.

# %% Train: with few labels
lesson.cell("Train: the encoder on whole pictures, with few labels")
classes, labels = np.unique(y, return_inverse=True)
C = len(classes)
if len(labels) == N and len(A) >= 2 * C:
    n_few = max(C, len(A) // 10)
    known, wanted = labels[order[:n_few]], labels[order[-n_test:]]
    frozen = classifier(model, C)
    codes, test_codes = (frozen.features(x).numpy().astype(np.float64) for x in (A[:n_few], T))
    on_pixels = LogisticRegression(D, C).fit(A[:n_few], known)
    on_codes = LogisticRegression(codes.shape[1], C).fit(codes, known)
    tuned = classifier(model, C)
    tuning = {"steps": 60 if lesson.fast else 200, "rng": np.random.default_rng([seed, 2])}
    fine_tune(tuned, A[:n_few], known, batch_size=min(36, n_few), **tuning)
    found = {
        "regression on pixels": accuracy(on_pixels, T, wanted),
        "regression on the frozen encoder": accuracy(on_codes, test_codes, wanted),
        "encoder fine-tuned": accuracy(tuned, T, wanted),
    }
    print(f"accuracy on {n_test} held-out {what}s, {n_few} labels, {C} classes:")
    for name, value in found.items():
        print(f"  {name:<34} {value:.3f}")
        lesson.result(f"accuracy: {name}", value)
    print(f"(one test {what} is {1 / n_test:.3f})")
    x = mg.tensor(few, requires_grad=True)
    (g,) = mg.grad(mg.sum(tuned(x) ** 2), x)
    reached = int(np.any(cut(g) != 0, axis=2).sum(axis=1).min())
    theirs = {name for name, _ in model.encoder.named_parameters()}
    new_names = sorted({name for name, _ in tuned.named_parameters()} - theirs)
    print(f"its outputs depend on {reached} of {L} patches; parameters not of the encoder:")
    print(f"  {', '.join(new_names)}")
    lesson.result("patches without influence on the classifier", L - reached, exact=0)
    lesson.result("its parameters beyond encoder and head", len(new_names) - 2, exact=0)
else:
    print(f"y ({len(labels)} labels of {C} values) gives no classes to the {N} rows of X:")
    print("this step is left out")

# %% [markdown]
# ## Shipped: networks trained for minutes
#
# Everything from here to *Inspect* was not computed from your first cell.  `ready` (of
# `experiments.masked`) loads a network that was trained like the one above, for longer, on the
# package's digits or on MNIST.  `shipped_errors` and `conditional_errors` measure the network for
# digits and the Gaussian conditional, mask by mask, as `held_out_errors` and `gauss_errors` above
# do; `masked_pictures` draws.

# %% Look: shipped networks
lesson.cell("Look: the shipped networks, on the package's digits and on MNIST")
larger = lesson.run.shared(ready, "07_digits.npz")
mnist = lesson.run.shared(ready, "07_mnist.npz")
commands = {
    "digits": f"{masked_transfer.COMMAND} --best",
    "MNIST": mg.checkpoint.load(mg.data.shipped("07_mnist.npz")).meta["command"],
}
for (name, command), network in zip(commands.items(), (larger, mnist), strict=True):
    size = sum(w.size for w in network.parameters())
    print(f"shipped, {name}: {size:,} weights, trained for minutes by\n    {command}")
ours, theirs = lesson.run.shared(shipped_errors), lesson.run.shared(conditional_errors)
better = theirs - ours
uncertain = better.std(ddof=1) / len(better) ** 0.5
print("squared error per hidden pixel, held out:")
print(f"  digits (split by writers) {ours.mean():.4f}, Gaussian conditional {theirs.mean():.4f};")
print(f"  lower on {np.sum(better > 0)} of {len(better)} masks, by {better.mean():.4f}", end="")
print(f" +- {uncertain:.4f} on average")
kept = json.loads(mg.data.shipped("07_mnist.json").read_text(encoding="utf-8"))
print(f"  MNIST (measured when it was trained) {kept['masked_error']:.4f}", end="")
print(f", Gaussian conditional {kept['gaussian']:.4f}")
side_by_side = mg.data.digits("test")[0][:10]
numerals = np.load(mg.data.shipped("07_mnist_pictures.npz"))["pictures"].reshape(-1, 784)[:10] / 255
draw = np.random.default_rng(seed)
fig, axes = plt.subplots(2, 1, figsize=(8.4, 7.4))
for ax, network, x, name in zip(
    axes, (larger, mnist), (side_by_side, numerals), commands, strict=True
):
    M = network.n_patches
    v = visible_patches(M, network.mask_ratio)
    masks = draw.random((len(x), M)).argsort(axis=1) >= v
    rows = masked_pictures.reconstruction_rows(network, x.astype(np.float32), masks)
    masked_pictures.rows_of_pictures(ax, rows, margin=x.shape[1] // 400 + 1)
    ax.set_title(f"Shipped network, {name}: from {v} of {M} patches")
lesson.figure("shipped", fig, {"network": ours, "gaussian": theirs})

# %% [markdown]
# ## Why so much is hidden
#
# The slide: *compared to language, images have much more redundancy along with strong local
# correlations*.  How many bits of a hidden symbol are left, if its visible neighbours are known?
# Take three sources: the letters of a book (Lewis Carroll, Alice's Adventures in Wonderland, 1865,
# in the public domain; 26 letters and the space), the pixels of a photograph ("Camera" by Lav
# Varshney, CC0), and your X.  Pixels are cut into 16 levels that occur equally often: that gives
# the photograph's pixels about as many bits as letters have.  The same predictor for all
# (`experiments.masked_redundancy`) counts what occurred beside the up to five nearest visible
# neighbours, and codes held-out parts.  Its code is never shorter, on average, than the entropy
# $H(x_h \mid x_v)$.  Divided by what the code needs without neighbours, it is a share from 0 to 1.

# %% Look: redundancy of letters and pixels
lesson.cell("Look: how much of a hidden symbol is unknown")
sources = {
    "letters of a book": masked_redundancy.book(),
    "pixels of a photograph": masked_redundancy.photograph_levels(),
    f"this X ({what}s)": masked_redundancy.levels(X[order[:512]]).reshape(-1, H, W),
}
found = {}
for k, (name, S) in enumerate(sources.items()):
    draw = np.random.default_rng([seed, 3, k])
    shares, folds = ((0.25, 0.75), 1) if lesson.fast else ((0.1, 0.5, 0.75, 0.9), 2)
    found[name] = {share: masked_redundancy.unknown(S, share, draw, folds) for share in shares}
    for share, u in found[name].items():
        print(f"{name:<22} {share:>4.0%} hidden: {u.bits:.2f} of {u.alone:.2f} bits,", end="")
        print(f" share {u.share:.3f} +- {u.error:.3f}")
book, photograph, own = (row[0.75] for row in found.values())
title = (
    f"75 % hidden: unknown of a letter {book.share:.0%}, of the photograph {photograph.share:.0%}"
)
lesson.figure("redundancy", masked_pictures.redundancy_figure(found, title), title)
lesson.result("this X, 75 % hidden: share that is unknown", own.share)

# %% [markdown]
# Look at both ends.  With 10 % hidden, letters and the photograph's pixels are not far apart.  As
# more are hidden, the book is soon lost, and the photograph is not: a letter has two neighbours,
# both of which are hidden with probability $.75^2 = .56$; a pixel has eight, $.75^8 = .10$.  (The
# error bars are over held-out parts; the short run has few, and starts at 25 %.)  So a task that is
# hard for words hides little, and one that is hard for photographs has to hide much.  The digits as
# shipped are another matter: their pixels are sums over 4 x 4, and share less with neighbours.
#
# **How much to hide?**  That 75 % makes the *best representations* is a finding and follows from
# nothing above.  Known: for He et al. (ImageNet, 196 patches, a large network, 800 epochs), a
# linear classifier of the codes is best near 75 %, and fine-tuning about as good from 40 to 80 %.
# Measured here, with networks thousands of times smaller, briefly trained: on 49 patches of MNIST,
# and of crops of that photograph (of which of its 16 tiles is a crop?), three networks for each
# ratio, a linear classifier with 320 labels (`experiments.masked_ratio`; its numbers are shipped).
# The dots are networks from different starts; look whether ratios differ by more than these do.
# Reconstruction errors of different ratios are errors of different tasks, and say nothing about it;
# all of these are still above the Gaussian's.

# %% Look: the shipped study of mask ratios
lesson.cell("Look: the shipped study of mask ratios, 49 patches")
kept = json.loads(mg.data.shipped("07_ratios.json").read_text(encoding="utf-8"))
print(f"Shipped, by {masked_ratio.COMMAND}")
print(masked_ratio.table(kept))
lesson.figure("ratios", masked_pictures.ratios_figure(kept), masked_ratio.means(kept))

# %% [markdown]
# **Few labels.**  The second study that is shipped (`masked_transfer.study` makes it again, in ten
# minutes, with `--full`) takes one network for the digits that hides 75 %, and fine-tunes it with 1
# to 100 % of the labels, on several draws of these labels (mean +- standard error).  Its error bars
# hold for the draw of labels, not for the network's start or the choice of 360 test digits.

# %% Look: the shipped study of few labels
lesson.cell("Look: the shipped study of few labels, from the network that hides 75 %")
study = json.loads(mg.data.shipped("07_study.json").read_text(encoding="utf-8"))
if lesson.full:
    folder = lesson.out / "07_study"
    folder.mkdir(parents=True, exist_ok=True)
    masked_transfer.study(folder)
    study = json.loads((folder / "07_study.json").read_text(encoding="utf-8"))
origin = "Study made here" if lesson.full else "Shipped study"
print(f"{origin}, by {masked_transfer.COMMAND}")
print(f"pre-trained with {study['transfer ratio']:.0%} of the patches hidden")
print(masked_transfer.table(study))
lesson.figure("labels", masked_pictures.labels_figure(study, origin), study["transfer"])

# %% [markdown]
# Read this table as a sceptic: how far is the frozen encoder from the fine-tuned one, how
# good is the nearest neighbour on pixels, and is the gain with all labels more than a few of 360
# digits?
#
# ## Inspect
#
# One step, small enough to follow: four patches of two pixels, of which 1 and 3 are visible, one
# attention in the encoder and one in the decoder.  The mask token stands in places 0 and 2.  What
# is its gradient, if $g_l$ is the gradient that arrives at place l?

# %% Inspect
lesson.cell("Inspect: where gradients meet")
draw = np.random.default_rng(2)
patches = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, 0.5], [1.0, 1.0]])
visible = mg.tensor(patches[[1, 3]], name="visible")
W_in = mg.tensor(draw.normal(size=(2, 3)), requires_grad=True, name="W_in")
places = mg.tensor(0.5 * draw.normal(size=(4, 3)), requires_grad=True, name="places")
token = mg.tensor(0.1 * draw.normal(size=(1, 3)), requires_grad=True, name="mask_token")
W_out = mg.tensor(draw.normal(size=(3, 2)), requires_grad=True, name="W_out")
t = visible @ W_in + mg.take(places, [1, 3], axis=0)
z = t + mg.attention(t, t, t)
full = mg.take(mg.concatenate([z, token]), [2, 0, 2, 1], axis=0)
full.retain_grad()
t = full + places
filled = (t + mg.attention(t, t, t)) @ W_out
loss = 0.5 * ((mg.take(filled, [0, 2], axis=0) - patches[[0, 2]]) ** 2).sum()
trace = mg.trace(loss)
lesson.page("one_step", trace)
print(f"gradient at place 0 {full.grad[0].round(4)}, at place 2 {full.grad[2].round(4)}")
print(f"gradient of the mask token: {token.grad[0].round(4)}, the sum of both")

# %% [markdown]
# ## Verify
#
# Nothing hidden may have any influence on what is predicted.  So the gradient of all predictions by
# a hidden pixel is not small but exactly 0.  And each rule of the backward pass of E, with the
# network trained above, is compared with finite differences.

# %% Verify
lesson.cell("Verify: what is hidden has no influence, and E's gradient is right")
x = mg.tensor(few, requires_grad=True)
(g,) = mg.grad(mg.sum(model.forward(x, few_masks) ** 2), x)
leak = float(np.abs(g[~seen]).max())
print(f"largest gradient by a hidden pixel {leak}, by a visible one {np.abs(g[seen]).max():.3g}")
lesson.result("gradient of predictions by a hidden pixel", leak, exact=0)
print(mg.check_graph(E(few[:2], few_masks[:2])))

# %% [markdown]
# ## Break it
#
# Below, `put_back` is written once more, and differs from the one above in one line.  Nothing
# crashes, shapes agree, and whoever tries it with a single picture finds no fault.

# %% Break it
lesson.cell("Break it: codes in the wrong places")
lesson.predict("batch")  # what is wrong, and why does a batch of one not show it?


def put_back_otherwise(mask):
    n_codes = np.count_nonzero(~mask)
    rows = np.full(mask.shape, n_codes)
    rows.T[~mask.T] = np.arange(n_codes)
    return rows


own_masks, pixels = draw_masks(len(T)), len(T) * (L - V) * P
with mg.no_grad():
    right = 2 * E(T, own_masks).item() / pixels
    broken = 2 * E(T, own_masks, put_back_otherwise).item() / pixels
print(f"error per hidden pixel, all {len(T)} at once: {right:.4g} -> {broken:.4g}")
with mg.no_grad():
    singly = [E(T[:1], mask[None], put_back_otherwise).item() for mask in fixed]
    rightly = [E(T[:1], mask[None]).item() for mask in fixed]
apart = float(np.abs(np.array(singly) - rightly).max())
print(f"E of one {what} alone, largest difference from the right E: {apart}")
lesson.result("codes put back wrongly: error per hidden pixel", broken)

# %% [markdown]
# ## Exercises
#
# The parts of the masked autoencoder.  `minigrad-ae exercise start N` copies a blank into your
# folder, and `minigrad-ae exercise check N` judges it: it names the misconception, not the answer.
#
# 1. `minigrad-ae exercise start 9`: a random subset for each picture, and the way back.
# 2. `minigrad-ae exercise start 24`: the error on hidden patches; an inverted mask.
# 3. `minigrad-ae exercise start 25`: attention's weights; a softmax along the wrong axis.
# 4. `minigrad-ae exercise start 26`: heads: reshape where a transpose was meant.
# 5. `minigrad-ae exercise start 13`: attention's backward pass, by hand.

# %% Answers
lesson.cell("Answers to what you predicted")
lesson.answers(
    gauss=gauss,
    mean_error=mean_error,
    error=error,
    on_visible=on_visible,
    on_hidden=on_hidden,
    right=right,
    broken=broken,
)

# %% Recap
lesson.finish()

# %% [markdown]
# ## What you can do now
#
# - Cut pictures into patches, mask them, and build encoder and decoder of a masked autoencoder from
#   `mg.nn`'s layers; or take `mg.models.MaskedAutoencoder`, which is the same.
# - Say what a masked error is worth, by the Gaussian conditional on the same masks.
# - Train one from the command line:
#   `minigrad-ae train masked --data digits --latent 64 --epochs 60 --lr 0.004`.
# - Use the encoder for another task:
#   `from minigrad_ae.models.transfer import classifier, fine_tune`.
# - Walk through the small step: `minigrad-ae inspect lessons/07_masked_autoencoder.py`.
