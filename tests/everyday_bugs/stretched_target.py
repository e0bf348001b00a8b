"""both operands stretched"""

import numpy as np

import minigrad_ae as mg

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 3))
y = X @ np.array([1.0, -2.0, 0.5]) + 0.1 * rng.normal(size=50)

w = mg.tensor(rng.normal(size=(3, 1)), requires_grad=True, name="w")
b = mg.tensor(0.0, requires_grad=True, name="b")

for step in range(100):
    prediction = X @ w + b
    loss = ((prediction - y) ** 2).mean()  # named
    # right: loss = ((prediction[:, 0] - y) ** 2).mean()
    w.zero_grad()
    b.zero_grad()
    loss.backward()
    w.data -= 0.1 * w.grad
    b.data -= 0.1 * b.grad

print("loss", loss.item())
