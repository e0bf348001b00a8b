"""dead units"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
rng = np.random.default_rng(0)
first = mg.nn.Linear(64, 32, rng=rng)
second = mg.nn.Linear(32, 64, rng=rng)
lr = 0.3
# right: lr = 1e-3
sgd = mg.optim.SGD([*first.parameters(), *second.parameters()], lr=lr)

for batch in mg.data.batches(X, 100, rng):
    h = mg.relu(first(batch))  # named
    loss = 0.5 * ((second(h) - batch) ** 2).sum() / len(batch)
    sgd.zero_grad()
    loss.backward()
    sgd.step()

print("loss", loss.item())
