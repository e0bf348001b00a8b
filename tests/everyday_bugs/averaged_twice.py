"""a loss averaged twice"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
rng = np.random.default_rng(0)
encoder = mg.nn.Linear(64, 8, activation="tanh", rng=rng)
decoder = mg.nn.Linear(8, 64, rng=rng)
adam = mg.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)


def mse(y, x):
    return ((y - x) ** 2).mean()


for batch in mg.data.batches(X, 100, rng):
    loss = mse(decoder(encoder(batch)), batch) / len(batch)  # named
    # right: loss = mse(decoder(encoder(batch)), batch)
    adam.zero_grad()
    loss.backward()
    adam.step()

print("loss", loss.item())
