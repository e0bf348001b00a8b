"""pixels divided as whole numbers"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
pixels = (X * 16).astype(np.uint8)
X = pixels // 16  # named
# right: X = pixels / 16
rng = np.random.default_rng(0)
model = mg.models.VariationalAutoencoder(64, 2, hidden=(32,), rng=rng)
adam = mg.optim.Adam(model.parameters(), lr=1e-3)

for batch in mg.data.batches(X[:512], 64, rng):
    loss = model.loss(batch, rng=rng) / len(batch)
    adam.zero_grad()
    loss.backward()
    adam.step()

print("bound", -loss.item())
