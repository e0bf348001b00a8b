"""a parameter that never moves"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
model = mg.models.DeepAutoencoder(64, 4, 16, rng=np.random.default_rng(0))
optimizer = mg.optim.Adam(model.parameters(), lr=1e-3)

losses = []
for k in range(10):
    batch = X[64 * k : 64 * (k + 1)]
    loss = model.loss(batch) / len(batch)
    optimizer.zero_grad()
    loss.backward()  # named
    # right: loss.backward(), optimizer.step()
    losses.append(loss.item())

print("from", losses[0], "to", losses[-1])
