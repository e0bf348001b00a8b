"""A deep autoencoder of handwritten digits: 64 pixels through 4 numbers and back, beside PCA."""

import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae.nn import Linear, Sequential, Tanh

rng = np.random.default_rng(0)
X, T = mg.data.digits("train")[0], mg.data.digits("test")[0]  # (1437, 64), (360, 64) in [0, 1]
encoder = Sequential(Linear(64, 64, rng=rng), Tanh(), Linear(64, 4, rng=rng))
decoder = Sequential(Linear(4, 64, rng=rng), Tanh(), Linear(64, 64, rng=rng))
optimizer = mg.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.005)


def error(y, x):
    return ((y - x) ** 2).sum() / len(x)  # a sum over pixels, a mean over digits


for epoch in range(1, 101):
    for x in mg.data.batches(X, 64, rng):
        loss = error(decoder(encoder(x)), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch:3}: test error {error(decoder(encoder(T)), T).item():.3f}")

mean = X.mean(axis=0)
V = np.linalg.svd(X - mean)[2][:4]  # PCA: the first 4 components of the same digits
rows = [T, decoder(encoder(T)).numpy(), mean + (T - mean) @ V.T @ V]
names = ["originals", f"autoencoder: {error(rows[1], T):.3f}", f"PCA: {error(rows[2], T):.3f}"]
print("test error of", ", of ".join(names[1:]))

digits = np.array([row[:10] for row in rows]).reshape(3, 10, 8, 8)
framed = np.pad(digits, ((0, 0), (0, 0), (1, 1), (1, 1)))
plt.imshow(framed.swapaxes(1, 2).reshape(30, 100), cmap="gray_r", vmin=0, vmax=1)
plt.gca().set(title="Digits from 4 numbers each; squared error of 360 test digits", xticks=[])
plt.yticks([4.5, 14.5, 24.5], names)
plt.savefig("autoencoder.png", dpi=120, bbox_inches="tight")
