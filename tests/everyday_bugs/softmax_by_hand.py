"""softmax over the rows"""

import numpy as np

import minigrad_ae as mg

rng = np.random.default_rng(0)
X, labels = mg.data.digits("train")
X, target = X[:100], np.eye(10)[labels[:100]]
W = mg.tensor(0.1 * rng.normal(size=(64, 10)), requires_grad=True, name="W")


def softmax(a):
    e = mg.exp(a - a.max())
    total = e.sum()  # named
    # right: total = e.sum(axis=1, keepdims=True)
    return e / total


for epoch in range(20):
    loss = -(target * mg.log(softmax(X @ W))).sum() / len(X)
    W.zero_grad()
    loss.backward()
    W.data -= 0.5 * W.grad

print("loss", loss.item())
