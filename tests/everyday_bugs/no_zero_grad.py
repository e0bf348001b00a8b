"""gradient accumulated over steps"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
rng = np.random.default_rng(0)
model = mg.models.DeepAutoencoder(64, 4, 16, rng=rng)
optimizer = mg.optim.SGD(model.parameters(), lr=1e-3)

for epoch in range(2):
    for batch in mg.data.batches(X[:512], 64, rng):
        loss = model.loss(batch) / len(batch)
        loss.backward()  # named
        # right: optimizer.zero_grad(), loss.backward()
        optimizer.step()
    print(epoch, loss.item())
