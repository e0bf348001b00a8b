"""a target that is not detached"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
rng = np.random.default_rng(0)
encoder = mg.nn.Linear(64, 16, activation="tanh", rng=rng)
head = mg.nn.Linear(16, 16, rng=rng)
adam = mg.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)


def corrupted(x):
    return x * (rng.random(x.shape) > 0.5)


for batch in mg.data.batches(X, 100, rng):
    target = encoder(batch)
    # right: target = encoder(batch).detach()
    prediction = head(encoder(corrupted(batch)))
    loss = ((prediction - target) ** 2).sum() / len(batch)  # named
    adam.zero_grad()
    loss.backward()
    adam.step()

print("loss", loss.item())
