"""batches of one row"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
rng = np.random.default_rng(0)
W = mg.tensor(0.1 * rng.normal(size=(64, 8)), requires_grad=True, name="W")
V = mg.tensor(0.1 * rng.normal(size=(8, 64)), requires_grad=True, name="V")
batches = np.split(X[:128], 128)
# right: batches = np.split(X[:128], 4)

for x in batches:
    h = mg.tanh(x @ W)  # named
    loss = 0.5 * ((h @ V - x) ** 2).sum() / len(x)
    W.zero_grad()
    V.zero_grad()
    loss.backward()
    W.data -= 0.01 * W.grad
    V.data -= 0.01 * V.grad

print("loss", loss.item())
