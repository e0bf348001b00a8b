"""softmax over the rows"""

import numpy as np

import minigrad_ae as mg

rng = np.random.default_rng(0)
X, labels = mg.data.digits("train")
X, target = X[:200], np.eye(10)[labels[:200]]

W = mg.tensor(0.1 * rng.normal(size=(64, 10)), requires_grad=True, name="W")
b = mg.tensor(np.zeros(10), requires_grad=True, name="b")
sgd = mg.optim.SGD([W, b], lr=0.5)

for epoch in range(20):
    logits = X @ W + b
    p = mg.softmax(logits, axis=0)  # named
    # right: p = mg.softmax(logits, axis=1)
    loss = -(target * mg.log(p)).sum() / len(X)
    sgd.zero_grad()
    loss.backward()
    sgd.step()

print("loss", loss.item())
