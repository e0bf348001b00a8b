"""reshape in place of transpose"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
X = X[:256]
rng = np.random.default_rng(0)
W = mg.tensor(0.1 * rng.normal(size=(64, 8)), requires_grad=True, name="W")
adam = mg.optim.Adam([W], lr=1e-2)

for step in range(30):
    z = X @ W
    back = W.reshape(8, 64)  # named
    # right: back = W.T
    loss = 0.5 * ((z @ back - X) ** 2).sum() / len(X)
    adam.zero_grad()
    loss.backward()
    adam.step()

print("loss", loss.item())
