"""steps longer than the weights"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
model = mg.models.TwoLayerAutoencoder(64, 8, rng=np.random.default_rng(0))
lr = 0.5
# right: lr = 1e-4
optimizer = mg.optim.SGD(model.parameters(), lr=lr)

for step in range(3):
    loss = model.loss(X[:100])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()  # named
    print(step, loss.item())
