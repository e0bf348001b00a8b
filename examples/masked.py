"""A masked autoencoder: three quarters of a digit are hidden, and a small transformer fills it in.

The encoder sees the visible patches only; the loss counts the hidden pixels only.
"""

import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg

EPOCHS = 45
rng = np.random.default_rng(0)
X = mg.data.digits("train")[0].astype(np.float32)  # (1437, 64): 8 x 8 pixels in [0, 1]
T = mg.data.digits("test")[0].astype(np.float32)  # (360, 64)

# 16 patches of 2 x 2 pixels; where untrained, it predicts the mean picture of X
model = mg.models.MaskedAutoencoder(
    (8, 8), patch=2, width=32, depth=1, decoder_width=32, decoder_depth=2, rng=rng, dtype=X.dtype
).standardise(X)
optimizer = mg.optim.AdamW(model.parameters(), lr=0.005, betas=(0.9, 0.95))
schedule = mg.optim.cosine_schedule(optimizer, EPOCHS, warmup=3)


def draw_masks(n):
    """For each of n pictures 12 of its 16 patches, True where hidden, (n, 16)."""
    return rng.random((n, 16)).argsort(axis=1) >= 4


def pixels(masks):
    """Masks of patches (n, 16) as masks of pixels (n, 64)."""
    return masks.reshape(-1, 4, 4).repeat(2, axis=1).repeat(2, axis=2).reshape(-1, 64)


for epoch in range(1, EPOCHS + 1):
    schedule(epoch - 1)  # sets the learning rate: up for three epochs, then down
    for x in mg.data.batches(X, 64, rng):
        masks = draw_masks(len(x))  # others in every step
        y = model.decode(model.encode(x, masks), masks)
        loss = ((y - x)[pixels(masks)] ** 2).mean()  # a mean over hidden pixels and digits
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 5 == 0:
        print(f"epoch {epoch:3}: loss of the last batch {loss.item():.4f}")

# References for the test digits: the mean picture, and the best guess from mean and covariance.
masks = draw_masks(len(T))
hidden, mean = pixels(masks), X.mean(axis=0)
C = np.cov(X.T, bias=True) + 1e-3 * np.eye(64)  # the ridge: some pixels never vary
gaussian = np.array(T)
for guess, h in zip(gaussian, hidden, strict=True):
    guess[h] = mean[h] + C[h][:, ~h] @ np.linalg.solve(C[~h][:, ~h], (guess - mean)[~h])
with mg.no_grad():
    Y = model.decode(model.encode(T, masks), masks).numpy()


def error(P):
    return ((P - T)[hidden] ** 2).mean()  # a mean over hidden pixels and digits, as the loss


rows = {
    "test digits": T,
    "visible (grey: hidden)": np.where(hidden, 0.3, T),
    f"filled in: {error(Y):.4f}": np.where(hidden, Y, T),
    f"Gaussian: {error(gaussian):.4f}": gaussian,
    f"mean picture: {error(mean):.4f}": np.where(hidden, mean, T),
}
print("test error per hidden pixel,", ", ".join(list(rows)[2:]))

digits = np.array([row[:10] for row in rows.values()]).reshape(5, 10, 8, 8)
framed = np.pad(digits, ((0, 0), (0, 0), (1, 1), (1, 1)))
plt.imshow(framed.swapaxes(1, 2).reshape(50, 100), cmap="gray_r", vmin=0, vmax=1)
plt.gca().set(title="Squared error per hidden pixel, mean of 360 test digits", xticks=[])
plt.yticks(np.arange(4.5, 50, 10), list(rows))
plt.savefig("masked.png", dpi=120, bbox_inches="tight")
