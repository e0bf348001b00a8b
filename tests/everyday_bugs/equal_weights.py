"""equal start weights"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
X = X[:256]
rng = np.random.default_rng(0)
start = np.full((64, 8), 0.1)
# right: start = 0.1 * rng.normal(size=(64, 8))
W1 = mg.tensor(start, requires_grad=True, name="W1")
b1 = mg.tensor(np.zeros(8), requires_grad=True, name="b1")
W2 = mg.tensor(np.full((8, 64), 0.1), requires_grad=True, name="W2")
# right: W2 = mg.tensor(0.1 * rng.normal(size=(8, 64)), requires_grad=True, name="W2")
adam = mg.optim.Adam([W1, b1, W2], lr=1e-2)

for step in range(20):
    h = mg.tanh(X @ W1 + b1)  # named
    loss = 0.5 * ((h @ W2 - X) ** 2).sum() / len(X)
    adam.zero_grad()
    loss.backward()
    adam.step()

print("loss", loss.item())
